"""Rules about all tuning jobs of an app together, and about their deployment."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from ..spec.declaration import Form
from .finding import Severity
from .instances import RESOURCE_FORMS
from .job import Definition, Job, Structure, is_unknown
from .quota_text import quota_fix
from .registry import API, GUIDE, Example, Problem, app_rule, rule
from .together import together

_LIMITS_PAGE = f"{GUIDE}automatic-model-tuning-limits.html"
_STEP_FUNCTIONS_PAGE = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"

_PARALLEL, _TOTAL = "MaxParallelTrainingJobs", "MaxNumberOfTrainingJobs"


def _quota(jobs: Iterable[Job], name: str) -> int | None:
    """A quota of the account that the jobs share: the most that one of them states, or else the edition's."""
    all_quotas = [job.quotas for job in jobs]
    values = [getattr(quotas, name) for quotas in all_quotas if name in quotas.stated] or [
        getattr(quotas, name) for quotas in all_quotas
    ]
    return None if None in values else max(values)


def _quota_of_type(jobs: list[Job], instance_type: str) -> int | None:
    stated = [job.quotas.instances[instance_type] for job in jobs if instance_type in job.quotas.instances]
    return max(stated) if stated else _quota(jobs, "instances_per_type")


def _stated_types(jobs: Iterable[Job]) -> dict[str, int]:
    """The quotas of single types that the jobs state: a fix must not lose them."""
    stated: dict[str, int] = {}
    for job in jobs:
        for instance_type, number in job.quotas.instances.items():
            stated[instance_type] = max(number, stated.get(instance_type, 0))
    return stated


_ONE_JOB = "{name: one, training_job_definition: {}}"
_OTHER_JOB = "{name: other, training_job_definition: {}}"


