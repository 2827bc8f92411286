"""The synthesized stack on a local endpoint whose SageMaker follows scripts."""

import itertools
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from hpo_constructs.local import LocalEndpoint
from hpo_handlers.contract import tuning_job_name

_SERVER = Path(__file__).with_name("server.py")
_numbers = itertools.count()
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"


class ScriptedEndpoint(LocalEndpoint):
    """A local endpoint that runs `server.py` beside this file."""

    @staticmethod
    def _spawn(command: list[str], child_end: Any, log: IO[bytes]) -> subprocess.Popen[bytes]:
        module = command.index("hpo_constructs.local.server")
        return LocalEndpoint._spawn([sys.executable, str(_SERVER), *command[module + 1 :]], child_end, log)


def request(name: str, *, seconds: int = 3000) -> dict[str, Any]:
    """A declared tuning job of one algorithm."""

    def channel(channel_name: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://data/{channel_name}/"}
        return {"ChannelName": channel_name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}

    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ResourceLimits": {
                "MaxNumberOfTrainingJobs": 5,
                "MaxParallelTrainingJobs": 1,
                "MaxRuntimeInSeconds": seconds,
            },
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}]},
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "StaticHyperParameters": {"num_round": "5", "objective": "binary:logistic"},
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": "s3://models/churn"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 900},
        },
    }


class Deployed:
    """A stack on the endpoint: starts its runs and looks at what they leave."""

    def __init__(self, endpoint: LocalEndpoint, folder: Path) -> None:
        self.endpoint = endpoint
        self._folder = folder
        self.cloudformation = endpoint.client("cloudformation")
        self.stepfunctions = endpoint.client("stepfunctions")
        self.sagemaker = endpoint.client("sagemaker")
        self.ssm = endpoint.client("ssm")
        self.outputs: dict[str, str] = {}

    def deploy(self, name: str, build: Callable[[Any], None], *, succeeds: bool = True) -> dict[str, Any]:
        """Synthesizes a stack, filled by `build`, and creates or updates it; its description at the end."""
        from aws_cdk import App, DefaultStackSynthesizer, Environment, Stack

        out = self._folder / f"out-{next(_numbers)}"
        app = App(outdir=str(out))
        stack = Stack(
            app,
            name,
            env=Environment(account="123456789012", region="us-east-1"),
            synthesizer=DefaultStackSynthesizer(generate_bootstrap_version_rule=False),
        )
        build(stack)
        app.synth()
        self._upload(out, json.loads((out / f"{name}.assets.json").read_text()))
        template = {"StackName": name, "TemplateBody": (out / f"{name}.template.json").read_text()}
        if any(each["StackName"] == name for each in self.cloudformation.describe_stacks()["Stacks"]):
            self.cloudformation.update_stack(**template)
        else:
            self.cloudformation.create_stack(**template)
        described = self.settled(name)
        if succeeds:
            assert described["StackStatus"] in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, self.reasons(name)
            self.outputs = {each["OutputKey"]: each["OutputValue"] for each in described.get("Outputs", ())}
        return described

    def settled(self, name: str) -> dict[str, Any]:
        def ended() -> Any:
            (stack,) = self.cloudformation.describe_stacks(StackName=name)["Stacks"]
            return None if stack["StackStatus"].endswith("_IN_PROGRESS") else stack

        return dict(until(ended, seconds=60))

    def reasons(self, name: str) -> list[str]:
        events = self.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
        return [each["ResourceStatusReason"] for each in events if each.get("ResourceStatusReason")]

    def delete(self, name: str) -> str:
        identifier = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]["StackId"]
        self.cloudformation.delete_stack(StackName=name)
        return str(self.settled(identifier)["StackStatus"])

    def _upload(self, out: Path, assets: dict[str, Any]) -> None:
        s3 = self.endpoint.client("s3")
        for asset in assets["files"].values():
            source = out / asset["source"]["path"]
            (destination,) = asset["destinations"].values()
            bucket = destination["bucketName"]
            if bucket not in {each["Name"] for each in s3.list_buckets()["Buckets"]}:
                s3.create_bucket(Bucket=bucket)
            if asset["source"]["packaging"] == "zip":
                source = Path(shutil.make_archive(str(source), "zip", source))
            s3.upload_file(str(source), bucket, destination["objectKey"])

    # Runs

    def script(self, name: str, **script: Any) -> None:
        """Says what a tuning job does: one of a run, or all of a declared name."""
        folder = self.endpoint.work_dir / "scripts"
        folder.mkdir(exist_ok=True)
        half = folder / f"{name}.part"
        half.write_text(json.dumps(script))
        half.rename(folder / f"{name}.json")

    def machine(self, job_id: str) -> str:
        return self.outputs[f"{job_id}StateMachineArn"]

    def start(self, job_id: str, name: str | None = None) -> str:
        name = name or f"run-{next(_numbers)}"
        return str(self.stepfunctions.start_execution(stateMachineArn=self.machine(job_id), name=name)["executionArn"])

    def execution_arn(self, job_id: str, name: str) -> str:
        return f"{self.machine(job_id).replace(':stateMachine:', ':execution:')}:{name}"

    def ended(self, execution: str, *, seconds: float = 40) -> dict[str, Any]:
        def described() -> Any:
            found = self.stepfunctions.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return dict(until(described, seconds=seconds))

    def status(self, declared: str, execution: str) -> str | None:
        """The status of an execution's tuning job; None without one."""
        return self.statuses().get(tuning_job_name(declared, execution))

    def statuses(self) -> dict[str, str]:
        jobs = self.sagemaker.list_hyper_parameter_tuning_jobs()["HyperParameterTuningJobSummaries"]
        return {job["HyperParameterTuningJobName"]: job["HyperParameterTuningJobStatus"] for job in jobs}

    def parameters(self, job_id: str) -> dict[str, str]:
        prefix = self.outputs[f"{job_id}OutputPrefix"]
        pages = self.ssm.get_paginator("get_parameters_by_path").paginate(Path=prefix.rstrip("/"))
        return {each["Name"].removeprefix(prefix): each["Value"] for page in pages for each in page["Parameters"]}

    def calls(self, name: str) -> list[str]:
        """The operations that were called about a tuning job, in order, with their faults."""
        lines = (self.endpoint.work_dir / "calls.jsonl").read_text().splitlines()
        calls = [json.loads(line) for line in lines]
        return [operation + (f" ({fault})" if fault else "") for _, operation, of, fault in calls if of == name]


