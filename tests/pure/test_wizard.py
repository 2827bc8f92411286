"""The wizard's core: a draft always says what its template says, and its findings are those of `hpo check`."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo_constructs.catalog import builtin
from hpo_constructs.documents import find_files, read, read_text
from hpo_constructs.errors import CatalogError, HpoError, SpecError
from hpo_constructs.rules import check
from hpo_constructs.rules.examples import SEVERAL, SINGLE
from hpo_constructs.spec.declaration import Declaration
from hpo_constructs.wizard import Draft, DraftFinding, Field, Kind, tunable_algorithms
from hpo_constructs.wizard.fields import DEFINITION, JOB, LIMITS
from hpo_constructs.wizard.paths import locate, range_text, read_range, read_value

from .strategies import requests

ROOT = Path(__file__).parents[2]
GOOD = sorted((ROOT / "tests/corpus/good").iterdir())
EXAMPLES = [path for path in find_files(ROOT / "examples") if path.suffix == ".yaml"]
DEFINED = "training_job_definition"

# What only a user's data decides, for every built-in algorithm.
DATA_SPECIFIC = {
    "feature_dim": "20",
    "k": "5",
    "mini_batch_size": "256",
    "num_classes": "10",
    "num_training_samples": "5000",
    "num_topics": "12",
    "prediction_length": "14",
    "time_freq": "D",
    "enc0_max_seq_len": "40",
    "enc0_vocab_size": "3000",
}
FRAMEWORK_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-cpu-py310"


def churn() -> Draft:
    """A draft with every answer."""
    draft = Draft.for_builtin("xgboost", "churn")
    answer(draft)
    return draft


def answer(draft: Draft) -> None:
    """Give what a built-in algorithm cannot know of the data."""
    for _ in range(3):  # an answer can bring up another question
        for item in questions(draft):
            if item.text or not item.required or item.applies is not None:
                continue
            if item.path.endswith("s3_uri"):
                draft.set(item.path, f"s3://data/{item.path.split('.')[-2]}/")
            elif item.path.endswith("s3_output_path"):
                draft.set(item.path, "s3://models/churn/")
            elif item.path.endswith("training_image"):
                draft.set(item.path, FRAMEWORK_IMAGE)
            elif item.path.endswith("metric_definitions"):
                draft.set(f"{item.path}.{draft.get('objective.metric_name')}", "metric=([0-9.]+)")
            elif item.title in DATA_SPECIFIC:
                draft.set(item.path, DATA_SPECIFIC[item.title])


def questions(draft: Draft) -> list[Field]:
    """Every field of a draft, those in rows included."""
    return [item for step in draft.steps() for field in step.fields for item in field.below()]


def declared(draft: Draft) -> Declaration:
    """What the draft's template declares."""
    (declaration,) = read_text(draft.template(), "template.yaml")
    return declaration


def exact(request: dict[str, Any]) -> str:
    """A request in a form in which 1, 1.0 and true differ; that nothing is searched of a kind needs no list."""
    request = json.loads(json.dumps(request))
    several = request.get("TrainingJobDefinitions")
    config = request.get("HyperParameterTuningJobConfig", {})
    holders = [(config, "ParameterRanges"), *((item, "HyperParameterRanges") for item in several or [])]
    for holder, key in holders:
        if key in holder:
            holder[key] = {kind: ranges for kind, ranges in holder[key].items() if ranges}
    return json.dumps(request, sort_keys=True)


def told(found: list[DraftFinding]) -> list[tuple[str, str, str, int | None]]:
    """Findings as comparable facts."""
    return [
        (item.finding.rule, item.finding.path, item.finding.message, item.finding.line)
        for item in sorted(found, key=lambda each: each.finding.path)
    ]


def checked(text: str) -> list[tuple[str, str, str, int | None]]:
    """The findings of `hpo check` on a file with this text."""
    found = check(read_text(text, "template.yaml"))
    return [(item.rule, item.path, item.message, item.line) for item in sorted(found, key=lambda each: each.path)]


# Every built-in algorithm


def test_all_tunable_algorithms_are_offered() -> None:
    assert len(tunable_algorithms()) >= 20
    assert "pca" not in tunable_algorithms()  # the guide names nothing of it to tune


