"""A tuning job as the engine sees it, read out of the CreateHyperParameterTuningJob request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .searcher import CategoricalRange, GridSearcher, OptunaSearcher, Range, Searcher, combinations, read_ranges

_SEEDS = 2**32
_WARMUP = 10
STRATEGIES = ("Bayesian", "Random", "Grid")
"""The strategies that the local engine searches by."""


@dataclass(frozen=True)
class Definition:
    """One training job definition.

    Attributes:
        name: ``DefinitionName``; None where the only definition has none.
        request: the definition in the request's form.
        maximize: whether more of the objective metric is better.
        metric_name: the objective metric.
        ranges: what is searched.
        max_runtime_seconds: the longest that one of its training jobs may run.
    """

    name: str | None
    request: Mapping[str, Any]
    maximize: bool
    metric_name: str
    ranges: tuple[Range, ...]
    max_runtime_seconds: int

    def better(self, value: float, than: float) -> bool:
        """Tell whether a value of the objective metric is better than another one."""
        return value > than if self.maximize else value < than


@dataclass(frozen=True)
class Plan:
    """A tuning job: what is tried, how often, how long and until when.

    ``max_training_jobs`` is infinite when only time or a completion criterion ends the tuning job.
    """

    name: str
    strategy: str
    definitions: tuple[Definition, ...]
    max_parallel_training_jobs: int
    max_training_jobs: float = math.inf
    max_runtime_seconds: int | None = None
    target_objective_metric_value: float | None = None
    max_training_jobs_not_improving: int | None = None
    random_seed: int | None = None

    def searchers(self, seed: int) -> tuple[Searcher, ...]:
        """Make one searcher per definition."""
        if self.strategy == "Grid":
            return tuple(GridSearcher(definition.ranges) for definition in self.definitions)
        # A small budget leaves the model some training jobs to choose.
        share = self.max_training_jobs / len(self.definitions)
        warmup = max(2, int(min(_WARMUP, share / 3)))
        return tuple(
            OptunaSearcher(
                definition.ranges,
                strategy=self.strategy,
                maximize=definition.maximize,
                seed=(seed + index) % _SEEDS,
                warmup=warmup,
            )
            for index, definition in enumerate(self.definitions)
        )


def read_plan(request: Mapping[str, Any]) -> Plan:
    """Read a request whose shape is already known to be right.

    ``TrainingJobEarlyStoppingType`` and ``ConvergenceDetected`` are accepted and end nothing early here: both leave to
    the service whether it does.

    Raises:
        ValueError: the request contradicts itself or asks for what the local engine does not have. The message names
            the field in the request's spelling.
    """
    config = request["HyperParameterTuningJobConfig"]
    strategy = config["Strategy"]
    if strategy not in STRATEGIES:
        raise ValueError(
            f"HyperParameterTuningJobConfig.Strategy must be one of {', '.join(STRATEGIES)} on the local endpoint, "
            f"got {strategy}; Hyperband runs on SageMaker only"
        )
    for field, needs in (("WarmStartConfig", "parent tuning jobs"), ("Autotune", "the service's choice of ranges")):
        if field in request:
            raise ValueError(f"{field} must be absent on the local endpoint, which has no {needs}; leave it out")
    definitions = _read_definitions(request)
    limits = config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    budget = limits.get("MaxNumberOfTrainingJobs", math.inf)
    target = criteria.get("TargetObjectiveMetricValue")
    patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    if strategy == "Grid":
        budget = _grid_budget(definitions, budget)
    elif math.isinf(budget) and limits.get("MaxRuntimeInSeconds") is None and target is None and patience is None:
        raise ValueError(
            "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs must be given, or "
            "MaxRuntimeInSeconds or a completion criterion in its place; the tuning job would never end"
        )
    if limits["MaxParallelTrainingJobs"] > budget:
        raise ValueError(
            "HyperParameterTuningJobConfig.ResourceLimits.MaxParallelTrainingJobs must be <= "
            f"MaxNumberOfTrainingJobs, got {limits['MaxParallelTrainingJobs']} > {budget:g}"
        )
    return Plan(
        name=request["HyperParameterTuningJobName"],
        strategy=strategy,
        definitions=definitions,
        max_parallel_training_jobs=limits["MaxParallelTrainingJobs"],
        max_training_jobs=budget,
        max_runtime_seconds=limits.get("MaxRuntimeInSeconds"),
        target_objective_metric_value=target,
        max_training_jobs_not_improving=patience,
        random_seed=config.get("RandomSeed"),
    )


def _read_definitions(request: Mapping[str, Any]) -> tuple[Definition, ...]:
    config = request["HyperParameterTuningJobConfig"]
    single = request.get("TrainingJobDefinition")
    several = request.get("TrainingJobDefinitions")
    if (single is None) == (several is None):
        raise ValueError("exactly one of TrainingJobDefinition, TrainingJobDefinitions must be given")
    if single is not None:
        objective = config.get("HyperParameterTuningJobObjective") or single.get("TuningObjective")
        ranges = config.get("ParameterRanges") or single.get("HyperParameterRanges")
        return (_read_definition("TrainingJobDefinition", single, objective, ranges),)
    definitions = tuple(
        _read_definition(
            f"TrainingJobDefinitions[{index}]",
            definition,
            definition.get("TuningObjective"),
            definition.get("HyperParameterRanges"),
        )
        for index, definition in enumerate(several or ())
    )
    names = [definition.name for definition in definitions]
    if None in names or len(set(names)) != len(names):
        raise ValueError(f"each of TrainingJobDefinitions must have a DefinitionName of its own, got {names}")
    if len({definition.maximize for definition in definitions}) > 1:
        raise ValueError(
            "TuningObjective.Type must be the same in all TrainingJobDefinitions, got Maximize and Minimize: their "
            "training jobs are compared with one another"
        )
    return definitions


def _read_definition(
    path: str,
    definition: Mapping[str, Any],
    objective: Mapping[str, Any] | None,
    parameter_ranges: Mapping[str, Any] | None,
) -> Definition:
    if objective is None:
        raise ValueError(
            f"the objective of {path} must be given, got neither HyperParameterTuningJobObjective nor TuningObjective"
        )
    if (parameter_ranges or {}).get("AutoParameters"):
        raise ValueError(
            f"AutoParameters of {path} must be absent on the local endpoint, which does not choose ranges; state them"
        )
    try:
        ranges = read_ranges(parameter_ranges or {})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not ranges:
        raise ValueError(f"{path} must have at least one parameter range, got none")
    names = [searched.name for searched in ranges]
    for name in names:
        if names.count(name) > 1 or name in definition.get("StaticHyperParameters", {}):
            raise ValueError(f"a hyperparameter must be searched or static and once only, got {name!r} twice in {path}")
    return Definition(
        name=definition.get("DefinitionName"),
        request=definition,
        maximize=objective["Type"] == "Maximize",
        metric_name=objective["MetricName"],
        ranges=ranges,
        max_runtime_seconds=definition["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400),
    )


def _grid_budget(definitions: Sequence[Definition], stated: float) -> float:
    for definition in definitions:
        for searched in definition.ranges:
            if not isinstance(searched, CategoricalRange):
                raise ValueError(
                    "with the Grid strategy all ranges must be CategoricalParameterRanges, got the range "
                    f"{searched.name!r}; make it categorical or use another strategy"
                )
    total = sum(combinations(definition.ranges) for definition in definitions)
    if stated not in (total, math.inf):
        raise ValueError(
            "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs must be left out with the Grid "
            f"strategy or equal the number of combinations, got {stated:g}, there are {total:g}"
        )
    return total
