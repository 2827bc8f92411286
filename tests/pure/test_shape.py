"""The rule `shape` against botocore's own parameter validator, and its data against the installed botocore."""

import copy
import importlib.util
import json
from importlib.machinery import SourceFileLoader
from pathlib import Path as FilePath
from typing import Any

import botocore
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from hpo_constructs.catalog import instance_type_names
from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.shape import OWNED_BY, REQUIRED_ELSEWHERE
from hpo_constructs.spec.declaration import Declaration, Form, Path
from hpo_constructs.spec.shapes import shape_model

from .strategies import at, botocore_refuses, places, requests

ROOT = FilePath(__file__).parent.parent.parent
UPDATE = "run .venv/bin/python scripts/update-shapes and commit what it writes"
generated = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)

WRONG_TYPE: dict[str, list[Any]] = {
    "structure": ["text", 1, []],
    "list": ["text", 1, {}],
    "map": ["text", 1, []],
    "string": [1, 1.5, True, [], {}],
    "integer": ["1", 1.5, [], {}],
    "long": ["1", 1.5, [], {}],
    "float": ["1.5", [], {}],
    "boolean": ["true", 1, []],
}


def findings_at(request: dict[str, Any], path: Path) -> list[Finding]:
    """The findings that forbid to go on at one place of a request."""
    where = Declaration(request=request, form=Form.REQUEST).origin(path).path
    return [finding for finding in check(request) if finding.path == where and finding.severity.fails]


def of_shape(request: dict[str, Any]) -> list[Finding]:
    return [finding for finding in check(request) if finding.rule == "shape"]


@generated
@given(requests())
def test_what_keeps_the_models_constraints_has_no_finding(request: dict[str, Any]) -> None:
    assert botocore_refuses(request) == ""
    assert of_shape(request) == []


@generated
@given(requests(), st.data())
def test_an_unknown_key_is_found(request: dict[str, Any], data: st.DataObject) -> None:
    holders = [(path, shape) for path, shape, _ in places(request) if shape.type == "structure"]
    path, _ = data.draw(st.sampled_from(holders))
    at(request, path)["Nonesuch"] = 1
    assert "Unknown parameter" in botocore_refuses(request)
    (finding,) = of_shape(request)
    assert finding.path.endswith("Nonesuch")


@generated
@given(requests(), st.data())
def test_a_wrong_type_is_found(request: dict[str, Any], data: st.DataObject) -> None:
    found = [(path, shape) for path, shape, _ in places(request) if path]
    path, shape = data.draw(st.sampled_from(found))
    wrong = data.draw(st.sampled_from(WRONG_TYPE[shape.type]))
    at(request, path[:-1])[path[-1]] = wrong
    assert botocore_refuses(request)
    assert [f.rule for f in findings_at(request, path)] == ["shape"]
    # No rule stumbles over it.
    assert [f.message for f in check(request) if "failed on this declaration" in f.message] == []


@generated
@given(requests(), st.data())
def test_a_missing_member_is_found(request: dict[str, Any], data: st.DataObject) -> None:
    found = [
        ((*path, name), (shape.name, name))
        for path, shape, _ in places(request)
        if shape.type == "structure"
        for name in shape.required
    ]
    path, member = data.draw(st.sampled_from(found))
    del at(request, path[:-1])[path[-1]]
    assert "Missing required parameter" in botocore_refuses(request)
    rules = {f.rule for f in findings_at(request, path)}
    assert len(rules) == 1
    assert ("shape" in rules) != (member in REQUIRED_ELSEWHERE)


@generated
@given(requests(), st.data())
def test_what_is_too_short_or_too_low_is_found(request: dict[str, Any], data: st.DataObject) -> None:
    found = [(path, shape) for path, shape, _ in places(request) if path and (shape.minimum or 0) > 0]
    assume(found)
    path, shape = data.draw(st.sampled_from(found))
    too_small: dict[str, Any] = {"string": "", "list": []}
    at(request, path[:-1])[path[-1]] = too_small.get(shape.type, (shape.minimum or 0) - 1)
    assert botocore_refuses(request)
    # What a rule of its own explains, it finds, too.
    assert findings_at(request, path), shape.name


