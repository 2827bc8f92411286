"""The rules about strategy and limits, over tables of further cases and against brute force."""

import itertools
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_constructs.catalog import builtin, builtin_names
from hpo_constructs.documents.files import read_text
from hpo_constructs.quotas import state
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.rules.job import Job
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"
HYPERBAND = "strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {min_resource: 5, max_resource: 50}}\n"
GRID = (
    "strategy: Grid\nresource_limits: {max_number_of_training_jobs: null}\n"
    'hyperparameter_ranges: {eta: ["0.1", "0.3"], max_depth: ["3", "6", "9"]}\n'
)


def declaration(fragment: str = "{}", base: str = SINGLE) -> Declaration:
    text = yaml.safe_dump(laid_over(yaml.safe_load(base), yaml.safe_load(fragment)), sort_keys=False)
    (found,) = read_text(text, "example.yaml")
    return found


def request(fragment: str = "{}", base: str = SINGLE) -> dict[str, Any]:
    return declaration(fragment, base).request


def rules_of(findings: list[Finding]) -> list[str]:
    return [found.rule for found in findings]


def limits(parallel: int, total: int | None, strategy: str = "Random") -> str:
    return (
        f"strategy: {strategy}\n"
        f"resource_limits: {{max_parallel_training_jobs: {parallel}, "
        f"max_number_of_training_jobs: {total if total is not None else 'null'}}}\n"
        "training_job_definition: {resource_config: {instance_count: 1}}"
    )


def of_limits(fragment: str, quotas: Any = None) -> list[str]:
    """The rules that speak of resource limits, without the advice on nodes and the sums over all jobs."""
    unrelated = {"parallel-within-nodes", "instances-per-type", "instances-total"}
    found = [sorted(rules_of(check(given, quotas))) for given in (declaration(fragment), request(fragment))]
    assert found[0] == found[1]
    return [name for name in found[0] if name not in unrelated]


@pytest.mark.parametrize(
    ("parallel", "total", "expected"),
    [
        (10, 500, []),
        (1, 1, []),
        (5, 5, []),
        (6, 5, ["parallel-at-most-total"]),
        (11, 500, ["parallel-training-jobs"]),
        (10, 501, ["total-training-jobs"]),
        (0, 5, ["shape"]),
        (5, 0, ["shape"]),
        (2, None, ["total-jobs-stated"]),
    ],
)
def test_resource_limits(parallel: int, total: int | None, expected: list[str]) -> None:
    assert of_limits(limits(parallel, total)) == expected


@pytest.mark.parametrize(
    ("parallel", "total", "quotas", "expected"),
    [
        (10, 750, "aws-2026", []),
        (10, 751, "aws-2026", ["total-training-jobs"]),
        (100, 10_000, {"parallel_training_jobs": 100, "training_jobs": 10_000}, []),
        (4, 20, {"parallel_training_jobs": 3}, ["parallel-training-jobs"]),
    ],
)
def test_resource_limits_follow_the_quotas(parallel: int, total: int, quotas: Any, expected: list[str]) -> None:
    assert of_limits(limits(parallel, total), quotas) == expected


@pytest.mark.parametrize(
    ("parallel", "total", "fix"),
    [
        (20, 100, '"hpo:quotas": {"parallel_training_jobs": 20}'),
        (101, 400, "AWS raises this quota to 100 at most"),
        (2, 10_000, '"hpo:quotas": {"training_jobs": 10000}'),
        (2, 10_001, "AWS raises this quota to 10,000 at most"),
    ],
)
def test_the_fix_tells_the_line_to_write(parallel: int, total: int, fix: str) -> None:
    (finding,) = [
        found
        for found in check(request(limits(parallel, total)), {"instances_per_type": 999, "instances_total": 999})
        if found.severity.fails
    ]
    assert finding.severity is Severity.QUOTA
    assert fix in finding.fix


