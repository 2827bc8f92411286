"""Publishing: the best training job's facts, written so that a reader never sees a mixture."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import ANY

from hpo_handlers import publish
from hpo_handlers.contract import OUTPUT_NAMES, Fact
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


def run(
    answers: Any,
    job: dict[str, Any],
    algorithm: dict[str, str] | None = None,
    *,
    policy: dict[str, Any] | None = None,
    failed: dict[str, Any] | None = None,
) -> dict[str, Any]:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job, {"HyperParameterTuningJobName": NAME})
    if algorithm is not None:
        answers("sagemaker").add_response(
            "describe_training_job", training_job(algorithm), {"TrainingJobName": BEST_NAME}
        )
    if failed is not None:
        answers("sagemaker").add_response(
            "list_training_jobs_for_hyper_parameter_tuning_job",
            failed,
            {"HyperParameterTuningJobName": NAME, "StatusEquals": "Failed", "MaxResults": 100},
        )
    return publish.handler({**EVENT, "Policy": policy or {}}, None)


def failed_training_jobs(*reasons: str | None) -> dict[str, Any]:
    """What the service lists of failed training jobs."""
    summaries = [
        {
            "TrainingJobName": f"{NAME}-{number:03}-0123abcd",
            "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{NAME}-{number:03}",
            "CreationTime": NOW,
            "TrainingJobStatus": "Failed",
            "TunedHyperParameters": {},
            **({} if reason is None else {"FailureReason": reason}),
        }
        for number, reason in enumerate(reasons, start=1)
    ]
    return {"TrainingJobSummaries": summaries}


def test_all_outputs_of_a_completed_job(answers: Any, written: Written) -> None:
    job = tuning_job(BestTrainingJob=best_training_job(TrainingJobDefinitionName="xgboost"))
    answer = run(answers, job, IMAGE)
    assert sorted(written.values) == sorted(OUTPUT_NAMES)
    assert next(iter(written.values)) == "best"  # the document first
    best = json.loads(written.values["best"])
    updated = best.pop("updated-at")
    more = {name: best.pop(name) for name in [str(fact) for fact in Fact]}
    assert more == {
        "objective-type": "Maximize",
        "completion-details": None,
        "consumed-seconds": None,
        "training-jobs": {"Completed": 3, "InProgress": 0, "NonRetryableError": 2},
        "objectives": {},
        "overall-best": None,
        "stopped-by": None,
        "published": True,
    }
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
        "Best": {**best, **more, "updated-at": updated},
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
    answer = run(answers, job, failed=failed_training_jobs())
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


@pytest.mark.parametrize(
    ("changes", "policy", "error"),
    [
        ({"status": "Stopped"}, {"on_stopped": "accept_best"}, ""),
        ({"status": "Stopped"}, {"on_stopped": "fail"}, "HyperparameterTuningJobStopped"),
        ({"status": "Failed"}, {"on_stopped": "accept_best"}, "HyperparameterTuningJobFailed"),
        ({}, {"min_completed_training_jobs": 3}, ""),
        ({}, {"min_completed_training_jobs": 4}, "TooFewTrainingJobsCompleted"),
        ({}, {"required_objective_value": 0.93}, ""),
        ({}, {"required_objective_value": 0.931}, "ObjectiveValueNotReached"),
        ({"direction": "Minimize"}, {"required_objective_value": 0.93}, ""),
        ({"direction": "Minimize"}, {"required_objective_value": 0.929}, "ObjectiveValueNotReached"),
    ],
)
def test_policy(answers: Any, written: Written, changes: dict[str, str], policy: dict[str, Any], error: str) -> None:
    job = tuning_job(changes.get("status", "Completed"), BestTrainingJob=best_training_job())
    objective = {"Type": changes.get("direction", "Maximize"), "MetricName": "validation:auc"}
    job["HyperParameterTuningJobConfig"]["HyperParameterTuningJobObjective"] = objective
    answer = run(
        answers, job, None if error else IMAGE, policy=policy, failed=failed_training_jobs() if error else None
    )
    assert (answer["Error"], answer["Succeeded"], "best" in written.values) == (error, not error, not error)


def test_direction_is_the_winning_definition_s(answers: Any, written: Written) -> None:
    """Each definition of several has an objective of its own."""
    definitions = [
        {
            "DefinitionName": name,
            "TuningObjective": {"Type": direction, "MetricName": "m"},
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "RoleArn": "arn:aws:iam::123456789012:role/trainer",
            "OutputDataConfig": {"S3OutputPath": "s3://models"},
            "StoppingCondition": {},
        }
        for name, direction in (("a", "Maximize"), ("b", "Minimize"))
    ]
    best = best_training_job(TrainingJobDefinitionName="b")
    job = tuning_job(BestTrainingJob=best, TrainingJobDefinitions=definitions)
    answer = run(answers, job, IMAGE, policy={"required_objective_value": 0.95})
    assert answer["Best"]["objective-type"] == "Minimize"


@pytest.mark.parametrize(
    ("published", "margin", "replaced"),
    [
        (None, 0.1, True),
        ({"objective-metric-value": 0.92}, 0.0, True),
        ({"objective-metric-value": 0.93}, 0.0, False),
        ({"objective-metric-value": 0.90}, 0.05, False),
        ({"objective-metric-value": 0.85}, 0.05, True),
        ({"objective-metric-value": 0.99, "objective-metric-name": "validation:error"}, 0.0, True),
        ({"objective-metric-value": 0.99, "objective-type": "Minimize"}, 0.0, True),
        ({"objective-metric-value": 0.93, "tuning-job-name": NAME}, 0.05, True),
    ],
    ids=["first", "better", "equal", "within the margin", "beyond it", "other metric", "other direction", "own"],
)
def test_a_published_best_gives_way_to_a_better_one_only(
    answers: Any, written: Written, published: dict[str, Any] | None, margin: float, replaced: bool
) -> None:
    which = {"Name": "/hpo/stack/churn/best"}
    if published is None:
        answers("ssm").add_client_error("get_parameter", "ParameterNotFound", "none", expected_params=which)
    else:
        document = {
            "objective-metric-name": "validation:auc",
            "objective-type": "Maximize",
            "tuning-job-name": "churn-former",
            **published,
        }
        answers("ssm").add_response("get_parameter", {"Parameter": {"Value": json.dumps(document)}}, which)
    answer = run(answers, tuning_job(BestTrainingJob=best_training_job()), IMAGE, policy={"replace_best_by": margin})
    assert (answer["Succeeded"], answer["Best"]["published"], "best" in written.values) == (True, replaced, replaced)
    assert written.values["tuning-job-name"] == NAME
    if not replaced:
        assert list(written.values) == ["tuning-job-name", "tuning-job-status", "updated-at"]


def test_facts_of_the_whole_run(answers: Any, written: Written) -> None:
    overall = best_training_job(value=0.97) | {"TrainingJobName": "parent-001", "TuningJobName": "parent"}
    job = tuning_job(
        BestTrainingJob=best_training_job(),
        OverallBestTrainingJob=overall,
        TuningJobCompletionDetails={"NumberOfTrainingJobsObjectiveNotImproving": 4, "ConvergenceDetectedTime": NOW},
        ConsumedResources={"RuntimeInSeconds": 1234},
        ObjectiveStatusCounters={"Succeeded": 3},
    )
    run(answers, job, IMAGE)
    best = json.loads(written.values["best"])
    assert best["overall-best"] == {
        "best-training-job-name": "parent-001",
        "tuning-job-name": "parent",
        "objective-metric-name": "validation:auc",
        "objective-metric-value": 0.97,
    }
    assert best["completion-details"] == {
        "NumberOfTrainingJobsObjectiveNotImproving": 4,
        "ConvergenceDetectedTime": NOW.isoformat(),
    }
    assert (best["consumed-seconds"], best["objectives"]) == (1234, {"Succeeded": 3})


def test_digest_groups_reasons_and_links_logs(answers: Any, written: Written) -> None:
    reasons = [
        f"AlgorithmError: {NAME}-001-0123abcd wrote to 0x7fffdeadbeef at 2026-11-21T10:00:00Z",
        f"AlgorithmError: {NAME}-002-0123abcd wrote to 0x7fffcafecafe at 2026-11-21T11:30:00Z",
        None,
    ]
    answer = run(answers, tuning_job("Failed"), failed=failed_training_jobs(*reasons))
    text = answer["Cause"]
    assert "reasons of the 3 failed training jobs:" in text
    assert "- 2 times: AlgorithmError: <training job> wrote to <id> at <time>" in text
    assert "- 1 times: no reason given" in text
    assert (
        f"log of {NAME}-001-0123abcd: https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1"
        "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FTrainingJobs"
        f"$3FlogStreamNameFilter$3D{NAME}-001-0123abcd$252F"
    ) in text


def test_cause_fits_into_step_functions(answers: Any, written: Written) -> None:
    reasons = [f"reason {chr(97 + number % 26) * 7}{'long ' * 900}" for number in range(100)]
    job = tuning_job("Failed", FailureReason="x" * 1024)
    answer = run(answers, job, failed=failed_training_jobs(*reasons))
    assert "reasons of the 100 failed training jobs" in answer["Cause"]
    assert len(answer["Cause"]) <= 32_768


def test_a_digest_that_cannot_be_made_hides_no_failure(answers: Any, written: Written) -> None:
    answers("sagemaker").add_response(
        "describe_hyper_parameter_tuning_job", tuning_job("Failed"), {"HyperParameterTuningJobName": NAME}
    )
    answers("sagemaker").add_client_error("list_training_jobs_for_hyper_parameter_tuning_job", "ThrottlingException")
    answer = publish.handler(EVENT, None)
    assert answer["Error"] == "HyperparameterTuningJobFailed"
    assert answer["Cause"].endswith("the reasons of the failed training jobs could not be read")
