"""Lambda functions on the local endpoint run their real code in worker processes."""

from __future__ import annotations

import base64
import io
import json
import os
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint

from .conftest import until

CODE = """
    import json, logging, os, sys, time
    import boto3

    calls = 0

    def handler(event, context):
        global calls
        calls += 1
        match event.get("do"):
            case "fail":
                raise KeyError("missing")
            case "sleep":
                time.sleep(event["seconds"])
            case "exit":
                os._exit(3)
            case "unserialisable":
                return object()
            case "log":
                print("printed")
                print("to stderr", file=sys.stderr)
                logging.getLogger().setLevel("INFO")
                logging.getLogger("mine").info("logged")
                sys.stdout.write("no newline")
            case "call":
                return boto3.client("ssm").get_parameter(Name=event["name"])["Parameter"]["Value"]
        return {
            "calls": calls, "pid": os.getpid(), "value": os.environ.get("VALUE"),
            "name": context.function_name, "arn": context.invoked_function_arn,
            "left": context.get_remaining_time_in_millis(), "memory": context.memory_limit_in_mb,
            "aws": {k: v for k, v in os.environ.items() if k.startswith(("AWS_PROFILE", "AWS_ENDPOINT"))},
        }
"""


def archive(code: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as files:
        files.writestr("app.py", textwrap.dedent(code))
    return buffer.getvalue()


class Function:
    """A function on the endpoint."""

    def __init__(self, endpoint: LocalEndpoint, name: str, code: str, **settings: Any) -> None:
        self.name = name
        self.client = endpoint.client("lambda")
        self.logs = endpoint.client("logs")
        trust = {"Version": "2012-10-17", "Statement": []}
        role = endpoint.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        self.client.create_function(
            **{
                "FunctionName": name,
                "Runtime": "python3.13",
                "Handler": "app.handler",
                "Role": role["Role"]["Arn"],
                "Code": {"ZipFile": archive(code)},
                "Timeout": 20,
                **settings,
            }
        )

    def call(self, event: Any = None, **rest: Any) -> tuple[Any, str | None]:
        """The answer, and the kind of error where it is one."""
        response = self.client.invoke(FunctionName=self.name, Payload=json.dumps(event or {}), **rest)
        return json.loads(response["Payload"].read()), response.get("FunctionError")

    def log(self) -> list[str]:
        events = self.logs.filter_log_events(logGroupName=f"/aws/lambda/{self.name}")["events"]
        return [event["message"] for event in events]


@pytest.fixture(scope="module")
def function(endpoint: LocalEndpoint) -> Iterator[Function]:
    made = Function(endpoint, f"echo-{os.getpid()}", CODE, Environment={"Variables": {"VALUE": "v"}})
    yield made
    made.client.delete_function(FunctionName=made.name)


@pytest.fixture
def make(endpoint: LocalEndpoint, unique: Callable[[str], str]) -> Callable[..., Function]:
    return lambda code=CODE, **settings: Function(endpoint, unique("function"), code, **settings)


def test_a_handler_gets_its_context_and_environment(function: Function, endpoint: LocalEndpoint) -> None:
    answer, error = function.call()
    assert error is None
    assert answer["value"] == "v"
    assert answer["name"] == function.name
    assert answer["arn"] == f"arn:aws:lambda:us-east-1:123456789012:function:{function.name}"
    assert 15_000 < answer["left"] <= 20_000
    assert answer["memory"] == "128"
    assert answer["aws"] == {"AWS_ENDPOINT_URL": endpoint.url}


def test_a_second_call_finds_a_warm_worker(function: Function) -> None:
    first, _ = function.call()
    second, _ = function.call()
    assert second["pid"] == first["pid"] != os.getpid()
    assert second["calls"] == first["calls"] + 1


def test_calls_run_side_by_side(function: Function) -> None:
    with ThreadPoolExecutor(3) as threads:
        answers = list(threads.map(lambda _: function.call({"do": "sleep", "seconds": 1})[0], range(3)))
    assert len({answer["pid"] for answer in answers}) == 3


def test_a_handler_reaches_the_endpoint(function: Function, endpoint: LocalEndpoint) -> None:
    endpoint.client("ssm").put_parameter(Name=f"/{function.name}", Value="42", Type="String")
    assert function.call({"do": "call", "name": f"/{function.name}"}) == ("42", None)


def test_an_exception_is_an_unhandled_error(function: Function) -> None:
    answer, error = function.call({"do": "fail"})
    assert error == "Unhandled"
    assert (answer["errorType"], answer["errorMessage"]) == ("KeyError", "'missing'")
    assert "raise KeyError" in answer["stackTrace"][0]
    # The worker lives on.
    assert function.call()[1] is None


def test_an_answer_that_is_not_json_is_an_error(function: Function) -> None:
    answer, error = function.call({"do": "unserialisable"})
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.MarshalError")


def test_a_crash_is_an_exit_error(function: Function) -> None:
    answer, error = function.call({"do": "exit"})
    assert (error, answer["errorType"]) == ("Unhandled", "Runtime.ExitError")
    assert "Runtime exited with error: exit status 3" in answer["errorMessage"]
    assert function.call()[1] is None


def test_a_timeout_ends_the_worker_and_what_it_started(make: Callable[..., Function]) -> None:
    code = """
        import os, subprocess, time
        def handler(event, context):
            child = subprocess.Popen(["sleep", "60"])
            print("pids", os.getpid(), child.pid)
            time.sleep(60)
    """
    made = make(code, Timeout=1)
    answer, error = made.call()
    assert (error, answer["errorType"]) == ("Unhandled", "Sandbox.Timedout")
    assert "Task timed out after 1.00 seconds" in answer["errorMessage"]
    pids = next(line for line in made.log() if line.startswith("pids")).split()[1:]
    until(lambda: not any(is_alive(int(pid)) for pid in pids), seconds=5)


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:  # noqa: PTH123
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_log_is_as_lambda_writes_it(function: Function) -> None:
    response = function.client.invoke(FunctionName=function.name, Payload=json.dumps({"do": "log"}), LogType="Tail")
    lines = base64.b64decode(response["LogResult"]).decode().splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("START"))
    request_id = lines[start].split()[2]
    assert lines[start] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[start + 1 : start + 3] == ["printed", "to stderr"]
    assert lines[start + 3].startswith("[INFO]\t")
    assert lines[start + 3].endswith(f"Z\t{request_id}\tlogged")
    assert lines[start + 4 : start + 6] == ["no newline", f"END RequestId: {request_id}"]
    assert lines[start + 6].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert set(lines) <= set(function.log())


