"""The rules about hyperparameters: tables of cases beside each rule's own examples, in both forms of the input."""

import copy
import json
import math
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"


def base_request(several: bool = False) -> dict[str, Any]:
    (declaration,) = read_text(SEVERAL if several else SINGLE, "base.yaml")
    return copy.deepcopy(declaration.request)


def of_rule(rule: str, findings: list[Finding]) -> list[Finding]:
    """The findings of a rule, which must be the only ones that fail."""
    assert [f for f in findings if f.rule != rule and f.severity.fails] == []
    return [f for f in findings if f.rule == rule]


def ranges_of(**lists: Any) -> dict[str, Any]:
    """A request of two training jobs that searches just what is given."""
    request = base_request()
    request[CONFIG]["ResourceLimits"] = {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 2}
    request[CONFIG]["ParameterRanges"] = {name: value for name, value in lists.items() if value is not None}
    return request


def continuous(low: Any, high: Any, scaling: str | None = None, name: str = "gamma") -> dict[str, Any]:
    return {"Name": name, "MinValue": low, "MaxValue": high, **({"ScalingType": scaling} if scaling else {})}


def own_container(request: dict[str, Any]) -> dict[str, Any]:
    """The request with an image whose hyperparameters nobody knows."""
    specification = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    specification["TrainingImage"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7"
    specification["MetricDefinitions"] = [{"Name": "validation:auc", "Regex": "auc=(.*?);"}]
    return request


def template(fragment: str, several: bool = False) -> str:
    base = yaml.safe_load(SEVERAL if several else SINGLE)
    return yaml.safe_dump(laid_over(base, yaml.safe_load(fragment)), sort_keys=False)


GOOD_NUMBERS = ["0", "5", "5.", ".5", "-1", "+3", "1e-05", "1E5", " 5 ", "0.00001"]
BAD_NUMBERS = ["", " ", "NaN", "nan", "Infinity", "-inf", "0x10", "1e400", "five", "1,000", "5 6", "1_000", "1e", "--1"]


@pytest.mark.parametrize("text", GOOD_NUMBERS)
def test_numbers_in_every_spelling(text: str) -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=[continuous(text, "1e6")]))
    assert check(request) == []


@pytest.mark.parametrize("member", ["MinValue", "MaxValue"])
@pytest.mark.parametrize("text", BAD_NUMBERS)
def test_what_is_no_number_is_one_finding(text: str, member: str) -> None:
    entry = {**continuous("1", "2", "Logarithmic"), member: text}
    request = own_container(ranges_of(ContinuousParameterRanges=[entry]))
    (finding,) = check(request)
    assert (finding.rule, finding.path) == (
        "range-number",
        f"{CONFIG}.ParameterRanges.ContinuousParameterRanges[0].{member}",
    )
    assert repr(text) in finding.message


@pytest.mark.parametrize(("text", "fits"), [("5", True), ("5.0", True), ("1e2", True), ("5.5", False), ("1e-1", False)])
def test_bounds_of_integer_ranges_are_whole(text: str, fits: bool) -> None:
    request = own_container(ranges_of(IntegerParameterRanges=[continuous(text, "1000")]))
    assert [f.rule for f in check(request)] == ([] if fits else ["range-number"])


@pytest.mark.parametrize(
    ("kind", "low", "high", "fits"),
    [
        ("Continuous", "0.1", "0.3", True),
        ("Continuous", "0.3", "0.3", False),
        ("Continuous", "0.30", "3e-1", False),
        ("Continuous", "-1", "-2", False),
        ("Integer", "9", "10", True),
        ("Integer", "10", "9", False),
        # Floats would round these two alike.
        ("Integer", "9007199254740992", "9007199254740993", True),
        ("Integer", "9007199254740993", "9007199254740993", False),
    ],
)
def test_order_of_bounds(kind: str, low: str, high: str, fits: bool) -> None:
    request = own_container(ranges_of(**{f"{kind}ParameterRanges": [continuous(low, high)]}))
    findings = check(request)
    assert [f.rule for f in findings] == ([] if fits else ["range-order"])
    if not fits:
        assert f"got {low} and {high}" in findings[0].message


