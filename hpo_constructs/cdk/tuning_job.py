"""A declared tuning job as a state machine of its own."""

import re
from typing import TYPE_CHECKING

import jsii
from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..spec.declaration import Declaration
from ..spec.run import RunSettings
from .acknowledgements import acknowledge
from .guard import UNLOGGED
from .place import Place
from .run import Declared, DeclaredRun
from .triggers import RunOnDeploy, run_on_event, run_on_new_data, schedule_run

if TYPE_CHECKING:
    from ..spec import TuningJobSpec


@jsii.implements(iam.IGrantable)
class TuningJob(Declared, Construct):
    """A declared SageMaker hyperparameter tuning job.

    Every execution of its state machine runs the tuning job once and publishes the best training job's facts to SSM
    parameters below `output_prefix`. The Lambda functions behind it are shared by all tuning jobs of the stack; a
    further job adds its state machine and its training role.

    The stack has two outputs for it, `<Id>StateMachineArn` and `<Id>OutputPrefix`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        spec: "TuningJobSpec | Declaration",
        training_role: iam.IRole | None = None,
        run: RunSettings | None = None,
    ) -> None:
        """Defines the state machine, its roles and outputs.

        Args:
            scope: The construct that holds this one.
            id: The construct's id; renaming it replaces the resources.
            spec: What is declared: a `TuningJobSpec`, or a declaration that `hpo_constructs.documents.read` gives.
                Strings may hold CDK tokens and `${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}`.
                Findings of its check are reported at synthesis.
            training_role: The role of training job definitions that name none. Without it a role is made that may
                use exactly what the declaration names.
            run: How runs begin and what they publish; what a template's `run` block says, or the defaults, without it.

        Raises:
            QuotaError: the context `hpo:quotas` names an unknown edition or quota.
            SpecError: the stack cannot hold another tuning job, or a role what the declaration names.
        """
        super().__init__(scope, id)
        declared = self._run = DeclaredRun(self, scope, id, spec=spec, training_role=training_role, run=run)
        stack, place = declared.stack, Place.of(declared.stack)
        runtime = declared.runtime
        # Not of the CDK's states, as a fragment: they take most of a large stack's synthesis.
        definition = runtime.definitions.text(
            declared.request,
            output_prefix=declared.output_prefix,
            timeout_seconds=declared.timeout_seconds,
            policy=declared.settings.policy,
            overlap=declared.overlap,
            plain_tokens=filter(None, (declared.training_role_arn,)),
        )
        self._state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_string(definition),
            role=runtime.state_machine_role,
            tracing_enabled=runtime.tracing or None,
        )
        acknowledge(self._state_machine, stack, UNLOGGED)
        arn = self._state_machine.state_machine_arn
        runtime.references.add(arn)
        declared.guard(arn)
        output_id = re.sub(r"[^A-Za-z0-9]", "", declared.path.removeprefix(place.path))
        runtime.output(f"{output_id}StateMachineArn", arn)
        runtime.output(f"{output_id}OutputPrefix", self.output_prefix)

    @property
    def state_machine(self) -> sfn.StateMachine:
        """The state machine; an execution needs no input."""
        return self._state_machine

    def run_on_deploy(self, *, wait: bool = False) -> "RunOnDeploy":
        """Runs the tuning job at every deployment that changes its declaration or `run_id`.

        Args:
            wait: Whether the deployment waits for the end of the run, and fails with it; it does not by default.
        """
        return RunOnDeploy(self, "RunOnDeploy", job=self, wait=wait)

    def run_on_schedule(
        self, id: str, schedule: scheduler.ScheduleExpression, *, time_window: Duration | None = None
    ) -> scheduler.Schedule:
        """Runs the tuning job on a schedule of EventBridge Scheduler.

        Args:
            id: The schedule's construct id.
            schedule: When to run: `ScheduleExpression.cron(...)`, `.rate(...)` or `.at(...)`.
            time_window: How late a run may begin; it begins at the minute without it.
        """
        return schedule_run(self, id, schedule, time_window=time_window)

    def run_on_event(
        self, id: str, pattern: events.EventPattern, *, bus: events.IEventBus | None = None
    ) -> events.Rule:
        """Runs the tuning job for every event that matches a pattern.

        Args:
            id: The rule's construct id.
            pattern: The pattern.
            bus: The event bus; the account's default one without it.
        """
        return run_on_event(self, id, pattern, bus=bus)

    def run_on_new_data(self, id: str, bucket: s3.IBucket, prefix: str, *, suffix: str = "") -> events.Rule:
        """Runs the tuning job for every new object below a prefix.

        A bucket of this app is told to send its events; any other one must send them to EventBridge already. Many
        objects make many events: `overlap: queue` lets the latest run alone wait, `suffix` names the object that is
        written last.

        Args:
            id: The rule's construct id.
            bucket: The bucket.
            prefix: What the object's key begins with.
            suffix: What the object's key ends with, such as `_SUCCESS`; anything by default.
        """
        return run_on_new_data(self, id, bucket, prefix, suffix=suffix)

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets a principal start executions."""
        return self._state_machine.grant_start_execution(grantee)
