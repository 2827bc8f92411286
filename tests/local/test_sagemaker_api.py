"""SageMaker's operations over real training: answers in the service's shapes, S3 and logs on a real server."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
import numpy as np
import pytest
import sklearn.datasets
from moto.server import ThreadedMotoServer

from hpo_constructs.local.sagemaker_api import OPERATIONS, ApiError, SageMakerApi
from hpo_constructs.local.training import S3, endpoint_client, list_in_process
from hpo_constructs.quotas import state as state_quotas

REGION = "eu-west-1"
ACCOUNT = "123456789012"
XGBOOST = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"
LINEAR_LEARNER = "438346466558.dkr.ecr.eu-west-1.amazonaws.com/linear-learner:1"
OWN = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/own-algorithm:1"
MODEL = botocore.session.get_session().get_service_model("sagemaker")

# What the tests' own algorithm does is a hyperparameter.
OWN_PROGRAM = r"""
import json, os, signal, sys, time
from pathlib import Path
root = Path(os.environ["HPO_LOCAL_ML_ROOT"])
hyperparameters = json.loads((root / "input/config/hyperparameters.json").read_text())
how = hyperparameters.get("how", "works")
if how == "crashes":
    os.abort()
if how == "fails":
    (root / "output/failure").write_text("the layers do not fit")
    sys.exit(2)
if how == "raises":
    raise ValueError("no such layer")
if how == "silent":
    sys.exit(0)
print("loss=9;")
print(f"loss={hyperparameters['x']};", flush=True)
(root / "model/weights").write_text(hyperparameters["x"])
if how == "hangs":
    print("ready", flush=True)
    time.sleep(600)
if how == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("ready", flush=True)
    time.sleep(600)
if how == "saves":
    def save(*_):
        (root / "model/saved").write_text("on SIGTERM")
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    print("ready", flush=True)
    time.sleep(600)
if how == "reports":
    (root / "output/data/report.json").write_text(json.dumps({
        "environment": dict(os.environ),
        "config": {file.name: json.loads(file.read_text()) for file in (root / "input/config").iterdir()},
        "files": sorted(str(file.relative_to(root / "input/data")) for file in (root / "input/data").rglob("*.csv")),
    }))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server for S3 and logs with the breast cancer data in the bucket ``data``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    s3 = endpoint_client("s3", address, REGION)
    s3.create_bucket(Bucket="data", CreateBucketConfiguration={"LocationConstraint": REGION})
    data = sklearn.datasets.load_breast_cancer()
    table = np.column_stack([data.target, data.data])[np.random.default_rng(0).permutation(len(data.target))]
    for channel, rows in zip(("train", "validation", "test"), np.split(table, [340, 455]), strict=True):
        text = io.StringIO()
        np.savetxt(text, rows, delimiter=",", fmt="%.8g")
        s3.put_object(Bucket="data", Key=f"input/{channel}/part-0.csv", Body=text.getvalue().encode())
    yield address
    server.stop()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="module")
def module_api(url: str, work: Path) -> Iterator[SageMakerApi]:
    """One API for the module, so that slow packages are imported once."""
    images = [{"image": "*/own-algorithm:*", "command": [sys.executable, "-c", OWN_PROGRAM]}]
    api = SageMakerApi(url, REGION, ACCOUNT, work, images, stop_grace_seconds=1)
    yield api
    api.close()


class Client:
    """Calls the API, and checks each answer against the service's output shape."""

    def __init__(self, api: SageMakerApi, work: Path) -> None:
        self._api = api
        self.work = work

    def __call__(self, operation: str, **body: Any) -> dict[str, Any]:
        # What arrives over the wire is JSON.
        answer = self._api.handle(operation, json.loads(json.dumps(body)))
        shape = MODEL.operation_model(operation).output_shape
        if shape is None:
            assert answer == {}
        else:
            assert list(nonconformities(answer, shape, operation)) == []
        return answer

    def describe(self, name: str) -> dict[str, Any]:
        return self("DescribeHyperParameterTuningJob", HyperParameterTuningJobName=name)

    def jobs(self, name: str, **rest: Any) -> list[dict[str, Any]]:
        answer = self(
            "ListTrainingJobsForHyperParameterTuningJob",
            **{"HyperParameterTuningJobName": name, "MaxResults": 100} | rest,
        )
        return list(answer["TrainingJobSummaries"])

    def run(self, request: dict[str, Any], seconds: float = 60) -> dict[str, Any]:
        self("CreateHyperParameterTuningJob", **request)
        return self.ended(request["HyperParameterTuningJobName"], seconds)

    def ended(self, name: str, seconds: float = 60) -> dict[str, Any]:
        def description() -> dict[str, Any] | None:
            answer = self.describe(name)
            return None if answer["HyperParameterTuningJobStatus"] in ("InProgress", "Stopping") else answer

        return dict(until(description, seconds))


def nonconformities(value: Any, shape: Any, path: str) -> Iterator[str]:
    """What in an answer botocore's model of the service does not have."""
    match shape.type_name:
        case "structure":
            if not isinstance(value, dict):
                yield f"{path}: {value!r} is no structure"
                return
            yield from (f"{path}.{name}: unknown" for name in value if name not in shape.members)
            yield from (f"{path}.{name}: missing" for name in shape.required_members if name not in value)
            for name, member in shape.members.items():
                if name in value:
                    yield from nonconformities(value[name], member, f"{path}.{name}")
        case "list":
            for index, item in enumerate(value):
                yield from nonconformities(item, shape.member, f"{path}[{index}]")
        case "map":
            for key, item in value.items():
                yield from nonconformities(key, shape.key, f"{path}.{key}")
                yield from nonconformities(item, shape.value, f"{path}.{key}")
        case kind:
            types: dict[str, Any] = {
                "string": str,
                "integer": int,
                "long": int,
                "float": (int, float),
                "double": (int, float),
                "boolean": bool,
                "timestamp": datetime,
            }
            if not isinstance(value, types[kind]) or (kind == "integer" and isinstance(value, bool)):
                yield f"{path}: {value!r} is no {kind}"
            elif kind == "timestamp" and value.tzinfo is None:
                yield f"{path}: {value} has no time zone"
            elif shape.metadata.get("enum") and value not in shape.metadata["enum"]:
                yield f"{path}: {value!r} is not in the enum"


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.03)
    return value


