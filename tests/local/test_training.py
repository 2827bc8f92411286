"""The container contract: what a training process finds, and what becomes of what it leaves."""

from __future__ import annotations

import gzip
import io
import json
import struct
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from hpo_constructs.local.engine.local import Cores
from hpo_constructs.local.pipes import Feeder, as_record
from hpo_constructs.local.sagemaker_api import SageMakerApi
from hpo_constructs.local.telemetry import TRAINING_JOBS
from hpo_constructs.local.training import (
    LogStream,
    LogTail,
    MetricDefinition,
    MetricStream,
    endpoint_client,
    read_metrics,
)

from .conftest import until

REGION, ACCOUNT = "us-east-1", "123456789012"
IMAGE = "registry/contract:1"
SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"

# Writes what it was told to look at as its output.
PROGRAM = r"""
import json, os, sys, time
from pathlib import Path
root = Path(os.environ["HPO_LOCAL_ML_ROOT"])
hyperparameters = json.loads((root / "input/config/hyperparameters.json").read_text())
report = {"environment": dict(os.environ)}
for name in ("resourceconfig", "inputdataconfig"):
    report[name] = json.loads((root / f"input/config/{name}.json").read_text())
data = root / "input/data"
report["files"] = sorted(str(f.relative_to(data)) for f in data.rglob("*") if f.is_file())
for pipe in json.loads(hyperparameters.get("pipes", "[]")):
    report[pipe] = (root / "input/data" / pipe).read_bytes().hex()
checkpoints = os.environ.get("SM_CHECKPOINT_DIR")
if checkpoints:
    folder = Path(checkpoints)
    report["checkpoints"] = {str(f.relative_to(folder)): f.read_text() for f in folder.rglob("*") if f.is_file()}
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep/epoch").write_text(hyperparameters.get("epoch", "1"))
if hyperparameters.get("log"):
    for number in range(int(hyperparameters["log"])):
        print(f"line {number} " + "x" * 90)
print("score=0.5;", flush=True)
(root / "output/data/report.json").write_text(json.dumps(report))
if hyperparameters.get("then") == "hang":
    time.sleep(600)
if hyperparameters.get("then") == "fail":
    sys.exit(3)
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    address = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    endpoint_client("s3", address, REGION).create_bucket(Bucket="contract-data")
    yield address
    server.stop()


@pytest.fixture(scope="module")
def s3(url: str) -> Any:
    return endpoint_client("s3", url, REGION)


@pytest.fixture(scope="module")
def api(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMakerApi]:
    images = [{"image": "registry/contract:*", "command": [sys.executable, "-c", PROGRAM]}]
    made = SageMakerApi(url, REGION, ACCOUNT, tmp_path_factory.mktemp("work"), images, stop_grace_seconds=1)
    yield made
    made.close()


class Trainer:
    """Trains single jobs and reads what they left."""

    def __init__(self, api: SageMakerApi, s3: Any) -> None:
        self._api = api
        self._s3 = s3

    def start(
        self, name: str, *channels: dict[str, Any], image: str = IMAGE, hyperparameters: Any = (), **rest: Any
    ) -> None:
        algorithm = {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
        }
        body = {
            "TrainingJobName": name,
            "HyperParameters": dict(hyperparameters),
            "AlgorithmSpecification": algorithm,
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/training",
            **({"InputDataConfig": list(channels)} if channels else {}),
            "OutputDataConfig": {"S3OutputPath": "s3://contract-data/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            **rest,
        }
        self._api.handle("CreateTrainingJob", json.loads(json.dumps(body)))

    def describe(self, name: str) -> dict[str, Any]:
        return self._api.handle("DescribeTrainingJob", {"TrainingJobName": name})

    def ended(self, name: str) -> dict[str, Any]:
        until(lambda: self.describe(name)["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"))
        return self.describe(name)

    def run(self, name: str, *channels: dict[str, Any], **rest: Any) -> dict[str, Any]:
        """Train a job that must complete; its report."""
        self.start(name, *channels, **rest)
        described = self.ended(name)
        assert described["TrainingJobStatus"] == "Completed", described.get("FailureReason")
        return self.report(name)

    def report(self, name: str) -> dict[str, Any]:
        packed = self._s3.get_object(Bucket="contract-data", Key=f"output/{name}/output/output.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            member = archive.extractfile("data/report.json")
            assert member is not None
            read: dict[str, Any] = json.load(member)
            return read


@pytest.fixture
def trainer(api: SageMakerApi, s3: Any) -> Trainer:
    return Trainer(api, s3)


def channel(name: str, uri: str, **rest: Any) -> dict[str, Any]:
    source = {"S3DataType": rest.pop("S3DataType", "S3Prefix"), "S3Uri": uri}
    for member in ("S3DataDistributionType", "AttributeNames"):
        if member in rest:
            source[member] = rest.pop(member)
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **rest}


def test_the_toolkits_variables(trainer: Trainer, s3: Any) -> None:
    s3.put_object(Bucket="contract-data", Key="plain/a.csv", Body=b"1,2")
    report = trainer.run(
        "variables",
        channel("train", "s3://contract-data/plain/", ContentType="text/csv", S3DataDistributionType="ShardedByS3Key"),
        channel("fast", "s3://contract-data/plain/", InputMode="FastFile"),
        hyperparameters={"depth": "3", "name": '"quoted"', "o": "x y", "sagemaker_own": "1", "flag": "true"},
        Environment={"MODE": "quick"},
        CheckpointConfig={"S3Uri": "s3://contract-data/checkpoints/variables"},
    )
    variables = report["environment"]
    root = variables["HPO_LOCAL_ML_ROOT"]
    assert variables["SAGEMAKER_BASE_DIR"] == root
    assert report["files"] == ["fast/a.csv", "train/a.csv"]
    assert json.loads(variables["SM_HPS"]) == {"depth": 3, "name": "quoted", "o": "x y", "flag": True}
    assert (variables["SM_HP_DEPTH"], variables["SM_HP_NAME"], variables["SM_HP_O"]) == ("3", "quoted", "x y")
    assert "SM_HP_SAGEMAKER_OWN" not in variables
    assert json.loads(variables["SM_FRAMEWORK_PARAMS"]) == {"sagemaker_own": 1}
    assert json.loads(variables["SM_USER_ARGS"]) == [
        "--depth", "3", "--flag", "True", "--name", "quoted", "-o", "x y"
    ]  # fmt: skip
    assert variables["SM_NUM_GPUS"] == "0"
    assert json.loads(variables["SM_HOSTS"]) == [variables["SM_CURRENT_HOST"]] == ["algo-1"]
    assert variables["SM_CURRENT_INSTANCE_TYPE"] == "ml.m5.large"
    assert json.loads(variables["SM_RESOURCE_CONFIG"]) == report["resourceconfig"]
    assert json.loads(variables["SM_INPUT_DATA_CONFIG"]) == report["inputdataconfig"]
    assert report["inputdataconfig"]["train"]["S3DistributionType"] == "ShardedByS3Key"
    assert report["inputdataconfig"]["fast"]["TrainingInputMode"] == "FastFile"
    assert variables["SM_CHECKPOINT_DIR"] == f"{root}/checkpoints"
    assert variables["SM_OUTPUT_INTERMEDIATE_DIR"] == f"{root}/output/intermediate"
    assert variables["TRAINING_JOB_ARN"].endswith(":training-job/variables")
    assert json.loads(variables["SM_TRAINING_ENV"])["channel_input_dirs"]["train"] == variables["SM_CHANNEL_TRAIN"]
    assert variables["MODE"] == "quick"


def test_checkpoints_are_kept_and_come_back(trainer: Trainer, s3: Any) -> None:
    def run(name: str, epoch: str, **config: str) -> dict[str, Any]:
        where = {"S3Uri": "s3://contract-data/checkpoints/kept/", **config}
        return trainer.run(name, hyperparameters={"epoch": epoch}, CheckpointConfig=where)

    assert run("first", "1")["checkpoints"] == {}
    assert s3.get_object(Bucket="contract-data", Key="checkpoints/kept/deep/epoch")["Body"].read() == b"1"
    second = run("second", "2", LocalPath="/opt/ml/own/place")
    assert second["checkpoints"] == {"deep/epoch": "1"}
    assert second["environment"]["SM_CHECKPOINT_DIR"].endswith("/second/own/place")
    assert s3.get_object(Bucket="contract-data", Key="checkpoints/kept/deep/epoch")["Body"].read() == b"2"


def test_checkpoints_are_kept_while_a_job_trains_and_when_it_fails(
    trainer: Trainer, api: SageMakerApi, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hpo_constructs.local.engine.local._CHECKPOINT_SECONDS", 0.2)
    where = {"S3Uri": "s3://contract-data/checkpoints/during"}

    def kept(name: str) -> bool:
        listed = s3.list_objects_v2(Bucket="contract-data", Prefix=f"checkpoints/{name}/")
        return bool(listed["KeyCount"])

    trainer.start("during", hyperparameters={"then": "hang"}, CheckpointConfig=where)
    until(lambda: kept("during"))
    assert trainer.describe("during")["SecondaryStatus"] == "Training"
    api.handle("StopTrainingJob", {"TrainingJobName": "during"})
    trainer.ended("during")
    where = {"S3Uri": "s3://contract-data/checkpoints/failing"}
    monkeypatch.setattr("hpo_constructs.local.engine.local._CHECKPOINT_SECONDS", 600)
    trainer.start("failing", hyperparameters={"then": "fail"}, CheckpointConfig=where)
    assert trainer.ended("failing")["TrainingJobStatus"] == "Failed"
    assert kept("failing")


class TestPipes:
    def test_objects_of_each_epoch(self, trainer: Trainer, s3: Any) -> None:
        for name, text in (("a", b"1\n"), ("b", b"2\n"), ("c", b"3\n")):
            s3.put_object(Bucket="contract-data", Key=f"piped/{name}", Body=text)
        report = trainer.run(
            "piped",
            channel("train", "s3://contract-data/piped/", InputMode="Pipe"),
            hyperparameters={"pipes": '["train_0", "train_1"]'},
        )
        assert bytes.fromhex(report["train_0"]) == bytes.fromhex(report["train_1"]) == b"1\n2\n3\n"
        assert report["inputdataconfig"]["train"]["TrainingInputMode"] == "Pipe"

    def test_gzip_records_and_shuffling(self, trainer: Trainer, s3: Any) -> None:
        for number in range(6):
            s3.put_object(Bucket="contract-data", Key=f"zipped/{number}", Body=gzip.compress(b"n%d" % number))
        wrapped = channel(
            "train",
            "s3://contract-data/zipped/",
            InputMode="Pipe",
            CompressionType="Gzip",
            RecordWrapperType="RecordIO",
            ShuffleConfig={"Seed": 3},
        )
        pipes = {"pipes": '["train_0", "train_1"]'}
        first, again = (trainer.run(f"zipped-{number}", wrapped, hyperparameters=pipes) for number in (1, 2))
        assert first["train_0"] == again["train_0"]
        assert first["train_0"] != first["train_1"]
        records = records_of(bytes.fromhex(first["train_0"]))
        assert sorted(records) == [b"n0", b"n1", b"n2", b"n3", b"n4", b"n5"]

    def test_an_augmented_manifest(self, trainer: Trainer, s3: Any) -> None:
        for name in ("cat", "dog"):
            s3.put_object(Bucket="contract-data", Key=f"images/{name}.jpg", Body=name.encode())
        lines = [
            {"image-ref": f"s3://contract-data/images/{name}.jpg", "class": number}
            for number, name in enumerate(("dog", "cat"))
        ]
        s3.put_object(Bucket="contract-data", Key="lines.manifest", Body="\n".join(map(json.dumps, lines)).encode())
        augmented = channel(
            "train",
            "s3://contract-data/lines.manifest",
            S3DataType="AugmentedManifestFile",
            AttributeNames=["image-ref", "class"],
            InputMode="Pipe",
            RecordWrapperType="RecordIO",
        )
        report = trainer.run("augmented", augmented, hyperparameters={"pipes": '["train_0"]'})
        assert records_of(bytes.fromhex(report["train_0"])) == [b"dog", b"0", b"cat", b"1"]

    def test_a_job_that_never_reads_ends(self, trainer: Trainer, s3: Any) -> None:
        s3.put_object(Bucket="contract-data", Key="unread/a", Body=b"1")
        began = time.monotonic()
        trainer.run("unread", channel("train", "s3://contract-data/unread/", InputMode="Pipe"))
        assert time.monotonic() - began < 20
        assert not [one.name for one in threading.enumerate() if one.name == "pipe-train"]

    def test_a_reader_that_leaves_gets_the_next_epoch(self, tmp_path: Path) -> None:
        feeder = Feeder(tmp_path / "train", [b"x" * 1_000_000])
        with (tmp_path / "train_0").open("rb") as pipe:
            assert pipe.read(10) == b"x" * 10
        until((tmp_path / "train_1").exists)
        with (tmp_path / "train_1").open("rb") as pipe:
            assert len(pipe.read()) == 1_000_000
        feeder.close()


def records_of(stream: bytes) -> list[bytes]:
    records = []
    while stream:
        magic, length = struct.unpack("<II", stream[:8])
        assert magic == 0xCED7230A
        records.append(stream[8 : 8 + length])
        stream = stream[8 + length + -length % 4 :]
    return records


def test_a_record_that_is_too_long() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return 1 << 29

    with pytest.raises(ValueError, match="less than 512 MB"):
        list(as_record(Long()))


@pytest.mark.parametrize(
    ("content", "data_type", "words"),
    [
        (b"{}", "ManifestFile", "must be a JSON list of an object with a prefix"),
        (b"nothing", "ManifestFile", "must be a JSON list of an object with a prefix"),
        (b'{"a": 1}\nno', "AugmentedManifestFile", "must be a JSON object"),
        (b'{"a": 1}', "AugmentedManifestFile", "has no attribute 'image-ref'"),
    ],
)
def test_a_manifest_that_is_none(trainer: Trainer, s3: Any, content: bytes, data_type: str, words: str) -> None:
    name = f"bad-{data_type}-{len(content)}"
    s3.put_object(Bucket="contract-data", Key=name, Body=content)
    rest = {"AttributeNames": ["image-ref"], "InputMode": "Pipe"} if data_type == "AugmentedManifestFile" else {}
    trainer.start(name, channel("train", f"s3://contract-data/{name}", S3DataType=data_type, **rest))
    reason = trainer.ended(name)["FailureReason"]
    assert reason.startswith("ClientError: Data download failed: ")
    assert words in reason


class TestScriptMode:
    @staticmethod
    def archive(s3: Any, key: str, **files: str) -> str:
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as archive:
            for name, text in files.items():
                member = tarfile.TarInfo(name.replace("__", "."))
                member.size = len(text.encode())
                archive.addfile(member, io.BytesIO(text.encode()))
        s3.put_object(Bucket="contract-data", Key=key, Body=packed.getvalue())
        return f"s3://contract-data/{key}"

    @staticmethod
    def hyperparameters(uri: str, program: str, **rest: str) -> dict[str, str]:
        # The SDK encodes every value as JSON.
        own = {"sagemaker_submit_directory": uri, "sagemaker_program": program}
        return {**{name: json.dumps(value) for name, value in own.items()}, **rest}

    SCRIPT = """
