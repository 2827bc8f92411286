"""What the tuning jobs of a stack share: the Lambda functions, their log group and the state machines' role."""

from atexit import register
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from tempfile import mkdtemp
from typing import Final

import hpo_handlers
from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from ..workflow import FUNCTIONS, Function, Target
from .training_role import SAGEMAKER

_ID: Final = "HpoRuntime"


class TuningRuntime(Construct):
    """The shared part of a stack; `TuningRuntime.of` makes it with the first tuning job.

    Attributes:
        functions: The Lambda functions by id.
        state_machine_role: Role of the state machines: it may invoke the functions, and nothing else.
    """

    functions: dict[str, lambda_.Function]
    state_machine_role: iam.IRole

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, _ID)
        self._roles: dict[str, iam.Role] = {}
        self._statements: dict[tuple[str, Target], iam.PolicyStatement] = {}
        self._logs = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        self.functions = {function.id: self._function(function) for function in FUNCTIONS}
        self.state_machine_role = self._state_machine_role()

    @staticmethod
    def of(scope: Construct) -> "TuningRuntime":
        """The stack's shared part, made when there is none yet."""
        stack = Stack.of(scope)
        found = stack.node.try_find_child(_ID)
        return found if isinstance(found, TuningRuntime) else TuningRuntime(stack)

    def allow(self, target: Target, resources: Sequence[str]) -> None:
        """Lets every function that calls actions on such targets call them on these resources."""
        for function in FUNCTIONS:
            for permission in function.permissions:
                if permission.target is target and resources:
                    self._statement(function, target, permission.actions).add_resources(*resources)

    def _statement(self, function: Function, target: Target, actions: Sequence[str]) -> iam.PolicyStatement:
        """The function's one statement on a target, which grows with every tuning job."""
        if (function.id, target) not in self._statements:
            conditions = (
                {"StringEquals": {"iam:PassedToService": SAGEMAKER}} if target is Target.TRAINING_ROLES else None
            )
            statement = iam.PolicyStatement(actions=list(actions), conditions=conditions)
            self._roles[function.id].add_to_principal_policy(statement)
            self._statements[function.id, target] = statement
        return self._statements[function.id, target]

    def _function(self, function: Function) -> lambda_.Function:
        # A role of its own, because the one that the CDK makes may write to any log group.
        role = iam.Role(
            self,
            f"{function.id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=function.description,
        )
        self._logs.grant_write(role)
        self._roles[function.id] = role
        return lambda_.Function(
            self,
            function.id,
            description=function.description,
            code=lambda_.Code.from_asset(str(_asset_folder())),
            handler=function.handler,
            runtime=lambda_.Runtime.PYTHON_3_14,
            architecture=lambda_.Architecture.ARM_64,
            memory_size=256,
            # Three attempts of each call at their own time-outs.
            timeout=Duration.minutes(3),
            role=self._referred(role),
            log_group=self._logs,
            logging_format=lambda_.LoggingFormat.JSON,
        )

    def _state_machine_role(self) -> iam.IRole:
        invoke = iam.PolicyStatement(
            actions=["lambda:InvokeFunction"],
            resources=[function.function_arn for function in self.functions.values()],
        )
        # It is complete, and nothing adds to it: what one state machine needed would widen it for all.
        role = iam.Role(
            self,
            "StateMachineRole",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="State machines of tuning jobs",
            inline_policies={"Functions": iam.PolicyDocument(statements=[invoke])},
        )
        return self._referred(role)

    def _referred(self, role: iam.Role) -> iam.IRole:
        """The role by its ARN, which orders the resources; the CDK would name a dependency beside it."""
        return iam.Role.from_role_arn(self, f"{role.node.id}Reference", role.role_arn, mutable=False)


@cache
def _asset_folder() -> Path:
    """A folder with the handlers' package alone, so that what lies beside it and compiled files change no hash."""
    folder = Path(mkdtemp(prefix="hpo-handlers-"))
    register(rmtree, folder, ignore_errors=True)
    package = Path(hpo_handlers.__path__[0])
    copytree(package, folder / package.name, ignore=ignore_patterns("__pycache__", "*.pyc"))
    return folder
