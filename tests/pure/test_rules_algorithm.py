"""The rules about the algorithm: tables of cases beside each rule's own examples, in both forms of the input."""

import copy
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_constructs.catalog import builtin, builtin_names, image_uri
from hpo_constructs.documents.files import read_text
from hpo_constructs.quotas import state
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.builtins import Source, trainer_of
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.rules.job import Job
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"
SPECIFICATION = "TrainingJobDefinition.AlgorithmSpecification"
US_EAST = "683313688378.dkr.ecr.us-east-1.amazonaws.com"
XGBOOST = f"{US_EAST}/sagemaker-xgboost:1.7-1"
OWN = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7"
PYTORCH = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.1.0-cpu-py310"
MARKETPLACE = "arn:aws:sagemaker:us-east-1:865070037744:algorithm/trees-15423055-57b73412d2e93e9239e4e16f83298b8f"
LOSS = {"Name": "loss", "Regex": "Loss = (.*?);"}


def base_request(image: str | None = XGBOOST, metrics: Any = None, objective: str = "validation:auc") -> dict[str, Any]:
    (declaration,) = read_text(SINGLE, "base.yaml")
    request = copy.deepcopy(declaration.request)
    specification = request["TrainingJobDefinition"]["AlgorithmSpecification"]
    del specification["TrainingImage"]
    if image is not None:
        specification["TrainingImage"] = image
    if metrics is not None:
        specification["MetricDefinitions"] = metrics
    request[CONFIG]["HyperParameterTuningJobObjective"]["MetricName"] = objective
    return request


def template(fragment: str, several: bool = False) -> list[Declaration]:
    base = yaml.safe_load(SEVERAL if several else SINGLE)
    return read_text(yaml.safe_dump(laid_over(base, yaml.safe_load(fragment)), sort_keys=False), "t.yaml")


def known(findings: list[Finding]) -> list[Finding]:
    """The findings without those that only tell that a value is known at deployment."""
    return [f for f in findings if f.severity is not Severity.UNKNOWN]


def rules_of(findings: list[Finding]) -> list[str]:
    return [f.rule for f in known(findings)]


@pytest.mark.parametrize(
    ("image", "metrics", "source"),
    [
        (XGBOOST, None, Source.BUILT_IN),
        ("382416733822.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", None, Source.BUILT_IN),
        ("683313688378.dkr.ecr.${AWS::Region}.amazonaws.com/sagemaker-xgboost:1.7-1", [LOSS], Source.BUILT_IN),
        (f"${{Token[TOKEN.9]}}.dkr.ecr.{'${Token[AWS.Region.4]}'}.amazonaws.com/kmeans:1", None, Source.BUILT_IN),
        ("${Registry}/kmeans:1", [LOSS], Source.UNKNOWN),
        ("${Token[TOKEN.9]}", [LOSS], Source.UNKNOWN),
        (f"{US_EAST}/${{Repository}}:3", [LOSS], Source.UNKNOWN),
        ("${Registry}/churn:${Version}", [LOSS], Source.OWN),
        ("${AWS::AccountId}.dkr.ecr.us-east-1.amazonaws.com/kmeans:1", [LOSS], Source.OWN),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/mirror/sagemaker-xgboost:1.7-1", [LOSS], Source.OWN),
        (OWN, [LOSS], Source.OWN),
        (PYTORCH, [LOSS], Source.FRAMEWORK),
        ("", [LOSS], Source.UNKNOWN),
        (None, None, Source.UNKNOWN),
    ],
)
def test_where_an_algorithm_comes_from(image: str | None, metrics: Any, source: Source) -> None:
    job = Job(Declaration(request=base_request(image, metrics)), state(None))
    trainer = trainer_of(job.definitions[0])
    assert trainer.source is source
    assert (trainer.builtin is not None) == (source is Source.BUILT_IN)


