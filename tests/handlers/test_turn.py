"""Taking turns: the queue in a parameter's versions."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hpo_handlers.contract import Overlap, Turn
from hpo_handlers.service import TemporaryServiceError
from hpo_handlers.turn import take_turn

PREFIX = "/hpo/stack/churn/"
QUEUE = "/hpo/stack/churn/latest-execution"
OLD, MINE, NEW = (f"arn:aws:states:eu-west-1:123456789012:execution:Churn:{name}" for name in ("old", "mine", "new"))


def history(answers: Any, *arns: str, first: int = 1) -> None:
    parameters = [{"Name": QUEUE, "Value": arn, "Version": first + number} for number, arn in enumerate(arns)]
    answers("ssm").add_response("get_parameter_history", {"Parameters": parameters}, {"Name": QUEUE})


def status(answers: Any, execution: str, status: str) -> None:
    answer = {
        "executionArn": execution,
        "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:Churn",
        "status": status,
        "startDate": datetime.now(UTC),
    }
    answers("stepfunctions").add_response("describe_execution", answer, {"executionArn": execution})


def turn(overlap: Overlap = Overlap.QUEUE, execution: str = MINE) -> tuple[Turn, str, int]:
    return take_turn(execution, datetime.now(UTC).isoformat(), PREFIX, overlap)


def test_the_first_run_takes_the_first_ticket(answers: Any) -> None:
    answers("ssm").add_client_error("get_parameter_history", "ParameterNotFound", "none")
    request = {"Name": QUEUE, "Value": MINE, "Type": "String", "Tier": "Standard", "Overwrite": True}
    answers("ssm").add_response("put_parameter", {"Version": 1, "Tier": "Standard"}, request)
    history(answers, MINE)
    assert turn() == (Turn.NOW, "", 0)


def test_an_earlier_run_is_waited_for_while_it_runs(answers: Any) -> None:
    history(answers, OLD, MINE)
    status(answers, OLD, "RUNNING")
    found, reason, wait = turn()
    assert (found, reason, wait) == (Turn.LATER, f"waits for {OLD}", 3)


@pytest.mark.parametrize("ended", ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"])
def test_an_earlier_run_that_has_ended_is_not_in_the_way(answers: Any, ended: str) -> None:
    history(answers, OLD, MINE)
    status(answers, OLD, ended)
    assert turn()[0] is Turn.NOW


def test_a_second_ticket_of_a_retry_changes_nothing(answers: Any) -> None:
    history(answers, MINE, NEW, MINE)
    assert turn()[0] is Turn.NOW


def test_a_later_run_that_waits_too_takes_the_place(answers: Any) -> None:
    history(answers, OLD, MINE, NEW)
    status(answers, OLD, "RUNNING")
    status(answers, NEW, "RUNNING")
    found, reason, _ = turn()
    assert (found, reason) == (Turn.NEVER, f"skipped: {NEW} waits too and takes its place")


def test_a_run_at_deployment_is_neither_replaced_nor_skipped(answers: Any) -> None:
    mine = MINE.replace(":mine", ":deployment-0123-4567")
    for overlap in (Overlap.QUEUE, Overlap.SKIP):
        history(answers, OLD, mine, NEW)
        status(answers, OLD, "RUNNING")
        assert turn(overlap, mine)[0] is Turn.LATER


def test_skip_ends_at_once(answers: Any) -> None:
    history(answers, OLD, MINE)
    status(answers, OLD, "RUNNING")
    assert turn(Overlap.SKIP)[:2] == (Turn.NEVER, f"skipped: {OLD} is running")


def test_a_history_that_lags_behind_is_read_again(answers: Any) -> None:
    """An earlier ticket that is not shown yet could be a run that goes on."""
    history(answers, OLD)
    answers("ssm").add_response("put_parameter", {"Version": 3, "Tier": "Standard"}, None)
    history(answers, OLD, first=1)
    with pytest.raises(TemporaryServiceError, match="version 3"):
        turn()


def test_only_the_versions_that_ssm_keeps_are_asked_for(answers: Any) -> None:
    history(answers, OLD)
    answers("ssm").add_response("put_parameter", {"Version": 250, "Tier": "Standard"}, None)
    history(answers, *[OLD] * 99, MINE, first=151)
    status(answers, OLD, "SUCCEEDED")
    assert turn()[0] is Turn.NOW
