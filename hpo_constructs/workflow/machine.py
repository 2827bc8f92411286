"""The state machine in the Amazon States Language (JSONPath), as plain data.

    request -> create -> wait -> poll -> ended? -> publish -> succeeded? -> best
                          ^----------------'                        '-> failed
    create, poll, publish -- any error --> stop -> failed

Every state keeps what it knows below one path, so that the machine can stand inside another one and leave the
other's data alone. The request is the result of a Pass state and not a task's parameters: there a hyperparameter
whose name ends in `.$` would be taken for a JSONPath.

Source: https://states-language.net/spec.html and
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from hpo_handlers.contract import Failure, Key

from .functions import CREATE, POLL, PUBLISH, STOP, Function
from .schedule import execution_timeout_seconds

LAMBDA_INVOKE: Final = "arn:aws:states:::lambda:invoke"

# The functions' error classes (hpo_handlers.service) and the failures of Lambda itself that may pass.
# https://docs.aws.amazon.com/step-functions/latest/dg/connect-lambda.html
_TEMPORARY: Final = (
    "TemporaryServiceError",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Runtime.ExitError",
    "Sandbox.Timedout",
    "States.Timeout",
)
# Longer than any function's own time-out.
_TASK_TIMEOUT_SECONDS: Final = 300
# Where the failure of the stop stands, beside the failure that called for it.
_STOP_FAILURE: Final = "StopFailure"


class StateName(StrEnum):
    """Names of the states."""

    REQUEST = "Tuning request"
    CREATE = "Create tuning job"
    WAIT = "Wait for tuning job"
    POLL = "Describe tuning job"
    ENDED = "Tuning job ended?"
    PUBLISH = "Publish outputs"
    SUCCEEDED = "Best training job found?"
    BEST = "Best training job"
    STOP = "Stop tuning job"
    FAILED = "Tuning failed"
    NOT_STOPPED = "Tuning job not stopped"


def states(
    request: Mapping[str, Any], *, output_prefix: str, functions: Mapping[str, str], result_path: str = "$"
) -> dict[str, dict[str, Any]]:
    """The states by name; `StateName.REQUEST` is the first.

    Args:
        request: The complete request of CreateHyperParameterTuningJob under its declared name.
        output_prefix: Path of the SSM parameters.
        functions: ARN, or whatever names it, of each function by its id.
        result_path: Where the states keep their data, and where the best training job's facts stand at the end.
            Without it they take the whole state, and the execution's input is ignored.
    """
    path = _Paths(result_path)

    def task(
        function: Function,
        payload: dict[str, Any],
        answer: tuple[Key, ...],
        *,
        following: StateName,
        temporary_attempts: int,
        caught: tuple[StateName, str] = (StateName.STOP, path.at(Key.FAILURE)),
    ) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": LAMBDA_INVOKE,
            "Parameters": {"FunctionName": functions[function.id], "Payload": payload},
            "ResultSelector": {f"{key}.$": f"$.Payload.{key}" for key in answer},
            "ResultPath": result_path,
            "TimeoutSeconds": _TASK_TIMEOUT_SECONDS,
            "Retry": [
                _retrier(_TEMPORARY, interval=2, attempts=temporary_attempts, longest=300),
                # IAM takes seconds to spread what was deployed just before.
                _retrier(("PermissionNotEffective",), interval=5, attempts=5, longest=30),
            ],
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": caught[1], "Next": caught[0]}],
            "Next": following,
        }

    return {
        StateName.REQUEST: {
            "Type": "Pass",
            "Result": {Key.REQUEST: dict(request)},
            "ResultPath": result_path,
            "Next": StateName.CREATE,
        },
        StateName.CREATE: task(
            CREATE,
            {f"{Key.REQUEST}.$": path.at(Key.REQUEST), f"{Key.EXECUTION_ARN}.$": "$$.Execution.Id"},
            (Key.NAME, Key.WAIT_SECONDS),
            following=StateName.WAIT,
            temporary_attempts=10,
        ),
        StateName.WAIT: {"Type": "Wait", "SecondsPath": path.at(Key.WAIT_SECONDS), "Next": StateName.POLL},
        StateName.POLL: task(
            POLL,
            {f"{Key.NAME}.$": path.at(Key.NAME)},
            (Key.NAME, Key.STATUS, Key.COUNTERS, Key.WAIT_SECONDS, Key.ENDED),
            following=StateName.ENDED,
            # Some hours: a tuning job of many days is not given up for an outage of the control plane.
            temporary_attempts=60,
        ),
        StateName.ENDED: {
            "Type": "Choice",
            "Choices": [{"Variable": path.at(Key.ENDED), "BooleanEquals": True, "Next": StateName.PUBLISH}],
            "Default": StateName.WAIT,
        },
        StateName.PUBLISH: task(
            PUBLISH,
            {f"{Key.NAME}.$": path.at(Key.NAME), Key.OUTPUT_PREFIX: output_prefix},
            (Key.NAME, Key.STATUS, Key.SUCCEEDED, Key.BEST, Key.ERROR, Key.CAUSE),
            following=StateName.SUCCEEDED,
            temporary_attempts=10,
        ),
        StateName.SUCCEEDED: {
            "Type": "Choice",
            "Choices": [{"Variable": path.at(Key.SUCCEEDED), "BooleanEquals": True, "Next": StateName.BEST}],
            "Default": StateName.FAILED,
        },
        StateName.BEST: {
            "Type": "Pass",
            "InputPath": path.at(Key.BEST),
            "ResultPath": result_path,
            "End": True,
        },
        StateName.STOP: task(
            STOP,
            {
                f"{Key.FAILURE}.$": path.at(Key.FAILURE),
                f"{Key.EXECUTION_ARN}.$": "$$.Execution.Id",
                Key.DECLARED_NAME: str(request.get("HyperParameterTuningJobName", "")),
            },
            (Key.NAME, Key.ERROR, Key.CAUSE),
            following=StateName.FAILED,
            temporary_attempts=60,
            caught=(StateName.NOT_STOPPED, path.at(_STOP_FAILURE)),
        ),
        StateName.FAILED: {"Type": "Fail", "ErrorPath": path.at(Key.ERROR), "CausePath": path.at(Key.CAUSE)},
        StateName.NOT_STOPPED: {
            "Type": "Fail",
            "Error": Failure.NOT_STOPPED,
            "CausePath": (
                f"States.Format('{{}}, after {{}}', States.JsonToString({path.at(_STOP_FAILURE)}), "
                f"States.JsonToString({path.at(Key.FAILURE)}))"
            ),
        },
    }


def definition(
    request: Mapping[str, Any], *, output_prefix: str, functions: Mapping[str, str], result_path: str = "$"
) -> dict[str, Any]:
    """The complete state machine; the arguments are those of `states`."""
    return {
        "StartAt": StateName.REQUEST,
        "States": states(request, output_prefix=output_prefix, functions=functions, result_path=result_path),
        "TimeoutSeconds": execution_timeout_seconds(request),
    }


class _Paths:
    """JSONPaths below the place where the states keep their data."""

    def __init__(self, root: str) -> None:
        self._root = root

    def at(self, member: str) -> str:
        return f"{self._root}.{member}"


def _retrier(errors: tuple[str, ...], *, interval: int, attempts: int, longest: int) -> dict[str, Any]:
    return {
        "ErrorEquals": list(errors),
        "IntervalSeconds": interval,
        "MaxAttempts": attempts,
        "BackoffRate": 1.5,
        "MaxDelaySeconds": longest,
        # Executions that fail together do not come back together.
        "JitterStrategy": "FULL",
    }
