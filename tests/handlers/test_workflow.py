"""The state machine as plain data, and the facts of its schedule."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo_constructs.workflow import (
    CLEAN_UP,
    FUNCTIONS,
    HISTORY_LIMIT,
    GuardState,
    StateName,
    definition,
    execution_timeout_seconds,
    guard_definition,
    history_events,
    polls,
    tuning_runtime_seconds,
    waiter_definition,
)
from hpo_handlers import service
from hpo_handlers.contract import LARGEST_MAX_RUNTIME_SECONDS, wait_seconds

ARNS = {each.id: f"arn:aws:lambda:eu-west-1:123456789012:function:{each.id}" for each in FUNCTIONS}
REQUEST = {
    "HyperParameterTuningJobName": "churn",
    "HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxRuntimeInSeconds": 3600}},
    "TrainingJobDefinition": {"StaticHyperParameters": {"looks.like.$": "$.a.path", "plain": "1"}},
}


def machine(result_path: str = "$", overlap: str = "queue") -> dict[str, Any]:
    return definition(
        REQUEST,
        output_prefix="/hpo/stack/churn/",
        functions=ARNS,
        result_path=result_path,
        policy={"on_stopped": "fail", "required_objective_value": 0.5},
        overlap=overlap,
    )


def statelint(folder: Path, definition: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    file = folder / "machine.json"
    file.write_text(json.dumps(definition))
    command = [sys.executable, "-m", "statelint", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


SHARED = {
    "guard": guard_definition([{"StateMachineArn": "arn", "DeclaredNames": ["churn"]}], functions=ARNS),
    "waiter": waiter_definition(functions={"Deploy": "arn:aws:lambda:eu-west-1:123456789012:function:Deploy"}),
}


def next_names(state: dict[str, Any]) -> Iterator[str]:
    for place in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        if "Next" in place:
            yield place["Next"]
    if "Default" in state:
        yield state["Default"]


@pytest.mark.parametrize("overlap", ["queue", "allow"])
@pytest.mark.parametrize("result_path", ["$", "$.tuning", "$.my.tuning"])
def test_statelint_finds_nothing(tmp_path: Path, result_path: str, overlap: str) -> None:
    result = statelint(tmp_path, machine(result_path, overlap))
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


@pytest.mark.parametrize("name", SHARED)
def test_statelint_finds_nothing_in_the_shared_machines(tmp_path: Path, name: str) -> None:
    result = statelint(tmp_path, SHARED[name])
    assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


def test_statelint_would_find_something(tmp_path: Path) -> None:
    broken = machine()
    broken["States"][StateName.POLL]["Next"] = "Nowhere"
    result = statelint(tmp_path, broken)
    assert result.returncode == 1
    assert "Nowhere" in result.stdout


def test_request_stands_in_no_payload_template() -> None:
    """Hyperparameters whose names end in `.$` would be read as paths there."""
    state = machine()["States"][StateName.REQUEST]
    assert state["Type"] == "Pass"
    assert state["Result"] == {"Request": REQUEST}
    assert "Parameters" not in state


@pytest.mark.parametrize("result_path", ["$", "$.tuning"])
def test_states_touch_nothing_outside_the_result_path(result_path: str) -> None:
    for name, state in machine(result_path)["States"].items():
        if "ResultPath" in state:
            assert state["ResultPath"] == result_path, name
        for catch in state.get("Catch", ()):
            assert catch["ResultPath"].startswith(f"{result_path}."), name
        paths = [value for key, value in state.items() if key.endswith("Path") and "States." not in value]
        assert all(path.startswith(result_path) for path in paths), name


def test_every_error_of_a_task_leads_to_the_stop_and_then_to_a_failure() -> None:
    states = machine()["States"]
    for name in (StateName.CREATE, StateName.POLL, StateName.PUBLISH):
        (catch,) = states[name]["Catch"]
        assert (catch["ErrorEquals"], catch["Next"]) == (["States.ALL"], StateName.STOP)
    assert set(next_names(states[StateName.STOP])) == {StateName.FAILED, StateName.NOT_STOPPED}
    assert states[StateName.FAILED]["Type"] == states[StateName.NOT_STOPPED]["Type"] == "Fail"


def test_every_state_is_reached() -> None:
    states = machine()["States"]
    reached, todo = set(), [machine()["StartAt"]]
    while todo:
        name = todo.pop()
        if name not in reached:
            reached.add(name)
            todo += next_names(states[name])
    assert reached == set(states) == set(StateName)


@pytest.mark.parametrize("definition", [machine(), *SHARED.values()], ids=["run", *SHARED])
def test_temporary_errors_are_retried_with_jitter_and_rejected_ones_never(definition: dict[str, Any]) -> None:
    names = {service.TemporaryServiceError.__name__, service.PermissionNotEffective.__name__}
    for name, state in definition["States"].items():
        if state["Type"] != "Task":
            continue
        retried = {error for retrier in state["Retry"] for error in retrier["ErrorEquals"]}
        assert names < retried, name
        assert service.ServiceRequestRejected.__name__ not in retried
        assert not retried & {"States.ALL", "States.TaskFailed"}
        for retrier in state["Retry"]:
            assert retrier["JitterStrategy"] == "FULL"
            assert retrier["BackoffRate"] > 1
            assert retrier["MaxDelaySeconds"] <= 300


def test_every_function_is_used() -> None:
    used = [state["Parameters"]["FunctionName"] for state in machine()["States"].values() if state["Type"] == "Task"]
    # What CloudFormation invokes is no state's.
    assert sorted(used) == sorted(arn for id, arn in ARNS.items() if id != CLEAN_UP.id)


def test_runs_that_may_overlap_take_no_turn() -> None:
    states = machine(overlap="allow")["States"]
    assert not {StateName.TURN, StateName.WAIT_FOR_TURN, StateName.SKIPPED} & set(states)
    assert states[StateName.CREATE]["Next"] == StateName.WAIT
    assert "Overlap" not in states[StateName.CREATE]["Parameters"]["Payload"]


def test_guard_looks_again_when_every_creation_must_have_ended() -> None:
    states = SHARED["guard"]["States"]
    assert states[GuardState.WAIT]["Seconds"] >= machine()["States"][StateName.CREATE]["TimeoutSeconds"]
    assert next_names(states[GuardState.WAIT]).__next__() == GuardState.STOP_AGAIN


@pytest.mark.parametrize(
    ("request_", "seconds"),
    [
        (REQUEST, 3600),
        ({}, 2_592_000),
        ({"HyperParameterTuningJobConfig": {"ResourceLimits": {}}}, 2_592_000),
        ({"HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxRuntimeInSeconds": "soon"}}}, 2_592_000),
    ],
)
def test_time_out_follows_the_limits(request_: dict[str, Any], seconds: int) -> None:
    assert tuning_runtime_seconds(request_) == seconds
    assert execution_timeout_seconds(request_) == seconds + wait_seconds(seconds) + 7200


def test_time_out_of_the_longest_run_is_within_a_year() -> None:
    limits = {"ResourceLimits": {"MaxRuntimeInSeconds": LARGEST_MAX_RUNTIME_SECONDS}}
    assert execution_timeout_seconds({"HyperParameterTuningJobConfig": limits}) < 365 * 24 * 3600


@pytest.mark.parametrize(("days", "most"), [(1, 220), (30, 500), (182.5, 1700)])
def test_polls(days: float, most: int) -> None:
    assert polls(days * 86400) < most


@given(st.integers(1, LARGEST_MAX_RUNTIME_SECONDS))
def test_history_stays_well_under_the_limit_for_every_run_time(seconds: int) -> None:
    assert history_events(seconds) < 0.65 * HISTORY_LIMIT


@given(st.integers(1, 30 * 86400))
def test_history_of_a_run_that_waited_for_its_turn_stays_under_the_limit(seconds: int) -> None:
    assert history_events(seconds) < history_events(seconds, queued=True) < 0.5 * HISTORY_LIMIT


def test_time_out_of_a_run_that_queues_has_room_for_another_one() -> None:
    alone = execution_timeout_seconds(REQUEST)
    assert 2 * alone <= execution_timeout_seconds(REQUEST, queued=True) < 2.1 * alone


def test_history_budget_is_not_less_than_a_walk_through_the_states() -> None:
    """Counts events by the documented events of each state's kind, for a run of ten days that fails at its end."""
    events = {"Pass": 2, "Wait": 2, "Choice": 2, "Task": 5, "Fail": 1}
    states, age, count = machine(overlap="allow")["States"], 0, 2
    name = StateName.REQUEST
    while True:
        state = states[name]
        count += events[state["Type"]]
        if state["Type"] == "Fail":
            break
        if name == StateName.WAIT:
            age += wait_seconds(age)
        if name == StateName.ENDED:
            name = StateName.PUBLISH if age >= 864_000 else StateName.WAIT
        elif name == StateName.PUBLISH:
            name = StateName.STOP  # publishing fails: the longest way
        else:
            name = state.get("Next") or state["Default"]
    assert count <= history_events(864_000)
    assert history_events(864_000) - count < 400
