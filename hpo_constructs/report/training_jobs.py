"""Training jobs and their best one as tables, from the answers of SageMaker's API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_OBJECTIVE = "FinalHyperParameterTuningJobObjectiveMetric"
_STATUS_STYLE = {"Completed": "green", "InProgress": "cyan", "Failed": "red", "Stopped": "yellow"}


def objective_value(summary: Mapping[str, Any]) -> float | None:
    """The final value of a training job's objective metric, or None before there is one."""
    metric = summary.get(_OBJECTIVE)
    return None if metric is None else float(metric["Value"])


def training_jobs_table(
    tuning_job: str,
    summaries: Sequence[Mapping[str, Any]],
    best: str | None = None,
    *,
    several: bool = False,
    in_order: bool = False,
) -> Table:
    """A table of training jobs, the newest last; the best one is marked.

    Args:
        tuning_job: The tuning job's name; the names of its training jobs are shown without it.
        summaries: TrainingJobSummaries of ListTrainingJobsForHyperParameterTuningJob.
        best: Name of the best training job.
        several: Whether the tuning job has several definitions, which then have a column.
        in_order: Whether the order of the summaries is kept.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("training job", no_wrap=True)
    if several:
        table.add_column("definition")
    table.add_column("status")
    table.add_column("objective", justify="right")
    table.add_column("seconds", justify="right")
    table.add_column("hyperparameters", overflow="fold")
    for summary in summaries if in_order else sorted(summaries, key=lambda item: item["CreationTime"]):
        name, status = summary["TrainingJobName"], summary["TrainingJobStatus"]
        value = objective_value(summary)
        shown = name.removeprefix(f"{tuning_job}-")
        cells = [
            escape(f"{shown} *" if name == best else shown),
            *([escape(summary.get("TrainingJobDefinitionName", ""))] if several else []),
            f"[{_STATUS_STYLE.get(status, 'white')}]{status}[/]",
            "" if value is None else f"{value:.5f}",
            _seconds(summary),
            escape(_assignments(summary.get("TunedHyperParameters", {}))),
        ]
        table.add_row(*cells, style="bold" if name == best else None)
    return table


def training_seconds(summary: Mapping[str, Any], now: datetime | None = None) -> float | None:
    """How long a training job trained, or has trained so far; None before its start.

    Args:
        summary: A TrainingJobSummary.
        now: The moment to which one that still trains is counted; the present without it.
    """
    start, end = summary.get("TrainingStartTime"), summary.get("TrainingEndTime")
    if not isinstance(start, datetime):
        return None
    return ((end if isinstance(end, datetime) else now or datetime.now(UTC)) - start).total_seconds()


def output_lines(prefix: str, outputs: Mapping[str, str]) -> list[str]:
    """Published SSM parameters, one a line and unwrapped, so that they can be copied."""
    names = {name.removeprefix(prefix): value for name, value in sorted(outputs.items())}
    width = max(map(len, names), default=0)
    return [f"{name:<{width}}  {value}" for name, value in names.items()]


def _seconds(summary: Mapping[str, Any]) -> str:
    seconds = training_seconds(summary)
    return "" if seconds is None else f"{seconds:.1f}"


def _assignments(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={short_number(value)}" for name, value in sorted(values.items()))


def short_number(value: str) -> str:
    """Numbers with the digits that a table can show."""
    try:
        number = float(value)
    except ValueError:
        return value
    return value if number.is_integer() or len(value) <= 8 else f"{number:.5g}"
