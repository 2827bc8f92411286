"""What security checkers such as cdk-nag are told about permissions that no narrower ones can replace.

cdk-nag's pack AwsSolutions asks for evidence for every resource with a wildcard; it is given here, beside the
statement that needs it, one finding at a time, so that a wildcard that somebody adds later is still reported.
https://github.com/cdklabs/cdk-nag#acknowledging-a-rule
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import jsii
from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct, IValidation

from .place import Place

_PACK: Final = "AwsSolutions"
# As cdk-nag writes them.
_PSEUDO_PARAMETERS: Final = {
    name: f"<{name}>" for name in ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix")
}


def acknowledge_wildcards(construct: Construct, resources: Iterable[str], reason: str) -> None:
    """States why those of the resources that have a wildcard need it."""
    acknowledge_resources(construct, dict.fromkeys(resources, reason))


class WildcardReasons:
    """Why the wildcards of one construct are needed, collected until everything is defined."""

    def __init__(self, construct: Construct) -> None:
        self._place = Place.of(Stack.of(construct))
        self._reasons: dict[str, str] = {}
        construct.node.add_validation(_Later(construct, self._reasons))

    def add(self, resources: Iterable[str], reason: str) -> None:
        """States why those of the resources that have a wildcard need it."""
        for resource in resources:
            if "*" in resource:
                self._reasons[self._place.replaced(resource, _PSEUDO_PARAMETERS)] = reason


def acknowledge_resources(construct: Construct, reasons: Mapping[str, str]) -> None:
    """States why resources need their wildcards; those without any are left out."""
    place = Place.of(Stack.of(construct))
    now: dict[str, str] = {}
    later: dict[str, str] = {}
    for resource, reason in reasons.items():
        if "*" in resource:
            known = place.replaced(resource, _PSEUDO_PARAMETERS)
            (later if "${Token[" in known else now)[known] = reason
    acknowledge(construct, {_finding(resource): reason for resource, reason in now.items()})
    if later:
        construct.node.add_validation(_Later(construct, later))


def acknowledge(construct: Construct, reasons: dict[str, str]) -> None:
    """States why findings of the pack, by their id behind the hyphen, are as they should be."""
    found = [Acknowledgment(id=f"{_PACK}::{_PACK}-{id}", reason=reason) for id, reason in reasons.items()]
    if found:
        Validations.of(construct).acknowledge(*found)


@jsii.implements(IValidation)
class _Later:
    """Acknowledges when references are settled: one into another stack has its final form only then."""

    def __init__(self, construct: Construct, reasons: Mapping[str, str]) -> None:
        self._construct = construct
        self._reasons = reasons

    def validate(self) -> list[str]:
        """Finds nothing wrong."""
        resolved = Stack.of(self._construct).resolve(list(self._reasons))
        reasons = zip(resolved, self._reasons.values(), strict=True)
        acknowledge(self._construct, {_finding(_flat(resource)): reason for resource, reason in reasons})
        return []


def _finding(resource: str) -> str:
    return f"IAM5[Resource::{resource}]"


def _flat(value: Any) -> str:
    """A resource as cdk-nag names it in a finding's id: references in angle brackets."""
    match value:
        case str():
            return value.replace("${", "<").replace("}", ">")
        case {"Fn::Join": [separator, parts]}:
            return str(separator).join(_flat(part) for part in parts)
        case {"Fn::GetAtt": [resource, attribute]}:
            return f"<{_flat(resource)}.{_flat(attribute)}>"
        case {"Fn::Sub": inner} | {"Fn::ImportValue": inner}:
            return _flat(inner)
        case {"Ref": name}:
            return f"<{_flat(name)}>"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
