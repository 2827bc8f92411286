"""The local engine's speed, beside what people do today, all in one run on the same machine.

    python bench/engine.py                     # a minute or two
    python bench/engine.py --syne-tune PYTHON  # Syne Tune's local backend as well; PYTHON has syne-tune and xgboost-cpu

- throughput: the same 60-trial XGBoost search, one and two at a time: on the endpoint, as a plain Optuna study that
  starts one subprocess a trial, and by Syne Tune's local backend (random search everywhere: the search itself costs
  nothing). All train the same model on the same data with one thread each;
- overhead: what a training job takes on the endpoint beyond its bare process;
- the endpoint's start, until its first answer;
- memory of the endpoint's processes after 500 training jobs with logs.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import sklearn.datasets

from hpo_constructs.local import LocalEndpoint

TRIALS = 60
ROUNDS = 40
MANY = 500
BUCKET = "bench-data"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
EMPTY = "registry/empty:1"
EMPTY_PROGRAM = "print('loss=1;')\n"
LOUD = "registry/loud:1"
LOUD_PROGRAM = "for n in range(300):\n    print(f'epoch {n} ' + 'x' * 80)\nprint('loss=1;')\n"
AIMS = {"overhead_ms": 50.0}
# What a person writes as a training script for a study of one's own.
SCRIPT = """\
import sys
import numpy as np, xgboost
eta, depth, threads, folder = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
data = {}
for name in ("train", "validation"):
    table = np.loadtxt(f"{folder}/{name}.csv", delimiter=",")
    data[name] = xgboost.DMatrix(table[:, 1:], label=table[:, 0], nthread=threads)
log = {}
booster = xgboost.train(
    {"objective": "binary:logistic", "eval_metric": "auc", "eta": eta, "max_depth": depth, "nthread": threads},
    data["train"], ROUNDS, evals=[(data[name], name) for name in data], evals_result=log, verbose_eval=False)
booster.save_model(f"{sys.argv[5]}")
print(log["validation"]["auc"][-1])
"""
SYNE_TUNE = """\
import sys, time
from pathlib import Path
from syne_tune import StoppingCriterion, Tuner
from syne_tune.backend import LocalBackend
from syne_tune.config_space import randint, uniform
from syne_tune.optimizer.baselines import RandomSearch
folder, trials, workers = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
space = {"eta": uniform(0.05, 0.5), "max_depth": randint(2, 8), "folder": folder}
tuner = Tuner(
    trial_backend=LocalBackend(entry_point=str(Path(folder) / "syne_trial.py")),
    scheduler=RandomSearch(space, metrics=["auc"], do_minimize=False),
    stop_criterion=StoppingCriterion(max_num_trials_finished=trials), n_workers=workers, sleep_time=0.1,
    save_tuner=False, print_update_interval=3600)
started = time.monotonic()
tuner.run()
print("SECONDS", time.monotonic() - started)
"""
SYNE_TRIAL = """\
import argparse, subprocess, sys
from syne_tune import Reporter
parser = argparse.ArgumentParser()
for name in ("eta", "max_depth", "folder"):
    parser.add_argument(f"--{name}")
