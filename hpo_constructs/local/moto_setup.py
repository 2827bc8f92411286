"""Fits moto's Lambda and Step Functions to the local endpoint.

Everything here is applied once, when the server starts, and says what moto (the release that pyproject.toml pins)
lacks. CloudFormation is in :mod:`.cloudformation`.
"""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from .lambda_runner import FunctionConfig, LambdaRunner
from .patching import replace
from .telemetry import put_log_events

if TYPE_CHECKING:
    from moto.awslambda.models import LambdaFunction

log = logging.getLogger(__name__)


def configure(port: int) -> None:
    """Set what moto reads when its modules are imported; call it before anything of moto is imported."""
    # State machines and nested calls reach the services here.
    os.environ["MOTO_PORT"] = str(port)
    # moto compares a Timestamp wait (UTC) with the local time.
    os.environ["TZ"] = "UTC"
    time.tzset()

    from moto.core.config import default_user_config

    default_user_config["stepfunctions"] = {"execute_state_machine": True}
    # CDK apps attach AWS managed policies, AWSLambdaBasicExecutionRole first of all.
    default_user_config["iam"] = {"load_aws_managed_policies": True}

    from moto import backends

    # moto looks through its own folder anew with every request.
    services = tuple(backends.list_of_moto_modules())
    replace(backends, "list_of_moto_modules", lambda: services)


# Lambda


def write_log(group: str, stream: str, lines: list[str], *, account_id: str, region: str) -> None:
    """Append lines to a log stream, which is made when it is not there yet."""
    now = int(time.time() * 1000)
    put_log_events(group, stream, [(now, line) for line in lines], account_id=account_id, region=region)


def function_config(function: LambdaFunction, region: str) -> FunctionConfig:
    """A function of moto's, as the runner wants it."""
    from moto.awslambda.models import lambda_backends

    backend: Any = lambda_backends[function.account_id][region]
    logging_config = logging_configuration(function)
    return FunctionConfig(
        name=function.function_name,
        arn=function.function_arn,
        version=str(function.version),
        handler=function.handler or "",
        runtime=function.run_time or "",
        timeout=int(function.timeout),
        memory=int(function.memory_size),
        code=function.code_bytes,
        layers=tuple(backend.layers_versions_by_arn(layer["Arn"]).code_bytes for layer in function.layers),
        environment={name: str(value) for name, value in function.environment_vars.items()},
        log_group=logging_config["LogGroup"],
        log_format=logging_config["LogFormat"],
        log_level=logging_config.get("ApplicationLogLevel", "INFO"),
    )


def find_function(arn: str, region: str, account_id: str) -> LambdaFunction:
    """The function with a name or ARN; moto's error when there is none."""
    from moto.awslambda.models import lambda_backends

    return lambda_backends[account_id][region].get_function(arn)


def logging_configuration(function: LambdaFunction) -> dict[str, Any]:
    """The function's ``LoggingConfig`` with the service's defaults; moto does not keep one."""
    given = getattr(function, "hpo_logging_config", {})
    return {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}", **given}


