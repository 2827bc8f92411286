"""Tuning jobs as tables and details, from the answers of SageMaker's API."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .training_jobs import objective_value, training_seconds

if TYPE_CHECKING:
    from rich.table import Table

CHANGING = frozenset({"InProgress", "Stopping", "Deleting"})
_STATUS_STYLE = {
    "Completed": "green",
    "InProgress": "cyan",
    "Failed": "red",
    "Stopped": "yellow",
    "Stopping": "yellow",
    "DeleteFailed": "red",
}
_RANGES = ("ContinuousParameterRanges", "IntegerParameterRanges", "CategoricalParameterRanges")
_OBJECTIVE = "FinalHyperParameterTuningJobObjectiveMetric"
_SHORTEST_ID = 8


def status_text(status: str) -> str:
    """A status in its colour, as markup."""
    return f"[{_STATUS_STYLE.get(status, 'default')}]{status}[/]"


def local_time(moment: datetime | None) -> str:
    """A moment in local time with its zone; empty without one."""
    return "" if moment is None else moment.astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def duration_seconds(job: Mapping[str, Any], now: datetime | None = None) -> float | None:
    """How long a tuning job took, or has run so far, in seconds.

    Args:
        job: The answer of DescribeHyperParameterTuningJob, or a summary of ListHyperParameterTuningJobs.
        now: The moment to which one that still runs is counted; the present without it.
    """
    start, end = job.get("CreationTime"), job.get("HyperParameterTuningEndTime")
    if start is None:
        return None
    if end is None:
        changing = job.get("HyperParameterTuningJobStatus") in CHANGING
        end = now or datetime.now(UTC) if changing else job.get("LastModifiedTime")
    return None if end is None else max(0.0, float((end - start).total_seconds()))


def duration_text(seconds: float | None) -> str:
    """A duration with the two units that matter."""
    if seconds is None:
        return ""
    whole = round(seconds)
    days, hours, minutes = whole // 86_400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours:02d} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{seconds:.1f} s"


def counters_text(job: Mapping[str, Any]) -> str:
    """How many training jobs have ended how."""
    counters = job.get("TrainingJobStatusCounters", {})
    counts = {
        "completed": counters.get("Completed", 0),
        "running": counters.get("InProgress", 0),
        "stopped": counters.get("Stopped", 0),
        "failed": counters.get("RetryableError", 0) + counters.get("NonRetryableError", 0),
    }
    return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none"


def best_text(best: Mapping[str, Any] | None) -> str:
    """The objective of a best training job; empty without one."""
    value = objective_value(best or {})
    return "" if best is None or value is None else f"{best[_OBJECTIVE]['MetricName']} {value:.6g}"


def tuning_jobs_table(entries: Iterable[Mapping[str, Any]], *, wide: bool) -> Table:
    """A table of tuning jobs.

    Args:
        entries: Each with `tuning_job`, a summary of ListHyperParameterTuningJobs, `best_training_job` and
            `declared_job`.
        wide: Whether there is room for the declared names, which the tuning jobs' names begin with.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("tuning job", no_wrap=True)
    if wide:
        table.add_column("declared job", no_wrap=True)
    for title in ("status", "best objective", "training jobs", "started", "duration"):
        table.add_column(title, justify="right" if title == "duration" else "left")
    for entry in entries:
        job = entry["tuning_job"]
        table.add_row(
            escape(job["HyperParameterTuningJobName"]),
            *([escape(entry["declared_job"] or "-")] if wide else []),
            status_text(job["HyperParameterTuningJobStatus"]),
            escape(best_text(entry["best_training_job"])),
            counters_text(job),
            job["CreationTime"].astimezone().strftime("%Y-%m-%d %H:%M %Z"),
            duration_text(duration_seconds(job)),
        )
    return table


