"""A tuning job as a piece of somebody's own state machine."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jsii
from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from hpo_handlers.contract import QUEUE, Output, Overlap

from ..errors import SpecError
from ..spec.declaration import Declaration
from ..spec.run import RunSettings
from ..workflow import StateName, Target, execution_timeout_seconds, states
from .deployment_checks import run_findings
from .findings import report_finding, report_findings
from .request import definitions, placeholders_replaced, text, with_training_role
from .runtime import TuningRuntime
from .training_role import training_role as made_training_role

if TYPE_CHECKING:
    from ..spec import TuningJobSpec


@jsii.implements(iam.IGrantable)
class TuningFragment(sfn.StateMachineFragment):
    """A tuning job that chains into your own state machine.

    It creates the tuning job, waits for its end, publishes the best training job's facts to SSM parameters and
    leaves them in the state below `result_path`; the rest of the state stays as it is. A tuning job that does not
    complete ends the execution with the error `HyperparameterTuningJobFailed` or `HyperparameterTuningJobStopped`;
    an error in between stops the tuning job first. To catch such errors, chain `fragment.to_single_state()`.

    One execution runs one tuning job of a declared name: the tuning job's name derives from both, so do not put the
    fragment into a loop or a map. The state machine's role receives the permission to invoke the functions.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        spec: "TuningJobSpec | Declaration",
        training_role: iam.IRole | None = None,
        run: RunSettings | None = None,
        result_path: str = "$.TuningJob",
    ) -> None:
        """Defines the states, the training role and the functions' permissions.

        Args:
            scope: The construct that holds this one.
            id: The construct's id.
            spec: What is declared: a `TuningJobSpec`, or a declaration that `hpo_constructs.documents.read` gives.
                Strings may hold CDK tokens and `${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}`.
                Findings of its check are reported at synthesis.
            training_role: The role of training job definitions that name none. Without it a role is made that may
                use exactly what the declaration names.
            run: What a run publishes and where; what a template's `run` block says, or the defaults, without it.
            result_path: Where in the state the fragment keeps its data and leaves its result. `$` takes the whole
                state and ignores the input.

        Raises:
            QuotaError: the context `hpo:quotas` names an unknown edition or quota.
        """
        super().__init__(scope, id)
        self._spec = spec
        stack = Stack.of(self)
        request = placeholders_replaced(_request(spec), stack)
        name = str(request.get("HyperParameterTuningJobName", ""))
        self._run_settings = run or (spec.run if isinstance(spec, Declaration) else RunSettings())
        self._name = name
        self._output_prefix = f"{(self._run_settings.output_prefix or f'/hpo/{stack.stack_name}/{name}').rstrip('/')}/"
        self._training_role = self._role(request, training_role)
        if self._training_role:
            request = with_training_role(request, self._training_role.role_arn)
        self._declared_request = placeholders_replaced(_request(spec), stack)
        self._request = request

        runtime = TuningRuntime.of(self)
        self._allow(runtime, name)
        report_findings(self._reported_on(), spec)
        for finding in run_findings(request, self.overlap):
            report_finding(self._reported_on(), finding)
        machine = states(
            request,
            output_prefix=self._output_prefix,
            functions={function: function for function in runtime.functions},
            result_path=result_path,
            policy=self._run_settings.policy,
            overlap=self.overlap,
        )
        # Plain strings all through: jsii takes the members of an enum for its own kind.
        built = _States(self, json.loads(json.dumps(machine)), runtime)
        self._start: sfn.State = built.state(StateName.REQUEST)
        self._end: sfn.INextable = built.end()

    @property
    def start_state(self) -> sfn.State:
        """The fragment's first state."""
        return self._start

    @property
    def end_states(self) -> list[sfn.INextable]:
        """The state after which your own machine goes on: the best training job is published."""
        return [self._end]

    @property
    def spec(self) -> "TuningJobSpec | Declaration":
        """What was declared."""
        return self._spec

    @property
    def training_role(self) -> iam.IRole | None:
        """The role of the training jobs, made or given; None when every definition names its own."""
        return self._training_role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The training role, so that `key.grant_decrypt(fragment)` and its like let the training jobs do more.

        Raises:
            SpecError: every definition names its own role, so there is none to grant to. The CDK's `grant` methods
                turn it into a RuntimeError of the same text.
        """
        if self._training_role is None:
            raise SpecError(f"every definition of {self._spec.name} names its own role; grant to these roles instead")
        return self._training_role

    @property
    def output_prefix(self) -> str:
        """Path of the SSM parameters, with a slash at its end."""
        return self._output_prefix

    @property
    def timeout(self) -> Duration:
        """How long the fragment can take: the tuning job's own limit and time to wind up."""
        return Duration.seconds(execution_timeout_seconds(self._request, queued=self.overlap is Overlap.QUEUE))

    @property
    def declared_request(self) -> Mapping[str, Any]:
        """The declared request, with tokens for what only the deployment knows, and without a role made for it."""
        return self._declared_request

    @property
    def run_settings(self) -> RunSettings:
        """How the runs begin and what they publish."""
        return self._run_settings

    @property
    def overlap(self) -> Overlap:
        """What a run does while another one is running: your own state machine decides that, so they may overlap."""
        return Overlap.ALLOW

    def guard(self, state_machine: sfn.IStateMachine) -> None:
        """Has the tuning job stopped when an execution of your state machine is aborted, fails or times out, and when
        the stack is deleted. Call it once with the state machine that the fragment stands in.

        Without it a tuning job goes on to its own end, or its limits, after its execution was aborted.
        """
        TuningRuntime.of(self).watch(state_machine, self._name)

    def parameter_name(self, output: str) -> str:
        """Name of the SSM parameter of an output, such as `model-artifacts`.

        Raises:
            SpecError: there is no such output.
        """
        if output not in set(Output):
            raise SpecError(f"unknown output {output!r}; outputs are {', '.join(Output)}")
        return f"{self._output_prefix}{output}"

    def grant_read_outputs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets a principal read the SSM parameters."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            # A query by path is about the path itself.
            resource_arns=[self._parameters_arn(self._output_prefix.rstrip("/")), self._parameters_arn("*")],
        )

    def _reported_on(self) -> Construct:
        """The construct under which the declaration's findings are listed."""
        return self

    def _role(self, request: Mapping[str, Any], given: iam.IRole | None) -> iam.IRole | None:
        if all(text(definition, "RoleArn") for definition in definitions(request)):
            return None
        return given or made_training_role(self, "TrainingRole", request)

    def _allow(self, runtime: TuningRuntime, name: str) -> None:
        stack = Stack.of(self)
        sagemaker = f"arn:{stack.partition}:sagemaker:{stack.region}:{stack.account}"
        # SageMaker writes names in ARNs in lower case, whatever the job is called.
        names = sorted({name, name.lower()})
        runtime.allow(Target.TUNING_JOBS, [f"{sagemaker}:hyper-parameter-tuning-job/{each}-*" for each in names])
        runtime.allow(Target.TRAINING_JOBS, [f"{sagemaker}:training-job/{each}-*" for each in names])
        roles = [role for definition in definitions(self._request) if (role := text(definition, "RoleArn"))]
        runtime.allow(Target.TRAINING_ROLES, list(dict.fromkeys(roles)))
        # Below the stack's own path one resource stands for all jobs: a role has little room.
        own = self._run_settings.output_prefix is None
        outputs = f"/hpo/{stack.stack_name}/*" if own else self._output_prefix.rstrip("/")
        runtime.allow(Target.OUTPUTS, [self._parameters_arn(outputs if own else f"{outputs}/*")])
        runtime.allow(Target.BEST, [self._parameters_arn(f"{outputs}/{Output.BEST}")])
        if self.overlap is not Overlap.ALLOW:
            runtime.allow(Target.QUEUE, [self._parameters_arn(f"{outputs}/{QUEUE}")])

    def _parameters_arn(self, end: str) -> str:
        stack = Stack.of(self)
        path = end if end.startswith("/") else f"{self._output_prefix}{end}"
        return f"arn:{stack.partition}:ssm:{stack.region}:{stack.account}:parameter{path}"