@pytest.mark.parametrize("name", tunable_algorithms())
def test_a_built_in_algorithm_needs_only_what_the_data_decides(name: str) -> None:
    draft = Draft.for_builtin(name, "churn")
    begun = draft.findings()
    assert {item.missing for item in begun} == {True}, told(begun)
    assert all(item.field and not item.shown for item in begun)
    answer(draft)
    assert told(draft.findings()) == []
    assert checked(draft.template()) == []
    facts = builtin(name)
    assert facts is not None
    assert draft.get("objective.type") == facts.objective_metrics[draft.get("objective.metric_name")]
    for field in questions(draft):
        if field.kind is Kind.RANGE:
            assert read_range(field.text, field.title, facts.hyperparameter_type(field.title)) is not None


@pytest.mark.parametrize("name", tunable_algorithms())
def test_every_row_that_a_table_offers_can_be_added(name: str) -> None:
    draft = Draft.for_builtin(name, "churn")
    answer(draft)
    for table in (field for field in questions(draft) if field.is_table):
        for choice in table.choices:
            added = draft.copy()
            if choice.start:
                added.set(f"{table.path}.{choice.value}", choice.start)
                assert added.field(table.path).rows[-1].name == choice.value
                assert declared(added).faults == ()


def test_the_image_is_the_regions_own() -> None:
    draft = Draft.for_builtin("xgboost", "churn", region="eu-central-1", version="1.7-1")
    assert "eu-central-1" in draft.get(f"{DEFINED}.algorithm_specification.training_image")
    assert draft.algorithm(0).version == "1.7-1"
    with pytest.raises(CatalogError, match="mars-1"):
        Draft.for_builtin("xgboost", "churn", region="mars-1")
    with pytest.raises(CatalogError, match="did you mean xgboost"):
        Draft.for_builtin("xgbost", "churn")
    with pytest.raises(CatalogError, match="no documented metrics or ranges"):
        Draft.for_builtin("pca", "churn")


def test_an_algorithm_without_cpu_training_begins_on_a_gpu() -> None:
    draft = Draft.for_builtin("image-classification", "images")
    assert draft.get(f"{DEFINED}.resource_config.instance_type").startswith("ml.g")
    draft.use_builtin(0, "xgboost")
    assert draft.field(f"{DEFINED}.resource_config.instance_type").default == "ml.m5.xlarge"


# Clones


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES], ids=lambda path: path.name)
def test_a_clone_says_what_its_source_says(path: Path) -> None:
    for source in read(path):
        draft = Draft.from_text(path.read_text(encoding="utf-8"), path.name, job=source.name)
        assert (draft.name, draft.origin) == ("", source.name)
        assert any(item.missing and item.field == "name" for item in draft.findings())
        assert draft.suggested_name and len(draft.suggested_name) <= 21
        draft.set("name", source.name)
        assert exact(declared(draft).request) == exact(source.request)
        assert told(draft.findings()) == checked(draft.template())
        assert sorted(rule for rule, *_ in checked(draft.template())) == sorted(item.rule for item in check(source))


def test_a_clone_of_a_describe_answer_leaves_out_what_the_service_added() -> None:
    (source,) = read_text(SINGLE, "single.yaml")
    answered = json.loads(json.dumps(source.request))
    answered["HyperParameterTuningJobName"] = "churn-1f0c2a9b7d"
    answered["HyperParameterTuningJobConfig"]["ParameterRanges"]["CategoricalParameterRanges"] = []
    answered["TrainingJobDefinition"]["StaticHyperParameters"]["_tuning_objective_metric"] = "validation:auc"
    answered |= {
        "HyperParameterTuningJobArn": "arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/churn",
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": datetime(2026, 1, 1, tzinfo=UTC),
        "TrainingJobStatusCounters": {"Completed": 10},
        "ObjectiveStatusCounters": {"Succeeded": 10},
        "BestTrainingJob": {"TrainingJobName": "churn-001"},
    }
    draft = Draft.from_describe(answered)
    assert (draft.name, draft.suggested_name) == ("", "churn-2")
    assert [row.name for row in draft.field("hyperparameter_ranges").rows] == ["eta", "max_depth"]
    draft.set("name", source.name)
    assert exact(declared(draft).request) == exact(source.request)
    assert "# " in draft.template() and "Cloned from churn-1f0c2a9b7d" in draft.template()