@pytest.fixture
def client(module_api: SageMakerApi, work: Path) -> Client:
    return Client(module_api, work)


@pytest.fixture
def s3(url: str) -> Any:
    return endpoint_client("s3", url, REGION)


def channel(name: str, uri: str | None = None, **source: Any) -> dict[str, Any]:
    s3_source = {"S3DataType": "S3Prefix", "S3Uri": uri or f"s3://data/input/{name}/"} | source
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": s3_source}}


def definition(image: str, *channels: dict[str, Any], **static: str) -> dict[str, Any]:
    return {
        "StaticHyperParameters": static,
        "AlgorithmSpecification": {"TrainingImage": image, "TrainingInputMode": "File"},
        "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/tuning",
        **({"InputDataConfig": list(channels)} if channels else {}),
        "OutputDataConfig": {"S3OutputPath": "s3://data/output/"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
        "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    }


def own(name: str, *channels: dict[str, Any], total: int = 2, parallel: int = 2, **static: str) -> dict[str, Any]:
    """A request that tunes the tests' own algorithm."""
    wanted = definition(OWN, *channels, **static)
    wanted["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss=([0-9.e-]+);"}]
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": total, "MaxParallelTrainingJobs": parallel},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "1"}]},
            "RandomSeed": 4,
        },
        "TrainingJobDefinition": wanted,
    }


def several(name: str) -> dict[str, Any]:
    """The developer guide's example: XGBoost and linear learner in one tuning job."""
    first = definition(XGBOOST, channel("train"), channel("validation"), num_round="20", objective="binary:logistic")
    second = definition(
        LINEAR_LEARNER, channel("train"), channel("validation"), channel("test"), predictor_type="binary_classifier"
    )
    for one, definition_name, metric, searched in (
        (first, "xgboost", "validation:auc", "eta"),
        (second, "linear", "test:binary_classification_accuracy", "learning_rate"),
    ):
        one["DefinitionName"] = definition_name
        one["TuningObjective"] = {"Type": "Maximize", "MetricName": metric}
        one["HyperParameterRanges"] = {
            "ContinuousParameterRanges": [{"Name": searched, "MinValue": "0.1", "MaxValue": "0.3"}]
        }
    return {
        "HyperParameterTuningJobName": name,
        "HyperParameterTuningJobConfig": {
            "Strategy": "Bayesian",
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 6, "MaxParallelTrainingJobs": 3},
            "RandomSeed": 1,
        },
        "TrainingJobDefinitions": [first, second],
        "Tags": [{"Key": "team", "Value": "fraud"}],
    }


