"""The rules about warm starts, over tables of further cases."""

import copy
from typing import Any

import pytest
import yaml

from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.examples import SINGLE
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"
IDENTICAL, TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"


def job(name: str, parents: list[Any] | None = None, kind: str = TRANSFER) -> dict[str, Any]:
    """A request, warm-started where it has parents."""
    (found,) = read_text(SINGLE, "example.yaml")
    body = copy.deepcopy(found.request)
    body["HyperParameterTuningJobName"] = name
    body[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 50
    if parents is not None:
        listed = [{"HyperParameterTuningJobName": parent} if isinstance(parent, str) else parent for parent in parents]
        body["WarmStartConfig"] = {"WarmStartType": kind, "ParentHyperParameterTuningJobs": listed}
    return body


def warm(findings: list[Finding]) -> list[tuple[str, Severity]]:
    return [(found.rule, found.severity) for found in findings if found.rule not in {"instances-total"}]


UNSEEN = ("warm-start-objective", Severity.UNKNOWN)


@pytest.mark.parametrize(
    ("parents", "expected"),
    [
        (["a"], []),
        (["a", "b", "c", "d", "e"], []),
        ([], ["warm-start-parents"]),
        (["a", "b", "c", "d", "e", "f"], ["warm-start-parents"]),
        (["a", "b", "A"], ["warm-start-parents"]),
        (["a", "Child"], ["warm-start-parents"]),
        (["a", "b_c"], ["warm-start-parents"]),
        (["a", "b" * 33], ["warm-start-parents"]),
        (["a", {}], ["warm-start-parents"]),
        (["a", {"Name": "b"}], ["shape"]),
        (["${Token[Parent.1]}", "${Token[Parent.1]}"], []),
    ],
)
def test_parents(parents: list[Any], expected: list[str]) -> None:
    findings = check(job("child", parents))
    assert [found.rule for found in findings if found.severity.fails] == expected


def test_a_run_of_a_template_is_not_the_declared_job() -> None:
    declared = Declaration(job("child", ["child"]), Form.TEMPLATE)
    assert [found for found in check(declared) if found.severity.fails] == []


def test_parents_that_are_not_declared_are_said_to_be_unknown_once() -> None:
    (finding,) = [found for found in check(job("child", ["a"], IDENTICAL)) if found.severity is Severity.UNKNOWN]
    assert finding.rule == "warm-start-objective"
    assert "a" in finding.message


@pytest.mark.parametrize(("kind", "count"), [(TRANSFER, 1), (IDENTICAL, 0)])
def test_transfer_learning_from_several(kind: str, count: int) -> None:
    findings = check(job("child", ["a", "b"], kind))
    assert [found.rule for found in findings].count("transfer-learning-parents") == count


def compared(change: Any, kind: str = IDENTICAL) -> list[tuple[str, Severity]]:
    """What the warm-start rules say of a child that differs from its declared parent by a change."""
    parent, child = job("parent"), job("child", ["PARENT"], kind)
    change(child)
    return [(name, severity) for name, severity in warm(check([parent, child])) if name.startswith("warm-start")]


def image(uri: str) -> Any:
    return lambda child: child["TrainingJobDefinition"]["AlgorithmSpecification"].update(TrainingImage=uri)


def train_data(**source: Any) -> Any:
    def change(child: dict[str, Any]) -> None:
        child["TrainingJobDefinition"]["InputDataConfig"][0]["DataSource"]["S3DataSource"].update(source)

    return change


def without_validation(child: dict[str, Any]) -> None:
    del child["TrainingJobDefinition"]["InputDataConfig"][1]


def limits_and_ranges(child: dict[str, Any]) -> None:
    child[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 60
    child[CONFIG]["ParameterRanges"]["ContinuousParameterRanges"][0]["MaxValue"] = "0.7"


@pytest.mark.parametrize(
    ("change", "severity"),
    [
        (lambda child: None, None),
        (limits_and_ranges, None),
        (train_data(S3Uri="s3://example-data/churn/train"), None),
        (train_data(S3Uri="s3://${Token[Bucket.1]}/churn/train"), None),
        (train_data(S3Uri="s3://example-data/churn/new/"), Severity.ERROR),
        (without_validation, Severity.ERROR),
        (image("683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.5-1"), Severity.WARNING),
        (image("123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1.7-1"), Severity.ERROR),
        (image("${Token[Image.1]}"), None),
    ],
)
def test_identical_data_and_algorithm(change: Any, severity: Severity | None) -> None:
    assert compared(change) == ([("warm-start-identical", severity)] if severity else [])
    assert compared(change, TRANSFER) == []


def metric(name: str, direction: str = "Maximize") -> Any:
    return lambda child: child[CONFIG].update(HyperParameterTuningJobObjective={"MetricName": name, "Type": direction})


def static(**values: str | None) -> Any:
    def change(child: dict[str, Any]) -> None:
        held = child["TrainingJobDefinition"]["StaticHyperParameters"]
        held.update(values)
        for name in [name for name, value in values.items() if value is None]:
            del held[name]

    return change


def eta_static(child: dict[str, Any]) -> None:
    """A searched hyperparameter becomes a static one: the total stays."""
    del child[CONFIG]["ParameterRanges"]["ContinuousParameterRanges"]
    child["TrainingJobDefinition"]["StaticHyperParameters"]["eta"] = "0.2"


def depth_continuous(child: dict[str, Any]) -> None:
    ranges = child[CONFIG]["ParameterRanges"]
    ranges["ContinuousParameterRanges"] += ranges.pop("IntegerParameterRanges")


@pytest.mark.parametrize(
    ("change", "count"),
    [
        (lambda child: None, 0),
        (metric("validation:error", "Minimize"), 1),
        (static(num_round="200"), 0),
        (static(gamma="1"), 1),
        (static(eval_metric=None), 1),
        (eta_static, 0),
        (depth_continuous, 1),
    ],
)
@pytest.mark.parametrize("kind", [IDENTICAL, TRANSFER])
def test_what_must_stay(change: Any, count: int, kind: str) -> None:
    assert compared(change, kind) == [("warm-start-objective", Severity.ERROR)] * count


@pytest.mark.parametrize(
    ("numbers", "texts", "tuned_values", "count"),
    [
        (10, 0, 0, 0),
        (11, 0, 0, 1),
        (0, 5, 0, 0),
        (0, 5, 1, 1),
        (0, 0, 10, 0),
        (0, 0, 11, 1),
        (4, 2, 2, 0),
        (4, 2, 3, 1),
    ],
)
def test_changes_are_counted_as_the_guide_counts_them(numbers: int, texts: int, tuned_values: int, count: int) -> None:
    """A number is one change, a text two, a categorical range that becomes static one for each of its values."""
    parent, child = job("parent"), job("child", ["parent"])
    for body, number, text in ((parent, "1", "red"), (child, "2", "blue")):
        held = body["TrainingJobDefinition"]["StaticHyperParameters"]
        held |= {f"n{i}": number for i in range(numbers)} | {f"t{i}": text for i in range(texts)}
    if tuned_values:
        values = [str(value) for value in range(tuned_values)]
        parent[CONFIG]["ParameterRanges"]["CategoricalParameterRanges"] = [{"Name": "c", "Values": values}]
        child["TrainingJobDefinition"]["StaticHyperParameters"]["c"] = "0"
    found = [finding for finding in check([parent, child]) if finding.rule == "warm-start-objective"]
    assert len(found) == count, found


def test_a_description_of_the_parent_is_compared_too() -> None:
    parent = Declaration(job("parent"), Form.DESCRIBE, file="parent.json")
    child = job("child", ["parent"])
    metric("validation:error", "Minimize")(child)
    assert ("warm-start-objective", Severity.ERROR) in warm(check([parent, Declaration(child, Form.REQUEST)]))


def test_of_two_jobs_of_a_name_none_is_taken_for_the_parent() -> None:
    parents = [Declaration(job("parent"), Form.DESCRIBE, file=f"{place}/parent.json") for place in ("eu", "us")]
    assert UNSEEN in warm(check([*parents, Declaration(job("child", ["parent"]), Form.REQUEST)]))


@pytest.mark.parametrize(("parents", "count"), [(["b"], 1), (["b", "a"], 0), (["a"], 0)])
def test_grandparents(parents: list[str], count: int) -> None:
    findings = check([job("a"), job("b", ["a"]), job("c", parents)])
    assert [found.rule for found in findings].count("warm-start-not-recursive") == count


@pytest.mark.parametrize(("quota", "expected"), [(150, 0), (149, 1), (50, 1), (49, 0)])
def test_training_jobs_of_parents_count(quota: int, expected: int) -> None:
    findings = check([job("a"), job("b"), job("c", ["a", "b"])], {"training_jobs": quota})
    found = [finding for finding in findings if finding.rule == "warm-start-counts"]
    assert len(found) == expected
    assert all("50 + 100 = 150" in finding.message and '"training_jobs": 150' in finding.fix for finding in found)


def test_a_warm_start_with_several_algorithms_is_one_fault() -> None:
    body = job("child", ["a"])
    definition = body.pop("TrainingJobDefinition") | {
        "TuningObjective": body[CONFIG].pop("HyperParameterTuningJobObjective"),
        "HyperParameterRanges": body[CONFIG].pop("ParameterRanges"),
    }
    body["TrainingJobDefinitions"] = [definition | {"DefinitionName": name} for name in ("one", "two")]
    assert [found.rule for found in check(body)] == ["warm-start-single"]


def test_yaml_templates_name_parents_briefly() -> None:
    text = SINGLE + yaml.safe_dump(
        {"warm_start_config": {"warm_start_type": IDENTICAL, "parent_hyperparameter_tuning_jobs": ["a", "a"]}}
    )
    (finding,) = [found for found in check(read_text(text, "churn.yaml")) if found.severity.fails]
    assert (finding.rule, finding.path) == (
        "warm-start-parents",
        "warm_start_config.parent_hyperparameter_tuning_jobs[1]",
    )
