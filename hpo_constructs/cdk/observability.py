"""Looking after tuning jobs: a dashboard, alarms, and notifications when a run ends."""

from collections.abc import Sequence
from typing import Final

from aws_cdk import Duration, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_sns as sns
from constructs import Construct

from hpo_handlers.metrics import NAMESPACE, Dimension, Metric

from ..errors import SpecError
from .tuning_job import TuningJob

# The metrics come with each look at the tuning job, at the latest every three hours.
_PERIOD: Final = Duration.minutes(5)
_ENDINGS: Final = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


def tuning_metric(
    job: TuningJob, metric: Metric, *, period: Duration | None = None, statistic: str = "Maximum"
) -> cloudwatch.Metric:
    """A metric of a tuning job's latest run, in the namespace HyperparameterTuning.

    Args:
        job: The tuning job.
        metric: Which one; see `Metric`.
        period: The period, 5 minutes without it.
        statistic: Which of the values of a period counts, the largest by default.
    """
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=str(metric),
        dimensions_map={Dimension.STACK.value: Stack.of(job).stack_name, Dimension.TUNING_JOB.value: job.spec.name},
        statistic=statistic,
        period=period or _PERIOD,
    )


class TuningDashboard(Construct):
    """A CloudWatch dashboard of tuning jobs: for each its runs, its training jobs, its best objective and run time.

    Attributes:
        dashboard: The dashboard, for widgets of your own.
    """

    dashboard: cloudwatch.Dashboard

    def __init__(
        self, scope: Construct, id: str, *, jobs: Sequence[TuningJob], dashboard_name: str | None = None
    ) -> None:
        """Defines the dashboard.

        Args:
            scope: The construct that holds this one.
            id: The construct's id.
            jobs: The tuning jobs, in the order of the rows.
            dashboard_name: The dashboard's name; made by CloudFormation without it.

        Raises:
            SpecError: there are no tuning jobs.
        """
        super().__init__(scope, id)
        if not jobs:
            raise SpecError("jobs must name at least one tuning job, got none")
        self.dashboard = cloudwatch.Dashboard(self, "Dashboard", dashboard_name=dashboard_name)
        for job in jobs:
            self.dashboard.add_widgets(*_row(job))


def _row(job: TuningJob) -> list[cloudwatch.IWidget]:
    machine = job.state_machine
    day = Duration.days(1)
    return [
        cloudwatch.GraphWidget(
            title=f"{job.spec.name}: runs",
            width=6,
            left=[
                machine.metric_started(period=day, label="started"),
                machine.metric_succeeded(period=day, label="succeeded", color=cloudwatch.Color.GREEN),
                machine.metric_failed(period=day, label="failed", color=cloudwatch.Color.RED),
                machine.metric_timed_out(period=day, label="timed out", color=cloudwatch.Color.ORANGE),
                machine.metric_aborted(period=day, label="aborted", color=cloudwatch.Color.GREY),
            ],
        ),
        cloudwatch.GraphWidget(
            title=f"{job.spec.name}: training jobs",
            width=6,
            left=[
                tuning_metric(job, metric)
                for metric in (Metric.COMPLETED, Metric.IN_PROGRESS, Metric.FAILED, Metric.STOPPED)
            ],
        ),
        cloudwatch.GraphWidget(
            title=f"{job.spec.name}: best objective", width=6, left=[tuning_metric(job, Metric.BEST_OBJECTIVE)]
        ),
        cloudwatch.GraphWidget(title=f"{job.spec.name}: run time", width=6, left=[tuning_metric(job, Metric.RUN_TIME)]),
    ]


