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
    BEST = auto()  # the parameter of these that holds the best training job's facts
    QUEUE = auto()  # the parameter beside them in which runs take turns
    STATE_MACHINES = auto()  # the state machines that run the tuning jobs
    EXECUTIONS = auto()  # their executions
    DEPLOYED_STATE_MACHINES = auto()  # those of them that a deployment starts, and the one that waits for them
    DEPLOYED_EXECUTIONS = auto()  # their executions


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
        # A tuning job whose execution ended while it was being created is stopped at once.
        Permission(
            Target.TUNING_JOBS,
            (
                "sagemaker:AddTags",
                "sagemaker:CreateHyperParameterTuningJob",
                "sagemaker:DescribeHyperParameterTuningJob",
                "sagemaker:StopHyperParameterTuningJob",
            ),
        ),
        Permission(Target.TRAINING_ROLES, ("iam:PassRole",)),
        Permission(Target.EXECUTIONS, ("states:DescribeExecution",)),
        Permission(Target.QUEUE, ("ssm:GetParameterHistory", "ssm:PutParameter")),
    ),
)
POLL = Function(
    "Poll",
    "hpo_handlers.poll.handler",
    "Describes a running hyperparameter tuning job, and stops it when its budget is used up",
    (
        Permission(
            Target.TUNING_JOBS,
            (
                "sagemaker:DescribeHyperParameterTuningJob",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
                "sagemaker:StopHyperParameterTuningJob",
            ),
        ),
    ),
)
PUBLISH = Function(
    "Publish",
    "hpo_handlers.publish.handler",
    "Publishes the best training job of a hyperparameter tuning job to SSM parameters",
    (
        Permission(
            Target.TUNING_JOBS,
            ("sagemaker:DescribeHyperParameterTuningJob", "sagemaker:ListTrainingJobsForHyperParameterTuningJob"),
        ),
        Permission(Target.TRAINING_JOBS, ("sagemaker:DescribeTrainingJob",)),
        Permission(Target.OUTPUTS, ("ssm:PutParameter",)),
        Permission(Target.BEST, ("ssm:GetParameter",)),
    ),
)
_STOPPING = Permission(
    Target.TUNING_JOBS,
    ("sagemaker:DescribeHyperParameterTuningJob", "sagemaker:StopHyperParameterTuningJob"),
)
STOP = Function(
    "Stop",
    "hpo_handlers.stop.handler",
    "Stops the hyperparameter tuning job of an execution that cannot go on",
    (_STOPPING,),
)
CLEAN_UP = Function(
    "CleanUp",
    "hpo_handlers.cleanup.handler",
    "Stops what runs when the stack of hyperparameter tuning jobs is deleted",
    (
        _STOPPING,
        Permission(Target.STATE_MACHINES, ("states:ListExecutions",)),
        Permission(Target.EXECUTIONS, ("states:StopExecution",)),
    ),
)
DEPLOY = Function(
    "Deploy",
    "hpo_handlers.deploy.handler",
    "Runs hyperparameter tuning jobs at deployment",
    (
        _STOPPING,
        Permission(Target.DEPLOYED_STATE_MACHINES, ("states:StartExecution",)),
        Permission(Target.DEPLOYED_EXECUTIONS, ("states:DescribeExecution", "states:StopExecution")),
        Permission(Target.BEST, ("ssm:GetParameter",)),
    ),
)

# What every stack with a tuning job has; `DEPLOY` comes with the first run at deployment.
FUNCTIONS = (CREATE, POLL, PUBLISH, STOP, CLEAN_UP)