def test_an_algorithm_resource_has_metrics_of_its_own() -> None:
    request = base_request(None, objective="whatever it reports")
    request["TrainingJobDefinition"]["AlgorithmSpecification"]["AlgorithmName"] = "churn-model"
    assert check(request) == []


@pytest.mark.parametrize(
    ("image", "name", "path"),
    [
        (None, None, f"{SPECIFICATION}.TrainingImage"),
        ("", None, f"{SPECIFICATION}.TrainingImage"),
        (XGBOOST, "churn-model", f"{SPECIFICATION}.AlgorithmName"),
        (XGBOOST, None, None),
        ("", "churn-model", None),
        ("${Token[TOKEN.1]}", None, None),
    ],
)
def test_one_source_of_the_algorithm(image: str | None, name: str | None, path: str | None) -> None:
    request = base_request(image)
    if name is not None:
        request["TrainingJobDefinition"]["AlgorithmSpecification"]["AlgorithmName"] = name
    assert [(f.rule, f.path) for f in check(request)] == ([("one-algorithm-source", path)] if path else [])


def test_a_misspelled_image_is_not_missing_too() -> None:
    (declaration,) = template(
        "training_job_definition: {algorithm_specification: {training_image: null, trainin_image: x}}"
    )
    assert rules_of(check(declaration)) == ["shape"]


@pytest.mark.parametrize(
    ("name", "isolated", "fits"),
    [
        (MARKETPLACE, None, False),
        (MARKETPLACE, False, False),
        (MARKETPLACE, True, True),
        (MARKETPLACE.replace("us-east-1", "${AWS::Region}"), None, False),
        ("churn-model", None, True),
        ("arn:aws:sagemaker:us-east-1:123456789012:algorithm/churn-model", None, True),
        ("${Token[TOKEN.1]}", None, True),
    ],
)
def test_isolation_of_marketplace_algorithms(name: str, isolated: bool | None, fits: bool) -> None:
    request = base_request(None)
    request["TrainingJobDefinition"]["AlgorithmSpecification"]["AlgorithmName"] = name
    if isolated is not None:
        request["TrainingJobDefinition"]["EnableNetworkIsolation"] = isolated
    findings = known(check(request))
    assert [(f.rule, f.path) for f in findings] == (
        [] if fits else [("marketplace-isolated", "TrainingJobDefinition.EnableNetworkIsolation")]
    )


def metrics_of(number: int) -> list[dict[str, str]]:
    return [{"Name": f"m{i}", "Regex": f"m{i}=(.*?);"} for i in range(number)]


@pytest.mark.parametrize(
    ("number", "quotas", "rule"),
    [
        (20, None, None),
        (21, None, "metric-definitions-count"),
        (21, {"metric_definitions": 40}, None),
        (41, None, "shape"),
    ],
)
def test_number_of_metrics(number: int, quotas: Any, rule: str | None) -> None:
    findings = check(base_request(OWN, metrics_of(number), "m0"), quotas=quotas)
    assert rules_of(findings) == ([rule] if rule else [])


@pytest.mark.parametrize(
    ("image", "metrics", "objective", "rules"),
    [
        (XGBOOST, None, "validation:auc", []),
        (XGBOOST, [], "validation:auc", []),
        (XGBOOST, [LOSS], "validation:auc", ["metric-definitions-own"]),
        (XGBOOST, None, "loss", ["objective-defined"]),
        (XGBOOST, None, "validation:aucpr", []),
        (XGBOOST, None, "train:auc", ["objective-defined"]),
        (XGBOOST, None, "Validation:AUC", ["objective-defined"]),
        (XGBOOST, None, "${Metric}", []),
        (OWN, [LOSS], "loss", []),
        (OWN, [LOSS], "los", ["objective-defined"]),
        (OWN, [LOSS], "Loss", ["objective-defined"]),
        (OWN, None, "loss", ["metric-definitions-own"]),
        (OWN, [], "loss", ["metric-definitions-own"]),
        (OWN, [{"Name": "${Metric}", "Regex": "(.*);"}], "loss", []),
        (PYTORCH, None, "loss", ["metric-definitions-own"]),
        (PYTORCH, [LOSS], "loss", []),
        ("${Token[TOKEN.1]}", None, "loss", []),
        ("${Token[TOKEN.1]}", [LOSS], "los", []),
    ],
)
def test_metrics_and_objectives(image: str, metrics: Any, objective: str, rules: list[str]) -> None:
    assert rules_of(check(base_request(image, metrics, objective))) == rules


