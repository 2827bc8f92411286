"""AWS CDK constructs for Amazon SageMaker hyperparameter tuning.

Names load on first use: `check` starts no Node, as `import aws_cdk` would, and loads no AWS client.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import stacks
    from .catalog import BuiltInAlgorithm
    from .cdk import TuningFragment, TuningJob
    from .documents import load
    from .report.results import TuningJobResult
    from .rules import Finding, Severity, check
    from .spec import (
        CategoricalParameter,
        ContinuousParameter,
        IntegerParameter,
        TrainingJobDefinition,
        TuningJobSpec,
    )
    from .spec.run import RunSettings

__all__ = [
    "BuiltInAlgorithm",
    "CategoricalParameter",
    "ContinuousParameter",
    "Finding",
    "IntegerParameter",
    "RunSettings",
    "Severity",
    "TrainingJobDefinition",
    "TuningFragment",
    "TuningJob",
    "TuningJobResult",
    "TuningJobSpec",
    "check",
    "load",
    "stacks",
]

_HOME = {
    "BuiltInAlgorithm": "catalog",
    "CategoricalParameter": "spec",
    "ContinuousParameter": "spec",
    "Finding": "rules",
    "IntegerParameter": "spec",
    "RunSettings": "spec.run",
    "Severity": "rules",
    "TrainingJobDefinition": "spec",
    "TuningFragment": "cdk",
    "TuningJob": "cdk",
    "TuningJobResult": "report.results",
    "TuningJobSpec": "spec",
    "check": "rules",
    "load": "documents",
}


def __getattr__(name: str) -> Any:
    if name == "stacks":
        return import_module(".stacks", __name__)
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOME[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
