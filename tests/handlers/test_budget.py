"""The run-time guard: a tuning job that has used up its instance-hours is stopped, and its best so far published."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hpo_handlers import budget, digest, poll, publish
from hpo_handlers.contract import Rule

NAME = "churn-0123456789"
WHICH = {"HyperParameterTuningJobName": NAME}
LIST = "list_training_jobs_for_hyper_parameter_tuning_job"


def ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


@pytest.fixture(autouse=True)
def _same_clients(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules that handlers share have the handlers' stubbed clients."""
    for module in (budget, digest):
        monkeypatch.setattr(module, "client", poll.client)


def definition(name: str = "", **resources: Any) -> dict[str, Any]:
    return {
        **({"DefinitionName": name} if name else {}),
        "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "OutputDataConfig": {"S3OutputPath": "s3://models/"},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **resources,
    }


def plain(count: int) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": count, "VolumeSizeInGB": 1}}


def job(hours: float, status: str = "InProgress", parallel: int = 2, **more: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": NAME,
        "HyperParameterTuningJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:hyper-parameter-tuning-job/{NAME}",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ResourceLimits": {"MaxParallelTrainingJobs": parallel},
        },
        "HyperParameterTuningJobStatus": status,
        "CreationTime": ago(hours),
        "TrainingJobStatusCounters": {"Completed": 1},
        "ObjectiveStatusCounters": {},
        "TrainingJobDefinition": definition(**plain(2)),
        **more,
    }


def training_job(begin: float | None, end: float | None = None, of: str = "") -> dict[str, Any]:
    """A training job that began and ended so many hours ago."""
    times = {"TrainingStartTime": begin, "TrainingEndTime": end}
    return {
        "TrainingJobName": f"{NAME}-001-0123abcd",
        "TrainingJobArn": f"arn:aws:sagemaker:eu-west-1:123456789012:training-job/{NAME}-001-0123abcd",
        "CreationTime": ago(begin or 0),
        "TrainingJobStatus": "InProgress" if end is None else "Completed",
        "TunedHyperParameters": {},
        **({"TrainingJobDefinitionName": of} if of else {}),
        **{name: ago(hours) for name, hours in times.items() if hours is not None},
    }


def listed(answers: Any, *pages: list[dict[str, Any]]) -> None:
    for number, page in enumerate(pages):
        more = {"NextToken": str(number + 1)} if number + 1 < len(pages) else {}
        before = {"NextToken": str(number)} if number else {}
        answers("sagemaker").add_response(
            LIST, {"TrainingJobSummaries": page, **more}, {**WHICH, "MaxResults": 100, **before}
        )


def test_a_young_tuning_job_is_not_even_listed() -> None:
    # 2 training jobs of 2 instances for 2 hours: 8 at the most.
    assert budget.passed(job(2), 8.1) == ""


@pytest.mark.parametrize(("limit", "reached"), [(5.9, True), (6.0, True), (6.1, False)])
def test_what_is_used_is_added_up_over_all_pages(answers: Any, limit: float, reached: bool) -> None:
    # 2 instances: 1 hour, and 2 hours up to now; a job that waits for its instances uses none.
    listed(answers, [training_job(4, 3)], [training_job(2), training_job(None)])
    reason = budget.passed(job(4), limit)
    assert bool(reason) is reached
    if reached:
        assert "6 instance-hours are used" in reason
        assert f"stop_at_instance_hours is {limit:g}" in reason


@pytest.mark.parametrize(
    ("resources", "size"),
    [
        (plain(3), 3),
        ({"ResourceConfig": {"InstanceGroups": [{"InstanceCount": 2}, {"InstanceCount": 3}]}}, 5),
        ({"HyperParameterTuningResourceConfig": {"InstanceConfigs": [{"InstanceCount": 1}, {"InstanceCount": 4}]}}, 4),
        ({"HyperParameterTuningResourceConfig": {"InstanceCount": 2}}, 2),
        ({}, 1),
    ],
)
def test_the_instances_of_every_form(answers: Any, resources: dict[str, Any], size: int) -> None:
    listed(answers, [training_job(2, 1)])
    assert f"{size} instance-hours" in budget.passed(
        job(5, parallel=9, TrainingJobDefinition=definition(**resources)), 0.5
    )


def test_each_training_job_has_the_size_of_its_definition(answers: Any) -> None:
    described = job(9)
    del described["TrainingJobDefinition"]
    described["TrainingJobDefinitions"] = [definition("small", **plain(1)), definition("large", **plain(4))]
    listed(answers, [training_job(3, 2, of="small"), training_job(3, 2, of="large")])
    assert "5 instance-hours" in budget.passed(described, 1)


def test_an_ended_tuning_job_is_measured_at_its_end(answers: Any) -> None:
    end = ago(3)
    listed(answers, [training_job(5, 3.5)])
    assert "3 instance-hours" in budget.passed(job(6, "Stopped", HyperParameterTuningEndTime=end), 1)
    # It was there for three hours only, however long ago.
    assert budget.passed(job(6, "Stopped", HyperParameterTuningEndTime=end), 12.1) == ""