def test_a_clone_of_a_file_with_several_jobs_has_to_choose() -> None:
    text = "tuning_jobs:\n  - {name: a, strategy: Random}\n  - {name: b, strategy: Bayesian}\nquotas: aws-2026\n"
    with pytest.raises(SpecError, match="2 tuning jobs; choose one of: a, b"):
        Draft.from_text(text, "two.yaml")
    with pytest.raises(SpecError, match="no tuning job 'c'; choose one of: a, b"):
        Draft.from_text(text, "two.yaml", job="c")
    draft = Draft.from_text(text, "two.yaml", job="b")
    assert (draft.get("strategy"), draft.get("quotas")) == ("Bayesian", "aws-2026")


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(requests())
def test_a_clone_of_any_request(source: dict[str, Any]) -> None:
    draft = Draft.from_text(json.dumps(source), "request.json", name=source["HyperParameterTuningJobName"])
    again = Draft.from_dict(json.loads(json.dumps(draft.to_dict())))
    assert exact(declared(again).request) == exact(source)
    again.steps()
    assert told(again.findings()) == checked(again.template())


# Setting values


@pytest.mark.parametrize(
    ("path", "typed", "value"),
    [
        ("strategy", "hyperband", "Hyperband"),
        ("random_seed", "4,711", 4711),
        ("tags", "team=risk, stage=dev", {"team": "risk", "stage": "dev"}),
        ("tags.cost.centre", "4711", "4711"),
        (f"{DEFINED}.enable_managed_spot_training", "yes", True),
        (f"{DEFINED}.static_hyperparameters.eta", "1e-05", "1e-05"),
        (f"{DEFINED}.static_hyperparameters", {"gamma": 0.1, "verbose": True}, {"gamma": "0.1", "verbose": "true"}),
        (f"{DEFINED}.vpc_config.subnets", "subnet-1, subnet-2", ["subnet-1", "subnet-2"]),
        (f"{DEFINED}.input_data_config.test", "s3://data/test/", {"s3_uri": "s3://data/test/"}),
        (f"{DEFINED}.input_data_config.a.b.s3_uri", "s3://data/", None),
        ("tuning_job_completion_criteria.target_objective_metric_value", "0.95", 0.95),
        ("warm_start_config.parent_hyperparameter_tuning_jobs", "a-1, b-2", ["a-1", "b-2"]),
        ("hyperparameter_ranges.gamma", "1 to 5", {"type": "Continuous", "min_value": "1", "max_value": "5"}),
        ("hyperparameter_ranges.max_depth", "3 to 9", {"type": "Integer", "min_value": "3", "max_value": "9"}),
        ("hyperparameter_ranges.booster", "gbtree, dart", ["gbtree", "dart"]),
        (
            "hyperparameter_ranges.eta",
            "0.01 to 0.5 log",
            {"type": "Continuous", "min_value": "0.01", "max_value": "0.5", "scaling_type": "Logarithmic"},
        ),
        ("hyperparameter_ranges.model.rate", "2 to 5", {"type": "Integer", "min_value": "2", "max_value": "5"}),
        ("hyperparameter_ranges.lambda", "auto 2", {"type": "Auto", "value_hint": "2"}),
        ("run.overlap", "skip", "skip"),
        ("quotas.parallel_training_jobs", "40", 40),
    ],
)  # fmt: skip
def test_values_as_people_type_them(path: str, typed: Any, value: Any) -> None:
    draft = churn()
    if value is None:
        with pytest.raises(SpecError):
            draft.set(path, typed)
        return
    draft.set(path, typed)
    assert draft.get(path) == value
    assert declared(draft).faults == ()
    draft.set(path, "")
    assert draft.get(path) is None


