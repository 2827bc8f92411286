"""Hypothesis strategies for requests of CreateHyperParameterTuningJob, driven by the service model's shapes."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
from botocore.validate import ParamValidator
from hypothesis import strategies as st

from hpo_constructs.spec.declaration import Path
from hpo_constructs.spec.shapes import Shape, shape_model

OPERATION = "CreateHyperParameterTuningJob"

# A long list proves no more than one of a few items, and costs seconds.
_MOST_ITEMS = 2
_DOLLAR_FREE = st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp"), exclude_characters="$#")
_TAG = st.characters(categories=("L", "N", "Z"), include_characters="_.:/=+-@")
_ALNUM = "abcXYZ019"
_HEX = "0123456789abcdef"

# Texts that match the patterns of the model; a strategy made of the expression itself would be too slow.
_TEXTS: dict[str, st.SearchStrategy[str]] = {
    "ArnOrName": st.sampled_from(["my-algorithm", "arn:aws:sagemaker:us-east-1:123456789012:algorithm/mine"]),
    "ChannelName": st.text(_ALNUM + "._-", min_size=1, max_size=64),
    "FileSystemId": st.text(_HEX, min_size=8, max_size=17).map("fs-{}".format),
    "HubDataSetArn": st.just("arn:aws:sagemaker:us-east-1:123456789012:hub-content/hub/DataSet/flowers/1.0.0"),
    "HyperParameterTrainingJobDefinitionName": st.text(_ALNUM, min_size=1, max_size=64),
    "HyperParameterTrainingJobEnvironmentKey": st.text(_ALNUM + "_", max_size=40).map("K{}".format),
    "HyperParameterTuningJobName": st.text(_ALNUM, min_size=1, max_size=32),
    "KmsKeyId": st.sampled_from(["", "alias/key", "1234abcd-12ab-34cd-56ef-1234567890ab"]),
    "RoleArn": st.text(_ALNUM + "_+=,.@-/", min_size=1, max_size=40).map("arn:aws:iam::123456789012:role/{}".format),
    "S3Uri": st.tuples(
        st.sampled_from(["s3", "https"]), st.text("abc123", min_size=3), st.text(_ALNUM + "/-", max_size=40)
    ).map(lambda parts: f"{parts[0]}://{parts[1]}/{parts[2]}"),
    "SecurityGroupId": st.text(_HEX, min_size=8, max_size=17).map("sg-{}".format),
    "SubnetId": st.text(_HEX, min_size=8, max_size=17).map("subnet-{}".format),
    "TagKey": st.text(_TAG, min_size=1, max_size=128),
    "TagValue": st.text(_TAG, max_size=256),
    "TrainingPlanArn": st.just("arn:aws:sagemaker:us-east-1:123456789012:training-plan/plan"),
}


@cache
def values_of(name: str) -> st.SearchStrategy[Any]:
    """Values that keep every constraint of a shape."""
    shape = shape_model().shapes[name]
    match shape.type:
        case "structure":
            members = {member: values_of(target) for member, target in (shape.members or {}).items()}
            required = {member: members.pop(member) for member in shape.required}
            return st.fixed_dictionaries(required, optional=members)
        case "list":
            low = shape.minimum or 0
            return st.lists(
                values_of(shape.member or ""),
                min_size=low,
                max_size=min(shape.maximum or _MOST_ITEMS, max(low, _MOST_ITEMS)),
            )
        case "map":
            return st.dictionaries(values_of(shape.key or ""), values_of(shape.value or ""), max_size=_MOST_ITEMS)
        case "boolean":
            return st.booleans()
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False) | st.integers(-1000, 1000)
        case "string":
            return _texts(shape)
    return st.integers(shape.minimum or 0, 10**9 if shape.maximum is None else shape.maximum)


def _texts(shape: Shape) -> st.SearchStrategy[str]:
    if shape.enum:
        return st.sampled_from(shape.enum)
    if shape.name in _TEXTS:
        return _TEXTS[shape.name]
    assert shape.pattern in {None, ".*", ".+", r"[\S\s]*"}, f"a strategy for {shape.name} is missing"
    return st.text(_DOLLAR_FREE, min_size=shape.minimum or 0, max_size=min(shape.maximum or 40, 40))


def requests() -> st.SearchStrategy[dict[str, Any]]:
    """Requests of the API's full breadth, each right by the model's own constraints."""
    return values_of(shape_model().root.name)


@cache
def _input_shape() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker").operation_model(OPERATION).input_shape


def botocore_refuses(request: Any) -> str:
    """What botocore's own parameter validation says of a request; empty when it accepts it."""
    report: str = ParamValidator().validate(request, _input_shape()).generate_report()
    return report


def places(value: Any, shape: Shape | None = None, path: Path = ()) -> Iterator[tuple[Path, Shape, Any]]:
    """Every place of a request with its shape and value, itself included."""
    model = shape_model()
    shape = shape or model.root
    yield path, shape, value
    if shape.type == "structure":
        for name, item in value.items():
            yield from places(item, model.member(shape, name), (*path, name))
    elif shape.type == "list":
        for index, item in enumerate(value):
            yield from places(item, model.shapes[shape.member or ""], (*path, index))
    elif shape.type == "map":
        for key, item in value.items():
            yield from places(item, model.shapes[shape.value or ""], (*path, key))


def at(request: Any, path: Path) -> Any:
    """The value at a place of a request."""
    for step in path:
        request = request[step]
    return request