POLICY = {"Policy": {Rule.STOP_AT_INSTANCE_HOURS: 3}}


def test_the_poll_stops_a_tuning_job_that_has_used_up_its_budget(answers: Any) -> None:
    sagemaker = answers("sagemaker")
    sagemaker.add_response("describe_hyper_parameter_tuning_job", job(4), WHICH)
    listed(answers, [training_job(4, 2)])
    sagemaker.add_response("describe_hyper_parameter_tuning_job", job(4), WHICH)
    sagemaker.add_response("stop_hyper_parameter_tuning_job", {}, WHICH)
    assert poll.handler({**WHICH, **POLICY}, None)["Ended"] is False


@pytest.mark.parametrize("status", ["Stopping", "Stopped", "Completed"])
def test_the_poll_leaves_a_tuning_job_that_ends_anyway(answers: Any, status: str) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job(40, status), WHICH)
    poll.handler({**WHICH, **POLICY}, None)


def test_the_poll_without_a_budget_looks_at_nothing_else(answers: Any) -> None:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", job(400), WHICH)
    poll.handler(WHICH, None)


def best_of(described: dict[str, Any]) -> dict[str, Any]:
    summary = training_job(4, 2) | {
        "FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation:auc", "Value": 0.9},
        "ObjectiveStatus": "Succeeded",
    }
    return described | {"BestTrainingJob": summary}


def published(answers: Any, described: dict[str, Any], policy: dict[str, Any]) -> dict[str, Any]:
    answers("sagemaker").add_response("describe_hyper_parameter_tuning_job", described, WHICH)
    listed(answers, [training_job(4, 2)])
    return publish.handler({**WHICH, "OutputPrefix": "/hpo/ml/churn/", "Policy": policy}, None)


def test_the_best_so_far_is_published_with_the_reason(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    written: dict[str, str] = {}
    monkeypatch.setattr(publish, "_put", lambda parameter, value: written.update({parameter: value}))
    monkeypatch.setattr(publish, "_best", lambda job_, latest: {"best-training-job-name": "b", **latest})
    described = best_of(job(4, "Stopped", HyperParameterTuningEndTime=ago(0)))
    answer = published(answers, described, POLICY["Policy"])
    assert answer["Succeeded"] is True
    assert answer["Best"]["stopped-by"] == ("its budget: 4 instance-hours are used, stop_at_instance_hours is 3")
    assert "stop_at_instance_hours is 3" in written["/hpo/ml/churn/best"]
    assert written["/hpo/ml/churn/tuning-job-status"] == "Stopped"


def test_a_tuning_job_that_somebody_else_stopped_still_fails(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_put", lambda parameter, value: None)
    described = best_of(job(4, "Stopped", HyperParameterTuningEndTime=ago(0)))
    sagemaker = answers("sagemaker")
    sagemaker.add_response("describe_hyper_parameter_tuning_job", described, WHICH)
    listed(answers, [training_job(4, 2)])
    sagemaker.add_response(LIST, {"TrainingJobSummaries": []})  # the digest of failures
    policy = {Rule.STOP_AT_INSTANCE_HOURS: 4.5}
    answer = publish.handler({**WHICH, "OutputPrefix": "/hpo/ml/churn/", "Policy": policy}, None)
    assert answer["Error"] == "HyperparameterTuningJobStopped"


def test_without_a_best_the_failure_names_the_budget(answers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish, "_put", lambda parameter, value: None)
    sagemaker = answers("sagemaker")
    sagemaker.add_response(
        "describe_hyper_parameter_tuning_job", job(4, "Stopped", HyperParameterTuningEndTime=ago(0)), WHICH
    )
    listed(answers, [training_job(4, 2)])
    sagemaker.add_response(LIST, {"TrainingJobSummaries": []})
    answer = publish.handler({**WHICH, "OutputPrefix": "/hpo/ml/churn/", **POLICY}, None)
    assert answer["Error"] == "NoBestTrainingJob"
    assert "was stopped by its budget: 4 instance-hours are used" in answer["Cause"]


def test_the_state_machine_hands_the_bound_to_the_poll_and_to_publish() -> None:
    from hpo_constructs.spec.run import RunSettings
    from hpo_constructs.workflow import FUNCTIONS, StateName, states

    names = {function.id: function.id for function in FUNCTIONS}
    policy = RunSettings(stop_at_instance_hours=12.5, min_completed_training_jobs=2).policy
    machine = states({}, output_prefix="/x/", functions=names, policy=policy)
    payload = {name: machine[name]["Parameters"]["Payload"] for name in (StateName.POLL, StateName.PUBLISH)}
    assert payload[StateName.POLL]["Policy"] == {"stop_at_instance_hours": 12.5}
    assert payload[StateName.PUBLISH]["Policy"]["stop_at_instance_hours"] == 12.5
    without = states({}, output_prefix="/x/", functions=names, policy={"min_completed_training_jobs": 2})
    assert "Policy" not in without[StateName.POLL]["Parameters"]["Payload"]