def test_a_metric_of_the_training_data_is_a_warning() -> None:
    assert [f.severity for f in check(base_request(objective="train:auc"))] == [Severity.WARNING]


def test_a_description_shows_the_algorithms_own_metrics() -> None:
    request = base_request(metrics=[{"Name": "validation:auc", "Regex": ".*#011validation-auc:(\\S+)"}])
    assert check(Declaration(request=request, form=Form.DESCRIBE)) == []


def test_the_fix_of_an_objective_is_the_nearest_metric() -> None:
    (finding,) = check(base_request(objective="validation:acuracy"))
    assert finding.fix == "write validation:accuracy"


def test_objectives_of_several_definitions() -> None:
    (declaration,) = template(
        """
        training_job_definitions:
          - {}
          - tuning_objective: {metric_name: "validation:rms"}
        """,
        several=True,
    )
    (finding,) = check(declaration)
    assert finding.path == "training_job_definitions[1].tuning_objective.metric_name"


@pytest.mark.parametrize(
    ("metric", "direction", "advised"),
    [
        ("validation:auc", "Maximize", False),
        ("validation:auc", "Minimize", True),
        ("validation:logloss", "Maximize", True),
        ("validation:logloss", "Minimize", False),
        ("validation:rmsle", "Maximize", True),
    ],
)
def test_directions(metric: str, direction: str, advised: bool) -> None:
    request = base_request(objective=metric)
    request[CONFIG]["HyperParameterTuningJobObjective"]["Type"] = direction
    findings = check(request)
    assert [(f.rule, f.severity) for f in findings] == ([("objective-direction", Severity.WARNING)] if advised else [])


REGEXES = [
    # expression, severity of its finding
    ("loss=(.*?);", None),
    ("GAN_loss=(.*?);", None),
    (r"loss: ([0-9\.]+)", None),
    (r"#011validation-auc:(\S+)", None),
    (r"'eval_loss': ([0-9]+(?:.|e\-)[0-9]+),?", None),
    (r"'eval_loss': ([0-9]+(.|e\-)[0-9]+),?", Severity.WARNING),
    (r"loss=(?P<value>[0-9.]+)", None),
    (r"loss=(?<value>[0-9.]+)", Severity.WARNING),
    (r"loss=(\p{N}+)", Severity.WARNING),
    (r"\Qloss=\E([0-9.]+)", Severity.WARNING),
    (r"loss=([0-9.]++)", None),
    (r"(?<=loss=\s*)([0-9.]+)", Severity.WARNING),
    (r"loss=((?i)nan|\d+)", Severity.WARNING),
    (r"[[a-z]&&[^x]]=(\d+)", None),
    (r"loss=([-+]?\d*\.?\d+(?:[eE][-+]?\d+)?)", None),
    (r"loss=([^,]+),", None),
    (r"loss=(NaN|\d+\.\d+)", None),
    (r"\[loss\] \((\d+)\)", None),
    (r"[(]loss[)]=(\d+)", None),
    (r"[]()]=(\d+)", None),
    ("loss=[0-9.]+", Severity.ERROR),
    ("(?<=loss=)[0-9.]+", Severity.WARNING),
    ("(?:loss)=[0-9]+", Severity.WARNING),
    ("loss=(.*?;", Severity.ERROR),
    ("loss=.*?);", Severity.ERROR),
    ("loss=([0-9.+);", Severity.ERROR),
    ("*loss=(.*)", Severity.ERROR),
    ("loss=(.**)", Severity.ERROR),
    ("loss=(a{2}{3})", Severity.WARNING),
    ("loss=([9-0]+)", Severity.ERROR),
    ("loss=([a-z]+)", Severity.WARNING),
    ("loss=()", Severity.WARNING),
    ("loss=([!-~]+)", None),
    ("loss=\\", Severity.ERROR),
    ("${Token[TOKEN.3]}", None),
]


