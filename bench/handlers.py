"""What a cold Lambda function costs before and in its first call, beside a bare boto3 client that makes the same calls.

Each function runs in a fresh process against a server on this machine that answers at once. What calls it makes is
recorded first; the bare program makes the very same ones with clients of boto3's defaults, and nothing else. The start
of the interpreter, which Lambda does for both, is not counted. What counts is processor time: a cold start is work from
beginning to end, and what else the machine does is not its cost.
"""

from __future__ import annotations

import io
import json
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import hpo_handlers
from hpo_constructs.documents import read
from hpo_constructs.rules.examples import laid_over
from hpo_handlers.contract import QUEUE, Key, Overlap, RunProperty, tuning_job_name

from ._common import ROOT, Aim, BenchError, Row, Sample, figures, in_turns, output, progress, row_of, shown

(_DECLARATION,) = read(ROOT / "examples/single/breast-cancer.yaml")
_ROLE: Final = {"TrainingJobDefinition": {"RoleArn": "arn:aws:iam::123456789012:role/tuning"}}
_DECLARED: Final = "churn"
_MACHINE: Final = "arn:aws:states:us-east-1:123456789012:stateMachine:churn"
_EXECUTION: Final = "arn:aws:states:us-east-1:123456789012:execution:churn:run"
_NAME: Final = tuning_job_name(_DECLARED, _EXECUTION)
_LIMITS: Final = {"MaxNumberOfTrainingJobs": 20, "MaxParallelTrainingJobs": 2}
_OBJECTIVE: Final = {"Type": "Maximize", "MetricName": "validation:auc"}
_JOB: Final = {
    "HyperParameterTuningJobName": _NAME,
    "HyperParameterTuningJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:hyper-parameter-tuning-job/{_NAME}",
    "HyperParameterTuningJobConfig": {
        "Strategy": "Bayesian",
        "HyperParameterTuningJobObjective": _OBJECTIVE,
        "ResourceLimits": _LIMITS,
    },
    "CreationTime": 1_767_225_600,
    "TrainingJobStatusCounters": {"Completed": 20, "InProgress": 0},
    "ObjectiveStatusCounters": {"Succeeded": 20, "Pending": 0, "Failed": 0},
    "BestTrainingJob": {
        "TrainingJobName": f"{_NAME}-001",
        "TrainingJobArn": f"arn:aws:sagemaker:us-east-1:123456789012:training-job/{_NAME}-001",
        "CreationTime": 1_767_225_600,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"eta": "0.3"},
        "FinalHyperParameterTuningJobObjectiveMetric": {**_OBJECTIVE, "Value": 0.9},
    },
}
_TRAINING_JOB: Final = {
    "TrainingJobName": f"{_NAME}-001",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://models/churn/model.tar.gz"},
    "AlgorithmSpecification": {"TrainingImage": "image:1", "TrainingInputMode": "File"},
}
# What the server answers, by operation; a status is the function's own matter.
_ANSWERS: Final[dict[str, dict[str, Any]]] = {
    "CreateHyperParameterTuningJob": {"HyperParameterTuningJobArn": _JOB["HyperParameterTuningJobArn"]},
    "DescribeHyperParameterTuningJob": _JOB,
    "DescribeTrainingJob": _TRAINING_JOB,
    "StopHyperParameterTuningJob": {},
    "PutParameter": {"Version": 1},
    "GetParameterHistory": {"Parameters": [{"Name": QUEUE, "Value": _EXECUTION, "Version": 1}]},
    "StartExecution": {"executionArn": _EXECUTION, "startDate": 1_767_225_600},
    "DescribeExecution": {"executionArn": _EXECUTION, "stateMachineArn": _MACHINE, "status": "RUNNING"},
    "ListExecutions": {"executions": []},
}
_ENTRIES: Final = [{Key.STATE_MACHINE_ARN: _MACHINE, Key.DECLARED_NAMES: [_DECLARED]}]
_REQUEST: Final = {"StackId": "stack", "RequestId": "request", "LogicalResourceId": "resource"}
# The event of each function, and the status of the tuning job that it finds.
_EVENTS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "poll": ({Key.NAME: _NAME}, "InProgress"),
    "create": (
        {
            Key.REQUEST: laid_over(_DECLARATION.request, _ROLE),
            Key.EXECUTION_ARN: _EXECUTION,
            Key.STARTED_AT: "2026-01-01T00:00:00Z",
            Key.OUTPUT_PREFIX: "/hpo/stack/churn/",
            Key.OVERLAP: Overlap.QUEUE,
        },
        "InProgress",
    ),
    "publish": ({Key.NAME: _NAME, Key.OUTPUT_PREFIX: "/hpo/stack/churn/", Key.POLICY: {}}, "Completed"),
    "stop": (
        {Key.DECLARED_NAME: _DECLARED, Key.EXECUTION_ARN: _EXECUTION, Key.FAILURE: {"Error": "E", "Cause": "{}"}},
        "InProgress",
    ),
    "cleanup": ({**_REQUEST, "RequestType": "Delete", "ResourceProperties": {Key.TUNING_JOBS: _ENTRIES}}, "InProgress"),
    "deploy": (
        {
            **_REQUEST,
            "RequestType": "Create",
            "ResourceProperties": {
                RunProperty.STATE_MACHINE_ARN: _MACHINE,
                RunProperty.DECLARED_NAME: _DECLARED,
                RunProperty.DECLARATION: "0" * 16,
                RunProperty.OUTPUT_PREFIX: "/hpo/stack/churn/",
            },
        },
        "InProgress",
    ),
}
# The two that CloudFormation calls, once a deployment, are left to the long run.
_QUICK: Final = ("poll", "create", "publish", "stop")
_SERVICES: Final = {"SageMaker": "sagemaker", "AmazonSSM": "ssm", "AWSStepFunctions": "stepfunctions"}

