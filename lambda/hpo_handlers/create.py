"""Creates the tuning job of an execution, once however often it is tried."""

from typing import Any

from botocore.exceptions import ClientError

from .contract import Key, tuning_job_name, wait_seconds
from .service import client, error_code, errors_named, logger


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Creates the declared tuning job under the execution's own name.

    A name that is in use is this execution's own job, because the name derives from the execution: an earlier
    attempt succeeded and its answer was lost.
    """
    request = dict(event[Key.REQUEST])
    name = tuning_job_name(request["HyperParameterTuningJobName"], event[Key.EXECUTION_ARN])
    request["HyperParameterTuningJobName"] = name
    with errors_named(f"creating tuning job {name}"):
        try:
            client("sagemaker").create_hyper_parameter_tuning_job(**request)
            logger.info("created tuning job %s", name, extra={"tuning_job_name": name})
        except ClientError as error:
            if error_code(error) != "ResourceInUse":
                raise
            logger.info("tuning job %s exists already", name, extra={"tuning_job_name": name})
    return {Key.NAME: name, Key.WAIT_SECONDS: wait_seconds(0)}
