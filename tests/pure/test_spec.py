"""The declaration: complete against the service model, and the same request out as in."""

import copy
import json
import types
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import BaseModel, ValidationError

from hpo_constructs.errors import SpecError
from hpo_constructs.spec import (
    AlgorithmSpecification,
    CategoricalParameter,
    Channel,
    ContinuousParameter,
    HyperparameterRanges,
    IntegerParameter,
    Objective,
    OutputDataConfig,
    ResourceConfig,
    ResourceLimits,
    StoppingCondition,
    TrainingJobDefinition,
    TuningJobSpec,
)
from hpo_constructs.spec.declaration import CONFIG
from hpo_constructs.spec.shapes import Shape, shape_model

from .strategies import botocore_refuses, requests

# As the CDK encodes a number that is known at deployment only.
NUMERIC_TOKEN = -1.8881545897087505e289

# Members that the API requires and the declaration does not, and why.
OPTIONAL_HERE = {
    ("HyperParameterTrainingJobDefinition", "RoleArn"),  # the construct makes the role
    ("HyperParameterAlgorithmSpecification", "TrainingInputMode"),  # File
    ("S3DataSource", "S3DataType"),  # S3Prefix
    ("Autotune", "Mode"),  # it has one value
    ("Tag", "Value"),  # an empty one
}

PYTHON_TYPES = {"string": str, "integer": int, "long": int, "float": float, "boolean": bool}


def bare(annotation: Any) -> Any:
    """An annotation without `Annotated` and `| None`."""
    while True:
        if get_origin(annotation) is Annotated:
            annotation = get_args(annotation)[0]
        elif get_origin(annotation) in {Union, types.UnionType}:
            (annotation,) = (item for item in get_args(annotation) if item is not type(None))
        else:
            return annotation


def fields_of(model: type[BaseModel]) -> dict[str, tuple[Any, bool]]:
    """The fields of a model by the API's names, with their types and whether they are required."""
    return {field.alias or name: (field.annotation, field.is_required()) for name, field in model.model_fields.items()}


def differences(model: type[BaseModel], shape: Shape, path: str) -> list[str]:
    """Where a model and the structure that it stands for differ."""
    api, fields = shape_model(), fields_of(model)
    members, required = dict(shape.members or {}), set(shape.required)
    if shape is api.root:
        config = api.shapes[members.pop(CONFIG)]
        members |= config.members or {}
        required = (required - {CONFIG}) | set(config.required)
    found = [f"{path}.{name} is missing here" for name in members.keys() - fields.keys()]
    found += [f"{path}.{name} is not in the API" for name in fields.keys() - members.keys()]
    for name in members.keys() & fields.keys():
        annotation, needed = fields[name]
        if needed != (name in required) and ((shape.name, name) not in OPTIONAL_HERE or needed):
            found.append(f"{path}.{name} is {'required' if needed else 'optional'} here only")
        found += type_differences(annotation, api.shapes[members[name]], f"{path}.{name}")
    return found


def type_differences(annotation: Any, shape: Shape, path: str) -> list[str]:
    """Where a type differs from the shape that it stands for."""
    api, annotation = shape_model(), bare(annotation)
    match shape.type:
        case "structure":
            return differences(annotation, shape, path)
        case "list":
            if get_origin(annotation) is not tuple:
                return [f"{path} is not a tuple"]
            return type_differences(get_args(annotation)[0], api.shapes[shape.member or ""], f"{path}[]")
        case "map":
            return [] if get_origin(annotation) is dict else [f"{path} is not a dict"]
        case "string" if get_origin(annotation) is Literal:
            same = set(get_args(annotation)) == set(shape.enum)
            return [] if same else [f"{path} allows {get_args(annotation)}, the API {shape.enum}"]
    if annotation is not PYTHON_TYPES[shape.type]:
        return [f"{path} is {annotation}, the API has {shape.type}"]
    # Instance types are data that grows: the rule `instance-type-known` looks them up.
    if shape.enum and shape.name != "TrainingInstanceType":
        return [f"{path} is any text, the API allows {shape.enum}"]
    return []