class TuningAlarms(Construct):
    """Alarms of a tuning job: a run that did not succeed, and a run that takes too long.

    Attributes:
        failed: Goes off when a run fails, times out or is aborted.
        stalled: Goes off while a run is older than it should get. After one that was aborted by hand it stays until
            the next run.
    """

    failed: cloudwatch.Alarm
    stalled: cloudwatch.Alarm

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: TuningJob,
        stalled_after: Duration,
        topic: sns.ITopic | None = None,
    ) -> None:
        """Defines the alarms.

        Args:
            scope: The construct that holds this one.
            id: The construct's id.
            job: The tuning job.
            stalled_after: The age from which a run counts as stalled: longer than a healthy run takes, and shorter
                than `max_runtime_in_seconds`, at which SageMaker ends it anyway.
            topic: Is told when an alarm goes off and when it is over; nobody is told without it.
        """
        super().__init__(scope, id)
        machine, name = job.state_machine, job.spec.name
        endings = {
            "failed": machine.metric_failed(period=_PERIOD),
            "timed_out": machine.metric_timed_out(period=_PERIOD),
            "aborted": machine.metric_aborted(period=_PERIOD),
        }
        self.failed = cloudwatch.Alarm(
            self,
            "Failed",
            alarm_description=f"A run of tuning job {name} failed, timed out or was aborted",
            # Step Functions tells of a kind of ending only when there is one.
            metric=cloudwatch.MathExpression(
                expression=" + ".join(f"FILL({ending}, 0)" for ending in endings),
                using_metrics=endings,
                period=_PERIOD,
                label="runs that did not succeed",
            ),
            threshold=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        self.stalled = cloudwatch.Alarm(
            self,
            "Stalled",
            alarm_description=f"A run of tuning job {name} takes longer than {stalled_after.to_human_string()}",
            # Of the period in which the run ends its end counts, which is 0.
            metric=tuning_metric(job, Metric.RUN_AGE, statistic="Minimum"),
            threshold=stalled_after.to_seconds(),
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            evaluation_periods=1,
            # Between two looks, up to three hours apart in a long run, the state stays as it is.
            treat_missing_data=cloudwatch.TreatMissingData.IGNORE,
        )
        if topic:
            action = actions.SnsAction(topic)
            for alarm in (self.failed, self.stalled):
                alarm.add_alarm_action(action)
                alarm.add_ok_action(action)


class TuningNotifications(Construct):
    """Tells a topic, and whoever else listens, when a run of a tuning job ends.

    The event is Step Functions' own, `Step Functions Execution Status Change` on the default event bus; `rule` takes
    further targets. https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html

    Attributes:
        topic: The topic that is told.
        rule: The rule that the events match.
    """

    topic: sns.ITopic
    rule: events.Rule

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        job: TuningJob,
        topic: sns.ITopic | None = None,
        statuses: Sequence[str] = _ENDINGS,
    ) -> None:
        """Defines the rule and, unless one is given, the topic.

        Args:
            scope: The construct that holds this one.
            id: The construct's id.
            job: The tuning job.
            topic: The topic to tell. One that only takes encrypted connections is made without it.
            statuses: The endings to tell of: SUCCEEDED, FAILED, TIMED_OUT and ABORTED; all of them by default.

        Raises:
            SpecError: there is no such ending.
        """
        super().__init__(scope, id)
        unknown = [status for status in statuses if status not in _ENDINGS]
        if unknown or not statuses:
            got = ", ".join(map(repr, unknown)) or "none"
            raise SpecError(f"statuses must be some of {', '.join(_ENDINGS)}, got {got}")
        self.topic = topic or sns.Topic(self, "Topic", enforce_ssl=True)
        self.rule = events.Rule(
            self,
            "Rule",
            description=f"Ends of the runs of tuning job {job.spec.name}",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={"stateMachineArn": [job.state_machine.state_machine_arn], "status": list(statuses)},
            ),
        )
        detail = {name: events.EventField.from_path(f"$.detail.{name}") for name in ("name", "status", "executionArn")}
        # One line: EventBridge takes the text for a JSON string.
        message = (
            f"Tuning job {job.spec.name}: run {detail['name']} ended as {detail['status']}. "
            f"Execution: {detail['executionArn']}. Outputs: SSM parameters below {job.output_prefix}"
        )
        self.rule.add_target(targets.SnsTopic(self.topic, message=events.RuleTargetInput.from_text(message)))
