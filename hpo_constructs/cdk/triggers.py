"""What starts runs by itself: a deployment, a schedule, an event, new data."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from aws_cdk import CustomResource, Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from constructs import Construct

from hpo_handlers.contract import EXECUTION_ATTRIBUTE, RUN_ATTRIBUTES, RunProperty

from ..errors import SpecError
from ..workflow import Target
from .deployment_checks import deploy_wait_findings
from .findings import report_finding
from .references import Executions
from .runtime import TuningRuntime

if TYPE_CHECKING:
    from .tuning_job import TuningJob

RESOURCE_TYPE = "Custom::HyperparameterTuningRun"


class RunOnDeploy(Construct):
    """A run of a tuning job at deployment, a custom resource of type `Custom::HyperparameterTuningRun`.

    A deployment that changes the declaration, a value in it that only the deployment knows, or `run_id`, starts a
    run; any other one starts none. A changed run replaces the former one, and the deletion of the resource stops its
    run. A run at deployment waits for its turn, whatever the job's policy about overlaps.
    """

    def __init__(self, scope: Construct, id: str, *, job: "TuningJob", wait: bool = False) -> None:
        """Defines the custom resource.

        Args:
            scope: The construct that holds this one.
            id: The construct's id.
            job: The tuning job.
            wait: Whether the deployment waits for the end of the run, an hour at most, and fails with it. It does
                not by default; then the run's facts are not among the attributes.
        """
        super().__init__(scope, id)
        self._wait = wait
        stack = Stack.of(self)
        runtime = TuningRuntime.of_stack(stack)
        waiter = runtime.waiter()
        machine = job.state_machine
        runtime.allow(Target.DEPLOYED_STATE_MACHINES, [machine.state_machine_arn])
        runtime.allow(Target.DEPLOYED_EXECUTIONS, [Executions(machine.state_machine_arn)])
        declaration, references = _identity(stack.resolve(job.request))
        properties: dict[str, Any] = {
            RunProperty.STATE_MACHINE_ARN: machine.state_machine_arn,
            RunProperty.DECLARED_NAME: job.spec.name,
            RunProperty.DECLARATION: declaration,
            RunProperty.REFERENCES: references,
            RunProperty.OUTPUT_PREFIX: job.output_prefix,
        }
        if job.run_settings.run_id is not None:
            properties[RunProperty.RUN_ID] = job.run_settings.run_id
        if wait:
            properties[RunProperty.WAITER_ARN] = waiter.state_machine_arn
            for finding in deploy_wait_findings(job.request):
                report_finding(job.node.path, stack, finding)
        self._resource = CustomResource(
            self,
            "Resource",
            service_token=waiter.function.function_arn,
            resource_type=RESOURCE_TYPE,
            properties={str(name): value for name, value in properties.items()},
        )
        # The run needs all permissions, and is stopped before they go.
        self._resource.node.add_dependency(waiter.role, runtime.runs, *runtime.roles)

    @property
    def execution_arn(self) -> str:
        """The ARN of the run's execution."""
        return self._resource.get_att_string(EXECUTION_ATTRIBUTE)

    def attribute(self, name: str) -> str:
        """A fact of the run's best training job, such as `ModelArtifacts`, for other resources of the stack.

        A fact that the run does not have is an empty text; one that is no text is JSON.

        Raises:
            SpecError: There is no such attribute, or the deployment does not wait for the run.
        """
        known = (*RUN_ATTRIBUTES, EXECUTION_ATTRIBUTE)
        if name not in known:
            raise SpecError(f"unknown attribute {name!r}; attributes are {', '.join(known)}")
        if not self._wait and name not in {EXECUTION_ATTRIBUTE, "TuningJobName"}:
            raise SpecError(f"attribute {name} is known when the run has ended: deploy with wait=True")
        return self._resource.get_att_string(name)


def schedule_run(
    job: "TuningJob", id: str, schedule: scheduler.ScheduleExpression, *, time_window: Duration | None = None
) -> scheduler.Schedule:
    """A schedule of EventBridge Scheduler that starts runs; see `TuningJob.run_on_schedule`."""
    made = scheduler.Schedule(
        job,
        id,
        schedule=schedule,
        target=scheduler_targets.StepFunctionsStartExecution(
            job.state_machine, input=scheduler.ScheduleTargetInput.from_object({"Trigger": "schedule"})
        ),
        time_window=scheduler.TimeWindow.flexible(time_window) if time_window else None,
        description=f"Runs tuning job {job.spec.name}",
    )
    made.node.add_dependency(TuningRuntime.of(job).runs)
    return made


def run_on_event(
    job: "TuningJob", id: str, pattern: events.EventPattern, *, bus: events.IEventBus | None = None
) -> events.Rule:
    """A rule that starts a run for every event that matches; see `TuningJob.run_on_event`."""
    rule = events.Rule(
        job,
        id,
        event_pattern=pattern,
        event_bus=bus,
        description=f"Runs tuning job {job.spec.name}",
        targets=[targets.SfnStateMachine(job.state_machine)],
    )
    rule.node.add_dependency(TuningRuntime.of(job).runs)
    return rule


def run_on_new_data(job: "TuningJob", id: str, bucket: s3.IBucket, prefix: str, *, suffix: str = "") -> events.Rule:
    """A rule that starts a run for every new object below a prefix; see `TuningJob.run_on_new_data`."""
    if isinstance(bucket, s3.Bucket):
        bucket.enable_event_bridge_notification()
    # Of a key that has both, the middle is free: EventBridge has a pattern for that.
    key: dict[str, str] = {"wildcard": f"{prefix}*{suffix}"} if suffix else {"prefix": prefix}
    return run_on_event(
        job,
        id,
        events.EventPattern(
            source=["aws.s3"],
            detail_type=["Object Created"],
            detail={"bucket": {"name": [bucket.bucket_name]}, "object": {"key": [key]}},
        ),
    )


def _identity(request: Any) -> tuple[str, list[Any]]:
    """The hash of a resolved request, and the values in it that only the deployment knows."""
    references: list[Any] = []
    for each in _references(request):
        if each not in references:
            references.append(each)
    return sha256(json.dumps(request, sort_keys=True).encode()).hexdigest(), references


def _references(value: Any) -> Iterator[Any]:
    """CloudFormation's functions in a resolved value, the outermost ones."""
    if isinstance(value, dict):
        ((name, _),) = value.items() if len(value) == 1 else (("", None),)
        if name == "Ref" or name.startswith("Fn::"):
            yield value
            return
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)
