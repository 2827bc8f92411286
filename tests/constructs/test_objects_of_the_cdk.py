"""Buckets, keys and networks of the app: what a job receives from them, and how the unknown is reported."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.errors import SpecError
from hpo_constructs.spec import TuningJobSpec


def job_in(stack: Any, request: dict[str, Any]) -> Any:
    from hpo_constructs.cdk import TuningJob

    return TuningJob(stack, "Churn", spec=TuningJobSpec.from_request(request))


def test_grants_to_the_job_reach_its_training_role(synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_kms as kms

    stack = Stack(App(), "ml")
    job = job_in(stack, declare.single())
    assert kms.Key(stack, "Key").grant_decrypt(job).success
    found = synthesized(stack)
    key = next(name for name in found.resources if name.startswith("Key"))
    assert found.allowed(found.training_role("churn"))["kms:Decrypt"] == {f"${{{key}.Arn}}"}


def test_a_job_without_a_role_of_its_own_takes_no_grants(declare: Any) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_s3 as s3

    stack = Stack(App(), "ml")
    job = job_in(stack, declare.single(RoleArn="arn:aws:iam::123456789012:role/own"))
    assert job.training_role is None
    with pytest.raises(RuntimeError, match="every definition of churn names its own role"):
        s3.Bucket(stack, "Data").grant_read(job)


def test_a_vpc_of_the_app(synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_ec2 as ec2

    from hpo_constructs.cdk import vpc_config

    stack = Stack(App(), "ml")
    vpc = ec2.Vpc(stack, "Vpc", max_azs=2)
    group = ec2.SecurityGroup(stack, "Group", vpc=vpc)
    private = vpc_config(vpc, security_groups=[group])
    public = vpc_config(
        vpc, security_groups=[group], vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC)
    )
    assert len(private.subnets) == 2
    assert not set(private.subnets) & set(public.subnets)
    request = {"Subnets": list(private.subnets), "SecurityGroupIds": list(private.security_group_ids)}
    job_in(stack, declare.single(VpcConfig=request))
    found = synthesized(stack)
    allowed = found.allowed(found.training_role("churn"))["ec2:CreateNetworkInterface"]
    subnets = {
        name for name, each in found.resources.items() if each["Type"] == "AWS::EC2::Subnet" and "Private" in name
    }
    group_id = found.logical_id("AWS::EC2::SecurityGroup", GroupDescription="ml/Group")
    assert {each.rpartition("/")[2] for each in allowed} == {
        "*",
        f"${{{group_id}.GroupId}}",
        *(f"${{{subnet}}}" for subnet in subnets),
    }


def test_a_vpc_without_private_subnets_is_refused() -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_ec2 as ec2

    from hpo_constructs.cdk import vpc_config

    stack = Stack(App(), "ml")
    vpc = ec2.Vpc.from_vpc_attributes(
        stack, "Vpc", vpc_id="vpc-1", availability_zones=["a"], private_subnet_ids=["subnet-1"]
    )
    groups = [ec2.SecurityGroup.from_security_group_id(stack, "Group", "sg-1")]
    assert vpc_config(vpc, security_groups=groups).subnets == ("subnet-1",)
    with pytest.raises(SpecError, match="at least one subnet"):
        vpc_config(vpc, security_groups=groups, vpc_subnets=ec2.SubnetSelection(subnets=[]))


def test_values_of_the_deployment_are_one_line_that_can_be_acknowledged(tmp_path: Path, declare: Any) -> None:
    from aws_cdk import Acknowledgment, App, Stack, Validations
    from aws_cdk import aws_s3 as s3

    def violations(folder: Path, *, acknowledged: bool) -> list[dict[str, Any]]:
        app = App(outdir=str(folder))
        stack = Stack(app, "ml")
        data = s3.Bucket(stack, "Data")
        channels = [declare.channel(name, data.s3_url_for_object(f"{name}/")) for name in ("train", "validation")]
        job = job_in(stack, declare.single(InputDataConfig=channels))
        if acknowledged:
            reason = "the bucket is made by this app"
            Validations.of(job).acknowledge(Acknowledgment(id="hpo::deploy-time-values", reason=reason))
        app.synth()
        report = json.loads((folder / "validation-report.json").read_text())
        return [found for each in report["pluginReports"] for found in each["violations"]]

    (line,) = violations(tmp_path / "one", acknowledged=False)
    assert (line["ruleName"], line["severity"]) == ("deploy-time-values", "info")
    assert line["description"].count("s3_uri") == 2
    assert violations(tmp_path / "two", acknowledged=True) == []
