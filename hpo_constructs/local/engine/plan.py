"""A tuning job as the engine sees it, read out of the CreateHyperParameterTuningJob request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .autotune import autotuned, built_in_algorithm
from .searcher import (
    CategoricalRange,
    Experience,
    GridSearcher,
    OptunaSearcher,
    Range,
    Searcher,
    combinations,
    read_ranges,
)
from .stopping import HyperbandRule, MedianRule, StoppingRule

IDENTICAL = "IdenticalDataAndAlgorithm"
"""The type of warm start whose parents' results count like the tuning job's own."""

EPOCH_NAMES = ("epochs", "numepochs", "n-epochs", "n_epochs", "num_epochs")
"""The static hyperparameters from which the service infers Hyperband's MaxResource."""

_SEEDS = 2**32
_WARMUP = 10
_MOST_RESOURCE = 20_000
_MOST_EARLY_STOPPING_WARMUP = 10
# The guide's page on several algorithms names it as iterative, its own page as not.
_ITERATIVE_BY_GUIDE = ("randomcutforest",)


@dataclass(frozen=True)
class Definition:
    """One training job definition.

    Attributes:
        name: ``DefinitionName``; None where the only definition has none.
        request: the definition in the request's form.
        maximize: whether more of the objective metric is better.
        metric_name: the objective metric.
        ranges: what is searched.
        max_runtime_seconds: the longest that one of its training jobs may run, all its attempts together.
        retries: how often a training job is tried again after an internal error.
        resource: Hyperband's least and most epochs; None with another strategy.
        epoch_names: the hyperparameters that say how many epochs a training job makes.
    """

    name: str | None
    request: Mapping[str, Any]
    maximize: bool
    metric_name: str
    ranges: tuple[Range, ...]
    max_runtime_seconds: int
    retries: int = 0
    resource: tuple[int, int] | None = None
    epoch_names: tuple[str, ...] = EPOCH_NAMES

    def better(self, value: float, than: float) -> bool:
        """Tell whether a value of the objective metric is better than another one."""
        return value > than if self.maximize else value < than

    def epochs(self, hyperparameters: Mapping[str, str]) -> int | None:
        """Give the epochs that a training job makes by its hyperparameters; None when they do not say."""
        found = (_whole(hyperparameters[name]) for name in self.epoch_names if name in hyperparameters)
        return next((number for number in found if number is not None), None)


@dataclass(frozen=True)
class WarmStart:
    """``WarmStartConfig``: the type of the warm start and the names of the parent tuning jobs."""

    kind: str
    parents: tuple[str, ...]


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
    early_stopping: bool = False
    complete_on_convergence: bool = False
    warm_start: WarmStart | None = None

    def searchers(self, seed: int, experience: Experience | None = None) -> tuple[Searcher, ...]:
        """Make one searcher per definition.

        Args:
            seed: the same seed gives the same proposals.
            experience: what the parents of a warm start tell.
        """
        if self.strategy == "Grid":
            return tuple(GridSearcher(definition.ranges) for definition in self.definitions)
        warmup = warmup_of(self.max_training_jobs / len(self.definitions))
        return tuple(
            OptunaSearcher(
                definition.ranges,
                # Hyperband chooses at random, and what to train on by its brackets.
                strategy="Bayesian" if self.strategy == "Bayesian" else "Random",
                maximize=definition.maximize,
                seed=(seed + index) % _SEEDS,
                warmup=warmup,
                experience=experience,
            )
            for index, definition in enumerate(self.definitions)
        )

    def stopping_rules(self) -> tuple[StoppingRule | None, ...]:
        """Make one rule per definition that ends training jobs early; None where none is to end early."""
        rules: list[StoppingRule | None] = []
        for definition in self.definitions:
            if definition.resource is not None:
                least, most = definition.resource
                rules.append(HyperbandRule(min_resource=least, max_resource=most, maximize=definition.maximize))
            elif self.early_stopping:
                # Of a small budget a quarter is enough to compare with.
                warmup = max(2, int(min(_MOST_EARLY_STOPPING_WARMUP, self.max_training_jobs / 4)))
                rules.append(MedianRule(maximize=definition.maximize, warmup=warmup))
            else:
                rules.append(None)
        return tuple(rules)


def warmup_of(budget: float) -> int:
    """Give the number of random proposals of a Bayesian search; a small budget leaves the model some to choose."""
    return max(2, int(min(_WARMUP, budget / 3)))


def read_plan(request: Mapping[str, Any]) -> Plan:
    """Read a request whose shape is already known to be right.

    A request with Autotune is read as Autotune would have it.

    Raises:
        ValueError: the request contradicts itself, or the service would refuse it. The message names the field in the
            request's spelling.
    """
    request = autotuned(request)
    config = request["HyperParameterTuningJobConfig"]
    strategy = config["Strategy"]
    definitions = read_definitions(request)
    limits = config["ResourceLimits"]
    criteria = config.get("TuningJobCompletionCriteria", {})
    budget = limits.get("MaxNumberOfTrainingJobs", math.inf)
    target = criteria.get("TargetObjectiveMetricValue")
    patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    converge = criteria.get("ConvergenceDetected", {}).get("CompleteOnConvergence") == "Enabled"
    if strategy == "Grid":
        budget = _grid_budget(definitions, budget)
    elif math.isinf(budget):
        if limits.get("MaxRuntimeInSeconds") is None and target is None and patience is None and not converge:
            raise ValueError(
                "HyperParameterTuningJobConfig.ResourceLimits.MaxNumberOfTrainingJobs must be given, or "
                "MaxRuntimeInSeconds or a completion criterion in its place; the tuning job would never end"
            )
    else:
        total = sum(combinations(definition.ranges) for definition in definitions)
        if total < budget:
            raise ValueError(
                "You don't have enough combinations of hyperparameter ranges. The total number of hyperparameter "
                f"combinations for the provided ranges [{total:.1f}] must be equal or greater than the value of "
                f"MaxNumberOfTrainingJobs, [{budget}]. Provide additional ranges."
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
        early_stopping=_read_early_stopping(config, definitions),
        complete_on_convergence=converge,
        warm_start=_read_warm_start(request, definitions),
    )


