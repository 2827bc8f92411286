"""What outlives the endpoint: jobs, S3 objects and SSM parameters come back after an orderly and a sudden end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.errors import LocalError
from hpo_constructs.local import LocalEndpoint
from hpo_constructs.local.state import State

from .conftest import Stacks, until

IMAGE = "registry/stateful:1"
# How long it trains is a hyperparameter.
PROGRAM = """
import os, time
print(f"loss={os.environ['SM_HP_X']};", flush=True)
open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("w" + os.environ["SM_HP_X"])
if os.environ.get("SM_HP_HOW") == "hangs":
    time.sleep(600)
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[[], LocalEndpoint]:
    """Makes endpoints that share a state folder."""
    images = [{"image": "registry/stateful:*", "command": [sys.executable, "-c", PROGRAM]}]
    return lambda: LocalEndpoint(images=images, state=tmp_path / "state", work_dir=tmp_path / "work")


def definition(**static: str) -> dict[str, Any]:
    return {
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.e-]+);"}],
        },
        "StaticHyperParameters": static,
        "RoleArn": "arn:aws:iam::123456789012:role/tuning",
        "OutputDataConfig": {"S3OutputPath": "s3://models/out"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def tune(client: Any, name: str, *, total: int, parallel: int = 1, **static: str) -> None:
    client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig={
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": total, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "1"}]},
        },
        TrainingJobDefinition=definition(**static),
        Tags=[{"Key": "team", "Value": "fraud"}],
    )


def describe(client: Any, name: str) -> dict[str, Any]:
    answer = client.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def training_jobs(client: Any, name: str) -> list[dict[str, Any]]:
    return list(
        client.list_training_jobs_for_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)[
            "TrainingJobSummaries"
        ]
    )