import json, os, sys, helper
open(os.environ["SM_OUTPUT_DATA_DIR"] + "/report.json", "w").write(json.dumps(
    {"arguments": sys.argv[1:], "helped": helper.VALUE,
     "here": os.getcwd() == os.environ["HPO_LOCAL_ML_ROOT"] + "/code",
     "name": __name__, "module": os.environ["SM_MODULE_DIR"]}))
"""

    def test_a_script_runs_with_its_hyperparameters(self, trainer: Trainer, s3: Any) -> None:
        uri = self.archive(s3, "code/ok.tar.gz", train__py=self.SCRIPT, helper__py="VALUE = 7")
        given = self.hyperparameters(uri, "train.py", depth="3", note='"two words"')
        report = trainer.run("script", image=SKLEARN, hyperparameters=given)
        assert report == {
            "arguments": ["--depth", "3", "--note", "two words"],
            "helped": 7,
            "here": True,
            "name": "__main__",
            "module": uri,
        }

    @pytest.mark.parametrize(
        ("program", "script", "reason"),
        [
            (
                "raises.py",
                "raise ValueError('no rows')",
                'AlgorithmError: ExecuteUserScriptError: ExitCode 1 ErrorMessage "ValueError: no rows", exit code: 1',
            ),
            ("exits.py", "import sys; sys.exit(4)", "AlgorithmError: ExecuteUserScriptError: ExitCode 4, exit code: 4"),
            ("shell.sh", "exit 5", "AlgorithmError: ExecuteUserScriptError: ExitCode 5, exit code: 5"),
        ],
    )
    def test_a_script_that_fails(self, trainer: Trainer, s3: Any, program: str, script: str, reason: str) -> None:
        uri = self.archive(s3, f"code/{program}.tar.gz", **{program.replace(".", "__"): script})
        name = program.partition(".")[0]
        trainer.start(name, image=SKLEARN, hyperparameters=self.hyperparameters(uri, program))
        assert trainer.ended(name)["FailureReason"] == reason

    def test_a_program_that_is_not_in_the_archive(self, trainer: Trainer, s3: Any) -> None:
        uri = self.archive(s3, "code/empty.tar.gz", other__py="")
        trainer.start("absent", image=SKLEARN, hyperparameters=self.hyperparameters(uri, "train.py"))
        assert "ClientError: sagemaker_program 'train.py' is not in" in trainer.ended("absent")["FailureReason"]

    def test_an_archive_that_is_not_there(self, trainer: Trainer) -> None:
        given = self.hyperparameters("s3://contract-data/code/nowhere.tar.gz", "train.py")
        trainer.start("nowhere", image=SKLEARN, hyperparameters=given)
        assert "Data download failed" in trainer.ended("nowhere")["FailureReason"]


class TestLogs:
    def test_a_long_log_is_cut_in_cloudwatch_and_its_metrics_are_read(self, trainer: Trainer, url: str) -> None:
        trainer.run("chatty", hyperparameters={"log": "5000"})
        described = trainer.describe("chatty")
        assert [one["Value"] for one in described["FinalMetricDataList"]] == [0.5]
        logs = endpoint_client("logs", url, REGION)
        stream = logs.describe_log_streams(logGroupName=TRAINING_JOBS, logStreamNamePrefix="chatty/")["logStreams"][0]
        messages: list[str] = []
        token: dict[str, str] = {}
        while True:
            answer = logs.get_log_events(
                logGroupName=TRAINING_JOBS, logStreamName=stream["logStreamName"], startFromHead=True, **token
            )
            if not answer["events"]:
                break
            messages += [one["message"] for one in answer["events"]]
            token = {"nextToken": answer["nextForwardToken"]}
        assert messages[0].startswith("line 0 ")
        assert LogStream.LIMIT_BYTES <= sum(len(one) + 1 for one in messages) < LogStream.LIMIT_BYTES + 1000
        whole = Path(messages[-1].removeprefix("the rest of this log is in "))
        assert "line 4999 " in whole.read_text()

    def test_a_log_that_cannot_be_written_is_left(self, tmp_path: Path) -> None:
        tried = []

        def refuse(stream: str, events: list[tuple[int, str]]) -> None:
            tried.append(events)
            raise RuntimeError("no room")

        logs = LogStream(refuse, "job/1", tmp_path / "log")
        logs.add(["one", " ", "two"], 5)
        logs.add(["three"], 6)
        assert tried == [[(5, "one"), (5, "two")]]

    def test_a_tail_gives_whole_lines(self, tmp_path: Path) -> None:
        file = tmp_path / "log"
        tail = LogTail(file)

        def new(*, last: bool = False) -> list[str]:
            return [line for lines in tail.new_lines(last=last) for line in lines]

        assert new() == []
        file.write_text("one\ntw")
        assert new() == ["one"]
        with file.open("a") as opened:
            opened.write("o\n" + "y" * (3 << 20) + "\nrest")
        lines = new()
        assert lines[0] == "two"
        assert sum(map(len, lines[1:])) == 3 << 20
        assert new(last=True) == ["rest"]


class TestMetrics:
    def test_cloudwatch_has_the_metrics(self, trainer: Trainer, url: str) -> None:
        trainer.run("measured")
        described = trainer.describe("measured")
        statistics = endpoint_client("cloudwatch", url, REGION).get_metric_statistics(
            Namespace=TRAINING_JOBS,
            MetricName="score",
            Dimensions=[{"Name": "TrainingJobName", "Value": "measured"}],
            StartTime=described["TrainingStartTime"],
            EndTime=described["TrainingEndTime"] + timedelta(minutes=1),
            Period=60,
            Statistics=["Average", "SampleCount"],
        )
        (point,) = statistics["Datapoints"]
        assert (point["Average"], point["SampleCount"]) == (0.5, 1)

    def test_a_long_training_job_takes_little_memory(self, monkeypatch: pytest.MonkeyPatch) -> None:
        clock, at = [0.0], datetime.now(UTC)
        monkeypatch.setattr(time, "monotonic", lambda: clock[0])
        written: list[float] = []
        stream = MetricStream(lambda values, _at: written.append(values["loss"]))
        for second in range(36_000):
            clock[0] = second / 10
            stream.add({"loss": float(second)}, at)
        assert written[:3] == [0.0, 10.0, 20.0]
        assert 400 < len(written) < 600
        stream.flush(at)
        assert written[-1] == 35_999
        stream.flush(at)
        assert len(written) < 600

    def test_metrics_that_cannot_be_written_are_left(self) -> None:
        def refuse(values: Mapping[str, float], at: datetime) -> None:
            raise RuntimeError("no room")

        MetricStream(refuse).add({"loss": 1.0}, datetime.now(UTC))

    def test_what_a_line_must_have_in_it_is_looked_for_first(self) -> None:
        # The expression alone would match: what it is told apart by goes before it.
        plain, told = MetricDefinition("a", "a=([0-9]+)"), MetricDefinition("b", "a=([0-9]+)", contains="other:")
        assert read_metrics(["a=1", "a=2"], [plain, told]) == {"a": 2.0}
        assert read_metrics(["a=1", "other: a=2"], [told]) == {"b": 2.0}


def test_the_cores_are_shared_by_all_that_may_run() -> None:
    cores, first, second = Cores(8), object(), object()
    assert cores.share() == 8
    cores.enter(first, 2)
    assert cores.share() == 4
    cores.enter(second, 4)
    assert cores.share() == 1
    cores.leave(first)
    assert cores.share() == 2
    cores.enter(first, 100)
    assert cores.share() == 1


def test_intermediate_values_reach_the_tuner(api: SageMakerApi, url: str, tmp_path: Path) -> None:
    """Early stopping rests on them: a job that reports ever worse values does not run to its end."""
    program = (
        "import json, os, time\n"
        "x = float(os.environ['SM_HP_X'])\n"
        "for epoch in range(12):\n"
        "    print(f'loss={x};', flush=True)\n"
        "    time.sleep(0.15)\n"
    )
    made = SageMakerApi(
        url,
        REGION,
        ACCOUNT,
        tmp_path,
        [{"image": "registry/epochs:*", "command": [sys.executable, "-c", program]}],
        stop_grace_seconds=1,
    )
    try:
        made.handle("CreateHyperParameterTuningJob", epochs_request())
        name = {"HyperParameterTuningJobName": "epochs"}
        until(
            lambda: (
                made.handle("DescribeHyperParameterTuningJob", name)["HyperParameterTuningJobStatus"] == "Completed"
            ),
            seconds=90,
        )
        jobs = made.handle("ListTrainingJobsForHyperParameterTuningJob", {**name, "MaxResults": 100})
        statuses = [one["TrainingJobStatus"] for one in jobs["TrainingJobSummaries"]]
        assert statuses.count("Stopped") >= 1
        assert statuses.count("Completed") >= 2
    finally:
        made.close()


def epochs_request() -> dict[str, Any]:
    return {
        "HyperParameterTuningJobName": "epochs",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Minimize", "MetricName": "loss"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 10, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "1"}]},
            "TrainingJobEarlyStoppingType": "Auto",
            "RandomSeed": 1,
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {
                "TrainingImage": "registry/epochs:1",
                "TrainingInputMode": "File",
                "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+);"}],
            },
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/training",
            "OutputDataConfig": {"S3OutputPath": "s3://contract-data/output"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    }
