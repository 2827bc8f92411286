"""Fixtures for tests on the local endpoint: one endpoint for each pytest-xdist worker."""

from __future__ import annotations

import itertools
import json
import os
import textwrap
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint

_numbers = itertools.count()


@pytest.fixture(scope="session")
def endpoint() -> Iterator[LocalEndpoint]:
    """A running endpoint whose state machines wait a twentieth of their time."""
    with LocalEndpoint(wait_scale=0.05) as running:
        yield running


@pytest.fixture
def unique() -> Callable[[str], str]:
    """Makes names that no other test on the same endpoint uses."""
    return lambda name: f"{name}-{os.getpid()}-{next(_numbers)}"


def until(condition: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """The first true value of a condition; fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)
    return value


class Stacks:
    """Deploys templates to the endpoint and deletes what is left at the end of a test."""

    def __init__(self, endpoint: LocalEndpoint) -> None:
        self.client = endpoint.client("cloudformation")
        self._names: list[str] = []

    def deploy(self, name: str, resources: dict[str, Any], **rest: Any) -> dict[str, str]:
        """Create or update a stack that must succeed; its outputs."""
        described = self.attempt(name, resources, **rest)
        assert described["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, self.reasons(name)
        return {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", [])}

    def attempt(
        self, name: str, resources: dict[str, Any], *, parameters: dict[str, str] | None = None, **rest: Any
    ) -> dict[str, Any]:
        """Create or update a stack; its description when the operation has ended."""
        arguments = {
            "StackName": name,
            "TemplateBody": json.dumps({"Resources": resources, **rest}),
            "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in (parameters or {}).items()],
        }
        if name in self._names:
            self.client.update_stack(**arguments)
        else:
            self.client.create_stack(**arguments)
            self._names.append(name)
        return self.settled(name)

    def settled(self, name: str) -> dict[str, Any]:
        def ended() -> Any:
            stack = self.client.describe_stacks(StackName=name)["Stacks"][0]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        return dict(until(ended))

    def delete(self, name: str) -> str:
        """Delete a stack; the status in which it ends."""
        identifier = self.client.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self.client.delete_stack(StackName=name)
        self._names.remove(name)
        return str(self.settled(identifier)["StackStatus"])

    def reasons(self, name: str) -> dict[str, str]:
        """Per logical id the reason of its last event that has one."""
        events = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in reversed(events)
            if event.get("ResourceStatusReason")
        }

    def close(self) -> None:
        for name in list(self._names):
            self.delete(name)


@pytest.fixture
def stacks(endpoint: LocalEndpoint) -> Iterator[Stacks]:
    running = Stacks(endpoint)
    yield running
    running.close()


def role(service: str = "lambda.amazonaws.com", **properties: Any) -> dict[str, Any]:
    """An AWS::IAM::Role resource."""
    statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    return {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": document, **properties}}


def function(code: str, **properties: Any) -> dict[str, Any]:
    """An AWS::Lambda::Function resource with inline code; its role is the resource ``Role``."""
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Architectures": ["arm64"],
            "Timeout": 20,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": textwrap.dedent(code)},
            **properties,
        },
    }
