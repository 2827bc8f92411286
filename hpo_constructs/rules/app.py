"""Rules about all tuning jobs of an app together, and about their deployment."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePath
from typing import Any

from ..quotas import costs, planner
from ..quotas.needs import JobNeeds
from ..quotas.planner import Requirement
from ..spec.declaration import Form
from .finding import Severity
from .instances import resource_forms
from .job import Job, is_unknown
from .needs import clusters, job_needs
from .quota_text import quota_fix
from .registry import API, GUIDE, Example, Problem, app_rule, rule
from .together import together

_LIMITS_PAGE = f"{GUIDE}automatic-model-tuning-limits.html"
_TRAINING_QUOTAS_PAGE = f"{GUIDE}feature-store-feature-processor-quotas.html"
_STOPPING_PAGE = f"{API}API_StoppingCondition.html"
_STEP_FUNCTIONS_PAGE = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"

_PARALLEL, _TOTAL, _RUNTIME = "MaxParallelTrainingJobs", "MaxNumberOfTrainingJobs", "MaxRuntimeInSeconds"

_ONE_JOB = "{name: one, training_job_definition: {}}"
_OTHER_JOB = "{name: other, training_job_definition: {}}"

_Planner = Callable[[Sequence[JobNeeds]], list[Requirement]]


def _in_apps(jobs: list[Job]) -> Iterator[list[Job]]:
    """The jobs that run in one account because one app declares them; a complete request stands for itself."""
    deployed = [job for job in jobs if _deployed(job)]
    if deployed:
        yield deployed
    for job in jobs:
        if not _deployed(job):
            yield [job]


def _above(jobs: list[Job], planned: _Planner) -> Iterator[tuple[list[Job], Requirement]]:
    """What the jobs of each app need above a quota, with those jobs."""
    for together_ in _in_apps(jobs):
        for requirement in planned([job_needs(job) for job in together_]):
            if requirement.fits is False:
                yield together_, requirement


@app_rule(
    "concurrent-tuning-jobs",
    title="all tuning jobs together, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "an account runs 100 tuning jobs at the same time in a region; nothing keeps those of an app apart in time. "
        "The jobs of templates and of Python are taken together, saved requests and answers each by itself"
    ),
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"concurrent_tuning_jobs": 2}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"concurrent_tuning_jobs": 1}),
    account_wide=True,
)
def concurrent_tuning_jobs(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Count the tuning jobs."""
    for app, requirement in _above(jobs, planner.concurrent_tuning_jobs):
        quota = requirement.allowed or 0
        first_above = app[requirement.shares[quota].job if quota < len(requirement.shares) else -1]
        yield (
            first_above,
            Problem(
                first_above.path("HyperParameterTuningJobName"),
                f"at most {quota:,} tuning jobs may run at once, the account's quota, got {requirement.needed:,} "
                "declared ones",
                quota_fix(
                    "declare fewer tuning jobs, or start them one after another",
                    "concurrent_tuning_jobs",
                    requirement.needed,
                ),
            ),
        )


def _instances_problem(app: list[Job], requirement: Requirement, fix: str) -> tuple[Job, Problem]:
    """The problem of too many instances, at the tuning job that needs most."""
    largest = app[requirement.shares[0].job]
    return (
        largest,
        Problem(
            largest.limits.path(_PARALLEL),
            f"all tuning jobs at once must use at most {requirement.allowed:,} {requirement.title}, the account's "
            f"quota, got {requirement.needed:,}: {_needed_by(requirement)}",
            fix,
        ),
    )


def _needed_by(requirement: Requirement) -> str:
    """Who needs how many, the largest first."""
    shares = requirement.shares
    texts = [f"{share.name} {share.needed:,}" for share in shares[:3]]
    return ", ".join(texts) + (f" and {len(shares) - 3:,} more" if len(shares) > 3 else "")


