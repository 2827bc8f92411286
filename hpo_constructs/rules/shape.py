"""The rule `shape`: every constraint of the API's own model that no other rule explains better."""

import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any

from ..spec.declaration import CONFIG, Form, Path
from ..spec.shapes import Shape, shape_model
from .finding import Severity
from .job import Job, is_unknown, settled
from .registry import API, Problem, rule

# Constraints that a rule of its own checks, with a better message: length, pattern, size and enumeration of these
# shapes are left to it.
OWNED_BY = {
    "HyperParameterTuningJobName": "tuning-job-name",
    "HyperParameterTrainingJobDefinitions": "at-least-one-definition",
    "ParentHyperParameterTuningJobs": "warm-start-parents",
    "MaxNumberOfTrainingJobsNotImproving": "completion-not-improving",
    "RandomSeed": "random-seed-range",
    "TrainingInstanceType": "instance-type-known",
    "InputDataConfig": "channels",
    "ChannelName": "channels",
    "S3Uri": "s3-uri",
    "KmsKeyId": "output-path",
    "HyperParameterTuningInstanceConfigs": "instance-configs",
    "MaximumRetryAttempts": "retry-attempts",
    "HyperParameterTrainingJobEnvironmentMap": "environment",
    "HyperParameterTrainingJobEnvironmentKey": "environment",
    "HyperParameterTrainingJobEnvironmentValue": "environment",
    "Subnets": "vpc",
    "SubnetId": "vpc",
    "VpcSecurityGroupIds": "vpc",
    "SecurityGroupId": "vpc",
    "RoleArn": "role",
    "ContinuousParameterRanges": "searched-hyperparameters",
    "IntegerParameterRanges": "searched-hyperparameters",
    "CategoricalParameterRanges": "searched-hyperparameters",
    "ParameterValues": "categorical-values",
    "HyperParameters": "static-count",
    "HyperParameterKey": "static-count",
    "HyperParameterValue": "static-count",
}

# Required members that a rule of its own asks for.
REQUIRED_ELSEWHERE: frozenset[tuple[str, str]] = frozenset(
    {
        ("HyperParameterTrainingJobDefinition", "OutputDataConfig"),  # output-path
        ("OutputDataConfig", "S3OutputPath"),  # output-path
        ("HyperParameterTrainingJobDefinition", "StoppingCondition"),  # stopping-condition
        ("VpcConfig", "SecurityGroupIds"),  # vpc
        ("VpcConfig", "Subnets"),  # vpc
    }
)

# What a text of a shape looks like, in words.
_WORDS = {
    "ArnOrName": "the name or ARN of an algorithm",
    "ChannelName": "letters, digits, dots, hyphens and underscores",
    "DatasetArn": "the ARN of a hub's data set",
    "FileSystemId": "fs- and at least 8 hexadecimal digits",
    "HyperParameterTrainingJobDefinitionName": "letters and digits, with hyphens between them",
    "KmsKeyId": "a key id, key ARN or alias",
    "RoleArn": "a role's ARN such as arn:aws:iam::123456789012:role/tuning",
    "S3Uri": "an S3 URI such as s3://bucket/prefix",
    "SecurityGroupId": "a security group's id such as sg-0123456789abcdef0",
    "SubnetId": "a subnet's id such as subnet-0123456789abcdef0",
    "HyperParameterTrainingJobEnvironmentKey": "letters, digits and underscores, not beginning with a digit",
    "TagKey": "letters, digits, spaces and _ . : / = + - @",
    "TagValue": "letters, digits, spaces and _ . : / = + - @",
    "TrainingPlanArn": "a training plan's ARN",
}

_TYPES = {
    "structure": "a mapping",
    "list": "a list",
    "map": "a mapping",
    "string": "a text",
    "integer": "a whole number",
    "long": "a whole number",
    "float": "a number",
    "boolean": "true or false",
}

# Names of shapes with texts that keep them.
_FAULTLESS: set[tuple[str, str | None]] = set()
_MOST_REMEMBERED = 10_000

# Keys that a template has beside those of the API.
_TEMPLATE_KEYS = ("defaults", "local", "quotas", "tuning_jobs")


