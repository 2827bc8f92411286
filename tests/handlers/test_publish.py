"""Publishing: the best training job's facts, written so that a reader never sees a mixture."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY
from hpo_handlers import publish
from hpo_handlers.contract import OUTPUT_NAMES
from hpo_handlers.service import TemporaryServiceError

NAME = "churn-0123456789"
BEST_NAME = f"{NAME}-007-abcdef01"
EVENT = {"HyperParameterTuningJobName": NAME, "OutputPrefix": "/hpo/stack/churn/"}
NOW = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
ARTIFACT = "s3://models/elsewhere/model.tar.gz"


def tuning_job(status: str = "Completed", **more: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/{NAME}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "ResourceLimits": {"MaxParallelTrainingJobs": 1},
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": NOW,
        "TrainingJobStatusCounters": {"Completed": 3, "InProgress": 0, "NonRetryableError": 2},
        "ObjectiveStatusCounters": {},
        **more,
    }


def best_training_job(tuned: dict[str, str] | None = None, value: float = 0.93, **more: Any) -> dict[str, Any]:
    return {
        "TrainingJobName": BEST_NAME,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{BEST_NAME}",
        "CreationTime": NOW,
        "TrainingJobStatus": "Completed",
        "TunedHyperParameters": {"eta": "0.2"} if tuned is None else tuned,
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation:auc", "Value": value},
        **more,
    }


def training_job(algorithm: dict[str, str]) -> dict[str, Any]:
    return {
        "TrainingJobName": BEST_NAME,
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{BEST_NAME}",
        "ModelArtifacts": {"S3ModelArtifacts": ARTIFACT},
        "TrainingJobStatus": "Completed",
        "SecondaryStatus": "Completed",
        "AlgorithmSpecification": {"TrainingInputMode": "File", **algorithm},
        "StoppingCondition": {},
        "CreationTime": NOW,
    }


IMAGE = {"TrainingImage": "1.dkr.ecr.eu-west-1.amazonaws.com/xgboost:1"}


class Written:
    """Parameters in the order of writing."""

    def __init__(self, answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values: dict[str, str] = {}
        self.calls: list[dict[str, Any]] = []
        client = answers("ssm").client
        put = client.put_parameter

        def recorded(**request: Any) -> Any:
            answers("ssm").add_response("put_parameter", {"Version": 1, "Tier": "Standard"}, request)
            self.calls.append(request)
            self.values[request["Name"].removeprefix("/hpo/stack/churn/")] = request["Value"]
            return put(**request)

        monkeypatch.setattr(client, "put_parameter", recorded)


@pytest.fixture
def written(answers: Any, monkeypatch: pytest.MonkeyPatch) -> Written:
    return Written(answers, monkeypatch)


def run(answers: Any, job: dict[str, Any], algorithm: dict[str, str] | None = None) -> dict[str, Any]:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job, {"HyperParameterTuningJobName": NAME})
    if algorithm is not None:
        answers("sagemaker").add_response(
            "describe_training_job", training_job(algorithm), {"TrainingJobName": BEST_NAME}
        )
    return publish.handler(EVENT, None)


def test_all_outputs_of_a_completed_job(answers: Any, written: Written) -> None:
    job = tuning_job(BestTrainingJob=best_training_job(TrainingJobDefinitionName="xgboost"))
    answer = run(answers, job, IMAGE)
    assert tuple(written.values) == OUTPUT_NAMES  # all of them, the document first
    best = json.loads(written.values["best"])
    updated = best.pop("updated-at")
    assert datetime.fromisoformat(updated).tzinfo is not None
    assert best == {
        "best-training-job-name": BEST_NAME,
        "objective-metric-name": "validation:auc",
        "objective-metric-value": 0.93,
        "hyperparameters": {"eta": "0.2"},
        "model-artifacts": ARTIFACT,
        "training-image": IMAGE["TrainingImage"],
        "training-job-definition-name": "xgboost",
        "tuning-job-name": NAME,
        "tuning-job-status": "Completed",
    }
    assert written.values == {
        "best": written.values["best"],
        **{name: str(value) for name, value in best.items()},
        "hyperparameters": '{"eta": "0.2"}',
        "updated-at": updated,
    }
    assert answer == {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobStatus": "Completed",
        "Succeeded": True,
        "Best": {**best, "updated-at": updated},
        "Error": "",
        "Cause": "",
    }


def test_parameters_may_grow_over_the_standard_size_and_are_overwritten(answers: Any, written: Written) -> None:
    run(answers, tuning_job(BestTrainingJob=best_training_job()), IMAGE)
    for call in written.calls:
        assert (call["Tier"], call["Overwrite"], call["Type"]) == ("Intelligent-Tiering", True, "String")


@pytest.mark.parametrize("value", [0.0, -1.5, 1e-12])
def test_objective_values_are_numbers(answers: Any, written: Written, value: float) -> None:
    run(answers, tuning_job(BestTrainingJob=best_training_job(value=value)), IMAGE)
    assert float(written.values["objective-metric-value"]) == value


def test_facts_that_a_job_does_not_have(answers: Any, written: Written) -> None:
    job = tuning_job(BestTrainingJob=best_training_job(tuned={}))
    run(answers, job, {"AlgorithmName": "arn:aws:sagemaker:eu-west-1:123456789012:algorithm/bought"})
    assert written.values["training-job-definition-name"] == "null"
    assert written.values["hyperparameters"] == "{}"
    assert written.values["training-image"].endswith("algorithm/bought")


def test_hyperparameters_that_no_parameter_holds_are_left_out(answers: Any, written: Written) -> None:
    tuned = {f"{index:02}" + "n" * 250: "v" * 256 for index in range(30)}
    answer = run(answers, tuning_job(BestTrainingJob=best_training_job(tuned)), IMAGE)
    assert written.values["hyperparameters"] == "null"
    assert json.loads(written.values["best"])["hyperparameters"] is None
    assert json.loads(written.values["best"])["model-artifacts"] == ARTIFACT
    assert answer["Succeeded"]
    assert max(len(value) for value in written.values.values()) <= 8192


@pytest.mark.parametrize(
    ("job", "error", "cause"),
    [
        (
            tuning_job("Failed", FailureReason="No training job succeeded after 5 attempts"),
            "HyperparameterTuningJobFailed",
            f"tuning job {NAME} ended as Failed: No training job succeeded after 5 attempts"
            " (training jobs: 3 Completed, 2 NonRetryableError)",
        ),
        (
            tuning_job("Failed", TrainingJobStatusCounters={}, BestTrainingJob=best_training_job()),
            "HyperparameterTuningJobFailed",
            f"tuning job {NAME} ended as Failed: no reason given (training jobs: none)",
        ),
        (
            tuning_job("Stopped", BestTrainingJob=best_training_job()),
            "HyperparameterTuningJobStopped",
            f"tuning job {NAME} was stopped before it completed (training jobs: 3 Completed, 2 NonRetryableError)",
        ),
        (
            tuning_job("DeleteFailed"),
            "HyperparameterTuningJobFailed",
            f"tuning job {NAME} ended as DeleteFailed: no reason given"
            " (training jobs: 3 Completed, 2 NonRetryableError)",
        ),
        (
            tuning_job("Completed"),
            "NoBestTrainingJob",
            f"tuning job {NAME} completed without a best training job"
            " (training jobs: 3 Completed, 2 NonRetryableError)",
        ),
    ],
)
def test_a_run_that_brings_nothing_leaves_the_best_alone(
    answers: Any, written: Written, job: dict[str, Any], error: str, cause: str
) -> None:
    answer = run(answers, job)
    assert list(written.values) == ["tuning-job-name", "tuning-job-status", "updated-at"]
    assert written.values["tuning-job-status"] == job["HyperParameterTuningJobStatus"]
    assert (answer["Succeeded"], answer["Best"], answer["Error"], answer["Cause"]) == (False, {}, error, cause)


def test_throttled_parameter_store_is_temporary_and_names_the_parameter(answers: Any) -> None:
    answers("ssm").add_client_error("put_parameter", "ThrottlingException", "slow", expected_params=None)
    with pytest.raises(TemporaryServiceError, match=r"writing parameter /hpo/stack/churn/best: Throttling"):
        run(answers, tuning_job(BestTrainingJob=best_training_job()), IMAGE)


def test_too_many_updates_are_temporary(answers: Any) -> None:
    answers("ssm").add_client_error(
        "put_parameter",
        "TooManyUpdates",
        "wait",
        expected_params={"Name": ANY, "Value": ANY, "Type": ANY, "Tier": ANY, "Overwrite": ANY},
    )
    with pytest.raises(TemporaryServiceError):
        run(answers, tuning_job(BestTrainingJob=best_training_job()), IMAGE)
