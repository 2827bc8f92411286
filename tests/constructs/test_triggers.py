"""What starts runs and what guards them, in the template."""

import json
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]

from hpo_constructs.errors import SpecError
from hpo_constructs.spec import TuningJobSpec
from hpo_constructs.spec.run import RunSettings


def made(declare: Any, *, wait: bool = True, seconds: int = 1800, **settings: Any) -> tuple[Any, Any]:
    """A stack with a job, and the job."""
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    stack = Stack(App(), "ml")
    request = declare.single()
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxRuntimeInSeconds"] = seconds
    return stack, TuningJob(stack, "Churn", spec=TuningJobSpec.from_request(request), run=RunSettings(**settings))


@pytest.fixture(scope="module")
def triggered(synthesized: Any, declare: Any) -> Any:
    """A job with every trigger."""
    from aws_cdk import Duration
    from aws_cdk import aws_events as events
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_scheduler as scheduler

    stack, job = made(declare)
    job.run_on_deploy(wait=True)
    job.run_on_schedule(
        "Nightly", scheduler.ScheduleExpression.cron(hour="3", minute="0"), time_window=Duration.minutes(30)
    )
    job.run_on_event("OnEvent", events.EventPattern(source=["team.data"]))
    data = s3.Bucket.from_bucket_name(stack, "Data", "team-data")
    job.run_on_new_data("OnData", data, "churn/train/", suffix="_SUCCESS")
    return synthesized(stack)


def test_cfn_lint_finds_nothing(triggered: Any) -> None:
    assert [str(match) for match in lint(json.dumps(triggered.template))] == []