@pytest.mark.parametrize(
    ("path", "typed", "message"),
    [
        ("random_seed", "seven", "random_seed must be a whole number such as 10, got 'seven'"),
        ("random_seed", "1.5", "must be a whole number"),
        (f"{DEFINED}.enable_network_isolation", "perhaps", "enable_network_isolation must be yes or no, got 'perhaps'"),
        ("tuning_job_completion_criteria.target_objective_metric_value", "high", "must be a number such as 0.9"),
        ("hyperparameter_ranges.eta", "0.1 to", "eta must be a range such as 0.1 to 0.5"),
        ("hyperparameter_ranges.eta", "a to b", "a bound of eta must be a number"),
        ("hyperparameter_ranges.eta", "0.1 to 0.5 cubic", "the scaling of eta must be one of Auto, Linear"),
        ("hyperparameter_ranges.eta", {"min_value": 0.1}, "type of eta must be one of"),
        ("tags", "team", "tags must be names with values such as a=1, b=2, got 'team'"),
        ("resource_limits.max_paralel_training_jobs", "1", "did you mean max_parallel_training_jobs?"),
        ("strategi", "Grid", "did you mean strategy?"),
        ("run.overlap", "sometimes", "overlap must be one of queue, skip, allow"),
        ("quotas.edition", "newest", "newest"),
        ("strategy.name", "x", "strategy is one value"),
        (f"{DEFINED}.input_data_config.train.s3_url", "x", "did you mean s3_uri?"),
        (f"{DEFINED}", "{}", "is a whole definition"),
        ("training_job_definitions[0].role_arn", "x", "write training_job_definition here"),
        ("warm_start_config.parent_hyperparameter_tuning_jobs[3]", "x", "the next index is [0], got [3]"),
        ("", "x", "is no path of a template"),
        ("..", "x", "is no path of a template"),
    ],
)
def test_what_cannot_be_read_leaves_the_draft_as_it_was(path: str, typed: Any, message: str) -> None:
    draft = churn()
    before = draft.to_dict()
    with pytest.raises(SpecError) as raised:
        draft.set(path, typed)
    assert message in str(raised.value)
    assert "Traceback" not in str(raised.value) and not str(raised.value).endswith(".")
    assert draft.to_dict() == before


def test_a_wrong_value_is_taken_and_found() -> None:
    draft = churn()
    draft.set("strategy", "Baysian")
    draft.set("resource_limits.max_parallel_training_jobs", 99)
    draft.set("hyperparameter_ranges.eta", "0.5 to 0.1")
    fields = {item.field: item for item in draft.findings() if item.finding.severity.fails}
    assert {"strategy", "resource_limits.max_parallel_training_jobs", "hyperparameter_ranges.eta"} == set(fields)
    assert not any(item.missing for item in fields.values())
    assert {item.step for item in fields.values()} == {"job", "limits", "definition-0"}


def test_findings_are_shown_where_the_user_has_been() -> None:
    draft = Draft.new()
    assert not any(item.shown for item in draft.findings())
    draft.reach("job")
    assert {item.step for item in draft.findings() if item.shown} == {"job"}
    draft.reach("review")
    assert all(item.shown for item in draft.findings())


def test_a_built_in_metric_brings_its_direction() -> None:
    draft = churn()
    draft.set("objective.metric_name", "validation:rmse")
    assert draft.get("objective.type") == "Minimize"


def test_what_depends_on_other_answers() -> None:
    draft = churn()

    def applies(path: str) -> bool:
        return draft.field(path).applies is None

    wait = f"{DEFINED}.stopping_condition.max_wait_time_in_seconds"
    assert not applies("strategy_config.hyperband_strategy_config.max_resource") and not applies(wait)
    assert not applies("warm_start_config.parent_hyperparameter_tuning_jobs")
    draft.set("strategy", "Hyperband")
    draft.set("warm_start_config.warm_start_type", "TransferLearning")
    draft.set(f"{DEFINED}.enable_managed_spot_training", "yes")
    assert applies("strategy_config.hyperband_strategy_config.max_resource") and applies(wait)
    assert applies("warm_start_config.parent_hyperparameter_tuning_jobs")
    assert not applies("training_job_early_stopping_type")
    assert draft.field(wait).required
    draft.set("strategy", "Grid")
    assert not applies("resource_limits.max_number_of_training_jobs")
    assert not applies("tuning_job_completion_criteria.target_objective_metric_value")
    assert not applies(f"{DEFINED}.algorithm_specification.metric_definitions")
    draft.use_image(0, "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:1")
    assert applies(f"{DEFINED}.algorithm_specification.metric_definitions")
    draft.use_algorithm(0, f"arn:aws:sagemaker:us-east-1:123456789012:algorithm/forecast-{'0a' * 16}")
    assert draft.get(f"{DEFINED}.enable_network_isolation") is True
    assert not applies(f"{DEFINED}.algorithm_specification.training_image")


