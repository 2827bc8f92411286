"""The commands on an account, against a real tuning job on the local endpoint, and the errors of an account."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from hpo_constructs.account import Account, AccountError, DeniedError, MissingError, find
from hpo_constructs.account.logs import GROUP, TrainingLog
from hpo_constructs.cli.__main__ import main
from hpo_constructs.local import LocalEndpoint
from hpo_constructs.report.tuning_jobs import completion_reason, duration_text, failure_reasons, sorted_training_jobs
from hpo_handlers.contract import tuning_job_name

JOB = """\
  - name: {name}
    strategy: Random
    random_seed: 3
    objective: {{metric_name: score, type: Maximize}}
    resource_limits: {{max_number_of_training_jobs: {total}, max_parallel_training_jobs: 2}}
    hyperparameter_ranges:
      x: {{type: Continuous, min_value: 0, max_value: 1}}
    training_job_definition:
      algorithm_specification:
        training_image: 123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1.0
        metric_definitions: {{score: 'score=([0-9.]+)'}}
      static_hyperparameters: {{mode: {mode}}}
      output_data_config: {{s3_output_path: "s3://models/"}}
      resource_config: {{instance_type: ml.m5.large, instance_count: 1, volume_size_in_gb: 5}}
      stopping_condition: {{max_runtime_in_seconds: 600}}
"""
TRAIN = """\
import json, os, pathlib, sys, time
values = json.loads(os.environ["SM_HPS"])
x = float(values["x"])
for epoch in range(5):
    print(f"epoch {epoch}", flush=True)
if values["mode"] == "slow":
    time.sleep(60)
if values["mode"] == "broken":
    sys.exit("no such column: age")
