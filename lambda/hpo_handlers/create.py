"""Creates the tuning job of an execution, once however often it is tried."""

from typing import Any

from botocore.exceptions import ClientError

from .contract import Key, Overlap, Turn, tuning_job_name, wait_seconds
from .executions import is_running
from .service import ServiceRequestRejected, client, error_code, errors_named, logger
from .stop import stop_tuning_job
from .turn import take_turn


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Creates the declared tuning job under the execution's own name, when it is the execution's turn.

    A name that is in use is this execution's own job, because the name derives from the execution: an earlier
    attempt succeeded and its answer was lost.
    """
    request, execution = dict(event[Key.REQUEST]), event[Key.EXECUTION_ARN]
    name = tuning_job_name(request["HyperParameterTuningJobName"], execution)
    overlap = Overlap(event.get(Key.OVERLAP, Overlap.ALLOW))
    if overlap is not Overlap.ALLOW:
        turn, reason, wait = take_turn(execution, event[Key.STARTED_AT], event[Key.OUTPUT_PREFIX], overlap)
        if turn is not Turn.NOW:
            return {Key.NAME: name, Key.WAIT_SECONDS: wait, Key.TURN: turn, Key.REASON: reason}
    request["HyperParameterTuningJobName"] = name
    with errors_named(f"creating tuning job {name}"):
        try:
            client("sagemaker").create_hyper_parameter_tuning_job(**request)
            logger.info("created tuning job %s", name, extra={"tuning_job_name": name})
        except ClientError as error:
            if error_code(error) != "ResourceInUse":
                raise
            logger.info("tuning job %s exists already", name, extra={"tuning_job_name": name})
    _stop_when_abandoned(name, execution)
    return {Key.NAME: name, Key.WAIT_SECONDS: wait_seconds(0), Key.TURN: Turn.NOW, Key.REASON: ""}


def _stop_when_abandoned(name: str, execution: str) -> None:
    """Stops the tuning job at once when its execution has ended meanwhile.

    Whoever ended it (a person, a time-out, the deletion of the stack) may have looked for the tuning job before it
    was there; from now on it is found.
    """
    with errors_named(f"describing execution {execution}"):
        if is_running(execution):
            return
    with errors_named(f"stopping tuning job {name}"):
        outcome = stop_tuning_job(name)
    raise ServiceRequestRejected(f"the execution ended while it created tuning job {name}, which {outcome}")
