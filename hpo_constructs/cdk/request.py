"""The request document of a declaration, made ready for a stack."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from aws_cdk import Stack

from .place import Place


def placeholders_replaced(request: Mapping[str, Any], stack: Stack) -> dict[str, Any]:
    """The request with `${AWS::AccountId}` and its like in strings replaced by what the stack knows or its tokens.

    Only CloudFormation's pseudo parameters are replaced:
    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
    """
    place = Place.of(stack)
    known = {
        "${AWS::AccountId}": place.account,
        "${AWS::Partition}": place.partition,
        "${AWS::Region}": place.region,
        "${AWS::StackName}": place.stack_name,
        "${AWS::URLSuffix}": place.url_suffix,
    }

    def replaced(text: str) -> str:
        if "${AWS::" not in text:
            return text
        for placeholder, value in known.items():
            text = text.replace(placeholder, value)
        return text

    document: dict[str, Any] = _strings_mapped(dict(request), replaced)
    return document


def with_training_role(request: Mapping[str, Any], role_arn: str) -> dict[str, Any]:
    """The request with a role in every training job definition that names none."""
    document = dict(request)
    if isinstance(single := document.get("TrainingJobDefinition"), dict):
        document["TrainingJobDefinition"] = {"RoleArn": role_arn, **single}
    if isinstance(several := document.get("TrainingJobDefinitions"), list):
        document["TrainingJobDefinitions"] = [
            {"RoleArn": role_arn, **each} if isinstance(each, dict) else each for each in several
        ]
    return document


def definitions(request: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The training job definitions, whichever form the request has; what is none is left out."""
    several = request.get("TrainingJobDefinitions")
    for each in (request.get("TrainingJobDefinition"), *(several if isinstance(several, list) else ())):
        if isinstance(each, dict):
            yield each


def member(value: Any, *path: str) -> Any:
    """The value below a path of members; None where the path ends early, as a faulty declaration's may."""
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def members(value: Any, name: str) -> list[Mapping[str, Any]]:
    """The structures of a list; empty where there is no such list."""
    found = member(value, name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list | tuple) else []


def text(value: Any, *path: str) -> str | None:
    """The text below a path of members, if it is one."""
    found = member(value, *path)
    return found if isinstance(found, str) and found else None


def _strings_mapped(value: Any, change: Callable[[str], str]) -> Any:
    # Of a request most values are texts and plain dictionaries; patterns of a match statement take twice the time.
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict | Mapping):
        return {key: _strings_mapped(each, change) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_strings_mapped(each, change) for each in value]
    return value