def completion_reason(job: Mapping[str, Any]) -> str:
    """Why a tuning job has ended, from its limits, criteria and completion details; empty while it runs.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html
    """
    status = job["HyperParameterTuningJobStatus"]
    if status in CHANGING:
        return ""
    if job.get("FailureReason"):
        return str(job["FailureReason"])
    if status != "Completed":
        return "stopped before it completed" if status == "Stopped" else str(status)
    config = job["HyperParameterTuningJobConfig"]
    limits, criteria = config.get("ResourceLimits", {}), config.get("TuningJobCompletionCriteria", {})
    details, value = job.get("TuningJobCompletionDetails", {}), objective_value(job.get("BestTrainingJob", {}))
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and value is not None and _reaches(job, value, target):
        return f"the objective reached its target value {target:g}"
    convergence = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence")
    if convergence == "Enabled" and details.get("ConvergenceDetectedTime"):
        return f"no further improvement is expected (converged at {local_time(details['ConvergenceDetectedTime'])})"
    patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    not_improving = details.get("NumberOfTrainingJobsObjectiveNotImproving")
    if patience is not None and not_improving is not None and not_improving >= patience:
        return f"{not_improving} training jobs in a row brought no improvement"
    most = limits.get("MaxNumberOfTrainingJobs")
    if most is not None and sum(job.get("TrainingJobStatusCounters", {}).values()) >= most:
        return f"all {most} training jobs have run"
    longest, took = limits.get("MaxRuntimeInSeconds"), duration_seconds(job)
    if longest is not None and took is not None and took >= longest:
        return f"its time was over ({duration_text(longest)})"
    return "completed"


