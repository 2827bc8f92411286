"""What all tuning jobs together need of an account, against what it allows.

The model of concurrency: every tuning job runs at the same time as every other, with as many training jobs as it may
have, each on the largest of its definitions' clusters. Jobs that take turns count as the largest of them. A job runs
once at a time, as its queue sees to; one that allows runs to overlap is counted once, too, and named.

Source: the example of https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from . import Quotas
from .costs import Envelope, Prices, envelope, total
from .needs import JobNeeds, Pool
from .service_quotas import INSTANCES, SPOT_INSTANCES, ServiceQuota, service_quota

CONCURRENCY = (
    "all tuning jobs at once, each with its max_parallel_training_jobs on the largest of its clusters; of jobs that "
    "take turns the largest, of jobs that may overlap themselves one run"
)


@dataclass(frozen=True, slots=True)
class Share:
    """What one job needs of a quota.

    Attributes:
        job: The job's place in the list that was planned.
        name: Its name.
        needed: How much it needs.
    """

    job: int
    name: str
    needed: int


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is needed of one quota.

    Attributes:
        quota: The quota's name in `hpo:quotas`.
        title: The quota in words.
        needed: How much is needed.
        allowed: How much the account allows; None when that is not known.
        shares: Which jobs need it, the largest first.
        service_quota: The quota as Service Quotas knows it.
        instance_type: The instance type of a quota of one.
        adds_up: Whether the jobs' needs add up to what is needed; of other quotas each job has its own.
    """

    quota: str
    title: str
    needed: int
    allowed: int | None
    shares: tuple[Share, ...]
    service_quota: ServiceQuota
    instance_type: str | None = None
    adds_up: bool = True

    @property
    def fits(self) -> bool | None:
        """Whether it is allowed; None when the quota is not known."""
        return None if self.allowed is None else self.needed <= self.allowed

    @property
    def by_default(self) -> bool:
        """Whether AWS's present default for new accounts is enough."""
        return self.service_quota.default is not None and self.needed <= self.service_quota.default

    @property
    def reachable(self) -> bool:
        """Whether AWS raises the quota as far as needed."""
        most = self.service_quota.raisable_to
        return self.service_quota.adjustable and (most is None or self.needed <= most)

    @property
    def action(self) -> str:
        """What to do about it."""
        most = self.service_quota.raisable_to
        if self.fits is None:
            return "not known: read the account's quota (--account) or state it"
        if self.fits:
            return "no increase"
        if self.by_default:
            return f"state the account's quota: AWS's present default is {self.service_quota.default:,}"
        if self.reachable:
            return f"request {self.needed:,}"
        if self.service_quota.adjustable and most is not None:
            return f"need less: AWS raises it to {most:,} at most"
        return "need less: AWS does not raise it"

    def as_dict(self) -> dict[str, Any]:
        """The requirement as plain data."""
        return {
            "quota": self.quota,
            "instance_type": self.instance_type,
            "title": self.title,
            "needed": self.needed,
            "allowed": self.allowed,
            "fits": self.fits,
            "action": self.action,
            "jobs": [{"job": share.name, "needed": share.needed} for share in self.shares],
            "service_quota": {
                "name": self.service_quota.name,
                "code": self.service_quota.code,
                "adjustable": self.service_quota.adjustable,
                "raisable_to": self.service_quota.raisable_to,
            },
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of an account.

    Attributes:
        jobs: How many tuning jobs were planned.
        requirements: What they need, per quota.
        envelopes: What one run of each uses at most.
        overlapping: Jobs of which several runs can be under way at once; one is counted.
        currency: The currency of costs; None without prices.
    """

    jobs: int
    requirements: tuple[Requirement, ...]
    envelopes: tuple[Envelope, ...]
    overlapping: tuple[str, ...] = ()
    currency: str | None = None

    @property
    def fits(self) -> bool:
        """Whether nothing is above a quota that is known."""
        return all(requirement.fits is not False for requirement in self.requirements)

    @property
    def total(self) -> Envelope:
        """What one run of all of them uses at most."""
        return total(self.envelopes)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain data, as `hpo quotas --json` prints it."""
        return {
            "jobs": self.jobs,
            "concurrency": CONCURRENCY,
            "overlapping": list(self.overlapping),
            "fits": self.fits,
            "requirements": [requirement.as_dict() for requirement in self.requirements],
            "costs": {
                "currency": self.currency,
                "jobs": [_envelope_dict(part) for part in self.envelopes],
                "all": _envelope_dict(self.total),
            },
        }


def plan(jobs: Sequence[JobNeeds], prices: Prices | None = None) -> Plan:
    """Plan tuning jobs that run in one account and region.

    Args:
        jobs: What each needs, with the quotas that hold for it.
        prices: A price list; without it costs are not known.
    """
    requirements = [
        *concurrent_tuning_jobs(jobs),
        *_of_each(
            jobs,
            "training_jobs",
            "training jobs of a tuning job",
            lambda job: None if job.strategy == "Random" else job.training_jobs,
        ),
        *_of_each(
            jobs,
            "random_training_jobs",
            "training jobs of a random search",
            lambda job: job.training_jobs if job.strategy == "Random" else None,
            allowed=lambda job: job.quotas.training_jobs_of(job.strategy),
        ),
        *_of_each(
            jobs,
            "parallel_training_jobs",
            "training jobs at once of a tuning job",
            lambda job: job.parallel_training_jobs,
        ),
        *instances_per_type(jobs),
        *instances_total(jobs),
        *instances_per_training_job(jobs),
        *_of_each(jobs, "training_job_runtime_in_seconds", "longest training job, in seconds", _longest_training_job),
        *_of_each(
            jobs,
            "tuning_job_runtime_in_seconds",
            "longest tuning job, in seconds",
            lambda job: job.max_runtime_in_seconds,
        ),
    ]
    return Plan(
        jobs=len(jobs),
        requirements=tuple(requirements),
        envelopes=tuple(envelope(job, prices or job.budget.prices) for job in jobs),
        overlapping=tuple(job.label for job in jobs if job.overlaps),
        currency=(
            prices or next((job.budget.prices for job in jobs if job.budget.prices), None) or _NO_PRICES
        ).currency,
    )


def concurrent_tuning_jobs(jobs: Sequence[JobNeeds]) -> list[Requirement]:
    """The tuning jobs that can run at the same time."""
    return _together(jobs, "concurrent_tuning_jobs", "tuning jobs at once", [1 for _ in jobs])


def instances_per_type(jobs: Sequence[JobNeeds]) -> list[Requirement]:
    """The instances of each type over all jobs, spot ones apart."""
    needs = [job.pools() for job in jobs]
    pools = dict.fromkeys(pool for needed in needs for pool in needed)
    return [
        found
        for pool in pools
        for found in _together(
            jobs,
            SPOT_INSTANCES if pool.spot else INSTANCES,
            f"instances of {pool}",
            [needed.get(pool, 0) for needed in needs],
            pool=pool,
        )
    ]


def instances_total(jobs: Sequence[JobNeeds]) -> list[Requirement]:
    """The instances of all types over all jobs, spot ones apart."""
    return [
        found
        for spot, quota, title in (
            (False, "instances_total", "training instances"),
            (True, "spot_instances_total", "spot training instances"),
        )
        for found in _together(jobs, quota, title, [job.instances(spot=spot) for job in jobs])
    ]


def instances_per_training_job(jobs: Sequence[JobNeeds]) -> list[Requirement]:
    """The instances of one training job, where there is a training job with several."""
    quota = "instances_per_training_job"
    return [
        *_of_each(jobs, quota, "instances of a training job", partial(_largest_cluster, spot=False)),
        *_of_each(
            jobs,
            quota,
            "instances of a spot training job",
            partial(_largest_cluster, spot=True),
            known_as="spot_instances_per_training_job",
        ),
    ]


def shared_quotas(all_quotas: Iterable[Quotas]) -> Quotas:
    """The quotas of the account that jobs share: the most that one of them states, or else the edition's."""
    distinct = list(dict.fromkeys(_Keyed(quotas) for quotas in all_quotas))
    found = [keyed.quotas for keyed in distinct]
    if len(found) == 1:
        return found[0]
    merged: dict[str, Any] = {}
    for item in fields(Quotas):
        name = item.name
        if name in {"edition", "source", "stated", "hyperparameters_count_categorical_values"}:
            continue
        if name in {INSTANCES, SPOT_INSTANCES}:
            types: dict[str, int] = {}
            for quotas in found:
                for instance_type, number in getattr(quotas, name).items():
                    types[instance_type] = max(number, types.get(instance_type, 0))
            merged[name] = types
            continue
        values = [getattr(quotas, name) for quotas in found if name in quotas.stated]
        values = values or [getattr(quotas, name) for quotas in found]
        merged[name] = None if None in values else max(values)
    return replace(found[0], **merged, stated=frozenset().union(*(quotas.stated for quotas in found)))


class _Keyed:
    """Quotas by identity: thousands of jobs share a few."""

    def __init__(self, quotas: Quotas) -> None:
        self.quotas = quotas

    def __hash__(self) -> int:
        return id(self.quotas)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Keyed) and other.quotas is self.quotas