# Definitions


def test_a_second_definition_moves_objective_and_ranges_and_back() -> None:
    draft = churn()
    objective, ranges = draft.get("objective"), draft.get("hyperparameter_ranges")
    assert draft.add_definition("linear-learner") == 1
    assert draft.get("objective") is None and draft.get("hyperparameter_ranges") is None
    first, second = (draft.definition_path(index) for index in (0, 1))
    assert draft.get(f"{first}.tuning_objective") == objective
    assert draft.get(f"{first}.hyperparameter_ranges") == ranges
    assert [draft.get(f"{path}.definition_name") for path in (first, second)] == ["xgboost", "linear-learner"]
    assert draft.get(f"{second}.output_data_config.s3_output_path") == "s3://models/churn/"
    answer(draft)
    assert told(draft.findings()) == []
    assert draft.clone_definition(0) == 2
    assert draft.get(f"{draft.definition_path(2)}.definition_name") == "xgboost-2"
    draft.remove_definition(2)
    draft.remove_definition(1)
    assert draft.get("objective") == objective and draft.get("hyperparameter_ranges") == ranges
    assert draft.get(DEFINED)["resource_config"] and not draft.several
    with pytest.raises(SpecError, match="at least one definition"):
        draft.remove_definition(0)


def test_there_are_at_most_ten_definitions() -> None:
    draft = churn()
    for _ in range(9):
        draft.clone_definition(0)
    before = draft.to_dict()
    with pytest.raises(SpecError, match="at most 10 definitions"):
        draft.add_definition()
    with pytest.raises(CatalogError):
        draft.add_definition("nothing-like-it")
    assert draft.to_dict() == before


def test_a_wrong_algorithm_adds_no_definition() -> None:
    draft = churn()
    before = draft.to_dict()
    with pytest.raises(CatalogError):
        draft.add_definition("nothing-like-it")
    assert draft.to_dict() == before


# Any sequence of changes

PATHS = [
    "name",
    "strategy",
    "random_seed",
    "objective.metric_name",
    "tags.team",
    "hyperparameter_ranges.eta",
    "hyperparameter_ranges.max_depth.scaling_type",
    "resource_limits.max_parallel_training_jobs",
    "training_job_early_stopping_type",
    "tuning_job_completion_criteria.target_objective_metric_value",
    "warm_start_config.parent_hyperparameter_tuning_jobs",
    *(f"{{definition}}.{rest}" for rest in (
        "static_hyperparameters.eta",
        "input_data_config.train.s3_uri",
        "input_data_config.extra",
        "resource_config.instance_type",
        "resource_config",
        "enable_managed_spot_training",
        "tuning_objective.type",
        "hyperparameter_ranges.gamma",
        "environment.LEVEL",
        "output_data_config.s3_output_path",
    )),
]  # fmt: skip
VALUES = ["", None, "1", "0.10", "1e-05", "yes", "Random", "grid", "a, b", "0.1 to 0.5 log", "s3://data/x/", "{a: 1}",
          "[1, 2]", "ml.m5.large", "${AWS::Region}", "null", "\u2028", "a: #b", "😀", "x" * 300, 7, 0.5, True, ["a"],
          {"b": "c"}]  # fmt: skip
Change = Callable[[Draft, int], None]


def setting(path: str, value: Any) -> Change:
    """A change that sets a value."""
    return lambda draft, index: draft.set(path.replace("{definition}", draft.definition_path(index)), value)


