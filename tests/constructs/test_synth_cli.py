"""`cdk synth` through the real CDK CLI: what it says, and its exit status."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.cdk_cli

APP = """
from aws_cdk import Acknowledgment, App, Validations
from hpo_constructs.stacks import TuningStack

app = App()
stack = TuningStack(app, "Team", templates="churn.yaml")
for rule, reason in (app.node.try_get_context("acknowledged") or {}).items():
    Validations.of(stack.jobs["churn"]).acknowledge(Acknowledgment(id=f"hpo::{rule}", reason=reason))
app.synth()
"""


def limits(request: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    return found


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, declare: Any) -> dict[str, subprocess.CompletedProcess[str]]:
    """The CLI's runs by case, at the same time."""
    role = "arn:aws:iam::123456789012:role/trainer"
    warned, refused, above = (declare.single("churn", RoleArn=role) for _ in range(3))
    warned["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingInputMode"] = "Pipe"
    limits(refused)["MaxNumberOfTrainingJobs"] = 0
    limits(above).update(MaxParallelTrainingJobs=15, MaxNumberOfTrainingJobs=100)
    stated = {"hpo:quotas": {"edition": "aws-2026", "parallel_training_jobs": 15}}
    cases: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "warning": (warned, {}),
        "error": (refused, {}),
        "quota": (above, {}),
        "quota stated": (above, stated),
        "error acknowledged": (refused, {"acknowledged": {"shape": "tried on the account"}}),
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("cdk", path=path)
    assert program, "the CDK CLI is not installed: run scripts/setup"

    def synth(case: str) -> subprocess.CompletedProcess[str]:
        request, context = cases[case]
        folder = tmp_path_factory.mktemp("app")
        (folder / "app.py").write_text(APP)
        (folder / "churn.yaml").write_text(yaml.safe_dump(request, sort_keys=False))
        (folder / "cdk.json").write_text(json.dumps({"app": f"{sys.executable} app.py", "context": context}))
        return subprocess.run(
            [program, "synth", "--quiet", "--no-notices"],
            cwd=folder,
            env={**os.environ, "PATH": path, "CDK_VALIDATION": "false", "CDK_DISABLE_CLI_TELEMETRY": "true"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(cases, pool.map(synth, cases), strict=True))


@pytest.mark.parametrize(
    ("case", "succeeds"),
    [("warning", True), ("error", False), ("quota", False), ("quota stated", True), ("error acknowledged", True)],
)
def test_exit_status(runs: Any, case: str, succeeds: bool) -> None:
    done = runs[case]
    assert (done.returncode == 0) is succeeds, done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_warning_is_shown(runs: Any) -> None:
    assert "WARNING" in runs["warning"].stderr
    assert "hpo::csv-file-mode" in runs["warning"].stderr


def test_an_error_names_file_line_and_fix(runs: Any) -> None:
    text = runs["error"].stderr
    assert "churn.yaml:" in text
    assert "MaxNumberOfTrainingJobs" in text
    assert "Suggested fix:" in text


def test_a_quota_finding_says_which_line_to_write_in_cdk_json(runs: Any) -> None:
    assert (
        '"parallel_training_jobs": 15' in runs["quota"].stderr or "parallel_training_jobs: 15" in runs["quota"].stderr
    )
    assert "hpo:quotas" in runs["quota"].stderr
    assert "hpo::parallel-training-jobs" not in runs["quota stated"].stderr


def test_an_acknowledged_finding_is_silent(runs: Any) -> None:
    assert "hpo::shape" not in runs["error acknowledged"].stderr