def install_lambda(runner: LambdaRunner) -> None:
    """Run functions' code in the runner's workers, where moto would start Docker containers."""
    from moto.awslambda.models import LambdaBackend, LambdaFunction

    original_init = LambdaFunction.__init__
    original_configuration = LambdaFunction.get_configuration
    original_update = LambdaFunction.update_configuration
    original_delete = LambdaBackend.delete_function

    def init(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        original_init(self, account_id, spec, *args, **kwargs)
        self.hpo_logging_config = dict(spec.get("LoggingConfig") or {})

    def get_configuration(self: Any, on_create: bool = False) -> dict[str, Any]:
        configuration: dict[str, Any] = original_configuration(self, on_create)
        return {**configuration, "LoggingConfig": logging_configuration(self)}

    def update_configuration(self: Any, updates: dict[str, Any]) -> dict[str, Any]:
        if "LoggingConfig" in updates:
            self.hpo_logging_config = dict(updates["LoggingConfig"])
        return dict(original_update(self, updates))

    def invoke(self: Any, body: Any, request_headers: Mapping[str, str], response_headers: dict[str, Any]) -> bytes:
        headers = {name.lower(): value for name, value in request_headers.items()}
        event = json.loads(body) if body else {}
        client_context = json.loads(base64.b64decode(headers.get("x-amz-client-context", "bnVsbA==")))
        config = function_config(self, self.region)
        kind = headers.get("x-amz-invocation-type", "RequestResponse")
        if kind == "DryRun":
            return b""
        if kind == "Event":
            threading.Thread(target=runner.invoke, args=(config, event, client_context), daemon=True).start()
            return b""
        invocation = runner.invoke(config, event, client_context)
        if invocation.is_error:
            # moto says Handled, which Lambda no longer does.
            response_headers["x-amz-function-error"] = "Unhandled"
        response_headers["x-amz-executed-version"] = config.version
        response_headers["x-amz-log-result"] = base64.b64encode(invocation.log_tail.encode()).decode()
        return invocation.payload

    def invoke_lambda(self: Any, event: Any = None) -> tuple[str, bool, str]:
        # Other services of moto's (event source mappings, SNS, logs subscriptions) call functions this way.
        parsed = json.loads(event) if isinstance(event, str) else event
        invocation = runner.invoke(function_config(self, self.region), parsed)
        return invocation.payload.decode(), invocation.is_error, invocation.log_tail

    def delete_function(self: Any, function_name: str, qualifier: str | None = None) -> None:
        arn = self.get_function(function_name).function_arn
        original_delete(self, function_name, qualifier)
        runner.retire(arn)

    replace(LambdaFunction, "__init__", init)
    replace(LambdaFunction, "get_configuration", get_configuration)
    replace(LambdaFunction, "update_configuration", update_configuration)
    replace(LambdaFunction, "invoke", invoke)
    replace(LambdaFunction, "_invoke_lambda", invoke_lambda)
    replace(LambdaBackend, "delete_function", delete_function)


# Step Functions


def install_step_functions(endpoint_url: str, *, wait_scale: float) -> None:
    """Have CloudFormation's state machines run on moto's interpreter, with waits that can be shortened."""
    _share_clients(endpoint_url)

    from moto.stepfunctions import models
    from moto.stepfunctions.parser.models import stepfunctions_parser_backends

    # CloudFormation's resource class uses the backend that does not execute.
    replace(models, "stepfunctions_backends", stepfunctions_parser_backends)
    _install_waits(wait_scale)
    _install_executions()


def _share_clients(endpoint_url: str) -> None:
    """Give the interpreter's tasks one client per service.

    moto makes a client for each task from boto3's default session, which several executions must not do at a time
    and which costs tens of milliseconds.
    """
    import boto3
    import botocore.config
    from moto.stepfunctions.parser.asl.utils import boto_client

    session = boto3.session.Session(aws_access_key_id="local", aws_secret_access_key="local")  # noqa: S106
    config = botocore.config.Config(
        parameter_validation=False,
        retries={"total_max_attempts": 1},
        max_pool_connections=50,
        # A Lambda function runs for 15 minutes at most; moto's own timeout does not fit a C integer everywhere.
        read_timeout=1000,
        connect_timeout=10,
    )
    clients: dict[tuple[str, str], Any] = {}
    lock = threading.Lock()

    def boto_client_for(region: str, service: str, state_credentials: Any = None) -> Any:  # noqa: ARG001
        with lock:
            key = (region, service)
            if key not in clients:
                clients[key] = session.client(service, region_name=region, endpoint_url=endpoint_url, config=config)
            return clients[key]

    # The interpreter's modules take the function by name when they are imported, which is after this.
    replace(boto_client, "boto_client_for", boto_client_for)


def _install_waits(scale: float) -> None:
    from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
    from moto.stepfunctions.parser.asl.component.state.wait.wait_function.timestamp import Timestamp
    from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
        WaitFunction,
    )

    def wait_interval(self: Any, env: Any, wait_seconds: float) -> None:
        # moto counts whole seconds, so that a shortened wait would never end there. A point in time is not
        # shortened, only a duration.
        seconds = wait_seconds if isinstance(self, Timestamp) else wait_seconds * scale
        deadline = time.monotonic() + seconds
        while env.is_running() and (remaining := deadline - time.monotonic()) > 0:
            # StopExecution signals once, which may fall between the two calls: look again every second.
            env.program_state_event.wait(min(remaining, 1.0))

    class _ScaledTime:
        @staticmethod
        def sleep(seconds: float) -> None:
            time.sleep(seconds * scale)

    replace(WaitFunction, "_wait_interval", wait_interval)
    # Retries wait in the same module by time.sleep, which is all that it uses of the module.
    replace(retrier_decl, "time", _ScaledTime)


