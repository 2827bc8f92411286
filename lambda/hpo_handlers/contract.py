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
    POLICY = "Policy"
    OVERLAP = "Overlap"
    TURN = "Turn"
    REASON = "Reason"
    STARTED_AT = "StartedAt"
    STATE_MACHINE_ARN = "StateMachineArn"
    # A list of what runs where: each with a state machine's ARN and the declared names of its tuning jobs.
    TUNING_JOBS = "TuningJobs"
    DECLARED_NAMES = "DeclaredNames"
    FOUND_ALL = "FoundAll"
    EVENT = "Event"


class Overlap(StrEnum):
    """What a run does while another one of the same job has not ended."""

    QUEUE = "queue"
    SKIP = "skip"
    ALLOW = "allow"


class Turn(StrEnum):
    """Whether an execution may create its tuning job."""

    NOW = "Now"
    LATER = "Later"
    NEVER = "Never"


class OnStopped(StrEnum):
    """What becomes of a tuning job that was stopped before it completed."""

    FAIL = "fail"
    ACCEPT_BEST = "accept_best"


class Rule(StrEnum):
    """Members of the publishing policy, as the state machine passes it to the function that publishes.

    The function that polls gets ``STOP_AT_INSTANCE_HOURS``, too: it stops the tuning job that has used so many.
    """

    ON_STOPPED = "on_stopped"
    MIN_COMPLETED_TRAINING_JOBS = "min_completed_training_jobs"
    REQUIRED_OBJECTIVE_VALUE = "required_objective_value"
    REPLACE_BEST_BY = "replace_best_by"
    STOP_AT_INSTANCE_HOURS = "stop_at_instance_hours"


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
    TOO_FEW = "TooFewTrainingJobsCompleted"
    NOT_GOOD_ENOUGH = "ObjectiveValueNotReached"
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

# Beside the outputs: the ARN of the latest execution that asked for its turn. Its versions are the queue of the runs.
QUEUE: Final = "latest-execution"


class Fact(StrEnum):
    """Further members of the document ``best``, without a parameter of their own."""

    OBJECTIVE_TYPE = "objective-type"
    COMPLETION_DETAILS = "completion-details"
    CONSUMED_SECONDS = "consumed-seconds"
    TRAINING_JOBS = "training-jobs"
    OBJECTIVES = "objectives"
    OVERALL_BEST = "overall-best"
    PUBLISHED = "published"
    # Why a tuning job was stopped before it completed and its best training job is published all the same.
    STOPPED_BY = "stopped-by"


class RunProperty(StrEnum):
    """Properties of the custom resource that runs a tuning job at deployment.

    ``REFERENCES`` are the values in the declaration that only the deployment knows: a change of one of them is a
    change of the declaration.
    """

    STATE_MACHINE_ARN = "StateMachineArn"
    DECLARED_NAME = "DeclaredName"
    DECLARATION = "DeclarationHash"
    REFERENCES = "References"
    RUN_ID = "RunId"
    OUTPUT_PREFIX = "OutputPrefix"
    WAITER_ARN = "WaiterArn"


# Attributes of the custom resource that runs a tuning job, and the facts that they hold.
RUN_ATTRIBUTES: Final = {
    "BestTrainingJobName": Output.BEST_TRAINING_JOB_NAME,
    "ObjectiveMetricName": Output.OBJECTIVE_METRIC_NAME,
    "ObjectiveMetricValue": Output.OBJECTIVE_METRIC_VALUE,
    "Hyperparameters": Output.HYPERPARAMETERS,
    "ModelArtifacts": Output.MODEL_ARTIFACTS,
    "TrainingImage": Output.TRAINING_IMAGE,
    "TrainingJobDefinitionName": Output.TRAINING_JOB_DEFINITION_NAME,
    "TuningJobName": Output.TUNING_JOB_NAME,
    "TuningJobStatus": Output.TUNING_JOB_STATUS,
}
EXECUTION_ATTRIBUTE: Final = "ExecutionArn"

# A custom resource has an hour; its answer must be sent before that.
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html
CUSTOM_RESOURCE_SECONDS: Final = 3600
DEPLOY_WAIT_SECONDS: Final = CUSTOM_RESOURCE_SECONDS - 300

# Executions of a deployment are told by their name; they are never skipped.
DEPLOYMENT_RUN: Final = "deployment-"


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
_SHARE_OF_AGE: Final = 0.03
_WAIT_FOR_FIRST: Final = 40
_YOUNG: Final = 600


def wait_seconds(age_seconds: float, *, end_is_far: bool = False) -> int:
    """Seconds to wait before a tuning job of this age is described again.

    Grows from 3 seconds; never more than 15 seconds or 3 % of the age, whichever is longer, nor than 3 hours.

    Args:
        age_seconds: The tuning job's age in seconds.
        end_is_far: Whether the tuning job has all its training jobs before it, and more than run at once, so that it
            can only fail soon. In its first 10 minutes it then waits 40 seconds: a run of a day whose first training
            job takes 5 minutes or longer has fewer than 200 polls.
    """
    age = max(0.0, age_seconds)
    early = min(_LONGEST_EARLY_WAIT, _FIRST_WAIT + age / 10)
    if end_is_far and age < _YOUNG:
        early = _WAIT_FOR_FIRST
    return int(min(_LONGEST_WAIT, max(early, _SHARE_OF_AGE * age)))