_NO_PRICES = Prices(currency="")


def _together(
    jobs: Sequence[JobNeeds], quota: str, title: str, needs: Sequence[int], *, pool: Pool | None = None
) -> list[Requirement]:
    """What is needed of a quota of the account; nothing where no job needs any."""
    shares = [
        Share(index, job.label, needed) for index, (job, needed) in enumerate(zip(jobs, needs, strict=True)) if needed
    ]
    in_turn: dict[str, Share] = {}
    counted = []
    for share in shares:
        turn = jobs[share.job].turn
        if turn is None:
            counted.append(share)
        elif turn not in in_turn or in_turn[turn].needed < share.needed:
            in_turn[turn] = share
    counted = sorted([*counted, *in_turn.values()], key=_largest_first)
    if not counted:
        return []
    quotas = shared_quotas(job.quotas for job in jobs)
    allowed = getattr(quotas, quota)
    if pool is not None:
        allowed = allowed.get(pool.instance_type, quotas.instances_per_type)
    instance_type = pool.instance_type if pool else None
    return [
        Requirement(
            quota=quota,
            title=title,
            needed=sum(share.needed for share in counted),
            allowed=allowed,
            shares=tuple(counted),
            service_quota=service_quota(quota, instance_type),
            instance_type=instance_type,
        )
    ]


