"""Dashboard, alarms, notifications and the X-Ray switch."""

import json
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]

from hpo_constructs.errors import SpecError
from hpo_constructs.spec import TuningJobSpec

STACK = "ml"


@pytest.fixture(scope="module")
def watched(synthesized: Any, declare: Any) -> Any:
    """A stack with all of it, traced."""
    from aws_cdk import App, Duration, Stack

    from hpo_constructs.cdk import TuningJob
    from hpo_constructs.cdk.observability import TuningAlarms, TuningDashboard, TuningNotifications

    stack = Stack(App(context={"hpo:tracing": True}), STACK)
    jobs = [TuningJob(stack, name.title(), spec=TuningJobSpec.from_request(declare.single(name))) for name in "ab"]
    TuningDashboard(stack, "Dashboard", jobs=jobs)
    notifications = TuningNotifications(stack, "Notifications", job=jobs[0])
    TuningNotifications(stack, "Bad", job=jobs[1], topic=notifications.topic, statuses=["FAILED", "TIMED_OUT"])
    TuningAlarms(stack, "Alarms", job=jobs[0], stalled_after=Duration.hours(6), topic=notifications.topic)
    return synthesized(stack)


def machine(found: Any, job: str) -> str:
    (name,) = [
        name
        for name, each in found.resources.items()
        if each["Type"] == "AWS::StepFunctions::StateMachine"
        and f"/hpo/{STACK}/{job}/" in each["Properties"]["DefinitionString"]
    ]
    return f"${{{name}}}"


def test_cfn_lint_finds_nothing(watched: Any) -> None:
    assert [str(match) for match in lint(json.dumps(watched.template))] == []


def test_metrics_are_those_that_the_functions_write(watched: Any) -> None:
    """Namespace, names and dimensions of the alarm and the widgets are found in what `poll` prints for this stack."""
    from datetime import UTC, datetime

    from hpo_handlers.metrics import document

    (environment,) = {json.dumps(f["Environment"]["Variables"]) for f in watched.of_type("AWS::Lambda::Function")}
    written = document(
        {
            "HyperParameterTuningJobName": "a-0123456789",
            "HyperParameterTuningJobStatus": "Completed",
            "TrainingJobStatusCounters": {"Completed": 3},
            "CreationTime": datetime.now(UTC),
            "BestTrainingJob": {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "m", "Value": 0.5}},
        },
        json.loads(environment)["HPO_STACK_NAME"],
        datetime.now(UTC).timestamp(),
    )
    (metrics,) = written["_aws"]["CloudWatchMetrics"]
    (dimensions,) = metrics["Dimensions"]
    shared = [metrics["Namespace"], *[part for name in dimensions for part in (str(name), written[name])]]
    (board,) = watched.of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(board["DashboardBody"])["widgets"]
    shown = [
        [row[0], *row[2:6], row[1]]
        for widget in widgets
        for row in widget["properties"]["metrics"]
        if row[0] == metrics["Namespace"] and "a" in row
    ]
    assert shown and all(row[:5] == shared for row in shown)
    assert {row[5] for row in shown} <= {metric["Name"] for metric in metrics["Metrics"]}
    (stalled,) = [alarm for alarm in watched.of_type("AWS::CloudWatch::Alarm") if "MetricName" in alarm]
    assert stalled["Namespace"] == metrics["Namespace"]
    assert {each["Name"]: each["Value"] for each in stalled["Dimensions"]} == {n: written[n] for n in dimensions}
    assert stalled["MetricName"] in {metric["Name"] for metric in metrics["Metrics"]}


def test_dashboard_has_a_row_for_each_job(watched: Any) -> None:
    (board,) = watched.of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(board["DashboardBody"])["widgets"]
    titles = ["runs", "training jobs", "best objective", "run time"]
    assert [widget["properties"]["title"] for widget in widgets] == [f"{j}: {t}" for j in "ab" for t in titles]


