"""Good requests have no findings that stop a deployment; requests with one fault have the one finding."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from hpo_constructs.documents.files import read
from hpo_constructs.rules import Severity, check, rules

from .strategies import botocore_refuses

CORPUS = Path(__file__).parent.parent / "corpus"
GOOD = sorted((CORPUS / "good").iterdir())


def _faults() -> ModuleType:
    spec = importlib.util.spec_from_file_location("corpus_faults", CORPUS / "faults.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # dataclasses look their module up by name
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


faults = _faults()


@pytest.mark.parametrize("file", GOOD, ids=[file.name for file in GOOD])
def test_a_good_request_has_no_error_and_no_quota_finding(file: Path) -> None:
    (declaration,) = read(file)
    assert botocore_refuses(declaration.request) == ""
    assert [finding for finding in check(declaration, quotas="aws-2026") if finding.severity.fails] == []


def test_the_good_corpus_is_there() -> None:
    assert len(GOOD) >= 15


@pytest.mark.parametrize("base", [faults.xgboost, faults.own, faults.grid, faults.hyperband, faults.several])
def test_the_requests_that_faults_are_made_in_are_right(base: Any) -> None:
    assert botocore_refuses(base()) == ""
    assert check(base()) == []


@pytest.mark.parametrize(
    "fault", faults.FAULTS, ids=[f"{index}-{fault.rule}" for index, fault in enumerate(faults.FAULTS)]
)
def test_one_fault_gives_the_one_finding(fault: Any) -> None:
    findings = check(fault.request())
    of_rule = [finding for finding in findings if finding.rule == fault.rule]
    assert len(of_rule) == 1, findings
    assert of_rule[0].severity.fails is fault.fails
    assert [finding for finding in findings if finding.severity.fails and finding.rule != fault.rule] == []
    assert of_rule[0].fix and of_rule[0].message


def test_most_faults_are_ones_that_botocore_lets_through() -> None:
    """What the checker is for: botocore alone finds few of them."""
    let_through = [fault for fault in faults.FAULTS if botocore_refuses(fault.request()) == ""]
    assert len(faults.FAULTS) >= 100
    assert len(let_through) > 0.75 * len(faults.FAULTS)


def test_the_faults_name_rules_that_exist_and_cover_what_fails_in_one_request() -> None:
    covered = {fault.rule for fault in faults.FAULTS}
    assert covered <= rules().keys()
    single = {rule.id for rule in rules().values() if rule.check is not None and rule.severity is not Severity.WARNING}
    # These need something that a request does not show, or have their cases in tests of their own.
    elsewhere = {
        "auto-parameter-hint", "hyperband-iterative", "poll-history-budget", "deploy-wait",
        "instances-per-training-job", "request-size", "ssm-size", "tuning-job-name-room", "warm-start-identical",
        "warm-start-objective", "warm-start-counts",
    }  # fmt: skip
    assert single - covered - elsewhere == set()