print(f"score={x:.6f}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(x))
"""
TOTAL = 3


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Site:
    """A local endpoint with a deployed stack of three declared jobs."""

    def __init__(self, endpoint: LocalEndpoint, folder: Path) -> None:
        self.endpoint = endpoint
        self.folder = folder
        self.environment = {**endpoint.child_environment(), "PYTHONUNBUFFERED": "1"}

    def hpo(self, *arguments: str, **environment: str) -> Done:
        """Run the command in this process, as its program does."""
        out, errors = io.StringIO(), io.StringIO()
        code: Any = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
            for name in os.environ.keys() - self.environment.keys():
                patch.delenv(name)
            for name, value in {**self.environment, **environment}.items():
                patch.setenv(name, value)
            patch.setattr(sys, "argv", ["hpo", *arguments])
            time.tzset()
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        time.tzset()
        assert "\x1b[" not in out.getvalue() + errors.getvalue()
        return Done(code, out.getvalue(), errors.getvalue())

    def json(self, *arguments: str) -> Any:
        done = self.hpo(*arguments, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def account(self) -> Account:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.environment.items():
                patch.setenv(name, value)
            account = Account()
            account.client("logs")
        return account

    def deploy(self) -> None:
        """Synthesize and create the stack as the CDK CLI does, in a fraction of its time."""
        jobs = (("good", TOTAL), ("slow", TOTAL), ("broken", 5), ("unused", TOTAL))
        text = "tuning_jobs:\n" + "".join(JOB.format(name=name, total=total, mode=name) for name, total in jobs)
        (self.folder / "jobs.yaml").write_text(text)
        out = self.folder / "cdk.out"
        done = subprocess.run(
            [sys.executable, "-m", "hpo_constructs.stacks", "jobs.yaml", "--stack-name", "Team"],
            cwd=self.folder,
            check=False,
            capture_output=True,
            text=True,
            env={
                **self.environment,
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
                "CDK_OUTDIR": str(out),
                "CDK_VALIDATION": "false",
            },
        )
        assert done.returncode == 0, done.stderr
        s3, cloudformation = self.endpoint.client("s3"), self.endpoint.client("cloudformation")
        self.endpoint.client("ssm").put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="30", Type="String")
        s3.create_bucket(Bucket="models")
        for asset in json.loads((out / "Team.assets.json").read_text())["files"].values():
            source, destination = out / asset["source"]["path"], next(iter(asset["destinations"].values()))
            bucket = re.sub(r"\$\{AWS::AccountId\}", "123456789012", destination["bucketName"])
            bucket = re.sub(r"\$\{AWS::Region\}", "us-east-1", bucket)
            s3.create_bucket(Bucket=bucket)
            if asset["source"]["packaging"] == "zip":
                source = Path(shutil.make_archive(str(source), "zip", source))
            s3.upload_file(str(source), bucket, destination["objectKey"])
        template = (out / "Team.template.json").read_text()
        capabilities = ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"]
        cloudformation.create_stack(StackName="Team", TemplateBody=template, Capabilities=capabilities)
        self.settled("Team")
        for name in ("TwinA", "TwinB"):
            cloudformation.create_stack(StackName=name, TemplateBody=json.dumps(twin(name)))
            self.settled(name)

    def settled(self, stack: str) -> None:
        def status() -> str | None:
            found = str(
                self.endpoint.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
            )
            return None if found.endswith("IN_PROGRESS") else found

        assert until(status) == "CREATE_COMPLETE"


def twin(stack: str) -> dict[str, Any]:
    """A stack that declares the same job as another one; its prefix does not have the declared name."""
    states = {"A": {"Type": "Pass", "Result": {"Request": {"HyperParameterTuningJobName": "twin"}}, "End": True}}
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {
            "RoleArn": "arn:aws:iam::123456789012:role/twin",
            "DefinitionString": json.dumps({"StartAt": "A", "States": states}),
        },
    }
    outputs = {"JStateMachineArn": {"Value": {"Ref": "Machine"}}, "JOutputPrefix": {"Value": f"/own/{stack}/"}}
    return {"Resources": {"Machine": machine}, "Outputs": outputs}


def until(condition: Any, *, seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.1)
    return value


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "train.py").write_text(TRAIN)
    images = [{"image": "*/own:*", "command": [sys.executable, "train.py"], "directory": str(folder)}]
    with LocalEndpoint(images=images, wait_scale=0.05) as endpoint:
        running = Site(endpoint, folder)
        running.deploy()
        yield running


@pytest.fixture(scope="module")
def good(site: Site) -> dict[str, Any]:
    """A run that was started by the command and has ended well: what `--json` told."""
    command = [sys.executable, "-m", "hpo_constructs.cli", "start", "good", "--wait", "--json", "--interval", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=site.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.fixture(scope="module")
def broken(site: Site) -> Done:
    """A run whose training jobs all fail."""
    return site.hpo("start", "broken", "--wait", "--interval", "0.5")


def test_a_started_run_names_its_execution_and_tuning_job(good: dict[str, Any]) -> None:
    assert good["tuning_job"] == tuning_job_name("good", good["execution_arn"])
    assert good["status"] == "SUCCEEDED"
    assert good["declared_job"]["stack"] == "Team"
    assert good["best_training_job"]["TrainingJobName"].startswith(good["tuning_job"])


def test_a_failed_run_is_told_while_waiting(broken: Done) -> None:
    assert broken.returncode == 1
    assert "training jobs: " in broken.stdout
    assert "HyperparameterTuningJobFailed" in broken.stderr
    assert "no such column: age" in broken.stderr


def test_jobs_lists_filters_and_sorts(site: Site, good: dict[str, Any], broken: Any) -> None:
    every = site.json("jobs")["tuning_jobs"]
    assert {one["declared_job"] for one in every} >= {"good", "broken"}
    times = [one["tuning_job"]["CreationTime"] for one in every]
    assert times == sorted(times, reverse=True)
    (listed,) = site.json("jobs", "--name", "good-", "--status", "completed")["tuning_jobs"]
    assert listed["tuning_job"]["HyperParameterTuningJobName"] == good["tuning_job"]
    assert listed["best_training_job"]["TrainingJobName"] == good["best_training_job"]["TrainingJobName"]
    assert re.search(r"[+-]\d\d:\d\d$", listed["tuning_job"]["CreationTime"])
    names = [
        one["tuning_job"]["HyperParameterTuningJobName"] for one in site.json("jobs", "--sort", "name")["tuning_jobs"]
    ]
    assert names == sorted(names)
    table = site.hpo("jobs", "--limit", "1", "--name", "good-", TZ="Asia/Tokyo")
    assert re.search(rf"{good['tuning_job']} +good +Completed +score 0\.\d+ +3 completed +\S+ \S+ JST", table.stdout)
    assert "no tuning jobs that match" in site.hpo("jobs", "--name", "nobody").stderr
    assert "--limit 0 lists all" in site.hpo("jobs", "--limit", "1").stderr


def test_show_sorts_and_filters_training_jobs(site: Site, good: dict[str, Any]) -> None:
    shown = site.json("show", "good", "--sort", "objective")
    values = [one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for one in shown["training_jobs"]]
    assert len(values) == TOTAL
    assert values == sorted(values, reverse=True)
    assert shown["tuning_job"]["HyperParameterTuningJobName"] == good["tuning_job"]
    assert shown["completion_reason"] == "all 3 training jobs have run"
    assert shown["declared_job"]["output_prefix"] == "/hpo/Team/good/"
    assert site.json("show", "good", "--status", "failed")["training_jobs"] == []
    assert len(site.json("show", "good", "--limit", "2")["training_jobs"]) == 2


def test_show_tells_everything_in_text(site: Site, good: dict[str, Any]) -> None:
    shown = site.hpo("show", good["tuning_job"], "--limit", "2", "--watch").stdout
    for text in ("Completed", "Maximize score", "x 0..1", "mode=good", "1 x ml.m5.large", "2 of 3 training jobs"):
        assert text in shown
    assert good["best_training_job"]["TrainingJobName"] in shown


def test_show_groups_the_reasons_of_failures(site: Site, broken: Any) -> None:
    shown = site.json("show", "broken")
    (group,) = shown["failure_reasons"]
    assert "no such column: age" in group["reason"]
    assert group["count"] == len(group["training_jobs"]) == len(shown["training_jobs"])
    assert f"{group['count']} failed:" in site.hpo("show", "broken").stdout


def test_best_is_the_published_one_and_its_model_comes_down(site: Site, good: dict[str, Any], tmp_path: Path) -> None:
    document = site.json("best", "good", "--output", str(tmp_path / "model"))
    assert document["published"] is True
    assert document["parameter"] == "/hpo/Team/good/best"
    best = document["best"]
    assert best["best-training-job-name"] == good["best_training_job"]["TrainingJobName"]
    assert document["training_job"]["HyperParameters"]["mode"] == "good"
    with tarfile.open(tmp_path / "model" / "model.tar.gz") as archive:
        member = archive.extractfile("model.txt")
        assert member is not None
        assert float(member.read()) == pytest.approx(float(best["hyperparameters"]["x"]))
    assert json.loads((tmp_path / "model" / "best.json").read_text()) == document
    text = site.hpo("best", good["tuning_job"]).stdout
    assert "/hpo/Team/good/best" in text
    assert re.search(r"^ +x \* +0\.", text, flags=re.MULTILINE)


def test_a_published_best_outlives_its_stack_and_a_model_may_be_many_files(site: Site, tmp_path: Path) -> None:
    s3, ssm = site.endpoint.client("s3"), site.endpoint.client("ssm")
    for key in ("lost/model/a.txt", "lost/model/deep/b.txt", "lost/model-of-another/c.txt"):
        s3.put_object(Bucket="models", Key=key, Body=key.encode())
    best = {
        "best-training-job-name": "lost-001",
        "objective-metric-name": "score",
        "objective-metric-value": 0.5,
        "hyperparameters": {"x": "1"},
        "model-artifacts": "s3://models/lost/model/",
        "training-image": "own:1.0",
        "tuning-job-name": "lost-0123456789",
        "tuning-job-status": "Completed",
    }
    ssm.put_parameter(Name="/hpo/Gone/lost/best", Value=json.dumps(best), Type="String")
    document = site.json("best", "lost", "--output", str(tmp_path))
    assert (document["best"], document["training_job"]) == (best, None)
    files = {str(file.relative_to(tmp_path)) for file in tmp_path.rglob("*") if file.is_file()}
    assert files == {"best.json", "a.txt", "deep/b.txt"}
    ssm.put_parameter(Name="/hpo/Other/lost/best", Value=json.dumps(best), Type="String")
    several = site.hpo("best", "lost")
    assert (several.returncode, "choose one with --stack" in several.stderr) == (2, True)
    moved = json.dumps(best | {"model-artifacts": "s3://models/nowhere/"})
    ssm.put_parameter(Name="/hpo/Other/lost/best", Value=moved, Type="String", Overwrite=True)
    empty = site.hpo("best", "lost", "--stack", "Other", "--output", str(tmp_path))
    assert (empty.returncode, "there is no model at s3://models/nowhere/" in empty.stderr) == (2, True)


@pytest.mark.parametrize("job", ["unused", "broken"])
def test_without_a_best_the_exit_code_is_1(site: Site, broken: Any, job: str) -> None:
    done = site.hpo("best", job)
    assert done.returncode == 1
    assert f"{job} has no best training job yet" in done.stderr


def test_logs_are_of_the_best_by_default(site: Site, good: dict[str, Any]) -> None:
    done = site.hpo("logs", "good")
    assert good["best_training_job"]["TrainingJobName"] in done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("epoch")] == [f"epoch {number}" for number in range(5)]
    value = good["best_training_job"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert f"score={value:.6f}" in lines
    tail = site.hpo("logs", "good", "--training-job", "best", "--tail", "2").stdout.splitlines()
    assert tail == lines[-2:]
    followed = site.hpo("logs", "good", "--follow", "--interval", "0.5").stdout.splitlines()
    assert followed == lines


def test_logs_are_of_a_failed_training_job_where_the_job_failed(site: Site, broken: Any) -> None:
    assert "no such column: age" in site.hpo("logs", "broken").stdout
    name = site.json("show", "broken")["training_jobs"][0]["TrainingJobName"]
    short = name.split("-", 2)[2]
    assert name in site.hpo("logs", "broken", "--training-job", short).stderr
    assert "has no training job 'x'" in site.hpo("logs", "broken", "--training-job", "x").stderr


def test_a_log_of_several_instances_and_pages_comes_in_order(site: Site, good: dict[str, Any]) -> None:
    logs, now = site.endpoint.client("logs"), int(time.time() * 1000) - 3_600_000

    def put(stream: str, numbers: list[int]) -> None:
        for start in range(0, len(numbers), 5000):
            events = [{"timestamp": now + each, "message": f"line {each}"} for each in numbers[start : start + 5000]]
            logs.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)

    first, second = "two-001/algo-1-1700000000", "two-001/algo-2-1700000000"
    for stream in (first, second, "two-0010/algo-1-1700000000"):
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    put("two-0010/algo-1-1700000000", [0])
    put(first, list(range(10_050)))  # more than a page
    put(second, [5, 10_060])
    log, tail = TrainingLog(site.account(), "two-001"), TrainingLog(site.account(), "two-001")
    lines = list(log.read())
    assert [line.timestamp - now for line in lines] == sorted([*range(10_050), 5, 10_060])
    assert (lines[-1].instance, lines[-1].message, log.instances) == ("algo-2", "line 10060", 2)
    last = list(tail.read(10_020))
    assert last == lines[-10_020:]
    put(first, [20_000])
    for each in (log, tail):
        assert [(line.instance, line.message) for line in each.read()] == [("algo-1", "line 20000")]


def test_ctrl_c_leaves_the_run_and_stop_ends_it(site: Site) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "start", "slow", "--wait", "--interval", "0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=site.environment,
    )
    assert process.stdout is not None
    seen = ""
    deadline = time.monotonic() + 30
    while "running" not in seen and time.monotonic() < deadline:
        if select.select([process.stdout], [], [], 1)[0]:
            seen += process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    name = re.search(r"slow-[0-9a-f]{10}", seen)
    assert name, seen
    assert f"hpo stop {name[0]}" in errors
    assert site.json("show", "slow")["tuning_job"]["HyperParameterTuningJobStatus"] == "InProgress"
    following = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "logs", "slow", "--follow", "--interval", "0.5"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=site.environment,
    )
    waiting = json.loads(site.hpo("start", "slow", "--json").stdout)["execution_arn"].rpartition(":")[2]
    done = site.hpo("stop", "slow", "--timeout", "30")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"execution {waiting} had no tuning job yet" in done.stdout
    assert f"tuning job {name[0]} is being stopped" in done.stdout
    assert "nothing is left running" in done.stdout
    assert site.json("show", name[0])["tuning_job"]["HyperParameterTuningJobStatus"] == "Stopped"
    assert "epoch 4" in following.communicate(timeout=20)[0]
    again = site.hpo("stop", "slow")
    assert (again.returncode, "nothing of slow runs" in again.stdout) == (0, True)


def test_runs_of_equal_names_are_told_apart_by_their_executions(site: Site) -> None:
    skipped = site.hpo("start", "twin", "--stack", "TwinA", "--wait", "--interval", "0.5")
    assert (skipped.returncode, "skipped: another run of the job had not ended" in skipped.stderr) == (1, True)
    request = next(
        each for each in json.loads(site.hpo("render", str(site.folder / "jobs.yaml")).stdout) if "slow" in str(each)
    )
    role = "arn:aws:iam::123456789012:role/training"
    request["TrainingJobDefinition"]["RoleArn"] = role
    made = {}
    for stack in ("TwinA", "TwinB"):
        made[stack] = site.json("start", "twin", "--stack", stack)["tuning_job"]
        request["HyperParameterTuningJobName"] = made[stack]
        site.endpoint.client("sagemaker").create_hyper_parameter_tuning_job(**request)
    for stack, name in made.items():
        shown = site.json("show", "twin", "--stack", stack)
        assert shown["tuning_job"]["HyperParameterTuningJobName"] == name
        assert shown["declared_job"]["stack"] == stack
    # Their executions have ended: nobody watches them.
    done = site.hpo("stop", "twin", "--stack", "TwinA")
    assert f"tuning job {made['TwinA']} is being stopped" in done.stdout
    assert made["TwinB"] not in done.stdout
    other = site.json("show", made["TwinB"])["tuning_job"]["HyperParameterTuningJobStatus"]
    assert other == "InProgress"
    assert "nothing is left running" in site.hpo("stop", made["TwinB"]).stdout
    named = site.hpo("start", made["TwinB"])
    assert (named.returncode, "for a new run of twin give that name" in named.stderr) == (2, True)


@pytest.mark.parametrize(("environment", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_colour_is_for_terminals_and_may_be_refused(
    site: Site, good: dict[str, Any], environment: dict[str, str], coloured: bool
) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "hpo_constructs.cli", "jobs", "--name", good["tuning_job"]],
        stdout=theirs,
        timeout=30,
        check=True,
        env={**site.environment, "TERM": "xterm-256color", **environment},
    )
    assert done.returncode == 0
    text = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert "Completed" in text
    assert ("\x1b[" in text) is coloured


def test_watching_the_list_ends_with_ctrl_c(site: Site, good: dict[str, Any]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "hpo_constructs.cli", "jobs", "--watch", "--name", good["tuning_job"]],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=site.environment,
    )
    assert process.stdout is not None
    seen = process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert good["tuning_job"] in seen
    assert (process.returncode, errors) == (0, "")


def test_a_check_loads_no_account(site: Site) -> None:
    code = (
        "import sys; sys.argv = ['hpo', 'check', 'jobs.yaml']\n"
        "from hpo_constructs.cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print([name for name in sys.modules if name.startswith(('boto', 'hpo_constructs.account'))])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=site.folder, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "goood"), "did you mean good"),
        (("show", "nothing-like-it"), "declared are: broken, good, slow, unused"),
        (("start", "twin"), "2 stacks of http"),
        (("start", "twin"), "choose one with --stack: TwinA, TwinB"),
        (("show", "unused"), "unused is declared by stack Team and has not run; start it with `hpo start unused`"),
        (("show", "good", "--stack", "Nowhere"), "stacks that declare tuning jobs: Team, TwinA, TwinB"),
        (("show", "good", "--stack", "TwinA"), "there is no tuning job 'good' in stack TwinA"),
        (("jobs", "--json", "--watch"), "--json and --watch cannot be given together"),
        (("jobs", "--profile", "nobody"), "aws configure list-profiles"),
    ],
)
def test_a_mistake_is_one_sentence_with_the_next_step(site: Site, arguments: tuple[str, ...], message: str) -> None:
    done = site.hpo(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("missing", "stated", "message"),
    [
        ((), {"AWS_ENDPOINT_URL": "http://localhost:9"}, "whether the local endpoint still runs"),
        (("AWS_REGION", "AWS_DEFAULT_REGION"), {}, "set AWS_REGION, or state --region"),
        (("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), {}, "no AWS credentials are found"),
        (("AWS_SECRET_ACCESS_KEY",), {}, "no AWS credentials are found"),
    ],
    ids=["endpoint", "region", "credentials", "half of them"],
)
def test_a_wrong_configuration_is_one_sentence(
    site: Site, missing: tuple[str, ...], stated: dict[str, str], message: str
) -> None:
    gone = {*missing, "AWS_PROFILE", "AWS_DEFAULT_PROFILE"}
    other = Site(site.endpoint, site.folder)
    other.environment = {name: value for name, value in site.environment.items() if name not in gone}
    files = dict.fromkeys(("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"), os.devnull)
    done = other.hpo("jobs", **stated, **files, AWS_MAX_ATTEMPTS="1")
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Account:
    """An account whose services answer what a Stubber says."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    return Account(region="eu-central-1")


@pytest.mark.parametrize(
    ("code", "status", "kind", "message"),
    [
        ("ExpiredTokenException", 400, AccountError, "aws sso login"),
        ("UnrecognizedClientException", 400, AccountError, "credentials are not accepted"),
        ("AccessDeniedException", 400, DeniedError, "do not allow sagemaker:DescribeHyperParameterTuningJob"),
        ("ThrottlingException", 400, AccountError, "is throttled (ThrottlingException)"),
        ("InternalFailure", 500, AccountError, "on the service's side"),
        ("ResourceNotFound", 400, MissingError, "there is no such thing"),
        ("ValidationException", 400, AccountError, "was refused: ValidationException: because"),
    ],
)
def test_errors_of_the_service(account: Account, code: str, status: int, kind: type[Exception], message: str) -> None:
    with Stubber(account.client("sagemaker")) as stub:
        stub.add_client_error("describe_hyper_parameter_tuning_job", code, "because.", status)
        with pytest.raises(kind, match=re.escape(message)) as raised:
            account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName="x")
    assert type(raised.value) is kind
    assert not str(raised.value).endswith(".")


