"""The middleware's own answers, over its WSGI interface with small services behind it."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Iterable
from typing import Any

import pytest

from hpo_constructs.local.middleware import Middleware, Services


class RefusedError(Exception):
    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


class Jobs:
    """Keeps jobs by name, as the engine does."""

    def __init__(self) -> None:
        self.jobs: dict[str, datetime.datetime] = {}

    def answers(self, operation: str, body: dict[str, Any]) -> bool:
        return body.get("Name") != "of-moto"

    def handle(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        name = body["Name"]
        if operation == "Create":
            self.jobs[name] = datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC)
            return {}
        if name not in self.jobs:
            raise RefusedError("ResourceNotFound", f"there is no job {name}")
        return {"Name": name, "CreationTime": self.jobs[name]}


class Answers:
    PATH = "/_hpo/cfn-response/"

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}

    def answer(self, token: str, body: bytes) -> bool:
        self.taken[token] = body
        return token == "known"


def behind(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/missing":
        raise NotImplementedError("The Fly action has not been implemented")
    if environ["PATH_INFO"] == "/broken":
        raise KeyError("BootstrapVersion")
    start_response("200 OK", [("X-Behind", environ.get("HTTP_X_AMZ_TARGET", ""))])
    return [b"moto"]


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def app(answers: Answers) -> Middleware:
    middleware = Middleware({"region": "us-east-1"})
    middleware.serve(
        Services(
            moto=behind,
            callbacks=answers,
            sagemaker=Jobs(),
            operations={"Create", "Describe"},
            api_error=RefusedError,
        )
    )
    return middleware


def request(app: Middleware, path: str = "/", body: bytes = b"", **headers: str) -> tuple[int, dict[str, str], bytes]:
    received: dict[str, Any] = {}

    def start_response(status: str, response_headers: list[tuple[str, str]]) -> None:
        received["status"], received["headers"] = int(status.split(maxsplit=1)[0]), dict(response_headers)

    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        **headers,
    }
    content = b"".join(app(environ, start_response))
    return received["status"], received["headers"], content


def call(app: Middleware, operation: str, body: Any) -> tuple[int, dict[str, str], Any]:
    status, headers, content = request(app, body=json.dumps(body).encode(), HTTP_X_AMZ_TARGET=f"SageMaker.{operation}")
    return status, headers, json.loads(content)


def test_the_engines_operations_are_answered_in_json(app: Middleware) -> None:
    assert call(app, "Create", {"Name": "a"})[0] == 200
    status, headers, answer = call(app, "Describe", {"Name": "a"})
    assert (status, headers["Content-Type"]) == (200, "application/x-amz-json-1.1")
    # Timestamps are seconds since 1970.
    assert answer == {"Name": "a", "CreationTime": 1767312000.0}
    assert headers["x-amzn-RequestId"]


def test_an_operation_on_another_resource_is_motos_with_its_body(answers: Answers) -> None:
    read: list[bytes] = []

    def moto(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        read.append(environ["wsgi.input"].read())
        return behind(environ, start_response)

    middleware = Middleware({})
    middleware.serve(
        Services(moto=moto, callbacks=answers, sagemaker=Jobs(), operations={"Describe"}, api_error=RefusedError)
    )
    body = b'{"Name": "of-moto"}'
    status, _, content = request(middleware, body=body, HTTP_X_AMZ_TARGET="SageMaker.Describe")
    assert (status, content, read) == (200, b"moto", [body])


@pytest.mark.parametrize(
    ("method", "service", "target", "kept"),
    [
        ("PUT", "s3", "", True),
        ("GET", "s3", "", False),
        ("POST", "", "", True),
        ("POST", "ssm", "AmazonSSM.PutParameter", True),
        ("POST", "ssm", "AmazonSSM.GetParameter", False),
        ("POST", "lambda", "", False),
    ],
)
def test_what_changes_is_kept_before_the_answer(
    answers: Answers, method: str, service: str, target: str, kept: bool
) -> None:
    calls: list[str] = []
    middleware = Middleware({})
    middleware.serve(
        Services(
            moto=behind,
            callbacks=answers,
            sagemaker=Jobs(),
            operations=set(),
            api_error=RefusedError,
            keep=lambda: calls.append("kept"),
        )
    )
    signed = f"AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{service}/aws4_request" if service else ""
    request(middleware, HTTP_AUTHORIZATION=signed, HTTP_X_AMZ_TARGET=target, REQUEST_METHOD=method)
    assert calls == (["kept"] if kept else [])


def test_an_error_of_the_engine_is_an_aws_error(app: Middleware) -> None:
    status, headers, answer = call(app, "Describe", {"Name": "b"})
    assert (status, headers["x-amzn-ErrorType"]) == (400, "ResourceNotFound")
    assert answer == {"__type": "ResourceNotFound", "message": "there is no job b"}


def test_a_body_that_is_not_an_object_is_refused(app: Middleware) -> None:
    for body in (b"[1]", b"{", b"\xff"):
        status, headers, _ = request(app, body=body, HTTP_X_AMZ_TARGET="SageMaker.Create")
        assert (status, headers["x-amzn-ErrorType"]) == (400, "SerializationException")


def test_a_failure_of_the_engine_does_not_end_the_server(app: Middleware) -> None:
    status, _, answer = call(app, "Create", {})
    assert (status, answer["__type"]) == (500, "InternalFailure")
    assert "KeyError" in answer["message"]
    assert call(app, "Create", {"Name": "a"})[0] == 200


@pytest.mark.parametrize("target", ["SageMaker.ListModels", "Other.Create", "", "SageMaker"])
def test_all_else_goes_to_moto(app: Middleware, target: str) -> None:
    status, headers, content = request(app, HTTP_X_AMZ_TARGET=target)
    assert (status, headers["X-Behind"], content) == (200, target, b"moto")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"CONTENT_TYPE": "application/x-www-form-urlencoded"}, b"<ErrorResponse><Error><Code>"),
        (
            {"HTTP_AUTHORIZATION": "AWS4-HMAC-SHA256 Credential=a/20260102/us-east-1/s3/aws4_request, x"},
            b"<Error><Code>",
        ),
        ({}, b'{"__type": "'),
    ],
)
def test_errors_come_in_the_services_protocol(app: Middleware, headers: dict[str, str], expected: bytes) -> None:
    status, _, content = request(app, "/missing", **headers)
    assert status == 501
    assert content.startswith(expected + b"NotImplemented")
    assert b"The Fly action has not been implemented" in content
    status, _, content = request(app, "/broken", **headers)
    assert status == 500
    assert content.startswith(expected + b"InternalFailure")


def test_custom_resources_answers_are_taken(app: Middleware, answers: Answers) -> None:
    assert request(app, "/_hpo/cfn-response/known", b"{}")[0] == 200
    assert answers.taken == {"known": b"{}"}
    assert request(app, "/_hpo/cfn-response/unknown", b"{}")[0] == 404


def test_health_is_answered_before_the_services_are_loaded() -> None:
    app = Middleware({"region": "us-east-1"})
    status, _, content = request(app, "/_hpo/health")
    assert (status, json.loads(content)) == (200, {"status": "starting", "region": "us-east-1"})