def failure_reasons(summaries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Reasons of training jobs that failed or brought no objective, the commonest first.

    Each is `reason`, without what differs from one training job to the next, `count` and `training_jobs`.
    """
    groups: dict[str, list[str]] = {}
    for summary in summaries:
        if summary.get("FailureReason"):
            reason = " ".join(summary["FailureReason"].replace(summary["TrainingJobName"], "<training job>").split())
            reason = re.sub(rf"\b(0x)?[0-9a-f]{{{_SHORTEST_ID},}}\b", "<id>", reason)
            groups.setdefault(reason, []).append(summary["TrainingJobName"])
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))
    return [{"reason": reason, "count": len(names), "training_jobs": sorted(names)} for reason, names in ordered]


def sorted_training_jobs(summaries: Iterable[Mapping[str, Any]], by: str) -> list[Mapping[str, Any]]:
    """Training jobs in an order.

    Args:
        summaries: TrainingJobSummaries of ListTrainingJobsForHyperParameterTuningJob.
        by: `objective`: the best first, those without one last; `time`: the oldest first; `duration`: the longest
            first; `name`; `status`.
    """
    found = sorted(summaries, key=lambda one: (one["CreationTime"], one["TrainingJobName"]))
    match by:
        case "objective":
            return sorted(found, key=_objective_rank)
        case "duration":
            return sorted(found, key=lambda one: -(training_seconds(one) or 0.0))
        case "name":
            return sorted(found, key=lambda one: str(one["TrainingJobName"]))
        case "status":
            return sorted(found, key=lambda one: str(one["TrainingJobStatus"]))
        case _:
            return found


def settings_lines(job: Mapping[str, Any], declared: str | None, now: datetime | None = None) -> list[tuple[str, str]]:
    """What a tuning job is and how far it came, as titles and texts.

    Args:
        job: The answer of DescribeHyperParameterTuningJob.
        declared: The declared name, where there is one.
        now: The moment to which a job that still runs is counted; the present without it.
    """
    config = job["HyperParameterTuningJobConfig"]
    limits = config.get("ResourceLimits", {})
    criteria = config.get("TuningJobCompletionCriteria")
    parts = {
        "training jobs": limits.get("MaxNumberOfTrainingJobs"),
        "in parallel": limits.get("MaxParallelTrainingJobs"),
    }
    stated = [f"{value} {title}" for title, value in parts.items() if value is not None]
    if limits.get("MaxRuntimeInSeconds") is not None:
        stated.append(f"{duration_text(limits['MaxRuntimeInSeconds'])} at most")
    warm = job.get("WarmStartConfig")
    parents = [each["HyperParameterTuningJobName"] for each in (warm or {}).get("ParentHyperParameterTuningJobs", ())]
    objectives = job.get("ObjectiveStatusCounters", {})
    lines = [
        ("declared", declared or ""),
        ("strategy", str(config["Strategy"])),
        ("objective", _objective_text(config.get("HyperParameterTuningJobObjective"))),
        ("limits", ", ".join(stated)),
        ("early stopping", str(config.get("TrainingJobEarlyStoppingType", ""))),
        ("completes on", "" if not criteria else json.dumps(criteria)),
        ("warm start", f"{warm['WarmStartType']} of {', '.join(parents)}" if warm else ""),
        ("autotune", str(job.get("Autotune", {}).get("Mode", ""))),
        ("started", local_time(job["CreationTime"])),
        ("ended", local_time(job.get("HyperParameterTuningEndTime"))),
        ("duration", duration_text(duration_seconds(job, now))),
        ("training jobs", counters_text(job)),
        ("objectives", ", ".join(f"{count} {kind.lower()}" for kind, count in objectives.items() if count)),
        ("ended because", completion_reason(job)),
    ]
    return [(title, text) for title, text in lines if text]


def definitions(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The training job definitions of a tuning job: one or several."""
    return [one for one in (job.get("TrainingJobDefinition"), *job.get("TrainingJobDefinitions", ())) if one]


def definition_lines(job: Mapping[str, Any], definition: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a training job definition says, as titles and texts."""
    algorithm, resources = definition["AlgorithmSpecification"], definition.get("ResourceConfig", {})
    ranges = definition.get("HyperParameterRanges") or job["HyperParameterTuningJobConfig"].get("ParameterRanges", {})
    static = {
        name: value for name, value in definition.get("StaticHyperParameters", {}).items() if not name.startswith("_")
    }
    channels = [
        f"{channel['ChannelName']} {_source(channel)}".rstrip() for channel in definition.get("InputDataConfig", ())
    ]
    spot = ", spot" if definition.get("EnableManagedSpotTraining") else ""
    stopping = definition.get("StoppingCondition", {}).get("MaxRuntimeInSeconds")
    lines = [
        ("image", str(algorithm.get("TrainingImage") or algorithm.get("AlgorithmName") or "")),
        ("objective", _objective_text(definition.get("TuningObjective"))),
        ("resources", f"{_resources(resources)}{spot}"),
        ("longest", duration_text(stopping)),
        ("ranges", ", ".join(_ranges(ranges))),
        ("static", ", ".join(f"{name}={value}" for name, value in sorted(static.items()))),
        ("channels", ", ".join(channels)),
        ("output", str(definition.get("OutputDataConfig", {}).get("S3OutputPath", ""))),
    ]
    return [(title, text) for title, text in lines if text]


def grid(lines: Iterable[tuple[str, str]]) -> Table:
    """Titles and texts as two columns, indented."""
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(width=0)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for title, text in lines:
        table.add_row("", title, escape(text))
    return table


def as_json(value: Any) -> str:
    """The API's own data with ours as JSON; times are ISO 8601 in the local zone."""

    def plain(item: Any) -> str:
        return item.astimezone().isoformat() if isinstance(item, datetime) else str(item)

    return json.dumps(value, indent=2, ensure_ascii=False, default=plain)


def _objective_rank(summary: Mapping[str, Any]) -> tuple[bool, float]:
    value = objective_value(summary)
    if value is None:
        return True, 0.0
    return False, value if summary[_OBJECTIVE].get("Type") == "Minimize" else -value


def _reaches(job: Mapping[str, Any], value: float, target: float) -> bool:
    kind = job["BestTrainingJob"][_OBJECTIVE].get("Type", "Maximize")
    return value <= target if kind == "Minimize" else value >= target


def _objective_text(objective: Mapping[str, Any] | None) -> str:
    return "" if not objective else f"{objective['Type']} {objective['MetricName']}"


def _resources(config: Mapping[str, Any]) -> str:
    groups: Sequence[Mapping[str, Any]] = config.get("InstanceGroups") or [config]
    parts = [
        f"{group.get('InstanceCount', 1)} x {group['InstanceType']}" for group in groups if "InstanceType" in group
    ]
    return " + ".join(parts)


def _ranges(ranges: Mapping[str, Any]) -> list[str]:
    texts = []
    for kind in _RANGES:
        for one in ranges.get(kind, ()):
            if "Values" in one:
                texts.append(f"{one['Name']} in {{{', '.join(one['Values'])}}}")
            else:
                scale = one.get("ScalingType", "Auto")
                shown = "" if scale == "Auto" else f" {scale.lower()}"
                texts.append(f"{one['Name']} {one['MinValue']}..{one['MaxValue']}{shown}")
    return texts


def _source(channel: Mapping[str, Any]) -> str:
    source = channel.get("DataSource", {})
    return str(
        source.get("S3DataSource", {}).get("S3Uri") or source.get("FileSystemDataSource", {}).get("FileSystemId") or ""
    )
