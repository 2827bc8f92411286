"""Lets the runs of a job take turns.

The queue is an SSM parameter that every execution writes its ARN to. Its version numbers are given out by SSM one by
one, so that of two executions that start together exactly one is the earlier, and the parameter's history tells
which executions came before. No lock is held: an execution that ended, in whatever way, is no longer in the way.

Source: https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_GetParameterHistory.html (100 versions)
"""

import time
from datetime import datetime

from botocore.exceptions import ClientError

from .contract import DEPLOYMENT_RUN, QUEUE, Overlap, Turn, wait_seconds
from .executions import is_running
from .service import TemporaryServiceError, client, error_code, errors_named, logger

# Versions that SSM keeps of a parameter.
_KEPT_VERSIONS = 100


def take_turn(execution: str, started_at: str, prefix: str, overlap: Overlap) -> tuple[Turn, str, int]:
    """Says whether an execution may go on, why not, and after how many seconds it should ask again.

    With `queue` an execution waits for those that came before, unless a later one waits too: then the later one does
    the work of both. With `skip` an execution that finds another one running ends. An execution that a deployment
    started is neither skipped nor replaced.

    Args:
        execution: the execution's ARN.
        started_at: when it started, as Step Functions writes it.
        prefix: the output prefix of the job.
        overlap: the policy.
    """
    parameter = f"{prefix.rstrip('/')}/{QUEUE}"
    tickets = _tickets(parameter)
    ticket = _ticket_of(execution, tickets)
    if ticket is None:
        with errors_named(f"writing parameter {parameter}"):
            ticket = int(
                client("ssm").put_parameter(
                    Name=parameter, Value=execution, Type="String", Tier="Standard", Overwrite=True
                )["Version"]
            )
        tickets = _tickets(parameter)
        if any(number not in tickets for number in range(max(1, ticket - _KEPT_VERSIONS + 2), ticket + 1)):
            raise TemporaryServiceError(
                f"reading parameter {parameter}: its history does not show version {ticket} yet"
            )
    first = {arn: min(number for number, each in tickets.items() if each == arn) for arn in tickets.values()}
    with errors_named("describing executions"):
        earlier = next((arn for arn, number in first.items() if number < ticket and is_running(arn)), None)
        if earlier is None:
            return Turn.NOW, "", 0
        if not _is_deployment(execution):
            if overlap is Overlap.SKIP:
                return _never(execution, f"skipped: {earlier} is running")
            later = next((arn for arn, number in first.items() if number > ticket and is_running(arn)), None)
            if later is not None:
                return _never(execution, f"skipped: {later} waits too and takes its place")
    logger.info("waiting for %s", earlier, extra={"execution_arn": execution, "waits_for": earlier})
    age = time.time() - datetime.fromisoformat(started_at).timestamp()
    return Turn.LATER, f"waits for {earlier}", wait_seconds(age)


def _never(execution: str, reason: str) -> tuple[Turn, str, int]:
    logger.info("%s", reason, extra={"execution_arn": execution})
    return Turn.NEVER, reason, 0


def _tickets(parameter: str) -> dict[int, str]:
    """Execution ARNs by version of the queue's parameter."""
    with errors_named(f"reading parameter {parameter}"):
        try:
            pages = client("ssm").get_paginator("get_parameter_history").paginate(Name=parameter)
            return {int(each["Version"]): str(each["Value"]) for page in pages for each in page["Parameters"]}
        except ClientError as error:
            if error_code(error) == "ParameterNotFound":
                return {}
            raise


def _ticket_of(execution: str, tickets: dict[int, str]) -> int | None:
    return min((number for number, arn in tickets.items() if arn == execution), default=None)


def _is_deployment(execution: str) -> bool:
    return execution.rpartition(":")[2].startswith(DEPLOYMENT_RUN)