@app_rule(
    "concurrent-tuning-jobs",
    title="all tuning jobs together, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason="an account runs 100 tuning jobs at the same time in a region; nothing keeps those of an app apart in time",
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"concurrent_tuning_jobs": 2}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"concurrent_tuning_jobs": 1}),
)
def concurrent_tuning_jobs(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Count the tuning jobs."""
    quota = _quota(jobs, "concurrent_tuning_jobs")
    if quota is not None and len(jobs) > quota:
        first_above = jobs[quota]
        yield (
            first_above,
            Problem(
                first_above.path("HyperParameterTuningJobName"),
                f"at most {quota:,} tuning jobs may run at once, the account's quota, got {len(jobs):,} declared ones",
                quota_fix(
                    "declare fewer tuning jobs, or start them one after another", "concurrent_tuning_jobs", len(jobs)
                ),
            ),
        )


@dataclass(frozen=True, slots=True)
class Pool:
    """A kind of instance that has a quota of its own: SageMaker counts spot instances apart."""

    instance_type: str
    spot: bool

    def __str__(self) -> str:
        return f"{self.instance_type} spot" if self.spot else self.instance_type


def instance_needs(job: Job) -> dict[Pool, int]:
    """The most instances of each kind that a tuning job uses at the same time.

    Every training job that runs may be of the definition, and use the one of the alternative instance types, that
    needs most of a kind. What is not stated, or known at deployment only, counts as none.
    """
    at_once = _at_once(job)
    needs: dict[Pool, int] = {}
    for definition in job.definitions:
        spot = definition.flag("EnableManagedSpotTraining") is True
        for cluster in _clusters(definition):
            for instance_type, count in cluster.items():
                pool = Pool(instance_type, spot)
                needs[pool] = max(needs.get(pool, 0), at_once * count)
    return needs


def instances_needed(job: Job) -> int:
    """The most instances of all kinds that a tuning job uses at the same time."""
    sizes = [sum(cluster.values()) for definition in job.definitions for cluster in _clusters(definition)]
    return _at_once(job) * max(sizes, default=0)


def _at_once(job: Job) -> int:
    """How many training jobs of a tuning job run at the same time at most."""
    parallel, total = job.limits.whole(_PARALLEL) or 0, job.limits.whole(_TOTAL)
    return max(0, parallel if total is None else min(parallel, total))


def _clusters(definition: Definition) -> list[dict[str, int]]:
    """The clusters that a training job of a definition may run on, each as instances by type."""
    clusters: list[dict[str, int]] = []
    for resources in (definition.structure(name) for name in RESOURCE_FORMS):
        groups = resources.structures("InstanceGroups")
        alternatives = resources.structures("InstanceConfigs") + resources.structures("InstancePreferences")
        if groups:
            groups_of_cluster: dict[str, int] = {}
            for group in groups:
                _add(groups_of_cluster, group, None)
            clusters.append(groups_of_cluster)
        for alternative in alternatives:
            cluster: dict[str, int] = {}
            # Instance preferences may share one count.
            _add(cluster, alternative, resources.whole("InstanceCount"))
            clusters.append(cluster)
        if not groups and not alternatives:
            cluster = {}
            _add(cluster, resources, None)
            clusters.append(cluster)
    return [cluster for cluster in clusters if cluster]


def _add(cluster: dict[str, int], entry: Structure, shared_count: int | None) -> None:
    instance_type, count = entry.text("InstanceType"), entry.whole("InstanceCount")
    count = shared_count if count is None else count
    if instance_type is not None and count is not None and count > 0 and not is_unknown(instance_type):
        cluster[instance_type] = cluster.get(instance_type, 0) + count


def _needed_by(needs: list[tuple[Job, int]]) -> str:
    """Who needs how many, the largest first."""
    ranked = sorted(needs, key=lambda need: -need[1])
    texts = [f"{job.declaration.name or 'a job without a name'} {count:,}" for job, count in ranked[:3]]
    return ", ".join(texts) + (f" and {len(ranked) - 3:,} more" if len(ranked) > 3 else "")


def _instances_problem(needs: list[tuple[Job, int]], what: str, quota: int, fix: str) -> tuple[Job, Problem]:
    """The problem of too many instances, at the tuning job that needs most."""
    largest = max(needs, key=lambda need: need[1])[0]
    total = sum(count for _, count in needs)
    return (
        largest,
        Problem(
            largest.limits.path(_PARALLEL),
            f"all tuning jobs at once must use at most {quota:,} {what}, the account's quota, got {total:,}: "
            f"{_needed_by(needs)}",
            fix,
        ),
    )


@app_rule(
    "instances-per-type",
    title="the instances of each type over all tuning jobs, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "every training job that runs counts its instances against the account's quota for the type, 20 in the "
        "guide's example, spot instances apart: of each tuning job the largest number of training jobs at the same "
        "time is taken, and of its definitions and alternative types the one that needs most"
    ),
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_per_type": 8}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_per_type": 7}),
)
def instances_per_type(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Add up the instances of each type."""
    by_pool: dict[Pool, list[tuple[Job, int]]] = {}
    for job in jobs:
        for pool, count in instance_needs(job).items():
            by_pool.setdefault(pool, []).append((job, count))
    for pool, needs in by_pool.items():
        quota = _quota_of_type(jobs, pool.instance_type)
        total = sum(count for _, count in needs)
        if quota is not None and total > quota:
            spelled = jobs[0].spell(_PARALLEL)
            stated = {**_stated_types(jobs), pool.instance_type: total}
            fix = quota_fix(f"lower {spelled} or the instance counts", "instances", stated)
            yield _instances_problem(needs, f"instances of {pool}", quota, fix)


@app_rule(
    "instances-total",
    title="the training instances over all tuning jobs, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "beside the quotas of single types an account has one for all training instances, 20 in the guide's example; "
        "they are added up as for instances-per-type"
    ),
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_total": 8}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_total": 7}),
)
def instances_total(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Add up all instances."""
    quota = _quota(jobs, "instances_total")
    needs = [(job, count) for job in jobs if (count := instances_needed(job))]
    total = sum(count for _, count in needs)
    if quota is not None and total > quota:
        fix = quota_fix(f"lower {jobs[0].spell(_PARALLEL)} or the instance counts", "instances_total", total)
        yield _instances_problem(needs, "training instances", quota, fix)


def _deployed(job: Job) -> bool:
    """Whether a declaration is one that the constructs deploy; the other forms are complete requests."""
    return job.declaration.form in {Form.TEMPLATE, Form.SPEC}


# What a state holds beside the request: names, paths and the failure that ended a run.
_BESIDE_THE_REQUEST = 40 * 1024
_STATE_BYTES = 256 * 1024
_MOST_REQUEST_BYTES = _STATE_BYTES - _BESIDE_THE_REQUEST


# Ten definitions with forty long values each, all taken over from the first.
_LONG_VALUES = ", ".join(["p00: &long " + "0123456789" * 64, *(f"p{number:02}: *long" for number in range(1, 40))])
_CLONES = ", ".join(f"{{definition_name: clone-{number}, clone: xgboost}}" for number in range(8))


@rule(
    "request-size",
    title=f"the request is at most {_MOST_REQUEST_BYTES // 1024} KiB, so that it passes through the state machine",
    severity=Severity.ERROR,
    reason=(
        "the state machine carries the request to the function that creates the tuning job; Step Functions allows a "
        "state 256 KiB of UTF-8 text, of which names and the error that ends a run take up to 40. A request that "
        "fits there keeps the state machine's definition below its 1 MB, too"
    ),
    source=_STEP_FUNCTIONS_PAGE,
    passes=Example("training_job_definitions: [{static_hyperparameters: {num_round: 50}}]", several=True),
    fails=Example(
        f"training_job_definitions: [{{static_hyperparameters: {{{_LONG_VALUES}}}}}, {{}}, {_CLONES}]", several=True
    ),
)
def request_size(job: Job) -> Iterator[Problem]:
    """Measure the request as the state machine carries it."""
    if not _deployed(job):
        return
    size = _bytes(job.raw)
    if size > _MOST_REQUEST_BYTES:
        largest = max(job.definitions, key=lambda definition: _bytes(definition.raw), default=None)
        yield Problem(
            largest.place if largest else (),
            f"the request must be at most {_MOST_REQUEST_BYTES:,} bytes to pass through a state machine, got {size:,}",
            "put long hyperparameter values into a channel that the training code reads",
        )


def _bytes(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str).encode(errors="replace"))


@app_rule(
    "output-path-unique",
    title="no two tuning jobs of a folder share a name, and so what they publish or create",
    severity=Severity.ERROR,
    reason=(
        "the templates of a folder make one stack, and the best training job's facts stand under "
        "/hpo/<stack>/<name>/ in SSM: of two jobs of a name each would overwrite what the other has published. "
        "Complete requests create tuning jobs under their own names, which are unique in an account and region and "
        "not case sensitive: the second is answered with ResourceInUse"
    ),
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes=together(_ONE_JOB, _OTHER_JOB),
    fails=together(_ONE_JOB, _ONE_JOB),
)
def output_path_unique(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Compare the names of jobs that are deployed together, and those of requests."""
    for folder in _in_folders(job for job in jobs if _deployed(job)):
        # Names of SSM parameters are case sensitive, and runs add digits of their own to a tuning job's name.
        for job, other in _same_names(folder, str):
            yield job, _shared_name(job, other, "the name is part of the path of the outputs")
    # A description is of a tuning job that exists.
    for folder in _in_folders(job for job in jobs if job.declaration.form in {Form.REQUEST, Form.ACK}):
        for job, other in _same_names(folder, str.lower):
            yield job, _shared_name(job, other, "names are unique in an account and region, whatever their case")


def _in_folders(jobs: Iterable[Job]) -> Iterator[list[Job]]:
    """The jobs that belong together: those of the files of one folder, and those without a file."""
    folders: dict[PurePath | None, list[Job]] = {}
    for job in jobs:
        file = job.declaration.file
        folders.setdefault(None if file is None else PurePath(file).parent, []).append(job)
    yield from folders.values()


def _same_names(jobs: Iterable[Job], normal: Callable[[str], str]) -> Iterator[tuple[Job, Job]]:
    """Every job whose name an earlier one has, with that one."""
    first: dict[str, Job] = {}
    for job in jobs:
        name = job.declaration.name
        if name and not is_unknown(name):
            earlier = first.setdefault(normal(name), job)
            if earlier is not job:
                yield job, earlier


def _shared_name(job: Job, other: Job, why: str) -> Problem:
    spelled = job.spell("HyperParameterTuningJobName")
    name, other_name = job.declaration.name, other.declaration.name
    where = "" if other.declaration.file == job.declaration.file else f" in {other.declaration.file}"
    return Problem(
        job.path("HyperParameterTuningJobName"),
        f"two tuning jobs must not share a {spelled}, because {why}; got {name!r} beside {other_name!r}{where}",
        f"give one of the two another {spelled}",
    )
