"""Real botocore clients with recorded answers: a call that is not expected, or differs, fails the test."""

from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from hpo_handlers import cleanup, create, deploy, digest, executions, poll, publish, stop, turn

Answers = Callable[[str], Stubber]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answers]:
    """The stubber of a service's client, which the handlers get from now on."""
    stubbers: dict[str, Stubber] = {}

    def stubber(service: str) -> Stubber:
        if service not in stubbers:
            client = boto3.client(
                service,
                region_name="eu-west-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
                config=Config(retries={"total_max_attempts": 1}),
            )
            stubbers[service] = Stubber(client)
            stubbers[service].activate()
        return stubbers[service]

    def client(service: str) -> Any:
        return stubber(service).client

    for module in (cleanup, create, deploy, digest, executions, poll, publish, stop, turn):
        monkeypatch.setattr(module, "client", client)
    yield stubber
    for each in stubbers.values():
        each.assert_no_pending_responses()
