"""Where a definition with a built-in algorithm begins: what the catalog and `data/starting-points.json` know of it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from ..catalog import Algorithm, BuiltInAlgorithm, Hyperparameter, builtin, builtin_names, instance_type
from ..errors import CatalogError
from .fields import Choice

CPU_INSTANCE, GPU_INSTANCE = "ml.m5.xlarge", "ml.g4dn.xlarge"
_INSTANCES = (
    Choice("ml.m5.large", "2 vCPU, 8 GiB"),
    Choice("ml.m5.xlarge", "4 vCPU, 16 GiB"),
    Choice("ml.m5.2xlarge", "8 vCPU, 32 GiB"),
    Choice("ml.m5.4xlarge", "16 vCPU, 64 GiB"),
    Choice("ml.c5.2xlarge", "8 vCPU, 16 GiB"),
    Choice("ml.r5.2xlarge", "8 vCPU, 64 GiB"),
    Choice("ml.g4dn.xlarge", "1 GPU T4, 4 vCPU, 16 GiB"),
    Choice("ml.g5.xlarge", "1 GPU A10G, 4 vCPU, 16 GiB"),
    Choice("ml.p3.2xlarge", "1 GPU V100, 8 vCPU, 61 GiB"),
)
_CSV = "text/csv"


@dataclass(frozen=True, slots=True)
class Start:
    """What a definition begins with.

    Attributes:
        objective: The objective, or None where the algorithm's metrics are the user's own to define.
        ranges: The searched hyperparameters, as a template has them.
        definition: The training job definition's members that do not wait for the user's data.
    """

    objective: dict[str, Any] | None
    ranges: dict[str, Any]
    definition: dict[str, Any]


@cache
def _points() -> Mapping[str, Mapping[str, Any]]:
    text = resources.files(__package__).joinpath("data/starting-points.json").read_text(encoding="utf-8")
    points: Mapping[str, Mapping[str, Any]] = json.loads(text)["algorithms"]
    return points


def tunable_algorithms() -> tuple[str, ...]:
    """The built-in algorithms that a tuning job can search: those with documented metrics and ranges."""
    found = ((name, builtin(name)) for name in builtin_names())
    return tuple(name for name, facts in found if facts is not None and facts.tunable and facts.objective_metrics)


def start_of(name: str, region: str, version: str | None = None) -> Start:
    """What a definition with a built-in algorithm begins with.

    Args:
        name: The algorithm, as the SageMaker Python SDK names it.
        region: The region whose training image is taken.
        version: The version of the image; the newest without it.

    Raises:
        CatalogError: There is no such algorithm, version or region, or a tuning job cannot search the algorithm.
    """
    chosen = BuiltInAlgorithm(name, version)
    facts = chosen.algorithm
    if name not in tunable_algorithms():
        raise CatalogError(
            f"algorithm {name!r} has no documented metrics or ranges to tune; choose one of "
            f"{', '.join(tunable_algorithms())}"
        )
    point = _points().get(name, {})
    metric = point.get("objective") or next(iter(facts.objective_metrics))
    searched = point.get("search") or list(facts.tunable)
    definition: dict[str, Any] = {}
    if facts.own_image:
        definition["algorithm_specification"] = {"training_image": chosen.image_uri(region)}
    if static := dict(point.get("static", {})):
        definition["static_hyperparameters"] = static
    if channels := channels_for(facts, metric):
        definition["input_data_config"] = channels
    return Start(
        objective={"metric_name": metric, "type": facts.objective_metrics[metric]},
        ranges={item: recommended_range(facts, item) for item in searched},
        definition=definition,
    )


def recommended_range(facts: Algorithm, name: str) -> Any:
    """The guide's recommended range of a hyperparameter, as a template has it."""
    tunable = facts.tunable[name]
    if tunable.type == "Categorical":
        return list(tunable.values)
    entry = {"type": tunable.type, "min_value": _number(tunable.min), "max_value": _number(tunable.max)}
    return {**entry, **({"scaling_type": tunable.scaling} if tunable.scaling else {})}


def channels_for(facts: Algorithm, metric: str) -> dict[str, Any]:
    """The channels that the algorithm needs, and the one that the objective metric is measured on."""
    measured = metric.partition(":")[0]
    needed = [channel.name for channel in facts.channels if channel.required or channel.name == measured]
    return {name: channel_start(facts) for name in needed}


def channel_start(facts: Algorithm) -> dict[str, Any]:
    """What a channel of the algorithm begins with: a content type where the guide leaves no doubt."""
    stated = _points().get(facts.name, {}).get("content_type")
    types = facts.content_types
    content_type = stated or (_CSV if _CSV in types else types[0] if len(types) == 1 else None)
    return {"content_type": content_type} if content_type else {}


def default_instance(facts: Algorithm | None) -> str:
    """A small instance type that the algorithm trains on."""
    return CPU_INSTANCE if facts is None or facts.cpu else GPU_INSTANCE


def instance_choices(facts: Algorithm | None) -> tuple[Choice, ...]:
    """Common instance types that the algorithm trains on."""
    return tuple(choice for choice in _INSTANCES if fits_instance(facts, choice.value))


def fits_instance(facts: Algorithm | None, name: str) -> bool:
    """Whether the algorithm trains on an instance type, as far as is known."""
    found = instance_type(name)
    return facts is None or found is None or (facts.gpu if found.gpu else facts.cpu)


def required_hyperparameters(facts: Algorithm, static: Mapping[str, Any]) -> list[str]:
    """The hyperparameters that the algorithm requires, given the static ones."""
    needed = list(facts.required)
    for item in facts.required_when:
        value = static.get(item.when)
        if value is not None and (not item.values or str(value).strip('"') in item.values):
            needed.append(item.name)
    return list(dict.fromkeys(needed))


def hyperparameter_help(facts: Algorithm, name: str) -> str:
    """What the guide says of a hyperparameter's values, in a few words."""
    known = facts.known.get(name)
    if known is None:
        return ""
    parts = [_allowed(known)]
    if known.default is not None:
        parts.append(f"default {known.default}")
    return "; ".join(part for part in parts if part)


def _allowed(known: Hyperparameter) -> str:
    if known.choices:
        return " or ".join([", ".join(known.choices[:-1]), known.choices[-1]] if known.choices[1:] else known.choices)
    words = {"Integer": "a whole number", "Continuous": "a number"}.get(known.type or "", "")
    low = None if known.min is None else f"{'above' if known.min_exclusive else 'from'} {_number(known.min)}"
    high = None if known.max is None else f"{'below' if known.max_exclusive else 'to'} {_number(known.max)}"
    bounds = " ".join(part for part in (low, high) if part)
    also = f", or {' or '.join(known.also)}" if known.also else ""
    return f"{words} {bounds}{also}".strip() if words else ""


def names_without(known: Iterable[str], taken: Iterable[str]) -> list[str]:
    """Names that are not taken, in their order."""
    left_out = set(taken)
    return [name for name in known if name not in left_out]


def _number(value: float | None) -> int | float | None:
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else value