def until(condition: Callable[[], Any], *, seconds: float = 30.0) -> Any:
    """The first true value of a condition; fails when none comes in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.05)
    return value


@pytest.fixture(scope="session", autouse=True)
def _quick_synthesis() -> Iterator[None]:
    """Set before the first import of aws_cdk; the constructs' own tests validate the templates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CDK_VALIDATION", "false")
        yield


@pytest.fixture(scope="session")
def endpoint() -> Iterator[LocalEndpoint]:
    """One for each pytest-xdist worker; its state machines wait a hundredth of their time."""
    with ScriptedEndpoint(wait_scale=0.01) as running:
        yield running


@pytest.fixture(scope="session")
def deployed(endpoint: LocalEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return Deployed(endpoint, tmp_path_factory.mktemp("assemblies"))


@pytest.fixture
def unique() -> str:
    """A name for runs that no other test on the same endpoint uses."""
    return f"run-{next(_numbers)}"


def _build(stack: Any) -> None:
    from aws_cdk import CfnOutput
    from aws_cdk import aws_stepfunctions as sfn

    from hpo_constructs.cdk import TuningFragment, TuningJob
    from hpo_constructs.spec import TuningJobSpec
    from hpo_constructs.spec.run import RunSettings

    def job(id: str, **settings: Any) -> None:
        spec = TuningJobSpec.from_request(request(id.lower()))
        TuningJob(stack, id, spec=spec, run=RunSettings(**settings))

    job("Plain", overlap="allow")
    job("Gated", overlap="allow", on_stopped="accept_best", min_completed_training_jobs=2, required_objective_value=0.8)
    job("Margin", overlap="allow", replace_best_by=0.05)
    job("Broken", overlap="allow", replace_best_by=0.05)
    job("Queued")
    job("Skipping", overlap="skip")
    job("Chaos", overlap="allow")

    fragment = TuningFragment(stack, "Inner", spec=TuningJobSpec.from_request(request("inner")), result_path="$.tuned")
    after = sfn.Pass(stack, "After", input_path="$.tuned.objective-metric-value", result_path="$.after")
    own = sfn.StateMachine(stack, "Own", definition_body=sfn.DefinitionBody.from_chainable(fragment.next(after)))
    fragment.guard(own)
    CfnOutput(stack, "OwnStateMachineArn", value=own.state_machine_arn)


@pytest.fixture(scope="session")
def jobs(endpoint: LocalEndpoint, tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    """One stack with the jobs of all scenarios; its outputs are its own, whatever else is deployed."""
    stack = Deployed(endpoint, tmp_path_factory.mktemp("jobs"))
    stack.deploy("jobs", _build)
    return stack