@pytest.mark.parametrize(("regex", "severity"), REGEXES)
@pytest.mark.filterwarnings("error")
def test_regular_expressions(regex: str, severity: Severity | None) -> None:
    findings = known(check(base_request(OWN, [{"Name": "loss", "Regex": regex}], "loss")))
    assert [(f.rule, f.severity, f.path) for f in findings] == (
        [("metric-regex", severity, f"{SPECIFICATION}.MetricDefinitions[0].Regex")] if severity else []
    )


@given(st.text(alphabet="ab1.()[]{}?*+\\|^$<>=!P:-,&", min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_any_expression_gives_one_finding_at_most(regex: str) -> None:
    findings = check(base_request(OWN, [{"Name": "loss", "Regex": regex}], "loss"))
    assert len(findings) <= 1
    assert not [f for f in findings if "failed on this declaration" in f.message]


@given(st.text(alphabet="abcxyz =:_#", max_size=10), st.sampled_from(["(.*?);", r"([0-9\.]+)", r"(\S+)", r"(\d+)"]))
@settings(max_examples=50, deadline=None)
def test_plain_words_before_one_group_are_fine(words: str, group: str) -> None:
    assert check(base_request(OWN, [{"Name": "loss", "Regex": words + group}], "loss")) == []


def test_names_of_metrics_are_unique() -> None:
    (finding,) = check(base_request(OWN, [LOSS, {"Name": "loss", "Regex": "l=(.*?);"}], "loss"))
    assert (finding.rule, finding.path) == ("metric-regex", f"{SPECIFICATION}.MetricDefinitions[1].Name")


def searching(kind: str, name: str, low: str = "1", high: str = "2", values: Any = ("1", "2")) -> dict[str, Any]:
    request = base_request()
    entry = {"Name": name, "MinValue": low, "MaxValue": high}
    if kind == "Categorical":
        entry = {"Name": name, "Values": list(values)}
    request[CONFIG]["ParameterRanges"] = {f"{kind}ParameterRanges": [entry]}
    # A range of two values does for two training jobs.
    request[CONFIG]["ResourceLimits"] = {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 2}
    request["TrainingJobDefinition"]["StaticHyperParameters"].pop(name, None)
    return request


@pytest.mark.parametrize(
    ("kind", "name", "values", "severity"),
    [
        ("Continuous", "gamma", None, None),
        ("Integer", "max_depth", None, None),
        ("Integer", "num_round", None, None),
        ("Continuous", "max_depth", None, Severity.ERROR),
        ("Integer", "min_child_weight", None, Severity.WARNING),
        ("Continuous", "booster", None, Severity.ERROR),
        ("Continuous", "learning_rate", None, Severity.ERROR),
        ("Integer", "num_rounds", None, Severity.ERROR),
        ("Categorical", "tree_method", ("hist", "exact"), Severity.WARNING),
        ("Categorical", "max_depth", ("3", "6"), None),
        ("Categorical", "max_depth", ("3", "deep"), Severity.WARNING),
        ("Categorical", "max_depth", ("3", "6.5"), Severity.WARNING),
        ("Categorical", "eta", ("0.1", "0.3"), None),
        ("Continuous", "${Name}", None, None),
    ],
)
def test_searched_hyperparameters_of_xgboost(kind: str, name: str, values: Any, severity: Severity | None) -> None:
    findings = [f for f in check(searching(kind, name, values=values)) if f.rule == "builtin-hyperparameter"]
    if name == "num_rounds":  # num_round itself is static
        assert "write num_round" in findings[0].fix
    assert [f.severity for f in findings] == ([severity] if severity else [])


def test_an_own_container_may_search_anything() -> None:
    request = searching("Continuous", "learning_rate")
    request["TrainingJobDefinition"]["AlgorithmSpecification"] |= {"TrainingImage": OWN, "MetricDefinitions": [LOSS]}
    request[CONFIG]["HyperParameterTuningJobObjective"] = {"MetricName": "loss", "Type": "Minimize"}
    assert check(request) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"num_round": None}, [(Severity.ERROR, "num_round")]),
        # A misspelled name is one fault.
        ({"num_round": None, "num_rounds": "9"}, [(Severity.WARNING, "num_rounds")]),
        ({"early_stoping_rounds": "9"}, [(Severity.WARNING, "early_stoping_rounds")]),
        ({"objective": "multi:softmax"}, [(Severity.ERROR, "num_class")]),
        ({"objective": "multi:softmax", "num_class": "3"}, []),
        ({"objective": "${Objective}"}, []),
        # In script mode the names are the script's.
        ({"sagemaker_program": "train.py", "num_round": None, "rounds": "9"}, []),
        ({"sagemaker_region": "us-east-1"}, []),
    ],
)
def test_static_hyperparameters_of_xgboost(
    changes: dict[str, str | None], expected: list[tuple[Severity, str]]
) -> None:
    request = base_request()
    static = {**request["TrainingJobDefinition"]["StaticHyperParameters"], **changes}
    request["TrainingJobDefinition"]["StaticHyperParameters"] = {k: v for k, v in static.items() if v is not None}
    place = "TrainingJobDefinition.StaticHyperParameters"
    assert [(f.rule, f.severity, f.path) for f in check(request)] == [
        ("builtin-hyperparameter", severity, f"{place}.{name}") for severity, name in expected
    ]