def test_an_equal_pair_is_told_to_be_static() -> None:
    (finding,) = check(own_container(ranges_of(ContinuousParameterRanges=[continuous("1", "1")])))
    assert finding.fix == "put gamma under StaticHyperParameters, or widen the range"


@pytest.mark.parametrize(
    ("kind", "low", "high", "scaling", "rule"),
    [
        ("Continuous", "0.001", "1", "Logarithmic", None),
        ("Continuous", "0", "1", "Logarithmic", "log-scaling-positive"),
        ("Continuous", "-1", "1", "Logarithmic", "log-scaling-positive"),
        ("Integer", "0", "9", "Logarithmic", "log-scaling-positive"),
        ("Integer", "1", "9", "Logarithmic", None),
        ("Continuous", "1", "-1", "Logarithmic", "range-order"),
        ("Continuous", "0", "0.99", "ReverseLogarithmic", None),
        ("Continuous", "0.9", "1", "ReverseLogarithmic", "reverse-log-range"),
        ("Continuous", "-0.1", "0.5", "ReverseLogarithmic", "reverse-log-range"),
        ("Integer", "0", "9", "ReverseLogarithmic", "reverse-log-range"),
        ("Continuous", "0.01", "0.1", "Linear", None),
        ("Continuous", "0.01", "0.3", "Linear", None),
        ("Continuous", "0.001", "0.1", "Linear", "linear-over-decades"),
        ("Integer", "1", "1000", "Linear", "linear-over-decades"),
        ("Continuous", "0", "1", "Linear", None),
        ("Continuous", "-5", "100", "Linear", None),
        ("Continuous", "0.0001", "1", "Auto", None),
        ("Continuous", "0.0001", "1", None, None),
        ("Continuous", "1e-320", "1e300", "Linear", "linear-over-decades"),
        ("Continuous", "0.1", "1", "Log", "shape"),
    ],
)
def test_scales(kind: str, low: str, high: str, scaling: str | None, rule: str | None) -> None:
    request = own_container(ranges_of(**{f"{kind}ParameterRanges": [continuous(low, high, scaling)]}))
    assert [f.rule for f in check(request)] == ([rule] if rule else [])


@pytest.mark.parametrize("text", ["${Token[TOKEN.12]}", "${MaxDepth}", "1${AWS::Region}x${Y}"])
def test_unknown_bounds_are_not_compared(text: str) -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=[continuous(text, "1", "Logarithmic")]))
    assert check(request) == []


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(finite, finite, st.sampled_from(["Continuous", "Integer"]))
@settings(max_examples=100, deadline=None)
def test_a_range_has_a_finding_exactly_when_it_is_wrong(low: float, high: float, kind: str) -> None:
    entry = continuous(repr(low), repr(high))
    findings = check(own_container(ranges_of(**{f"{kind}ParameterRanges": [entry]})))
    whole = kind == "Continuous" or (low.is_integer() and high.is_integer())
    failing = {f.rule for f in findings if f.severity.fails}
    assert failing == ({"range-number"} if not whole else set() if low < high else {"range-order"})


@given(st.floats(min_value=1e-12, max_value=1e12), st.floats(min_value=1.0001, max_value=1e9))
@settings(max_examples=100, deadline=None)
def test_the_advice_about_linear_scales_depends_on_the_ratio_only(low: float, ratio: float) -> None:
    high = low * ratio
    request = own_container(ranges_of(ContinuousParameterRanges=[continuous(repr(low), repr(high), "Linear")]))
    decades = math.log10(high) - math.log10(low)
    if abs(decades - 1.5) > 1e-9:
        assert ["linear-over-decades" for f in check(request)] == ["linear-over-decades"] * (decades > 1.5)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            ("ParameterRanges",),
            ("ParameterRanges", "ContinuousParameterRanges"),
            ("ParameterRanges", "CategoricalParameterRanges"),
            ("ParameterRanges", "ContinuousParameterRanges", 0),
            ("ParameterRanges", "ContinuousParameterRanges", 0, "MinValue"),
            ("ParameterRanges", "ContinuousParameterRanges", 0, "Name"),
            ("ResourceLimits", "MaxNumberOfTrainingJobs"),
        ]
    ),
    anything,
)
@settings(max_examples=150, deadline=None)
def test_no_rule_breaks_on_any_value(path: tuple[str | int, ...], value: Any) -> None:
    request = base_request()
    *way, last = path
    place: Any = request[CONFIG]
    for step in way:
        place = place[step]
    place[last] = value
    assert not [f for f in check(request) if "failed on this declaration" in f.message]