@app_rule(
    "instances-per-type",
    title="the instances of each type over all tuning jobs, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "every training job that runs counts its instances against the account's quota for the type, 20 in the "
        "guide's example, spot instances apart: of each tuning job the largest number of training jobs at the same "
        "time is taken, and of its definitions and alternative types the one that needs most. The jobs of templates "
        "and of Python are taken together, saved requests and answers each by itself"
    ),
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_per_type": 8}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_per_type": 7}),
    account_wide=True,
)
def instances_per_type(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Add up the instances of each type."""
    for app, requirement in _above(jobs, planner.instances_per_type):
        # What is stated in a fix must not lose what the app states already.
        stated = getattr(planner.shared_quotas(job.quotas for job in app), requirement.quota)
        stated = {**stated, requirement.instance_type: requirement.needed}
        fix = quota_fix(f"lower {app[0].spell(_PARALLEL)} or the instance counts", requirement.quota, stated)
        yield _instances_problem(app, requirement, fix)


@app_rule(
    "instances-total",
    title="the training instances over all tuning jobs, run at once, are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "beside the quotas of single types an account has one for all training instances, 20 in the guide's example, "
        "and one for all spot training instances; they are added up as for instances-per-type"
    ),
    source=_LIMITS_PAGE,
    passes=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_total": 8}),
    fails=together(_ONE_JOB, _OTHER_JOB, quotas={"instances_total": 7}),
    account_wide=True,
)
def instances_total(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Add up all instances."""
    for app, requirement in _above(jobs, planner.instances_total):
        action = f"lower {app[0].spell(_PARALLEL)} or the instance counts"
        yield _instances_problem(app, requirement, quota_fix(action, requirement.quota, requirement.needed))


@rule(
    "instances-per-training-job",
    title="the instances of one training job are within the quota",
    severity=Severity.QUOTA,
    reason="an account allows a training job 20 instances by default",
    source=_TRAINING_QUOTAS_PAGE,
    passes=Example(
        "training_job_definition: {resource_config: {instance_count: 10}}",
        quotas={"instances_per_training_job": 10},
    ),
    fails=Example(
        "training_job_definition: {resource_config: {instance_count: 10}}",
        quotas={"instances_per_training_job": 9},
    ),
)
def instances_per_training_job(job: Job) -> Iterator[Problem]:
    """Compare the instances of each definition's largest cluster with the quota."""
    quota = job.quotas.instances_per_training_job
    if quota is None:
        return
    for definition in job.definitions:
        size = max((cluster.size for cluster in clusters(definition)), default=0)
        if size > quota:
            spelled = job.spell("InstanceCount")
            yield Problem(
                resource_forms(definition)[0].path("InstanceCount"),
                f"{spelled} must be at most {quota:,}, the account's quota of a training job, got {size:,}",
                quota_fix(f"lower {spelled} to {quota:,} or less", "instances_per_training_job", size),
            )


_BUDGET_REASON = (
    "the worst case is what the declaration allows: every training job runs as long as its stopping condition lets it, "
    "on the largest of the job's clusters, and the tuning job as long as its own limit. A template's budget is for one "
    "run of each of its tuning jobs, the context hpo:budget for one run of all of them together"
)


@app_rule(
    "budget-instance-hours",
    title="the instance-hours that a run can use at most are within the stated budget",
    severity=Severity.ERROR,
    reason=_BUDGET_REASON,
    source=_STOPPING_PAGE,
    passes="budget: {max_instance_hours: 40}",
    fails="budget: {max_instance_hours: 39}",
    account_wide=True,
)
def budget_instance_hours(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Compare the worst case with the budgets."""
    for app in _in_apps(_budgeted(jobs)):
        needs = [job_needs(job) for job in app]
        envelopes = [costs.envelope(need) for need in needs]
        for job, need, found in zip(app, needs, envelopes, strict=True):
            most = need.budget.max_instance_hours
            if most is not None and found.instance_hours is not None and found.instance_hours > most:
                yield _over_budget(job, f"use at most {most:,g} instance-hours", _hours(found.instance_hours))
        most, whole = app[0].app_budget.max_instance_hours, costs.total(envelopes)
        if most is not None and whole.instance_hours is not None and whole.instance_hours > most:
            shares = [found.instance_hours or 0 for found in envelopes]
            yield _app_over_budget(app, shares, f"use at most {most:,g} instance-hours", whole.instance_hours)


_PRICED = "prices: {instances: {ml.m5.xlarge: 0.25}}"


@app_rule(
    "budget-cost",
    title="what a run can cost at most is within the stated budget",
    severity=Severity.ERROR,
    reason=(
        f"{_BUDGET_REASON}. The prices are those that the budget states; without a price for a type the bound cannot "
        "be checked, which is a warning"
    ),
    source=_STOPPING_PAGE,
    passes=f"budget: {{max_cost: 10, {_PRICED}}}",
    fails=f"budget: {{max_cost: 9.5, {_PRICED}}}",
    account_wide=True,
)
def budget_cost(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Compare the worst case by the stated prices with the budgets."""
    for app in _in_apps(_budgeted(jobs)):
        whole = app[0].app_budget
        needs = [job_needs(job) for job in app]
        for job, need in zip(app, needs, strict=True):
            most, prices = need.budget.max_cost, need.budget.prices or whole.prices or costs.Prices()
            found = costs.envelope(need, prices)
            if most is not None and found.cost is None:
                yield job, _without_price(job, most, found.unpriced)
            elif most is not None and found.cost is not None and found.cost > most:
                yield _over_budget(job, f"cost at most {most:,g} {prices.currency}", f"{found.cost:,.2f}")
        if whole.max_cost is None:
            continue
        prices = whole.prices or costs.Prices()
        envelopes = [costs.envelope(need, prices) for need in needs]
        total = costs.total(envelopes)
        if total.cost is None:
            yield app[0], _without_price(app[0], whole.max_cost, total.unpriced)
        elif total.cost > whole.max_cost:
            shares = [found.cost or 0 for found in envelopes]
            yield _app_over_budget(app, shares, f"cost at most {whole.max_cost:,g} {prices.currency}", total.cost)


def _budgeted(jobs: list[Job]) -> list[Job]:
    """All jobs where the app has a budget, or else those that have one of their own."""
    return [job for job in jobs if job.declaration.budget or job.app_budget != costs.Budget()]


def _over_budget(job: Job, allowed: str, got: str) -> tuple[Job, Problem]:
    return (
        job,
        Problem(
            job.limits.place,
            f"a run of the tuning job must {allowed} by its budget, but may come to {got}",
            f"lower {job.spell(_TOTAL)}, a {job.spell(_RUNTIME)} or the instance counts, or raise the budget",
        ),
    )


def _app_over_budget(app: list[Job], shares: list[float], allowed: str, got: float) -> tuple[Job, Problem]:
    ranked = sorted(range(len(app)), key=lambda index: -shares[index])
    names = [f"{app[index].declaration.name or 'a job without a name'} {_hours(shares[index])}" for index in ranked[:3]]
    more = f" and {len(ranked) - 3:,} more" if len(ranked) > 3 else ""
    job = app[ranked[0]]
    return (
        job,
        Problem(
            job.limits.place,
            f"one run of all tuning jobs must {allowed} by the app's budget, but may come to {_hours(got)}: "
            f"{', '.join(names)}{more}",
            f"lower {job.spell(_TOTAL)}, a {job.spell(_RUNTIME)} or the instance counts, "
            "or raise hpo:budget in cdk.json",
        ),
    )


def _without_price(job: Job, most: float, unpriced: tuple[str, ...]) -> Problem:
    missing = f"no price of {', '.join(unpriced)}" if unpriced else "the declaration does not say how much it uses"
    return Problem(
        job.limits.place,
        f"the budget's max_cost of {most:,g} is not checked: {missing}",
        "state the prices of an instance-hour under the budget's prices: {instances: {ml.m5.xlarge: 0.23}}",
        Severity.WARNING,
    )


def _hours(amount: float) -> str:
    return f"{amount:,.1f}".removesuffix(".0")


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