CHANGES: list[st.SearchStrategy[Change]] = [
    st.builds(setting, st.sampled_from(PATHS), st.sampled_from(VALUES) | st.text(max_size=12)),
    st.sampled_from(["xgboost", "kmeans", None]).map(lambda name: lambda draft, _: draft.add_definition(name)),
    st.sampled_from(["xgboost", "lda"]).map(lambda name: lambda draft, index: draft.use_builtin(index, name)),
    st.just(lambda draft, index: draft.clone_definition(index)),
    st.just(lambda draft, index: draft.remove_definition(index)),
    st.just(lambda draft, index: draft.use_image(index, "mine:1")),
    st.just(lambda draft, index: draft.use_algorithm(index, "my-algorithm")),
]  # fmt: skip
BEGINNINGS = [churn, Draft.new, lambda: Draft.from_text(SEVERAL), lambda: Draft.from_text(SINGLE, name="again")]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(BEGINNINGS),
    st.lists(st.tuples(st.one_of(CHANGES), st.integers(0, 3)), max_size=8),
)
def test_any_sequence_of_changes(beginning: Callable[[], Draft], changes: list[tuple[Change, int]]) -> None:
    draft = beginning()
    earlier = draft.copy()
    for change, index in changes:
        before = draft.to_dict()
        try:
            change(draft, index % draft.definition_count)
        except HpoError as error:
            assert str(error) and "Traceback" not in str(error)
            assert draft.to_dict()["template"] == before["template"] or "use_" in str(change)
    assert told(draft.findings()) == checked(draft.template())
    again = Draft.from_dict(json.loads(json.dumps(draft.to_dict())))
    assert again.template() == draft.template()
    assert declared(again).request == declared(Draft.from_text(draft.template(), name=draft.name)).request
    paths = [field.path for field in questions(draft)]
    assert len(paths) == len(set(paths))
    assert earlier.template() == beginning().template()


@pytest.mark.parametrize("path", [*GOOD, *EXAMPLES], ids=lambda path: path.name)
def test_every_answer_can_be_taken_as_it_stands(path: Path) -> None:
    for source in read(path):
        draft = Draft.from_text(path.read_text(encoding="utf-8"), path.name, job=source.name, name=source.name)
        for field in questions(draft):
            if field.text and not field.is_table:
                draft.set(field.path, field.text)
        assert exact(declared(draft).request) == exact(source.request)


# The template, and drafts as data


def test_the_template_explains_itself() -> None:
    text = churn().template()
    assert "strategy: Bayesian  # Bayesian, Random, Hyperband or Grid" in text
    assert "# The same in every training job." in text
    assert max(map(len, text.splitlines())) <= 120
    assert checked(text) == []


@pytest.mark.parametrize("topic", [*JOB, *DEFINITION, *LIMITS], ids=lambda topic: topic.path)
def test_every_question_has_its_place_and_its_help(topic: Any) -> None:
    path = topic.path if topic not in DEFINITION else f"{DEFINED}.{topic.path}"
    assert locate(path, {}).path == path
    assert topic.help.endswith(".") and topic.page.startswith("https://docs.aws.amazon.com/sagemaker/")
    if topic.example and topic.kind.value not in {"values", "ranges", "channels"}:
        assert read_value(topic.example, locate(path, {})) is not None
    if topic.kind is Kind.CHOICE and not topic.open:
        shape = locate(path, {}).shape
        assert shape is not None and {choice.value for choice in topic.choices} <= set(shape.enum)


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"version": 1, "template": []},
        {"version": 2, "template": {}},
        {"version": 1, "template": {"name": "x"}, "reached": "job"},
        {"version": 1, "template": {"name": "x"}, "reached": [1]},
        {"version": 1, "template": {"nam": "x"}},
        {"version": 1, "template": {"defaults": {}}},
        {"version": 1, "template": {"name": "x", "training_job_definitions": []}},
        {"version": 1, "template": {"name": "x", "training_job_definitions": [1]}},
        {"version": 1, "template": {"name": "x", "training_job_definitions": {"clone": "x"}}},
        {"version": 1, "template": {"name": "x", "training_job_definition": "y"}},
        {"version": 1, "template": {"name": "x", "run": {"overlap": "never"}}},
        {"version": 1, "template": {"name": "x", "random_seed": float("nan")}},
    ],
    ids=str,
)
def test_what_is_no_draft_is_refused(data: Any) -> None:
    with pytest.raises(SpecError):
        Draft.from_dict(data)


@pytest.mark.parametrize(
    "value", [{"type": "Continuous", "min_value": 0.1, "max_value": 1}, ["a", "b"], {"values": [1]}]
)
def test_a_range_is_typed_as_it_is_shown(value: Any) -> None:
    assert range_text(read_range(range_text(value), "x")) == range_text(value)
