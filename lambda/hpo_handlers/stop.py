"""Stops the tuning job of an execution that cannot go on: nobody would watch it."""

import json
from typing import Any

from botocore.exceptions import ClientError

from .contract import Key, TuningJobStatus, tuning_job_name
from .service import TemporaryServiceError, client, error_code, errors_named, is_not_found, logger


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Stops the execution's tuning job if it runs; answers the failure that ended the execution, made readable."""
    name = tuning_job_name(event[Key.DECLARED_NAME], event[Key.EXECUTION_ARN])
    with errors_named(f"stopping tuning job {name}"):
        outcome = _stop(name)
    logger.info("tuning job %s %s", name, outcome, extra={"tuning_job_name": name})
    failure = event[Key.FAILURE]
    return {
        Key.NAME: name,
        Key.ERROR: failure["Error"],
        Key.CAUSE: f"{_message(failure.get('Cause', ''))} (tuning job {name} {outcome})",
    }


def _stop(name: str) -> str:
    sagemaker = client("sagemaker")
    try:
        job = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if is_not_found(error):
            return "was not created"
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
