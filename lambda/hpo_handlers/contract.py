"""What the deployed code and synthesis share: names, keys, statuses and the polling schedule.

The state machine's data uses the API's own member names where the value is the API's.
"""

from enum import StrEnum
from hashlib import sha256
from typing import Final

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
TUNING_JOB_NAME_LENGTH: Final = 32
_RUN_DIGITS: Final = 10
# What the run's hyphen and digits leave of a tuning job's name.
DECLARED_NAME_LENGTH: Final = TUNING_JOB_NAME_LENGTH - _RUN_DIGITS - 1

# A tuning job that names no MaxRuntimeInSeconds ends at the service's quota of 30 days.
# https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
DEFAULT_MAX_RUNTIME_SECONDS: Final = 30 * 24 * 3600
# The largest MaxRuntimeInSeconds that the API's model accepts.
LARGEST_MAX_RUNTIME_SECONDS: Final = 15_768_000


class Key(StrEnum):
    """Members of the state that the state machine passes to the functions and back."""

    REQUEST = "Request"
    EXECUTION_ARN = "ExecutionArn"
    NAME = "HyperParameterTuningJobName"
    DECLARED_NAME = "DeclaredName"
    OUTPUT_PREFIX = "OutputPrefix"
    STATUS = "HyperParameterTuningJobStatus"
    COUNTERS = "TrainingJobStatusCounters"
    WAIT_SECONDS = "WaitSeconds"
    ENDED = "Ended"
    SUCCEEDED = "Succeeded"
    BEST = "Best"
    FAILURE = "Failure"
    ERROR = "Error"
    CAUSE = "Cause"


class TuningJobStatus(StrEnum):
    """HyperParameterTuningJobStatus of DescribeHyperParameterTuningJob."""

    COMPLETED = "Completed"
    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    STOPPED = "Stopped"
    STOPPING = "Stopping"
    DELETING = "Deleting"
    DELETE_FAILED = "DeleteFailed"


# Statuses that a tuning job leaves by itself.
CHANGING_STATUSES: Final = frozenset({TuningJobStatus.IN_PROGRESS, TuningJobStatus.STOPPING, TuningJobStatus.DELETING})


class Failure(StrEnum):
    """Error names with which an execution ends."""

    FAILED = "HyperparameterTuningJobFailed"
    STOPPED = "HyperparameterTuningJobStopped"
    NO_BEST = "NoBestTrainingJob"
    NOT_STOPPED = "HyperparameterTuningJobNotStopped"


class Output(StrEnum):
    """Names of the SSM parameters below a job's output prefix.

    ``best`` holds all facts of the published best training job as one JSON document, written in one call. The
    parameters beside it hold single values. ``tuning-job-name``, ``tuning-job-status`` and ``updated-at`` tell of
    the latest run, whether or not it brought a best training job; the others change only with ``best``.
    """

    BEST = "best"
    BEST_TRAINING_JOB_NAME = "best-training-job-name"
    OBJECTIVE_METRIC_NAME = "objective-metric-name"
    OBJECTIVE_METRIC_VALUE = "objective-metric-value"
    HYPERPARAMETERS = "hyperparameters"
    MODEL_ARTIFACTS = "model-artifacts"
    TRAINING_IMAGE = "training-image"
    TRAINING_JOB_DEFINITION_NAME = "training-job-definition-name"
    TUNING_JOB_NAME = "tuning-job-name"
    TUNING_JOB_STATUS = "tuning-job-status"
    UPDATED_AT = "updated-at"


OUTPUT_NAMES: Final = tuple(str(name) for name in Output)


def tuning_job_name(declared_name: str, execution_arn: str) -> str:
    """Name of the tuning job that an execution creates: the same for every attempt of that execution.

    Args:
        declared_name: the declared tuning job's name, 21 characters at most.
        execution_arn: ARN of the state machine's execution.
    """
    return f"{declared_name}-{sha256(execution_arn.encode()).hexdigest()[:_RUN_DIGITS]}"


# The schedule in seconds. The longest wait keeps a run of any allowed length within a fraction of Step Functions'
# 25,000 history events; the share keeps the delay in seeing the end small against the run.
_FIRST_WAIT: Final = 3
_LONGEST_EARLY_WAIT: Final = 15
_LONGEST_WAIT: Final = 3 * 3600
_SHARE_OF_AGE: Final = 0.035


def wait_seconds(age_seconds: float) -> int:
    """Seconds to wait before a tuning job of this age is described again.

    Grows from 3 seconds; never more than 15 seconds or 3.5 % of the age, whichever is longer, nor than 3 hours.
    A run of one day takes fewer than 200 polls.
    """
    age = max(0.0, age_seconds)
    early = min(_LONGEST_EARLY_WAIT, _FIRST_WAIT + age / 10)
    return int(min(_LONGEST_WAIT, max(early, _SHARE_OF_AGE * age)))