def _install_executions() -> None:
    import datetime
    import uuid

    from moto.core.responses import ActionResult
    from moto.stepfunctions import responses
    from moto.stepfunctions.models import StateMachine
    from moto.stepfunctions.parser.api import ExecutionStatus
    from moto.stepfunctions.parser.backend.execution import Execution
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend

    original_start = StepFunctionsParserBackend.start_execution
    original_begin = Execution.start
    original_stop = Execution.stop
    original_delete = StepFunctionsParserBackend.delete_state_machine
    original_describe = responses.StepFunctionResponse.describe_execution

    def start_execution(self: Any, arn: str, name: str | None = None, *args: Any, **kwargs: Any) -> Any:
        # Without a name moto calls the execution "None", and the second one already exists.
        return original_start(self, arn, name or str(uuid.uuid4()), *args, **kwargs)

    def stop(self: Any, stop_date: datetime.datetime, error: str | None, cause: str | None) -> None:
        if self.exec_status != ExecutionStatus.RUNNING:
            return
        # The interpreter's environment is made by the execution's own thread.
        deadline = time.monotonic() + 10
        while self.exec_worker.env is None and time.monotonic() < deadline:
            time.sleep(0.01)
        original_stop(self, stop_date, error, cause)
        # moto shows the stop when the present task has ended, the service at once.
        self.exec_status = ExecutionStatus.ABORTED
        self.stop_date = stop_date
        self.error, self.cause = error or None, cause or None

    def stop_execution(self: Any) -> Any:
        # moto drops the error and the cause that the caller gives.
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        now = datetime.datetime.now(datetime.UTC)
        execution.stop(stop_date=now, error=self._get_param("error"), cause=self._get_param("cause"))
        return ActionResult({"stopDate": execution.stop_date or now})

    def describe_execution(self: Any) -> Any:
        result: Any = original_describe(self)
        # moto leaves out when an execution timed out.
        execution = self.stepfunction_backend.describe_execution(self._get_param("executionArn"))
        if execution.stop_date is not None:
            result.result["stopDate"] = execution.stop_date
        return result

    def delete_state_machine(self: Any, arn: str) -> None:
        machine: StateMachine | None = next((each for each in self.state_machines if each.arn == arn), None)
        original_delete(self, arn)
        # The service ends the executions of a deleted state machine; moto's would run on, seen by nobody.
        for execution in machine.executions if machine else []:
            execution.stop(datetime.datetime.now(datetime.UTC), None, "the state machine was deleted")

    def start(self: Any) -> None:
        # moto keeps the logging configuration and writes no log.
        self._cloud_watch_logging_session = _HistoryLog.of(self)
        original_begin(self)

    replace(Execution, "start", start)
    replace(StepFunctionsParserBackend, "start_execution", start_execution)
    replace(StepFunctionsParserBackend, "delete_state_machine", delete_state_machine)
    replace(Execution, "stop", stop)
    replace(responses.StepFunctionResponse, "stop_execution", stop_execution)
    replace(responses.StepFunctionResponse, "describe_execution", describe_execution)


@dataclass(frozen=True)
class _HistoryLog:
    """Writes an execution's history to the log group of its state machine's ``LoggingConfiguration``.

    The interpreter hands it each history event that its level lets through:
    https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
    """

    execution_arn: str
    level: Any
    #: The interpreter asks the session's configuration whether to leave out inputs and outputs.
    configuration: SimpleNamespace

    @classmethod
    def of(cls, execution: Any) -> _HistoryLog | None:
        given = execution.state_machine.loggingConfiguration or {}
        destinations = given.get("destinations") or [{}]
        arn = destinations[0].get("cloudWatchLogsLogGroup", {}).get("logGroupArn", "")
        if given.get("level", "OFF") == "OFF" or ":log-group:" not in arn:
            return None
        _, _, _, region, account_id, _, group = arn.removesuffix(":*").split(":", 6)
        return cls(
            execution.exec_arn,
            given["level"],
            SimpleNamespace(
                include_execution_data=bool(given.get("includeExecutionData")),
                region=region,
                account_id=account_id,
                group=group,
                stream=f"states/{execution.state_machine.name}/{execution.start_date:%Y-%m-%d-%H-%M}/{execution.name}",
            ),
        )

    def log_level_filter(self, history_event_type: Any) -> bool:
        from moto.stepfunctions.parser.asl.eval.event.logging import is_logging_enabled_for

        return bool(is_logging_enabled_for(self.level, history_event_type))

    def publish_history_log(self, history_log: Mapping[str, Any]) -> None:
        to = self.configuration
        try:
            line = json.dumps(history_log, default=str)
            write_log(to.group, to.stream, [line], account_id=to.account_id, region=to.region)
        except Exception:
            # A log that cannot be written must not end the execution.
            log.exception("cannot write the history of %s to %s", self.execution_arn, to.group)