def test_several_algorithms_are_tuned_with_real_training(client: Client, s3: Any, url: str) -> None:
    ended = client.run(several("several"), 120)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    assert ended["TrainingJobStatusCounters"] == {
        "Completed": 6, "InProgress": 0, "RetryableError": 0, "NonRetryableError": 0, "Stopped": 0
    }  # fmt: skip
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 6, "Pending": 0, "Failed": 0}
    assert ended["HyperParameterTuningEndTime"] >= ended["CreationTime"]
    assert [one["DefinitionName"] for one in ended["TrainingJobDefinitions"]] == ["xgboost", "linear"]
    jobs = client.jobs("several")
    assert {job["TrainingJobDefinitionName"] for job in jobs} == {"xgboost", "linear"}
    values = [job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in jobs]
    assert all(0.9 < value <= 1 for value in values)

    best = ended["BestTrainingJob"]
    assert best in jobs
    assert best["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] == max(values)
    described = client("DescribeTrainingJob", TrainingJobName=best["TrainingJobName"])
    assert described["TuningJobArn"] == ended["HyperParameterTuningJobArn"]
    assert described["HyperParameters"].items() > best["TunedHyperParameters"].items()
    assert described["HyperParameters"]["_tuning_objective_metric"] == "validation:auc"
    phases = [transition["Status"] for transition in described["SecondaryStatusTransitions"]]
    assert phases == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    metrics = {metric["MetricName"]: metric["Value"] for metric in described["FinalMetricDataList"]}
    assert metrics["validation:auc"] == metrics["ObjectiveMetric"] == max(values)

    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://data/output/{best['TrainingJobName']}/output/model.tar.gz"
    body = s3.get_object(Bucket="data", Key=uri.removeprefix("s3://data/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        assert archive.getnames() == ["xgboost-model"]

    logs = endpoint_client("logs", url, REGION)
    (stream,) = logs.describe_log_streams(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamNamePrefix=f"{best['TrainingJobName']}/algo-1-"
    )["logStreams"]
    events = logs.get_log_events(
        logGroupName="/aws/sagemaker/TrainingJobs", logStreamName=stream["logStreamName"], startFromHead=True
    )["events"]
    assert len(events) == 20
    assert events[0]["message"].startswith("[0]#011train-auc:")

    for arn in (ended["HyperParameterTuningJobArn"], best["TrainingJobArn"]):
        assert client("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "fraud"}]


def test_the_container_contract(client: Client, s3: Any, url: str) -> None:
    request = own("contract", channel("train"), channel("all", "s3://data/input/t"), total=1, parallel=1, how="reports")
    request["TrainingJobDefinition"]["Environment"] = {"MODE": "quick"}
    ended = client.run(request)
    name = ended["BestTrainingJob"]["TrainingJobName"]
    packed = s3.get_object(Bucket="data", Key=f"output/{name}/output/output.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        member = archive.extractfile("data/report.json")
        assert member is not None
        report = json.load(member)
    variables, config = report["environment"], report["config"]
    assert variables["MODE"] == "quick"
    assert variables["TRAINING_JOB_NAME"] == name
    assert variables["AWS_REGION"] == REGION
    assert variables["AWS_ENDPOINT_URL"] == url
    assert json.loads(variables["SM_CHANNELS"]) == ["all", "train"]
    assert variables["SM_CHANNEL_TRAIN"] == variables["HPO_LOCAL_ML_ROOT"] + "/input/data/train"
    assert variables["SM_MODEL_DIR"] == variables["HPO_LOCAL_ML_ROOT"] + "/model"
    assert json.loads(variables["SM_HPS"])["x"] == float(config["hyperparameters.json"]["x"])
    assert int(variables["OMP_NUM_THREADS"]) == int(variables["SM_NUM_CPUS"]) == os.cpu_count()
    assert config["hyperparameters.json"] == {
        "how": "reports", "_tuning_objective_metric": "loss", **ended["BestTrainingJob"]["TunedHyperParameters"]
    }  # fmt: skip
    assert config["inputdataconfig.json"]["train"]["ContentType"] == "text/csv"
    assert config["resourceconfig.json"]["hosts"] == ["algo-1"]
    # A prefix that ends within a name has the folders below it.
    assert report["files"] == ["all/test/part-0.csv", "all/train/part-0.csv", "train/part-0.csv"]


def test_data_is_downloaded_once_and_again_when_it_changed(s3: Any, url: str, tmp_path: Path) -> None:
    s3.put_object(Bucket="data", Key="changing/a.csv", Body=b"1,2")
    storage = S3(url, REGION, listing=list_in_process(ACCOUNT))
    wanted = channel("train", "s3://data/changing")

    def fetch(target: str) -> Path:
        storage.fetch(wanted, tmp_path / "cache", tmp_path / target)
        return tmp_path / target / "a.csv"

    first, second = fetch("first"), fetch("second")
    assert first.stat().st_ino == second.stat().st_ino
    s3.put_object(Bucket="data", Key="changing/a.csv", Body=b"3,4")
    assert fetch("third").read_bytes() == b"3,4"
    assert first.read_bytes() == b"1,2"


def test_a_listing_in_the_process_is_that_of_a_request(s3: Any) -> None:
    bucket = "listed"
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("in/b/2", "in/b", "in/Z", "in/ä", "in/gone", "out"):
        s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
    s3.delete_object(Bucket=bucket, Key="in/gone")
    for prefix, count in {"": 5, "in/": 4, "in/b": 2, "none": 0}.items():
        answer = s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
        wanted = [(item["Key"], item["ETag"]) for item in answer.get("Contents", ())]
        assert len(wanted) == count
        assert list_in_process(ACCOUNT)(bucket, prefix) == wanted


def test_a_bucket_of_another_process_is_listed_by_a_request(s3: Any, url: str, tmp_path: Path) -> None:
    elsewhere = list_in_process("999999999999")
    assert elsewhere("data", "input/") is None
    S3(url, REGION, listing=elsewhere).fetch(channel("train"), tmp_path / "cache", tmp_path / "target")
    assert [file.name for file in (tmp_path / "target").iterdir()] == ["part-0.csv"]


def test_data_by_manifest(s3: Any, url: str, tmp_path: Path) -> None:
    manifest = [{"prefix": "s3://data/input/"}, "train/part-0.csv", "test/part-0.csv"]
    s3.put_object(Bucket="data", Key="manifest.json", Body=json.dumps(manifest).encode())
    wanted = channel("train", "s3://data/manifest.json", S3DataType="ManifestFile")
    S3(url, REGION).fetch(wanted, tmp_path / "cache", tmp_path / "target")
    files = sorted(str(file.relative_to(tmp_path / "target")) for file in (tmp_path / "target").rglob("*.csv"))
    assert files == ["test/part-0.csv", "train/part-0.csv"]


def test_an_output_without_compression(client: Client, s3: Any) -> None:
    request = own("plain-output", total=1, parallel=1)
    request["TrainingJobDefinition"]["OutputDataConfig"]["CompressionType"] = "NONE"
    best = client.run(request)["BestTrainingJob"]
    described = client("DescribeTrainingJob", TrainingJobName=best["TrainingJobName"])
    uri = described["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri.endswith("/output/model/")
    key = uri.removeprefix("s3://data/") + "weights"
    assert s3.get_object(Bucket="data", Key=key)["Body"].read().decode() == best["TunedHyperParameters"]["x"]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("fails", "AlgorithmError: the layers do not fit, exit code: 2"),
        ("raises", "AlgorithmError: ValueError: no such layer, exit code: 1"),
        ("crashes", "AlgorithmError: the training process gave no reason, ended by signal 6, exit code: 134"),
    ],
)
def test_failing_training_jobs(client: Client, how: str, reason: str) -> None:
    name = f"job-{how}"
    ended = client.run(own(name, total=20, parallel=2, how=how))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("No training job succeeded after 5 attempts")
    assert "BestTrainingJob" not in ended
    assert 5 <= ended["TrainingJobStatusCounters"]["NonRetryableError"] <= 6
    failed = client.jobs(name, StatusEquals="Failed")
    assert {job["FailureReason"] for job in failed} == {reason}
    described = client("DescribeTrainingJob", TrainingJobName=failed[0]["TrainingJobName"])
    assert described["FailureReason"] == reason
    assert described["SecondaryStatus"] == "Failed"


def test_a_metric_that_is_never_printed(client: Client) -> None:
    ended = client.run(own("silent", total=2, how="silent"))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["ObjectiveStatusCounters"] == {"Succeeded": 0, "Pending": 0, "Failed": 2}
    for job in client.jobs("silent"):
        assert (job["TrainingJobStatus"], job["ObjectiveStatus"]) == ("Completed", "Failed")
        assert "objective metric loss was not found" in job["FailureReason"]


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("s3://data/nothing/here/", 'No S3 objects found under S3 URL "s3://data/nothing/here/"'),
        ("s3://no-such-bucket-anywhere/x", "NoSuchBucket"),
    ],
)
def test_data_that_is_not_there(client: Client, uri: str, words: str) -> None:
    name = f"no-data-{len(uri)}"
    ended = client.run(own(name, channel("train", uri), total=1, parallel=1))
    assert ended["HyperParameterTuningJobStatus"] == "Failed"
    assert ended["FailureReason"].startswith("All training jobs failed")
    (job,) = client.jobs(name)
    assert job["FailureReason"].startswith("ClientError: Data download failed: ")
    assert words in job["FailureReason"]


def test_an_output_bucket_that_is_not_there(client: Client) -> None:
    request = own("no-output", total=1, parallel=1)
    request["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"] = "s3://no-such-bucket-anywhere/out"
    client.run(request)
    (job,) = client.jobs("no-output")
    assert job["TrainingJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Artifact upload failed: ")


def test_a_bad_hyperparameter_of_a_built_in(client: Client) -> None:
    request = several("bad-value")
    request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {
        "MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1
    }  # fmt: skip
    request["TrainingJobDefinitions"] = request["TrainingJobDefinitions"][:1]
    request["TrainingJobDefinitions"][0]["StaticHyperParameters"]["gama"] = "1"
    client.run(request)
    (job,) = client.jobs("bad-value")
    assert job["FailureReason"].startswith("ClientError: hyperparameter gama is not known, known are ")
    assert job["FailureReason"].endswith(", exit code: 1")


def start_and_wait(client: Client, request: dict[str, Any]) -> str:
    """Create a tuning job and wait until all its training processes hang; give the first training job's name."""
    client("CreateHyperParameterTuningJob", **request)
    name = request["HyperParameterTuningJobName"]
    parallel = request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"]
    until(lambda: sum("ready" in log.read_text() for log in client.work.rglob(f"{name}-*.log")) == parallel)
    return str(client.jobs(name)[0]["TrainingJobName"])


def test_stop(client: Client, s3: Any) -> None:
    training_job = start_and_wait(client, own("stopped", total=8, parallel=2, how="saves"))
    client("StopHyperParameterTuningJob", HyperParameterTuningJobName="stopped")
    assert client.describe("stopped")["HyperParameterTuningJobStatus"] in ("Stopping", "Stopped")
    ended = client.ended("stopped")
    assert ended["HyperParameterTuningJobStatus"] == "Stopped"
    assert ended["TrainingJobStatusCounters"]["Stopped"] == 2
    assert len(client.jobs("stopped")) == 2
    # What the algorithm saved after SIGTERM is kept.
    packed = s3.get_object(Bucket="data", Key=f"output/{training_job}/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(packed))) as archive:
        assert sorted(archive.getnames()) == ["saved", "weights"]
    with pytest.raises(ApiError, match="is in status Stopped") as caught:
        client("StopHyperParameterTuningJob", HyperParameterTuningJobName="stopped")
    assert caught.value.code == "ValidationException"


def test_a_stopped_xgboost_keeps_its_model_when_asked_to(client: Client, s3: Any) -> None:
    request = several("saving")
    request["HyperParameterTuningJobConfig"]["ResourceLimits"]["MaxParallelTrainingJobs"] = 1
    request["TrainingJobDefinitions"] = request["TrainingJobDefinitions"][:1]
    static = request["TrainingJobDefinitions"][0]["StaticHyperParameters"]
    static |= {"num_round": "1000000", "save_model_on_termination": "true"}
    client("CreateHyperParameterTuningJob", **request)
    until(lambda: any("[5]#011" in log.read_text() for log in client.work.rglob("saving-*.log")))
    client("StopHyperParameterTuningJob", HyperParameterTuningJobName="saving")
    client.ended("saving")
    (job,) = client.jobs("saving")
    packed = s3.get_object(Bucket="data", Key=f"output/{job['TrainingJobName']}/output/model.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        assert archive.getnames() == ["xgboost-model"]


def test_what_does_not_listen_is_killed_after_the_grace(client: Client) -> None:
    start_and_wait(client, own("stubborn", total=1, parallel=1, how="stubborn"))
    asked = time.monotonic()
    client("StopHyperParameterTuningJob", HyperParameterTuningJobName="stubborn")
    assert client.ended("stubborn", 10)["HyperParameterTuningJobStatus"] == "Stopped"
    assert time.monotonic() - asked > 0.9


def test_one_training_job_is_stopped(client: Client) -> None:
    training_job = start_and_wait(client, own("one-stopped", total=1, parallel=1, how="hangs"))
    client("StopTrainingJob", TrainingJobName=training_job)
    client.ended("one-stopped")
    described = client("DescribeTrainingJob", TrainingJobName=training_job)
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "Stopped")


def test_a_training_job_out_of_time_is_stopped_and_keeps_its_model(client: Client, s3: Any) -> None:
    request = own("slow", total=1, parallel=1, how="hangs")
    request["TrainingJobDefinition"]["StoppingCondition"]["MaxRuntimeInSeconds"] = 1
    ended = client.run(request)
    assert ended["HyperParameterTuningJobStatus"] == "Completed"
    best = ended["BestTrainingJob"]
    described = client("DescribeTrainingJob", TrainingJobName=best["TrainingJobName"])
    assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
    assert s3.head_object(Bucket="data", Key=f"output/{best['TrainingJobName']}/output/model.tar.gz")


def test_a_training_job_costs_little_beyond_its_training(client: Client) -> None:
    # A program that starts an interpreter and prints one line: all else is the engine's.
    bare = time.monotonic()
    subprocess.run([sys.executable, "-c", "print(1)"], check=True, capture_output=True)
    bare = time.monotonic() - bare
    client.run(own("quick", total=10, parallel=1))
    spans = [(job["TrainingEndTime"] - job["CreationTime"]).total_seconds() for job in client.jobs("quick")]
    assert sorted(spans)[2] < bare + 0.25


def test_paging_sorting_and_filters(client: Client) -> None:
    client.run(own("listed-a", total=5))
    client.run(own("listed-b", total=1, parallel=1, how="fails"))

    def pages(operation: str, member: str, **body: Any) -> list[Any]:
        items, token = [], None
        while True:
            answer = client(operation, **body, **({"NextToken": token} if token else {}))
            assert len(answer[member]) <= body["MaxResults"]
            items += answer[member]
            token = answer.get("NextToken")
            if token is None:
                return items

    wanted = {"HyperParameterTuningJobName": "listed-a", "MaxResults": 2}
    member = "TrainingJobSummaries"
    operation = "ListTrainingJobsForHyperParameterTuningJob"
    names = [job["TrainingJobName"] for job in pages(operation, member, **wanted)]
    assert names == sorted(names)
    assert len(set(names)) == 5
    by_value = pages(operation, member, **wanted, SortBy="FinalObjectiveMetricValue", SortOrder="Descending")
    values = [job["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for job in by_value]
    assert values == sorted(values, reverse=True)
    assert client.describe("listed-a")["BestTrainingJob"] == by_value[-1]
    assert client.jobs("listed-b", SortBy="FinalObjectiveMetricValue") == []
    assert len(client.jobs("listed-b", StatusEquals="Failed")) == 1

    def tuning_jobs(**body: Any) -> list[str]:
        listed = pages("ListHyperParameterTuningJobs", "HyperParameterTuningJobSummaries", MaxResults=1, **body)
        return [job["HyperParameterTuningJobName"] for job in listed]

    assert tuning_jobs(NameContains="listed-") == ["listed-a", "listed-b"]
    assert tuning_jobs(NameContains="listed-", SortBy="CreationTime", SortOrder="Descending") == [
        "listed-b",
        "listed-a",
    ]
    assert tuning_jobs(NameContains="listed-", StatusEquals="Failed") == ["listed-b"]
    assert tuning_jobs(NameContains="listed-", CreationTimeAfter=datetime.now(UTC).timestamp()) == []
    in_all = pages("ListTrainingJobs", member, MaxResults=3, NameContains="listed-a-")
    assert [job["TrainingJobName"] for job in in_all] == names
    with pytest.raises(ApiError, match="NextToken"):
        client("ListTrainingJobs", NextToken="nonsense")


def test_delete(client: Client) -> None:
    client("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="never-there")
    start_and_wait(client, own("deleted", total=1, parallel=1, how="hangs"))
    (job,) = client.jobs("deleted")
    with pytest.raises(ApiError, match="must have ended"):
        client("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="deleted")
    client("StopHyperParameterTuningJob", HyperParameterTuningJobName="deleted")
    client.ended("deleted")
    until(lambda: client("DeleteHyperParameterTuningJob", HyperParameterTuningJobName="deleted") == {})
    with pytest.raises(ApiError) as caught:
        client.describe("deleted")
    assert caught.value.code == "ResourceNotFound"
    described = client("DescribeTrainingJob", TrainingJobName=job["TrainingJobName"])
    assert described["TrainingJobStatus"] == "Stopped"
    # The name is free again.
    assert client.run(own("deleted", total=1, parallel=1))["HyperParameterTuningJobStatus"] == "Completed"


def test_tags(client: Client) -> None:
    ended = client.run(own("tagged", total=1, parallel=1))
    arn = ended["HyperParameterTuningJobArn"]
    client("AddTags", ResourceArn=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    client("DeleteTags", ResourceArn=arn, TagKeys=["a", "c"])
    assert client("ListTags", ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "2"}]
    with pytest.raises(ApiError) as caught:
        client("ListTags", ResourceArn=f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/m")
    assert caught.value.code == "ResourceNotFound"


def single(name: str, *channels: dict[str, Any], **hyperparameters: str) -> dict[str, Any]:
    """A request of CreateTrainingJob for the tests' own algorithm."""
    wanted = definition(OWN, *channels)
    del wanted["StaticHyperParameters"]
    wanted["AlgorithmSpecification"]["MetricDefinitions"] = [{"Name": "loss", "Regex": r"loss=([0-9.e-]+);"}]
    return {"TrainingJobName": name, "HyperParameters": {"x": "0.5", **hyperparameters}, **wanted}


def trained(client: Client, name: str) -> dict[str, Any]:
    def description() -> dict[str, Any] | None:
        answer = client("DescribeTrainingJob", TrainingJobName=name)
        return answer if answer["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    return dict(until(description))


class TestSingleTrainingJobs:
    def test_one_is_trained(self, client: Client, s3: Any) -> None:
        tags = [{"Key": "team", "Value": "fraud"}]
        arn = client("CreateTrainingJob", **single("alone", channel("train")), Tags=tags)["TrainingJobArn"]
        described = trained(client, "alone")
        assert described["TrainingJobStatus"] == "Completed"
        assert "TuningJobArn" not in described
        assert described["HyperParameters"] == {"x": "0.5"}
        assert [(one["MetricName"], one["Value"]) for one in described["FinalMetricDataList"]] == [("loss", 0.5)]
        assert described["TrainingJobArn"] == arn
        assert described["BillableTimeInSeconds"] >= 1
        assert s3.head_object(Bucket="data", Key="output/alone/output/model.tar.gz")
        assert client("ListTags", ResourceArn=arn)["Tags"] == tags
        assert "alone" in [
            one["TrainingJobName"] for one in client("ListTrainingJobs", NameContains="ALON")["TrainingJobSummaries"]
        ]
        with pytest.raises(ApiError, match="already exists") as caught:
            client("CreateTrainingJob", **single("alone"))
        assert caught.value.code == "ResourceInUse"

    def test_one_is_stopped_and_deleted(self, client: Client) -> None:
        client("CreateTrainingJob", **single("halted", how="saves"))
        until(lambda: any("ready" in log.read_text() for log in client.work.rglob("halted.log")))
        with pytest.raises(ApiError, match="stop it first"):
            client("DeleteTrainingJob", TrainingJobName="halted")
        client("StopTrainingJob", TrainingJobName="halted")
        described = trained(client, "halted")
        assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "Stopped")
        with pytest.raises(ApiError, match="is in status Stopped"):
            client("StopTrainingJob", TrainingJobName="halted")
        client("DeleteTrainingJob", TrainingJobName="halted")
        with pytest.raises(ApiError, match="there is no training job halted"):
            client("DescribeTrainingJob", TrainingJobName="halted")

    def test_one_out_of_time(self, client: Client) -> None:
        request = single("late", how="hangs")
        request["StoppingCondition"]["MaxRuntimeInSeconds"] = 1
        client("CreateTrainingJob", **request)
        described = trained(client, "late")
        assert (described["TrainingJobStatus"], described["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")

    def test_one_that_fails(self, client: Client) -> None:
        client("CreateTrainingJob", **single("broken", how="fails"))
        assert trained(client, "broken")["FailureReason"] == "AlgorithmError: the layers do not fit, exit code: 2"


class TestSearch:
    @pytest.fixture(scope="class")
    def tuned(self, module_api: SageMakerApi, work: Path) -> dict[str, Any]:
        client = Client(module_api, work)
        request = own("searched", total=3)
        request["Tags"] = [{"Key": "project", "Value": "churn"}]
        return client.run(request)

    @staticmethod
    def found(client: Client, *filters: dict[str, Any], **rest: Any) -> list[str]:
        answer = client("Search", **{"Resource": "TrainingJob", "SearchExpression": {"Filters": list(filters)}} | rest)
        return [one["TrainingJob"]["TrainingJobName"] for one in answer["Results"]]

    def test_by_tuning_job_metric_and_tag(self, client: Client, tuned: dict[str, Any]) -> None:
        own_arn = {"Name": "TuningJobArn", "Operator": "Equals", "Value": tuned["HyperParameterTuningJobArn"]}
        jobs = client.jobs("searched", SortBy="FinalObjectiveMetricValue", SortOrder="Ascending")
        names = [one["TrainingJobName"] for one in jobs]
        values = [one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"] for one in jobs]
        assert sorted(self.found(client, own_arn)) == sorted(names)
        assert self.found(client, own_arn, SortBy="Metrics.loss", SortOrder="Ascending") == names
        above = {"Name": "Metrics.loss", "Operator": "GreaterThanOrEqualTo", "Value": str(values[1])}
        assert sorted(self.found(client, own_arn, above)) == sorted(names[1:])
        tag = {"Name": "Tags.project", "Operator": "Equals", "Value": "churn"}
        assert sorted(self.found(client, tag)) == sorted(names)
        assert (
            self.found(client, tag, {"Name": "TrainingJobStatus", "Operator": "NotEquals", "Value": "Completed"}) == []
        )
        tried = jobs[0]["TunedHyperParameters"]["x"]
        hyperparameter = {"Name": "HyperParameters.x", "Operator": "Equals", "Value": tried}
        assert self.found(client, own_arn, hyperparameter) == names[:1]
        later = {"Name": "CreationTime", "Operator": "GreaterThan", "Value": "2999-01-01T00:00:00Z"}
        assert self.found(client, own_arn, later) == []
        assert self.found(client, {"Name": "FailureReason", "Operator": "Exists"}, own_arn) == []

    def test_or_and_nested(self, client: Client, tuned: dict[str, Any]) -> None:
        names = [one["TrainingJobName"] for one in client.jobs("searched")]
        either = {
            "Operator": "Or",
            "Filters": [{"Name": "TrainingJobName", "Operator": "Equals", "Value": name} for name in names[:2]],
        }
        assert sorted(self.found(client, SearchExpression=either)) == names[:2]
        request = single("with-channel", channel("train"))
        client("CreateTrainingJob", **request)
        trained(client, "with-channel")
        uri = "InputDataConfig.DataSource.S3DataSource.S3Uri"
        nested = {
            "NestedFilters": [
                {
                    "NestedPropertyName": "InputDataConfig",
                    "Filters": [{"Name": uri, "Operator": "Contains", "Value": "data/input/train"}],
                }
            ],
            "Filters": [{"Name": "TrainingJobName", "Operator": "Contains", "Value": "with-"}],
        }
        assert self.found(client, SearchExpression=nested) == ["with-channel"]

    def test_tuning_jobs_and_pages(self, client: Client, tuned: dict[str, Any]) -> None:
        name = {"Name": "HyperParameterTuningJobName", "Operator": "Equals", "Value": "searched"}
        answer = client("Search", Resource="HyperParameterTuningJob", SearchExpression={"Filters": [name]})
        (record,) = answer["Results"]
        assert record["HyperParameterTuningJob"]["BestTrainingJob"] == tuned["BestTrainingJob"]
        tag = {"Filters": [{"Name": "Tags.project", "Operator": "Equals", "Value": "churn"}]}
        first = client("Search", Resource="TrainingJob", SearchExpression=tag, MaxResults=2)
        assert first["TotalHits"] == {"Value": 3, "Relation": "EqualTo"}
        second = client(
            "Search", Resource="TrainingJob", SearchExpression=tag, NextToken=first["NextToken"], MaxResults=2
        )
        assert (len(first["Results"]), len(second["Results"])) == (2, 1)

    def test_a_filter_that_cannot_be_applied(self, client: Client, tuned: dict[str, Any]) -> None:
        with pytest.raises(ApiError, match="must be a number, got 'high'"):
            self.found(client, {"Name": "Metrics.loss", "Operator": "GreaterThan", "Value": "high"})


@pytest.mark.parametrize(
    ("operation", "body", "answered"),
    [
        ("AddTags", {"ResourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:hyper-parameter-tuning-job/a"}, True),
        ("ListTags", {"ResourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:training-job/a"}, True),
        ("ListTags", {"ResourceArn": f"arn:aws:sagemaker:{REGION}:{ACCOUNT}:model/a"}, False),
        ("DeleteTags", {}, False),
        ("Search", {"Resource": "TrainingJob"}, True),
        ("Search", {"Resource": "Endpoint"}, False),
        ("DescribeTrainingJob", {}, True),
        ("CreateModel", {}, False),
    ],
)
def test_what_is_answered_and_what_is_left_to_others(
    module_api: SageMakerApi, operation: str, body: dict[str, Any], answered: bool
) -> None:
    assert module_api.answers(operation, body) is answered


class TestQuotas:
    @pytest.fixture
    def limited(self, url: str, tmp_path: Path) -> Iterator[Client]:
        quotas = state_quotas(
            {
                "concurrent_tuning_jobs": 2,
                "parallel_training_jobs": 3,
                "training_jobs": 5,
                "instances": {"ml.m5.large": 4},
            }
        )
        images = [{"image": "*/own-algorithm:*", "command": [sys.executable, "-c", OWN_PROGRAM]}]
        api = SageMakerApi(url, REGION, ACCOUNT, tmp_path, images, stop_grace_seconds=1, quotas=quotas)
        yield Client(api, tmp_path)
        api.close()

    @staticmethod
    def refused(client: Client, operation: str, request: dict[str, Any]) -> str:
        with pytest.raises(ApiError) as caught:
            client(operation, **request)
        assert caught.value.code == "ResourceLimitExceeded"
        return caught.value.message

    @pytest.mark.parametrize(
        ("total", "parallel", "words"),
        [
            (5, 4, "'parallel training jobs per hyperparameter tuning job' is 3 training jobs"),
            (6, 2, "'training jobs per hyperparameter tuning job' is 5 training jobs"),
        ],
    )
    def test_limits_of_one_tuning_job(self, limited: Client, total: int, parallel: int, words: str) -> None:
        assert words in self.refused(
            limited, "CreateHyperParameterTuningJob", own("large", total=total, parallel=parallel)
        )

    def test_other_limits(self, limited: Client) -> None:
        request = own("many-metrics")
        metrics = request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"]
        metrics += [{"Name": f"m{number}", "Regex": f"m{number}=([0-9.]+);"} for number in range(20)]
        assert "21" in self.refused(limited, "CreateHyperParameterTuningJob", request)

    def test_what_runs_counts(self, limited: Client) -> None:
        limited("CreateHyperParameterTuningJob", **own("runs", total=4, parallel=3, how="hangs"))
        message = self.refused(limited, "CreateHyperParameterTuningJob", own("more", total=2, parallel=2))
        assert message.startswith(
            "The account-level service limit 'ml.m5.large for training job usage' is 4 Instances, with current "
            "utilization of 3 Instances and a request delta of 2 Instances."
        )
        limited("CreateTrainingJob", **single("fourth", how="hangs"))
        assert "utilization of 4 Instances" in self.refused(limited, "CreateTrainingJob", single("fifth"))
        limited("StopTrainingJob", TrainingJobName="fourth")
        trained(limited, "fourth")
        limited("CreateHyperParameterTuningJob", **own("second", total=1, parallel=1, how="hangs"))
        message = self.refused(limited, "CreateHyperParameterTuningJob", own("third", total=1, parallel=1))
        assert "'hyperparameter tuning jobs at the same time' is 2 jobs, with current utilization of 2 jobs" in message


class TestRefusals:
    @staticmethod
    def refused(client: Client, request: dict[str, Any], code: str = "ValidationException") -> str:
        with pytest.raises(ApiError) as caught:
            client("CreateHyperParameterTuningJob", **request)
        assert caught.value.code == code
        assert caught.value.status == 400
        return caught.value.message

    def test_a_name_that_is_taken(self, client: Client) -> None:
        client.run(own("taken", total=1, parallel=1))
        message = self.refused(client, own("taken"), "ResourceInUse")
        assert "taken already exists" in message

    @pytest.mark.parametrize(
        ("path", "value", "words"),
        [
            (("HyperParameterTuningJobName",), "a" * 33, ["'HyperParameterTuningJobName'", "<= 32"]),
            (("HyperParameterTuningJobName",), "a_b", ["must match the pattern"]),
            (("HyperParameterTuningJobConfig", "Strategy"), "Best", ["'Best'", "Bayesian, Random, Hyperband, Grid"]),
            (("HyperParameterTuningJobConfig", "Strategy"), "Hyperband", ["MaxResource parameter is not provided"]),
            (("HyperParameterTuningJobConfig", "Strategy"), "Grid", ["CategoricalParameterRanges", "'x'"]),
            (("HyperParameterTuningJobConfig", "Stratgy"), "Random", ["Stratgy"]),
            (("HyperParameterTuningJobConfig", "ResourceLimits", "MaxParallelTrainingJobs"), 5, ["5 > 2"]),
            (("HyperParameterTuningJobConfig", "ResourceLimits", "MaxParallelTrainingJobs"), 0, ["valid min value: 1"]),
            (("HyperParameterTuningJobConfig", "ResourceLimits", "MaxParallelTrainingJobs"), "2", ["MaxParallel"]),
            (("TrainingJobDefinition", "RoleArn"), None, ["RoleArn"]),
            (("TrainingJobDefinition", "AlgorithmSpecification", "MetricDefinitions"), None, ["'loss'", "none"]),
            (
                ("TrainingJobDefinition", "AlgorithmSpecification", "TrainingImage"),
                "registry/nobody:1",
                ["'registry/nobody:1'", "sagemaker-xgboost", "*/own-algorithm:*", "local.commands"],
            ),
            (("TrainingJobDefinition", "StaticHyperParameters", "x"), "1", ["'x' twice"]),
            (("TrainingJobDefinition",), None, ["exactly one of TrainingJobDefinition"]),
        ],
    )  # fmt: skip
    def test_a_mistake_names_its_field(
        self, client: Client, path: tuple[str, ...], value: Any, words: list[str]
    ) -> None:
        request = own("refused", channel("train"))
        *above, last = path
        part = request
        for name in above:
            part = part[name]
        if value is None:
            del part[last]
        else:
            part[last] = value
        message = self.refused(client, request)
        for word in words:
            assert word in message

    @pytest.mark.parametrize(
        ("bounds", "words"),
        [(("1", "0.1"), "MinValue < MaxValue must hold for 'x'"), (("low", "1"), "MinValue of 'x' must be a number")],
    )
    def test_a_bad_range(self, client: Client, bounds: tuple[str, str], words: str) -> None:
        request = own("refused")
        (searched,) = request["HyperParameterTuningJobConfig"]["ParameterRanges"]["ContinuousParameterRanges"]
        searched["MinValue"], searched["MaxValue"] = bounds
        assert words in self.refused(client, request)

    def test_the_librarys_rules_are_the_services(self, client: Client) -> None:
        request = own("refused")
        request["TrainingJobDefinition"]["EnableManagedSpotTraining"] = True
        request["TrainingJobDefinition"]["VpcConfig"] = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
        request["Tags"] = [{"Key": "aws:own", "Value": "1"}]
        message = self.refused(client, request)
        assert message.startswith("2 validation errors detected: ")
        assert "StoppingCondition.MaxWaitTimeInSeconds" in message
        assert "aws:" in message

    def test_a_metric_expression_that_is_none(self, client: Client) -> None:
        request = own("refused")
        request["TrainingJobDefinition"]["AlgorithmSpecification"]["MetricDefinitions"][0]["Regex"] = "loss=("
        assert "Regex of 'loss' must be a regular expression, got 'loss=('" in self.refused(client, request)

    def test_opposite_objectives(self, client: Client) -> None:
        request = several("refused")
        request["TrainingJobDefinitions"][1]["TuningObjective"]["Type"] = "Minimize"
        assert "must be the same in all TrainingJobDefinitions" in self.refused(client, request)

    @pytest.mark.parametrize(
        ("operation", "body"),
        [
            ("DescribeHyperParameterTuningJob", {"HyperParameterTuningJobName": "nobody"}),
            ("StopHyperParameterTuningJob", {"HyperParameterTuningJobName": "nobody"}),
            ("ListTrainingJobsForHyperParameterTuningJob", {"HyperParameterTuningJobName": "nobody"}),
            ("DescribeTrainingJob", {"TrainingJobName": "nobody"}),
            ("StopTrainingJob", {"TrainingJobName": "nobody"}),
            ("DeleteTrainingJob", {"TrainingJobName": "nobody"}),
        ],
    )
    def test_what_is_not_there(self, client: Client, operation: str, body: dict[str, str]) -> None:
        with pytest.raises(ApiError, match=r"there is no .* nobody") as caught:
            client(operation, **body)
        assert caught.value.code == "ResourceNotFound"


def test_describe_shows_the_request_and_the_services_additions(client: Client) -> None:
    request = several("described")
    request["HyperParameterTuningJobConfig"]["ResourceLimits"] = {
        "MaxNumberOfTrainingJobs": 1, "MaxParallelTrainingJobs": 1
    }  # fmt: skip
    ended = client.run(request)
    assert ended["HyperParameterTuningJobConfig"] == request["HyperParameterTuningJobConfig"]
    shown = ended["TrainingJobDefinitions"][0]
    assert shown["StaticHyperParameters"] == {
        "num_round": "20", "objective": "binary:logistic", "_tuning_objective_metric": "validation:auc"
    }  # fmt: skip
    names = [metric["Name"] for metric in shown["AlgorithmSpecification"]["MetricDefinitions"]]
    assert {"validation:auc", "train:auc", "ObjectiveMetric"} <= set(names)
    assert shown["EnableManagedSpotTraining"] is False


def test_a_grid_covers_every_combination(client: Client) -> None:
    request = own("grid", parallel=2)
    config = request["HyperParameterTuningJobConfig"]
    config["Strategy"] = "Grid"
    del config["ResourceLimits"]["MaxNumberOfTrainingJobs"]
    config["ParameterRanges"] = {
        "CategoricalParameterRanges": [{"Name": "x", "Values": ["0.5", "0.25"]}, {"Name": "y", "Values": ["a", "b"]}]
    }
    ended = client.run(request)
    tried = [tuple(job["TunedHyperParameters"].values()) for job in client.jobs("grid")]
    assert sorted(tried) == [("0.25", "a"), ("0.25", "b"), ("0.5", "a"), ("0.5", "b")]
    assert math.isclose(ended["BestTrainingJob"]["FinalHyperParameterTuningJobObjectiveMetric"]["Value"], 0.25)


def test_close_leaves_no_process(url: str, tmp_path: Path) -> None:
    marker = f"marker-{os.getpid()}-{time.monotonic_ns()}"
    program = f"# {marker}\n{OWN_PROGRAM}"
    images = [{"image": "*/own-algorithm:*", "command": [sys.executable, "-c", program]}]
    api = SageMakerApi(url, REGION, ACCOUNT, tmp_path, images)
    start_and_wait(Client(api, tmp_path), own("closed", total=4, parallel=2, how="stubborn"))

    def processes() -> list[str]:
        found = []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if marker.encode() in (folder / "cmdline").read_bytes():
                        found.append(folder.name)
                except OSError:
                    continue
        return found

    assert len(processes()) == 2
    began = time.monotonic()
    api.close()
    assert time.monotonic() - began < 5
    until(lambda: not processes(), 5)
    assert Client(api, tmp_path).describe("closed")["HyperParameterTuningJobStatus"] == "Stopped"
    with pytest.raises(ApiError, match="closing"):
        Client(api, tmp_path)("CreateHyperParameterTuningJob", **own("too-late"))


def test_starting_up_loads_nothing_slow() -> None:
    code = (
        "import sys, hpo_constructs.local.sagemaker_api; "
        "print([m for m in ('optuna', 'numpy', 'xgboost', 'sklearn', 'botocore', 'boto3') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_operations_are_the_services() -> None:
    assert set(MODEL.operation_names) >= OPERATIONS
