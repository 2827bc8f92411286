"""What the tuning jobs of a stack share: the Lambda functions, their log group and the state machines' role."""

from atexit import register
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from tempfile import mkdtemp
from typing import Any, Final
from weakref import WeakKeyDictionary

from aws_cdk import CfnOutput, CustomResource, Duration, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

import hpo_handlers
from hpo_handlers.metrics import STACK_VARIABLE

from ..errors import SpecError
from ..workflow import CLEAN_UP, DEPLOY, FUNCTIONS, Function, Target
from .acknowledgements import acknowledge_resources
from .definitions import Definitions
from .guard import RunGuard
from .permissions import GrowingPermissions, allowed_only, service
from .place import Place
from .references import Executions, References, Resource
from .tracing import allow_tracing, tracing_enabled
from .training_role import SAGEMAKER, common_policy
from .waiter import RunWaiter

_ID: Final = "HpoRuntime"
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_MOST_OUTPUTS: Final = 200
# What PassRole is allowed for.
_CONDITIONS: Final[dict[Target, dict[str, Any]]] = {
    Target.TRAINING_ROLES: {"StringEquals": {"iam:PassedToService": SAGEMAKER}}
}
# Why the functions' permissions have wildcards, for security checkers.
_WILDCARDS: Final = {
    Target.TUNING_JOBS: "A run adds digits of its own to the declared tuning job's name.",
    Target.TRAINING_JOBS: "SageMaker makes the training jobs' names from the tuning job's.",
    Target.EXECUTIONS: "The executions of the tuning job's state machine have names that only their start gives them.",
    Target.DEPLOYED_EXECUTIONS: "The executions that a deployment starts have names that the deployment gives them.",
    Target.OUTPUTS: "The published outputs are the parameters below the tuning job's own path.",
    Target.BEST: "The parameters of the stack's tuning jobs stand below the stack's own path.",
    Target.QUEUE: "The parameters of the stack's tuning jobs stand below the stack's own path.",
}