@given(anything)
@settings(max_examples=60, deadline=None)
def test_no_rule_breaks_on_any_static_hyperparameters(value: Any) -> None:
    request = base_request()
    request["TrainingJobDefinition"]["StaticHyperParameters"] = value
    assert not [f for f in check(request) if "failed on this declaration" in f.message]


def many(number: int) -> list[dict[str, Any]]:
    return [continuous("1", "2", name=f"h{i}") for i in range(number)]


def categorical(number: int, name: str = "c") -> dict[str, Any]:
    return {"Name": name, "Values": [f"v{i}" for i in range(number)]}


COUNTS = [
    # continuous, integer, categorical values, edition, rule
    (20, 0, [], "developer-guide", None),
    (21, 0, [], "developer-guide", "searched-hyperparameters"),
    (10, 10, [], "developer-guide", None),
    (10, 11, [], "developer-guide", "searched-hyperparameters"),
    (10, 0, [10], "developer-guide", None),
    (10, 0, [11], "developer-guide", "searched-hyperparameters"),
    (0, 0, [11, 10], "developer-guide", "searched-hyperparameters"),
    (10, 0, [11], "aws-2026", None),
    (29, 0, [30], "aws-2026", None),
    (30, 0, [30], "aws-2026", "searched-hyperparameters"),
    (0, 0, [31], "developer-guide", "categorical-values"),
    (0, 0, [31], "aws-2026", "categorical-values"),
    (0, 0, [0], "aws-2026", "categorical-values"),
    (0, 0, [30], "aws-2026", None),
    (31, 0, [], "aws-2026", "searched-hyperparameters"),
    (0, 31, [], "developer-guide", "searched-hyperparameters"),
]


@pytest.mark.parametrize(("continuous_", "integers", "values", "edition", "rule"), COUNTS)
def test_both_editions_ways_of_counting(
    continuous_: int, integers: int, values: list[int], edition: str, rule: str | None
) -> None:
    request = own_container(
        ranges_of(
            ContinuousParameterRanges=many(continuous_),
            IntegerParameterRanges=[{**entry, "Name": f"i{i}"} for i, entry in enumerate(many(integers))],
            CategoricalParameterRanges=[categorical(number, f"c{i}") for i, number in enumerate(values)],
        )
    )
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 100
    findings = [f for f in check(request, quotas=edition) if f.rule != "enough-combinations"]
    assert [f.rule for f in findings] == ([rule] if rule else [])


def test_the_fix_of_a_quota_tells_the_line_to_write() -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=many(21)))
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 100
    (finding,) = check(request)
    assert finding.severity is Severity.QUOTA
    assert '"hpo:quotas": {"hyperparameters": 21}' in finding.fix
    assert check(request, quotas={"hyperparameters": 21}) == []


def test_a_stated_quota_does_not_lift_the_apis_own_limit() -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=many(31)))
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 100
    (finding,) = check(request, quotas={"hyperparameters": 50})
    assert (finding.severity, finding.path) == (
        Severity.ERROR,
        f"{CONFIG}.ParameterRanges.ContinuousParameterRanges",
    )


