"""EventBridge on the local endpoint: what rules send to functions and state machines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint
from hpo_constructs.local.eventbridge import target_input

from .conftest import Stacks, function, role, until

CODE = """
    import json

    def handler(event, context):
        print("got", json.dumps(event))
"""
EVENT = {"source": "team", "detail": {"name": 'a "b"', "count": 3, "list": [1]}}


@pytest.mark.parametrize(
    ("target", "given"),
    [
        ({}, EVENT),
        ({"Input": '{"constant": 1}'}, {"constant": 1}),
        ({"InputPath": "$.detail.list"}, [1]),
        (
            {
                "InputTransformer": {
                    "InputPathsMap": {"name": "$.detail.name", "count": "$.detail.count", "none": "$.detail.no"},
                    "InputTemplate": '{"name": <name>, "text": "is <name>: <count>", "none": <none>}',
                }
            },
            {"name": 'a "b"', "text": 'is a "b": 3', "none": None},
        ),
    ],
)
def test_what_a_target_gets(target: dict[str, Any], given: Any) -> None:
    assert target_input(target, EVENT) == given


def test_rules_reach_functions_and_machines_and_ends_of_executions_are_events(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str]
) -> None:
    """An event starts a machine; its end calls a function. A rule that is disabled sends nothing."""
    name = unique("events")
    ends = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["FAILED"], "stateMachineArn": [{"Ref": "Machine"}]},
    }
    machine = {
        "StartAt": "Fail",
        "States": {"Fail": {"Type": "Fail", "ErrorPath": "$.detail.name", "CausePath": "$.source"}},
    }

    def rule(pattern: dict[str, Any], target: str, **more: Any) -> dict[str, Any]:
        arn = {"Ref": "Machine"} if target == "Machine" else {"Fn::GetAtt": [target, "Arn"]}
        targets = [{"Id": "one", "Arn": arn, "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}}]
        return {"Type": "AWS::Events::Rule", "Properties": {"EventPattern": pattern, "Targets": targets, **more}}

    outputs = stacks.deploy(
        name,
        {
            "Role": role(),
            "Function": function(CODE),
            "Machine": {
                "Type": "AWS::StepFunctions::StateMachine",
                "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "DefinitionString": json.dumps(machine)},
            },
            "Start": rule({"source": [name]}, "Machine"),
            "Disabled": rule({"source": [name]}, "Machine", State="DISABLED"),
            "End": rule(ends, "Function"),
        },
        Outputs={"Machine": {"Value": {"Ref": "Machine"}}, "Function": {"Value": {"Ref": "Function"}}},
    )
    detail = json.dumps({"name": "Mine"})
    endpoint.client("events").put_events(Entries=[{"Source": name, "DetailType": "new", "Detail": detail}])
    logs = endpoint.client("logs")

    def received() -> list[dict[str, Any]]:
        group = f"/aws/lambda/{outputs['Function']}"
        if not logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]:
            return []
        events = logs.filter_log_events(logGroupName=group)["events"]
        lines = [each["message"] for each in events if each["message"].startswith("got ")]
        return [json.loads(line.removeprefix("got ")) for line in lines]

    (event,) = until(received)
    assert (event["source"], event["detail-type"]) == ("aws.states", "Step Functions Execution Status Change")
    found = event["detail"]
    assert (found["status"], found["error"], found["cause"]) == ("FAILED", "Mine", name)
    assert found["stateMachineArn"] == outputs["Machine"]
    assert json.loads(found["input"])["detail"] == {"name": "Mine"}
    assert found["stopDate"] >= found["startDate"] > 1_600_000_000_000
    executions = endpoint.client("stepfunctions").list_executions(stateMachineArn=outputs["Machine"])["executions"]
    assert [each["executionArn"] for each in executions] == [found["executionArn"]]
