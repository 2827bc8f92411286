"""The Lambda functions behind the states, each with the IAM actions that its code calls.

Source of actions and resources: the service authorization reference, "Actions, resources, and condition keys for
Amazon SageMaker AI",
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html
"""

from dataclasses import dataclass
from enum import Enum, auto


class Target(Enum):
    """What a permission is about; the construct knows the ARNs."""

    TUNING_JOBS = auto()  # the tuning jobs of a declared job's executions
    TRAINING_JOBS = auto()  # the training jobs of those tuning jobs
    TRAINING_ROLES = auto()  # the roles that the training jobs assume
    OUTPUTS = auto()  # the SSM parameters below the output prefix


@dataclass(frozen=True, slots=True)
class Permission:
    """Actions that a function calls on a target."""

    target: Target
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Function:
    """A Lambda function.

    Attributes:
        id: Its construct id.
        handler: Its entry point in the asset.
        description: What it does, for the Lambda console.
        permissions: The IAM actions that its code calls.
    """

    id: str
    handler: str
    description: str
    permissions: tuple[Permission, ...]


CREATE = Function(
    "Create",
    "hpo_handlers.create.handler",
    "Creates the hyperparameter tuning job of an execution",
    (
        # A request with tags needs AddTags too.
        Permission(Target.TUNING_JOBS, ("sagemaker:AddTags", "sagemaker:CreateHyperParameterTuningJob")),
        Permission(Target.TRAINING_ROLES, ("iam:PassRole",)),
    ),
)
POLL = Function(
    "Poll",
    "hpo_handlers.poll.handler",
    "Describes a running hyperparameter tuning job",
    (Permission(Target.TUNING_JOBS, ("sagemaker:DescribeHyperParameterTuningJob",)),),
)
PUBLISH = Function(
    "Publish",
    "hpo_handlers.publish.handler",
    "Publishes the best training job of a hyperparameter tuning job to SSM parameters",
    (
        Permission(Target.TUNING_JOBS, ("sagemaker:DescribeHyperParameterTuningJob",)),
        Permission(Target.TRAINING_JOBS, ("sagemaker:DescribeTrainingJob",)),
        Permission(Target.OUTPUTS, ("ssm:PutParameter",)),
    ),
)
STOP = Function(
    "Stop",
    "hpo_handlers.stop.handler",
    "Stops the hyperparameter tuning job of an execution that cannot go on",
    (
        Permission(
            Target.TUNING_JOBS,
            ("sagemaker:DescribeHyperParameterTuningJob", "sagemaker:StopHyperParameterTuningJob"),
        ),
    ),
)

FUNCTIONS = (CREATE, POLL, PUBLISH, STOP)
