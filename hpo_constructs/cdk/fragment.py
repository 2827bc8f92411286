"""A tuning job as a piece of somebody's own state machine."""

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jsii
from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from hpo_handlers.contract import Overlap

from ..spec.declaration import Declaration
from ..spec.run import RunSettings
from ..workflow import StateName, states
from .run import Declared, DeclaredRun
from .runtime import TuningRuntime

if TYPE_CHECKING:
    from ..spec import TuningJobSpec


@jsii.implements(iam.IGrantable)
class TuningFragment(Declared, sfn.StateMachineFragment):
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
        # Whether runs may overlap is your own state machine's to decide.
        self._run = DeclaredRun(self, scope, id, spec=spec, training_role=training_role, run=run, overlap=Overlap.ALLOW)
        runtime = self._run.runtime
        machine = states(
            self._run.request,
            output_prefix=self._run.output_prefix,
            functions={function: function for function in runtime.functions},
            result_path=result_path,
            policy=self._run.settings.policy,
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
    def timeout(self) -> Duration:
        """How long the fragment can take: the tuning job's own limit and time to wind up."""
        return Duration.seconds(self._run.timeout_seconds)

    def guard(self, state_machine: sfn.IStateMachine) -> None:
        """Has the tuning job stopped when an execution of your state machine is aborted, fails or times out, and when
        the stack is deleted. Call it once with the state machine that the fragment stands in.

        Without it a tuning job goes on to its own end, or its limits, after its execution was aborted.
        """
        self._run.guard(state_machine.state_machine_arn)


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
