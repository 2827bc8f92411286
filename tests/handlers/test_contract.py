"""The contract: names and the polling schedule."""

import ast
import io
import sys
import zipfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

import hpo_handlers
from hpo_handlers.contract import (
    DECLARED_NAME_LENGTH,
    LARGEST_MAX_RUNTIME_SECONDS,
    OUTPUT_NAMES,
    TUNING_JOB_NAME_LENGTH,
    tuning_job_name,
    wait_seconds,
)

ages = st.floats(0, LARGEST_MAX_RUNTIME_SECONDS)
EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:Churn:one"


def test_name_is_the_same_for_every_attempt_and_differs_between_executions() -> None:
    assert tuning_job_name("churn", EXECUTION) == "churn-e195cc7c32"
    assert tuning_job_name("churn", EXECUTION) != tuning_job_name("churn", EXECUTION + "2")


def test_longest_declared_name_fills_the_tuning_job_name() -> None:
    assert DECLARED_NAME_LENGTH == 21
    assert len(tuning_job_name("x" * DECLARED_NAME_LENGTH, EXECUTION)) == TUNING_JOB_NAME_LENGTH


def test_output_names() -> None:
    assert OUTPUT_NAMES == (
        "best",
        "best-training-job-name",
        "objective-metric-name",
        "objective-metric-value",
        "hyperparameters",
        "model-artifacts",
        "training-image",
        "training-job-definition-name",
        "tuning-job-name",
        "tuning-job-status",
        "updated-at",
    )


def test_first_wait_is_short() -> None:
    assert wait_seconds(0) == 3


def test_clocks_that_disagree_do_no_harm() -> None:
    assert wait_seconds(-30) == wait_seconds(0)


@given(ages)
def test_delay_is_small_against_the_run(age: float) -> None:
    assert 0 < wait_seconds(age) <= max(15, 0.03 * age)


@given(ages)
def test_a_far_end_is_waited_for_longer_while_the_job_is_young(age: float) -> None:
    assert wait_seconds(age, end_is_far=True) == (40 if age < 600 else wait_seconds(age))


@given(ages, ages)
def test_waits_never_shrink(one: float, other: float) -> None:
    younger, older = sorted((one, other))
    assert wait_seconds(younger) <= wait_seconds(older) <= 3 * 3600


def test_handlers_import_the_standard_library_and_boto3_only() -> None:
    imported: dict[str, set[str]] = {}
    for file in Path(hpo_handlers.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                imported.setdefault(file.name, set()).update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                imported.setdefault(file.name, set()).add(str(node.module))
    roots = {name.partition(".")[0] for names in imported.values() for name in names}
    assert roots - sys.stdlib_module_names == {"boto3", "botocore"}, imported


def test_package_is_small() -> None:
    """As Lambda gets it: the size of the archive decides on the time of a cold start."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in Path(hpo_handlers.__path__[0]).glob("*.py"):
            archive.write(file, f"hpo_handlers/{file.name}")
    assert len(content.getvalue()) < 50_000
