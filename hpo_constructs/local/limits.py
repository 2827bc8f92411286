"""Account limits on the local endpoint: what the service answers when a request goes beyond one.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html. The wording
is the service's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .errors import ApiError

if TYPE_CHECKING:
    from ..quotas import Quotas
    from ..quotas.needs import JobNeeds

_COUNTED_HERE = frozenset(
    (
        "concurrent-tuning-jobs",
        "instances-per-type",
        "instances-total",
        "parallel-training-jobs",
        "total-training-jobs",
    )
)


def check_limits(
    request: Mapping[str, Any],
    running: Sequence[Mapping[str, Any]],
    quotas: Quotas,
    *,
    training_jobs: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Check a request of CreateHyperParameterTuningJob against an account's quotas.

    Args:
        request: the request.
        running: the requests of the tuning jobs that run.
        quotas: what the account allows.
        training_jobs: the descriptions of the training jobs that run and that no tuning job has made.

    Raises:
        ApiError: ResourceLimitExceeded for the first limit that is exceeded.
    """
    from ..rules import Severity, check

    limits = request["HyperParameterTuningJobConfig"]["ResourceLimits"]
    _within("hyperparameter tuning jobs at the same time", quotas.concurrent_tuning_jobs, len(running), 1, "jobs")
    parallel = limits["MaxParallelTrainingJobs"]
    per_job = "training jobs per hyperparameter tuning job"
    _within(f"parallel {per_job}", quotas.parallel_training_jobs, 0, parallel, "training jobs")
    total = quotas.training_jobs_of(request["HyperParameterTuningJobConfig"]["Strategy"])
    _within(per_job, total, 0, limits.get("MaxNumberOfTrainingJobs", 0), "training jobs")
    asked = _needs(request, quotas)
    used = [*(_needs(one, quotas) for one in running), *(_single_needs(one, quotas) for one in training_jobs)]
    _check_instances(asked, used, quotas)
    others = [
        finding
        for finding in check(dict(request), quotas)
        if finding.severity is Severity.QUOTA and finding.rule not in _COUNTED_HERE
    ]
    if others:
        raise ApiError("ResourceLimitExceeded", "; ".join(finding.message for finding in others))


def check_training_job_limits(
    request: Mapping[str, Any],
    running: Sequence[Mapping[str, Any]],
    quotas: Quotas,
    *,
    training_jobs: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Check a request of CreateTrainingJob against an account's quotas; the arguments are those of `check_limits`.

    Raises:
        ApiError: ResourceLimitExceeded.
    """
    used = [*(_needs(one, quotas) for one in running), *(_single_needs(one, quotas) for one in training_jobs)]
    _check_instances(_single_needs(request, quotas), used, quotas)


def _check_instances(asked: JobNeeds, used: Sequence[JobNeeds], quotas: Quotas) -> None:
    for pool, delta in asked.pools().items():
        stated = quotas.spot_instances if pool.spot else quotas.instances
        allowed = stated.get(pool.instance_type, quotas.instances_per_type)
        now = sum(one.pools().get(pool, 0) for one in used)
        kind = "spot training job usage" if pool.spot else "training job usage"
        _within(f"{pool.instance_type} for {kind}", allowed, now, delta, "Instances")
    for spot, allowed in ((False, quotas.instances_total), (True, quotas.spot_instances_total)):
        what = "spot training jobs" if spot else "training jobs"
        now, delta = sum(one.instances(spot=spot) for one in used), asked.instances(spot=spot)
        if delta:
            _within(f"Total number of instances across {what}", allowed, now, delta, "Instances")


def _needs(request: Mapping[str, Any], quotas: Quotas) -> JobNeeds:
    from ..rules.job import Job
    from ..rules.needs import job_needs
    from ..spec.declaration import Declaration, Form

    return job_needs(Job(Declaration(request=dict(request), form=Form.REQUEST), quotas))


def _single_needs(request: Mapping[str, Any], quotas: Quotas) -> JobNeeds:
    """What a training job of no tuning job needs: as much as a tuning job of one training job."""
    limits = {"MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1}
    config = {"Strategy": "Random", "ResourceLimits": limits}
    return _needs({"HyperParameterTuningJobConfig": config, "TrainingJobDefinition": dict(request)}, quotas)


def _within(limit: str, allowed: int | None, used: int, delta: int, unit: str) -> None:
    if allowed is not None and used + delta > allowed:
        raise ApiError(
            "ResourceLimitExceeded",
            f"The account-level service limit '{limit}' is {allowed} {unit}, with current utilization of {used} {unit} "
            f"and a request delta of {delta} {unit}. Please use AWS Service Quotas to request an increase for this "
            "quota. If AWS Service Quotas is not available, contact AWS support to request an increase for this quota.",
        )
