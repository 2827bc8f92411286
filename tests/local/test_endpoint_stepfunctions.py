"""State machines on the local endpoint run on moto's interpreter and call real Lambda code."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint

from .conftest import Stacks, function, role, until

CODE = """
    import os, time

    class NotYet(Exception):
        pass

    calls = {}

    def handler(event, context):
        match event.get("do"):
            case "fail twice":
                key = event["key"]
                calls[key] = calls.get(key, 0) + 1
                if calls[key] < 3:
                    raise NotYet(f"call {calls[key]}")
                return {"calls": calls[key]}
            case "fail":
                raise NotYet("never")
            case "time out":
                time.sleep(30)
            case "crash":
                os._exit(1)
        return event
"""


class Machines:
    """Makes state machines that call one function, and runs them."""

    def __init__(self, endpoint: LocalEndpoint, stacks: Stacks, stack: str) -> None:
        self.client = endpoint.client("stepfunctions")
        self.stacks = stacks
        self.stack = stack
        self.base = {
            "Role": role(),
            "Function": function(CODE, Timeout=2),
            "Log": {"Type": "AWS::Logs::LogGroup"},
        }
        self.outputs = stacks.deploy(stack, self.base, Outputs={"Log": {"Value": {"Ref": "Log"}}})

    def make(self, definition: dict[str, Any], **properties: Any) -> str:
        """Deploy a state machine whose definition names the function as ``${function}``; its ARN."""
        arn = {"Fn::GetAtt": ["Function", "Arn"]}
        machine = {
            "Type": "AWS::StepFunctions::StateMachine",
            "Properties": {
                "RoleArn": {"Fn::GetAtt": ["Role", "Arn"]},
                "DefinitionString": json.dumps(definition),
                "DefinitionSubstitutions": {"function": arn},
                **properties,
            },
        }
        outputs = {"Arn": {"Value": {"Ref": "Machine"}}, "Log": {"Value": {"Ref": "Log"}}}
        self.outputs = self.stacks.deploy(self.stack, {**self.base, "Machine": machine}, Outputs=outputs)
        return self.outputs["Arn"]

    def start(self, arn: str, given: Any) -> str:
        return str(self.client.start_execution(stateMachineArn=arn, input=json.dumps(given))["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        def described() -> Any:
            found = self.client.describe_execution(executionArn=execution)
            return None if found["status"] == "RUNNING" else found

        return dict(until(described))

    def run(self, definition: dict[str, Any], given: Any, **properties: Any) -> dict[str, Any]:
        return self.ended(self.start(self.make(definition, **properties), given))

    def event_types(self, execution: str) -> list[str]:
        return [event["type"] for event in self.client.get_execution_history(executionArn=execution)["events"]]


@pytest.fixture(scope="module")
def machines(endpoint: LocalEndpoint) -> Iterator[Machines]:
    stacks = Stacks(endpoint)
    yield Machines(endpoint, stacks, "machines")
    stacks.close()


def task(resource: str, **rest: Any) -> dict[str, Any]:
    """A task that hands its input to the function, by either way to call Lambda."""
    if resource == "invoke":
        parameters = {"FunctionName": "${function}", "Payload.$": "$"}
        state = {"Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, "OutputPath": "$.Payload"}
    else:
        state = {"Resource": "${function}"}
    return {"Type": "Task", "End": True, **state, **rest}


def only(state: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {"StartAt": "Only", "States": {"Only": state, **rest}}


@pytest.mark.parametrize("resource", ["invoke", "direct"])
def test_an_error_of_a_function_is_retried_by_its_type(machines: Machines, resource: str) -> None:
    retry = [{"ErrorEquals": ["NotYet"], "IntervalSeconds": 2, "MaxAttempts": 4, "BackoffRate": 1}]
    started = time.monotonic()
    ended = machines.run(only(task(resource, Retry=retry)), {"do": "fail twice", "key": resource})
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"calls": 3})
    # Two delays of two seconds, shortened to a twentieth.
    assert time.monotonic() - started < 4


@pytest.mark.parametrize("resource", ["invoke", "direct"])
@pytest.mark.parametrize(
    ("do", "error", "cause"),
    [
        ("fail", "NotYet", "never"),
        ("time out", "Sandbox.Timedout", "Task timed out after 2.00 seconds"),
        ("crash", "Runtime.ExitError", "exit status 1"),
    ],
)
def test_an_error_of_a_function_is_caught_by_its_type(
    machines: Machines, resource: str, do: str, error: str, cause: str
) -> None:
    catch = [{"ErrorEquals": [error], "Next": "Caught"}]
    ended = machines.run(only(task(resource, Catch=catch), Caught={"Type": "Pass", "End": True}), {"do": do})
    assert ended["status"] == "SUCCEEDED"
    output = json.loads(ended["output"])
    assert output["Error"] == error
    assert cause in json.loads(output["Cause"])["errorMessage"]


def test_an_uncaught_error_fails_the_execution(machines: Machines) -> None:
    ended = machines.run(only(task("invoke")), {"do": "fail"})
    assert (ended["status"], ended["error"]) == ("FAILED", "NotYet")
    assert json.loads(ended["cause"])["errorMessage"] == "never"


def test_waits_take_their_part_of_the_time(machines: Machines) -> None:
    definition = only({"Type": "Wait", "SecondsPath": "$.seconds", "End": True})
    arn = machines.make(definition)
    started = time.monotonic()
    ended = machines.ended(machines.start(arn, {"seconds": 20}))
    assert ended["status"] == "SUCCEEDED"
    # A twentieth of 20 seconds.
    assert 1.0 <= time.monotonic() - started < 5


def test_a_stopped_execution_ends_at_once(machines: Machines) -> None:
    arn = machines.make(only({"Type": "Wait", "Seconds": 3600, "End": True}))
    execution = machines.start(arn, {})
    until(lambda: "WaitStateEntered" in machines.event_types(execution))
    machines.client.stop_execution(executionArn=execution, error="Mine", cause="enough")
    described = machines.client.describe_execution(executionArn=execution)
    assert (described["status"], described["error"], described["cause"]) == ("ABORTED", "Mine", "enough")
    until(lambda: machines.event_types(execution)[-1] == "ExecutionAborted", seconds=5)


def test_a_state_machine_times_out(machines: Machines) -> None:
    definition = only({"Type": "Wait", "Seconds": 3600, "End": True})
    ended = machines.run({**definition, "TimeoutSeconds": 1}, {})
    assert ended["status"] == "TIMED_OUT"
    assert ended["stopDate"] >= ended["startDate"]


def test_a_task_times_out(machines: Machines) -> None:
    catch = [{"ErrorEquals": ["States.Timeout"], "Next": "Caught"}]
    state = task("invoke", TimeoutSeconds=1, Catch=catch)
    ended = machines.run(only(state, Caught={"Type": "Pass", "End": True}), {"do": "time out"})
    assert (ended["status"], json.loads(ended["output"])["Error"]) == ("SUCCEEDED", "States.Timeout")


def test_an_update_changes_the_machine_in_place(machines: Machines) -> None:
    tags = [{"Key": "team", "Value": "a"}]
    first = machines.make(only({"Type": "Pass", "Result": 1, "End": True}), Tags=tags)
    running = machines.start(first, {})
    second = machines.make(only({"Type": "Pass", "Result": 2, "End": True}), Tags=[{"Key": "team", "Value": "b"}])
    assert second == first
    assert machines.ended(machines.start(second, {}))["output"] == "2"
    assert machines.ended(running)["output"] == "1"
    assert machines.client.list_tags_for_resource(resourceArn=first)["tags"] == [{"key": "team", "value": "b"}]


def test_the_history_goes_to_the_log_group(machines: Machines, endpoint: LocalEndpoint) -> None:
    group = {"CloudWatchLogsLogGroup": {"LogGroupArn": {"Fn::GetAtt": ["Log", "Arn"]}}}
    logging = {"Level": "ALL", "IncludeExecutionData": True, "Destinations": [group]}
    arn = machines.make(only({"Type": "Pass", "Result": "seen", "End": True}), LoggingConfiguration=logging)
    execution = machines.start(arn, {})
    machines.ended(execution)
    events = endpoint.client("logs").filter_log_events(logGroupName=machines.outputs["Log"])["events"]
    entries = [json.loads(event["message"]) for event in events]
    mine = [entry for entry in entries if entry["execution_arn"] == execution]
    assert [entry["type"] for entry in mine] == machines.event_types(execution)
    assert '"seen"' in mine[-1]["details"]["output"]


def test_deleting_a_machine_ends_its_executions(
    stacks: Stacks, endpoint: LocalEndpoint, unique: Callable[[str], str]
) -> None:
    name = unique("deleted")
    mine = Machines(endpoint, stacks, name)
    arn = mine.make(only({"Type": "Wait", "Seconds": 20, "Next": "Call"}, Call=task("invoke")))
    execution = mine.start(arn, {})
    until(lambda: "WaitStateEntered" in mine.event_types(execution))
    mine.client.delete_state_machine(stateMachineArn=arn)
    with pytest.raises(mine.client.exceptions.ExecutionDoesNotExist):
        mine.client.describe_execution(executionArn=execution)
    # The wait of a second is over: the function, which is still there, was not called.
    time.sleep(1.5)
    groups = endpoint.client("logs").describe_log_groups(logGroupNamePrefix=f"/aws/lambda/{name}")
    assert groups["logGroups"] == []


def test_a_definition_that_is_not_valid_fails_the_stack(stacks: Stacks, unique: Callable[[str], str]) -> None:
    name = unique("invalid")
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": {"Fn::GetAtt": ["Role", "Arn"]}, "DefinitionString": '{"StartAt": "A"}'},
    }
    assert stacks.attempt(name, {"Role": role(), "Machine": machine})["StackStatus"] == "ROLLBACK_COMPLETE"
    assert "definition" in stacks.reasons(name)["Machine"].lower()
