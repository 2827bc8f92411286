"""The constructs. This is the only folder that imports aws_cdk."""

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