def test_the_models_and_the_service_model_are_the_same() -> None:
    assert differences(TuningJobSpec, shape_model().root, "") == []


def test_the_comparison_of_models_sees_what_is_missing_and_what_is_new() -> None:
    class Tag(BaseModel):
        Key: int
        Colour: str

    found = differences(Tag, shape_model().shapes["Tag"], "Tag")
    assert sorted(found) == [
        "Tag.Colour is not in the API",
        f"Tag.Key is {int}, the API has string",
        "Tag.Value is missing here",
    ]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests())
def test_a_request_read_and_written_is_the_same(request: dict[str, Any]) -> None:
    assert botocore_refuses(request) == ""
    before = copy.deepcopy(request)
    spec = TuningJobSpec.from_request(request)
    assert request == before
    written = spec.to_request()
    assert written == request
    assert botocore_refuses(written) == ""
    assert TuningJobSpec.from_request(json.loads(json.dumps(written))) == spec


DEFINITION: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": "mine", "TrainingInputMode": "Pipe"},
    "RoleArn": "arn:aws:iam::123456789012:role/tuning",
    "OutputDataConfig": {"S3OutputPath": "s3://example-models/"},
    "StoppingCondition": {"MaxRuntimeInSeconds": 60},
}
RANGES: dict[str, Any] = {
    "ContinuousParameterRanges": [{"Name": "a", "MinValue": "1e-05", "MaxValue": "0.10", "ScalingType": "Logarithmic"}],
    "IntegerParameterRanges": [],
    "CategoricalParameterRanges": [{"Name": "c", "Values": ["", "x"]}],
    "AutoParameters": [{"Name": "d", "ValueHint": "007"}],
}