a, _ = parser.parse_known_args()
sys.argv = ["train.py", a.eta, a.max_depth, "1", a.folder, f"{a.folder}/model.json"]
import contextlib, io
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(open(f"{a.folder}/train.py").read())
Reporter()(auc=float(printed.getvalue()))
"""


def data() -> dict[str, str]:
    """A table of 4,000 rows, as CSV by channel."""
    features, labels = sklearn.datasets.make_classification(4000, 20, n_informative=8, flip_y=0.1, random_state=0)
    table = np.column_stack([labels, features])
    texts = {}
    for name, rows in (("train", table[:3000]), ("validation", table[3000:])):
        text = io.StringIO()
        np.savetxt(text, rows, delimiter=",", fmt="%.6g")
        texts[name] = text.getvalue()
    return texts


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{name}/"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def definition(image: str, channels: list[dict[str, Any]], **static: str) -> dict[str, Any]:
    metrics = [] if image == IMAGE else [{"Name": "loss", "Regex": "loss=([0-9]+);"}]
    return {
        "StaticHyperParameters": static,
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            **({"MetricDefinitions": metrics} if metrics else {}),
        },
        "RoleArn": "arn:aws:iam::123456789012:role/tuning",
        **({"InputDataConfig": channels} if channels else {}),
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    }


def tune(client: Any, name: str, trials: int, *, parallel: int, wanted: dict[str, Any]) -> float:
    """Run a tuning job to its end; its seconds, as a client sees them."""
    own = wanted["AlgorithmSpecification"]["TrainingImage"] != IMAGE
    kind, metric = ("Minimize", "loss") if own else ("Maximize", "validation:auc")
    started = time.perf_counter()
    client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": kind, "MetricName": metric},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": trials, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": OWN_RANGES if own else XGBOOST_RANGES,
        },
        TrainingJobDefinition=wanted,
    )
    while True:
        described = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        if described["HyperParameterTuningJobStatus"] not in ("InProgress", "Stopping"):
            break
        time.sleep(0.05)
    seconds = time.perf_counter() - started
    completed = described["TrainingJobStatusCounters"]["Completed"]
    assert completed == trials, f"{completed} of {trials} training jobs completed: {described.get('FailureReason')}"
    return seconds


XGBOOST_RANGES = {
    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5"}],
    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "2", "MaxValue": "8"}],
}
OWN_RANGES = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}


def on_the_endpoint(client: Any, parallel: int) -> float:
    static = {"num_round": str(ROUNDS), "objective": "binary:logistic", "eval_metric": "auc", "nthread": "1"}
    wanted = definition(IMAGE, [channel("train"), channel("validation")], **static)
    return tune(client, f"bench-{parallel}", TRIALS, parallel=parallel, wanted=wanted)


def with_optuna(folder: Path, parallel: int) -> float:
    """A study whose trials are subprocesses."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    started = time.perf_counter()

    def run(trial: optuna.Trial) -> float:
        arguments = [str(trial.params["eta"]), str(trial.params["max_depth"]), "1", str(folder)]
        command = [sys.executable, str(folder / "train.py"), *arguments, str(folder / f"model-{trial.number}.json")]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

    with ThreadPoolExecutor(parallel) as pool:
        running: dict[Future[float], optuna.Trial] = {}
        asked = 0
        while asked < TRIALS or running:
            while asked < TRIALS and len(running) < parallel:
                trial = study.ask()
                trial.suggest_float("eta", 0.05, 0.5)
                trial.suggest_int("max_depth", 2, 8)
                running[pool.submit(run, trial)] = trial
                asked += 1
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                study.tell(running.pop(done), done.result())
    return time.perf_counter() - started


