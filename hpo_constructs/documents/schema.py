"""The JSON Schema of the team template, for editors: completion, descriptions, and slips of the pen underlined.

It is made from the service model's shapes and the descriptions in the models' docstrings. It asks for no more than
what holds for every template: lengths, patterns, cross-field rules and members that defaults or a clone may bring are
`hpo check`'s task.

Source: https://json-schema.org/draft/2020-12
"""

import inspect
import re
from dataclasses import fields
from typing import Any, get_args

from ..quotas import Quotas, edition_names
from ..quotas.costs import Budget, Prices
from ..spec import CategoricalParameter, ContinuousParameter, TrainingJobDefinition, TuningJobSpec
from ..spec._base import SpecModel
from ..spec.declaration import CONFIG
from ..spec.names import declared_name, snake_name
from ..spec.ranges import AutoParameter
from ..spec.run import RunSettings, setting_choices, setting_names
from ..spec.shapes import Shape, shape_model
from .template import BUDGET, CLONE, DEFAULTS, JOBS, LOCAL, QUOTAS, RANGE_LISTS, RUN

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_TEXT_OF_A_VALUE: Schema = {"type": ["string", "number", "boolean"]}
_NAMES: Schema = {"type": "string"}

# Members that people write as a mapping from names, with the member that holds the name and, where an entry is just
# one text, the member that holds that.
_BY_NAME = {
    "TagList": ("Key", "Value"),
    "MetricDefinitionList": ("Name", "Regex"),
    "InputDataConfig": ("ChannelName", None),
}
# Structures that stand in lists, which defaults and clones replace as a whole: what the API requires has to be there.
_WHOLE = {
    "AutoParameter",
    "CategoricalParameterRange",
    "ContinuousParameterRange",
    "HyperParameterTuningInstanceConfig",
    "InstanceGroup",
    "IntegerParameterRange",
    "MetricDefinition",
    "Tag",
}
_DESCRIPTIONS = {
    JOBS: "Several tuning jobs in one file.",
    DEFAULTS: "What holds for every job of this file; training_job_definition: for each of their definitions. A job's "
    "own value goes before, null takes an entry away.",
    QUOTAS: "The account's quotas that the jobs are checked against: an edition, or single values.",
    BUDGET: "What one run of each job may use at most, by its own limits; above it a check fails.",
    LOCAL: "What `hpo run` needs on this machine; nothing else reads it.",
    RUN: "How the job's runs begin and what they publish.",
    CLONE: "Takes over the definition of this name; what stands beside it is changed, and null takes an entry away.",
}
# Of members whose model does not describe them, because Python's reader sees the class around them.
_MEMBERS = {
    "accept_eula": "Whether the licence of the gated model is accepted.",
    "allocation_strategy": "Prioritized: the first configuration that has capacity.",
    "auto_parameters": "Hyperparameters whose ranges SageMaker chooses; needs autotune.",
    "categorical_parameter_ranges": "Categorical hyperparameters in the API's list form.",
    "complete_on_convergence": "Enabled ends the tuning job when the search has converged.",
    "continuous_parameter_ranges": "Continuous hyperparameters in the API's list form.",
    "dataset_arn": "ARN of the data set.",
    "directory_path": "Full path of the folder in the file system.",
    "enable_inter_container_traffic_encryption": "Whether traffic between a training job's instances is encrypted.",
    "enable_managed_spot_training": "Whether training runs on spot instances; needs max_wait_time_in_seconds.",
    "enable_multiple_jobs": "Whether several jobs may share an UltraServer.",
    "enable_network_isolation": "Whether the containers are cut off from the network.",
    "environment": "Environment variables of the containers.",
    "file_system_access_mode": "rw or ro.",
    "file_system_id": "Id of the EFS or FSx for Lustre file system.",
    "file_system_type": "EFS or FSxLustre.",
    "hub_content_arn": "ARN of the hub's content.",
    "hyperparameter_tuning_job_name": "Name of a finished tuning job.",
    "instance_configs": "The configurations, the preferred one first.",
    "instance_count": "Number of instances.",
    "instance_group_name": "Name of the group, by which channels refer to it.",
    "instance_groups": "The groups of a heterogeneous cluster.",
    "instance_preferences": "Instance types that a training job may get, the preferred one first.",
    "instance_type": "Such as ml.m5.xlarge.",
    "integer_parameter_ranges": "Integer hyperparameters in the API's list form.",
    "keep_alive_period_in_seconds": "How long instances stay warm after a training job, in seconds.",
    "key": "The tag's key.",
    "max_value": "Largest value to try.",
    "min_value": "Smallest value to try.",
    "mode": "Enabled.",
    "name": "The name.",
    "placement_specifications": "How many instances stand on which UltraServer.",
    "scaling_type": "How the search spreads over the range.",
    "security_group_ids": "1 to 5 security groups.",
    "seed": "Seed of the shuffling.",
    "selected_instance_count": "The number of instances that was chosen.",
    "selected_instance_type": "The instance type that was chosen.",
    "subnets": "1 to 16 subnets.",
    "training_plan_arn": "ARN of the training plan whose capacity is used.",
    "training_plan_arns": "ARN of the training plan whose capacity is used.",
    "ultra_server_id": "Id of the UltraServer.",
    "value": "The tag's value.",
    "values": "The values to choose from.",
    "volume_kms_key_id": "Key that encrypts the storage.",
    "volume_size_in_gb": "Storage of each instance, in GB.",
}


