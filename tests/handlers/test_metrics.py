"""Metrics in the log: what CloudWatch takes from a line."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hpo_handlers import metrics
from hpo_handlers.contract import tuning_job_name

CREATED = datetime(2026, 5, 4, 12, tzinfo=UTC)
NOW = (CREATED + timedelta(minutes=90)).timestamp()


def described(**changes: Any) -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": tuning_job_name("churn-xgb", "arn:run"),
        "HyperParameterTuningJobStatus": "InProgress",
        "TrainingJobStatusCounters": {
            "Completed": 5,
            "InProgress": 2,
            "NonRetryableError": 1,
            "RetryableError": 1,
            "Stopped": 3,
        },
        "CreationTime": CREATED,
        **changes,
    }


def values(job: dict[str, Any]) -> dict[str, float]:
    """The metrics as CloudWatch finds them: by the names in the declaration."""
    document = json.loads(json.dumps(metrics.document(job, "ml", NOW)))
    (declared,) = document["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: document[metric["Name"]] for metric in declared["Metrics"]}


def test_a_running_job() -> None:
    assert values(described()) == {
        "TrainingJobsCompleted": 5,
        "TrainingJobsInProgress": 2,
        "TrainingJobsFailed": 2,
        "TrainingJobsStopped": 3,
        "RunAge": 5400,
    }


def test_an_ended_job_has_no_age_and_a_run_time() -> None:
    best = {"FinalHyperParameterTuningJobObjectiveMetric": {"MetricName": "validation:auc", "Value": 0.93}}
    found = values(
        described(
            HyperParameterTuningJobStatus="Completed",
            HyperParameterTuningEndTime=CREATED + timedelta(hours=1),
            BestTrainingJob=best,
        )
    )
    assert (found["RunAge"], found["RunTime"], found["BestObjective"]) == (0, 3600, 0.93)


def test_one_set_of_dimensions_and_no_metric_for_each_run() -> None:
    """Every combination of dimension values is a metric that is paid for."""
    document = metrics.document(described(), "ml", NOW)
    (declared,) = document["_aws"]["CloudWatchMetrics"]
    assert declared["Dimensions"] == [["StackName", "TuningJob"]]
    assert (document["StackName"], document["TuningJob"]) == ("ml", "churn-xgb")
    assert document["_aws"]["Timestamp"] == int(NOW * 1000)


def test_the_log_line_is_one_json_object(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    monkeypatch.setenv(metrics.STACK_VARIABLE, "ml")
    metrics.emit(described())
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["StackName"] == "ml"
