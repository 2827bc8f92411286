"""What the tuning jobs of a stack share: the Lambda functions, their log group and the state machines' role."""

from atexit import register
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from tempfile import mkdtemp
from typing import Final
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import AspectPriority, Aspects, CustomResource, Duration, IAspect, RemovalPolicy, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct, IConstruct

import hpo_handlers
from hpo_handlers.metrics import STACK_VARIABLE

from ..workflow import CLEAN_UP, DEPLOY, FUNCTIONS, Function, Target
from .acknowledgements import acknowledge_resources
from .definitions import Definitions
from .guard import RunGuard
from .tracing import allow_tracing, tracing_enabled
from .training_role import SAGEMAKER
from .waiter import RunWaiter

_ID: Final = "HpoRuntime"
# Of a statement: with names as long as they can be they stay within a managed policy's 6,144 characters.
_RESOURCES_PER_STATEMENT: Final = 45
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
        function_arns: Their ARNs by id.
        definitions: The definitions of the stack's tuning jobs.
        state_machine_role: Role of the state machines: it may invoke the functions, and send traces where tracing
            is on.
        tracing: Whether runs are traced with X-Ray; the context `hpo:tracing` says so.
    """

    functions: dict[str, lambda_.Function]
    function_arns: dict[str, str]
    definitions: Definitions
    state_machine_role: iam.IRole
    tracing: bool

    def __init__(self, stack: Stack) -> None:
        super().__init__(stack, _ID)
        self._stack = stack
        self.tracing = tracing_enabled(self)
        self._roles: dict[str, iam.Role] = {}
        self._statements: dict[tuple[str, Target], _Statement] = {}
        self._resources: dict[tuple[str, Target], set[str]] = {}
        self._allowed: list[tuple[Target, tuple[str, ...]]] = []
        self._waiting = _WaitingResources(self)
        self._logs = logs.LogGroup(
            self, "Logs", retention=logs.RetentionDays.THREE_MONTHS, removal_policy=RemovalPolicy.DESTROY
        )
        self.functions = {function.id: self._function(function) for function in FUNCTIONS}
        self.state_machine_role = self._state_machine_role()
        self.function_arns = {id: function.function_arn for id, function in self.functions.items()}
        self.definitions = Definitions(self)
        self._guard: RunGuard | None = None
        self._waiter: RunWaiter | None = None

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

    def allow(self, target: Target, resources: Sequence[str]) -> None:
        """Lets every function that calls actions on such targets call them on these resources."""
        for function in (*FUNCTIONS, *((DEPLOY,) if self._waiter else ())):
            self._allow(function, target, resources)
        self._allowed.append((target, tuple(resources)))

    def _allow(self, function: Function, target: Target, resources: Sequence[str]) -> None:
        for permission in function.permissions:
            known = self._resources.setdefault((function.id, target), set())
            new = [resource for resource in resources if resource not in known]
            if permission.target is target and new:
                known.update(new)
                self._waiting.add(self._statement(function, target, permission.actions, len(new)), new)
                if target in _WILDCARDS:
                    acknowledge_resources(self._roles[function.id], self._stack, new, _WILDCARDS[target])

    def watch(self, state_machine_arn: str, executions: str, declared_name: str) -> None:
        """Has the tuning job stopped whenever an execution of a state machine ends without its own doing.

        Args:
            state_machine_arn: The state machine's ARN.
            executions: ARN pattern of its executions.
            declared_name: The tuning job's declared name.
        """
        if self._guard is None:
            self._guard = RunGuard(self, self.functions, self.state_machine_role, tracing=self.tracing)
            # The deletion stops what runs while the function still may.
            self._guard.runs.node.add_dependency(self._roles[CLEAN_UP.id])
        known = self._guard.watches(state_machine_arn)
        self._guard.watch(state_machine_arn, declared_name)
        if not known:
            self.allow(Target.STATE_MACHINES, [state_machine_arn])
            self.allow(Target.EXECUTIONS, [executions])

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

    def waiter(self) -> "RunWaiter":
        """What runs tuning jobs at deployment, made when it is wanted first."""
        if self._waiter is None:
            function = self._function(DEPLOY)
            self._waiter = RunWaiter(self, function, self._roles[DEPLOY.id], tracing=self.tracing)
            for target, resources in self._allowed:
                self._allow(DEPLOY, target, resources)
            self.allow(Target.DEPLOYED_STATE_MACHINES, [self._waiter.state_machine_arn])
        return self._waiter

    def _statement(self, function: Function, target: Target, actions: Sequence[str], count: int) -> iam.PolicyStatement:
        """The function's statement on a target, which grows with every tuning job up to a size.

        The CDK distributes a role's statements over policies; one that is larger than a policy it cannot cut.
        """
        known = self._statements.get((function.id, target))
        if known is None or known.size + count > _RESOURCES_PER_STATEMENT:
            conditions = (
                {"StringEquals": {"iam:PassedToService": SAGEMAKER}} if target is Target.TRAINING_ROLES else None
            )
            known = _Statement(iam.PolicyStatement(actions=list(actions), conditions=conditions))
            self._statements[function.id, target] = known
            self._roles[function.id].add_to_principal_policy(known.statement)
        known.size += count
        return known.statement

    def _function(self, function: Function) -> lambda_.Function:
        # A role of its own, because the one that the CDK makes may write to any log group.
        role = iam.Role(
            self,
            f"{function.id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=function.description,
        )
        self._logs.grant_write(role)
        if self.tracing:
            allow_tracing(role)
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
            tracing=lambda_.Tracing.ACTIVE if self.tracing else lambda_.Tracing.DISABLED,
            environment={STACK_VARIABLE: Stack.of(self).stack_name},
        )

    def _state_machine_role(self) -> iam.IRole:
        invoke = iam.PolicyStatement(
            actions=["lambda:InvokeFunction"],
            # What deletes runs is CloudFormation's to invoke.
            resources=[self.functions[function.id].function_arn for function in FUNCTIONS if function is not CLEAN_UP],
        )
        # It is complete, and nothing adds to it: what one state machine needed would widen it for all.
        role = iam.Role(
            self,
            "StateMachineRole",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="State machines of tuning jobs",
            inline_policies={"Functions": iam.PolicyDocument(statements=[invoke])},
        )
        if self.tracing:
            allow_tracing(role)
        return self._referred(role)

    def _referred(self, role: iam.Role) -> iam.IRole:
        """The role by its ARN, which orders the resources; the CDK would name a dependency beside it."""
        return iam.Role.from_role_arn(self, f"{role.node.id}Reference", role.role_arn, mutable=False)


@dataclass(slots=True)
class _Statement:
    """A statement of a function's role and how many resources it has."""

    statement: iam.PolicyStatement
    size: int = 0


@jsii.implements(IAspect)
class _WaitingResources:
    """Resources that go into their statements when the synthesis begins: one call for all jobs, not one for each."""

    def __init__(self, scope: Construct) -> None:
        self._waiting: dict[iam.PolicyStatement, list[str]] = {}
        # A construct of its own, so that the CDK calls once. Before other aspects, which see whole statements.
        Aspects.of(Construct(scope, "Permissions")).add(self, priority=AspectPriority.MUTATING)

    def add(self, statement: iam.PolicyStatement, resources: Sequence[str]) -> None:
        self._waiting.setdefault(statement, []).extend(resources)

    def visit(self, node: IConstruct) -> None:  # noqa: ARG002 - the CDK's
        for statement, resources in self._waiting.items():
            statement.add_resources(*resources)
        self._waiting.clear()


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
