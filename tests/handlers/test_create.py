"""Creating the tuning job: once, however often it is tried."""

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ParamValidationError, ReadTimeoutError

from hpo_handlers import create
from hpo_handlers.contract import tuning_job_name
from hpo_handlers.service import PermissionNotEffective, ServiceRequestRejected, TemporaryServiceError

EXECUTION = "arn:aws:states:eu-west-1:123456789012:execution:Churn:one"
NAME = tuning_job_name("churn", EXECUTION)
CONFIG = {
    "Strategy": "Random",
    "ResourceLimits": {"MaxParallelTrainingJobs": 1, "MaxNumberOfTrainingJobs": 2},
}
EVENT = {
    "Request": {
        "HyperParameterTuningJobName": "churn",
        "HyperParameterTuningJobConfig": CONFIG,
        "Tags": [{"Key": "team", "Value": "ml"}],
    },
    "ExecutionArn": EXECUTION,
}
SENT = {**EVENT["Request"], "HyperParameterTuningJobName": NAME}  # type: ignore[dict-item]
ANSWER = {"HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/{NAME}"}


CREATED = {"HyperParameterTuningJobName": NAME, "WaitSeconds": 3, "Turn": "Now", "Reason": ""}


def execution_is(answers: Any, status: str, execution: str = EXECUTION) -> None:
    answer = {
        "executionArn": execution,
        "stateMachineArn": "arn:aws:states:eu-west-1:123456789012:stateMachine:Churn",
        "status": status,
        "startDate": datetime.now(UTC),
    }
    answers("stepfunctions").add_response("describe_execution", answer, {"executionArn": execution})


def test_creates_the_declared_job_under_the_run_name(answers: Any) -> None:
    answers("sagemaker").add_response("create_hyper_parameter_tuning_job", ANSWER, SENT)
    execution_is(answers, "RUNNING")
    assert create.handler(EVENT, None) == CREATED
    assert EVENT["Request"]["HyperParameterTuningJobName"] == "churn"  # type: ignore[index]


def test_a_retried_create_finds_its_own_job(answers: Any) -> None:
    answers("sagemaker").add_client_error(
        "create_hyper_parameter_tuning_job", "ResourceInUse", "already exists", expected_params=SENT
    )
    execution_is(answers, "RUNNING")
    assert create.handler(EVENT, None) == CREATED


@pytest.mark.parametrize("code", ["AccessDeniedException", "AccessDenied"])
def test_an_execution_that_may_not_be_looked_at_counts_as_running(answers: Any, code: str) -> None:
    """A fragment in a state machine that its guard was not told of."""
    answers("sagemaker").add_response("create_hyper_parameter_tuning_job", ANSWER, SENT)
    answers("stepfunctions").add_client_error("describe_execution", code, "not authorized")
    assert create.handler(EVENT, None) == CREATED


@pytest.mark.parametrize("status", ["ABORTED", "TIMED_OUT", "gone"])
def test_a_job_whose_execution_ended_meanwhile_is_stopped(answers: Any, status: str) -> None:
    answers("sagemaker").add_response("create_hyper_parameter_tuning_job", ANSWER, SENT)
    if status == "gone":
        answers("stepfunctions").add_client_error("describe_execution", "ExecutionDoesNotExist", "no such execution")
    else:
        execution_is(answers, status)
    described = {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobArn": ANSWER["HyperParameterTuningJobArn"],
        "HyperParameterTuningJobConfig": CONFIG,
        "HyperParameterTuningJobStatus": "InProgress",
        "CreationTime": datetime.now(UTC),
        "TrainingJobStatusCounters": {},
        "ObjectiveStatusCounters": {},
    }
    which = {"HyperParameterTuningJobName": NAME}
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", described, which)
    answers("sagemaker").add_response("stop_hyper_parameter_tuning_job", {}, which)
    with pytest.raises(ServiceRequestRejected, match=r"ended while it created .* is being stopped"):
        create.handler(EVENT, None)


@pytest.mark.parametrize(
    ("code", "message", "http_status", "kind"),
    [
        ("ThrottlingException", "Rate exceeded", 400, TemporaryServiceError),
        ("ServiceUnavailable", "", 503, TemporaryServiceError),
        ("InternalFailure", "", 500, TemporaryServiceError),
        ("SomethingNew", "", 502, TemporaryServiceError),
        ("SomethingNew", "", 429, TemporaryServiceError),
        ("AccessDeniedException", "not authorized", 400, PermissionNotEffective),
        ("ValidationException", "Could not assume role arn:aws:iam::1:role/x", 400, PermissionNotEffective),
        ("ValidationException", "You don't have enough combinations", 400, ServiceRequestRejected),
        ("ResourceLimitExceeded", "limit is 100", 400, ServiceRequestRejected),
        ("ResourceNotFound", "no such algorithm", 400, ServiceRequestRejected),
    ],
)
def test_errors_are_told_apart(answers: Any, code: str, message: str, http_status: int, kind: type[Exception]) -> None:
    answers("sagemaker").add_client_error(
        "create_hyper_parameter_tuning_job", code, message, http_status_code=http_status
    )
    with pytest.raises(kind) as raised:
        create.handler(EVENT, None)
    assert type(raised.value) is kind
    assert str(raised.value) == f"creating tuning job {NAME}: {code}: {message}"


def test_a_call_without_an_answer_is_temporary(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(**request: Any) -> None:
        raise ReadTimeoutError(endpoint_url="https://api.sagemaker.eu-west-1.amazonaws.com/")

    monkeypatch.setattr(answers("sagemaker").client, "create_hyper_parameter_tuning_job", silent)
    with pytest.raises(TemporaryServiceError, match=NAME):
        create.handler(EVENT, None)


def test_a_parameter_that_boto3_does_not_know_is_rejected(answers: Any) -> None:
    answers("sagemaker").deactivate()  # the parameters are checked before anything is sent
    event = {**EVENT, "Request": {**SENT, "HyperParameterTuningJobName": "churn", "Novelty": 1}}
    with pytest.raises(ServiceRequestRejected, match="Novelty") as raised:
        create.handler(event, None)
    assert isinstance(raised.value.__cause__, ParamValidationError)
