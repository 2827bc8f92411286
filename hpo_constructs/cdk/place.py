"""Where a stack is deployed, as texts: asking the CDK again and again takes most of a large app's synthesis."""

from collections.abc import Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from aws_cdk import Stack


@dataclass(frozen=True, slots=True)
class Place:
    """A stack's place; each member is a value or the CDK's token.

    Attributes:
        partition: The partition.
        region: The region.
        account: The account.
        url_suffix: What hosts' names end with.
        stack_name: The stack's name.
        path: The stack's construct path.
    """

    partition: str
    region: str
    account: str
    url_suffix: str
    stack_name: str
    path: str

    @classmethod
    def of(cls, stack: Stack) -> "Place":
        """The place of a stack."""
        if stack not in _PLACES:
            _PLACES[stack] = cls(
                stack.partition, stack.region, stack.account, stack.url_suffix, stack.stack_name, stack.node.path
            )
        return _PLACES[stack]

    def replaced(self, text: str, values: Mapping[str, str]) -> str:
        """The text with tokens of the place replaced by values, given by the pseudo parameters' names."""
        for token, name in (
            (self.account, "AWS::AccountId"),
            (self.region, "AWS::Region"),
            (self.partition, "AWS::Partition"),
            (self.url_suffix, "AWS::URLSuffix"),
        ):
            if "${Token[" in token:
                text = text.replace(token, values[name])
        return text


_PLACES: WeakKeyDictionary[Stack, Place] = WeakKeyDictionary()
