"""The local engine's speed, beside what people do today, all in one run on the same machine.

    python bench/engine.py --quick         # about a minute
    python bench/engine.py --full          # ten minutes or more, and Syne Tune's local backend as well
    python bench/engine.py --json FILE     # the rows for scripts/bench

- trials a second: the same XGBoost search, one and two training jobs at a time, with cheap and with longer training:
  on the endpoint, as a plain Optuna study that starts a subprocess for each trial, and by Syne Tune's local backend.
  All sample at random (the search itself costs nothing) and train the same models on the same data with one thread;
- overhead: what a training job takes on the endpoint beyond its bare process;
- the endpoint's start until its first answer, beside moto's own server;
- memory of the endpoint's server while hundreds of training jobs with logs run.

Syne Tune has an environment of its own, .venv-clients/syne-tune, which `scripts/clients syne-tune` makes.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # Run as a program or as a module, it finds its package.

from bench._common import ROOT, Aim, Row, in_turns, progress, row_of, shown
from hpo_constructs.local import LocalEndpoint

PART = "local engine"
BUCKET = "bench-data"
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
EMPTY = "registry/empty:1"
EMPTY_PROGRAM = "print('loss=1;')\n"
LOUD = "registry/loud:1"
LOUD_PROGRAM = "for n in range(300):\n    print(f'epoch {n} ' + 'x' * 80)\nprint('loss=1;')\n"
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SYNE_TUNE_ENVIRONMENT = ROOT / ".venv-clients" / "syne-tune"
SYNE_TUNE_LOCK = ROOT / "tests" / "local" / "clients" / "syne-tune.lock"

OVERHEAD = Aim("ours", "<=", 0.05)
AS_OPTUNA = Aim("ratio", ">=", 0.95)
GROWTH = Aim("ours", "<=", 100e6)

# What a person writes as a training script for a study of one's own.
SCRIPT = """\
import sys
import numpy as np, xgboost
eta, depth, rounds, folder = float(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
data = {}
for name in ("train", "validation"):
    table = np.loadtxt(f"{folder}/{name}.csv", delimiter=",")
    data[name] = xgboost.DMatrix(table[:, 1:], label=table[:, 0], nthread=1)
log = {}
booster = xgboost.train(
    {"objective": "binary:logistic", "eval_metric": "auc", "eta": eta, "max_depth": depth, "nthread": 1},
    data["train"], rounds, evals=[(data[name], name) for name in data], evals_result=log, verbose_eval=False)
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
folder, trials, workers, rounds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
space = {"eta": uniform(0.05, 0.5), "max_depth": randint(2, 8), "rounds": rounds, "folder": folder}
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
import argparse, contextlib, io, sys
from syne_tune import Reporter
parser = argparse.ArgumentParser()
for name in ("eta", "max_depth", "rounds", "folder"):
    parser.add_argument(f"--{name}")
a, _ = parser.parse_known_args()
sys.argv = ["train.py", a.eta, a.max_depth, a.rounds, a.folder, f"{a.folder}/model.json"]
printed = io.StringIO()
with contextlib.redirect_stdout(printed):
    exec(open(f"{a.folder}/train.py").read())
Reporter()(auc=float(printed.getvalue()))
"""
XGBOOST_RANGES = {
    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.05", "MaxValue": "0.5"}],
    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "2", "MaxValue": "8"}],
}
OWN_RANGES = {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0", "MaxValue": "1"}]}


@dataclass(frozen=True)
class Search:
    """A search that all participants run: its name, how many trials it has and how many rounds each trains."""

    case: str
    trials: int
    rounds: int


@dataclass(frozen=True)
class Size:
    """How much is measured."""

    searches: tuple[Search, ...]
    turns: int
    overhead_jobs: int
    memory_jobs: int
    starts: int


QUICK = Size((Search("cheap training", 12, 40),), turns=1, overhead_jobs=30, memory_jobs=60, starts=2)
FULL = Size(
    (Search("cheap training", 60, 40), Search("longer training", 12, 600)),
    turns=1,
    overhead_jobs=100,
    memory_jobs=500,
    starts=5,
)


def data() -> dict[str, str]:
    """A table of 4,000 rows, as CSV by channel."""
    import numpy as np
    import sklearn.datasets

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
            # One and two at a time train the same models: a deep one takes twice as long as a flat one.
            "RandomSeed": 0,
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


def on_the_endpoint(client: Any, search: Search, parallel: int) -> float:
    rounds = str(search.rounds)
    static = {"num_round": rounds, "objective": "binary:logistic", "eval_metric": "auc", "nthread": "1"}
    wanted = definition(IMAGE, [channel("train"), channel("validation")], **static)
    name = f"search-{time.monotonic_ns() % 10**12}"
    return tune(client, name, search.trials, parallel=parallel, wanted=wanted)


def with_optuna(folder: Path, search: Search, parallel: int) -> float:
    """A study whose trials are subprocesses."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0), direction="maximize")
    started = time.perf_counter()

    def run(trial: optuna.Trial) -> float:
        arguments = [str(trial.params["eta"]), str(trial.params["max_depth"]), str(search.rounds), str(folder)]
        command = [sys.executable, str(folder / "train.py"), *arguments, str(folder / f"model-{trial.number}.json")]
        environment = os.environ | ONE_THREAD
        return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

    with ThreadPoolExecutor(parallel) as pool:
        running: dict[Future[float], optuna.Trial] = {}
        asked = 0
        while asked < search.trials or running:
            while asked < search.trials and len(running) < parallel:
                trial = study.ask()
                trial.suggest_float("eta", 0.05, 0.5)
                trial.suggest_int("max_depth", 2, 8)
                running[pool.submit(run, trial)] = trial
                asked += 1
            for done in wait(running, return_when=FIRST_COMPLETED).done:
                study.tell(running.pop(done), done.result())
    return time.perf_counter() - started


def with_syne_tune(folder: Path, search: Search, parallel: int) -> float:
    (folder / "syne.py").write_text(SYNE_TUNE)
    (folder / "syne_trial.py").write_text(SYNE_TRIAL)
    numbers = [str(search.trials), str(parallel), str(search.rounds)]
    done = subprocess.run(
        [str(SYNE_TUNE_ENVIRONMENT / "bin" / "python"), str(folder / "syne.py"), str(folder), *numbers],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        | ONE_THREAD
        | {"HOME": str(folder)},
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return float(next(line for line in done.stdout.splitlines() if line.startswith("SECONDS")).split()[1])


def has_syne_tune() -> bool:
    """Have Syne Tune's environment, made when it is not there or not of its lock file."""
    stamp = SYNE_TUNE_ENVIRONMENT / ".lock"
    if stamp.exists() and stamp.read_bytes() == SYNE_TUNE_LOCK.read_bytes():
        return True
    progress("making the environment of Syne Tune")
    made = subprocess.run([str(ROOT / "scripts" / "clients"), "syne-tune"], stdout=sys.stderr, check=False)
    return made.returncode == 0


def search_rows(client: Any, folder: Path, size: Size, *, syne_tune: bool) -> Iterator[Row]:
    """Trials a second, in turns."""
    for search in size.searches:
        best: dict[tuple[str, int], float] = {}
        for parallel in (1, 2):
            runs: dict[str, Callable[[], float]] = {
                "ours": lambda search=search, parallel=parallel: on_the_endpoint(client, search, parallel),  # type: ignore[misc]
                "Optuna": lambda search=search, parallel=parallel: with_optuna(folder, search, parallel),  # type: ignore[misc]
            }
            if syne_tune:
                runs["Syne Tune"] = lambda search=search, parallel=parallel: with_syne_tune(folder, search, parallel)  # type: ignore[misc]
            progress(f"{search.trials} trials, {search.case}, {parallel} at a time: {', '.join(runs)}")
            for name, seconds in in_turns(runs, size.turns).items():
                best[name, parallel] = search.trials / min(seconds)
            case = f"{search.case}, {parallel} at a time"
            ours = best["ours", parallel]
            for name, label, aim in (
                ("Optuna", "Optuna and subprocesses", AS_OPTUNA),
                ("Syne Tune", "Syne Tune's local backend", None),
            ):
                if (name, parallel) in best:
                    other = best[name, parallel]
                    yield row_of(PART, case, ours, "trials/s", other=other, other_name=label, better="higher", aim=aim)
        yield row_of(
            PART,
            f"{search.case}, speed-up of 2 at a time",
            best["ours", 2] / best["ours", 1],
            "x",
            other=best["Optuna", 2] / best["Optuna", 1],
            other_name="Optuna and subprocesses",
            better="higher",
            note=f"{_cores()} cores",
        )


def overhead_row(client: Any, jobs: int) -> Row:
    """What an all but empty training job takes beyond its process; both are timed in turns."""
    progress(f"overhead of {jobs} training jobs")
    wanted = definition(EMPTY, [])
    tune(client, "warm-up", 5, parallel=1, wanted=wanted)
    bare: list[float] = []
    seconds, pieces = 0.0, 5
    for piece in range(pieces):
        seconds += tune(client, f"overhead-{piece}", jobs // pieces, parallel=1, wanted=wanted)
        for _ in range(jobs // pieces):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", EMPTY_PROGRAM], check=True, capture_output=True)
            bare.append(time.perf_counter() - started)
    process = statistics.median(bare)
    note = f"the bare process takes {shown(process, 's')}"
    return row_of(PART, "overhead of a training job", seconds / len(bare) - process, "s", aim=OVERHEAD, note=note)


def resident(pid: int) -> float:
    """Resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def memory_rows(endpoint: LocalEndpoint, jobs: int) -> Iterator[Row]:
    """The server alone, before and while many training jobs with 27 KB of log each run."""
    client, pid = endpoint.client("sagemaker"), endpoint.pid
    assert pid is not None
    tune(client, "memory-warm-up", 20, parallel=2, wanted=definition(LOUD, []))
    progress(f"memory during {jobs} training jobs")
    before, peak, ended = resident(pid), [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.5):
            peak[0] = max(peak[0], resident(pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        tune(client, "memory", jobs, parallel=2, wanted=definition(LOUD, []))
    finally:
        ended.set()
        watcher.join()
    case = f"{jobs} training jobs with logs: the server's memory"
    yield row_of(PART, f"{case}, at its peak", peak[0], "B", note=f"{shown(before, 'B')} before")
    yield row_of(PART, f"{case}, growth", max(0.0, resident(pid) - before), "B", aim=GROWTH)


def start_row(starts: int) -> Row:
    """From nothing to the first answer of S3, beside moto's own server."""
    progress("the endpoint's start")

    def ours() -> float:
        started = time.perf_counter()
        with LocalEndpoint() as endpoint:
            endpoint.client("s3").list_buckets()
            return time.perf_counter() - started

    def motos() -> float:
        from hpo_constructs.local.training import endpoint_client

        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        started = time.perf_counter()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.01)
            endpoint_client("s3", f"http://127.0.0.1:{port}", "us-east-1").list_buckets()
            return time.perf_counter() - started
        finally:
            server.kill()
            server.wait()

    measured = {name: min(runs) for name, runs in in_turns({"ours": ours, "moto": motos}, starts).items()}
    case = "the endpoint's start, until S3's first answer"
    return row_of(PART, case, measured["ours"], "s", other=measured["moto"], other_name="moto's server")


def rows(size: Size, *, syne_tune: bool) -> Iterator[Row]:
    """All rows."""
    yield start_row(size.starts)
    programs = {EMPTY: EMPTY_PROGRAM, LOUD: LOUD_PROGRAM}
    images = [{"image": image, "command": [sys.executable, "-c", program]} for image, program in programs.items()]
    with tempfile.TemporaryDirectory() as name, LocalEndpoint(images=images) as endpoint:
        folder = Path(name)
        s3, client = endpoint.client("s3"), endpoint.client("sagemaker")
        s3.create_bucket(Bucket=BUCKET)
        for channel_name, text in data().items():
            s3.put_object(Bucket=BUCKET, Key=f"{channel_name}/part-0.csv", Body=text.encode())
            (folder / f"{channel_name}.csv").write_text(text)
        (folder / "train.py").write_text(SCRIPT)
        yield overhead_row(client, size.overhead_jobs)
        if Path("/proc").is_dir():
            yield from memory_rows(endpoint, size.memory_jobs)
        yield from search_rows(client, folder, size, syne_tune=syne_tune)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--quick", action="store_true", help="few trials; the default")
    sizes.add_argument("--full", action="store_true", help="60 trials, 500 training jobs, Syne Tune")
    parser.add_argument("--syne-tune", action="store_true", help="Syne Tune's local backend, with --quick as well")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here as well")
    arguments = parser.parse_args()
    syne_tune = (arguments.full or arguments.syne_tune) and has_syne_tune()
    if (arguments.full or arguments.syne_tune) and not syne_tune:
        progress("Syne Tune's environment cannot be made: its rows are left out")
    found = []
    for row in rows(FULL if arguments.full else QUICK, syne_tune=syne_tune):
        found.append(row)
        against = (
            f"  {row.other_name} {shown(row.other, row.unit)} ({row.ratio:.2f} x)" if row.ratio is not None else ""
        )
        verdict = "" if row.met is None else f"  aim {row.aim}: {'met' if row.met else 'MISSED'}"
        note = f"  ({row.note})" if row.note else ""
        print(f"{row.case:<58} {shown(row.ours, row.unit):>12}{against}{verdict}{note}", flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([row.as_dict() for row in found], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
