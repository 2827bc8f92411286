"""Where constructs stand and are deployed: asking the CDK again and again takes most of a large app's synthesis."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from weakref import WeakKeyDictionary

from aws_cdk import Stack
from constructs import Construct

# Context key in cdk.json: an edition's name, or single quotas with an edition beside them.
QUOTAS_CONTEXT: Final = "hpo:quotas"
# Context key in cdk.json: what one run of all tuning jobs together may use at most.
BUDGET_CONTEXT: Final = "hpo:budget"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/pseudo-parameter-reference.html
PSEUDO_PARAMETERS: Final = ("AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix")


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


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What is the same for all constructs that stand directly in one scope.

    The CDK lets nobody change the context of a scope that has constructs in it, so it is asked once.

    Attributes:
        stack: The stack.
        path: The scope's construct path; empty for the app.
        quotas: What the context states of the account's quotas.
        budget: What the context states of the budget of all jobs.
    """

    stack: Stack
    path: str
    quotas: Any
    budget: Any

    @classmethod
    def of(cls, scope: Construct) -> "Surroundings":
        """The surroundings of the constructs in a scope that has some."""
        if scope not in _SURROUNDINGS:
            node = scope.node
            _SURROUNDINGS[scope] = cls(
                Stack.of(scope), node.path, node.try_get_context(QUOTAS_CONTEXT), node.try_get_context(BUDGET_CONTEXT)
            )
        return _SURROUNDINGS[scope]

    @property
    def place(self) -> Place:
        """Where the stack is deployed."""
        return Place.of(self.stack)

    def path_of(self, id: str) -> str:
        """Path of a construct in the scope."""
        # As the CDK writes it: https://docs.aws.amazon.com/cdk/v2/guide/identifiers.html
        name = id.replace("/", "--")
        return f"{self.path}/{name}" if self.path else name


_PLACES: WeakKeyDictionary[Stack, Place] = WeakKeyDictionary()
_SURROUNDINGS: WeakKeyDictionary[Construct, Surroundings] = WeakKeyDictionary()