_BEGIN: Final = """\
import json, resource, sys, time
given = json.loads(sys.argv[1])
begin = time.process_time()
"""
_END: Final = """\
ended = time.process_time()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"import": imported - begin, "call": ended - begin, "memory": peak}))
"""
OURS: Final = f"""{_BEGIN}
import importlib
handler = importlib.import_module("hpo_handlers." + given["function"]).handler
imported = time.process_time()
class Context:
    def get_remaining_time_in_millis(self):
        return 180_000
handler(given["event"], Context())
{_END}"""
BARE: Final = f"""{_BEGIN}
import boto3
imported = time.process_time()
clients = {{}}
for service, method, parameters in given["calls"]:
    if service == "http":
        import urllib.request
        content = json.dumps(parameters).encode()
        urllib.request.urlopen(urllib.request.Request(method, data=content, method="PUT")).read()
        continue
    if service not in clients:
        clients[service] = boto3.client(service)
    getattr(clients[service], method)(**parameters)
{_END}"""


class Service:
    """A server that answers the operations of `_ANSWERS` at once, and notes what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.status = "InProgress"
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # The head and the body of an answer are two packets, which the other side would acknowledge late.
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                target = self.headers.get("X-Amz-Target", "")
                operation = target.partition(".")[2]
                service.calls.append((target, self.body()))
                answer = _ANSWERS.get(operation)
                if answer is None:
                    self.answer(400, {"__type": "ValidationException", "message": f"{target!r} is not served here"})
                    return
                if operation == "DescribeHyperParameterTuningJob":
                    answer = {**answer, "HyperParameterTuningJobStatus": service.status}
                self.answer(200, answer)

            def do_PUT(self) -> None:
                service.calls.append(("http", self.body()))
                self.answer(200, {})

            def body(self) -> dict[str, Any]:
                content: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                return content

            def answer(self, status: int, document: dict[str, Any]) -> None:
                content = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *arguments: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Service:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def run(self, program: str, given: dict[str, Any]) -> dict[str, float]:
        """Run a program against this server, in a process of its own."""
        measured: dict[str, float] = figures(program, json.dumps(given), AWS_ENDPOINT_URL=self.url)
        return measured


def recorded(service: Service, program: str, given: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The calls that a program makes."""
    service.calls = []
    service.run(program, given)
    return service.calls


def compared(service: Service, name: str, rounds: int) -> dict[str, list[dict[str, float]]]:
    """Run a function and its bare twin in turns.

    Raises:
        BenchError: They did not make the same calls.
    """
    event, service.status = _EVENTS[name]
    given: dict[str, Any] = {"function": name, "event": {**event, "ResponseURL": service.url}}
    made = recorded(service, OURS, given)
    calls = [_bare_call(service, target, body) for target, body in made]
    if (bare := recorded(service, BARE, {"calls": calls})) != made:
        raise BenchError(f"the function {name} made the calls {made}, the bare client {bare}")
    return in_turns(
        {"ours": lambda: service.run(OURS, given), "bare": lambda: service.run(BARE, {"calls": calls})}, rounds
    )


def _bare_call(service: Service, target: str, body: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Service, method and arguments of a call, as boto3 has them."""
    from botocore import xform_name

    prefix, _, operation = target.partition(".")
    return (_SERVICES[prefix], xform_name(operation), body) if operation else (target, service.url, body)


def asset_bytes() -> int:
    """The size of the deployed code, zipped as the CDK does it: without compiled files."""
    package = Path(hpo_handlers.__path__[0])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(package.rglob("*")):
            if file.is_file() and file.suffix != ".pyc":
                archive.write(file, file.relative_to(package.parent))
    return len(content.getvalue())


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about the functions."""
    output(["python", "-m", "compileall", "-q", str(Path(hpo_handlers.__path__[0]))])
    with Service() as service:
        for name in _EVENTS if full else _QUICK:
            progress(f"{name}, in turns with a bare client")
            measured = compared(service, name, 25 if full else 9)
            for kind, what, aim in (
                ("import", "cold import", 1.1),
                ("call", "cold import and first call", 1.1),
                ("memory", "memory", 1.1),
            ):
                ours, bare = (Sample(tuple(run[kind] for run in measured[side])) for side in ("ours", "bare"))
                unit = "B" if kind == "memory" else "s"
                spreads = [" to ".join(shown(value, unit) for value in sample.spread) for sample in (ours, bare)]
                yield row_of(
                    "handlers",
                    f"{what}, {name}",
                    ours.median,
                    unit,
                    other=bare.median,
                    other_name="bare boto3",
                    aim=Aim("ratio", "<=", aim),
                    note=f"medians; quartiles {spreads[0]}, {spreads[1]}",
                )
    yield row_of("handlers", "asset, zipped", asset_bytes(), "B", note="boto3 comes with the runtime")
