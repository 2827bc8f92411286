"""The real CDK CLI deploys, changes and destroys an app on the local endpoint."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint

from .conftest import until

ROOT = Path(__file__).parents[2]
APP = """
    import os
    from aws_cdk import App, CfnOutput, CustomResource, Environment, Stack, Tags
    from aws_cdk import aws_lambda, aws_logs, aws_ssm, aws_stepfunctions, aws_stepfunctions_tasks

    app = App()
    environment = Environment(account=os.environ["CDK_DEFAULT_ACCOUNT"], region=os.environ["CDK_DEFAULT_REGION"])
    stack = Stack(app, "Probe", env=environment)
    value = app.node.get_context("value")
    log = aws_logs.LogGroup(stack, "Log", retention=aws_logs.RetentionDays.ONE_WEEK)
    common = dict(runtime=aws_lambda.Runtime.PYTHON_3_13, architecture=aws_lambda.Architecture.ARM_64,
                  code=aws_lambda.Code.from_asset("code"))
    function = aws_lambda.Function(stack, "Function", handler="app.handler", log_group=log,
                                   environment={"PROBE_VALUE": value}, **common)
    answering = aws_lambda.Function(stack, "Answering", handler="app.custom", **common)
    custom = CustomResource(stack, "Custom", resource_type="Custom::Probe",
                            service_token=answering.function_arn, properties={"Value": value})
    parameter = aws_ssm.StringParameter(stack, "Parameter", parameter_name="/probe/value",
                                        string_value=custom.get_att_string("Value"))
    parameter.grant_read(function)
    call = aws_stepfunctions_tasks.LambdaInvoke(stack, "Call", lambda_function=function, output_path="$.Payload")
    machine = aws_stepfunctions.StateMachine(
        stack, "Machine", definition_body=aws_stepfunctions.DefinitionBody.from_chainable(call),
        logs=aws_stepfunctions.LogOptions(destination=log, level=aws_stepfunctions.LogLevel.ALL))
    Tags.of(stack).add("team", "probe")
    CfnOutput(stack, "MachineArn", value=machine.state_machine_arn)
    CfnOutput(stack, "Value", value=custom.get_att_string("Value"))
    app.synth()
"""
CODE = """
    import json, os, urllib.request
    import boto3

    def handler(event, context):
        parameter = boto3.client("ssm").get_parameter(Name="/probe/value")["Parameter"]["Value"]
        return {"parameter": parameter, "environment": os.environ["PROBE_VALUE"]}

    def custom(event, context):
        data = {"Value": "custom-" + event["ResourceProperties"]["Value"]}
        body = json.dumps({"Status": "SUCCESS", "PhysicalResourceId": "probe", "Data": data}).encode()
        urllib.request.urlopen(urllib.request.Request(event["ResponseURL"], data=body, method="PUT"))
"""


class Cdk:
    """The CDK CLI in a folder with an app."""

    def __init__(self, endpoint: LocalEndpoint, folder: Path, program: str) -> None:
        self._folder = folder
        self._program = program
        # A proxy that nothing listens on: a look beyond loopback (notices, telemetry) would fail or be seen.
        nowhere = "http://127.0.0.1:9"
        base = {**os.environ, "HTTPS_PROXY": nowhere, "HTTP_PROXY": nowhere, "AWS_PROFILE": "production"}
        base["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), base["PATH"]])
        # The synthesis has tests of its own, with validation.
        self._environment = {**endpoint.child_environment(base), "CDK_VALIDATION": "false"}

    def __call__(self, *arguments: str, folder: Path | None = None) -> str:
        run = subprocess.run(
            [self._program, *arguments],
            cwd=folder or self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
        return run.stdout + run.stderr

    def deploy(self, value: str, *arguments: str) -> dict[str, str]:
        """Deploy the app with a value in its context; the stack's outputs."""
        self("deploy", "--require-approval", "never", "-c", f"value={value}", "--outputs-file", "out.json", *arguments)
        outputs: dict[str, str] = json.loads((self._folder / "out.json").read_text())["Probe"]
        return outputs


def _program() -> str | None:
    for place in (Path(sys.executable).parent, ROOT / "node_modules" / ".bin"):
        if (place / "cdk").exists():
            return str(place / "cdk")
    return shutil.which("cdk")


@pytest.mark.cdk_cli
def test_an_app_is_bootstrapped_deployed_changed_and_destroyed(tmp_path: Path) -> None:
    program = _program()
    assert program, "the CDK CLI is not installed: run scripts/setup"
    (tmp_path / "code").mkdir()
    (tmp_path / "app.py").write_text(textwrap.dedent(APP))
    (tmp_path / "code" / "app.py").write_text(textwrap.dedent(CODE))
    (tmp_path / "cdk.json").write_text(json.dumps({"app": f"{sys.executable} app.py"}))
    with LocalEndpoint() as endpoint:
        cdk = Cdk(endpoint, tmp_path, program)
        # In a folder without an app, which would be synthesized first.
        cdk("bootstrap", f"aws://{endpoint.account_id}/{endpoint.region}", folder=tmp_path / "code")
        states, ssm = endpoint.client("stepfunctions"), endpoint.client("ssm")

        def run(arn: str) -> Any:
            execution = states.start_execution(stateMachineArn=arn)["executionArn"]

            def ended() -> Any:
                found = states.describe_execution(executionArn=execution)
                return None if found["status"] == "RUNNING" else found

            return json.loads(until(ended)["output"])

        first = cdk.deploy("one")
        assert first["Value"] == "custom-one"
        assert run(first["MachineArn"]) == {"parameter": "custom-one", "environment": "one"}

        # Code, environment, custom resource and parameter change; the machine stays.
        code = (tmp_path / "code" / "app.py").read_text().replace('"parameter": p', '"changed": p')
        (tmp_path / "code" / "app.py").write_text(code)
        second = cdk.deploy("two")
        assert second == {**first, "Value": "custom-two"}
        assert run(first["MachineArn"]) == {"changed": "custom-two", "environment": "two"}

        assert "no changes" in cdk("deploy", "--require-approval", "never", "-c", "value=two")

        cdk("destroy", "--force", "-c", "value=two")
        assert states.list_state_machines()["stateMachines"] == []
        assert endpoint.client("lambda").list_functions()["Functions"] == []
        with pytest.raises(ssm.exceptions.ParameterNotFound):
            ssm.get_parameter(Name="/probe/value")
