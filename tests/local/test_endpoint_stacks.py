"""Stacks on the local endpoint: order, outputs, updates, roll-back and deletion, over plain templates."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest

from hpo_constructs.local import LocalEndpoint

from .conftest import Stacks, function, role, until

CUSTOM = """
    import json, urllib.request

    def handler(event, context):
        given = event["ResourceProperties"]
        body = {
            "Status": "SUCCESS",
            "PhysicalResourceId": given.get("Physical", "thing"),
            "Data": {"Value": given["Value"], "Request": event["RequestType"],
                     "Old": event.get("OldResourceProperties", {}).get("Value", "none")},
        }
        print("request", event["RequestType"], event.get("PhysicalResourceId"))
        if given["Value"] == "bad" and event["RequestType"] != "Delete":
            body = {"Status": "FAILED", "Reason": "bad is not allowed"}
        if given["Value"] == "crash" and event["RequestType"] != "Delete":
            raise RuntimeError("no answer from here")
        request = urllib.request.Request(event["ResponseURL"], data=json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request)
"""


def custom_stack(value: str, **properties: str) -> dict[str, Any]:
    token = {"Fn::GetAtt": ["Function", "Arn"]}
    return {
        # Written before what it needs: the order is the references', not the template's.
        "Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": token, "Value": value, **properties}},
        "Function": function(CUSTOM),
        "Role": role(),
    }


CUSTOM_OUTPUTS = {name: {"Value": {"Fn::GetAtt": ["Thing", name]}} for name in ("Value", "Request", "Old")} | {
    "Id": {"Value": {"Ref": "Thing"}}
}


def test_a_custom_resource_is_waited_for_updated_and_deleted(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str]
) -> None:
    name = unique("custom")
    assert stacks.deploy(name, custom_stack("one"), Outputs=CUSTOM_OUTPUTS) == {
        "Value": "one",
        "Request": "Create",
        "Old": "none",
        "Id": "thing",
    }
    assert stacks.deploy(name, custom_stack("two"), Outputs=CUSTOM_OUTPUTS) == {
        "Value": "two",
        "Request": "Update",
        "Old": "one",
        "Id": "thing",
    }
    group = next(iter(_log_groups(endpoint, f"/aws/lambda/{name}-Function")))
    # Another physical id is a replacement, whose former resource is deleted.
    stacks.deploy(name, custom_stack("two", Physical="other"), Outputs=CUSTOM_OUTPUTS)
    assert stacks.delete(name) == "DELETE_COMPLETE"
    messages = _messages(endpoint, group)
    assert [m for m in messages if m.startswith("request")] == [
        "request Create None",
        "request Update thing",
        "request Update thing",
        "request Delete thing",
        "request Delete other",
    ]


@pytest.mark.parametrize(("value", "reason"), [("bad", "bad is not allowed"), ("crash", "no answer from here")])
def test_a_failed_creation_is_rolled_back_with_its_reason(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str], value: str, reason: str
) -> None:
    name = unique("fails")
    assert stacks.attempt(name, custom_stack(value))["StackStatus"] == "ROLLBACK_COMPLETE"
    assert reason in stacks.reasons(name)["Thing"]
    functions = endpoint.client("lambda").list_functions()["Functions"]
    assert not [each for each in functions if each["FunctionName"].startswith(name)]


def test_a_failed_update_leaves_the_former_stack(stacks: Stacks, unique: Callable[[str], str]) -> None:
    name = unique("back")
    stacks.deploy(name, custom_stack("one"), Outputs=CUSTOM_OUTPUTS)
    described = stacks.attempt(name, custom_stack("bad"), Outputs=CUSTOM_OUTPUTS)
    assert described["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    outputs = {each["OutputKey"]: each["OutputValue"] for each in described["Outputs"]}
    assert outputs["Value"] == "one"
    assert stacks.deploy(name, custom_stack("three"), Outputs=CUSTOM_OUTPUTS)["Value"] == "three"


def _log_groups(endpoint: LocalEndpoint, prefix: str) -> list[str]:
    groups = endpoint.client("logs").describe_log_groups(logGroupNamePrefix=prefix)["logGroups"]
    return [group["logGroupName"] for group in groups]


def _messages(endpoint: LocalEndpoint, group: str) -> list[str]:
    events = endpoint.client("logs").filter_log_events(logGroupName=group)["events"]
    return [event["message"] for event in events]


def everyday_stack(parameter: str, value: str, *, retention: int = 7, rule: bool = True) -> dict[str, Any]:
    """The kinds of resources that a tuning stack and its neighbours have."""
    statement = {"Effect": "Allow", "Action": f"ssm:{value}", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    managed = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    resources: dict[str, Any] = {
        "Role": role(ManagedPolicyArns=[managed], Policies=[{"PolicyName": "inline", "PolicyDocument": document}]),
        "Policy": {
            "Type": "AWS::IAM::Policy",
            "Properties": {"PolicyName": "added", "PolicyDocument": document, "Roles": [{"Ref": "Role"}]},
        },
        "Log": {"Type": "AWS::Logs::LogGroup", "Properties": {"RetentionInDays": retention}},
        "Parameter": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": parameter, "Type": "String", "Value": value, "Tags": {"team": value}},
        },
        "Function": function(
            "def handler(event, context):\n    return event",
            Environment={"Variables": {"VALUE": value}},
            Tags=[{"Key": "team", "Value": value}],
            LoggingConfig={"LogGroup": {"Ref": "Log"}},
        ),
        "Permission": {
            "Type": "AWS::Lambda::Permission",
            "Properties": {
                "Action": "lambda:InvokeFunction",
                "FunctionName": {"Ref": "Function"},
                "Principal": "events.amazonaws.com",
            },
        },
        "Unknown": {"Type": "AWS::CloudWatch::Alarm", "Properties": {"MetricName": "m"}},
        "Never": {"Type": "AWS::SQS::Queue", "Condition": "No"},
    }
    if rule:
        resources["Rule"] = {
            "Type": "AWS::Events::Rule",
            "Properties": {"ScheduleExpression": "rate(1 day)", "State": "ENABLED"},
        }
    return resources


def test_everyday_resources_are_created_updated_and_deleted(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str]
) -> None:
    name, parameter = unique("everyday"), f"/{unique('everyday')}"
    rest: dict[str, Any] = {
        "Conditions": {"No": {"Fn::Equals": ["a", "b"]}},
        "Outputs": {each: {"Value": {"Ref": each}} for each in ("Role", "Log", "Function")},
    }
    first = stacks.deploy(name, everyday_stack(parameter, "GetParameter"), **rest)
    assert "AWS::CloudWatch::Alarm is not available on the local endpoint" in stacks.reasons(name)["Unknown"]
    iam, ssm = endpoint.client("iam"), endpoint.client("ssm")
    logs, lambdas = endpoint.client("logs"), endpoint.client("lambda")

    def state() -> dict[str, Any]:
        configuration = lambdas.get_function(FunctionName=first["Function"])
        policies = {
            policy: iam.get_role_policy(RoleName=first["Role"], PolicyName=policy)["PolicyDocument"]["Statement"][0][
                "Action"
            ]
            for policy in iam.list_role_policies(RoleName=first["Role"])["PolicyNames"]
        }
        tags = ssm.list_tags_for_resource(ResourceType="Parameter", ResourceId=parameter)["TagList"]
        group = logs.describe_log_groups(logGroupNamePrefix=first["Log"])["logGroups"][0]
        return {
            "policies": policies,
            "managed": len(iam.list_attached_role_policies(RoleName=first["Role"])["AttachedPolicies"]),
            "parameter": ssm.get_parameter(Name=parameter)["Parameter"]["Value"],
            "tags": [tag["Value"] for tag in tags],
            "retention": group["retentionInDays"],
            "environment": configuration["Configuration"]["Environment"]["Variables"],
            "architectures": configuration["Configuration"]["Architectures"],
            "runtime": configuration["Configuration"]["Runtime"],
            "log group": configuration["Configuration"]["LoggingConfig"]["LogGroup"],
            "function tags": configuration["Tags"],
        }

    def expected(value: str, retention: int) -> dict[str, Any]:
        return {
            "policies": {"inline": f"ssm:{value}", "added": f"ssm:{value}"},
            "managed": 1,
            "parameter": value,
            "tags": [value],
            "retention": retention,
            "environment": {"VALUE": value},
            "architectures": ["arm64"],
            "runtime": "python3.13",
            "log group": first["Log"],
            "function tags": {"team": value},
        }

    assert state() == expected("GetParameter", 7)
    rules = endpoint.client("events")
    assert [each for each in rules.list_rules()["Rules"] if each["Name"].startswith(name)]

    second = stacks.deploy(name, everyday_stack(parameter, "PutParameter", retention=30, rule=False), **rest)
    assert second == first
    assert state() == expected("PutParameter", 30)
    assert not [each for each in rules.list_rules()["Rules"] if each["Name"].startswith(name)]
    assert ssm.get_parameter(Name=parameter)["Parameter"]["Version"] == 2

    assert stacks.delete(name) == "DELETE_COMPLETE"
    assert not [each for each in iam.list_roles()["Roles"] if each["RoleName"].startswith(name)]
    assert not _log_groups(endpoint, first["Log"])
    with pytest.raises(ssm.exceptions.ParameterNotFound):
        ssm.get_parameter(Name=parameter)


def test_a_change_set_has_outputs_and_exports(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str]
) -> None:
    client, name, parameter = stacks.client, unique("set"), f"/{unique('set')}"

    def template(value: str) -> str:
        properties = {"Name": parameter, "Type": "String", "Value": value}
        outputs = {"Out": {"Value": {"Fn::GetAtt": ["P", "Value"]}, "Export": {"Name": name}}}
        outputs["Out"]["Value"] = {"Ref": "P"}
        # Like a CDK template's BootstrapVersion: the value is the name of an SSM parameter.
        declared = {"From": {"Type": "AWS::SSM::Parameter::Value<String>", "Default": f"{parameter}/source"}}
        resources = {"P": {"Type": "AWS::SSM::Parameter", "Properties": properties}}
        return json.dumps({"Parameters": declared, "Resources": resources, "Outputs": outputs})

    endpoint.client("ssm").put_parameter(Name=f"{parameter}/source", Value="6", Type="String")
    for kind, value, previous in (("CREATE", "1", False), ("UPDATE", "2", True)):
        client.create_change_set(
            StackName=name,
            ChangeSetName="same-name",
            ChangeSetType=kind,
            TemplateBody=template(value),
            Parameters=[{"ParameterKey": "From", "UsePreviousValue": True}] if previous else [],
        )
        client.execute_change_set(StackName=name, ChangeSetName="same-name")
        described = stacks.settled(name)
        assert described["StackStatus"] == f"{kind}_COMPLETE"
        assert described["Outputs"] == [{"OutputKey": "Out", "OutputValue": parameter, "ExportName": name}]
        assert endpoint.client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"] == value
    importer = unique("importer")
    imported = {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": {"Fn::ImportValue": name}}}
    outputs = {"Value": {"Value": {"Fn::GetAtt": ["Q", "Value"]}}, "Name": {"Value": {"Ref": "Q"}}}
    del outputs["Value"]
    out = stacks.deploy(importer, {"Q": imported}, Outputs=outputs)
    assert endpoint.client("ssm").get_parameter(Name=out["Name"])["Parameter"]["Value"] == parameter
    client.delete_stack(StackName=name)
    until(lambda: not [each for each in client.list_exports()["Exports"] if each["Name"] == name])


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        ({"A": {"Type": "AWS::SQS::Queue", "DependsOn": "Missing"}}, "Unresolved resource dependencies"),
        (
            {
                "A": {"Type": "AWS::SQS::Queue", "DependsOn": "B"},
                "B": {"Type": "AWS::SQS::Queue", "DependsOn": "A"},
            },
            "Circular dependency between resources",
        ),
    ],
)
def test_a_template_that_cannot_be_deployed_is_refused(
    stacks: Stacks, unique: Callable[[str], str], resources: dict[str, Any], message: str
) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match=message) as refused:
        stacks.client.create_stack(StackName=unique("refused"), TemplateBody=json.dumps({"Resources": resources}))
    assert refused.value.response["Error"]["Code"] == "ValidationError"


def test_an_unchanged_stack_is_not_updated(stacks: Stacks, unique: Callable[[str], str]) -> None:
    name = unique("same")
    resources = {"Q": {"Type": "AWS::SQS::Queue"}}
    stacks.deploy(name, resources)
    with pytest.raises(botocore.exceptions.ClientError, match="No updates are to be performed"):
        stacks.deploy(name, resources)