def test_a_tuning_job_is_found_without_the_right_to_see_stacks(account: Account) -> None:
    sagemaker, cloudformation = Stubber(account.client("sagemaker")), Stubber(account.client("cloudformation"))
    cloudformation.add_client_error("describe_stacks", "AccessDenied", "not yours", 403)
    sagemaker.add_client_error("describe_hyper_parameter_tuning_job", "ResourceNotFound", "none")
    page = {"SortBy": "CreationTime", "SortOrder": "Descending", "NameContains": "churn-", "MaxResults": 100}
    pages = [(["my-churn-0123456789", "churn-by-hand"], "more"), (["churn-abcdef0123"], None)]
    token: dict[str, str] = {}
    for names, following in pages:
        answer = {"HyperParameterTuningJobSummaries": [summary(name) for name in names]}
        sagemaker.add_response(
            "list_hyper_parameter_tuning_jobs", answer | ({"NextToken": following} if following else {}), page | token
        )
        token = {"NextToken": following} if following else {}
    with sagemaker, cloudformation:
        found = find(account, "churn")
        cloudformation.assert_no_pending_responses()
        sagemaker.assert_no_pending_responses()
    assert (found.tuning_job, found.name, found.declared) == ("churn-abcdef0123", "churn", None)


def test_where_nothing_is_found_the_missing_right_is_told(account: Account) -> None:
    sagemaker, cloudformation = Stubber(account.client("sagemaker")), Stubber(account.client("cloudformation"))
    cloudformation.add_client_error("describe_stacks", "AccessDenied", "not yours", 403)
    sagemaker.add_client_error("describe_hyper_parameter_tuning_job", "ResourceNotFound", "none")
    sagemaker.add_response("list_hyper_parameter_tuning_jobs", {"HyperParameterTuningJobSummaries": []})
    with sagemaker, cloudformation, pytest.raises(DeniedError, match="cloudformation:DescribeStacks"):
        find(account, "churn")