def description(client: Any, name: str) -> dict[str, Any]:
    answer = client.describe_training_job(TrainingJobName=name)
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_all_that_is_kept_comes_back_after_an_orderly_end(start: Callable[[], LocalEndpoint]) -> None:
    with start() as first:
        s3, ssm, sagemaker = first.client("s3"), first.client("ssm"), first.client("sagemaker")
        s3.create_bucket(Bucket="models")
        s3.put_object(Bucket="models", Key="notes/a b.txt", Body=b"old")
        s3.put_object(
            Bucket="models", Key="notes/a b.txt", Body=b"new", ContentType="text/plain", Metadata={"author": "me"}
        )
        s3.put_object(Bucket="models", Key="gone", Body=b"x")
        s3.delete_object(Bucket="models", Key="gone")
        ssm.put_parameter(Name="/hpo/churn/best", Value="1", Type="String")
        ssm.put_parameter(Name="/hpo/churn/best", Value="2", Type="String", Overwrite=True)
        ssm.put_parameter(Name="/hpo/secret", Value="s", Type="SecureString")
        tune(sagemaker, "kept", total=2)
        until(lambda: describe(sagemaker, "kept")["HyperParameterTuningJobStatus"] == "Completed")
        tune(sagemaker, "deleted", total=1)
        until(lambda: describe(sagemaker, "deleted")["HyperParameterTuningJobStatus"] == "Completed")
        (orphan,) = training_jobs(sagemaker, "deleted")
        sagemaker.delete_hyper_parameter_tuning_job(HyperParameterTuningJobName="deleted")
        before = describe(sagemaker, "kept"), training_jobs(sagemaker, "kept")
        best = description(sagemaker, before[0]["BestTrainingJob"]["TrainingJobName"])
        arn = before[0]["HyperParameterTuningJobArn"]
        sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "dev"}])
        model = s3.get_object(Bucket="models", Key=best["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3])
        etag = model["ETag"]
    with start() as second:
        s3, ssm, sagemaker = second.client("s3"), second.client("ssm"), second.client("sagemaker")
        notes = s3.get_object(Bucket="models", Key="notes/a b.txt")
        assert (notes["Body"].read(), notes["ContentType"], notes["Metadata"]) == (
            b"new",
            "text/plain",
            {"author": "me"},
        )
        assert "gone" not in [one["Key"] for one in s3.list_objects_v2(Bucket="models")["Contents"]]
        parameter = ssm.get_parameter(Name="/hpo/churn/best")["Parameter"]
        assert (parameter["Value"], parameter["Version"]) == ("2", 2)
        assert ssm.get_parameter(Name="/hpo/secret", WithDecryption=True)["Parameter"]["Value"] == "s"
        assert (describe(sagemaker, "kept"), training_jobs(sagemaker, "kept")) == before
        assert description(sagemaker, best["TrainingJobName"]) == best
        final = best["FinalMetricDataList"][0]
        (point,) = second.client("cloudwatch").get_metric_statistics(
            Namespace="/aws/sagemaker/TrainingJobs",
            MetricName=final["MetricName"],
            Dimensions=[{"Name": "TrainingJobName", "Value": best["TrainingJobName"]}],
            StartTime=best["TrainingStartTime"],
            EndTime=best["TrainingEndTime"] + timedelta(minutes=1),
            Period=60,
            Statistics=["Average"],
        )["Datapoints"]
        assert point["Average"] == pytest.approx(final["Value"])
        key = best["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3]
        assert s3.head_object(Bucket="models", Key=key)["ETag"] == etag
        tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
        assert tags == [{"Key": "team", "Value": "fraud"}, {"Key": "stage", "Value": "dev"}]
        with pytest.raises(sagemaker.exceptions.ResourceNotFound):
            describe(sagemaker, "deleted")
        assert description(sagemaker, orphan["TrainingJobName"])["TrainingJobStatus"] == "Completed"
        # Names stay taken, parameters are changed further, and a kept tuning job is a parent.
        with pytest.raises(sagemaker.exceptions.ResourceInUse):
            tune(sagemaker, "kept", total=1)
        assert ssm.put_parameter(Name="/hpo/churn/best", Value="3", Type="String", Overwrite=True)["Version"] == 3
        warm_start(sagemaker, "child", "kept")
        ended = until(
            lambda: (one := describe(sagemaker, "child"))["HyperParameterTuningJobStatus"] == "Completed" and one
        )
        assert "OverallBestTrainingJob" in ended


def warm_start(client: Any, name: str, parent: str) -> None:
    request = describe(client, parent)
    wanted = definition()
    client.create_hyper_parameter_tuning_job(
        HyperParameterTuningJobName=name,
        HyperParameterTuningJobConfig=request["HyperParameterTuningJobConfig"],
        TrainingJobDefinition=wanted,
        WarmStartConfig={
            "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": parent}],
            "WarmStartType": "IdenticalDataAndAlgorithm",
        },
    )


def test_a_killed_endpoint_comes_back(start: Callable[[], LocalEndpoint]) -> None:
    first = start().start()
    s3, ssm, sagemaker = first.client("s3"), first.client("ssm"), first.client("sagemaker")
    s3.create_bucket(Bucket="models")
    tune(sagemaker, "done", total=3, parallel=2)
    until(lambda: describe(sagemaker, "done")["HyperParameterTuningJobStatus"] == "Completed")
    tune(sagemaker, "running", total=2, parallel=2, how="hangs")
    sagemaker.create_training_job(
        TrainingJobName="alone",
        HyperParameters={"x": "0.5", "how": "hangs"},
        **{name: value for name, value in definition().items() if name != "StaticHyperParameters"},
    )

    def in_training() -> bool:
        statuses = [
            description(sagemaker, one["TrainingJobName"])["SecondaryStatus"]
            for one in training_jobs(sagemaker, "running")
        ]
        return [*statuses, description(sagemaker, "alone")["SecondaryStatus"]] == ["Training"] * 3

    until(in_training)
    done = describe(sagemaker, "done"), training_jobs(sagemaker, "done")
    # What was answered is kept, however soon the end comes.
    ssm.put_parameter(Name="/last", Value="word", Type="String")
    s3.put_object(Bucket="models", Key="last", Body=b"word")
    os.kill(first.pid, signal.SIGKILL)
    first.stop()

    with start() as second:
        s3, ssm, sagemaker = second.client("s3"), second.client("ssm"), second.client("sagemaker")
        assert (describe(sagemaker, "done"), training_jobs(sagemaker, "done")) == done
        for one in done[1]:
            key = f"out/{one['TrainingJobName']}/output/model.tar.gz"
            assert s3.head_object(Bucket="models", Key=key)["ContentLength"] > 0
        assert ssm.get_parameter(Name="/last")["Parameter"]["Value"] == "word"
        assert s3.get_object(Bucket="models", Key="last")["Body"].read() == b"word"
        cut = describe(sagemaker, "running")
        assert cut["HyperParameterTuningJobStatus"] == "Failed"
        assert "the local endpoint ended while this tuning job ran" in cut["FailureReason"]
        assert cut["TrainingJobStatusCounters"]["InProgress"] == 0
        assert cut["TrainingJobStatusCounters"]["RetryableError"] == 2
        for name in [*(one["TrainingJobName"] for one in training_jobs(sagemaker, "running")), "alone"]:
            failed = description(sagemaker, name)
            assert (failed["TrainingJobStatus"], failed["SecondaryStatus"]) == ("Failed", "Failed")
            assert "the local endpoint ended while this training job ran" in failed["FailureReason"]
            assert all("EndTime" in one for one in failed["SecondaryStatusTransitions"][:-1])
        again = describe(sagemaker, "running")
    with start() as third:
        # The failure is on record: it does not move with every start.
        assert describe(third.client("sagemaker"), "running") == again


def test_a_stack_that_is_deployed_again_takes_over_what_it_had(start: Callable[[], LocalEndpoint]) -> None:
    resources = {
        "Data": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": "stack-data"}},
        "Version": {
            "Type": "AWS::SSM::Parameter",
            "Properties": {"Name": "/stack/version", "Type": "String", "Value": "21"},
        },
    }
    with start() as first:
        Stacks(first).deploy("app", resources)
        first.client("s3").put_object(Bucket="stack-data", Key="train.csv", Body=b"1,2")
    with start() as second:
        s3 = second.client("s3")
        assert s3.get_object(Bucket="stack-data", Key="train.csv")["Body"].read() == b"1,2"
        stacks = Stacks(second)
        stacks.deploy("app", resources)
        assert s3.get_object(Bucket="stack-data", Key="train.csv")["Body"].read() == b"1,2"
        assert second.client("ssm").get_parameter(Name="/stack/version")["Parameter"]["Value"] == "21"
        # It is the stack's bucket now, which is in nobody's way twice.
        with pytest.raises(s3.exceptions.ClientError, match="BucketNotEmpty"):
            s3.delete_bucket(Bucket="stack-data")


def test_a_folder_is_one_endpoints(tmp_path: Path) -> None:
    holder = State(tmp_path, "123456789012")
    with pytest.raises(LocalError, match="is in use by another endpoint"):
        LocalEndpoint(state=tmp_path).start()
    holder.close()
    State(tmp_path, "123456789012").close()


def test_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "state.sqlite").write_text("not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(LocalError, match="cannot be read: file is not a database") as caught:
        LocalEndpoint(state=tmp_path).start()
    assert "Traceback" not in str(caught.value)
