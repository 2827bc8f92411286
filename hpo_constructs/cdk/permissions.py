"""Permissions of a role that grow with every tuning job of its stack.

They are written as plain JSON: the CDK's own policy documents resolve every resource several times, which took a
good part of a large stack's synthesis.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from ..errors import SpecError
from .late import late
from .place import Place

# Characters of a role's inline policies together, of a managed policy, and managed policies of a role, each with
# room for what a token turns out to be. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
INLINE_SIZE: Final = 10_240 - 240
MANAGED_SIZE: Final = 6_144 - 144
MANAGED_POLICIES: Final = 10
# What a policy document has around its statements.
DOCUMENT_SIZE: Final = len('{"Version":"2012-10-17","Statement":[]}')

# An inline policy that tracing adds.
_OTHER_INLINE: Final = 300
# ARN of a state machine with the longest name: the longest of those that only the deployment knows.
_TOKEN_SIZE: Final = len("arn:aws-us-gov:states:ap-southeast-2:123456789012:stateMachine:") + 80

# An ARN, which may hold tokens, or a CloudFormation function that gives one.
Resource = str | dict[str, Any]


class GrowingPermissions:
    """The policies of one role: an inline one as far as it goes, then managed ones."""

    def __init__(self, role: iam.Role, description: str) -> None:
        """Starts without permissions.

        Args:
            role: The role; the policies stand below it in the construct tree.
            description: What the managed policies are for.
        """
        self._role = role
        self._role_name = role.role_name
        self._place = Place.of(Stack.of(role))
        self._description = description
        self._documents: list[_Document] = []
        self._latest: iam.CfnPolicy | iam.CfnManagedPolicy | None = None
        # Only the latest document still grows; each late value is a call back at synthesis.
        self._growing = late(self._latest_content)

    def allow(
        self, actions: tuple[str, ...], resources: Sequence[Resource], conditions: Mapping[str, Any] | None = None
    ) -> None:
        """Allows actions on resources.

        Args:
            actions: The actions.
            resources: What they may be called on, as `Place.substituted` gives it.
            conditions: The conditions; the same ones whenever the actions are.

        Raises:
            SpecError: a role cannot hold that much.
        """
        for resource in resources:
            size = self._size(resource)
            if not self._documents or not self._documents[-1].take(actions, conditions, resource, size):
                self._further_document().take(actions, conditions, resource, size)

    def _size(self, resource: Resource) -> int:
        """Characters of a resource at deployment, at most."""
        match resource:
            case str():
                return self._place.length(resource, token=_TOKEN_SIZE)
            case {"Fn::Sub": str(text)}:  # the pseudo parameters' names are as long as their values
                return len(text)
        return _TOKEN_SIZE

    def _further_document(self) -> "_Document":
        number = len(self._documents)
        if number > MANAGED_POLICIES:
            raise SpecError(
                f"the permissions of {self._role.node.path} must fit into {MANAGED_POLICIES} managed policies of IAM's "
                f"size: stack {self._place.stack_name} has too many tuning jobs; declare some of them in another stack"
            )
        if self._latest is not None:
            self._latest.policy_document = self._latest_content()
        self._documents.append(_Document(MANAGED_SIZE if number else INLINE_SIZE - _OTHER_INLINE))
        if number:
            self._latest = iam.CfnManagedPolicy(
                self._role,
                f"Policy{number}",
                description=self._description,
                policy_document=self._growing,
                roles=[self._role_name],
            )
        else:
            self._latest = iam.CfnPolicy(
                self._role, "Policy", policy_name="Functions", policy_document=self._growing, roles=[self._role_name]
            )
        return self._documents[-1]

    def _latest_content(self) -> dict[str, Any]:
        return self._documents[-1].content()


class _Document:
    """A policy document with room for some characters."""

    def __init__(self, room: int) -> None:
        self._room = room - DOCUMENT_SIZE
        self._statements: dict[tuple[str, ...], dict[str, Any]] = {}

    def take(
        self, actions: tuple[str, ...], conditions: Mapping[str, Any] | None, resource: Resource, size: int
    ) -> bool:
        """Whether there was room for one more resource, which is in it then."""
        size += len('"",')
        statement = self._statements.get(actions)
        if statement is None:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": []}
            if conditions:
                statement["Condition"] = conditions
            size += len(json.dumps(statement, separators=(",", ":"))) + 1
        if size > self._room:
            return False
        self._room -= size
        self._statements.setdefault(actions, statement)["Resource"].append(resource)
        return True

    def content(self) -> dict[str, Any]:
        return {"Version": "2012-10-17", "Statement": list(self._statements.values())}
