"""Stops the tuning job of an execution that cannot go on, or has ended: nobody would watch it."""

import json
from typing import Any

from botocore.exceptions import ClientError

from .contract import Key, TuningJobStatus, tuning_job_name
from .service import TemporaryServiceError, client, error_code, errors_named, is_not_found, logger

NOT_CREATED = "was not created"


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Stops the execution's tuning job if it runs; answers the failure that ended the execution, made readable.

    The guard sends the end of an execution: an event without a failure, whose state machine may have several tuning
    jobs.
    """
    execution = event[Key.EXECUTION_ARN]
    if Key.TUNING_JOBS in event:
        names = tuning_jobs_by_machine(event[Key.TUNING_JOBS]).get(event[Key.STATE_MACHINE_ARN], [])
        return {Key.FOUND_ALL: NOT_CREATED not in stop_tuning_jobs(names, execution)}
    (outcome,) = stop_tuning_jobs([event[Key.DECLARED_NAME]], execution)
    name = tuning_job_name(event[Key.DECLARED_NAME], execution)
    failure = event[Key.FAILURE]
    return {
        Key.NAME: name,
        Key.ERROR: failure["Error"],
        Key.CAUSE: f"{_message(failure.get('Cause', ''))} (tuning job {name} {outcome})",
    }


def tuning_jobs_by_machine(entries: list[dict[str, Any]]) -> dict[str, list[str]]:
    """Declared names of tuning jobs by the state machine that runs them."""
    return {entry[Key.STATE_MACHINE_ARN]: entry[Key.DECLARED_NAMES] for entry in entries}


def stop_tuning_jobs(declared_names: list[str], execution: str) -> list[str]:
    """Stops an execution's tuning jobs; answers what became of each."""
    outcomes = []
    for declared in declared_names:
        name = tuning_job_name(declared, execution)
        with errors_named(f"stopping tuning job {name}"):
            outcomes.append(stop_tuning_job(name))
        logger.info("tuning job %s %s", name, outcomes[-1], extra={"tuning_job_name": name, "execution_arn": execution})
    return outcomes


def stop_tuning_job(name: str) -> str:
    """Stops a tuning job if it runs; answers what became of it."""
    sagemaker = client("sagemaker")
    try:
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_not_found(error):
            return NOT_CREATED
        raise
    status = job["HyperParameterTuningJobStatus"]
    if status != TuningJobStatus.IN_PROGRESS:
        return f"is {status}"
    try:
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_not_found(error) or error_code(error) == "ValidationException":
            # It ended between the two calls, as the next attempt will see.
            raise TemporaryServiceError(f"stopping tuning job {name}: {error}") from error
        raise
    return "is being stopped"


def _message(cause: str) -> str:
    """The message of a Lambda function's error, which Step Functions wraps into JSON; anything else as it is."""
    try:
        return str(json.loads(cause)["errorMessage"])
    except (ValueError, TypeError, KeyError):
        return cause or "no cause given"