@rule(
    "shape",
    title="every member is known, has its type and keeps the API's lengths, patterns and values",
    severity=Severity.ERROR,
    reason=(
        "the service answers a request that breaks its own model with a ValidationException, after the deployment has "
        "begun; an unknown key would be dropped or refused, so a slip of the pen must not pass"
    ),
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes="resource_limits: {max_parallel_training_jobs: 2}",
    fails="resource_limits: {max_paralel_training_jobs: 2}",
)
def shape(job: Job) -> Iterator[Problem]:
    """Walk the request along the model's shapes."""
    yield from _Walker(job).structure(job.raw, shape_model().root, ())


class _Walker:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._model = shape_model()

    def value(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        if value is None:
            yield self._wrong_type(value, shape, path)
            return
        match shape.type:
            case "structure":
                yield from self.structure(value, shape, path)
            case "list":
                yield from self._list(value, shape, path)
            case "map":
                yield from self._map(value, shape, path)
            case "string":
                yield from self._remembered_string(value, shape, path)
            case "boolean":
                if not isinstance(value, bool):
                    yield self._wrong_type(value, shape, path)
            case _:
                yield from self._number(value, shape, path)

    def structure(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield self._wrong_type(value, shape, path)
            return
        for key, item in value.items():
            member = self._model.member(shape, key)
            if member is None:
                yield self._unknown_key(key, shape, path)
            else:
                yield from self.value(item, member, (*path, key))
        # A mistyped key is one fault, even when it was meant to be a required member.
        mistyped = _meant_members(self._job, value, shape.name)
        for name in shape.required:
            if name in value or name in mistyped or (shape.name, name) in REQUIRED_ELSEWHERE:
                continue
            if name == "RoleArn" and self._job.declaration.role_may_be_absent:
                continue
            yield self._missing(name, path)

    def _list(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        if not isinstance(value, list | tuple):
            yield self._wrong_type(value, shape, path)
            return
        yield from self._size(len(value), shape, path, "entries")
        item_shape = self._model.shapes[shape.member or ""]
        for index, item in enumerate(value):
            yield from self.value(item, item_shape, (*path, index))

    def _map(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        if not isinstance(value, dict):
            yield self._wrong_type(value, shape, path)
            return
        yield from self._size(len(value), shape, path, "entries")
        key_shape, value_shape = self._model.shapes[shape.key or ""], self._model.shapes[shape.value or ""]
        for key, item in value.items():
            yield from self._string(key, key_shape, (*path, key))
            yield from self.value(item, value_shape, (*path, key))

    def _remembered_string(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        """The same once only for a text without fault: those of one job stand in many others."""
        key = (shape.name, value if isinstance(value, str) else None)
        if key in _FAULTLESS:
            return
        problems = list(self._string(value, shape, path))
        if not problems:
            if len(_FAULTLESS) >= _MOST_REMEMBERED:
                _FAULTLESS.clear()
            _FAULTLESS.add(key)
        yield from problems

    def _string(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        if not isinstance(value, str):
            yield self._wrong_type(value, shape, path)
            return
        if is_unknown(value):
            if shape.pattern not in {None, ".*"} or shape.enum:
                yield Problem(
                    path,
                    f"{self._name(path)} is known at deployment only and was not checked",
                    "nothing to do; SageMaker checks it when the job is created",
                    Severity.UNKNOWN,
                )
            return
        if shape.name in OWNED_BY:
            return
        text = settled(value)
        if shape.enum:
            if text not in shape.enum:
                yield self._not_in_enum(text, shape, path)
            return
        size_problems = list(self._size(len(text), shape, path, "characters"))
        yield from size_problems
        if not size_problems and shape.pattern and not _compiled(shape.pattern).fullmatch(text):
            words = _WORDS.get(shape.name, "the form that the API asks for")
            yield Problem(
                path,
                f"{self._name(path)} must be {words}, got {_shown(value)}",
                f"write {self._name(path)} in that form",
            )

    def _number(self, value: Any, shape: Shape, path: Path) -> Iterator[Problem]:
        whole = shape.type != "float"
        fits = isinstance(value, int | float) and not isinstance(value, bool)
        if not fits or (whole and not isinstance(value, int)) or (not whole and not math.isfinite(value)):
            yield self._wrong_type(value, shape, path)
            return
        if shape.name in OWNED_BY:
            return
        low, high = shape.minimum, shape.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            yield Problem(
                path,
                f"{self._name(path)} must be {_interval(low, high)}, got {value}",
                f"set {self._name(path)} to {_interval(low, high)}",
            )

    def _size(self, size: int, shape: Shape, path: Path, what: str) -> Iterator[Problem]:
        if shape.name in OWNED_BY:
            return
        low, high = shape.minimum, shape.maximum
        if (low is not None and size < low) or (high is not None and size > high):
            verb = "shorten" if high is not None and size > high else "extend"
            yield Problem(
                path,
                f"{self._name(path)} must have {_interval(low, high)} {what}, got {size}",
                f"{verb} {self._name(path)}",
            )

    def _name(self, path: Path) -> str:
        """The user's own name of a place, for a message."""
        if not path:
            return "the declaration"
        last = path[-1]
        if isinstance(last, int):
            return f"{self._name(path[:-1])}[{last}]"
        return self._job.spell(last) if last in _all_members() else last

    def _wrong_type(self, value: Any, shape: Shape, path: Path) -> Problem:
        wanted = _TYPES[shape.type]
        return Problem(
            path, f"{self._name(path)} must be {wanted}, got {_shown(value)}", f"give {self._name(path)} {wanted}"
        )

    def _not_in_enum(self, text: str, shape: Shape, path: Path) -> Problem:
        close = get_close_matches(text.lower(), [item.lower() for item in shape.enum], n=1)
        meant = next((item for item in shape.enum if close and item.lower() == close[0]), None)
        allowed = ", ".join(shape.enum)
        return Problem(
            path,
            f"{self._name(path)} must be one of {allowed}, got {_shown(text)}",
            f"write {meant}" if meant else f"choose one of {allowed}",
        )

    def _missing(self, name: str, path: Path) -> Problem:
        holder = self._name(path) if path else "the tuning job"
        spelled = self._job.spell(name)
        return Problem((*path, name), f"{spelled} is required in {holder}, got none", f"add {spelled}")

    def _unknown_key(self, key: str, shape: Shape, path: Path) -> Problem:
        allowed = self._allowed(shape)
        close = get_close_matches(key, allowed, n=1, cutoff=0.6)
        holder = self._name(path) if path else "a tuning job"
        fix = f"write {close[0]}" if close else f"remove it; {holder} has: {', '.join(allowed)}"
        question = f"; did you mean {close[0]}?" if close else ""
        return Problem((*path, key), f"{key} is not a member of {holder}{question}", fix)

    def _allowed(self, shape: Shape) -> list[str]:
        names = [self._job.spell(name) for name in shape.members or {}]
        if shape is self._model.root and self._job.declaration.form in {Form.TEMPLATE, Form.SPEC}:
            config = self._model.member(shape, CONFIG)
            names = [self._job.spell(name) for name in shape.members or {} if name != CONFIG]
            names += [self._job.spell(name) for name in (config.members or {} if config else {})]
            names += _TEMPLATE_KEYS
        return names


def _meant_members(job: Job, value: Mapping[str, Any], shape_name: str) -> set[str]:
    """Members that an unknown key of a structure was probably meant to be."""
    members = shape_model().shapes[shape_name].members or {}
    unknown = [str(key) for key in value if key not in members]
    if not unknown:
        return set()
    spelled = {job.spell(name): name for name in members}
    close = [match for key in unknown for match in get_close_matches(key, spelled, n=1, cutoff=0.6)]
    return {spelled[match] for match in close}


@cache
def _all_members() -> frozenset[str]:
    return frozenset(name for shape in shape_model().shapes.values() for name in shape.members or ())


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # Python's expressions have no Unicode classes: \w is letters, digits and the underscore, which these patterns
    # allow anyway; \p{Z} is spelled out.
    pattern = pattern.replace(r"\p{L}", r"\w").replace(r"\p{N}", "")
    return re.compile(pattern.replace(r"\p{Z}", " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"))


def _interval(low: int | None, high: int | None) -> str:
    if low is None or high is None:
        return f"at least {low:,}" if high is None else f"at most {high:,}"
    return f"{low:,} to {high:,}"


def _shown(value: Any) -> str:
    """A value in a message: short, and recognisably what was written."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