def test_messages_use_the_spelling_of_the_input() -> None:
    fragment = limits(6, 5)
    messages = [found.message for given in (declaration(fragment), request(fragment)) for found in check(given)]
    assert "max_parallel_training_jobs must be <= max_number_of_training_jobs, got 6 > 5" in messages
    assert "MaxParallelTrainingJobs must be <= MaxNumberOfTrainingJobs, got 6 > 5" in messages


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(120, []), (2_592_000, []), (2_592_001, ["tuning-run-time"]), (15_768_001, ["shape"]), (119, ["shape"])],
)
def test_run_time(seconds: int, expected: list[str]) -> None:
    fragment = f"resource_limits: {{max_runtime_in_seconds: {seconds}}}\n"
    fragment += "training_job_definition: {stopping_condition: {max_runtime_in_seconds: 100}}"
    assert of_limits(fragment) == expected


@pytest.mark.parametrize(
    "fragment",
    [
        GRID,
        "autotune: {mode: Enabled}\nresource_limits: {max_number_of_training_jobs: null}",
        "resource_limits: {max_number_of_training_jobs: null, max_number_of_trainin_jobs: 5}",
        "resource_limits: {max_number_of_training_jobs: five}",
    ],
)
def test_the_total_is_not_missed_where_it_follows_or_has_another_fault(fragment: str) -> None:
    assert "total-jobs-stated" not in rules_of(check(declaration(fragment)))


@pytest.mark.parametrize(
    ("resources", "nodes"),
    [
        ("{instance_count: 3}", 3),
        (
            "{instance_type: null, instance_count: null, instance_groups: ["
            "{instance_type: ml.m5.xlarge, instance_count: 2, instance_group_name: a}, "
            "{instance_type: ml.m5.large, instance_count: 3, instance_group_name: b}]}",
            5,
        ),
    ],
)
def test_nodes_are_counted(resources: str, nodes: int) -> None:
    for parallel in (nodes, nodes + 1):
        fragment = (
            f"resource_limits: {{max_parallel_training_jobs: {parallel}}}\n"
            f"training_job_definition: {{resource_config: {resources}}}"
        )
        assert ("parallel-within-nodes" in rules_of(check(declaration(fragment)))) is (parallel > nodes)


@pytest.mark.parametrize(
    ("parallel", "total", "advised"),
    [(1, 1, False), (1, 2, False), (2, 6, False), (2, 5, True), (3, 10, False), (4, 10, True), (5, 5, True)],
)
def test_a_bayesian_search_has_three_rounds(parallel: int, total: int, advised: bool) -> None:
    assert ("bayesian-parallel-advice" in of_limits(limits(parallel, total, "Bayesian"))) is advised
    assert "bayesian-parallel-advice" not in of_limits(limits(parallel, total, "Random"))


# --- combinations ---

integer_ranges = st.tuples(st.integers(-3, 3), st.integers(1, 6)).map(
    lambda pair: ("IntegerParameterRanges", pair[0], pair[0] + pair[1])
)
categorical_ranges = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4, unique=True).map(
    lambda values: ("CategoricalParameterRanges", values, None)
)
spaces = st.lists(st.one_of(integer_ranges, categorical_ranges), min_size=1, max_size=3)


def parameter_ranges(space: list[Any]) -> dict[str, list[dict[str, Any]]]:
    ranges: dict[str, list[dict[str, Any]]] = {}
    for number, (kind, first, second) in enumerate(space):
        entry = {"Name": f"p{number}"}
        entry |= {"Values": first} if second is None else {"MinValue": str(first), "MaxValue": str(second)}
        ranges.setdefault(kind, []).append(entry)
    return ranges


def enumerated(space: list[Any]) -> int:
    values = [first if second is None else range(first, second + 1) for _, first, second in space]
    return len(set(itertools.product(*values)))


