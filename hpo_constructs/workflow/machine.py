"""The state machine in the Amazon States Language (JSONPath), as plain data.

    request -> create -> turn? -> wait -> poll -> ended? -> publish -> succeeded? -> best
       ^                 |  |      ^----------------'                        '-> failed
       '--wait for turn -'  '-> skipped
    create, poll, publish -- any error --> stop -> failed

Runs of one job that may overlap need no turn: create is followed by wait at once.

Every state keeps what it knows below one path, so that the machine can stand inside another one and leave the
other's data alone. The request is the result of a Pass state and not a task's parameters: there a hyperparameter
whose name ends in `.$` would be taken for a JSONPath.

Source: https://states-language.net/spec.html and
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from hpo_handlers.contract import CUSTOM_RESOURCE_SECONDS, Failure, Key, Overlap, Rule, Turn

from .functions import CREATE, DEPLOY, POLL, PUBLISH, STOP, Function
from .schedule import execution_timeout_seconds

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
    TURN = "Turn of this run?"
    WAIT_FOR_TURN = "Wait for turn"
    SKIPPED = "Run skipped"
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
    request: Mapping[str, Any],
    *,
    output_prefix: str,
    functions: Mapping[str, str],
    result_path: str = "$",
    policy: Mapping[str, Any] | None = None,
    overlap: str = Overlap.ALLOW,
    partition: str = "aws",
) -> dict[str, dict[str, Any]]:
    """The states by name; `StateName.REQUEST` is the first.

    Args:
        request: The complete request of CreateHyperParameterTuningJob under its declared name.
        output_prefix: Path of the SSM parameters.
        functions: ARN, or whatever names it, of each function by its id.
        result_path: Where the states keep their data, and where the best training job's facts stand at the end.
            Without it they take the whole state, and the execution's input is ignored.
        policy: The publishing policy, members of `hpo_handlers.contract.Rule`; a completed tuning job's best
            training job is published without one.
        overlap: What a run does while another one of the same state machine has not ended; runs do not heed each
            other by default.
        partition: The partition, or whatever names it; the commercial regions' by default.
    """
    path = _Paths(result_path)
    turns = Overlap(overlap) is not Overlap.ALLOW

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
            "Resource": _lambda_invoke(partition),
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

    watched = {rule: value for rule, value in (policy or {}).items() if rule == Rule.STOP_AT_INSTANCE_HOURS}
    guard: dict[str, Any] = {Key.POLICY: watched} if watched else {}
    create_payload: dict[str, Any] = {
        f"{Key.REQUEST}.$": path.at(Key.REQUEST),
        f"{Key.EXECUTION_ARN}.$": "$$.Execution.Id",
    }
    if turns:
        create_payload |= {
            f"{Key.STARTED_AT}.$": "$$.Execution.StartTime",
            Key.OUTPUT_PREFIX: output_prefix,
            Key.OVERLAP: str(overlap),
        }
    turn_states: dict[str, dict[str, Any]] = {
        StateName.TURN: {
            "Type": "Choice",
            "Choices": [
                {"Variable": path.at(Key.TURN), "StringEquals": Turn.LATER, "Next": StateName.WAIT_FOR_TURN},
                {"Variable": path.at(Key.TURN), "StringEquals": Turn.NEVER, "Next": StateName.SKIPPED},
            ],
            "Default": StateName.WAIT,
        },
        # The task has put its answer in the place of the request, which the first state brings back.
        StateName.WAIT_FOR_TURN: {"Type": "Wait", "SecondsPath": path.at(Key.WAIT_SECONDS), "Next": StateName.REQUEST},
        StateName.SKIPPED: {"Type": "Succeed"},
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
            create_payload,
            (Key.NAME, Key.WAIT_SECONDS, *((Key.TURN, Key.REASON) if turns else ())),
            following=StateName.TURN if turns else StateName.WAIT,
            temporary_attempts=10,
        ),
        **(turn_states if turns else {}),
        StateName.WAIT: {"Type": "Wait", "SecondsPath": path.at(Key.WAIT_SECONDS), "Next": StateName.POLL},
        StateName.POLL: task(
            POLL,
            {f"{Key.NAME}.$": path.at(Key.NAME), **guard},
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
            {
                f"{Key.NAME}.$": path.at(Key.NAME),
                Key.OUTPUT_PREFIX: output_prefix,
                Key.POLICY: dict(policy or {}),
            },
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
    request: Mapping[str, Any],
    *,
    output_prefix: str,
    functions: Mapping[str, str],
    result_path: str = "$",
    policy: Mapping[str, Any] | None = None,
    overlap: str = Overlap.ALLOW,
    partition: str = "aws",
) -> dict[str, Any]:
    """The complete state machine; the arguments are those of `states`."""
    return {
        "StartAt": StateName.REQUEST,
        "TimeoutSeconds": execution_timeout_seconds(request, queued=Overlap(overlap) is Overlap.QUEUE),
        "States": states(
            request,
            output_prefix=output_prefix,
            functions=functions,
            result_path=result_path,
            policy=policy,
            overlap=overlap,
            partition=partition,
        ),
    }


class GuardState(StrEnum):
    """Names of the guard's states."""

    STOP = "Stop tuning jobs"
    FOUND = "All tuning jobs found?"
    WAIT = "Wait for a late creation"
    STOP_AGAIN = "Stop late tuning jobs"
    DONE = "No tuning job is left"


