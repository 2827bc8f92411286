"""The constructs. This is the only folder that imports aws_cdk.

Names load on first use: each part of the CDK takes its time to import, and few apps use all of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo_handlers.metrics import Metric as TuningMetric

    from .fragment import TuningFragment
    from .network import vpc_config
    from .observability import TuningAlarms, TuningDashboard, TuningNotifications, tuning_metric
    from .tuning_job import TuningJob

__all__ = [
    "TuningAlarms",
    "TuningDashboard",
    "TuningFragment",
    "TuningJob",
    "TuningMetric",
    "TuningNotifications",
    "tuning_metric",
    "vpc_config",
]

_HOME = {
    "TuningAlarms": (".observability", "TuningAlarms"),
    "TuningDashboard": (".observability", "TuningDashboard"),
    "TuningFragment": (".fragment", "TuningFragment"),
    "TuningJob": (".tuning_job", "TuningJob"),
    "TuningMetric": ("hpo_handlers.metrics", "Metric"),
    "TuningNotifications": (".observability", "TuningNotifications"),
    "tuning_metric": (".observability", "tuning_metric"),
    "vpc_config": (".network", "vpc_config"),
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOME[name]
    return getattr(import_module(module, __name__), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
