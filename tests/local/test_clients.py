"""AWS clients as their users have them, in environments of their own, against the endpoint: no line of theirs changed.

``scripts/clients`` makes the environments; without one its tests are skipped.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sklearn.datasets

from hpo_constructs.local import LocalEndpoint

ENVIRONMENTS = Path(__file__).resolve().parents[2] / ".venv-clients"
PROGRAMS = Path(__file__).parent / "clients"
ROLE = "arn:aws:iam::123456789012:role/tuning"
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"

# One after another on one worker: each client is a busy process of its own beside the training.
pytestmark = [pytest.mark.clients, pytest.mark.xdist_group("clients")]

Run = Callable[..., str]


@pytest.fixture
def run(endpoint: LocalEndpoint, tmp_path: Path) -> Run:
    """Runs a program of an environment; what it printed."""

    def run_program(environment: str, program: str, *arguments: str, **variables: str) -> str:
        executable = ENVIRONMENTS / environment / "bin" / program
        if not executable.exists():
            pytest.skip(f"scripts/clients {environment} makes the environment")
        done = subprocess.run(
            [str(executable), *arguments],
            env={**endpoint.child_environment(), "HOME": str(tmp_path), **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run_program


@pytest.fixture
def bucket(endpoint: LocalEndpoint, unique: Callable[[str], str]) -> str:
    """A bucket with the breast cancer data below ``input/``."""
    name, s3 = unique("clients"), endpoint.client("s3")
    s3.create_bucket(Bucket=name)
    data = sklearn.datasets.load_breast_cancer()
    table = np.column_stack([data.target, data.data])[np.random.default_rng(0).permutation(len(data.target))]
    for channel, rows in zip(("train", "validation", "test"), np.split(table, [340, 455]), strict=True):
        text = io.StringIO()
        np.savetxt(text, rows, delimiter=",", fmt="%.8g")
        s3.put_object(Bucket=name, Key=f"input/{channel}/part-0.csv", Body=text.getvalue().encode())
    return name


def last_line(text: str) -> Any:
    return json.loads(text.strip().splitlines()[-1])


def request(name: str, bucket: str) -> dict[str, Any]:
    def channel(name: str) -> dict[str, Any]:
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/input/{name}/"}
        return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}

    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "validation:auc"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5"}]},
        },
        "TrainingJobDefinition": {
            "StaticHyperParameters": {"num_round": "5", "objective": "binary:logistic"},
            "AlgorithmSpecification": {"TrainingImage": XGBOOST, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }


def test_the_sagemaker_sdk_tunes_warm_starts_and_stops(endpoint: LocalEndpoint, bucket: str, run: Run) -> None:
    report = last_line(run("sdk", "python", str(PROGRAMS / "sdk_tuner.py"), "sdk", bucket, ROLE))
    described = endpoint.client("sagemaker").describe_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=report["tuning_job"]
    )
    best = described["BestTrainingJob"]
    assert report["best"] == best["TrainingJobName"]
    assert best["TrainingJobName"] in report["best_of_frame"]
    assert report["best_model"] == f"s3://{bucket}/output/{best['TrainingJobName']}/output/model.tar.gz"
    assert len(report["values"]) == 3
    assert max(report["values"]) == pytest.approx(best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])
    assert {"eta", "FinalObjectiveValue", "TrainingElapsedTimeSeconds", "TrainingJobStatus"} <= set(report["columns"])
    assert report["ranges"]["eta"]["MinValue"] == "0.1"
    for name, kind in (("warm", "IdenticalDataAndAlgorithm"), ("transfer", "TransferLearning")):
        config = report[name]["WarmStartConfig"]
        assert config["WarmStartType"] == kind
        assert config["ParentHyperParameterTuningJobs"] == [{"HyperParameterTuningJobName": report["tuning_job"]}]
        assert report[name]["HyperParameterTuningJobStatus"] == "Completed"
    overall = report["warm"]["OverallBestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert overall >= best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"]
    assert report["stopped"] == "Stopped"
    assert report["single"]["TrainingJobStatus"] == "Completed"
    assert report["single"]["ModelArtifacts"]["S3ModelArtifacts"] == report["single_model"]
    final = {one["MetricName"]: one["Value"] for one in report["single"]["FinalMetricDataList"]}
    shown = {one["metric_name"]: one["value"] for one in report["metrics"]}
    assert {"train:rmse", "train:logloss", "validation:logloss"} & set(final) <= set(shown) <= set(final)
    # The SDK asks for the average of a minute, which may hold the values of earlier rounds too.
    of_best = [one["value"] for one in report["metrics_of_best"]]
    assert of_best
    assert all(0.9 < value <= 1 for value in of_best)
    boosted = report["boosted"]
    assert boosted["HyperParameterTuningJobStatus"] == "Completed", boosted
    assert boosted["TrainingJobStatusCounters"]["Completed"] == 2
    assert 0.9 < boosted["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] <= 1


def test_the_sagemaker_sdk_tunes_two_algorithms_and_a_script(bucket: str, run: Run) -> None:
    arguments = ("multi", bucket, ROLE, str(PROGRAMS / "script"))
    report = last_line(run("sdk", "python", str(PROGRAMS / "sdk_several.py"), *arguments))
    several = report["several"]
    assert several["HyperParameterTuningJobStatus"] == "Completed"
    assert [one["DefinitionName"] for one in several["TrainingJobDefinitions"]] == ["linear", "xgboost"]
    assert several["TrainingJobStatusCounters"]["Completed"] == 4
    assert several["BestTrainingJob"]["TrainingJobName"] == report["best"]
    assert set(report["definitions"]) == {"linear", "xgboost"}
    assert len(report["definitions"]) == 4
    own = report["own"]
    assert own["HyperParameterTuningJobStatus"] == "Completed", own
    assert own["BestTrainingJob"]["TrainingJobName"] == report["own_best"]
    assert len(report["own_values"]) == 2
    assert all(0.8 < value <= 1 for value in report["own_values"])


def test_the_aws_cli(endpoint: LocalEndpoint, bucket: str, unique: Callable[[str], str], run: Run) -> None:
    name = unique("cli")

    def aws(*arguments: str) -> Any:
        printed = run("cli", "aws", "sagemaker", *arguments, "--output", "json")
        return json.loads(printed) if printed.strip() else None

    created = aws("create-hyper-parameter-tuning-job", "--cli-input-json", json.dumps(request(name, bucket)))
    arn = created["HyperParameterTuningJobArn"]
    aws("add-tags", "--resource-arn", arn, "--tags", "Key=team,Value=fraud")
    assert aws("list-tags", "--resource-arn", arn)["Tags"] == [{"Key": "team", "Value": "fraud"}]

    def described() -> Any:
        return aws("describe-hyper-parameter-tuning-job", "--hyper-parameter-tuning-job-name", name)

    for _ in range(20):
        if (job := described())["HyperParameterTuningJobStatus"] != "InProgress":
            break
    assert job["HyperParameterTuningJobStatus"] == "Completed"
    # The CLI pages by itself.
    listed = aws(
        "list-training-jobs-for-hyper-parameter-tuning-job",
        *("--hyper-parameter-tuning-job-name", name, "--page-size", "1"),
        *("--sort-by", "FinalObjectiveMetricValue", "--sort-order", "Descending"),
    )["TrainingJobSummaries"]
    assert listed[0]["TrainingJobName"] == job["BestTrainingJob"]["TrainingJobName"]
    assert len(listed) == 2
    found = aws(
        *("search", "--resource", "TrainingJob", "--search-expression"),
        json.dumps({"Filters": [{"Name": "TuningJobArn", "Operator": "Equals", "Value": arn}]}),
    )["Results"]
    assert {one["TrainingJob"]["TrainingJobName"] for one in found} == {one["TrainingJobName"] for one in listed}
    model = job["BestTrainingJob"]["TrainingJobName"]
    assert f"output/{model}/output/model.tar.gz" in run("cli", "aws", "s3", "ls", "--recursive", f"s3://{bucket}/")


def test_airflows_operator(bucket: str, unique: Callable[[str], str], run: Run, tmp_path: Path) -> None:
    name = unique("air")
    printed = run(
        *("airflow", "python", str(PROGRAMS / "airflow_operator.py"), json.dumps(request(name, bucket)), "us-east-1"),
        AIRFLOW_HOME=str(tmp_path / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        PATH=os.environ["PATH"],
    )
    tuning = last_line(printed)["Tuning"]
    assert tuning["HyperParameterTuningJobName"] == name
    assert tuning["HyperParameterTuningJobStatus"] == "Completed"
    assert tuning["TrainingJobStatusCounters"]["Completed"] == 2
