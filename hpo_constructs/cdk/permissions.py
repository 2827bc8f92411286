"""Policy documents, and the permissions of a role that grow with every tuning job of its stack.

What grows is written as plain JSON: the CDK's own policy documents resolve every resource several times, which took a
good part of a large stack's synthesis.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final

from aws_cdk import Stack
from aws_cdk import aws_iam as iam

from ..errors import SpecError
from .place import Place
from .references import Executions, References, Resource

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


@cache
def service(name: str) -> iam.ServicePrincipal:
    """An AWS service, such as `sagemaker.amazonaws.com`: the same object for all that it may assume."""
    return iam.ServicePrincipal(name)


def policy_document(statements: Iterable[Mapping[str, Any]]) -> iam.PolicyDocument:
    """A policy document of statements in JSON: one call of the CDK, whatever it holds."""
    return iam.PolicyDocument.from_json({"Version": "2012-10-17", "Statement": [dict(each) for each in statements]})


def allowed_only(actions: Sequence[str], resources: Sequence[str]) -> iam.PolicyDocument:
    """A policy document that allows actions on resources."""
    return policy_document([{"Effect": "Allow", "Action": list(actions), "Resource": list(resources)}])


class GrowingPermissions:
    """The policies of one role: an inline one as far as it goes, then managed ones."""

    def __init__(self, role: iam.Role, stack: Stack, description: str) -> None:
        """Starts without permissions.

        Args:
            role: The role; the policies stand below it in the construct tree.
            stack: Its stack.
            description: What the managed policies are for.
        """
        self._role = role
        self._role_name = role.role_name
        self._place, self._references = Place.of(stack), References.of(stack)
        self._description = description
        self._documents: list[_Document] = []

    def allow(
        self, actions: tuple[str, ...], resources: Sequence[Resource], conditions: Mapping[str, Any] | None = None
    ) -> None:
        """Allows actions on resources.

        Args:
            actions: The actions.
            resources: What they may be called on.
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
        return _TOKEN_SIZE if isinstance(resource, Executions) else self._place.length(resource, token=_TOKEN_SIZE)

    def _further_document(self) -> "_Document":
        number = len(self._documents)
        if number > MANAGED_POLICIES:
            raise SpecError(
                f"the permissions of {self._role.node.path} must fit into {MANAGED_POLICIES} managed policies of IAM's "
                f"size: stack {self._place.stack_name} has too many tuning jobs; declare some of them in another stack"
            )
        document = _Document(MANAGED_SIZE if number else INLINE_SIZE - _OTHER_INLINE)
        self._documents.append(document)
        content = self._references.late(document.content)
        if number:
            iam.CfnManagedPolicy(
                self._role,
                f"Policy{number}",
                description=self._description,
                policy_document=content,
                roles=[self._role_name],
            )
        else:
            iam.CfnPolicy(
                self._role, "Policy", policy_name="Functions", policy_document=content, roles=[self._role_name]
            )
        return document


class _Document:
    """A policy document with room for some characters."""

    def __init__(self, room: int) -> None:
        self._room = room - DOCUMENT_SIZE
        self._statements: dict[tuple[str, ...], tuple[dict[str, Any], list[Resource]]] = {}

    def take(
        self, actions: tuple[str, ...], conditions: Mapping[str, Any] | None, resource: Resource, size: int
    ) -> bool:
        """Whether there was room for one more resource, which is in it then."""
        size += len('"",')
        known = self._statements.get(actions)
        if known is None:
            statement: dict[str, Any] = {"Effect": "Allow", "Action": list(actions)}
            if conditions:
                statement["Condition"] = conditions
            size += len(json.dumps({**statement, "Resource": []}, separators=(",", ":"))) + 1
            known = statement, []
        if size > self._room:
            return False
        self._room -= size
        self._statements.setdefault(actions, known)[1].append(resource)
        return True

    def content(self, references: References) -> dict[str, Any]:
        return {
            "Version": "2012-10-17",
            "Statement": [
                {**statement, "Resource": [references.resource(each) for each in resources]}
                for statement, resources in self._statements.values()
            ],
        }