def test_what_is_required_may_be_searched_or_chosen() -> None:
    assert [f for f in check(searching("Integer", "num_round", "10", "100")) if f.severity.fails] == []
    request = base_request()
    del request["TrainingJobDefinition"]["StaticHyperParameters"]
    assert rules_of(check(request)) == ["builtin-hyperparameter"]
    request["Autotune"] = {"Mode": "Enabled"}
    assert rules_of(check(request)) == []


def test_a_misspelled_block_of_static_hyperparameters_is_one_fault() -> None:
    (declaration,) = template(
        "training_job_definition: {static_hyperparameters: null, static_hyperparameter: {num_round: 1}}"
    )
    assert rules_of(check(declaration)) == ["shape"]


@pytest.mark.parametrize(
    ("kind", "name", "low", "high", "word"),
    [
        ("Continuous", "eta", "0", "0.5", None),
        ("Continuous", "eta", "0.05", "0.9", None),
        ("Continuous", "eta", "0.1", "1.5", "allows"),
        ("Continuous", "eta", "-0.1", "0.5", "allows"),
        ("Continuous", "eta", "0.001", "0.5", "recommended"),
        ("Integer", "max_depth", "1", "100", None),
        ("Integer", "max_depth", "1", "101", "recommended"),
        ("Continuous", "subsample", "0.1", "1", None),
        ("Integer", "num_round", "10", "4000", None),
    ],
)
def test_width_of_ranges(kind: str, name: str, low: str, high: str, word: str | None) -> None:
    findings = check(searching(kind, name, low, high))
    assert [(f.rule, f.severity) for f in findings] == ([("range-width-advice", Severity.WARNING)] if word else [])
    assert word is None or word in findings[0].message


def with_inputs(image: str, general: str, own: str | None, content_type: str | None) -> list[Finding]:
    request = base_request(image)
    request["TrainingJobDefinition"]["AlgorithmSpecification"]["TrainingInputMode"] = general
    channel = request["TrainingJobDefinition"]["InputDataConfig"][0]
    channel.pop("ContentType")
    channel |= {"InputMode": own} if own else {}
    channel |= {"ContentType": content_type} if content_type else {}
    request["TrainingJobDefinition"]["InputDataConfig"] = [channel]
    return [f for f in check(request) if f.rule in {"csv-file-mode", "input-mode-supported"}]