def request_of(config: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    limits = {"ResourceLimits": {"MaxParallelTrainingJobs": 1}}
    return {
        "HyperParameterTuningJobName": "mine",
        CONFIG: {"Strategy": "Random", **limits, **(config or {})},
        **members,
    }


@pytest.mark.parametrize(
    "request_",
    [
        request_of(),
        request_of({"ParameterRanges": RANGES}, TrainingJobDefinition=DEFINITION),
        request_of({"ParameterRanges": {}, "StrategyConfig": {}, "TuningJobCompletionCriteria": {}}),
        request_of({"StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 27}}}),
        request_of(TrainingJobDefinitions=[], Tags=[], Autotune={"Mode": "Enabled"}),
        request_of(
            TrainingJobDefinitions=[
                {**DEFINITION, "DefinitionName": name, "HyperParameterRanges": RANGES, "StaticHyperParameters": {}}
                for name in ("a", "b")
            ]
        ),
        request_of(
            WarmStartConfig={
                "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "old"}, {}],
                "WarmStartType": "TransferLearning",
            }
        ),
        # What the declaration has defaults for stays absent where the request leaves it out.
        request_of(TrainingJobDefinition={**DEFINITION, "AlgorithmSpecification": {"AlgorithmName": "x"}}),
        request_of(
            TrainingJobDefinition={
                **DEFINITION,
                "InputDataConfig": [{"ChannelName": "x", "DataSource": {"S3DataSource": {"S3Uri": "s3://example/"}}}],
            }
        ),
        request_of(Tags=[{"Key": "a"}, {"Key": "b", "Value": ""}], Autotune={}),
        request_of(TrainingJobDefinition={k: v for k, v in DEFINITION.items() if k != "RoleArn"}),
    ],
)
def test_hand_written_requests_are_the_same_after_a_round_trip(request_: dict[str, Any]) -> None:
    assert TuningJobSpec.from_request(request_).to_request() == request_


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({}, "HyperParameterTuningJobConfig must be a structure"),
        ([], "must be a structure"),
        (request_of({"Strategy": "Guess"}), "Strategy"),
        (request_of(Nonesuch=1), "Nonesuch"),
        (request_of(name="mine"), "name is not the API's name of a member; write HyperParameterTuningJobName"),
        (request_of(Strategy="Random"), "Strategy does not belong there"),
        (request_of({"Tags": []}), "HyperParameterTuningJobConfig.Tags does not belong there"),
        (request_of({"RandomSeed": 1.5}), "RandomSeed"),
        (request_of({"RandomSeed": "1"}), "RandomSeed"),
        (request_of({"RandomSeed": True}), "RandomSeed"),
        (
            request_of(TrainingJobDefinition={**DEFINITION, "StaticHyperParameters": {"a": 1}}),
            "StaticHyperParameters.a",
        ),
        (request_of(TrainingJobDefinition={**DEFINITION, "EnableNetworkIsolation": "true"}), "EnableNetworkIsolation"),
        (request_of(TrainingJobDefinition={**DEFINITION, "OutputDataConfig": None}), "OutputDataConfig"),
    ],
)
def test_what_is_no_request_is_refused_with_its_member(request_: Any, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        TuningJobSpec.from_request(request_)
    assert message in str(refused.value)


def test_all_faults_of_a_request_are_listed() -> None:
    with pytest.raises(SpecError) as refused:
        TuningJobSpec.from_request(request_of({"RandomSeed": "1", "TrainingJobEarlyStoppingType": "OFF"}, Tags="x"))
    assert all(name in str(refused.value) for name in ("RandomSeed", "TrainingJobEarlyStoppingType", "Tags"))


def declared(**changes: Any) -> TuningJobSpec:
    definition = TrainingJobDefinition(
        algorithm_specification=AlgorithmSpecification(training_image="mine"),
        output_data_config=OutputDataConfig(s3_output_path="s3://example-models/"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=60),
        resource_config=ResourceConfig(instance_type="ml.m5.large", instance_count=1, volume_size_in_gb=1),
        input_data_config=(Channel.from_s3("train", "s3://example-data/", content_type="text/csv"),),
        static_hyperparameters={"rounds": 100, "flag": True, "rate": 0.1, "text": "007"},
    )
    members: dict[str, Any] = {
        "name": "mine",
        "strategy": "Random",
        "objective": Objective(metric_name="loss", type="Minimize"),
        "resource_limits": ResourceLimits(max_parallel_training_jobs=1, max_number_of_training_jobs=2),
        "hyperparameter_ranges": {
            "eta": ContinuousParameter("1e-3", 0.5),
            "depth": IntegerParameter(1, 9, scaling_type="Linear"),
            "booster": CategoricalParameter(["tree", 1, 0.5, True]),
        },
        "training_job_definition": definition,
    }
    return TuningJobSpec(**{**members, **changes})


def test_a_declaration_in_python_is_written_with_the_apis_names_and_texts() -> None:
    request = declared(tags=[{"key": "team"}], autotune={}).to_request()
    definition = request["TrainingJobDefinition"]
    assert "RoleArn" in botocore_refuses(request)
    definition["RoleArn"] = "arn:aws:iam::123456789012:role/tuning"
    assert botocore_refuses(request) == ""
    assert request["Tags"] == [{"Key": "team", "Value": ""}]
    assert request["Autotune"] == {"Mode": "Enabled"}
    assert definition["StaticHyperParameters"] == {"rounds": "100", "flag": "true", "rate": "0.1", "text": "007"}
    assert definition["AlgorithmSpecification"]["TrainingInputMode"] == "File"
    assert definition["InputDataConfig"][0]["DataSource"] == {
        "S3DataSource": {"S3Uri": "s3://example-data/", "S3DataType": "S3Prefix"}
    }
    assert request[CONFIG]["ParameterRanges"] == {
        "ContinuousParameterRanges": [{"Name": "eta", "MinValue": "1e-3", "MaxValue": "0.5"}],
        "IntegerParameterRanges": [{"Name": "depth", "MinValue": "1", "MaxValue": "9", "ScalingType": "Linear"}],
        "CategoricalParameterRanges": [{"Name": "booster", "Values": ["tree", "1", "0.5", "true"]}],
    }
    assert declared(hyperparameter_ranges=None).hyperparameter_ranges is None


def test_a_declaration_is_frozen_and_refuses_unknown_names() -> None:
    spec = declared()
    with pytest.raises(ValidationError):
        spec.name = "other"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="max_paralel"):
        ResourceLimits(max_paralel_training_jobs=1)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    "make",
    [
        lambda: ResourceLimits(max_parallel_training_jobs=NUMERIC_TOKEN),  # type: ignore[arg-type]
        lambda: ContinuousParameter(NUMERIC_TOKEN, 1),
        lambda: IntegerParameter(1, NUMERIC_TOKEN),
        lambda: HyperparameterRanges.model_validate({"a": CategoricalParameter([1, NUMERIC_TOKEN])}),
        lambda: CategoricalParameter([NUMERIC_TOKEN]),
        lambda: declared(training_job_definition={"static_hyperparameters": {"a": NUMERIC_TOKEN}}),
        lambda: declared(random_seed=NUMERIC_TOKEN),
    ],
)
def test_numeric_tokens_are_refused(make: Any) -> None:
    with pytest.raises(ValueError, match="numeric CDK token"):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ContinuousParameter(5, 1), "`min < max` must hold, got min=5, max=1"),
        (lambda: ContinuousParameter(1, 1), "`min < max` must hold, got min=1, max=1"),
        (lambda: IntegerParameter("7", "3"), "`min < max` must hold, got min=7, max=3"),
        (lambda: ContinuousParameter("a", 1), "`min` must be a finite number, got 'a'"),
        (lambda: ContinuousParameter(0, float("inf")), "`max` must be a finite number, got inf"),
        (lambda: ContinuousParameter(float("nan"), 1), "`min` must be a finite number, got nan"),
        (lambda: ContinuousParameter("1_000", "2_000"), "`min` must be a finite number, got '1_000'"),
        (lambda: ContinuousParameter(True, 2), "`min` must be a finite number, got True"),
        (lambda: ContinuousParameter(None, 2), "`min` must be a finite number, got None"),
        (lambda: IntegerParameter(1.5, 3), "`min` of an integer parameter must be a whole number, got 1.5"),
        (lambda: IntegerParameter(1, "3.2"), "`max` of an integer parameter must be a whole number, got 3.2"),
        (lambda: ContinuousParameter(0, 1, "Logarithmic"), "`min > 0` must hold"),
        (lambda: IntegerParameter(0, 9, "Logarithmic"), "`min > 0` must hold"),
        (lambda: ContinuousParameter(0.5, 1, "ReverseLogarithmic"), "`0 <= min < max < 1` must hold"),
        (lambda: ContinuousParameter(-0.5, 0.5, "ReverseLogarithmic"), "`0 <= min < max < 1` must hold"),
        (lambda: IntegerParameter(1, 9, "ReverseLogarithmic"), "for continuous parameters only"),
        (lambda: ContinuousParameter(1, 2, "log"), "scaling_type must be one of Auto, Linear, Logarithmic"),
        (lambda: CategoricalParameter([]), "at least one value"),
        (lambda: CategoricalParameter("gbtree"), "must be a list of values"),
        (lambda: CategoricalParameter(["a", "b", "a"]), "must be distinct, got a twice"),
        (lambda: CategoricalParameter([1, "1"]), "must be distinct, got 1 twice"),
        (
            lambda: HyperparameterRanges.model_validate({"a": IntegerParameter(1, 2), "b": [1, 2]}),
            "b must be a ContinuousParameter, IntegerParameter or CategoricalParameter",
        ),
    ],
)
def test_ranges_validate_themselves_at_birth(make: Any, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        make()
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("low", "high", "scaling"),
    [("1e-05", "0.10", "Logarithmic"), (0, 0.999, "ReverseLogarithmic"), (-3, 3, None), ("0", "1", "Auto")],
)
def test_right_ranges_keep_their_spelling(low: Any, high: Any, scaling: Any) -> None:
    ranges = HyperparameterRanges.model_validate({"x": ContinuousParameter(low, high, scaling)})
    (entry,) = ranges.continuous_parameter_ranges or ()
    assert (entry.min_value, entry.max_value, entry.scaling_type) == (str(low), str(high), scaling)
    assert ranges.names == ("x",)