def searching(searches: list[list[Any]], total: int | None, strategy: str = "Random") -> dict[str, Any]:
    """A request whose definitions search the given spaces."""
    own_image = {"TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:3", "TrainingInputMode": "File",
                 "MetricDefinitions": [{"Name": "m", "Regex": "m=([0-9.]+)"}]}  # fmt: skip
    body = request("{}", SEVERAL)
    base = body["TrainingJobDefinitions"][0]
    body["TrainingJobDefinitions"] = [
        base
        | {
            "DefinitionName": f"d{number}",
            "HyperParameterRanges": parameter_ranges(space),
            "StaticHyperParameters": {},
            "AlgorithmSpecification": own_image,
            "TuningObjective": {"MetricName": "m", "Type": "Maximize"},
        }
        for number, space in enumerate(searches)
    ]
    body[CONFIG]["Strategy"] = strategy
    body[CONFIG]["ResourceLimits"] = {"MaxParallelTrainingJobs": 1}
    if total is not None:
        body[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = total
    return body


@settings(max_examples=60, deadline=None)
@given(st.lists(spaces, min_size=1, max_size=3), st.integers(-1, 1))
def test_combinations_against_brute_force(searches: list[list[Any]], more: int) -> None:
    from hpo_constructs.rules.strategy import all_combinations

    count = sum(map(enumerated, searches))
    total = max(1, count + more)
    body = searching(searches, total)
    assert all_combinations(Job(Declaration(body, Form.REQUEST), state(None))) == count
    assert ("enough-combinations" in rules_of(check(body))) is (total > count)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(categorical_ranges, min_size=1, max_size=3), min_size=1, max_size=2), st.integers(-1, 1))
def test_a_grid_against_brute_force(searches: list[list[Any]], more: int) -> None:
    count = sum(map(enumerated, searches))
    total = max(1, count + more)
    rules = {"grid-count", "grid-total", "total-training-jobs", "enough-combinations", "total-jobs-stated"}
    assert rules.isdisjoint(rules_of(check(searching(searches, None, "Grid"))))
    stated = rules.intersection(rules_of(check(searching(searches, total, "Grid"))))
    assert stated == (set() if total == count else {"grid-count"})
    low = {"training_jobs": count - 1}
    assert rules.intersection(rules_of(check(searching(searches, None, "Grid"), low))) == {"grid-total"}
    assert rules.intersection(rules_of(check(searching(searches, count, "Grid"), low))) == {"total-training-jobs"}


@pytest.mark.parametrize(
    "ranges",
    [
        "{eta: {type: Continuous, min_value: 0.1, max_value: 0.2}, max_depth: ['3']}",
        "{eta: null, max_depth: {type: Integer, min_value: 9, max_value: 3}}",
        "{eta: null, max_depth: {type: Integer, min_value: 3.5, max_value: 4}}",
        "{eta: null, max_depth: {type: Integer, min_value: '${Token[Low.1]}', max_value: 4}}",
        "{eta: null, max_depth: ['3', '${Token[Depth.1]}']}",
        "{eta: null, max_depth: null}",
        # A range that is not readable may be the one that makes the space large enough.
        "{eta: {type: Contnuous, min_value: 0.1, max_value: 0.2}}",
    ],
)
def test_spaces_without_number_and_unreadable_ones_are_not_counted(ranges: str) -> None:
    assert "enough-combinations" not in rules_of(check(declaration(f"hyperparameter_ranges: {ranges}")))


def test_a_misspelled_list_of_ranges_is_one_fault() -> None:
    body = request()
    ranges = body[CONFIG]["ParameterRanges"]
    ranges["ContinuousParameterRange"] = ranges.pop("ContinuousParameterRanges")
    assert rules_of(check(body)) == ["shape"]


def test_a_grid_with_other_ranges_is_one_fault_for_each() -> None:
    findings = check(declaration("strategy: Grid\nresource_limits: {max_number_of_training_jobs: 20}"))
    assert [(found.rule, found.path) for found in findings if found.severity.fails] == [
        ("grid-categorical", "hyperparameter_ranges.eta"),
        ("grid-categorical", "hyperparameter_ranges.max_depth"),
    ]


# --- early stopping, Hyperband ---


