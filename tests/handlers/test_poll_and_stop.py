"""Watching the tuning job, and stopping it when nobody will watch it any more."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hpo_handlers import poll, stop
from hpo_handlers.contract import tuning_job_name
from hpo_handlers.service import ServiceRequestRejected, TemporaryServiceError

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:Churn:one"
NAME = tuning_job_name("churn", EXECUTION)
WHICH = {"HyperParameterTuningJobName": NAME}


def job(status: str, age: timedelta = timedelta()) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/{NAME}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": datetime.now(UTC) - age,
        "TrainingJobStatusCounters": {"Completed": 1, "InProgress": 2},
        "ObjectiveStatusCounters": {},
    }


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("InProgress", False),
        ("Stopping", False),
        ("Deleting", False),
        ("Completed", True),
        ("Failed", True),
        ("Stopped", True),
        ("DeleteFailed", True),
    ],
)
def test_poll_tells_whether_the_job_has_ended(answers: Any, status: str, ended: bool) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job(status), WHICH)
    assert poll.handler(WHICH, None) == {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobStatus": status,
        "TrainingJobStatusCounters": {"Completed": 1, "InProgress": 2},
        "WaitSeconds": 3,
        "Ended": ended,
    }


def test_poll_waits_longer_the_older_the_job_is(answers: Any) -> None:
    answers("sagemaker").add_response(
        "describe_hyper_parameter_tuning_job", job("InProgress", timedelta(days=1)), WHICH
    )
    assert poll.handler(WHICH, None)["WaitSeconds"] == pytest.approx(0.03 * 86400, abs=1)


@pytest.mark.parametrize(
    ("counters", "limits", "seconds"),
    [
        ({"InProgress": 2}, {"MaxNumberOfTrainingJobs": 3}, 40),
        ({}, {"MaxNumberOfTrainingJobs": 3}, 40),
        ({"Completed": 1, "InProgress": 2}, {"MaxNumberOfTrainingJobs": 9}, 3),
        ({"NonRetryableError": 1}, {"MaxNumberOfTrainingJobs": 9}, 3),
        # All of them run: it ends with them.
        ({"InProgress": 3}, {"MaxNumberOfTrainingJobs": 3}, 3),
        # A grid's size is not known.
        ({"InProgress": 2}, {}, 3),
        ({"InProgress": 2}, {"MaxNumberOfTrainingJobs": 9, "MaxRuntimeInSeconds": 1399}, 3),
        ({"InProgress": 2}, {"MaxNumberOfTrainingJobs": 9, "MaxRuntimeInSeconds": 1400}, 40),
    ],
)
def test_poll_waits_longer_while_no_end_is_near(
    answers: Any, counters: dict[str, int], limits: dict[str, int], seconds: int
) -> None:
    young = job("InProgress")
    young["TrainingJobStatusCounters"] = counters
    young["HyperParameterTuningJobConfig"]["ResourceLimits"] |= limits
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", young, WHICH)
    assert poll.handler(WHICH, None)["WaitSeconds"] == seconds


def test_poll_of_a_stopping_job_looks_again_soon(answers: Any) -> None:
    stopping = job("Stopping")
    stopping["TrainingJobStatusCounters"] = {"InProgress": 2}
    stopping["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = 9
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", stopping, WHICH)
    assert poll.handler(WHICH, None)["WaitSeconds"] == 3


def test_a_lost_tuning_job_is_not_asked_for_again(answers: Any) -> None:
    answers("sagemaker").add_client_error("describe_hyper_parameter_tuning_job", "ResourceNotFound", "deleted")
    with pytest.raises(ServiceRequestRejected, match="deleted"):
        poll.handler(WHICH, None)


FAILURE = {"Error": "TemporaryServiceError", "Cause": json.dumps({"errorMessage": "throttled", "trace": []})}
STOP_EVENT = {"DeclaredName": "churn", "ExecutionArn": EXECUTION, "Failure": FAILURE}


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped", "Stopping"])
def test_stop_leaves_a_job_that_ends_by_itself(answers: Any, status: str) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job(status), WHICH)
    assert stop.handler(STOP_EVENT, None) == {
        "HyperParameterTuningJobName": NAME,
        "Error": "TemporaryServiceError",
        "Cause": f"throttled (tuning job {NAME} is {status})",
    }


def test_stop_stops_a_running_job(answers: Any) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job("InProgress"), WHICH)
    answers("sagemaker").add_response("stop_hyper_parameter_tuning_job", {}, WHICH)
    assert stop.handler(STOP_EVENT, None)["Cause"] == f"throttled (tuning job {NAME} is being stopped)"


@pytest.mark.parametrize(
    ("code", "message"),
    [("ResourceNotFound", "no such job"), ("ValidationException", "Could not find requested job with name")],
)
def test_stop_has_nothing_to_do_without_a_job(answers: Any, code: str, message: str) -> None:
    answers("sagemaker").add_client_error("describe_hyper_parameter_tuning_job", code, message)
    assert stop.handler(STOP_EVENT, None)["Cause"] == f"throttled (tuning job {NAME} was not created)"


@pytest.mark.parametrize("code", ["ValidationException", "ResourceNotFound"])
def test_a_job_that_ends_while_it_is_stopped_is_looked_at_again(answers: Any, code: str) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job("InProgress"), WHICH)
    answers("sagemaker").add_client_error("stop_hyper_parameter_tuning_job", code, "the job is Completed")
    with pytest.raises(TemporaryServiceError, match="the job is Completed"):
        stop.handler(STOP_EVENT, None)


def test_stop_that_is_throttled_is_temporary(answers: Any) -> None:
    answers("sagemaker").add_client_error("describe_hyper_parameter_tuning_job", "ThrottlingException", "slow")
    with pytest.raises(TemporaryServiceError):
        stop.handler(STOP_EVENT, None)


@pytest.mark.parametrize(
    ("cause", "text"),
    [("not JSON", "not JSON"), ('["a", "list"]', '["a", "list"]'), (None, "no cause given")],
)
def test_stop_keeps_a_cause_that_is_not_a_function_error(answers: Any, cause: str | None, text: str) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job("Stopped"), WHICH)
    failure = {"Error": "States.Timeout"} | ({"Cause": cause} if cause else {})
    answer = stop.handler({**STOP_EVENT, "Failure": failure}, None)
    assert (answer["Error"], answer["Cause"]) == ("States.Timeout", f"{text} (tuning job {NAME} is Stopped)")