def with_syne_tune(python: str, folder: Path, parallel: int) -> float:
    (folder / "syne.py").write_text(SYNE_TUNE)
    (folder / "syne_trial.py").write_text(SYNE_TRIAL)
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HOME": str(folder)}
    done = subprocess.run(
        [python, str(folder / "syne.py"), str(folder), str(TRIALS), str(parallel)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(next(line for line in done.stdout.splitlines() if line.startswith("SECONDS")).split()[1])


def overhead(client: Any, runs: int = 60) -> dict[str, float]:
    """What an all but empty training job takes beyond its process."""
    tune(client, "warm-up", 5, parallel=1, wanted=definition(EMPTY, []))
    seconds = tune(client, "overhead", runs, parallel=1, wanted=definition(EMPTY, []))
    bare = []
    for _ in range(runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-c", EMPTY_PROGRAM], check=True, capture_output=True)
        bare.append(time.perf_counter() - started)
    process = statistics.median(bare)
    return {
        "per_job_ms": 1000 * seconds / runs,
        "process_ms": 1000 * process,
        "overhead_ms": 1000 * (seconds / runs - process),
    }


def resident(pid: int) -> float:
    """Resident memory of a process and all of its session, in MB."""
    total = 0
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and os.getsid(int(entry.name)) == pid:
                total += int((entry / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, ProcessLookupError):
            continue
    return total / 1e6


def memory(endpoint: LocalEndpoint) -> dict[str, float]:
    """The server alone, before and after many training jobs with 27 KB of log each."""
    client = endpoint.client("sagemaker")
    tune(client, "memory-warm-up", 20, parallel=2, wanted=definition(LOUD, []))

    def server() -> float:
        return int(Path(f"/proc/{endpoint.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    before, peak, ended = server(), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            peak[0] = max(peak[0], server())

    watcher = threading.Thread(target=watch)
    watcher.start()
    seconds = tune(client, "memory", MANY, parallel=2, wanted=definition(LOUD, []))
    ended.set()
    watcher.join()
    return {
        "server_before_mb": before,
        "server_after_mb": server(),
        "server_peak_mb": peak[0],
        "with_children_mb": resident(endpoint.pid),
        "seconds": seconds,
    }


def start_seconds(runs: int = 3) -> float:
    """From nothing to the first answer of S3."""
    took = []
    for _ in range(runs):
        started = time.perf_counter()
        with LocalEndpoint() as endpoint:
            endpoint.client("s3").list_buckets()
            took.append(time.perf_counter() - started)
    return statistics.median(took)


def images() -> list[dict[str, Any]]:
    programs = {EMPTY: EMPTY_PROGRAM, LOUD: LOUD_PROGRAM}
    return [{"image": image, "command": [sys.executable, "-c", program]} for image, program in programs.items()]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--syne-tune", metavar="PYTHON", help="the interpreter of an environment that has syne-tune")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here as well")
    parser.add_argument("--without-memory", action="store_true", help=f"leave out the {MANY} training jobs")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    figures: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "start_seconds": start_seconds()}
    with tempfile.TemporaryDirectory() as name, LocalEndpoint(images=images()) as endpoint:
        folder = Path(name)
        s3, client = endpoint.client("s3"), endpoint.client("sagemaker")
        s3.create_bucket(Bucket=BUCKET)
        for channel_name, text in data().items():
            s3.put_object(Bucket=BUCKET, Key=f"{channel_name}/part-0.csv", Body=text.encode())
            (folder / f"{channel_name}.csv").write_text(text)
        (folder / "train.py").write_text(SCRIPT.replace("ROUNDS", str(ROUNDS)))
        figures["overhead"] = overhead(client)
        participants: dict[str, Callable[[int], float]] = {
            "endpoint": lambda parallel: on_the_endpoint(client, parallel),
            "optuna": lambda parallel: with_optuna(folder, parallel),
        }
        if arguments.syne_tune:
            participants["syne-tune"] = lambda parallel: with_syne_tune(arguments.syne_tune, folder, parallel)
        for parallel in (1, 2):
            for participant, run in participants.items():
                figures[f"{participant}_{parallel}_seconds"] = seconds = run(parallel)
                print(f"{participant}, {parallel} at a time: {seconds:.1f} s", file=sys.stderr, flush=True)
        if not arguments.without_memory:
            figures["memory"] = memory(endpoint)
    report(figures, list(participants))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))
    return 0 if figures["overhead"]["overhead_ms"] <= AIMS["overhead_ms"] else 1


def report(figures: dict[str, Any], participants: list[str]) -> None:
    print(f"cores {figures['cores']}, endpoint start to first answer {figures['start_seconds']:.2f} s")
    cost = figures["overhead"]
    print(
        f"an all but empty training job: {cost['per_job_ms']:.0f} ms, its process alone {cost['process_ms']:.0f} ms, "
        f"overhead {cost['overhead_ms']:.0f} ms (aim {AIMS['overhead_ms']:.0f} ms)"
    )
    print(f"{TRIALS} trials of XGBoost, seconds (trials a second)")
    for participant in participants:
        one, two = (figures[f"{participant}_{parallel}_seconds"] for parallel in (1, 2))
        print(
            f"  {participant:<10} 1 at a time {one:6.1f} ({TRIALS / one:5.1f})   2 at a time {two:6.1f} "
            f"({TRIALS / two:5.1f})   speed-up {one / two:.2f}"
        )
    if "memory" in figures:
        used = figures["memory"]
        print(
            f"{MANY} training jobs in {used['seconds']:.0f} s: server {used['server_before_mb']:.0f} MB before, "
            f"{used['server_after_mb']:.0f} MB after, peak {used['server_peak_mb']:.0f} MB; with all children "
            f"{used['with_children_mb']:.0f} MB"
        )


if __name__ == "__main__":
    sys.exit(main())