def _of_each(
    jobs: Sequence[JobNeeds],
    quota: str,
    title: str,
    need: Callable[[JobNeeds], int | None],
    *,
    allowed: Callable[[JobNeeds], int | None] | None = None,
    known_as: str | None = None,
) -> list[Requirement]:
    """What is needed of a quota that each tuning job has for itself: that of the job furthest above its own."""
    needs = [
        (Share(index, job.label, needed), allowed(job) if allowed else getattr(job.quotas, quota))
        for index, job in enumerate(jobs)
        if (needed := need(job)) is not None
    ]
    if not needs:
        return []
    above = [(share, most) for share, most in needs if most is not None and share.needed > most]
    furthest: tuple[Share, int | None] = (
        max(above, key=_excess) if above else max(needs, key=lambda entry: entry[0].needed)
    )
    worst, quota_of_worst = furthest
    return [
        Requirement(
            quota=quota,
            title=title,
            needed=worst.needed,
            allowed=quota_of_worst,
            shares=tuple(sorted((share for share, _ in above), key=_largest_first)) or (worst,),
            service_quota=service_quota(known_as or quota),
            adds_up=False,
        )
    ]


def _excess(entry: tuple[Share, int]) -> int:
    return entry[0].needed - entry[1]


def _largest_first(share: Share) -> tuple[int, int]:
    return (-share.needed, share.job)


def _largest_cluster(job: JobNeeds, *, spot: bool) -> int | None:
    largest = max((cluster.size for cluster in job.clusters if cluster.spot is spot), default=0)
    return largest if largest > 1 else None


def _longest_training_job(job: JobNeeds) -> int | None:
    return max((cluster.max_runtime_in_seconds or 0 for cluster in job.clusters), default=0) or None


def _envelope_dict(part: Envelope) -> dict[str, Any]:
    return {
        "job": part.job,
        "instance_hours": part.instance_hours,
        "spot": part.spot,
        "spot_instance_hours": part.spot_instance_hours,
        "cost": part.cost,
        "unpriced": list(part.unpriced),
    }
