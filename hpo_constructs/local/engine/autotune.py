"""Autotune: what the service would choose for a tuning job, chosen here.

The service does not publish how it chooses. Here:

- A hyperparameter of ``AutoParameters`` gets the range that the developer guide recommends when the training image is
  a built-in algorithm's, widened to its example value where need be. Any other one with a number as its example gets
  a range around it: from a tenth to ten times the value, capped at 1 for an example within 0 and 1; a whole number
  makes an integer range. One whose example is no number is not searched: it is given the example itself.
- Without any range and any ``AutoParameters``, a built-in algorithm is searched over everything that the guide calls
  tunable and that has no static value.
- What the request leaves open of the rest is set: ten training jobs for each searched hyperparameter within 20 and
  100, and no more than there are combinations, early stopping Auto where the strategy allows it, three retries, and
  the end on convergence.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Autotune.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_AutoParameter.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ...catalog import Algorithm, TunableHyperparameter, builtin, recognise
from .searcher import combinations, read_ranges

_TRAINING_JOBS_FOR_EACH = 10
_LEAST_TRAINING_JOBS, _MOST_TRAINING_JOBS = 20, 100
_RETRIES = 3
_SPREAD = 10.0
_LISTS = {
    "Continuous": "ContinuousParameterRanges",
    "Integer": "IntegerParameterRanges",
    "Categorical": "CategoricalParameterRanges",
}


def built_in_algorithm(definition: Mapping[str, Any]) -> Algorithm | None:
    """Give the built-in algorithm that a definition's training image has, None for any other image."""
    image = recognise(definition["AlgorithmSpecification"].get("TrainingImage", ""))
    return None if image is None or image.kind != "algorithm" else builtin(image.name)


