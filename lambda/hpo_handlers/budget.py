"""The run-time guard of a budget: how many instance-hours a tuning job has used, and whether they are enough."""

import time
from typing import Any

from .service import client, errors_named

_HOUR = 3600


def passed(job: dict[str, Any], limit: float) -> str:
    """Why a tuning job must stop for its budget, or an empty text while it may go on.

    The training jobs are listed only when the tuning job can have used that much: every one of its instances, all
    the time since it was created.

    Args:
        job: the answer of DescribeHyperParameterTuningJob.
        limit: the instance-hours that the tuning job may use.
    """
    sizes = _cluster_sizes(job)
    end = job.get("HyperParameterTuningEndTime")
    until = end.timestamp() if end else time.time()
    parallel = job["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    age = (until - job["CreationTime"].timestamp()) / _HOUR
    if age * parallel * max(sizes.values(), default=1) < limit:
        return ""
    used = _used(job["HyperParameterTuningJobName"], sizes, until)
    return (
        f"its budget: {round(used, 1):g} instance-hours are used, stop_at_instance_hours is {limit:g}"
        if used >= limit
        else ""
    )


def _used(name: str, sizes: dict[str, int], until: float) -> float:
    """Instance-hours of all training jobs; one that runs has used what it has used so far."""
    used = 0.0
    with errors_named(f"listing the training jobs of tuning job {name}"):
        pages = (
            client("sagemaker")
            .get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
            .paginate(HyperParameterTuningJobName=name, PaginationConfig={"PageSize": 100})
        )
        for summary in (summary for page in pages for summary in page["TrainingJobSummaries"]):
            start, end = summary.get("TrainingStartTime"), summary.get("TrainingEndTime")
            if start is not None:
                seconds = (end.timestamp() if end else until) - start.timestamp()
                definition = summary.get("TrainingJobDefinitionName", "")
                # A training job says its definition only where there are several.
                size = sizes.get(definition) or max(sizes.values(), default=1)
                used += max(0.0, seconds) * size / _HOUR
    return used


def _cluster_sizes(job: dict[str, Any]) -> dict[str, int]:
    """The instances of a training job of each definition; of alternatives the largest, whichever was taken."""
    definitions = [job["TrainingJobDefinition"]] if "TrainingJobDefinition" in job else []
    definitions += job.get("TrainingJobDefinitions", [])
    return {definition.get("DefinitionName", ""): _size(definition) for definition in definitions}


def _size(definition: dict[str, Any]) -> int:
    resources = definition.get("ResourceConfig") or definition.get("HyperParameterTuningResourceConfig") or {}
    groups = sum(int(group["InstanceCount"]) for group in resources.get("InstanceGroups", []))
    alternatives = resources.get("InstanceConfigs", []) + resources.get("InstancePreferences", [])
    counts = [int(entry["InstanceCount"]) for entry in alternatives if "InstanceCount" in entry]
    return max(1, groups, int(resources.get("InstanceCount") or 0), *counts)
