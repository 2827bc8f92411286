"""Looks how far the tuning job is, and says when to look again."""

import time
from typing import Any

from .contract import CHANGING_STATUSES, Key, wait_seconds
from .service import client, errors_named, logger


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Describes the tuning job; answers its status, its counters and the seconds to wait before the next look."""
    name = event[Key.NAME]
    with errors_named(f"describing tuning job {name}"):
        job = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    status = job["HyperParameterTuningJobStatus"]
    counters = job["TrainingJobStatusCounters"]
    logger.info(
        "tuning job %s is %s",
        name,
        status,
        extra={"tuning_job_name": name, "tuning_job_status": status, "training_jobs": counters},
    )
    return {
        Key.NAME: name,
        Key.STATUS: status,
        Key.COUNTERS: counters,
        Key.WAIT_SECONDS: wait_seconds(time.time() - job["CreationTime"].timestamp()),
        Key.ENDED: status not in CHANGING_STATUSES,
    }