@pytest.mark.parametrize(
    ("general", "own", "content_type", "path"),
    [
        ("File", None, "text/csv", None),
        ("FastFile", None, "text/csv", None),
        ("Pipe", None, "text/csv", f"{SPECIFICATION}.TrainingInputMode"),
        ("Pipe", None, "text/csv; label_size=1", f"{SPECIFICATION}.TrainingInputMode"),
        ("Pipe", "File", "text/csv", None),
        ("File", "Pipe", "text/csv", "TrainingJobDefinition.InputDataConfig[0].InputMode"),
        ("Pipe", None, "application/x-parquet", None),
        ("Pipe", None, None, None),
    ],
)
def test_csv_is_read_in_file_mode(general: str, own: str | None, content_type: str | None, path: str | None) -> None:
    findings = with_inputs(XGBOOST, general, own, content_type)
    assert [(f.rule, f.path, f.severity) for f in findings] == (
        [("csv-file-mode", path, Severity.WARNING)] if path else []
    )


@pytest.mark.parametrize(
    ("general", "own", "path"),
    [
        ("File", None, None),
        ("FastFile", None, None),
        ("Pipe", None, f"{SPECIFICATION}.TrainingInputMode"),
        ("Pipe", "File", None),
        ("File", "Pipe", "TrainingJobDefinition.InputDataConfig[0].InputMode"),
    ],
)
def test_input_modes_of_an_algorithm(general: str, own: str | None, path: str | None) -> None:
    # IP insights reads CSV in File mode only: one fault, one finding.
    image = image_uri("ipinsights", "us-east-1")
    findings = with_inputs(image, general, own, "text/csv")
    assert [(f.rule, f.path) for f in findings] == ([("input-mode-supported", path)] if path else [])


@pytest.mark.parametrize(
    ("image", "severity"),
    [
        (XGBOOST, None),
        ("246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1", None),
        ("683313688378.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1", Severity.ERROR),
        # A region that the catalog does not know
        ("683313688378.dkr.ecr.xx-north-9.amazonaws.com/sagemaker-xgboost:1.7-1", Severity.UNKNOWN),
        ("683313688378.dkr.ecr.${AWS::Region}.amazonaws.com/sagemaker-xgboost:1.7-1", Severity.UNKNOWN),
        ("${Account}.dkr.ecr.${AWS::Region}.amazonaws.com/sagemaker-xgboost:1.7-1", None),
    ],
)
def test_registries(image: str, severity: Severity | None) -> None:
    assert [(f.rule, f.severity) for f in check(base_request(image))] == (
        [("image-region", severity)] if severity else []
    )


def test_a_wrong_registry_is_told_the_right_one() -> None:
    (finding,) = check(base_request("683313688378.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1"))
    assert "246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1" in finding.fix


def test_the_images_of_a_job_are_of_one_region() -> None:
    (declaration,) = template(
        """
        training_job_definitions:
          - {}
          - algorithm_specification:
              training_image: 246618743249.dkr.ecr.us-west-2.amazonaws.com/sagemaker-xgboost:1.7-1
        """,
        several=True,
    )
    (finding,) = check(declaration)
    assert (finding.rule, finding.severity) == ("image-region", Severity.ERROR)
    assert "got us-west-2 and, for xgboost, us-east-1" in finding.message


