"""The worst case of what tuning jobs use: instance-hours, money by a price list, and budgets for both.

The worst case of a run is that every training job runs as long as its stopping condition allows, on the largest of its
definitions' clusters, and that the tuning job runs as long as it may: whichever of the two ends first. Retries after
faults of the service and storage are not counted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import QuotaError

if TYPE_CHECKING:
    from .needs import Cluster, JobNeeds

# A training job whose stopping condition states no time may run one day.
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_StoppingCondition.html
DEFAULT_TRAINING_SECONDS = 24 * 3600
_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Prices:
    """A price list.

    Attributes:
        currency: The currency's code, such as USD.
        instances: The price of an hour of one training instance, by instance type.
        spot_instances: The same for spot instances; a type that is not in it costs what `instances` says.
    """

    currency: str = "USD"
    instances: Mapping[str, float] = field(default_factory=dict)
    spot_instances: Mapping[str, float] = field(default_factory=dict)

    def hour(self, instance_type: str, *, spot: bool) -> float | None:
        """The price of one instance for an hour; None where the list has none."""
        price = self.instances.get(instance_type)
        return self.spot_instances.get(instance_type, price) if spot else price


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be used at most.

    Attributes:
        max_instance_hours: Instance-hours; None for no bound.
        max_cost: Money, by `prices`; None for no bound.
        prices: The price list.
    """

    max_instance_hours: float | None = None
    max_cost: float | None = None
    prices: Prices | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The most that one run of a tuning job uses.

    Attributes:
        job: The job's name.
        instance_hours: Instance-hours; None where the declaration leaves them open.
        spot: Whether they are on spot instances: no, yes or in part.
        spot_instance_hours: How many of them can be on spot instances.
        cost: Their price; None without prices for all of them.
        unpriced: Instance types without a price; empty when no price list is given.
    """

    job: str
    instance_hours: float | None
    spot: str
    spot_instance_hours: float
    cost: float | None
    unpriced: tuple[str, ...]


def envelope(job: "JobNeeds", prices: Prices | None = None) -> Envelope:
    """The worst case of one run of a tuning job."""
    spot = [cluster for cluster in job.clusters if cluster.spot]
    unpriced = dict.fromkeys(
        instance_type or "a type known at deployment only"
        for cluster in job.clusters
        for instance_type, _ in cluster.instances
        if prices is not None and (instance_type is None or prices.hour(instance_type, spot=cluster.spot) is None)
    )
    return Envelope(
        job=job.label,
        instance_hours=_most(job, [(cluster, cluster.size) for cluster in job.clusters]),
        spot=_all_or_part("yes" if cluster.spot else "no" for cluster in job.clusters),
        spot_instance_hours=_most(job, [(cluster, cluster.size) for cluster in spot]) or 0,
        cost=None
        if prices is None or unpriced
        else _most(job, [(cluster, _per_hour(cluster, prices)) for cluster in job.clusters]),
        unpriced=tuple(unpriced),
    )


def total(envelopes: Iterable[Envelope]) -> Envelope:
    """All runs together; a sum is None where one of its parts is."""
    parts = list(envelopes)
    hours, costs = [part.instance_hours for part in parts], [part.cost for part in parts]
    return Envelope(
        job="all",
        instance_hours=_sum(hours),
        spot=_all_or_part(part.spot for part in parts),
        spot_instance_hours=sum(part.spot_instance_hours for part in parts),
        cost=_sum(costs),
        unpriced=tuple(dict.fromkeys(name for part in parts for name in part.unpriced)),
    )


def state_budget(values: Any) -> Budget:
    """The budget that a template or the context `hpo:budget` states.

    `{"max_instance_hours": 200, "max_cost": 50, "prices": {"instances": {"ml.m5.xlarge": 0.23}}}`

    Raises:
        QuotaError: A key is unknown, or a value is not a number of at least 0.
    """
    stated = _mapping(values, "budget", ("max_instance_hours", "max_cost", "prices"))
    prices = stated.get("prices")
    return Budget(
        max_instance_hours=_amount(stated.get("max_instance_hours"), "max_instance_hours of the budget"),
        max_cost=_amount(stated.get("max_cost"), "max_cost of the budget"),
        prices=None if prices is None else read_prices(prices),
    )


def read_prices(values: Any) -> Prices:
    """A price list from plain data.

    `{"currency": "USD", "instances": {"ml.m5.xlarge": 0.23}, "spot_instances": {"ml.m5.xlarge": 0.07}}`

    Raises:
        QuotaError: A key is unknown, or a price is not a number of at least 0.
    """
    stated = _mapping(values, "prices", ("currency", "instances", "spot_instances"))
    currency = stated.get("currency", "USD")
    if not isinstance(currency, str):
        raise QuotaError(f"currency of prices must be a text such as USD, got {currency!r}")
    lists = {}
    for name in ("instances", "spot_instances"):
        entries = stated.get(name) or {}
        if not isinstance(entries, Mapping):
            raise QuotaError(f"{name} of prices must be a mapping from instance types to prices, got {entries!r}")
        lists[name] = {
            str(key): amount
            for key, value in entries.items()
            if (amount := _amount(value, f"price of {key}")) is not None
        }
    return Prices(currency, **lists)


def _most(job: "JobNeeds", rated: "list[tuple[Cluster, float]]") -> float | None:
    """The most that a run uses, given what each cluster uses in an hour; None where nothing bounds it."""
    if not rated:
        return None
    parallel, jobs = job.parallel_training_jobs, job.training_jobs
    seconds = job.quotas.tuning_job_runtime_in_seconds
    if job.max_runtime_in_seconds is not None:
        seconds = min(seconds, job.max_runtime_in_seconds)
    bounds = []
    if jobs is not None:
        longest = (rate * (cluster.max_runtime_in_seconds or DEFAULT_TRAINING_SECONDS) for cluster, rate in rated)
        bounds.append(jobs * max(longest) / _HOUR)
    if parallel is not None:
        bounds.append(parallel * seconds * max(rate for _, rate in rated) / _HOUR)
    return min(bounds, default=None)


def _per_hour(cluster: "Cluster", prices: Prices) -> float:
    return sum(
        count * (prices.hour(instance_type, spot=cluster.spot) or 0)
        for instance_type, count in cluster.instances
        if instance_type is not None
    )


def _all_or_part(answers: Iterable[str]) -> str:
    found = set(answers)
    return found.pop() if len(found) == 1 else "in part" if found else "no"


def _sum(parts: list[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return sum(known) if len(known) == len(parts) else None


def _mapping(values: Any, what: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if values is None:
        return {}
    if not isinstance(values, Mapping):
        raise QuotaError(f"{what} must be a mapping with {', '.join(keys)}, got {values!r}")
    for key in values:
        if key not in keys:
            raise QuotaError(f"{what} has no key {key!r}; allowed: {', '.join(keys)}")
    return values


def _amount(value: Any, what: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise QuotaError(f"{what} must be a number of at least 0, got {value!r}")
    return value