def request_with(**changes: Any) -> dict[str, Any]:
    """A small right request with some members of its definition changed."""
    definition: dict[str, Any] = {
        "AlgorithmSpecification": {
            "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1.0",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/tuning",
        "OutputDataConfig": {"S3OutputPath": "s3://example-models/mine/"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }
    return {
        "HyperParameterTuningJobName": "mine",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"MetricName": "loss", "Type": "Minimize"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "rate", "MinValue": "0.1", "MaxValue": "0.3"}]},
        },
        "TrainingJobDefinition": {**definition, **changes},
    }


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("HyperParameterTuningJobConfig", "Strategy"), "bayesian", "must be one of"),
        (("HyperParameterTuningJobConfig", "TrainingJobEarlyStoppingType"), "OFF", "must be one of Off, Auto"),
        (("TrainingJobDefinition", "AlgorithmSpecification", "TrainingInputMode"), "Fast", "must be one of"),
        (("TrainingJobDefinition", "CheckpointConfig"), {"S3Uri": "s3://example-c/", "LocalPath": "x" * 4097}, "4,096"),
        (("HyperParameterTuningJobConfig", "ResourceLimits", "MaxNumberOfTrainingJobs"), True, "got true"),
        (("HyperParameterTuningJobConfig", "ResourceLimits", "MaxParallelTrainingJobs"), None, "got nothing"),
    ],
)
def test_what_botocore_lets_through_is_found_with_the_value(path: Path, value: Any, message: str) -> None:
    request = request_with()
    assert check(request) == []
    at(request, path[:-1])[path[-1]] = value
    (finding,) = of_shape(request)
    assert message in finding.message


@pytest.mark.parametrize("key", ["Env", "team name", "größe", "a:b/c=d+e-f@g", "\u3000wide", "٣"])
def test_tags_take_letters_digits_and_spaces_of_every_script(key: str) -> None:
    request = request_with() | {"Tags": [{"Key": key, "Value": key}]}
    assert of_shape(request) == []


@pytest.mark.parametrize("key", ["a;b", "a\nb", "a*b", "tab\there"])
def test_tags_take_nothing_else(key: str) -> None:
    request = request_with() | {"Tags": [{"Key": key, "Value": "x"}]}
    assert [f.path for f in of_shape(request)] == ["Tags[0].Key"]


def test_a_mistyped_required_key_is_one_finding_with_the_name_that_was_meant() -> None:
    text = "name: a\nstrategy: Random\nresource_limits: {max_paralel_training_jobs: 2}\n"
    findings = [f for f in check(read_text(text, "t.yaml")) if f.path.startswith("resource_limits.max_p")]
    assert [(f.rule, f.fix, f.line, f.column) for f in findings] == [
        ("shape", "write max_parallel_training_jobs", 3, 19)
    ]


def test_a_value_known_at_deployment_only_is_unknown_and_nothing_else() -> None:
    request = request_with(OutputDataConfig={"S3OutputPath": "${Token[TOKEN.7]}"})
    findings = check(request)
    assert {f.severity for f in findings} <= {Severity.UNKNOWN}


def test_the_catalog_and_the_model_know_the_same_instance_types() -> None:
    assert set(instance_type_names()) == set(shape_model().shapes["TrainingInstanceType"].enum)


def test_owned_shapes_and_members_exist_and_their_rules_too() -> None:
    from hpo_constructs.rules import rules

    shapes = shape_model().shapes
    assert OWNED_BY.keys() <= shapes.keys()
    assert set(OWNED_BY.values()) <= rules().keys()
    for holder, member in REQUIRED_ELSEWHERE:
        assert member in shapes[holder].required


def test_the_data_file_is_what_the_installed_botocore_says(tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch) -> None:
    loader = SourceFileLoader("update_shapes", str(ROOT / "scripts" / "update-shapes"))
    spec = importlib.util.spec_from_loader("update_shapes", loader)
    assert spec is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setattr("sys.dont_write_bytecode", True)
    loader.exec_module(script)
    monkeypatch.setattr(script, "TARGET", tmp_path / "shapes.json")
    assert script.main() == 0
    fresh = json.loads((tmp_path / "shapes.json").read_text(encoding="utf-8"))
    kept = json.loads((ROOT / "hpo_constructs" / "spec" / "data" / "shapes.json").read_text(encoding="utf-8"))
    assert kept["botocore"] == botocore.__version__, f"botocore is now {botocore.__version__}: {UPDATE}"
    assert kept == fresh, f"botocore {botocore.__version__} has other constraints: {UPDATE}"


def test_the_check_changes_nothing() -> None:
    request = request_with()
    before = copy.deepcopy(request)
    check(request)
    assert request == before
