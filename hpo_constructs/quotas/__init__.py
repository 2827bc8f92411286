"""The limits of an account: dated editions, and what an app states of its own.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from ..errors import QuotaError

DEFAULT_EDITION = "developer-guide"

# What an edition may leave open, an app may leave open, too.
_MAY_BE_UNKNOWN = frozenset(
    {
        "instances_per_training_job",
        "instances_per_type",
        "instances_total",
        "random_training_jobs",
        "spot_instances_total",
    }
)


@dataclass(frozen=True, slots=True)
class Quotas:
    """What an account allows in a region.

    Attributes:
        edition: The edition that the values come from where the app states none of its own.
        source: The page of the edition.
        concurrent_tuning_jobs: Tuning jobs at the same time.
        hyperparameters: Hyperparameters that a tuning job searches.
        hyperparameters_count_categorical_values: Whether every value of a categorical one counts as one.
        categorical_values: Values of one categorical hyperparameter.
        metric_definitions: Metrics of a tuning job.
        parallel_training_jobs: Training jobs of a tuning job at the same time.
        training_jobs: Training jobs of a tuning job in all.
        random_training_jobs: Those of a random search, which has a quota of its own; `training_jobs` without it.
        tuning_job_runtime_in_seconds: Longest run of a tuning job.
        training_job_runtime_in_seconds: Longest run of a training job.
        channels: Channels of a training job definition.
        warm_start_parents: Parents of a warm start.
        instances_per_training_job: Instances of one training job; None when it is not known.
        instances_per_type: Training instances of any one type, of spot ones as many again; None when it is not known.
        instances_total: Training instances of all types, without spot ones; None when it is not known.
        spot_instances_total: Spot training instances of all types; None when it is not known.
        instances: Training instances of single types, over `instances_per_type`.
        spot_instances: Spot training instances of single types, over `instances_per_type`.
        stated: The names that the app has stated.
    """

    edition: str
    source: str
    concurrent_tuning_jobs: int
    hyperparameters: int
    hyperparameters_count_categorical_values: bool
    categorical_values: int
    metric_definitions: int
    parallel_training_jobs: int
    training_jobs: int
    tuning_job_runtime_in_seconds: int
    training_job_runtime_in_seconds: int
    channels: int
    warm_start_parents: int
    instances_per_training_job: int | None
    instances_per_type: int | None
    instances_total: int | None
    spot_instances_total: int | None
    instances: Mapping[str, int] = field(default_factory=dict)
    spot_instances: Mapping[str, int] = field(default_factory=dict)
    random_training_jobs: int | None = None
    stated: frozenset[str] = frozenset()

    def training_jobs_of(self, strategy: str | None) -> int:
        """Training jobs of a tuning job with a search strategy."""
        own = self.random_training_jobs if strategy == "Random" else None
        return self.training_jobs if own is None else own

    def as_dict(self) -> dict[str, Any]:
        """The values by name, for printing."""
        return {**asdict(self), "stated": sorted(self.stated)}


@cache
def edition(name: str = DEFAULT_EDITION) -> Quotas:
    """The quotas of an edition.

    Raises:
        QuotaError: There is no such edition.
    """
    known = _editions()
    if name not in known:
        raise QuotaError(f"edition must be one of {', '.join(known)}, got {name!r}")
    return Quotas(edition=name, source=known[name]["source"], **known[name]["values"])


def edition_names() -> tuple[str, ...]:
    """The names of the editions, the default one first."""
    return tuple(_editions())


def state(values: Mapping[str, Any] | str | None, base: Quotas | None = None) -> Quotas:
    """The quotas that an app states: an edition's name, or a mapping of single values with an `edition` beside them.

    This is the form of cdk.json's context `hpo:quotas`, of a `--quotas` file and of the Python argument:
    `{"edition": "aws-2026", "parallel_training_jobs": 100, "instances": {"ml.m5.xlarge": 200}}`.

    Args:
        values: What is stated; None for nothing.
        base: The quotas that hold where nothing is stated; the default edition without it.

    Raises:
        QuotaError: An edition or quota is unknown, or a value is not a whole number of at least 0.
    """
    if values is None:
        return base or edition()
    if isinstance(values, str):
        return edition(values)
    if not isinstance(values, Mapping):
        raise QuotaError(f"quotas must be an edition's name or a mapping of quotas, got {values!r}")
    stated = dict(values)
    under = edition(stated.pop("edition")) if "edition" in stated else base or edition()
    allowed = {item.name: item for item in fields(Quotas) if item.name not in {"edition", "source", "stated"}}
    for name, value in stated.items():
        if name not in allowed:
            close = get_close_matches(str(name), allowed, n=1)
            hint = f"; did you mean {close[0]}?" if close else f"; known: {', '.join(allowed)}"
            raise QuotaError(f"there is no quota {name!r}{hint}")
        _check_value(name, value)
    return replace(under, **stated, stated=under.stated | frozenset(stated))


def _check_value(name: str, value: Any) -> None:
    if name == "hyperparameters_count_categorical_values":
        if not isinstance(value, bool):
            raise QuotaError(f"{name} must be true or false, got {value!r}")
        return
    if name in {"instances", "spot_instances"}:
        if not isinstance(value, Mapping):
            raise QuotaError(f"{name} must be a mapping from instance types to numbers, got {value!r}")
        for instance_type, number in value.items():
            _check_value(f"{name}.{instance_type}", number)
        return
    if value is None and name in _MAY_BE_UNKNOWN:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise QuotaError(f"{name} must be a whole number of at least 0, got {value!r}")


@cache
def _editions() -> dict[str, Any]:
    text = resources.files(__package__).joinpath("data/editions.json").read_text(encoding="utf-8")
    editions: dict[str, Any] = json.loads(text)["editions"]
    return editions
