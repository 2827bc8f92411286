"""Looks how far the tuning job is, and says when to look again."""

import time
from typing import Any

from . import metrics
from .budget import passed
from .contract import CHANGING_STATUSES, Key, Rule, TuningJobStatus, wait_seconds
from .service import client, errors_named, logger
from .stop import stop_tuning_job

# Of a run so long the wait for the first training job is less than 3 %.
_LONG = 1400


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
    metrics.emit(job)
    _guard_budget(job, event.get(Key.POLICY, {}).get(Rule.STOP_AT_INSTANCE_HOURS))
    return {
        Key.NAME: name,
        Key.STATUS: status,
        Key.COUNTERS: counters,
        Key.WAIT_SECONDS: wait_seconds(
            time.time() - job["CreationTime"].timestamp(), end_is_far=_end_is_far(job, counters)
        ),
        Key.ENDED: status not in CHANGING_STATUSES,
    }


def _end_is_far(job: dict[str, Any], counters: dict[str, int]) -> bool:
    """Whether no training job has ended yet, and more are to come than run."""
    limits = job["HyperParameterTuningJobConfig"].get("ResourceLimits", {})
    running = counters.get("InProgress", 0)
    return (
        job["HyperParameterTuningJobStatus"] == TuningJobStatus.IN_PROGRESS
        and sum(counters.values()) == running
        and limits.get("MaxNumberOfTrainingJobs", 0) > running
        # Its own limit may end a short one.
        and limits.get("MaxRuntimeInSeconds", _LONG) >= _LONG
    )


def _guard_budget(job: dict[str, Any], limit: float | None) -> None:
    """Stops a tuning job that has used up its instance-hours; the next look sees it end."""
    if limit is None or job["HyperParameterTuningJobStatus"] != TuningJobStatus.IN_PROGRESS:
        return
    reason = passed(job, limit)
    if reason:
        name = job["HyperParameterTuningJobName"]
        with errors_named(f"stopping tuning job {name}"):
            outcome = stop_tuning_job(name)
        logger.warning("tuning job %s %s by %s", name, outcome, reason, extra={"tuning_job_name": name})