def autotuned(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give a request as Autotune would have it; one without Autotune is given as it is.

    Raises:
        ValueError: Autotune has nothing to choose ranges from.
    """
    if "Autotune" not in request:
        return request
    config = dict(request["HyperParameterTuningJobConfig"])
    chosen = dict(request)
    searched, possible = 0, 0.0
    if "TrainingJobDefinition" in request:
        definition = request["TrainingJobDefinition"]
        # The single definition may hold the ranges itself.
        own = "HyperParameterRanges" in definition and "ParameterRanges" not in config
        stated = definition["HyperParameterRanges"] if own else config.get("ParameterRanges", {})
        ranges, definition = _choose("TrainingJobDefinition", definition, stated)
        if own:
            definition["HyperParameterRanges"] = ranges
        else:
            config["ParameterRanges"] = ranges
        chosen["TrainingJobDefinition"] = definition
        searched, possible = _count(ranges), combinations(read_ranges(ranges))
    else:
        definitions = []
        for index, stated_definition in enumerate(request.get("TrainingJobDefinitions", ())):
            stated = stated_definition.get("HyperParameterRanges", {})
            ranges, definition = _choose(f"TrainingJobDefinitions[{index}]", stated_definition, stated)
            definitions.append({**definition, "HyperParameterRanges": ranges})
            searched = max(searched, _count(ranges))
            possible += combinations(read_ranges(ranges))
        chosen["TrainingJobDefinitions"] = definitions
    limits = dict(config["ResourceLimits"])
    if "MaxNumberOfTrainingJobs" not in limits and config["Strategy"] != "Grid":
        wanted = min(_MOST_TRAINING_JOBS, max(_LEAST_TRAINING_JOBS, _TRAINING_JOBS_FOR_EACH * searched))
        limits["MaxNumberOfTrainingJobs"] = int(min(possible, max(wanted, limits["MaxParallelTrainingJobs"])))
    config["ResourceLimits"] = limits
    if config["Strategy"] != "Hyperband" and "TrainingJobDefinition" in request:
        config.setdefault("TrainingJobEarlyStoppingType", "Auto")
    criteria = dict(config.get("TuningJobCompletionCriteria", {}))
    criteria.setdefault("ConvergenceDetected", {"CompleteOnConvergence": "Enabled"})
    config["TuningJobCompletionCriteria"] = criteria
    chosen["HyperParameterTuningJobConfig"] = config
    return chosen


def _choose(
    path: str, definition: Mapping[str, Any], stated: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose the ranges of a definition; what is not eligible becomes static in the definition."""
    algorithm = built_in_algorithm(definition)
    static = dict(definition.get("StaticHyperParameters", {}))
    ranges: dict[str, list[Any]] = {kind: list(stated.get(kind, ())) for kind in _LISTS.values()}
    hints = {auto["Name"]: auto["ValueHint"] for auto in stated.get("AutoParameters", ())}
    names = {one["Name"] for kind in ranges.values() for one in kind}
    for name, hint in hints.items():
        # A description shows what was not eligible as static.
        if name in names or static.get(name, hint) != hint:
            raise ValueError(f"a hyperparameter must be searched or static and once only, got {name!r} twice in {path}")
    if not hints and not names:
        if algorithm is None or not algorithm.tunable:
            raise ValueError(
                f"{path} must have parameter ranges or AutoParameters: Autotune knows the hyperparameters of built-in "
                "algorithms only"
            )
        for name, tunable in algorithm.tunable.items():
            if name not in static:
                _add(ranges, _recommended(tunable, None))
    for name, hint in hints.items():
        known = None if algorithm is None else algorithm.tunable.get(name)
        found = _around(name, hint) if known is None else _recommended(known, hint)
        if found is None:
            static[name] = hint
        else:
            _add(ranges, found)
    retries = definition.get("RetryStrategy", {"MaximumRetryAttempts": _RETRIES})
    return (
        {kind: found for kind, found in ranges.items() if found},
        {**definition, "StaticHyperParameters": static, "RetryStrategy": retries},
    )


def _add(ranges: dict[str, list[Any]], found: tuple[str, dict[str, Any]] | None) -> None:
    if found is not None:
        ranges[_LISTS[found[0]]].append(found[1])


def _recommended(tunable: TunableHyperparameter, hint: str | None) -> tuple[str, dict[str, Any]] | None:
    """Give the guide's range, with the example value in it; None when it has but one value."""
    if tunable.type == "Categorical":
        values = [*tunable.values, *([hint] if hint is not None and hint not in tunable.values else [])]
        return ("Categorical", {"Name": tunable.name, "Values": values}) if values else None
    low, high = tunable.min, tunable.max
    value = None if hint is None else _number(hint)
    if low is None or high is None:
        return None if hint is None else _around(tunable.name, hint)
    if hint is not None and value is None:
        return None
    if value is not None and (tunable.type == "Continuous" or value.is_integer()):
        low, high = min(low, value), max(high, value)
    return _range(tunable.type, tunable.name, low, high, tunable.scaling or "Auto")


def _around(name: str, hint: str) -> tuple[str, dict[str, Any]] | None:
    """Give a range around an example value; None when it is no number."""
    value = _number(hint)
    if value is None:
        return None
    whole = value.is_integer() and not any(sign in hint for sign in ".eE")
    if value == 0:
        return _range("Integer" if whole else "Continuous", name, 0, _SPREAD if whole else 1, "Linear")
    near, far = abs(value) / _SPREAD, abs(value) * _SPREAD
    if whole:
        near = max(1.0, math.floor(near))
    elif abs(value) < 1:
        far = min(1.0, far)
    low, high = (near, far) if value > 0 else (-far, -near)
    return _range("Integer" if whole else "Continuous", name, low, high, "Logarithmic" if value > 0 else "Linear")


def _range(kind: str, name: str, low: float, high: float, scaling: str) -> tuple[str, dict[str, Any]]:
    bounds = (str(int(low)), str(int(high))) if kind == "Integer" else (repr(float(low)), repr(float(high)))
    return kind, {"Name": name, "MinValue": bounds[0], "MaxValue": bounds[1], "ScalingType": scaling}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _count(ranges: Mapping[str, Any]) -> int:
    return sum(len(found) for found in ranges.values())
