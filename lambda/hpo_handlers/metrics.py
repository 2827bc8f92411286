"""CloudWatch metrics of tuning jobs, written to the log in the embedded metric format: no call, no permission.

A line is one JSON object from which CloudWatch Logs takes the metrics:
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
import os
import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from .contract import CHANGING_STATUSES, DECLARED_NAME_LENGTH, TUNING_JOB_NAME_LENGTH

NAMESPACE: Final = "HyperparameterTuning"
# Environment variable of the functions: a declared name is unique in its stack only.
STACK_VARIABLE: Final = "HPO_STACK_NAME"
# A run's name is the declared name, a hyphen and the run's digits.
_RUN_SUFFIX: Final = TUNING_JOB_NAME_LENGTH - DECLARED_NAME_LENGTH


class Dimension(StrEnum):
    """Dimensions of every metric."""

    STACK = "StackName"
    TUNING_JOB = "TuningJob"


class Metric(StrEnum):
    """Metrics of a declared tuning job's latest run.

    Training jobs are counted since the run began, but for those in progress. ``BEST_OBJECTIVE`` comes with the first
    best training job. ``RUN_AGE`` is the age in seconds of a tuning job that has not ended, and 0 of one that has;
    ``RUN_TIME`` is how many seconds it took, and comes when it has ended.
    """

    COMPLETED = "TrainingJobsCompleted"
    IN_PROGRESS = "TrainingJobsInProgress"
    FAILED = "TrainingJobsFailed"
    STOPPED = "TrainingJobsStopped"
    BEST_OBJECTIVE = "BestObjective"
    RUN_AGE = "RunAge"
    RUN_TIME = "RunTime"


_UNITS: Final[dict[str, str]] = {Metric.RUN_AGE: "Seconds", Metric.RUN_TIME: "Seconds", Metric.BEST_OBJECTIVE: "None"}


def emit(job: Mapping[str, Any]) -> None:
    """Writes the metrics of a tuning job to the log.

    Args:
        job: the answer of DescribeHyperParameterTuningJob.
    """
    print(json.dumps(document(job, os.environ.get(STACK_VARIABLE, ""), time.time())), flush=True)


def document(job: Mapping[str, Any], stack: str, now: float) -> dict[str, Any]:
    """The embedded metrics of a tuning job.

    Args:
        job: the answer of DescribeHyperParameterTuningJob.
        stack: the stack's name.
        now: the time, in seconds since 1970.
    """
    name = str(job["HyperParameterTuningJobName"])
    values = _values(job, now)
    return {
        "_aws": {
            "Timestamp": int(now * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(Dimension)],
                    "Metrics": [{"Name": metric, "Unit": _UNITS.get(metric, "Count")} for metric in values],
                }
            ],
        },
        Dimension.STACK: stack,
        Dimension.TUNING_JOB: name[:-_RUN_SUFFIX],
        # Not dimensions: each run would be a metric, and cost, of its own.
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobStatus": job["HyperParameterTuningJobStatus"],
        **values,
    }


def _values(job: Mapping[str, Any], now: float) -> dict[str, Any]:
    counters = job["TrainingJobStatusCounters"]
    created = job["CreationTime"].timestamp()
    ended = job["HyperParameterTuningJobStatus"] not in CHANGING_STATUSES
    values: dict[str, Any] = {
        Metric.COMPLETED: counters.get("Completed", 0),
        Metric.IN_PROGRESS: counters.get("InProgress", 0),
        Metric.FAILED: counters.get("NonRetryableError", 0) + counters.get("RetryableError", 0),
        Metric.STOPPED: counters.get("Stopped", 0),
        Metric.RUN_AGE: 0 if ended else round(now - created, 3),
    }
    if ended:
        end = job.get("HyperParameterTuningEndTime")
        values[Metric.RUN_TIME] = round((end.timestamp() if end else now) - created, 3)
    objective = job.get("BestTrainingJob", {}).get("FinalHyperParameterTuningJobObjectiveMetric")
    if objective:
        values[Metric.BEST_OBJECTIVE] = objective["Value"]
    return values
