"""The functions' IAM statements against what their code calls, recorded on a deployed stack.

moto lets every call pass. Here the calls of each function are recorded while a stack lives through all kinds of ends,
and compared with its role: nothing is called that the role does not allow, on just these resources, and nothing is
allowed that is not called.
"""

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from .conftest import Deployed, request, until

ACCOUNT, REGION = "123456789012", "us-east-1"
RECORDER = """
import json, os

if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
    from botocore.client import BaseClient

    call = BaseClient._make_api_call

    def recorded(self, operation, arguments):
        with open(os.environ["RECORD"], "a") as file:
            handler = os.environ["_HANDLER"]
            file.write(json.dumps([handler, self.meta.service_model.service_name, operation, arguments]) + "\\n")
        return call(self, operation, arguments)

    BaseClient._make_api_call = recorded
"""
# Allowed although the code never calls them by name: the create call needs them.
WITH_CREATE = {"iam:PassRole", "sagemaker:AddTags"}
# The member that names what a call is about, and the ARN's form.
RESOURCES = {
    "HyperParameterTuningJobName": "arn:aws:sagemaker:{place}:hyper-parameter-tuning-job/{value}",
    "TrainingJobName": "arn:aws:sagemaker:{place}:training-job/{value}",
    "Name": "arn:aws:ssm:{place}:parameter{value}",
    "stateMachineArn": "{value}",
    "executionArn": "{value}",
}


def build(stack: Any, folder: Path, *, run_id: str, wait: bool) -> None:
    from aws_cdk import CfnOutput
    from aws_cdk import aws_lambda as lambda_

    from hpo_constructs.cdk import TuningJob
    from hpo_constructs.cdk.runtime import TuningRuntime
    from hpo_constructs.spec import TuningJobSpec
    from hpo_constructs.spec.run import RunSettings

    spec = TuningJobSpec.from_request(request("recorded"))
    job = TuningJob(stack, "Recorded", spec=spec, run=RunSettings(run_id=run_id, replace_best_by=0.0))
    CfnOutput(stack, "Execution", value=job.run_on_deploy(wait=wait).execution_arn)
    for construct in TuningRuntime.of(stack).node.find_all():
        if isinstance(construct, lambda_.Function):
            construct.add_environment("PYTHONPATH", str(folder))
            construct.add_environment("RECORD", str(folder / "calls.jsonl"))


def allowed(deployed: Deployed, stack: str) -> dict[str, list[tuple[str, str]]]:
    """The actions and resources that the role of each handler has, as deployed."""
    iam, functions = deployed.endpoint.client("iam"), deployed.endpoint.client("lambda")
    found: dict[str, list[tuple[str, str]]] = {}
    for function in functions.list_functions()["Functions"]:
        if not function["FunctionName"].startswith(stack):
            continue
        role = function["Role"].rpartition("/")[2]
        documents = [
            iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
        ]
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            documents.append(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])
        for statement in (each for document in documents for each in document["Statement"]):
            for action in _listed(statement["Action"]):
                found.setdefault(function["Handler"], []).extend(
                    (action, resource) for resource in _listed(statement["Resource"])
                )
    return found


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


@pytest.fixture(scope="module")
def recorded(
    deployed: Deployed, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[list[tuple[str, str, str]], dict[str, list[tuple[str, str]]]]]:
    """Calls as handler, action and resource, and what the roles allow."""
    folder = tmp_path_factory.mktemp("recorder")
    (folder / "sitecustomize.py").write_text(RECORDER)
    stack = "permissions"
    # A run that publishes, waited for; one that fails and tells why.
    deployed.script("recorded", statuses=["InProgress", "Completed"])
    deployed.deploy(stack, lambda app: build(app, folder, run_id="one", wait=True))
    roles = allowed(deployed, stack)
    deployed.ended(deployed.start("Recorded"))
    deployed.script("recorded", statuses=["Failed"], best=None, failures=["AlgorithmError: no such label"])
    deployed.ended(deployed.start("Recorded"))
    # One that is aborted while it runs, and one that is aborted before its tuning job is there.
    deployed.script("recorded", statuses=["InProgress"])
    aborted = deployed.start("Recorded")
    until(lambda: deployed.status("recorded", aborted) == "InProgress")
    deployed.stepfunctions.stop_execution(executionArn=aborted)
    until(lambda: deployed.status("recorded", aborted) in {"Stopping", "Stopped"})
    # One that a changed deployment replaces, one of that deployment, and one that the deletion of the stack ends.
    deployed.deploy(stack, lambda app: build(app, folder, run_id="two", wait=False))
    until(lambda: deployed.status("recorded", deployed.outputs["Execution"]) == "InProgress")
    deployed.deploy(stack, lambda app: build(app, folder, run_id="three", wait=False))
    until(lambda: deployed.status("recorded", deployed.outputs["Execution"]) == "InProgress")
    deployed.stepfunctions.stop_execution(executionArn=deployed.outputs["Execution"])
    # A deployment that waits for it all the same is told what is published.
    deployed.deploy(stack, lambda app: build(app, folder, run_id="three", wait=True))
    last = deployed.start("Recorded")
    until(lambda: deployed.status("recorded", last) == "InProgress")
    deployed.delete(stack)
    yield [called(*json.loads(line)) for line in (folder / "calls.jsonl").read_text().splitlines()], roles


def called(handler: str, service: str, operation: str, arguments: dict[str, Any]) -> tuple[str, str, str]:
    prefix = {"stepfunctions": "states"}.get(service, service)
    (member,) = [name for name in RESOURCES if name in arguments]
    resource = RESOURCES[member].format(place=f"{REGION}:{ACCOUNT}", value=arguments[member])
    return handler, f"{prefix}:{operation}", resource


def test_every_function_was_called(recorded: Any) -> None:
    calls, roles = recorded
    assert {handler for handler, _, _ in calls} == set(roles)


def test_roles_allow_every_call_on_its_resource(recorded: Any) -> None:
    calls, roles = recorded
    refused = {
        call
        for call in calls
        if not any(action == call[1] and fnmatchcase(call[2], resource) for action, resource in roles[call[0]])
    }
    assert refused == set()


def test_roles_allow_nothing_that_is_not_called(recorded: Any) -> None:
    calls, roles = recorded
    made = {(handler, action) for handler, action, _ in calls}
    unused = {
        (handler, action)
        for handler, statements in roles.items()
        for action, _ in statements
        if (handler, action) not in made and not action.startswith("logs:") and action not in WITH_CREATE
    }
    rare = {
        # An execution that ends in the very second in which it creates its tuning job.
        ("hpo_handlers.create.handler", "sagemaker:DescribeHyperParameterTuningJob"),
        ("hpo_handlers.create.handler", "sagemaker:StopHyperParameterTuningJob"),
        # A replaced run's tuning job, which the guard may stop first.
        ("hpo_handlers.deploy.handler", "sagemaker:StopHyperParameterTuningJob"),
        # A job with a budget, which this one does not state.
        ("hpo_handlers.poll.handler", "sagemaker:ListTrainingJobsForHyperParameterTuningJob"),
        ("hpo_handlers.poll.handler", "sagemaker:StopHyperParameterTuningJob"),
    }
    assert unused <= rare