def test_a_stated_quota_of_categorical_values() -> None:
    request = own_container(ranges_of(CategoricalParameterRanges=[categorical(12)], IntegerParameterRanges=many(2)))
    (finding,) = check(request, quotas={"categorical_values": 11})
    assert (finding.rule, finding.severity) == ("categorical-values", Severity.QUOTA)
    assert check(request) == []


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        (["a", "b"], []),
        (["a", "b", "a"], [2]),
        (["a", "a", "a"], [1]),
        (["1", "1.0"], []),
        (["${A}", "${A}"], []),
        (["a"], []),
    ],
)
def test_values_are_distinct(values: list[str], paths: list[int]) -> None:
    request = own_container(
        ranges_of(CategoricalParameterRanges=[{"Name": "c", "Values": values}], ContinuousParameterRanges=many(1))
    )
    assert [f.path for f in check(request)] == [
        f"{CONFIG}.ParameterRanges.CategoricalParameterRanges[0].Values[{i}]" for i in paths
    ]


@pytest.mark.parametrize(
    ("ranges", "rules"),
    [
        ({}, ["ranges-present"]),
        ({"ContinuousParameterRanges": []}, ["ranges-present"]),
        ({"AutoParameters": [{"Name": "eta", "ValueHint": "0.1"}]}, []),
        (None, ["ranges-present"]),
    ],
)
def test_a_job_searches_something(ranges: Any, rules: list[str]) -> None:
    request = base_request()
    request[CONFIG]["ParameterRanges"] = ranges
    if ranges is None:
        del request[CONFIG]["ParameterRanges"]
    assert [f.rule for f in check(request) if f.rule == "ranges-present"] == rules


def test_autotune_needs_no_ranges() -> None:
    request = base_request()
    del request[CONFIG]["ParameterRanges"]
    request["Autotune"] = {"Mode": "Enabled"}
    assert of_rule("ranges-present", check(request)) == []


def test_a_range_that_cannot_be_read_is_not_missing_too() -> None:
    text = template("hyperparameter_ranges: {eta: {type: Contnuous, min_value: 1, max_value: 2}, max_depth: null}")
    assert [f.rule for f in check(read_text(text, "t.yaml"))] == ["shape"]


def test_a_misspelled_block_of_ranges_is_not_missing_too() -> None:
    text = template("hyperparameter_ranges: null\nhyperparameter_range: {eta: {type: Continuous}}")
    assert [f.rule for f in check(read_text(text, "t.yaml")) if f.severity.fails] == ["shape"]


def test_ranges_of_one_of_several_definitions() -> None:
    text = template("training_job_definitions: [{}, {hyperparameter_ranges: {max_depth: null}}]", several=True)
    (finding,) = of_rule("ranges-present", check(read_text(text, "t.yaml")))
    assert finding.path == "training_job_definitions[1].hyperparameter_ranges"


def test_a_name_is_searched_once() -> None:
    entries = [continuous("1", "2", name="a"), continuous("3", "4", name="a")]
    (finding,) = check(own_container(ranges_of(ContinuousParameterRanges=entries)))
    assert (finding.rule, finding.path) == (
        "hyperparameter-once",
        f"{CONFIG}.ParameterRanges.ContinuousParameterRanges[1].Name",
    )


def test_a_name_is_searched_or_left_to_autotune() -> None:
    request = base_request()
    request["Autotune"] = {"Mode": "Enabled"}
    request[CONFIG]["ParameterRanges"]["AutoParameters"] = [{"Name": "eta", "ValueHint": "0.2"}]
    assert [f.rule for f in check(request)] == ["hyperparameter-once"]


@pytest.mark.parametrize("several", [False, True])
def test_a_name_is_static_or_searched(several: bool) -> None:
    request = base_request(several)
    definition = request["TrainingJobDefinitions"][0] if several else request["TrainingJobDefinition"]
    definition["StaticHyperParameters"]["eta"] = "0.2"
    (finding,) = check(request)
    place = "TrainingJobDefinitions[0]" if several else "TrainingJobDefinition"
    assert (finding.rule, finding.path) == ("static-not-searched", f"{place}.StaticHyperParameters.eta")


def test_another_definitions_static_name_may_be_searched() -> None:
    request = base_request(several=True)
    request["TrainingJobDefinitions"][0]["StaticHyperParameters"]["max_depth"] = "5"
    assert check(request) == []