def algorithm_request(name: str, metric: str, fragment: str) -> dict[str, Any]:
    body = request(fragment)
    account = "683313688378" if name == "xgboost" else "382416733822"
    repository = "sagemaker-xgboost:1.7-1" if name == "xgboost" else f"{name}:1"
    image = f"{account}.dkr.ecr.us-east-1.amazonaws.com/{repository}"
    body["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = image
    body[CONFIG]["HyperParameterTuningJobObjective"]["MetricName"] = metric
    return body


@pytest.mark.parametrize(
    ("name", "metric", "warned"),
    [
        ("xgboost", "validation:auc", False),
        ("linear-learner", "validation:objective_loss", False),
        ("linear-learner", "test:binary_classification_accuracy", True),
        ("kmeans", "test:msd", True),
    ],
)
def test_early_stopping_support(name: str, metric: str, warned: bool) -> None:
    body = algorithm_request(name, metric, "training_job_early_stopping_type: 'Auto'")
    assert ("early-stopping-support" in rules_of(check(body))) is warned


def test_an_image_in_an_account_of_ones_own_is_not_judged() -> None:
    body = algorithm_request("kmeans", "test:msd", HYPERBAND + "training_job_early_stopping_type: 'Off'")
    definition = body["TrainingJobDefinition"]["AlgorithmSpecification"]
    definition["TrainingImage"] = "123456789012.dkr.ecr.us-east-1.amazonaws.com/knn:1"
    assert "hyperband-iterative" not in rules_of(check(body))


@pytest.mark.parametrize("name", [name for name in builtin_names() if builtin(name).own_image and name != "xgboost"])  # type: ignore[union-attr]
def test_hyperband_refuses_just_the_algorithms_without_iterations(name: str) -> None:
    algorithm = builtin(name)
    assert algorithm is not None
    body = algorithm_request(name, "m", HYPERBAND)
    body["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingImage"] = (
        f"{_account(name)}.dkr.ecr.us-east-1.amazonaws.com/{_repository(name)}"
    )
    assert ("hyperband-iterative" in rules_of(check(body))) is (name in {"knn", "lda", "pca"})


def _uri(name: str) -> str:
    from hpo_constructs.catalog import image_uri

    return image_uri(name, "us-east-1")


def _account(name: str) -> str:
    return _uri(name).partition(".")[0]


def _repository(name: str) -> str:
    return _uri(name).rpartition("/")[2]


@pytest.mark.parametrize(
    ("fragment", "base", "expected"),
    [
        ("training_job_early_stopping_type: 'Auto'", SEVERAL, ["early-stopping-single"]),
        (HYPERBAND + "training_job_early_stopping_type: 'Auto'", SEVERAL, ["hyperband-early-stopping-off"]),
        (HYPERBAND + "training_job_early_stopping_type: 'Off'", SEVERAL, []),
        (HYPERBAND, SINGLE, []),
        ("strategy: Random\nstrategy_config: {}", SINGLE, ["hyperband-config-only"]),
        ("strategy: Bayes\nstrategy_config: {}", SINGLE, ["shape"]),
        # Resources.
        ("strategy: Hyperband", SINGLE, ["hyperband-max-inferable"]),
        ("strategy: Hyperband", SEVERAL, ["hyperband-max-inferable"]),
        ("strategy: Hyperband\nstrategy_config: {}", SINGLE, ["hyperband-max-inferable"]),
        ("strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {}}", SINGLE, ["hyperband-max-inferable"]),
        ("strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {max_resorce: 9}}", SINGLE, ["shape"]),
        ("strategy: Hyperband\nstrategy_cofig: {}", SINGLE, ["shape"]),
        ("strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {max_resource: 20000}}", SINGLE, []),
        (
            "strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {max_resource: 20001}}",
            SINGLE,
            ["hyperband-resources"],
        ),
        (
            "strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {min_resource: 9, max_resource: 8}}",
            SINGLE,
            ["hyperband-resources"],
        ),
        (
            "strategy: Hyperband\nstrategy_config: {hyperband_strategy_config: {min_resource: 9, max_resource: 0}}",
            SINGLE,
            ["shape"],
        ),
    ],
)
def test_hyperband_and_early_stopping(fragment: str, base: str, expected: list[str]) -> None:
    for given_form in (declaration(fragment, base), request(fragment, base)):
        if isinstance(given_form, dict) and expected == ["shape"]:
            continue  # a misspelled key of a template is another one in a request
        assert [found.rule for found in check(given_form) if found.severity.fails] == expected


@pytest.mark.parametrize("name", ["epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs"])
def test_the_most_resource_is_inferred(name: str) -> None:
    body = request("strategy: Hyperband")
    body["TrainingJobDefinition"]["StaticHyperParameters"] |= {name: "10"}
    assert "hyperband-max-inferable" not in rules_of(check(body))


def test_a_searched_resource_that_cannot_be_inferred_is_one_fault() -> None:
    fragment = (
        "strategy: Hyperband\ntraining_job_definition: {static_hyperparameters: {num_round: null}}\n"
        "hyperparameter_ranges: {num_round: {type: Integer, min_value: 10, max_value: 100}}"
    )
    hyperband = [name for name in rules_of(check(declaration(fragment))) if name.startswith("hyperband")]
    assert hyperband == ["hyperband-max-inferable"]


# --- the rest ---


@pytest.mark.parametrize(
    ("seed", "expected"), [(0, []), (2**32 - 1, []), (2**32, ["random-seed-range"]), (-1, ["random-seed-range"])]
)
def test_random_seeds(seed: int, expected: list[str]) -> None:
    assert rules_of(check(declaration(f"random_seed: {seed}"))) == expected


@pytest.mark.parametrize(
    ("metric", "direction", "target", "warned"),
    [
        ("validation:auc", "Maximize", 1.0, False),
        ("validation:auc", "Maximize", 1.01, True),
        ("validation:auc", "Maximize", 0.0, True),
        ("validation:rmse", "Minimize", 0.0, False),
        ("validation:rmse", "Minimize", 250.0, False),
        ("validation:rmse", "Minimize", -0.1, True),
        ("validation:error", "Minimize", 0.1, False),
        ("validation:error", "Minimize", 1.0, True),
        # Against the metric's own direction another rule speaks.
        ("validation:auc", "Minimize", 2.0, False),
    ],
)
def test_targets(metric: str, direction: str, target: float, warned: bool) -> None:
    fragment = f"""
objective: {{metric_name: "{metric}", type: {direction}}}
tuning_job_completion_criteria: {{target_objective_metric_value: {target}}}
"""
    assert ("completion-target-direction" in rules_of(check(declaration(fragment)))) is warned


def test_the_target_of_an_own_container_is_not_judged() -> None:
    body = request("tuning_job_completion_criteria: {target_objective_metric_value: 95}")
    body["TrainingJobDefinition"]["AlgorithmSpecification"] |= {
        "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:3",
        "MetricDefinitions": [{"Name": "validation:auc", "Regex": "auc=([0-9.]+)"}],
    }
    assert "completion-target-direction" not in rules_of(check(body))


@pytest.mark.parametrize(
    ("number", "expected"), [(2, ["completion-not-improving"]), (3, []), (19, []), (20, ["completion-not-improving"])]
)
def test_jobs_without_improvement(number: int, expected: list[str]) -> None:
    fragment = (
        "tuning_job_completion_criteria: "
        f"{{best_objective_not_improving: {{max_number_of_training_jobs_not_improving: {number}}}}}"
    )
    assert rules_of(check(declaration(fragment))) == expected


@pytest.mark.parametrize(
    ("autotune", "hint", "expected"),
    [
        ("autotune: {mode: Enabled}", "4", []),
        ("autotune: {mode: Enabled}", "1e-5", []),
        ("autotune: {mode: Enabled}", "gbtree", [("auto-parameter-hint", Severity.WARNING)]),
        ("autotune: {mode: Enabled}", "nan", [("auto-parameter-hint", Severity.ERROR)]),
        ("autotune: {mode: Enabled}", "-Infinity", [("auto-parameter-hint", Severity.ERROR)]),
        ("autotune: {mode: Enabled}", "${Token[Hint.1]}", []),
        ("{}", "4", [("autotune-mode", Severity.ERROR)]),
        ("autotune: {mode: Disabled}", "4", [("shape", Severity.ERROR)]),
        ("autotun: {mode: Enabled}", "4", [("shape", Severity.ERROR)]),
    ],
)
def test_autotune(autotune: str, hint: str, expected: list[tuple[str, Severity]]) -> None:
    fragment = {} if autotune == "{}" else yaml.safe_load(autotune)
    fragment |= {"hyperparameter_ranges": {"gamma": {"type": "Auto", "value_hint": hint}}}
    findings = check(declaration(yaml.safe_dump(fragment)))
    assert [(found.rule, found.severity) for found in findings] == expected