def template_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a document of a team template."""
    return _Generator().schema()


class _Generator:
    def __init__(self) -> None:
        self._model = shape_model()
        self._models = _model_classes()
        self._definitions: dict[str, Schema] = {}

    def schema(self) -> Schema:
        job = self._job()
        config = self._model.shapes[CONFIG]
        required = [declared_name(name) for name in ("HyperParameterTuningJobName", *config.required)]
        file_keys = {
            QUOTAS: {"$ref": "#/$defs/quotas", "description": _DESCRIPTIONS[QUOTAS]},
            BUDGET: {"$ref": "#/$defs/budget", "description": _DESCRIPTIONS[BUDGET]},
            LOCAL: {"$ref": "#/$defs/local", "description": _DESCRIPTIONS[LOCAL]},
            DEFAULTS: {"$ref": "#/$defs/defaults", "description": _DESCRIPTIONS[DEFAULTS]},
        }
        self._definitions |= {
            "job": {**job, "additionalProperties": False},
            "defaults": {**job, "additionalProperties": False, "description": _DESCRIPTIONS[DEFAULTS]},
            "quotas": _quotas(),
            "budget": _budget(),
            "local": _local(),
            "run": _run(),
        }
        jobs = {
            "description": _DESCRIPTIONS[JOBS],
            "type": "array",
            "minItems": 1,
            "items": {"$ref": "#/$defs/job"},
        }
        return {
            "$schema": DIALECT,
            "title": "hpo-constructs team template",
            "description": _summary(TuningJobSpec),
            "type": "object",
            "properties": {**job["properties"], JOBS: jobs, **file_keys},
            "additionalProperties": False,
            "if": {"required": [JOBS]},
            "then": {"propertyNames": {"enum": [JOBS, *file_keys]}},
            "else": {"if": {"not": {"required": [DEFAULTS]}}, "then": {"required": required}},
            "$defs": dict(sorted(self._definitions.items())),
        }

    def _job(self) -> Schema:
        root, config = self._model.root, self._model.shapes[CONFIG]
        texts = _attributes(TuningJobSpec)
        properties: dict[str, Schema] = {}
        order = ["HyperParameterTuningJobName", *(config.members or {}), *(root.members or {})]
        for name in dict.fromkeys(order):
            if name == CONFIG:
                continue
            shape = self._model.member(root, name) or self._model.member(config, name)
            if shape is not None:
                properties[declared_name(name)] = self._member(declared_name(name), shape, texts)
        properties[RUN] = {"$ref": "#/$defs/run", "description": _DESCRIPTIONS[RUN]}
        return {"type": "object", "properties": properties}

    def _member(self, key: str, shape: Shape, texts: dict[str, str], *, removable: bool = True) -> Schema:
        schema = self._of(shape)
        if removable:
            schema = _or_null(schema)
        model = self._models.get(shape.name)
        text = texts.get(key) or (_summary(model) if model else _MEMBERS.get(key))
        return {**schema, "description": text} if text else schema

    def _of(self, shape: Shape) -> Schema:
        """The schema of a shape; structures stand among the definitions."""
        match shape.name:
            case "ParameterRanges":
                return self._reference(shape, self._ranges)
            case "ParentHyperParameterTuningJob":
                return {"anyOf": [_NAMES, self._reference(shape, self._structure)]}
            case "TrainingInstanceType":
                # SageMaker adds instance types faster than anybody's list: the list completes, it does not refuse.
                completed = [{"enum": list(shape.enum)}, {"type": "string", "pattern": r"^(ml\.|\$\{)"}]
                return self._reference(shape, lambda _: {"anyOf": completed})
            case name if name in _BY_NAME:
                return self._by_name(shape)
        match shape.type:
            case "structure":
                return self._reference(shape, self._structure)
            case "list":
                return self._list(shape)
            case "map":
                return {"type": "object", "additionalProperties": _or_null(_TEXT_OF_A_VALUE)}
            case "string":
                return _string(shape)
            case "boolean":
                return {"type": "boolean"}
        bounds = {"minimum": shape.minimum, "maximum": shape.maximum}
        kind = "number" if shape.type == "float" else "integer"
        return {"type": kind, **{key: value for key, value in bounds.items() if value is not None}}

    def _list(self, shape: Shape) -> Schema:
        bounds = {"minItems": shape.minimum, "maxItems": shape.maximum}
        items = self._of(self._model.shapes[shape.member or ""])
        return {"type": "array", "items": items, **{key: value for key, value in bounds.items() if value}}

    def _by_name(self, shape: Shape) -> Schema:
        name_member, text_member = _BY_NAME[shape.name]
        item = self._model.shapes[shape.member or ""]
        if text_member is not None:
            entry: Schema = _TEXT_OF_A_VALUE if text_member == "Value" else _NAMES
        else:
            entry = self._of(item)
        mapping = {"type": "object", "additionalProperties": _or_null(entry)}
        as_list = self._list(shape)
        return {"anyOf": [mapping, {**as_list, "items": {**self._of(item), "required": [snake_name(name_member)]}}]}

    def _reference(self, shape: Shape, make: Any) -> Schema:
        name = snake_name(shape.name)
        if name not in self._definitions:
            self._definitions[name] = {}  # a shape may contain itself
            self._definitions[name] = make(shape)
        return {"$ref": f"#/$defs/{name}"}

    def _structure(self, shape: Shape) -> Schema:
        model = self._models.get(shape.name)
        texts = _attributes(model) if model else {}
        members = shape.members or {}
        whole = shape.name in _WHOLE
        properties = {
            snake_name(name): self._member(snake_name(name), self._model.shapes[target], texts, removable=not whole)
            for name, target in members.items()
        }
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        if whole:
            schema["required"] = [snake_name(name) for name in shape.required]
        if model is TrainingJobDefinition:
            properties[CLONE] = {"type": "string", "description": _DESCRIPTIONS[CLONE]}
        if shape.name == "Channel":
            s3_source = self._structure(self._model.shapes["S3DataSource"])["properties"]
            for key in ("s3_uri", "s3_data_type", "s3_data_distribution_type"):
                properties[key] = s3_source[key]
        return {"description": _summary(model), **schema} if model else schema

    def _ranges(self, shape: Shape) -> Schema:
        self._definitions["range"] = {"anyOf": [_values(), *self._single_ranges()]}
        reference = {"$ref": "#/$defs/range"}
        lists = {
            key: {
                "anyOf": [self._list(self._model.shapes[target]), reference],
                "description": _MEMBERS[key],
            }
            for name, target in (shape.members or {}).items()
            if (key := snake_name(name)) in RANGE_LISTS.values()
        }
        return {
            "description": "The hyperparameters to search, by name.",
            "type": "object",
            "properties": lists,
            "additionalProperties": _or_null(reference),
        }

    def _single_ranges(self) -> list[Schema]:
        schemas = []
        for kind, shape_name, described in (
            ("Continuous", "ContinuousParameterRange", ContinuousParameter),
            ("Integer", "IntegerParameterRange", ContinuousParameter),
            ("Categorical", "CategoricalParameterRange", CategoricalParameter),
            ("Auto", "AutoParameter", AutoParameter),
        ):
            shape, texts = self._model.shapes[shape_name], _attributes(described)
            properties = {
                snake_name(name): self._member(snake_name(name), self._model.shapes[target], texts, removable=False)
                for name, target in (shape.members or {}).items()
                if name != "Name"
            }
            required = [snake_name(name) for name in shape.required if name != "Name"]
            told_by_type = ["type"] if kind in {"Continuous", "Integer"} else []
            schemas.append(
                {
                    "type": "object",
                    "properties": {"type": {"const": kind, "description": "The kind of range."}, **properties},
                    "required": [*told_by_type, *required],
                    "additionalProperties": False,
                }
            )
        return schemas


def _values() -> Schema:
    return {"type": "array", "items": _TEXT_OF_A_VALUE, "minItems": 1, "description": "The values to choose from."}


def _string(shape: Shape) -> Schema:
    if shape.enum:
        return {"enum": list(shape.enum)}
    return _TEXT_OF_A_VALUE if shape.name.endswith("Value") else _NAMES


def _or_null(schema: Schema) -> Schema:
    """The schema, or null, by which a clone or a job takes away what it would inherit."""
    if "enum" in schema:
        return {**schema, "enum": [*schema["enum"], None]}
    kind = schema.get("type")
    if isinstance(kind, str | list):
        return {**schema, "type": [*([kind] if isinstance(kind, str) else kind), "null"]}
    if "anyOf" in schema:
        return {**schema, "anyOf": [*schema["anyOf"], {"type": "null"}]}
    return {"anyOf": [schema, {"type": "null"}]}


def _quotas() -> Schema:
    texts = _attributes(Quotas)
    number = {"type": "integer", "minimum": 0}
    properties: dict[str, Schema] = {
        "edition": {"enum": list(edition_names()), "description": "The edition that the other values come from."}
    }
    for item in fields(Quotas):
        if item.name in {"edition", "source", "stated"}:
            continue
        schema: Schema = number
        if item.name in {"instances", "spot_instances"}:
            schema = {"type": "object", "additionalProperties": number}
        elif item.name == "hyperparameters_count_categorical_values":
            schema = {"type": "boolean"}
        properties[item.name] = {**schema, "description": texts[item.name]}
    stated = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [{"enum": list(edition_names())}, stated, {"type": "null"}]}


def _run() -> Schema:
    texts = _attributes(RunSettings)
    kinds: dict[str, Schema] = {
        "min_completed_training_jobs": {"type": ["integer", "null"], "minimum": 1},
        "required_objective_value": {"type": ["number", "null"]},
        "replace_best_by": {"type": ["number", "null"], "minimum": 0},
        "stop_at_instance_hours": {"type": ["number", "null"], "minimum": 0},
    }
    properties: dict[str, Schema] = {}
    for name in setting_names():
        choices = setting_choices(name)
        schema = kinds.get(name) or ({"enum": [*choices, None]} if choices else {"type": ["string", "null"]})
        properties[name] = {**schema, "description": texts[name]}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _budget() -> Schema:
    budget, prices = _attributes(Budget), _attributes(Prices)
    amount: Schema = {"type": "number", "minimum": 0}
    by_type: Schema = {"type": "object", "additionalProperties": amount}
    listed: dict[str, Schema] = {"currency": {"type": "string"}, "instances": by_type, "spot_instances": by_type}
    price_list = {
        "type": "object",
        "properties": {name: {**schema, "description": prices[name]} for name, schema in listed.items()},
        "additionalProperties": False,
    }
    members = {"max_instance_hours": amount, "max_cost": amount, "prices": price_list}
    return {
        "type": ["object", "null"],
        "properties": {name: {**schema, "description": budget[name]} for name, schema in members.items()},
        "additionalProperties": False,
    }


def _local() -> Schema:
    words = {"type": "array", "items": {"type": "string"}}
    image = {"type": "string", "description": "Pattern of training images, such as *my-algorithm:*."}
    directory = {"type": "string", "description": "Working folder, seen from the template's folder."}
    engine = {"enum": ["auto", "docker", "podman"], "description": "The container engine; auto takes one that answers."}
    container = {
        "type": ["object", "null"],
        "description": "Runs the image itself as a container, as SageMaker does.",
        "properties": {
            "image": {"type": "string", "description": "The image on this machine; the training image without it."},
            "engine": engine,
            "pull": {"type": "boolean", "description": "Whether the engine fetches an image that is not here."},
            "network": {"enum": ["none", "host", "bridge"], "description": "The container's network; none without it."},
            "memory": {"type": "string", "description": "The most memory, such as 4g; no limit without it."},
        },
        "additionalProperties": False,
    }
    algorithm = {"type": "string", "description": "The built-in algorithm or JumpStart model that the image trains."}
    command = {
        "type": "object",
        "properties": {
            "image": image,
            "command": {**words, "description": "The program and its words that stand in for the image."},
            "directory": directory,
            "algorithm": algorithm,
            "container": container,
        },
        "required": ["image"],
        "oneOf": [{"required": [way]} for way in ("command", "algorithm", "container")],
        "additionalProperties": False,
    }
    return {
        "type": ["object", "null"],
        "properties": {
            "prepare": {**words, "description": "Command that makes the data, run in the template's folder."},
            "data": {
                "type": "object",
                "additionalProperties": {"type": "string"},
                "description": "S3 prefixes with the folders or files that the local endpoint holds there.",
            },
            "commands": {
                "type": "array",
                "items": command,
                "description": "What stands in for training images without a local program.",
            },
        },
        "additionalProperties": False,
    }


def _model_classes() -> dict[str, type[SpecModel]]:
    """The model of each structure's shape, found by walking both side by side."""
    model = shape_model()
    found: dict[str, type[SpecModel]] = {}

    def walk(shape: Shape, model_class: type[SpecModel]) -> None:
        if found.setdefault(shape.name, model_class) is not model_class or shape.type != "structure":
            return
        holders = [shape, model.shapes[CONFIG]] if shape is model.root else [shape]
        for field in model_class.model_fields.values():
            for holder in holders:
                target = model.member(holder, field.alias or "")
                while target is not None and target.type == "list":
                    target = model.shapes[target.member or ""]
                if target is not None and (inner := _model_in(field.annotation)) is not None:
                    walk(target, inner)

    walk(model.root, TuningJobSpec)
    return found


def _model_in(annotation: Any) -> type[SpecModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, SpecModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _summary(described: type) -> str:
    """The first sentence of a docstring."""
    return " ".join((inspect.getdoc(described) or "").split("\n\n")[0].split())


def _attributes(described: type) -> dict[str, str]:
    """What the `Attributes` section of a docstring says, by name."""
    _, _, section = (inspect.getdoc(described) or "").partition("Attributes:\n")
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}
