"""References to a stack's own resources, looked up once.

The CDK resolves each of them wherever it stands, several times; in the permissions, rules and definitions that name
every tuning job of a stack this took a good part of its synthesis.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from aws_cdk import IResolvable, Stack

from .late import late
from .place import TOKEN, Place, has_token

_DOLLAR_BRACE: Final = re.compile(r"\$\{(?!Token\[)")


@dataclass(frozen=True, slots=True)
class Executions:
    """ARN pattern of the executions of a state machine.

    Attributes:
        state_machine_arn: The state machine's ARN.
    """

    state_machine_arn: str


# What a permission is for: an ARN, which may hold tokens, or executions.
Resource = str | Executions


class References:
    """The references of a stack."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._place = Place.of(stack)
        # None until synthesis, when logical ids are settled.
        self._functions: dict[str, Any] = {}
        for token in (self._place.account, self._place.partition, self._place.region, self._place.url_suffix):
            if has_token(token):
                self.add(token)

    @staticmethod
    def of(stack: Stack) -> "References":
        """The references of a stack."""
        if stack not in _OF_STACKS:
            _OF_STACKS[stack] = References(stack)
        return _OF_STACKS[stack]

    def add(self, token: str) -> None:
        """Takes up the CDK's token for a resource of the stack itself, or for one of its attributes.

        References to other stacks stay with the CDK, which makes exports of them.
        """
        self._functions.setdefault(token, None)

    def late(self, make: Callable[["References"], Any]) -> IResolvable:
        """A value that is made once, at synthesis, with the references that it asks for."""
        return late(lambda: make(self))

    def function(self, token: str) -> Any:
        """CloudFormation's function for a token that was taken up; any other text as it is. For late values."""
        if token in self._functions and self._functions[token] is None:
            # One call for all.
            pending = [each for each, known in self._functions.items() if known is None]
            self._functions.update(zip(pending, self._stack.resolve(pending), strict=True))
        return self._functions.get(token, token)

    def resource(self, resource: Resource) -> Any:
        """What a permission is for, as it stands in a template. For late values."""
        if isinstance(resource, Executions):
            return self._executions(resource.state_machine_arn)
        if TOKEN.fullmatch(resource):
            return self.function(resource)
        # What has other tokens too is the CDK's to write: security checkers do not read variables of `Fn::Sub`.
        return self.substituted(resource) if self._functions.keys() >= set(TOKEN.findall(resource)) else resource

    def substituted(self, text: str) -> Any:
        """A text with tokens as CloudFormation's `Fn::Sub`, any other one as it is. For late values.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
        """
        if not has_token(text):
            return text
        others: dict[str, str] = {}
        template = self._template(_DOLLAR_BRACE.sub("${!", text), others)
        return {"Fn::Sub": [template, {name: token for token, name in others.items()}] if others else template}

    def _template(self, text: str, others: dict[str, str]) -> str:
        """The text with placeholders of `Fn::Sub` for its tokens; the others among them get names of their own."""

        def placeholder(found: re.Match[str]) -> str:
            match self.function(found[0]):
                case {"Ref": str(name)}:
                    return f"${{{name}}}"
                case {"Fn::GetAtt": [str(name), str(attribute)]}:
                    return f"${{{name}.{attribute}}}"
            return f"${{{others.setdefault(found[0], f'Value{len(others) + 1}')}}}"

        return TOKEN.sub(placeholder, text)

    def _executions(self, state_machine_arn: str) -> dict[str, Any]:
        machine = self.function(state_machine_arn)
        if isinstance(machine, dict) and isinstance(name := machine.get("Ref"), str):
            place = self._place
            prefix = self._template(f"arn:{place.partition}:states:{place.region}:{place.account}:execution", {})
            return {"Fn::Sub": f"{prefix}:${{{name}.Name}}:*"}
        executions = {"Fn::Join": [":execution:", {"Fn::Split": [":stateMachine:", machine]}]}
        return {"Fn::Sub": ["${Executions}:*", {"Executions": executions}]}


_OF_STACKS: WeakKeyDictionary[Stack, References] = WeakKeyDictionary()