def _read_early_stopping(config: Mapping[str, Any], definitions: Sequence[Definition]) -> bool:
    if config.get("TrainingJobEarlyStoppingType") != "Auto":
        return False
    if config["Strategy"] == "Hyperband":
        raise ValueError(
            "HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType must be Off with the strategy Hyperband, which "
            "stops training jobs itself, got Auto"
        )
    if len(definitions) > 1:
        raise ValueError(
            "HyperParameterTuningJobConfig.TrainingJobEarlyStoppingType must be Off with several "
            f"TrainingJobDefinitions, got Auto with {len(definitions)}"
        )
    return True


def _read_warm_start(request: Mapping[str, Any], definitions: Sequence[Definition]) -> WarmStart | None:
    if "WarmStartConfig" not in request:
        return None
    if len(definitions) > 1:
        raise ValueError(
            f"WarmStartConfig must be absent with several TrainingJobDefinitions, got it with {len(definitions)}"
        )
    config = request["WarmStartConfig"]
    parents = tuple(parent["HyperParameterTuningJobName"] for parent in config["ParentHyperParameterTuningJobs"])
    if len(set(parents)) < len(parents) or request["HyperParameterTuningJobName"] in parents:
        raise ValueError(
            "ParentHyperParameterTuningJobs must name other tuning jobs, each once, got " + ", ".join(parents)
        )
    return WarmStart(config["WarmStartType"], parents)


def _read_resource(path: str, config: Mapping[str, Any], definition: Mapping[str, Any]) -> tuple[int, int] | None:
    """Read Hyperband's least and most resource, the latter from the static hyperparameters when it is not given."""
    if config["Strategy"] != "Hyperband":
        if "StrategyConfig" in config:
            raise ValueError(
                "HyperParameterTuningJobConfig.StrategyConfig must be given with the strategy Hyperband only, got it "
                f"with {config['Strategy']}"
            )
        return None
    algorithm = built_in_algorithm(definition)
    if algorithm is not None and algorithm.iterative is False and algorithm.name not in _ITERATIVE_BY_GUIDE:
        raise ValueError(
            f"the strategy Hyperband needs an iterative algorithm, got {algorithm.title} in {path}; search with "
            "Bayesian or Random"
        )
    settings = config.get("StrategyConfig", {}).get("HyperbandStrategyConfig", {})
    least, most = settings.get("MinResource", 1), settings.get("MaxResource")
    if most is None:
        static = definition.get("StaticHyperParameters", {})
        found = (_whole(static[name]) for name in EPOCH_NAMES if name in static)
        most = next((number for number in found if number is not None), None)
    if most is None:
        raise ValueError(
            "MaxResource parameter is not provided and could not be inferred from provided static hyperparameters"
        )
    if not least < most <= _MOST_RESOURCE:
        raise ValueError(
            f"MinResource < MaxResource <= {_MOST_RESOURCE} must hold for the HyperbandStrategyConfig, got "
            f"MinResource={least}, MaxResource={most} for {path}"
        )
    return least, most


def read_definitions(request: Mapping[str, Any]) -> tuple[Definition, ...]:
    """Read the training job definitions of a request or of a description, with Autotune's choices where it is on.

    Raises:
        ValueError: the request contradicts itself.
    """
    request = autotuned(request)
    config = request["HyperParameterTuningJobConfig"]
    single = request.get("TrainingJobDefinition")
    several = request.get("TrainingJobDefinitions")
    if (single is None) == (several is None):
        raise ValueError("exactly one of TrainingJobDefinition, TrainingJobDefinitions must be given")
    if single is not None:
        objective = config.get("HyperParameterTuningJobObjective") or single.get("TuningObjective")
        ranges = config.get("ParameterRanges") or single.get("HyperParameterRanges")
        return (_read_definition("TrainingJobDefinition", single, objective, ranges, config),)
    definitions = tuple(
        _read_definition(
            f"TrainingJobDefinitions[{index}]",
            definition,
            definition.get("TuningObjective"),
            definition.get("HyperParameterRanges"),
            config,
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
    config: Mapping[str, Any],
) -> Definition:
    if objective is None:
        raise ValueError(
            f"the objective of {path} must be given, got neither HyperParameterTuningJobObjective nor TuningObjective"
        )
    if (parameter_ranges or {}).get("AutoParameters"):
        raise ValueError(
            f"AutoParameters of {path} need Autotune with the Mode Enabled, which chooses their ranges, got none"
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
    algorithm = built_in_algorithm(definition)
    return Definition(
        name=definition.get("DefinitionName"),
        request=definition,
        maximize=objective["Type"] == "Maximize",
        metric_name=objective["MetricName"],
        ranges=ranges,
        max_runtime_seconds=definition["StoppingCondition"].get("MaxRuntimeInSeconds", 86_400),
        retries=definition.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0),
        resource=_read_resource(path, config, definition),
        epoch_names=(*EPOCH_NAMES, *(algorithm.resource_hyperparameters if algorithm else ())),
    )


def _whole(text: str) -> int | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return int(number) if number.is_integer() and number >= 1 else None


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