@pytest.mark.parametrize(
    ("size", "searched", "fits"), [(98, 1, True), (99, 1, False), (97, 2, True), (98, 2, False), (101, 1, False)]
)
def test_static_and_searched_together(size: int, searched: int, fits: bool) -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=many(searched)))
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {f"s{i}": "1" for i in range(size)}
    assert [(f.rule, f.path) for f in check(request)] == (
        [] if fits else [("static-count", "TrainingJobDefinition.StaticHyperParameters")]
    )


@pytest.mark.parametrize(
    ("name", "value", "fits"),
    [
        ("a" * 256, "1", True),
        ("a" * 257, "1", False),
        ("a", "x" * 2500, True),
        ("a", "x" * 2501, False),
        ("a", "", True),
        ("a", "one\ntwo", False),
        ("a", "${Token[TOKEN.1]}" + "x" * 2500, True),
    ],
)
def test_lengths_of_static_hyperparameters(name: str, value: str, fits: bool) -> None:
    request = own_container(base_request())
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {name: value}
    assert [f.rule for f in check(request)] == ([] if fits else ["static-count"])


@pytest.mark.parametrize(
    ("name", "severity"),
    [
        ("_tuning_objective_metric", Severity.ERROR),
        ("_kfold", Severity.WARNING),
        ("sagemaker_program", None),
        ("a_b", None),
    ],
)
def test_static_names_with_an_underscore(name: str, severity: Severity | None) -> None:
    request = own_container(base_request())
    request["TrainingJobDefinition"]["StaticHyperParameters"][name] = "1"
    findings = check(request)
    assert [(f.rule, f.severity) for f in findings] == ([("reserved-names", severity)] if severity else [])


def test_a_description_shows_the_services_own_names() -> None:
    request = base_request()
    request["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] = "validation:auc"
    assert check(Declaration(request=request, form=Form.DESCRIBE)) == []


def test_a_searched_name_with_an_underscore() -> None:
    request = base_request()
    request[CONFIG]["ParameterRanges"]["ContinuousParameterRanges"].append(continuous("1", "2", name="_seed"))
    assert [(f.rule, f.severity) for f in check(request)] == [("reserved-names", Severity.ERROR)]


@pytest.mark.parametrize(
    ("searched", "total", "strategy", "advised"),
    [
        (4, 7, "Bayesian", True),
        (4, 8, "Bayesian", False),
        (3, 3, "Bayesian", False),
        (12, 10, "Random", True),
        (12, 24, "Random", False),
    ],
)
def test_advice_about_few_training_jobs(searched: int, total: int, strategy: str, advised: bool) -> None:
    request = own_container(ranges_of(ContinuousParameterRanges=many(searched)))
    request[CONFIG]["Strategy"] = strategy
    request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = total
    findings = [f for f in check(request) if f.rule == "few-hyperparameters-advice"]
    assert [(f.severity, f.path) for f in findings] == (
        [(Severity.WARNING, f"{CONFIG}.ResourceLimits.MaxNumberOfTrainingJobs")] if advised else []
    )


def test_a_template_and_a_request_name_the_same_place_in_their_own_words() -> None:
    text = template("hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.5, max_value: 0.1}}")
    (of_template,) = check(read_text(text, "t.yaml"))
    (declaration,) = read_text(text, "t.yaml")
    (of_request,) = check(read_text(json.dumps(declaration.request), "r.json"))
    assert of_template.path == "hyperparameter_ranges.eta.min_value"
    assert of_template.message == "min_value of eta must be < max_value, got 0.5 and 0.1"
    assert of_request.path == f"{CONFIG}.ParameterRanges.ContinuousParameterRanges[0].MinValue"
    assert of_request.message == "MinValue of eta must be < MaxValue, got 0.5 and 0.1"


def test_ranges_that_no_definition_uses_are_looked_at_too() -> None:
    request = base_request()
    request["TrainingJobDefinition"]["HyperParameterRanges"] = {
        "CategoricalParameterRanges": [{"Name": "booster", "Values": []}]
    }
    (found,) = [finding for finding in check(Declaration(request)) if finding.rule == "categorical-values"]
    assert found.path.endswith("categorical_parameter_ranges[0].values")
