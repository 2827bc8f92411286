"""What a tuning job is: frozen models in SageMaker's words.

The models are made by pydantic and load on first use: a check of a file works on the request document and needs
none of them.
"""

from importlib import import_module
from typing import Any

_MODULES = {
    "model": (
        "AlgorithmSpecification",
        "Autotune",
        "BestObjectiveNotImproving",
        "Channel",
        "CheckpointConfig",
        "ConvergenceDetected",
        "DataSource",
        "DatasetSource",
        "FileSystemDataSource",
        "HubAccessConfig",
        "HyperbandStrategyConfig",
        "HyperparameterTuningResourceConfig",
        "InstanceConfig",
        "InstanceGroup",
        "InstancePlacementConfig",
        "InstancePreference",
        "MetricDefinition",
        "ModelAccessConfig",
        "Objective",
        "OutputDataConfig",
        "ParentHyperparameterTuningJob",
        "PlacementSpecification",
        "ResourceConfig",
        "ResourceLimits",
        "RetryStrategy",
        "S3DataSource",
        "ShuffleConfig",
        "StoppingCondition",
        "StrategyConfig",
        "Tag",
        "TrainingJobDefinition",
        "TuningJobCompletionCriteria",
        "TuningJobSpec",
        "VpcConfig",
        "WarmStartConfig",
    ),
    "ranges": (
        "AutoParameter",
        "CategoricalParameter",
        "CategoricalParameterRange",
        "ContinuousParameter",
        "ContinuousParameterRange",
        "HyperparameterRanges",
        "IntegerParameter",
        "IntegerParameterRange",
    ),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