def test_alarms_tell_the_topic(watched: Any) -> None:
    topic = f"${{{watched.logical_id('AWS::SNS::Topic')}}}"
    alarms = watched.of_type("AWS::CloudWatch::Alarm")
    assert len(alarms) == 2
    for alarm in alarms:
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
    (stalled,) = [alarm for alarm in alarms if "MetricName" in alarm]
    assert (stalled["Threshold"], stalled["Statistic"]) == (6 * 3600, "Minimum")
    (failed,) = [alarm for alarm in alarms if "Metrics" in alarm]
    states = {each["MetricStat"]["Metric"]["MetricName"] for each in failed["Metrics"] if "MetricStat" in each}
    assert states == {"ExecutionsFailed", "ExecutionsTimedOut", "ExecutionsAborted"}


def test_ends_of_runs_reach_the_topic_as_a_sentence(watched: Any) -> None:
    topic = f"${{{watched.logical_id('AWS::SNS::Topic')}}}"
    rules = [rule for rule in watched.of_type("AWS::Events::Rule") if rule["Targets"][0]["Arn"] == topic]
    (every,) = [rule for rule in rules if machine(watched, "a") in rule["EventPattern"]["detail"]["stateMachineArn"]]
    assert every["EventPattern"]["detail"]["status"] == ["SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"]
    assert every["EventPattern"]["source"] == ["aws.states"]
    (target,) = every["Targets"]
    text = json.loads(target["InputTransformer"]["InputTemplate"])
    filled = text
    for name, value in {"name": "r1", "status": "FAILED", "executionArn": "arn:x"}.items():
        filled = filled.replace(f"<detail-{name}>", value)
    assert filled == "Tuning job a: run r1 ended as FAILED. Execution: arn:x. Outputs: SSM parameters below /hpo/ml/a/"
    (bad,) = [rule for rule in rules if rule is not every]
    assert bad["EventPattern"]["detail"]["status"] == ["FAILED", "TIMED_OUT"]


def test_the_topic_takes_encrypted_connections_only(watched: Any) -> None:
    (policy,) = watched.of_type("AWS::SNS::TopicPolicy")
    denied = [each for each in policy["PolicyDocument"]["Statement"] if each["Effect"] == "Deny"]
    assert denied[0]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_tracing_is_a_switch(watched: Any, synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    stack = Stack(App(), STACK)
    TuningJob(stack, "A", spec=TuningJobSpec.from_request(declare.single("a")))
    dark = synthesized(stack)
    for found, on in ((watched, True), (dark, False)):
        for each in found.of_type("AWS::StepFunctions::StateMachine"):
            assert ("TracingConfiguration" in each) is on
        for function in found.of_type("AWS::Lambda::Function"):
            assert function.get("TracingConfig") == ({"Mode": "Active"} if on else None)
            role = str(function["Role"]).removeprefix("${").removesuffix(".Arn}")
            assert ("xray:PutTraceSegments" in found.allowed(role)) is on


@pytest.mark.parametrize("value", ["yes", 1, {}])
def test_tracing_is_true_or_false(declare: Any, value: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    stack = Stack(App(context={"hpo:tracing": value}), STACK)
    with pytest.raises(SpecError, match="must be true or false"):
        TuningJob(stack, "A", spec=TuningJobSpec.from_request(declare.single("a")))


def test_mistakes_in_the_arguments(declare: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob
    from hpo_constructs.cdk.observability import TuningDashboard, TuningNotifications

    stack = Stack(App(), STACK)
    job = TuningJob(stack, "A", spec=TuningJobSpec.from_request(declare.single("a")))
    with pytest.raises(SpecError, match="'BROKEN'"):
        TuningNotifications(stack, "N", job=job, statuses=["FAILED", "BROKEN"])
    with pytest.raises(SpecError, match="got none"):
        TuningNotifications(stack, "M", job=job, statuses=[])
    with pytest.raises(SpecError, match="at least one"):
        TuningDashboard(stack, "D", jobs=[])
