"""Custom resources of stacks, and what stands in for types that are not available."""

from __future__ import annotations

import json
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: A custom resource has an hour unless its ServiceTimeout says less:
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html
TIMEOUT = 3600.0


class DeploymentError(Exception):
    """A resource that cannot be created, updated or deleted; its text is the event's reason."""


def reason_of(exc: Exception) -> str:
    """An exception as the reason of an event."""
    if isinstance(exc, DeploymentError):
        return str(exc)
    message = getattr(exc, "message", None)
    if message:
        return str(message)
    # Not an answer of the service but a failure inside moto.
    return f"the local endpoint cannot do this: {type(exc).__name__}: {exc}"


class Placeholder:
    """A resource of a type that is not available here."""

    def __init__(self, resource_type: str, name: str) -> None:
        self.cf_resource_type = resource_type
        self.logical_resource_id = ""
        self.physical_resource_id = name

    def get_cfn_attribute(self, attribute: str) -> str:
        raise DeploymentError(
            f"{self.cf_resource_type} is not available on the local endpoint, so it has no attribute {attribute}"
        )


class CustomResource:
    """A custom resource that is waited for, updated and deleted through its Lambda function."""

    def __init__(self, region: str, logical_id: str, resource_type: str, stack_id: str) -> None:
        self.region = region
        self.cf_resource_type = resource_type
        self.logical_resource_id = logical_id
        self.physical_resource_id = ""
        self.data: dict[str, Any] = {}
        self.stack_id = stack_id
        self.properties: dict[str, Any] = {}

    def get_cfn_attribute(self, attribute_name: str) -> Any:
        value: Any = self.data
        for part in [attribute_name] if attribute_name in self.data else attribute_name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                raise DeploymentError(
                    f"{self.logical_resource_id} has no attribute {attribute_name}: its function answered with "
                    f"{', '.join(sorted(self.data)) or 'no data'}"
                )
            value = value[part]
        return value

    def request(self, request_type: str, properties: dict[str, Any], callbacks: Callbacks) -> None:
        """Send an event to the function and take over its answer; DeploymentError when it fails."""
        event: dict[str, Any] = {
            "RequestType": request_type,
            "StackId": self.stack_id,
            "LogicalResourceId": self.logical_resource_id,
            "ResourceType": self.cf_resource_type,
            "ResourceProperties": _as_text(properties),
        }
        if request_type != "Create":
            event["PhysicalResourceId"] = self.physical_resource_id
        if request_type == "Update":
            event["OldResourceProperties"] = _as_text(self.properties)
        answer = callbacks.ask(str(properties.get("ServiceToken", "")), event, _service_timeout(properties))
        if answer.get("Status") != "SUCCESS":
            raise DeploymentError(
                f"Received response status [FAILED] from custom resource. Message returned: "
                f"{answer.get('Reason') or 'no reason given'}"
            )
        if request_type == "Delete":
            return
        physical = answer.get("PhysicalResourceId")
        if not physical:
            raise DeploymentError("Invalid PhysicalResourceId: the custom resource's answer has none")
        self.physical_resource_id = physical
        self.data = answer.get("Data") or {}
        self.properties = properties


def _as_text(value: Any) -> Any:
    """Property values as CloudFormation sends them to custom resources: scalars are strings."""
    if isinstance(value, dict):
        return {key: _as_text(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_text(item) for item in value]
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if value is None else str(value)


def _service_timeout(properties: Mapping[str, Any]) -> float:
    return min(float(properties.get("ServiceTimeout", TIMEOUT)), TIMEOUT)


class Callbacks:
    """Invokes custom resources' functions and matches the answers that they send to their ResponseURL.

    ``invoke(arn, event)`` calls a function and gives its error, or None.
    """

    PATH = "/_hpo/cfn-response/"

    def __init__(self, endpoint_url: str, invoke: Callable[[str, dict[str, Any]], str | None]) -> None:
        self._endpoint_url = endpoint_url
        self._invoke = invoke
        self._waiting: dict[str, _Pending] = {}

    def ask(self, service_token: str, event: dict[str, Any], timeout: float) -> dict[str, Any]:
        token = secrets.token_urlsafe(16)
        pending = self._waiting[token] = _Pending()
        event = {
            **event,
            "RequestId": str(uuid.uuid4()),
            "ServiceToken": service_token,
            "ResponseURL": f"{self._endpoint_url}{self.PATH}{token}",
        }
        threading.Thread(target=self._call, args=(service_token, event, pending), daemon=True).start()
        try:
            if not pending.answered.wait(timeout):
                raise DeploymentError(
                    f"CloudFormation did not receive a response from your Custom Resource within {timeout:g} "
                    f"seconds; see the log of {service_token}"
                )
        finally:
            del self._waiting[token]
        return pending.answer

    def _call(self, service_token: str, event: dict[str, Any], pending: _Pending) -> None:
        try:
            error = self._invoke(service_token, event)
        except Exception as exc:
            error = reason_of(exc)
        # A function that failed before it answered never will. The service waits for the whole timeout.
        if error is not None and not pending.answered.is_set():
            pending.set({"Status": "FAILED", "Reason": f"{service_token} failed without an answer: {error}"})

    def answer(self, token: str, body: bytes) -> bool:
        """Take the answer that a function sent; False for an unknown token."""
        pending = self._waiting.get(token)
        if pending is None:
            return False
        try:
            content = json.loads(body)
        except ValueError:
            content = None
        if not isinstance(content, dict):
            content = {"Status": "FAILED", "Reason": "the answer is not a JSON object"}
        pending.set(content)
        return True


@dataclass
class _Pending:
    answered: threading.Event = field(default_factory=threading.Event)
    answer: dict[str, Any] = field(default_factory=dict)

    def set(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.answered.set()