def test_schedule_and_events_start_the_state_machine_and_nothing_else(triggered: Any) -> None:
    machine = triggered.outputs["ChurnStateMachineArn"]["Value"]
    (schedule,) = triggered.of_type("AWS::Scheduler::Schedule")
    assert schedule["ScheduleExpression"] == "cron(0 3 * * ? *)"
    assert schedule["FlexibleTimeWindow"] == {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    rules = [each for each in triggered.of_type("AWS::Events::Rule") if each["Targets"][0]["Arn"] == machine]
    assert len(rules) == 2
    for target in (schedule["Target"], *(rule["Targets"][0] for rule in rules)):
        assert target["Arn"] == machine
        role = target["RoleArn"].removeprefix("${").removesuffix(".Arn}")
        assert triggered.allowed(role) == {"states:StartExecution": {machine}}
    pattern = next(rule["EventPattern"] for rule in rules if rule["EventPattern"]["source"] == ["aws.s3"])
    assert pattern["detail"]["object"]["key"] == [{"wildcard": "churn/train/*_SUCCESS"}]
    assert pattern["detail"]["bucket"]["name"] == ["team-data"]


def test_a_bucket_of_the_app_is_told_to_send_its_events(synthesized: Any, declare: Any) -> None:
    from aws_cdk import aws_s3 as s3

    stack, job = made(declare)
    job.run_on_new_data("OnData", s3.Bucket(stack, "Own"), "churn/")
    found = synthesized(stack)
    (notifications,) = found.of_type("Custom::S3BucketNotifications")
    assert notifications["NotificationConfiguration"] == {"EventBridgeConfiguration": {}}
    assert any("aws.s3" in json.dumps(rule["EventPattern"]) for rule in found.of_type("AWS::Events::Rule"))


def test_what_starts_runs_is_deleted_before_the_runs_are_stopped(triggered: Any) -> None:
    (runs,) = [name for name, each in triggered.resources.items() if each["Type"] == "Custom::HyperparameterTuningRuns"]
    starters = [
        each
        for each in triggered.resources.values()
        if each["Type"] in {"AWS::Scheduler::Schedule", "Custom::HyperparameterTuningRun"}
        or (each["Type"] == "AWS::Events::Rule" and "Guard" not in json.dumps(each["Properties"]["Targets"]))
    ]
    assert len(starters) == 4
    assert all(runs in each["DependsOn"] for each in starters)


def test_run_at_deployment_may_run_its_own_state_machine_only(triggered: Any) -> None:
    machine = triggered.outputs["ChurnStateMachineArn"]["Value"]
    allowed = triggered.allowed(triggered.function_role("hpo_handlers.deploy.handler"))
    assert machine in allowed["states:StartExecution"]
    assert len(allowed["states:StartExecution"]) == 2  # and the machine that waits
    assert allowed["states:StopExecution"] == {triggered.executions("Churn")}


@pytest.fixture(scope="module")
def identity(synthesized: Any, declare: Any) -> Any:
    def of(**changes: Any) -> dict[str, Any]:
        stack, job = made(declare, **changes)
        job.run_on_deploy(wait=changes.get("wait", True))
        (run,) = synthesized(stack).of_type("Custom::HyperparameterTuningRun")
        return {name: run.get(name) for name in ("DeclarationHash", "References", "RunId")}

    return of


def test_identity_of_a_run_follows_the_declaration(identity: Any) -> None:
    assert identity() == identity() == identity(wait=False) == identity(overlap="skip", replace_best_by=0.1)
    assert identity()["DeclarationHash"] != identity(seconds=1700)["DeclarationHash"]
    assert identity(run_id="two") == {**identity(), "RunId": "two"}


def test_identity_has_the_values_that_only_the_deployment_knows(identity: Any) -> None:
    """The declaration names a bucket of its account; no part of the role that the construct makes belongs to it."""
    assert sorted(identity()["References"]) == [
        "s3://data-${AWS::AccountId}/churn/train/",
        "s3://data-${AWS::AccountId}/churn/validation/",
        "s3://models-${AWS::Region}/churn",
    ]


def test_attributes_need_a_deployment_that_waits(declare: Any) -> None:
    _, job = made(declare)
    run = job.run_on_deploy()
    assert run.attribute("TuningJobName")
    with pytest.raises(SpecError, match="deploy with wait=True"):
        run.attribute("ModelArtifacts")
    with pytest.raises(SpecError, match="unknown attribute 'Model'"):
        run.attribute("Model")


def test_guard_watches_every_machine_of_the_stack(synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    count = 30
    stack = Stack(App(context={"hpo:quotas": {"instances_per_type": count, "instances_total": count}}), "ml")
    for number in range(count):
        TuningJob(stack, f"Job{number}", spec=TuningJobSpec.from_request(declare.single(f"job-{number}")))
    found = synthesized(stack)
    rules = found.of_type("AWS::Events::Rule")
    machines = [arn for rule in rules for arn in rule["EventPattern"]["detail"]["stateMachineArn"]]
    assert sorted(machines) == sorted(found.outputs[f"Job{number}StateMachineArn"]["Value"] for number in range(count))
    for rule in rules:
        assert rule["EventPattern"]["detail"]["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
        # An ARN is not longer than this, a pattern not than 2,048 characters.
        longest = {**rule["EventPattern"], "detail": {**rule["EventPattern"]["detail"]}}
        longest["detail"]["stateMachineArn"] = ["x" * 142] * len(rule["EventPattern"]["detail"]["stateMachineArn"])
        assert len(json.dumps(longest, separators=(",", ":"))) <= 2048
    (runs,) = found.of_type("Custom::HyperparameterTuningRuns")
    assert [each["StateMachineArn"] for each in runs["TuningJobs"]] == machines
    assert [each["DeclaredNames"] for each in runs["TuningJobs"]] == [[f"job-{number}"] for number in range(count)]


@pytest.mark.parametrize(
    ("seconds", "settings", "wait", "rules"),
    [
        (3000, {}, True, []),
        (3600, {}, True, ["deploy-wait"]),
        (3600, {}, False, []),
        (2_592_000, {}, False, []),
        (15_768_000, {"overlap": "queue"}, False, ["poll-history-budget"]),
        (15_768_000, {"overlap": "allow"}, False, []),
    ],
)
def test_findings_of_the_deployment(
    declare: Any, seconds: int, settings: dict[str, Any], wait: bool, rules: list[str]
) -> None:
    from hpo_constructs.cdk import deployment_checks as checks
    from hpo_handlers.contract import Overlap

    request = declare.single()
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxRuntimeInSeconds"] = seconds
    found = list(checks.run_findings(request, Overlap(settings.get("overlap", "queue"))))
    if wait:
        found += checks.deploy_wait_findings(request)
    assert [finding.rule for finding in found] == rules
    assert all(finding.fix and finding.source.startswith("https://") and finding.severity.fails for finding in found)


def test_hyperparameters_too_long_for_a_parameter_are_told(declare: Any) -> None:
    from hpo_constructs.cdk import deployment_checks as checks
    from hpo_handlers.contract import Overlap

    request = declare.single()
    ranges = request["HyperParameterTuningJobConfig"]["ParameterRanges"]
    ranges["CategoricalParameterRanges"] = [
        {"Name": f"choice-{number}", "Values": ["short", "v" * 250]} for number in range(28)
    ]
    (finding,) = checks.run_findings(request, Overlap.QUEUE)
    assert (finding.rule, finding.severity.fails) == ("ssm-size", False)


def test_a_deployment_that_cannot_wait_fails_the_synthesis(declare: Any) -> None:
    from aws_cdk import App

    stack, job = made(declare, seconds=7200)
    job.run_on_deploy(wait=True)
    app = stack.node.root
    assert isinstance(app, App)
    with pytest.raises(RuntimeError, match="deploy-wait"):
        app.synth()