@pytest.mark.parametrize(
    ("image", "advised"),
    [
        (XGBOOST, False),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1", True),
        ("811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:latest", True),
        (f"811284229777.dkr.ecr.us-east-1.amazonaws.com/xgboost:1@sha256:{'0' * 64}", False),
        (OWN, False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:1", False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:latest", True),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/churn", True),
        (f"123456789012.dkr.ecr.us-east-1.amazonaws.com/churn@sha256:{'0' * 64}", False),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:${Version}", False),
        ("localhost:5000/churn:7", False),
        ("${Token[TOKEN.1]}", False),
    ],
)
def test_moving_tags(image: str, advised: bool) -> None:
    findings = [f for f in check(base_request(image)) if f.rule == "image-tag-latest"]
    assert [f.severity for f in findings] == ([Severity.WARNING] if advised else [])


def test_an_algorithm_of_one_tag_has_nothing_to_pin() -> None:
    findings = check(base_request(image_uri("kmeans", "us-east-1")))
    assert "image-tag-latest" not in rules_of(findings)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.sampled_from(
        [
            (CONFIG, "HyperParameterTuningJobObjective"),
            (CONFIG, "HyperParameterTuningJobObjective", "MetricName"),
            ("TrainingJobDefinition",),
            ("TrainingJobDefinition", "AlgorithmSpecification"),
            ("TrainingJobDefinition", "AlgorithmSpecification", "TrainingImage"),
            ("TrainingJobDefinition", "AlgorithmSpecification", "AlgorithmName"),
            ("TrainingJobDefinition", "AlgorithmSpecification", "MetricDefinitions"),
            ("TrainingJobDefinition", "AlgorithmSpecification", "MetricDefinitions", 0),
            ("TrainingJobDefinition", "AlgorithmSpecification", "MetricDefinitions", 0, "Regex"),
            ("TrainingJobDefinition", "EnableNetworkIsolation"),
            ("TrainingJobDefinition", "InputDataConfig"),
            ("TrainingJobDefinition", "InputDataConfig", 0),
        ]
    ),
    anything,
    st.sampled_from([XGBOOST, OWN, PYTORCH]),
)
@settings(max_examples=150, deadline=None)
def test_no_rule_breaks_on_any_value(path: tuple[str | int, ...], value: Any, image: str) -> None:
    request = base_request(image, [dict(LOSS)])
    place: Any = request
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert not [f for f in check(request) if "failed on this declaration" in f.message]


OWN_IMAGES = [name for name in builtin_names() if (found := builtin(name)) and found.own_image]


@pytest.mark.parametrize("name", OWN_IMAGES)
def test_what_the_guide_recommends_has_no_finding_of_these_rules(name: str) -> None:
    """Each algorithm with its own image, metrics, required hyperparameters and recommended ranges."""
    algorithm = builtin(name)
    assert algorithm is not None
    lists: dict[str, list[dict[str, Any]]] = {}
    for item in list(algorithm.tunable.values())[:10]:
        entry = {"Name": item.name, "Values": list(item.values)}
        if item.type != "Categorical":
            entry = {"Name": item.name, "MinValue": str(item.min), "MaxValue": str(item.max)}
        lists.setdefault(f"{item.type}ParameterRanges", []).append(entry)
    searched = {entry["Name"] for entries in lists.values() for entry in entries}
    for metric, direction in algorithm.objective_metrics.items():
        request = base_request(image_uri(name, "us-east-1"), objective=metric)
        request[CONFIG]["HyperParameterTuningJobObjective"]["Type"] = direction
        request[CONFIG]["ParameterRanges"] = lists
        request[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 100
        request["TrainingJobDefinition"]["StaticHyperParameters"] = {
            required: "3" for required in algorithm.required if required not in searched
        }
        findings = check(request, quotas={"hyperparameters": 100})
        elsewhere = {"channels-needed", "distributed-support", "augmented-manifest", "enough-combinations"}
        assert [f for f in findings if f.rule not in elsewhere] == []


def test_one_fault_in_the_image_of_a_shared_definition_is_told_once() -> None:
    (declaration,) = template("training_job_definition: {algorithm_specification: {training_image: null}}")
    assert rules_of(check(declaration)) == ["one-algorithm-source"]