class TuningRuntime(Construct):
    """The shared part of a stack; `TuningRuntime.of` makes it with the first tuning job.

    Attributes:
        functions: The Lambda functions by id.
        references: The references to the stack's own resources.
        definitions: The definitions of the stack's tuning jobs.
        state_machine_role: Role of the state machines: it may invoke the functions, and send traces where tracing
            is on.
        tracing: Whether runs are traced with X-Ray; the context `hpo:tracing` says so.
    """

    functions: dict[str, lambda_.Function]
    references: References
    definitions: Definitions
    state_machine_role: iam.IRole
    tracing: bool

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, _ID)
        self._stack = stack
        self.tracing = tracing_enabled(self)
        self._roles: dict[str, iam.Role] = {}
        self._permissions: dict[str, GrowingPermissions] = {}
        # In the order of their declaration, without repeats.
        self._allowed: dict[Target, dict[Resource, None]] = {}
        self.references = References.of(stack)
        self._logs = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        self._logs_arn = self._logs.log_group_arn
        # Of one asset, which stands below the first function.
        self._code = lambda_.Code.from_asset(str(_asset_folder()))
        self.functions = {function.id: self._function(function) for function in FUNCTIONS}
        self._arns = {id: function.function_arn for id, function in self.functions.items()}
        for arn in self._arns.values():
            self.references.add(arn)
        self.state_machine_role = self._state_machine_role()
        self.definitions = Definitions(self, stack, self._arns, self.references)
        self._guard: RunGuard | None = None
        self._waiter: RunWaiter | None = None
        self._training_policy: iam.ManagedPolicy | None = None
        self._outputs = 0

    @staticmethod
    def of(scope: Construct) -> "TuningRuntime":
        """The stack's shared part, made when there is none yet."""
        return TuningRuntime.of_stack(Stack.of(scope))

    @staticmethod
    def of_stack(stack: Stack) -> "TuningRuntime":
        """The shared part of a stack, made when there is none yet."""
        if stack not in _RUNTIMES:
            found = stack.node.try_find_child(_ID)
            _RUNTIMES[stack] = found if isinstance(found, TuningRuntime) else TuningRuntime(stack)
        return _RUNTIMES[stack]

    def allow(self, target: Target, resources: Sequence[Resource]) -> None:
        """Lets every function that calls actions on such targets call them on these resources."""
        known = self._allowed.setdefault(target, {})
        new = [each for each in dict.fromkeys(resources) if each not in known]
        if new:
            known.update(dict.fromkeys(new))
            for function, actions in _callers(target):
                if function.id in self._permissions:
                    self._allow(function, actions, target, new)

    def _allow(
        self, function: Function, actions: tuple[str, ...], target: Target, resources: Sequence[Resource]
    ) -> None:
        self._permissions[function.id].allow(actions, resources, _CONDITIONS.get(target))
        if target in _WILDCARDS:
            acknowledge_resources(self._roles[function.id], self._stack, resources, _WILDCARDS[target])

    def watch(self, state_machine_arn: str, declared_name: str) -> None:
        """Has the tuning job stopped whenever an execution of a state machine ends without its own doing.

        Args:
            state_machine_arn: The state machine's ARN.
            declared_name: The tuning job's declared name.
        """
        if self._guard is None:
            role_arn = self.state_machine_role.role_arn
            self._guard = RunGuard(self, self._stack, self._arns, role_arn, tracing=self.tracing)
            # The deletion stops what runs while the function still may.
            self._guard.runs.node.add_dependency(self._roles[CLEAN_UP.id])
        self._guard.watch(state_machine_arn, declared_name)
        self.allow(Target.STATE_MACHINES, [state_machine_arn])
        self.allow(Target.EXECUTIONS, [Executions(state_machine_arn)])

    @property
    def runs(self) -> CustomResource:
        """The resource whose deletion stops what runs: what starts runs depends on it, to be deleted before it."""
        if self._guard is None:
            raise RuntimeError("no state machine is watched yet")
        return self._guard.runs

    @property
    def roles(self) -> Sequence[iam.Role]:
        """The functions' roles: a run has all its permissions when their policies are there."""
        return tuple(self._roles.values())

    def output(self, name: str, value: str) -> None:
        """Gives the stack an output; directly in the stack its id is its name.

        Raises:
            SpecError: a template cannot hold as many.
        """
        self._outputs += 1
        if self._outputs > _MOST_OUTPUTS:
            raise SpecError(
                f"stack {Place.of(self._stack).stack_name} must have at most {_MOST_OUTPUTS} outputs, the limit of a "
                f"template, and has no room for {name}: declare some of its tuning jobs in another stack"
            )
        CfnOutput(self._stack, name, value=value)

    def training_policy(self) -> iam.ManagedPolicy:
        """What all training roles may do, made with the first of them."""
        if self._training_policy is None:
            self._training_policy = common_policy(self, "TrainingPolicy", self._stack)
        return self._training_policy

    def waiter(self) -> "RunWaiter":
        """What runs tuning jobs at deployment, made when it is wanted first."""
        if self._waiter is None:
            function = self._function(DEPLOY)
            self._waiter = RunWaiter(self, function, self._roles[DEPLOY.id], tracing=self.tracing)
            for permission in DEPLOY.permissions:
                known = self._allowed.get(permission.target, {})
                self._allow(DEPLOY, permission.actions, permission.target, list(known))
            self.allow(Target.DEPLOYED_STATE_MACHINES, [self._waiter.state_machine_arn])
        return self._waiter

    def _function(self, function: Function) -> lambda_.Function:
        # A role of its own, because the one that the CDK makes may write to any log group.
        role_id = f"{function.id}Role"
        role = iam.Role(
            self,
            role_id,
            assumed_by=service("lambda.amazonaws.com"),
            description=function.description,
        )
        permissions = GrowingPermissions(role, self._stack, function.description)
        permissions.allow(("logs:CreateLogStream", "logs:PutLogEvents"), [self._logs_arn])
        if self.tracing:
            allow_tracing(role)
        self._roles[function.id], self._permissions[function.id] = role, permissions
        return lambda_.Function(
            self,
            function.id,
            description=function.description,
            code=self._code,
            handler=function.handler,
            **_platform(),
            memory_size=256,
            role=self._referred(role, role_id),
            log_group=self._logs,
            logging_format=lambda_.LoggingFormat.JSON,
            tracing=lambda_.Tracing.ACTIVE if self.tracing else lambda_.Tracing.DISABLED,
            environment={STACK_VARIABLE: Place.of(self._stack).stack_name},
        )

    def _state_machine_role(self) -> iam.IRole:
        # What deletes runs is CloudFormation's to invoke.
        invoked = [arn for id, arn in self._arns.items() if id != CLEAN_UP.id]
        # It is complete, and nothing adds to it: what one state machine needed would widen it for all.
        role = iam.Role(
            self,
            "StateMachineRole",
            assumed_by=service("states.amazonaws.com"),
            description="State machines of tuning jobs",
            inline_policies={"Functions": allowed_only(["lambda:InvokeFunction"], invoked)},
        )
        if self.tracing:
            allow_tracing(role)
        return self._referred(role, "StateMachineRole")

    def _referred(self, role: iam.Role, id: str) -> iam.IRole:
        """The role by its ARN, which orders the resources; the CDK would name a dependency beside it."""
        return iam.Role.from_role_arn(self, f"{id}Reference", role.role_arn, mutable=False)


@cache
def _platform() -> dict[str, Any]:
    """What the functions run on; these objects of the CDK belong to no app."""
    return {
        "runtime": lambda_.Runtime.PYTHON_3_14,
        "architecture": lambda_.Architecture.ARM_64,
        # Three attempts of each call at their own time-outs.
        "timeout": Duration.minutes(3),
    }


@cache
def _callers(target: Target) -> Sequence[tuple[Function, tuple[str, ...]]]:
    """The functions that call actions on a target, with the actions."""
    return tuple(
        (function, permission.actions)
        for function in (*FUNCTIONS, DEPLOY)
        for permission in function.permissions
        if permission.target is target
    )


# By stack: looking it up in the tree for every job takes time.
_RUNTIMES: WeakKeyDictionary[Stack, TuningRuntime] = WeakKeyDictionary()


@cache
def _asset_folder() -> Path:
    """A folder with the handlers' package alone, so that what lies beside it and compiled files change no hash."""
    folder = Path(mkdtemp(prefix="hpo-handlers-"))
    register(rmtree, folder, ignore_errors=True)
    package = Path(hpo_handlers.__path__[0])
    copytree(package, folder / package.name, ignore=ignore_patterns("__pycache__", "*.pyc"))
    return folder
