"""Answers of SageMaker's API about tuning jobs, as boto3 gives them."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

NAME = "churn-0123456789"
START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
RANGES = {
    "ContinuousParameterRanges": [
        {"Name": "eta", "MinValue": "0.001", "MaxValue": "1", "ScalingType": "Logarithmic"},
        {"Name": "momentum", "MinValue": "0.5", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
    ],
    "IntegerParameterRanges": [{"Name": "max_depth", "MinValue": "2", "MaxValue": "12", "ScalingType": "Linear"}],
    "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree", "dart"]}],
}


def training_job(
    number: int,
    value: float | None,
    *,
    status: str = "Completed",
    metric: str = "validation:auc",
    objective_type: str = "Maximize",
    definition: str | None = None,
    hyperparameters: Mapping[str, str] | None = None,
    reason: str = "",
    name: str = NAME,
) -> dict[str, Any]:
    """A TrainingJobSummary: started a minute after the one before, and trained for 30 minutes if it is over."""
    started = START + timedelta(minutes=number)
    values = {"eta": f"{0.001 * number:.4f}", "momentum": "0.9", "max_depth": str(2 + number % 3), "booster": "dart"}
    summary: dict[str, Any] = {
        "TrainingJobName": f"{name}-{number:03d}-ab12cd34",
        "TrainingJobStatus": status,
        "CreationTime": started,
        "TrainingStartTime": started,
        "TunedHyperParameters": dict(values if hyperparameters is None else hyperparameters),
        "ObjectiveStatus": "Succeeded" if value is not None else "Pending" if status == "InProgress" else "Failed",
    }
    if status != "InProgress":
        summary["TrainingEndTime"] = started + timedelta(minutes=30)
    if value is not None:
        summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
            "MetricName": metric,
            "Value": value,
            "Type": objective_type,
        }
    if definition is not None:
        summary["TrainingJobDefinitionName"] = definition
    if reason:
        summary["FailureReason"] = reason
    return summary


def definition(name: str | None = None, **rest: Any) -> dict[str, Any]:
    """A training job definition as DescribeHyperParameterTuningJob gives it."""
    return {
        **({"DefinitionName": name} if name else {}),
        "AlgorithmSpecification": {
            "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
        },
        "StaticHyperParameters": {"num_round": "100", "_tuning_objective_metric": "validation:auc"},
        "InputDataConfig": [
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3Uri": "s3://data/churn/"}},
                "ContentType": "text/csv",
            }
        ],
        "OutputDataConfig": {"S3OutputPath": "s3://models/churn/"},
        "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        **rest,
    }


def tuning_job(
    training_jobs: Sequence[Mapping[str, Any]] = (),
    *,
    best: Mapping[str, Any] | None = None,
    status: str = "Completed",
    objective: Mapping[str, str] | None = None,
    ranges: Mapping[str, Any] | None = None,
    definitions: Sequence[Mapping[str, Any]] = (),
    name: str = NAME,
    **rest: Any,
) -> dict[str, Any]:
    """The answer of DescribeHyperParameterTuningJob; with `definitions` for a job of several."""
    config: dict[str, Any] = {
        "Strategy": "Bayesian",
        "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 2, "MaxRuntimeInSeconds": 7200},
    }
    if not definitions:
        config["HyperParameterTuningJobObjective"] = objective or {"Type": "Maximize", "MetricName": "validation:auc"}
        config["ParameterRanges"] = RANGES if ranges is None else ranges
    statuses = [one["TrainingJobStatus"] for one in training_jobs]
    job = {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": config,
        "HyperParameterTuningJobStatus": status,
        "CreationTime": START,
        "LastModifiedTime": START + timedelta(hours=1),
        "TrainingJobStatusCounters": {
            "Completed": statuses.count("Completed"),
            "InProgress": statuses.count("InProgress"),
            "NonRetryableError": statuses.count("Failed"),
            "Stopped": statuses.count("Stopped"),
        },
        "ObjectiveStatusCounters": {},
        **({"TrainingJobDefinitions": list(definitions)} if definitions else {"TrainingJobDefinition": definition()}),
        **rest,
    }
    if status != "InProgress":
        job["HyperParameterTuningEndTime"] = START + timedelta(hours=1)
    if best is not None:
        job["BestTrainingJob"] = dict(best)
    return job


def two_algorithms() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A tuning job whose definitions have objectives of different names and directions."""
    trees = [training_job(n, 0.8 + n / 100, definition="trees", hyperparameters={"eta": f"0.{n}"}) for n in range(1, 7)]
    lines = [
        training_job(
            10 + n,
            1.0 / n,
            definition="lines",
            metric="validation:loss",
            objective_type="Minimize",
            hyperparameters={"rate": f"0.0{n}", "wd": "0.1"},
        )
        for n in range(1, 6)
    ]

    def ranges(*names: str) -> dict[str, Any]:
        return {"ContinuousParameterRanges": [{"Name": name, "MinValue": "0", "MaxValue": "1"} for name in names]}

    definitions = [
        definition(
            "trees",
            TuningObjective={"Type": "Maximize", "MetricName": "validation:auc"},
            HyperParameterRanges=ranges("eta"),
        ),
        definition(
            "lines",
            TuningObjective={"Type": "Minimize", "MetricName": "validation:loss"},
            HyperParameterRanges=ranges("rate", "wd"),
        ),
    ]
    jobs = [*trees, *lines]
    return tuning_job(jobs, best=trees[-1], definitions=definitions), jobs


def many(count: int, hyperparameters: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A tuning job with many training jobs; the first hyperparameter decides nearly everything."""
    rolls = random.Random(7)  # noqa: S311 - data, not secrets
    names = [f"p{index}" for index in range(hyperparameters)]
    jobs = []
    for number in range(1, count + 1):
        values = {name: rolls.random() for name in names}
        failed = number % 29 == 0
        objective = None if failed else 0.9 - (values["p0"] - 0.5) ** 2 + rolls.gauss(0, 0.002)
        jobs.append(
            training_job(
                number,
                objective,
                status="Failed" if failed else "Stopped" if number % 17 == 0 else "Completed",
                hyperparameters={name: repr(value) for name, value in values.items()},
                reason="AlgorithmError: out of memory" if failed else "",
            )
        )

    def value(summary: Mapping[str, Any]) -> float:
        return float(summary.get("FinalHyperParameterTuningJobObjectiveMetric", {}).get("Value", -math.inf))

    ranges = {"ContinuousParameterRanges": [{"Name": name, "MinValue": "0", "MaxValue": "1"} for name in names]}
    return tuning_job(jobs, best=max(jobs, key=value), ranges=ranges), jobs
