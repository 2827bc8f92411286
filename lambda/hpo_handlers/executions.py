"""Whether executions of state machines still run."""

from typing import Any

from botocore.exceptions import ClientError

from .service import client, error_code, is_denied, logger


def describe(execution_arn: str) -> dict[str, Any] | None:
    """The answer of DescribeExecution; None when there is no such execution (any more)."""
    try:
        answer: dict[str, Any] = client("stepfunctions").describe_execution(executionArn=execution_arn)
    except ClientError as error:
        # An execution is kept for 90 days; one of a deleted state machine goes with it.
        if error_code(error) in {"ExecutionDoesNotExist", "StateMachineDoesNotExist"}:
            return None
        raise
    return answer


def is_running(execution_arn: str) -> bool:
    """Whether an execution has not ended.

    An execution that may not be looked at counts as running: a fragment in a state machine that its guard was not
    told of.
    """
    try:
        found = describe(execution_arn)
    except ClientError as error:
        if not is_denied(error):
            raise
        logger.warning("cannot tell whether %s runs: %s", execution_arn, error)
        return True
    return found is not None and found["status"] == "RUNNING"
