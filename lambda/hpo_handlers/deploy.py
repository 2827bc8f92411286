"""Custom resource `Custom::HyperparameterTuningRun`: a run of a tuning job at deployment.

The physical id is the execution's ARN, whose name carries the identity of the run: what was declared, and the
`run_id`. A request about the same identity starts nothing. Where CloudFormation is to wait, a state machine of its
own looks at the execution until it has ended, and has this function answer.
"""

import json
import time
from hashlib import sha256
from typing import Any, Final

from botocore.exceptions import ClientError

from .contract import (
    DEPLOY_WAIT_SECONDS,
    DEPLOYMENT_RUN,
    EXECUTION_ATTRIBUTE,
    RUN_ATTRIBUTES,
    Key,
    Output,
    RunProperty,
    tuning_job_name,
    wait_seconds,
)
from .custom_resource import answer
from .executions import describe
from .service import ServiceRequestRejected, client, error_code, errors_named, logger
from .stop import stop_tuning_jobs

_DIGITS: Final = 16


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Serves CloudFormation's requests, and the looks of the state machine that waits."""
    if Key.FAILURE in event:
        _fail(event[Key.EVENT], f"waiting for the run failed: {event[Key.FAILURE]}", event[Key.EXECUTION_ARN])
        return {}
    if Key.EVENT in event:
        return _look(event)
    try:
        if event["RequestType"] == "Delete":
            _delete(event)
        else:
            _create_or_update(event)
    except Exception as error:
        # CloudFormation would wait for its whole time-out.
        logger.exception("the request of CloudFormation failed")
        _fail(event, f"{type(error).__name__}: {error}")
    return {}


def _create_or_update(event: dict[str, Any]) -> None:
    properties = event["ResourceProperties"]
    former = execution = event.get("PhysicalResourceId", "")
    if not former.rpartition(":")[2].startswith(_name_start(properties)):
        name = f"{_name_start(properties)}{_digits(event['RequestId'])}"
        execution = _start(properties[RunProperty.STATE_MACHINE_ARN], name, {})
    if waiter := properties.get(RunProperty.WAITER_ARN):
        given: dict[str, Any] = {Key.EVENT: event, Key.EXECUTION_ARN: execution, Key.STARTED_AT: time.time()}
        try:
            _start(waiter, f"{DEPLOYMENT_RUN}{_digits(event['RequestId'])}", given)
        except Exception:
            if execution != former:
                _stop(execution, properties, "nobody would wait for it")
            raise
        return
    data = _nothing() | {EXECUTION_ATTRIBUTE: execution, "TuningJobName": _job(properties, execution)}
    answer(event, execution, data=data)


def _start(machine: str, name: str, given: dict[str, Any]) -> str:
    """Starts an execution, once for all attempts of a request: its name derives from the request."""
    try:
        with errors_named(f"starting {machine}"):
            answered = client("stepfunctions").start_execution(
                stateMachineArn=machine, name=name, input=json.dumps(given)
            )
    except ServiceRequestRejected as error:
        if "ExecutionAlreadyExists" not in str(error):
            raise
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
    return str(answered["executionArn"])


def _name_start(properties: dict[str, Any]) -> str:
    """What the names of executions of one identity begin with."""
    identity = [properties.get(name) for name in (RunProperty.DECLARATION, RunProperty.REFERENCES, RunProperty.RUN_ID)]
    return f"{DEPLOYMENT_RUN}{_digits(json.dumps(identity, sort_keys=True))}-"


def _look(event: dict[str, Any]) -> dict[str, Any]:
    """Answers CloudFormation when the execution has ended, or time is up."""
    request, execution = event[Key.EVENT], event[Key.EXECUTION_ARN]
    properties = request["ResourceProperties"]
    age = time.time() - event[Key.STARTED_AT]
    with errors_named(f"describing execution {execution}"):
        found = describe(execution)
    status = found["status"] if found else ""
    if status == "RUNNING" and age < DEPLOY_WAIT_SECONDS:
        return {Key.ENDED: False, Key.WAIT_SECONDS: wait_seconds(age)}
    if status == "RUNNING":
        _stop(execution, properties, "the deployment does not wait any longer")
        _fail(request, f"the run did not end within {DEPLOY_WAIT_SECONDS} seconds and was stopped", execution)
    elif status == "SUCCEEDED":
        facts = json.loads(found["output"]) if found else {}
        answer(request, execution, data=_attributes(facts) | {EXECUTION_ATTRIBUTE: execution})
    elif request.get("PhysicalResourceId") == execution:
        # An earlier deployment's run: what is published stands, whatever became of the execution since.
        facts = _published(properties)
        answer(request, execution, data=_attributes(facts) | {EXECUTION_ATTRIBUTE: execution})
    else:
        reason = ": ".join(part for part in ((found or {}).get("error"), (found or {}).get("cause")) if part)
        _fail(request, f"the run ended as {status or 'unknown'}: {reason or 'no reason given'}", execution)
    return {Key.ENDED: True, Key.WAIT_SECONDS: 0}


def _delete(event: dict[str, Any]) -> None:
    """Stops the run. A deletion never fails: what it cannot stop is logged."""
    execution = event["PhysicalResourceId"]
    if ":execution:" in execution:
        try:
            _stop(execution, event["ResourceProperties"], "the run's resource was deleted")
        except Exception:
            logger.exception("cannot stop %s", execution)
    answer(event, execution)


def _stop(execution: str, properties: dict[str, Any], why: str) -> None:
    found = describe(execution)
    if found is None or found["status"] != "RUNNING":
        return
    try:
        client("stepfunctions").stop_execution(executionArn=execution, error="DeploymentRunStopped", cause=why)
    except ClientError as error:
        if error_code(error) != "ExecutionDoesNotExist":
            raise
    # The stack's guard does the same, unless it is being deleted too.
    stop_tuning_jobs([properties[RunProperty.DECLARED_NAME]], execution)


def _fail(event: dict[str, Any], reason: str, execution: str = "") -> None:
    """Answers a failure under the former physical id, so that a roll-back finds its own run and starts none."""
    physical_id = event.get("PhysicalResourceId") or execution or f"{DEPLOYMENT_RUN}not-started"
    answer(event, physical_id, failure=reason)


def _published(properties: dict[str, Any]) -> dict[str, Any]:
    prefix = properties[RunProperty.OUTPUT_PREFIX].rstrip("/")
    parameter = f"{prefix}/{Output.BEST}"
    with errors_named(f"reading parameter {parameter}"):
        try:
            facts: dict[str, Any] = json.loads(client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])
        except ClientError as error:
            if error_code(error) == "ParameterNotFound":
                return {}
            raise
    return facts


def _attributes(facts: dict[str, Any]) -> dict[str, str]:
    """The facts as attributes; one that a run does not have is empty."""
    data = _nothing()
    for attribute, output in RUN_ATTRIBUTES.items():
        value = facts.get(output)
        if value is not None:
            data[attribute] = value if isinstance(value, str) else json.dumps(value)
    return data


def _nothing() -> dict[str, str]:
    return dict.fromkeys((*RUN_ATTRIBUTES, EXECUTION_ATTRIBUTE), "")


def _job(properties: dict[str, Any], execution: str) -> str:
    return tuning_job_name(properties[RunProperty.DECLARED_NAME], execution)


def _digits(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:_DIGITS]