def guard_definition(tuning_jobs: Any, *, functions: Mapping[str, str], partition: str = "aws") -> dict[str, Any]:
    """The state machine that stops the tuning jobs of an execution which has ended without its own doing.

    Its input is `ExecutionArn` and `StateMachineArn`. It tries for hours, and looks once more when a function that
    was creating the tuning job at the execution's end must have come to its own.

    Args:
        tuning_jobs: What `tuning_job_entries` gives, or a token that stands for it.
        functions: ARN, or whatever names it, of each function by its id.
        partition: The partition, or whatever names it; the commercial regions' by default.
    """

    def stop(following: GuardState) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": _lambda_invoke(partition),
            "Parameters": {
                "FunctionName": functions[STOP.id],
                "Payload": {
                    f"{Key.EXECUTION_ARN}.$": f"$.{Key.EXECUTION_ARN}",
                    f"{Key.STATE_MACHINE_ARN}.$": f"$.{Key.STATE_MACHINE_ARN}",
                    Key.TUNING_JOBS: tuning_jobs,
                },
            },
            "ResultSelector": {f"{Key.FOUND_ALL}.$": f"$.Payload.{Key.FOUND_ALL}"},
            "ResultPath": "$.Result",
            "TimeoutSeconds": _TASK_TIMEOUT_SECONDS,
            "Retry": [
                _retrier(_TEMPORARY, interval=2, attempts=200, longest=300),
                _retrier(("PermissionNotEffective",), interval=5, attempts=5, longest=30),
            ],
            "Next": following,
        }

    return {
        "StartAt": GuardState.STOP,
        "States": {
            GuardState.STOP: stop(GuardState.FOUND),
            GuardState.FOUND: {
                "Type": "Choice",
                "Choices": [{"Variable": f"$.Result.{Key.FOUND_ALL}", "BooleanEquals": True, "Next": GuardState.DONE}],
                "Default": GuardState.WAIT,
            },
            GuardState.WAIT: {"Type": "Wait", "Seconds": _TASK_TIMEOUT_SECONDS, "Next": GuardState.STOP_AGAIN},
            GuardState.STOP_AGAIN: stop(GuardState.DONE),
            GuardState.DONE: {"Type": "Succeed"},
        },
        "TimeoutSeconds": 24 * 3600,
    }


def tuning_job_entries(tuning_jobs: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """What runs where, as the functions read it: the ARNs may be tokens, which cannot be keys."""
    return [{Key.STATE_MACHINE_ARN: machine, Key.DECLARED_NAMES: list(names)} for machine, names in tuning_jobs.items()]


class WaiterState(StrEnum):
    """Names of the states of the machine that waits for a run at deployment."""

    WAIT = "Wait for run"
    LOOK = "Answer when the run has ended"
    ENDED = "Run ended?"
    DONE = "Answered"
    FAIL = "Answer that waiting failed"


def waiter_definition(*, functions: Mapping[str, str], partition: str = "aws") -> dict[str, Any]:
    """The state machine that answers CloudFormation when a run at deployment has ended.

    Args:
        functions: ARN, or whatever names it, of each function by its id.
        partition: The partition, or whatever names it; the commercial regions' by default.
    """

    def look(following: WaiterState, payload: dict[str, Any], **rest: Any) -> dict[str, Any]:
        return {
            "Type": "Task",
            "Resource": _lambda_invoke(partition),
            "Parameters": {
                "FunctionName": functions[DEPLOY.id],
                "Payload": {
                    f"{Key.EVENT}.$": f"$.{Key.EVENT}",
                    f"{Key.EXECUTION_ARN}.$": f"$.{Key.EXECUTION_ARN}",
                    **payload,
                },
            },
            "TimeoutSeconds": _TASK_TIMEOUT_SECONDS,
            "Retry": [
                _retrier(_TEMPORARY, interval=2, attempts=10, longest=60),
                _retrier(("PermissionNotEffective",), interval=5, attempts=5, longest=30),
            ],
            **rest,
            "Next": following,
        }

    return {
        "StartAt": WaiterState.LOOK,
        "States": {
            WaiterState.LOOK: look(
                WaiterState.ENDED,
                {f"{Key.STARTED_AT}.$": f"$.{Key.STARTED_AT}"},
                ResultSelector={f"{key}.$": f"$.Payload.{key}" for key in (Key.ENDED, Key.WAIT_SECONDS)},
                ResultPath="$.Result",
                Catch=[{"ErrorEquals": ["States.ALL"], "ResultPath": f"$.{Key.FAILURE}", "Next": WaiterState.FAIL}],
            ),
            WaiterState.ENDED: {
                "Type": "Choice",
                "Choices": [{"Variable": f"$.Result.{Key.ENDED}", "BooleanEquals": True, "Next": WaiterState.DONE}],
                "Default": WaiterState.WAIT,
            },
            WaiterState.WAIT: {
                "Type": "Wait",
                "SecondsPath": f"$.Result.{Key.WAIT_SECONDS}",
                "Next": WaiterState.LOOK,
            },
            WaiterState.FAIL: look(
                WaiterState.DONE, {f"{Key.FAILURE}.$": f"$.{Key.FAILURE}.Error"}, ResultPath="$.Result"
            ),
            WaiterState.DONE: {"Type": "Succeed"},
        },
        "TimeoutSeconds": CUSTOM_RESOURCE_SECONDS,
    }


class _Paths:
    """JSONPaths below the place where the states keep their data."""

    def __init__(self, root: str) -> None:
        self._root = root

    def at(self, member: str) -> str:
        return f"{self._root}.{member}"


def _lambda_invoke(partition: str) -> str:
    return f"arn:{partition}:states:::lambda:invoke"


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
