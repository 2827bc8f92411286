"""`hpo run` and `hpo local up` as a person uses them: processes, the real CDK CLI, real training commands."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

TEMPLATE = """\
name: rehearsal
strategy: Random
random_seed: 3
objective: {{metric_name: score, type: Maximize}}
resource_limits: {{max_number_of_training_jobs: {total}, max_parallel_training_jobs: 1}}
hyperparameter_ranges:
  x: {{type: Continuous, min_value: 0, max_value: 1}}
training_job_definition:
  algorithm_specification:
    training_image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1.0
    metric_definitions: {{score: 'score=([0-9.]+)'}}
  input_data_config:
    train: {{s3_uri: "s3://data-${{AWS::AccountId}}/train/"}}
  output_data_config: {{s3_output_path: "s3://models-${{AWS::AccountId}}/"}}
  resource_config: {{instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 5}}
  stopping_condition: {{max_runtime_in_seconds: 600}}
local:
  data: {{"s3://data-${{AWS::AccountId}}/train/": data.txt}}
  commands:
    - {{image: "*/own:*", command: [python, train.py]}}
"""

TRAIN = """\
import json, os, pathlib, time
x = float(json.loads(os.environ["SM_HPS"])["x"])
data = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "data.txt").read_text()
print("read", data)
{body}
print(f"score={{x:.6f}}")
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(x))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A team's folder with a template, its data and a training command."""
    write(tmp_path)
    return tmp_path


def write(folder: Path, body: str = "", total: int = 2) -> None:
    (folder / "job.yaml").write_text(TEMPLATE.format(total=total))
    (folder / "data.txt").write_text("forty-two")
    (folder / "train.py").write_text(TRAIN.format(body=body))


def hpo(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "hpo_constructs.cli", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def processes_below(folder: Path) -> list[str]:
    """Processes whose working directory or command line is in the folder: what a run has left behind."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                place = str((entry / "cwd").readlink())
            except OSError:
                continue
            if str(folder) in f"{line} {place}" and int(entry.name) != os.getpid():
                found.append(line)
    return found


@pytest.mark.cdk_cli
def test_a_run_ends_with_the_best_training_job_in_ssm(folder: Path) -> None:
    done = hpo(folder, "run", "job.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    (kept,) = (folder / ".hpo" / "runs").iterdir()
    training_jobs = json.loads((kept / "training-jobs.json").read_text())
    values = {
        item["TrainingJobName"]: item["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for item in training_jobs
    }
    assert len(values) == 2
    best = max(values, key=values.__getitem__)
    outputs = json.loads((kept / "outputs.json").read_text())
    assert outputs["/hpo/HpoLocal/rehearsal/best-training-job-name"] == best
    assert json.loads(outputs["/hpo/HpoLocal/rehearsal/best"])["objective-metric-value"] == values[best]
    assert f"best training job {best}" in done.stdout
    assert (kept / "model.tar.gz").stat().st_size > 0
    assert "read forty-two" in (kept / "logs" / f"{best}.log").read_text()
    assert processes_below(folder) == []


@pytest.mark.cdk_cli
def test_a_crashing_training_command_fails_the_run_with_its_reason(folder: Path) -> None:
    write(folder, body='raise SystemExit("no such column: age")', total=5)
    done = hpo(folder, "run", "job.yaml")
    assert done.returncode == 1
    assert "HyperparameterTuningJobFailed" in done.stdout
    assert "no such column: age" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert processes_below(folder) == []


@pytest.mark.cdk_cli
def test_ctrl_c_stops_the_tuning_job_and_leaves_nothing_running(folder: Path) -> None:
    write(folder, body="time.sleep(60)")
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "run", "job.yaml"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    seen = ""
    deadline = time.monotonic() + 120
    while "1 running" not in seen and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1)[0]:
            line = process.stdout.readline()
            if not line:
                break
            seen += line
    assert "1 running" in seen, seen
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130, seen + rest
    assert "Stopped" in rest
    assert "nothing is left running" in rest
    assert processes_below(folder) == []


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (("command: [python, train.py]", "command: train.py"), 2, "local.commands[0].command must be a list of words"),
        (('"*/own:*"', '"*/other:*"'), 2, "no local program for the training image"),
        (("  data: {", "  dates: {"), 2, "local has no key dates"),
        (("max_number_of_training_jobs: 2", "max_number_of_training_jobs: 5000"), 1, "total-training-jobs"),
        (("strategy: Random", "strategy: Rondom"), 1, "write Random"),
    ],
    ids=["command", "image", "local key", "quota", "enum"],
)
def test_a_mistake_is_told_before_anything_starts(
    folder: Path, change: tuple[str, str], code: int, message: str
) -> None:
    template = folder / "job.yaml"
    text = template.read_text()
    assert change[0] in text
    template.write_text(text.replace(*change))
    done = hpo(folder, "run", "job.yaml")
    assert done.returncode == code, done.stdout + done.stderr
    assert message in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / ".hpo").exists()


@pytest.mark.cdk_cli
def test_missing_data_is_told_with_the_path(folder: Path) -> None:
    (folder / "data.txt").unlink()
    done = hpo(folder, "run", "job.yaml")
    assert done.returncode == 2
    assert f"local.data names what is not there: {folder / 'data.txt'}" in done.stderr


def test_a_file_of_several_jobs_wants_a_choice(folder: Path) -> None:
    job = (folder / "job.yaml").read_text().split("local:")[0]
    indented = "\n".join(f"    {line}" for line in job.splitlines())
    text = f"tuning_jobs:\n  -\n{indented}\n  -\n{indented.replace('rehearsal', 'other')}\n"
    (folder / "several.yaml").write_text(text)
    done = hpo(folder, "run", "several.yaml")
    assert done.returncode == 2
    assert "choose one with --job: rehearsal, other" in done.stderr
    done = hpo(folder, "run", "several.yaml", "--job", "third")
    assert done.returncode == 2
    assert "declares no tuning job 'third'" in done.stderr


def test_local_up_prints_an_environment_that_works_and_ends_in_order(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "local", "up", "--port", "0"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("# ready"):
            break
    exports = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", "".join(lines), flags=re.MULTILINE))
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    asked = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**kept, **exports}
    )
    assert asked.stdout.strip() == "123456789012"
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "nothing is left running" in errors
    assert processes_below(folder) == []


def test_a_taken_port_is_one_sentence(folder: Path) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = hpo(folder, "local", "up", "--port", str(port))
    assert done.returncode == 2
    assert str(port) in done.stderr
    assert "Traceback" not in done.stderr
