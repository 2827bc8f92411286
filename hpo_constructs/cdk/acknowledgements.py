"""What security checkers such as cdk-nag are told about permissions that no narrower ones can replace.

cdk-nag's pack AwsSolutions asks for evidence for every resource with a wildcard; it is given here, beside the
statement that needs it, one finding at a time, so that a wildcard that somebody adds later is still reported.
https://github.com/cdklabs/cdk-nag#acknowledging-a-rule
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Final
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import Acknowledgment, Stack, Validations
from constructs import Construct, IValidation

from .place import PSEUDO_PARAMETERS, Place, has_token
from .references import Executions, References, Resource

_PACK: Final = "AwsSolutions"
# cdk-nag's own package.
_CHECKER: Final = "cdk_nag"
# As cdk-nag writes them.
_PSEUDO_PARAMETERS: Final = {name: f"<{name}>" for name in PSEUDO_PARAMETERS}


def acknowledge_resources(construct: Construct, stack: Stack, resources: Sequence[Resource], reason: str) -> None:
    """States why those of the resources in a construct's policies that have a wildcard need it."""
    _of_stack(stack).resources.append((construct, resources, reason))


def acknowledge(construct: Construct, stack: Stack, reasons: Mapping[str, str]) -> None:
    """States why findings of the pack, by their id behind the hyphen, are as they should be."""
    _of_stack(stack).findings.setdefault(construct, {}).update(reasons)


def _of_stack(stack: Stack) -> "_Acknowledgements":
    if stack not in _OF_STACKS:
        found = _OF_STACKS[stack] = _Acknowledgements(stack)
        stack.node.add_validation(found)
    return _OF_STACKS[stack]


@jsii.implements(IValidation)
class _Acknowledgements:
    """What is acknowledged in a stack, told at synthesis.

    References are settled by then: one into another stack has its final form only then. And whether anybody will read
    it is known: the calls take a good part of a large app's synthesis.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self.findings: dict[Construct, dict[str, str]] = {}
        self.resources: list[tuple[Construct, Sequence[Resource], str]] = []

    def validate(self) -> list[str]:
        """Finds nothing wrong."""
        if _CHECKER not in sys.modules:
            return []
        reasons = {construct: dict(findings) for construct, findings in self.findings.items()}
        named = self._named()
        for construct, resources, reason in self.resources:
            if ids := {f"IAM5[Resource::{named[each]}]": reason for each in resources if each in named}:
                reasons.setdefault(construct, {}).update(ids)
        for construct, of_one in reasons.items():
            told = [Acknowledgment(id=f"{_PACK}::{_PACK}-{id}", reason=reason) for id, reason in of_one.items()]
            Validations.of(construct).acknowledge(*told)
        return []

    def _named(self) -> dict[Resource, str]:
        """The resources with wildcards as cdk-nag names them."""
        place, references = Place.of(self._stack), References.of(self._stack)
        settled = {
            each: place.replaced(each, _PSEUDO_PARAMETERS) if isinstance(each, str) else references.resource(each)
            for _, resources, _ in self.resources
            for each in resources
            if isinstance(each, Executions) or "*" in each
        }
        unsettled = {each: value for each, value in settled.items() if has_token(str(value))}
        # One call for all.
        resolved = dict(zip(unsettled, self._stack.resolve(list(unsettled.values())), strict=True))
        return {each: _flat(value) for each, value in (settled | resolved).items()}


_OF_STACKS: WeakKeyDictionary[Stack, _Acknowledgements] = WeakKeyDictionary()


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
