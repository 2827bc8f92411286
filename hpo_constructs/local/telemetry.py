"""CloudWatch of the local endpoint, as training jobs fill it: their logs and their metrics.

Both are put into moto's services in their own process: a request for each batch would cost a training job more time
than everything else around its process.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/define-train-metrics.html
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

TRAINING_JOBS = "/aws/sagemaker/TrainingJobs"
"""The log group of all training jobs, and the namespace of their metrics."""

_DIMENSION = "TrainingJobName"

LogEvent = tuple[int, str]
"""A line of a log with its time in milliseconds since 1970."""


class Telemetry:
    """Puts training jobs' logs and metrics where CloudWatch's clients find them. Thread-safe.

    Args:
        account_id: the account that has them.
        region: its region.
    """

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._region = region

    def put_log(self, stream: str, events: Iterable[LogEvent]) -> None:
        """Append to a training job's log stream, which is made when it is not there yet."""
        put_log_events(TRAINING_JOBS, stream, events, account_id=self._account_id, region=self._region)

    def put_metrics(self, training_job: str, values: Mapping[str, float], at: datetime) -> None:
        """Add one value of each metric; what is no finite number is left out, as CloudWatch refuses it."""
        from moto.cloudwatch.models import cloudwatch_backends

        # moto compares its times without a zone.
        at = at.astimezone(UTC).replace(tzinfo=None)
        dimensions = [{"Name": _DIMENSION, "Value": training_job}]
        data = [
            {"MetricName": name, "Value": value, "Timestamp": at, "Dimensions": dimensions, "Unit": "None"}
            for name, value in values.items()
            if math.isfinite(value)
        ]
        if data:
            cloudwatch_backends[self._account_id][self._region].put_metric_data(TRAINING_JOBS, data)


def put_log_events(group: str, stream: str, events: Iterable[LogEvent], *, account_id: str, region: str) -> None:
    """Append events to a log stream; the group and the stream are made when they are not there yet."""
    from moto.logs.models import logs_backends

    backend = logs_backends[account_id][region]
    backend.ensure_log_group(group)
    backend.ensure_log_stream(group, stream)
    backend.put_log_events(group, stream, [{"timestamp": at, "message": line} for at, line in events if line])
