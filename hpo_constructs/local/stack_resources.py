"""What a stack's template declares and what of it is deployed."""

from __future__ import annotations

import copy
import graphlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import ValidationError
from moto.cloudformation.parsing import ResourceMap
from moto.ssm.models import ssm_backends

from .custom_resources import DeploymentError

_PSEUDO = re.compile(r"^AWS::[A-Za-z]+$")
_SUB_NAME = re.compile(r"\$\{([^!][^}]*)\}")
_SSM_REFERENCE = re.compile(r"\{\{resolve:ssm:([^:}]+)(?::\d+)?\}\}")


class DeployedResources(ResourceMap):
    """moto's map of a stack's resources, without creating any when one is looked at."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Per logical id: the type and properties that were deployed, references resolved.
        self.deployed: dict[str, dict[str, Any]] = {}

    def __getitem__(self, key: str) -> Any:
        if key in self._parsed_resources:
            return self._parsed_resources[key]
        if key in self._resource_json_map:
            raise DeploymentError(f"{key} is not deployed: its condition is false")
        raise ValidationError(
            message=f"Template format error: Unresolved resource dependencies [{key}] in the template"
        )

    def validate_outputs(self) -> None:
        """Refuse references to nothing and circles; moto fails on types that it does not know."""
        known = {*self._resource_json_map, *self._template.get("Parameters", {})}
        for section, blocks in (("Resources", self._resource_json_map), ("Outputs", self._template.get("Outputs"))):
            for name, block in (blocks or {}).items():
                missing = sorted(r for r in references(block) if r not in known and not _PSEUDO.match(r))
                if missing:
                    raise ValidationError(
                        message=f"Template format error: Unresolved resource dependencies {missing} "
                        f"in the {section} block of the template (at {name})"
                    )
        self.order(self._resource_json_map)

    @staticmethod
    def order(resources: Mapping[str, Any]) -> list[str]:
        """Logical ids so that each comes after those that it refers to."""
        graph = {name: {r for r in references(block) if r in resources} for name, block in resources.items()}
        try:
            return list(graphlib.TopologicalSorter(graph).static_order())
        except graphlib.CycleError as exc:
            raise ValidationError(
                message=f"Circular dependency between resources: {sorted(set(exc.args[1]))}"
            ) from None

    def use(self, template: dict[str, Any], parameters: dict[str, Any]) -> None:
        """Take a new template; nothing is deployed yet."""
        self._template = template
        self._resource_json_map = template["Resources"]
        self.input_parameters = parameters
        self.resolved_parameters = {}
        self.load()

    def wanted(self) -> list[str]:
        """The logical ids whose condition holds, in the order of deployment."""
        return [
            name
            for name in self.order(self._resource_json_map)
            if not (condition := self._resource_json_map[name].get("Condition")) or self.lazy_condition_map[condition]
        ]

    def resolve(self, logical_id: str) -> dict[str, Any]:
        """The resource's type and properties with references and functions resolved."""
        block = self._resource_json_map[logical_id]
        properties = parsing.clean_json(copy.deepcopy(block.get("Properties") or {}), self)
        return {"Type": block["Type"], "Properties": self._resolve_dynamic(_without_none(properties))}

    def _resolve_dynamic(self, value: Any) -> Any:
        """Replace ``{{resolve:ssm:name}}``, which moto does not know."""
        if isinstance(value, dict):
            return {key: self._resolve_dynamic(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._resolve_dynamic(item) for item in value]
        if isinstance(value, str) and "{{resolve:ssm:" in value:
            return _SSM_REFERENCE.sub(lambda match: self._parameter(match[1]), value)
        return value

    def _parameter(self, name: str) -> str:
        parameter = ssm_backends[self._account_id][self._region_name].get_parameter(name)
        if parameter is None:
            raise DeploymentError(f"the SSM parameter {name} does not exist")
        return str(parameter.value)

    def parse_ssm_parameter(self, value: str, value_type: str) -> Any:
        text = self._parameter(value)
        return text.split(",") if "List" in value_type else text

    def logical_ids(self) -> list[str]:
        return [name for name in self._parsed_resources if name in self.deployed]

    def keep(self, logical_id: str, resource: Any, definition: dict[str, Any]) -> None:
        resource.cf_resource_type = definition["Type"]
        resource.logical_resource_id = logical_id
        self._parsed_resources[logical_id] = resource
        self.deployed[logical_id] = definition

    def forget(self, logical_id: str) -> None:
        self._parsed_resources.pop(logical_id, None)
        self.deployed.pop(logical_id, None)


def _without_none(value: Any) -> Any:
    """Drop what AWS::NoValue leaves in lists; moto drops it in objects only."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_none(item) for item in value if item is not None]
    return value


def references(value: Any) -> set[str]:
    """Names that a part of a template refers to, by Ref, Fn::GetAtt, Fn::Sub or DependsOn."""
    return set(_references(value))


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _references(item)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if key == "Ref" and isinstance(item, str):
            yield item
        elif key == "Fn::GetAtt":
            yield item.split(".")[0] if isinstance(item, str) else item[0]
        elif key == "DependsOn":
            yield from [item] if isinstance(item, str) else item
        elif key == "Fn::Sub":
            text, local = item if isinstance(item, list) else (item, {})
            yield from (name.split(".")[0] for name in _SUB_NAME.findall(text) if name not in local)
            yield from _references(local)
        else:
            yield from _references(item)