class _States:
    """The CDK's states of a state machine given as plain data."""

    def __init__(self, scope: Construct, machine: Mapping[str, Any], runtime: TuningRuntime) -> None:
        self._scope = scope
        self._runtime = runtime
        self._machine = machine
        kinds: dict[str, Callable[[str, Any], Any]] = {
            "Pass": self._custom,
            "Wait": self._wait,
            "Task": self._task,
            "Choice": self._choice,
            "Fail": self._fail,
            "Succeed": self._succeed,
        }
        self._states = {name: kinds[data["Type"]](name, data) for name, data in machine.items()}
        for name, data in machine.items():
            self._link(self._states[name], data)

    def state(self, name: str) -> Any:
        return self._states[name]

    def end(self) -> Any:
        return next(self._states[name] for name, data in self._machine.items() if data.get("End"))

    def _link(self, state: Any, data: Mapping[str, Any]) -> None:
        for caught in data.get("Catch", ()):
            state.add_catch(
                self._states[caught["Next"]], errors=caught["ErrorEquals"], result_path=caught["ResultPath"]
            )
        for choice in data.get("Choices", ()):
            if "StringEquals" in choice:
                condition = sfn.Condition.string_equals(choice["Variable"], choice["StringEquals"])
            else:
                condition = sfn.Condition.boolean_equals(choice["Variable"], choice["BooleanEquals"])
            state.when(condition, self._states[choice["Next"]])
        if "Default" in data:
            state.otherwise(self._states[data["Default"]])
        if "Next" in data:
            state.next(self._states[data["Next"]])

    def _custom(self, name: str, data: Mapping[str, Any]) -> sfn.CustomState:
        # The CDK's own Pass state would take members that end in `.$` for paths.
        kept = {key: value for key, value in data.items() if key not in {"Next", "End"}}
        return sfn.CustomState(self._scope, name, state_json=kept)

    def _wait(self, name: str, data: Mapping[str, Any]) -> sfn.Wait:
        return sfn.Wait(self._scope, name, time=sfn.WaitTime.seconds_path(data["SecondsPath"]))

    def _choice(self, name: str, data: Mapping[str, Any]) -> sfn.Choice:  # noqa: ARG002 - _link has the choices
        return sfn.Choice(self._scope, name)

    def _succeed(self, name: str, data: Mapping[str, Any]) -> sfn.Succeed:  # noqa: ARG002 - it has nothing else
        return sfn.Succeed(self._scope, name)

    def _fail(self, name: str, data: Mapping[str, Any]) -> sfn.Fail:
        return sfn.Fail(
            self._scope,
            name,
            error=data.get("Error"),
            error_path=data.get("ErrorPath"),
            cause_path=data["CausePath"],
        )

    def _task(self, name: str, data: Mapping[str, Any]) -> tasks.LambdaInvoke:
        # Not a custom state: this one asks the state machine's role for the permission to invoke.
        task = tasks.LambdaInvoke(
            self._scope,
            name,
            lambda_function=self._runtime.functions[data["Parameters"]["FunctionName"]],
            payload=sfn.TaskInput.from_object(data["Parameters"]["Payload"]),
            result_selector=data["ResultSelector"],
            result_path=data["ResultPath"],
            task_timeout=sfn.Timeout.duration(Duration.seconds(data["TimeoutSeconds"])),
            retry_on_service_exceptions=False,
        )
        for retrier in data["Retry"]:
            task.add_retry(
                errors=retrier["ErrorEquals"],
                interval=Duration.seconds(retrier["IntervalSeconds"]),
                max_attempts=retrier["MaxAttempts"],
                backoff_rate=retrier["BackoffRate"],
                max_delay=Duration.seconds(retrier["MaxDelaySeconds"]),
                jitter_strategy=sfn.JitterType[retrier["JitterStrategy"]],
            )
        return task


def _request(spec: "TuningJobSpec | Declaration") -> dict[str, Any]:
    return dict(spec.request if isinstance(spec, Declaration) else spec.to_request())
