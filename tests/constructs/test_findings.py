"""Findings at synthesis: all of them at once, in the CDK's own report."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_constructs.spec.declaration import Declaration, Form


def synthesis(app: Any, folder: Path) -> tuple[bool, list[dict[str, Any]]]:
    """Whether an app's synthesis succeeds, and the violations in its report."""
    try:
        app.synth()
        succeeded = True
    except RuntimeError as error:
        assert "ValidationFailed" in str(error)
        succeeded = False
    report = json.loads((folder / "validation-report.json").read_text())
    return succeeded, [found for each in report["pluginReports"] for found in each["violations"]]


def violating(violation: dict[str, Any]) -> list[str]:
    return [each["constructPath"] for each in violation["violatingConstructs"]]


@pytest.fixture
def faulty(declare: Any) -> dict[str, Any]:
    request: dict[str, Any] = declare.single("churn-1")
    request["HyperParameterTuningJobConfig"]["Strategy"] = "Bayesan"
    return request


def app_of(folder: Path, *requests: Any, context: dict[str, Any] | None = None) -> tuple[Any, list[Any]]:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    app = App(outdir=str(folder), context=context)
    stack = Stack(app, "ml")
    jobs = [
        TuningJob(stack, f"Job{number}", spec=Declaration(request=request, form=Form.TEMPLATE))
        for number, request in enumerate(requests)
    ]
    return app, jobs


def test_a_clean_app_has_no_findings(tmp_path: Path, declare: Any) -> None:
    app, _ = app_of(tmp_path, declare.single())
    app.synth()
    report = json.loads((tmp_path / "validation-report.json").read_text())
    assert [found for each in report["pluginReports"] for found in each["violations"]] == []


def test_findings_of_all_jobs_fail_the_synthesis_together(tmp_path: Path, faulty: Any, declare: Any) -> None:
    other = declare.single("churn-2")
    del other["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    succeeded, violations = synthesis(app_of(tmp_path, faulty, other)[0], tmp_path)
    assert not succeeded
    found = {path: each for each in violations for path in violating(each)}
    assert set(found) == {"ml/Job0", "ml/Job1"}
    assert "Bayesan" in found["ml/Job0"]["description"]
    assert found["ml/Job0"]["severity"] == "error"
    assert found["ml/Job0"]["suggestedFix"]
    assert "https://docs.aws.amazon.com/" in found["ml/Job0"]["description"]


def test_an_acknowledged_finding_is_silent_the_others_are_not(tmp_path: Path, faulty: Any, declare: Any) -> None:
    from aws_cdk import Acknowledgment, Validations

    app, jobs = app_of(tmp_path, faulty)
    Validations.of(jobs[0]).acknowledge(Acknowledgment(id="hpo::shape", reason="a strategy newer than the model"))
    assert synthesis(app, tmp_path)[0]


def test_quotas_come_from_the_context(tmp_path: Path, declare: Any) -> None:
    request = declare.single()
    request["HyperParameterTuningJobConfig"]["ResourceLimits"].update(
        MaxParallelTrainingJobs=15, MaxNumberOfTrainingJobs=100
    )
    folders = [tmp_path / "unstated", tmp_path / "stated"]
    succeeded, violations = synthesis(app_of(folders[0], request)[0], folders[0])
    assert not succeeded
    (quota,) = [each for each in violations if each["severity"] == "error"]
    assert quota["ruleMetadata"] == {"severity": "quota"}
    assert "parallel_training_jobs" in quota["suggestedFix"]
    stated = {"hpo:quotas": {"edition": "aws-2026", "parallel_training_jobs": 20}}
    assert synthesis(app_of(folders[1], request, context=stated)[0], folders[1])[0]


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"HyperParameterTuningJobName": "x" * 90, "TrainingJobDefinition": {}},
        {"HyperParameterTuningJobName": 7, "TrainingJobDefinition": ["no", "structure"]},
        {"HyperParameterTuningJobName": "churn", "TrainingJobDefinitions": "none"},
        {
            "HyperParameterTuningJobName": "churn",
            "TrainingJobDefinitions": [1, {"InputDataConfig": [{"DataSource": 3}]}],
        },
        {
            "HyperParameterTuningJobName": "churn",
            "TrainingJobDefinition": {
                "VpcConfig": {"Subnets": 3},
                "OutputDataConfig": {"S3OutputPath": "no uri"},
                "ResourceConfig": [],
                "CheckpointConfig": {"S3Uri": ""},
            },
        },
    ],
)
def test_the_worst_declaration_is_reported_and_hides_nothing(
    tmp_path: Path, faulty: Any, request_: dict[str, Any]
) -> None:
    succeeded, violations = synthesis(app_of(tmp_path, request_, faulty)[0], tmp_path)
    assert not succeeded
    assert {"ml/Job0", "ml/Job1"} <= {path for each in violations for path in violating(each)}


def test_cdk_app_of_templates_reports_file_and_line_and_fails(tmp_path: Path, faulty: Any) -> None:
    template = tmp_path / "churn.yaml"
    template.write_text(yaml.safe_dump(faulty, sort_keys=False))
    result = run_app(tmp_path, str(template))
    assert result.returncode == 1
    assert f"{template}:3:13 HyperParameterTuningJobConfig.Strategy: " in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.yaml", None, "no such file"),
        ("broken.yaml", "name: [", "broken.yaml:"),
    ],
)
def test_cdk_app_refuses_what_it_cannot_read(tmp_path: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    result = run_app(tmp_path, str(tmp_path / name))
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def run_app(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpo_constructs.stacks", *arguments],
        cwd=folder,
        env={**os.environ, "CDK_VALIDATION": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