def summary(name: str) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-central-1:123456789012:hyper-parameter-tuning-job/{name}",
        "HyperParameterTuningJobStatus": "Completed",
        "Strategy": "Random",
        "CreationTime": 0,
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
    }


def ended(**members: Any) -> dict[str, Any]:
    config = members.pop("config", {})
    return {"HyperParameterTuningJobStatus": "Completed", "HyperParameterTuningJobConfig": config, **members}


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        (ended(HyperParameterTuningJobStatus="InProgress"), ""),
        (ended(HyperParameterTuningJobStatus="Stopped"), "stopped before it completed"),
        (ended(HyperParameterTuningJobStatus="Failed", FailureReason="no data"), "no data"),
        (
            ended(
                config={"TuningJobCompletionCriteria": {"TargetObjectiveMetricValue": 0.25}},
                BestTrainingJob={"FinalHyperParameterTuningJobObjectiveMetric": {"Type": "Minimize", "Value": 0.2}},
            ),
            "the objective reached its target value 0.25",
        ),
        (
            ended(
                config={
                    "TuningJobCompletionCriteria": {
                        "BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 3}
                    }
                },
                TuningJobCompletionDetails={"NumberOfTrainingJobsObjectiveNotImproving": 3},
            ),
            "3 training jobs in a row brought no improvement",
        ),
        (
            ended(
                config={"ResourceLimits": {"MaxNumberOfTrainingJobs": 5}}, TrainingJobStatusCounters={"Completed": 4}
            ),
            "completed",
        ),
    ],
)
def test_why_a_tuning_job_has_ended(job: dict[str, Any], reason: str) -> None:
    assert completion_reason(job) == reason


def test_a_smaller_objective_comes_first_where_it_is_minimized() -> None:
    def one(name: str, value: float | None) -> dict[str, Any]:
        metric = {
            "FinalHyperParameterTuningJobObjectiveMetric": {"Type": "Minimize", "MetricName": "m", "Value": value}
        }
        return {"TrainingJobName": name, "CreationTime": 0, **({} if value is None else metric)}

    found = sorted_training_jobs([one("a", None), one("b", 2.0), one("c", -1.0)], "objective")
    assert [each["TrainingJobName"] for each in found] == ["c", "b", "a"]


def test_reasons_that_differ_by_the_name_are_one() -> None:
    jobs = [{"TrainingJobName": name, "FailureReason": f"{name} ran out\n of memory"} for name in ("a-1", "a-2")]
    assert failure_reasons([*jobs, {"TrainingJobName": "b"}]) == [
        {"reason": "<training job> ran out of memory", "count": 2, "training_jobs": ["a-1", "a-2"]}
    ]


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (4.25, "4.2 s"), (65, "1 min 05 s"), (3720, "1 h 02 min"), (90_000, "1 d 01 h")]
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text
