"""`hpo report` and a notebook's results, of real tuning jobs on the local endpoint."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs import TuningJobResult
from hpo_constructs.account import AccountError
from hpo_constructs.cli.__main__ import main
from hpo_constructs.local import LocalEndpoint

TRAIN = """\
import json, os, pathlib, sys
values = json.loads(os.environ["SM_HPS"])
eta = float(values["eta"])
if values["mode"] == "broken":
    sys.exit("no such column: age")
print(f"score={eta * (2 if values['mode'] == 'double' else 1):.6f}", flush=True)
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.txt").write_text(str(eta))
"""


@dataclass
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Site:
    """A local endpoint with tuning jobs that have ended."""

    def __init__(self, endpoint: LocalEndpoint) -> None:
        self.endpoint = endpoint

    def environment(self, patch: pytest.MonkeyPatch) -> None:
        """Take the endpoint's environment, as `hpo local up` prints it, in place of this process'."""
        wanted = self.endpoint.child_environment()
        for name in os.environ.keys() - wanted.keys():
            patch.delenv(name)
        for name, value in wanted.items():
            patch.setenv(name, value)

    def hpo(self, *arguments: str) -> Done:
        """Run the command in this process, as its program does."""
        out, errors = io.StringIO(), io.StringIO()
        code: Any = 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(errors):
            self.environment(patch)
            patch.setattr(sys, "argv", ["hpo", *arguments])
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        return Done(code, out.getvalue(), errors.getvalue())

    def run(self, name: str, modes: dict[str, str], total: int, **definition: Any) -> None:
        """Run a tuning job with a definition for each mode to its end."""
        sagemaker = self.endpoint.client("sagemaker")
        definitions = [
            {
                "DefinitionName": title,
                "AlgorithmSpecification": {
                    "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1.0",
                    "TrainingInputMode": "File",
                    "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+)"}],
                },
                "TuningObjective": {"Type": "Maximize", "MetricName": "score"},
                "HyperParameterRanges": {
                    "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0", "MaxValue": "1"}]
                },
                "StaticHyperParameters": {"mode": mode},
                "OutputDataConfig": {"S3OutputPath": "s3://models/"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
                "RoleArn": "arn:aws:iam::123456789012:role/training",
                **definition,
            }
            for title, mode in modes.items()
        ]
        sagemaker.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=name,
            HyperParameterTuningJobConfig={
                "Strategy": "Random",
                "RandomSeed": 3,
                "ResourceLimits": {"MaxNumberOfTrainingJobs": total, "MaxParallelTrainingJobs": 2},
            },
            TrainingJobDefinitions=definitions,
        )
        deadline = time.monotonic() + 60
        while True:
            job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
            if job["HyperParameterTuningJobStatus"] in {"Completed", "Failed", "Stopped"}:
                return
            assert time.monotonic() < deadline, job
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    (folder / "train.py").write_text(TRAIN)
    images = [{"image": "*/own:*", "command": [sys.executable, "train.py"], "directory": str(folder)}]
    with LocalEndpoint(images=images) as endpoint:
        endpoint.client("s3").create_bucket(Bucket="models")
        running = Site(endpoint)
        running.run("churn", {"xgboost": "single", "linear-learner": "double"}, 12)
        spot = {"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900}
        running.run("broken", {"broken": "broken"}, 3, EnableManagedSpotTraining=True, StoppingCondition=spot)
        yield running


def test_a_report_is_written_where_one_works(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = site.hpo("report", "churn")
    assert (done.returncode, done.stdout, done.stderr) == (0, "churn.html\n", "")
    text = (tmp_path / "churn.html").read_text(encoding="utf-8")
    assert "12 completed" in text
    assert "all 12 training jobs have run" in text
    # The model stands in DescribeTrainingJob alone.
    assert "/output/model.tar.gz" in text
    again = site.hpo("report", "churn")
    assert again.returncode == 0


def test_results_in_a_notebook(site: Site) -> None:
    with pytest.MonkeyPatch.context() as patch:
        site.environment(patch)
        result = TuningJobResult.from_job("churn")
        broken = TuningJobResult.from_job("broken")
        with pytest.raises(AccountError, match=r"there is no tuning job 'chur'.*did you mean churn"):
            TuningJobResult.from_job("chur")
    table = result.dataframe()
    assert len(table) == 12
    best = table.loc[table["FinalObjectiveValue"].idxmax()]
    assert result.best is not None
    assert result.best.training_job_name == best["TrainingJobName"]
    assert result.best.objective_metric_value == best["FinalObjectiveValue"]
    assert float(result.best.hyperparameters["eta"]) == best["eta"]
    # What the training program printed is what the table has, by definition.
    factor = table["TrainingJobDefinitionName"].map({"xgboost": 1, "linear-learner": 2})
    assert (table["eta"] * factor).tolist() == pytest.approx(table["FinalObjectiveValue"].tolist(), abs=1e-5)
    assert {each.name for each in result.plot_history().data} >= {"xgboost", "linear-learner"}
    assert broken.best is None
    (used,) = broken.instance_hours()
    assert used.spot
    assert used.billable_instance_hours is not None


def test_the_documented_notebook_works(site: Site) -> None:
    page = (Path(__file__).parents[2] / "docs/results.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        site.environment(patch)
        for code in blocks:
            exec(compile(code, "docs/results.md", "exec"), names)  # noqa: S102 - our own page
    assert len(names["table"]) == 12


def test_a_session_of_boto3_is_taken(site: Site) -> None:
    import boto3

    with pytest.MonkeyPatch.context() as patch:
        site.environment(patch)
        session = boto3.session.Session(region_name="us-east-1")
        assert TuningJobResult.from_job("churn", session=session).name == "churn"
        with pytest.raises(AccountError, match="give either a session or these"):
            TuningJobResult.from_job("churn", session=session, region="us-east-1")


def test_a_failed_job_is_reported_with_its_reasons(site: Site, tmp_path: Path) -> None:
    done = site.hpo("report", "broken", "--output", str(tmp_path / "b.html"))
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "b.html").read_text(encoding="utf-8")
    assert "no such column: age" in text
    assert "billable instance-hours" in text
    assert "There is none: no training job" in text


def test_what_show_prints_makes_the_same_report_without_an_account(site: Site, tmp_path: Path) -> None:
    saved = tmp_path / "churn.json"
    shown = site.hpo("show", "churn", "--json")
    saved.write_text(shown.stdout)
    output = tmp_path / "offline.html"
    command = [sys.executable, "-m", "hpo_constructs.cli", "report", "--from", str(saved), "--output", str(output)]
    # An environment in which no account could be asked.
    offline = {"PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": "http://localhost:9", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env=offline)
    assert (done.returncode, done.stderr) == (0, "")
    text = output.read_text(encoding="utf-8")
    for job in json.loads(shown.stdout)["training_jobs"]:
        assert job["TrainingJobName"] in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one thing to report on"),
        (["churn", "--from", "x.json"], "name one thing to report on"),
        (["--from", "x.json", "--region", "us-east-1"], "leave out --stack, --region and --profile"),
        (["--from", "no-such.json"], "no-such.json cannot be read"),
        (["nobody"], "there is no tuning job 'nobody'"),
    ],
)
def test_a_mistake_is_one_sentence(site: Site, arguments: list[str], message: str) -> None:
    done = site.hpo("report", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_file_of_ones_own_is_kept(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "notes.html"
    file.write_text("mine")
    done = site.hpo("report", "churn", "--output", str(file))
    assert (done.returncode, file.read_text()) == (2, "mine")
    assert "state --force" in done.stderr
    assert site.hpo("report", "churn", "--output", str(file), "--force").returncode == 0


def test_it_opens_in_the_browser(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("typer.launch", lambda url: opened.append(url) or 0)
    done = site.hpo("report", "churn", "--output", str(tmp_path / "r.html"), "--open")
    assert (done.returncode, opened) == (0, [(tmp_path / "r.html").as_uri()])


def test_without_the_packages_the_command_says_what_to_install(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jinja2", "plotly.offline"):
        monkeypatch.setitem(sys.modules, name, None)
    done = site.hpo("report", "churn", "--output", str(tmp_path / "r.html"))
    assert done.returncode == 2
    assert "pip install 'hpo-constructs[report]'" in done.stderr
    assert list(tmp_path.iterdir()) == []
