"""The constructs. This is the only folder that imports aws_cdk."""

from .fragment import TuningFragment
from .tuning_job import TuningJob

__all__ = ["TuningFragment", "TuningJob"]
