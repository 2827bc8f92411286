"""The public names, and what using them may load."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

import hpo_constructs

ROOT = Path(__file__).parents[2]


def test_public_names() -> None:
    assert sorted(hpo_constructs.__all__) == [
        "BuiltInAlgorithm",
        "CategoricalParameter",
        "ContinuousParameter",
        "Finding",
        "IntegerParameter",
        "RunSettings",
        "Severity",
        "TrainingJobDefinition",
        "TuningFragment",
        "TuningJob",
        "TuningJobResult",
        "TuningJobSpec",
        "check",
        "load",
        "stacks",
    ]


def loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "code",
    [
        "import hpo_constructs",
        "import sys; sys.argv = ['hpo', 'check', 'examples/single']\n"
        "from hpo_constructs.cli.__main__ import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code",
    ],
    ids=["import", "hpo check"],
)
def test_a_check_loads_neither_the_cdk_nor_aws_clients(code: str) -> None:
    slow = {"aws_cdk", "jsii", "boto3", "botocore", "moto", "optuna", "pydantic"}
    assert loaded_by(code) & slow == set()


def test_every_public_name_loads() -> None:
    # Constructs start Node; one process for all of them.
    names = ", ".join(hpo_constructs.__all__)
    assert "aws_cdk" in loaded_by(f"from hpo_constructs import {names}")
