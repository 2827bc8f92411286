"""Custom resource of a stack: stops what runs when the stack, or a tuning job of it, is deleted."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.exceptions import ClientError

from .contract import Key
from .custom_resource import answer
from .service import client, error_code, logger
from .stop import stop_tuning_jobs, tuning_jobs_by_machine

_PHYSICAL_ID: Final = "tuning-runs"
# Executions that ended shortly before: the guard that would have stopped their tuning jobs is deleted too.
_RECENT: Final = timedelta(minutes=15)
# Time for the answer to CloudFormation.
_RESERVE_SECONDS: Final = 60


def handler(event: dict[str, Any], context: Any) -> None:
    """Stops the executions of state machines that go away, and their tuning jobs; answers always, and in time.

    A failure is logged and never holds up a deletion.
    """
    deadline = time.monotonic() + context.get_remaining_time_in_millis() / 1000 - _RESERVE_SECONDS
    for machine, names in _going(event).items():
        try:
            _clean_up(machine, names, deadline)
        except Exception:
            logger.exception("cannot stop all runs of %s", machine)
    answer(event, event.get("PhysicalResourceId", _PHYSICAL_ID))


def _going(event: dict[str, Any]) -> dict[str, list[str]]:
    """The state machines that the deletion or update takes away, with the declared names of their tuning jobs."""
    present = tuning_jobs_by_machine(event["ResourceProperties"].get(Key.TUNING_JOBS, []))
    match event["RequestType"]:
        case "Delete":
            return present
        case "Update":
            former = tuning_jobs_by_machine(event["OldResourceProperties"].get(Key.TUNING_JOBS, []))
            return {machine: names for machine, names in former.items() if machine not in present}
    return {}


def _clean_up(machine: str, names: list[str], deadline: float) -> None:
    stepfunctions = client("stepfunctions")
    since = datetime.now(UTC) - _RECENT
    for status in ("RUNNING", "ABORTED", "TIMED_OUT", "FAILED"):
        for execution in _executions(machine, status, since):
            if time.monotonic() > deadline:
                logger.error("no time is left to stop all runs of %s", machine)
                return
            try:
                if status == "RUNNING":
                    stepfunctions.stop_execution(
                        executionArn=execution, error="StackDeleted", cause="the tuning job's stack is being deleted"
                    )
                stop_tuning_jobs(names, execution)
            except Exception:
                logger.exception("cannot stop %s", execution)


def _executions(machine: str, status: str, since: datetime) -> list[str]:
    """The executions of a status, those that ended before `since` left out; the latest come first."""
    found: list[str] = []
    pages = (
        client("stepfunctions")
        .get_paginator("list_executions")
        .paginate(stateMachineArn=machine, statusFilter=status, PaginationConfig={"MaxItems": 1000})
    )
    try:
        for page in pages:
            found += [
                each["executionArn"]
                for each in page["executions"]
                if each.get("stopDate") is None or each["stopDate"] > since
            ]
    except ClientError as error:
        if error_code(error) != "StateMachineDoesNotExist":
            raise
    return found
