"""What starts runs by itself, on the deployed stack: deployments that wait or do not, and new data."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from hpo_handlers.contract import tuning_job_name

from .conftest import Deployed, request, until

STACK = "triggers"


def build(stack: Any, *, wait: bool, seconds: int = 3000, run_id: str | None = None, bucket: str | None = None) -> None:
    """A job that runs at deployment, its model's place in an output and a parameter."""
    from aws_cdk import CfnOutput
    from aws_cdk import aws_s3 as s3
    from aws_cdk import aws_ssm as ssm

    from hpo_constructs.cdk import TuningJob
    from hpo_constructs.spec import TuningJobSpec
    from hpo_constructs.spec.run import RunSettings

    spec = TuningJobSpec.from_request(request("deployed", seconds=seconds))
    job = TuningJob(stack, "Deployed", spec=spec, run=RunSettings(run_id=run_id))
    run = job.run_on_deploy(wait=wait)
    CfnOutput(stack, "Execution", value=run.execution_arn)
    if wait:
        ssm.StringParameter(
            stack, "Model", parameter_name=f"/{stack.stack_name}/model", string_value=run.attribute("ModelArtifacts")
        )
    if bucket:
        job.run_on_new_data("NewData", s3.Bucket.from_bucket_name(stack, "Data", bucket), "train/", suffix="_SUCCESS")


@pytest.fixture
def deployed_once(deployed: Deployed, unique: str) -> Iterator[str]:
    """The name of a stack, which is gone after the test."""
    name = f"{STACK}-{unique}"
    deployed.script("deployed", statuses=["InProgress", "Completed"])
    yield name
    if any(each["StackName"] == name for each in deployed.cloudformation.describe_stacks()["Stacks"]):
        deployed.delete(name)


def executions(deployed: Deployed) -> list[str]:
    found = deployed.stepfunctions.list_executions(stateMachineArn=deployed.machine("Deployed"))["executions"]
    return [each["executionArn"] for each in found]


def test_a_deployment_waits_for_its_run_and_hands_on_the_best_job(deployed: Deployed, deployed_once: str) -> None:
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=True))
    first = deployed.outputs["Execution"]
    assert deployed.stepfunctions.describe_execution(executionArn=first)["status"] == "SUCCEEDED"
    name = tuning_job_name("deployed", first)
    model = deployed.ssm.get_parameter(Name=f"/{deployed_once}/model")["Parameter"]["Value"]
    assert model == f"s3://models/{name}/model.tar.gz"

    # Something else changes: no new run, the same attributes.
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False))
    assert (deployed.outputs["Execution"], executions(deployed)) == (first, [first])
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=True))
    assert (deployed.outputs["Execution"], executions(deployed)) == (first, [first])
    model = deployed.ssm.get_parameter(Name=f"/{deployed_once}/model")["Parameter"]["Value"]
    assert model == f"s3://models/{name}/model.tar.gz"

    # The declaration changes, then the run's id.
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=True, seconds=2900))
    second = deployed.outputs["Execution"]
    assert second != first
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=True, seconds=2900, run_id="again"))
    third = deployed.outputs["Execution"]
    assert sorted(executions(deployed)) == sorted({first, second, third})
    model = deployed.ssm.get_parameter(Name=f"/{deployed_once}/model")["Parameter"]["Value"]
    assert model == f"s3://models/{tuning_job_name('deployed', third)}/model.tar.gz"


def test_a_deployment_fails_with_its_run_and_the_roll_back_runs_nothing(deployed: Deployed, deployed_once: str) -> None:
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=True))
    first = deployed.outputs["Execution"]
    deployed.script("deployed", statuses=["Failed"], best=None, failures=["AlgorithmError: no such label"])
    described = deployed.deploy(deployed_once, lambda stack: build(stack, wait=True, seconds=2900), succeeds=False)
    assert described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    reasons = " ".join(deployed.reasons(deployed_once))
    assert "the run ended as FAILED: HyperparameterTuningJobFailed" in reasons
    assert "AlgorithmError: no such label" in reasons
    assert len(executions(deployed)) == 2
    # The next deployment of the former declaration runs nothing either.
    deployed.script("deployed", statuses=["Completed"])
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False))
    assert deployed.outputs["Execution"] == first
    assert len(executions(deployed)) == 2


def test_a_failed_first_run_rolls_the_stack_back(deployed: Deployed, deployed_once: str) -> None:
    deployed.script("deployed", statuses=["Stopped"])
    described = deployed.deploy(deployed_once, lambda stack: build(stack, wait=True), succeeds=False)
    assert described["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "HyperparameterTuningJobStopped" in " ".join(deployed.reasons(deployed_once))


def test_without_waiting_a_changed_run_replaces_the_former_one_and_deletion_stops_it(
    deployed: Deployed, deployed_once: str
) -> None:
    deployed.script("deployed", statuses=["InProgress"])
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False))
    first = deployed.outputs["Execution"]
    until(lambda: deployed.status("deployed", first) == "InProgress")
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False, run_id="two"))
    second = deployed.outputs["Execution"]
    assert deployed.ended(first)["status"] == "ABORTED"
    until(lambda: deployed.status("deployed", first) in {"Stopping", "Stopped"})
    # It has waited for its turn.
    until(lambda: deployed.status("deployed", second) == "InProgress")
    assert deployed.delete(deployed_once) == "DELETE_COMPLETE"
    assert deployed.status("deployed", second) in {"Stopping", "Stopped"}


def test_the_deletion_of_a_stack_stops_runs_of_any_origin(deployed: Deployed, deployed_once: str) -> None:
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False))
    deployed.ended(deployed.outputs["Execution"])
    deployed.script("deployed", statuses=["InProgress"])
    started = deployed.start("Deployed")
    until(lambda: deployed.status("deployed", started) == "InProgress")
    assert deployed.delete(deployed_once) == "DELETE_COMPLETE"
    assert deployed.status("deployed", started) in {"Stopping", "Stopped"}


def test_new_data_starts_a_run(deployed: Deployed, deployed_once: str, unique: str) -> None:
    bucket = f"data-{unique}"
    s3 = deployed.endpoint.client("s3")
    s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}})
    deployed.deploy(deployed_once, lambda stack: build(stack, wait=False, bucket=bucket))
    deployed.ended(deployed.outputs["Execution"])
    for key in ("train/part-1.csv", "elsewhere/_SUCCESS"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    s3.put_object(Bucket=bucket, Key="train/_SUCCESS", Body=b"")
    until(lambda: len(executions(deployed)) == 2)
    (started,) = set(executions(deployed)) - {deployed.outputs["Execution"]}
    assert deployed.ended(started)["status"] == "SUCCEEDED"
    given = deployed.stepfunctions.describe_execution(executionArn=started)["input"]
    assert json.loads(given)["detail"]["object"]["key"] == "train/_SUCCESS"
    assert len(executions(deployed)) == 2