def test_new_code_and_configuration_are_used_at_once(make: Callable[..., Function]) -> None:
    made = make("def handler(event, context):\n    return 'old'")
    assert made.call() == ("old", None)
    code = "import os\ndef handler(event, context):\n    return os.environ.get('X')"
    made.client.update_function_code(FunctionName=made.name, ZipFile=archive(code))
    assert made.call() == (None, None)
    made.client.update_function_configuration(
        FunctionName=made.name, Environment={"Variables": {"X": "new", "AWS_ENDPOINT_URL_SSM": "http://elsewhere"}}
    )
    assert made.call() == ("new", None)


@pytest.mark.parametrize(
    ("code", "handler", "error_type", "message"),
    [
        ("import nothing_like_this", "app.handler", "Runtime.ImportModuleError", "No module named 'nothing_like_this'"),
        ("x = 1", "app.handler", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'app'"),
        ("def handler(:", "app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app'"),
        ("x = 1", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
        ("import os; os._exit(9)", "app.handler", "Runtime.ExitError", "exit status 9"),
        ("1 / 0", "app.handler", "ZeroDivisionError", "division by zero"),
    ],
)
def test_a_handler_that_cannot_be_loaded(
    make: Callable[..., Function], code: str, handler: str, error_type: str, message: str
) -> None:
    answer, error = make(code, Handler=handler).call()
    assert (error, answer["errorType"]) == ("Unhandled", error_type)
    assert message in answer["errorMessage"]


def test_another_runtime_is_refused_clearly(make: Callable[..., Function]) -> None:
    answer, error = make("", Runtime="nodejs22.x").call()
    assert error == "Unhandled"
    assert "runs Python functions only, got runtime nodejs22.x" in answer["errorMessage"]


def test_an_event_call_does_not_wait(make: Callable[..., Function]) -> None:
    made = make("import time\ndef handler(event, context):\n    time.sleep(1)\n    print('done')")
    started = time.monotonic()
    response = made.client.invoke(FunctionName=made.name, InvocationType="Event", Payload=b"{}")
    assert response["StatusCode"] == 202
    assert time.monotonic() - started < 1
    until(lambda: "done" in _log_if_any(made), seconds=15)


def _log_if_any(function: Function) -> list[str]:
    try:
        return function.log()
    except function.logs.exceptions.ResourceNotFoundException:
        return []


def test_json_logs(make: Callable[..., Function]) -> None:
    code = "import logging\ndef handler(event, context):\n    logging.getLogger('mine').info('hello %s', 'you')"
    made = make(code, LoggingConfig={"LogFormat": "JSON"})
    made.call()
    entries = [json.loads(line) for line in made.log()]
    assert [entry.get("type") for entry in entries] == ["platform.start", None, "platform.report"]
    assert (entries[1]["message"], entries[1]["level"]) == ("hello you", "INFO")
    assert entries[1]["requestId"] == entries[0]["record"]["requestId"]
