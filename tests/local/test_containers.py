"""Training images that run as containers: the command line, and real containers where an engine answers."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from moto.server import ThreadedMotoServer

from hpo_constructs.documents.schema import template_schema
from hpo_constructs.errors import LocalError
from hpo_constructs.local import LocalEndpoint
from hpo_constructs.local.algorithms import BY_ALGORITHM, local_program
from hpo_constructs.local.containers import (
    LABEL,
    Container,
    ContainerError,
    ContainerRun,
    Engine,
    Engines,
    container_variables,
)
from hpo_constructs.local.engine.backend import Order
from hpo_constructs.local.image_mapping import image_entries
from hpo_constructs.local.jobs import single_definition
from hpo_constructs.local.sagemaker_api import SageMakerApi
from hpo_constructs.local.training import MlFolder, endpoint_client

from .conftest import until

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn:7"


def order(**definition: Any) -> Order:
    algorithm = {"TrainingImage": IMAGE, "TrainingInputMode": "File", **definition.pop("AlgorithmSpecification", {})}
    return Order("job-1", single_definition({"AlgorithmSpecification": algorithm, **definition}), {})


def command(container: Container, tmp_path: Path, engine: Engine | None = None, **definition: Any) -> list[str]:
    run = ContainerRun(
        container, engine or Engine("docker"), container.image or IMAGE, order(**definition), MlFolder(tmp_path)
    )
    return run.command({"B": "2", "A": "1"}, threads=2)


def value_of(words: list[str], option: str) -> list[str]:
    return [words[index + 1] for index, word in enumerate(words) if word == option]


class TestCommand:
    def test_as_the_service_runs_an_image(self, tmp_path: Path) -> None:
        words = command(Container(), tmp_path)
        assert words[:3] == ["docker", "run", "--rm"]
        assert words[-2:] == [IMAGE, "train"]
        assert value_of(words, "--volume") == [
            f"{tmp_path}:/opt/ml",
            f"{tmp_path}/input/data:/opt/ml/input/data:ro",
        ]
        assert value_of(words, "--env") == ["A=1", "B=2"]
        assert value_of(words, "--label") == [f"{LABEL}=job-1"]
        assert value_of(words, "--network") == ["none"]
        assert value_of(words, "--pull") == ["never"]
        assert value_of(words, "--cpus") == ["2"]
        assert "--memory" not in words
        assert "--entrypoint" not in words

    def test_the_algorithm_says_how(self, tmp_path: Path) -> None:
        both = {"ContainerEntrypoint": ["python", "-m", "mine"], "ContainerArguments": ["--fast"]}
        words = command(Container(), tmp_path, AlgorithmSpecification=both)
        assert value_of(words, "--entrypoint") == ["python"]
        assert words[-4:] == [IMAGE, "-m", "mine", "--fast"]
        alone = command(Container(), tmp_path, AlgorithmSpecification={"ContainerEntrypoint": ["run"]})
        assert alone[-1] == IMAGE
        arguments = command(Container(), tmp_path, AlgorithmSpecification={"ContainerArguments": ["fit", "now"]})
        assert arguments[-3:] == [IMAGE, "fit", "now"]

    def test_options(self, tmp_path: Path) -> None:
        container = Container(image="churn:dev", pull=True, network="host", memory="1g")
        words = command(container, tmp_path)
        assert words[-2:] == ["churn:dev", "train"]
        assert value_of(words, "--pull") == ["missing"]
        assert value_of(words, "--network") == ["host"]
        assert value_of(words, "--memory") == ["1g"]
        isolated = command(container, tmp_path, EnableNetworkIsolation=True)
        assert value_of(isolated, "--network") == ["none"]

    def test_what_the_engine_cannot_limit(self, tmp_path: Path) -> None:
        weak = Engine("podman", limits_cpus=False, limits_memory=False)
        words = command(Container(memory="1g"), tmp_path, weak)
        assert "--cpus" not in words
        assert "--memory" not in words

    def test_checkpoints_elsewhere(self, tmp_path: Path) -> None:
        checkpoints = {"S3Uri": "s3://b/c", "LocalPath": "/kept"}
        mounts = value_of(command(Container(), tmp_path, CheckpointConfig=checkpoints), "--volume")
        assert mounts[-1] == f"{tmp_path}/kept:/kept"
        usual = command(Container(), tmp_path, CheckpointConfig={"S3Uri": "s3://b/c"})
        assert len(value_of(usual, "--volume")) == 2

    def test_variables_are_the_services(self) -> None:
        machine = {
            "HOME": "/home/me",
            "PATH": "/bin",
            "SM_MODEL_DIR": "/somewhere",
            "AWS_REGION": "us-east-1",
            "TRAINING_JOB_NAME": "job-1",
            "OMP_NUM_THREADS": "2",
        }
        assert container_variables(order(Environment={"LEVEL": "3"}), machine) == {
            "AWS_REGION": "us-east-1",
            "TRAINING_JOB_NAME": "job-1",
            "OMP_NUM_THREADS": "2",
            "PYTHONUNBUFFERED": "1",
            "LEVEL": "3",
        }

    def test_names_are_unique_and_short(self, tmp_path: Path) -> None:
        runs = [ContainerRun(Container(), Engine("docker"), IMAGE, order(), MlFolder(tmp_path)) for _ in range(2)]
        assert runs[0].name != runs[1].name
        long = Order("n" * 63, order().definition, {})
        assert len(ContainerRun(Container(), Engine("docker"), IMAGE, long, MlFolder(tmp_path)).name) == 63


class TestEngines:
    @pytest.fixture
    def program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
        """Writes programs that are all that is on the PATH."""
        monkeypatch.setenv("PATH", str(tmp_path))

        def write(name: str, script: str) -> None:
            file = tmp_path / name
            file.write_text(f"#!/bin/sh\n{script}\n")
            file.chmod(0o755)

        return write

    def test_none(self, program: Callable[[str, str], None]) -> None:
        with pytest.raises(ContainerError, match="there is no docker or podman on the PATH; install one, or"):
            Engines().find("auto")
        program("podman", "exit 0")
        with pytest.raises(ContainerError, match="there is no docker on the PATH"):
            Engines().find("docker")

    def test_one_that_does_not_answer(self, program: Callable[[str, str], None]) -> None:
        program("docker", "echo first >&2; echo 'Is the docker daemon running?' >&2; exit 1")
        with pytest.raises(
            ContainerError, match=r"docker does not answer \(Is the docker daemon running\?\); start it"
        ):
            Engines().find("auto")
        program("podman", "exit 0")
        assert Engines().find("auto").command == "podman"

    def test_what_it_can_limit(self, program: Callable[[str, str], None]) -> None:
        program("docker", """case $1 in info) echo '{"CpuCfsQuota": true, "MemoryLimit": false}';; esac""")
        assert Engines().find("docker") == Engine("docker", limits_cpus=True, limits_memory=False)
        program("podman", """case $1 in info) echo '{"host": {"cgroupControllers": ["memory"]}}';; esac""")
        assert Engines().find("podman") == Engine("podman", limits_cpus=False, limits_memory=True)
        program("docker", """echo '{"SecurityOptions": ["name=seccomp", "name=rootless"]}'""")
        assert Engines().find("docker").rootless
        program("podman", """echo '{"host": {"security": {"rootless": true}}}'""")
        assert Engines().find("podman").rootless

    def test_an_image_that_is_not_there(self, program: Callable[[str, str], None]) -> None:
        program("docker", "case $1 in image) exit 1;; esac")
        with pytest.raises(ContainerError, match=r"the image 'churn:dev' is not on this machine \(docker\): build it"):
            Engines().image(Container(image="churn:dev"), IMAGE)
        with pytest.raises(ContainerError, match=rf"the image '{IMAGE}' or 'churn:7' is not on this machine"):
            Engines().image(Container(), IMAGE)
        assert Engines().image(Container(pull=True), IMAGE) == IMAGE
        program("docker", 'case "$1 $3" in "image churn:7") exit 0;; "image "*) exit 1;; esac')
        assert Engines().image(Container(), IMAGE) == "churn:7"


class TestMapping:
    def test_a_container(self, tmp_path: Path) -> None:
        given = [{"image": "*/churn:*", "container": {"image": "churn:dev", "network": "host"}}]
        entries = image_entries(given, tmp_path, "local.commands")
        program = local_program(IMAGE, entries)
        assert program.container == Container(image="churn:dev", network="host")
        empty = image_entries([{"image": "*/churn:*", "container": None}], tmp_path, "local.commands")
        assert local_program(IMAGE, empty).container == Container()

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"algorithm": "forest"}, "algorithm of the image mapping's entry for '*' must be one of xgboost, "),
            ({"container": {"engines": "x"}}, "must be of image, engine, pull, network, memory, got engines"),
        ],
    )
    def test_mistakes_in_python(self, entry: dict[str, Any], words: str) -> None:
        with pytest.raises(LookupError) as caught:
            local_program(IMAGE, [{"image": "*", **entry}])
        assert words in caught.value.args[0]

    def test_the_documented_mapping(self, tmp_path: Path) -> None:
        page = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
        (text,) = re.findall(r"```yaml images\n(.*?)```", page, re.DOTALL)
        (tmp_path / "training").mkdir()
        documented = yaml.safe_load(text)
        entries = image_entries(documented, tmp_path, "local.commands")
        block = jsonschema.Draft202012Validator(
            {**template_schema()["$defs"]["local"], "$defs": template_schema()["$defs"]}
        )
        assert [error.message for error in block.iter_errors({"commands": documented})] == []
        assert not block.is_valid({"commands": [{"image": "x", "command": ["a"], "container": {}}]})
        found = [
            local_program(f"registry/{name}:1", entries) for name in ("churn", "scoring", "ranking", "own-lightgbm")
        ]
        assert found[0].directory == tmp_path / "training"
        assert found[1].container == Container()
        assert found[2].container == Container(image="ranking:dev", engine="podman", network="host", memory="4g")
        assert (found[3].module or "").endswith(".lightgbm")
        for name in BY_ALGORITHM:
            assert f"`{name}`" in page

    @pytest.mark.parametrize(
        ("entry", "words"),
        [
            ({"image": "x"}, "must have one of command, algorithm, container, got none"),
            ({"image": "x", "command": ["a"], "container": {}}, "got command, container"),
            ({"image": "x", "container": {"engines": "docker"}}, "container must be a mapping of image, engine"),
            ({"image": "x", "container": {"engine": "lxc"}}, "engine must be one of auto, docker, podman, got 'lxc'"),
            ({"image": "x", "container": {"pull": "yes"}}, "pull must be true or false, got 'yes'"),
            ({"image": "x", "container": {"network": 1}}, "network must be one of none, host, bridge, got 1"),
            ({"image": "x", "container": {"memory": ""}}, "memory must be an amount of memory such as 4g, got ''"),
            ({"image": "x", "container": {}, "directory": "."}, "directory goes with a command, not with container"),
            ({"image": "x", "algorithm": "lightgbm"}, "algorithm must be one of xgboost, linear-learner"),
            ({"container": {}}, "image must be an image's URI or a pattern with *, got None"),
        ],
    )
    def test_mistakes(self, entry: dict[str, Any], words: str, tmp_path: Path) -> None:
        with pytest.raises(LocalError) as caught:
            image_entries([entry], tmp_path, "local.commands")
        assert words in str(caught.value)
        assert str(caught.value).startswith("local.commands[0]")


# Real containers

TRAIN = """#!/bin/sh
# What SageMaker's contract gives a container is all that this program uses.
cd /opt/ml
echo "program=${0##*/} job=$TRAINING_JOB_NAME level=$LEVEL toolkit=$SM_MODEL_DIR"
case "$(cat input/config/hyperparameters.json)" in
    *'"then": "fail"'*) echo "the data is of last year" > output/failure; exit 4;;
    *'"then": "hang"'*) trap 'echo saved > model/weights; exit 0' TERM; echo waiting; while true; do sleep 0.1; done;;
    *'"then": "ignore"'*) trap '' TERM; echo waiting; while true; do sleep 0.1; done;;
esac
if touch input/data/train/mine 2>/dev/null; then echo "wrote into a channel"; fi
ls /sys/class/net | tr '\\n' ' '
mkdir -p output/data/deep
cp input/data/train/part-0.csv output/data/deep/copy
echo "score=0.$(wc -l < input/data/train/part-0.csv);"
cp input/config/hyperparameters.json model/weights
"""
APPLETS = ("sh", "chown", "cat", "touch", "ls", "tr", "mkdir", "cp", "wc", "sleep")


def busybox_image(engine: str, folder: Path) -> str:
    """Build an image of nothing but busybox and the program; skip where that cannot be done."""
    busybox = shutil.which("busybox")
    if busybox is None:
        pytest.skip("no busybox to build an image of")
    programs = folder / "root" / "bin"
    programs.mkdir(parents=True)
    shutil.copy(busybox, programs / "busybox")
    for applet in APPLETS:
        (programs / applet).symlink_to("busybox")
    (programs / "train").write_text(TRAIN)
    (programs / "train").chmod(0o755)
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY root /\nENV PATH=/bin\n")
    name = f"hpo-constructs-test:{os.getpid()}"
    built = subprocess.run(
        [engine, "build", "-q", "-t", name, str(folder)], capture_output=True, text=True, check=False
    )
    if built.returncode != 0:
        pytest.skip(f"{engine} cannot build an image: {built.stderr.strip()[-300:]}")
    return name


def works(engine: str, image: str) -> str | None:
    """Say why containers cannot run, None when they can."""
    done = subprocess.run(
        [engine, "run", "--rm", "--network", "none", image, "ls"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return None if done.returncode == 0 else done.stderr.strip()[-300:]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """An engine that runs containers and an image for it."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            engine = Engines().find("auto").command
        except ContainerError as error:
            pytest.skip(str(error))
        name = busybox_image(engine, tmp_path_factory.mktemp("image"))
        reason = works(engine, name)
        if reason is not None and engine == "podman" and shutil.which("runc"):
            # Podman's default runtime does not run where the control groups are of version 1.
            file = tmp_path_factory.mktemp("podman") / "containers.conf"
            limits = '["nofile=1024:1024", "nproc=100:100"]'
            file.write_text(f'[engine]\nruntime = "runc"\n[containers]\ndefault_ulimits = {limits}\n')
            patch.setenv("CONTAINERS_CONF", str(file))
            reason = works(engine, name)
        if reason is None:
            yield engine, name
        subprocess.run([engine, "rmi", "--force", name], capture_output=True, check=False)
        if reason is not None:
            pytest.skip(f"{engine} cannot run a container: {reason}")


def request(
    name: str, hyperparameters: dict[str, str] | None = None, *, image: str = "registry/mine:1", **rest: Any
) -> dict[str, Any]:
    """A request of CreateTrainingJob."""
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://container-tests/train/"}
    return {
        "TrainingJobName": name,
        "HyperParameters": hyperparameters or {},
        "AlgorithmSpecification": {
            "TrainingImage": image,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
        },
        "RoleArn": "arn:aws:iam::123456789012:role/training",
        "InputDataConfig": [{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
        "OutputDataConfig": {"S3OutputPath": "s3://container-tests/output"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        **rest,
    }


def containers(engine: str, name: str) -> list[str]:
    """The containers of a training job, whatever their state."""
    listing = [engine, "ps", "-aq", "--filter", f"label={LABEL}={name}"]
    return subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split()


class Site:
    """An endpoint whose image ``mine`` runs as a container."""

    def __init__(self, endpoint: LocalEndpoint, engine: str) -> None:
        self.endpoint = endpoint
        self.engine = engine
        self._sagemaker = endpoint.client("sagemaker")

    def start(self, name: str, hyperparameters: dict[str, str] | None = None, **rest: Any) -> None:
        self._sagemaker.create_training_job(**request(name, hyperparameters, **rest))

    def describe(self, name: str) -> dict[str, Any]:
        described: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=name)
        return described

    def stop(self, name: str) -> None:
        self._sagemaker.stop_training_job(TrainingJobName=name)

    def ended(self, name: str) -> dict[str, Any]:
        until(lambda: self.describe(name)["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"), seconds=60)
        return self.describe(name)

    def log(self, name: str) -> str:
        logs = self.endpoint.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/")["logStreams"]
        return "\n".join(
            event["message"]
            for stream in streams
            for event in logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"])["events"]
        )

    def archive(self, name: str, what: str) -> dict[str, str]:
        key = f"output/{name}/output/{what}.tar.gz"
        body = self.endpoint.client("s3").get_object(Bucket="container-tests", Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            files = {one.name: archive.extractfile(one) for one in archive.getmembers() if one.isfile()}
            return {name: file.read().decode() for name, file in files.items() if file is not None}

    def containers(self, name: str) -> list[str]:
        return containers(self.engine, name)


def open_endpoint(image: tuple[str, str]) -> LocalEndpoint:
    engine, name = image
    return LocalEndpoint(
        images=[
            {"image": "registry/mine:*", "container": {"engine": engine, "image": name}},
            {"image": "registry/open:*", "container": {"engine": engine, "image": name, "network": "host"}},
            {"image": "registry/absent:*", "container": {"engine": engine}},
        ]
    )


def fill(s3: Any) -> None:
    s3.create_bucket(Bucket="container-tests")
    s3.put_object(Bucket="container-tests", Key="train/part-0.csv", Body=b"1\n2\n3\n4\n5\n")


@pytest.fixture(scope="module")
def site(image: tuple[str, str]) -> Iterator[Site]:
    with open_endpoint(image) as endpoint:
        fill(endpoint.client("s3"))
        yield Site(endpoint, image[0])


class TestRealContainers:
    def test_the_contract(self, site: Site) -> None:
        site.start("whole", {"depth": "3"}, Environment={"LEVEL": "high"})
        described = site.ended("whole")
        assert described["TrainingJobStatus"] == "Completed", (described, site.log("whole"))
        assert described["FinalMetricDataList"][0]["Value"] == pytest.approx(0.5)
        log = site.log("whole")
        assert "program=train job=whole level=high toolkit=" in log
        assert "wrote into a channel" not in log
        assert "\nlo score=" in f"\n{log}", "there is no network but the loopback"
        assert json.loads(site.archive("whole", "model")["weights"]) == {"depth": "3"}
        assert site.archive("whole", "output")["data/deep/copy"] == "1\n2\n3\n4\n5\n"
        assert site.containers("whole") == []

    def test_the_network_is_there_when_it_is_allowed_and_not_isolated(self, site: Site) -> None:
        site.start("open", image="registry/open:1")
        site.start("isolated", image="registry/open:1", EnableNetworkIsolation=True)
        assert site.ended("open")["TrainingJobStatus"] == "Completed"
        assert site.ended("isolated")["TrainingJobStatus"] == "Completed"
        networks = " ".join(sorted(path.name for path in Path("/sys/class/net").iterdir()))
        assert f"\n{networks} score=" in f"\n{site.log('open')}"
        assert "\nlo score=" in f"\n{site.log('isolated')}"

    def test_the_failure_file_is_the_reason(self, site: Site) -> None:
        site.start("failing", {"then": "fail"})
        described = site.ended("failing")
        assert described["TrainingJobStatus"] == "Failed"
        assert described["FailureReason"] == "AlgorithmError: the data is of last year, exit code: 4"

    def test_sigterm_reaches_the_program_and_its_model_is_kept(self, site: Site) -> None:
        site.start("stopping", {"then": "hang"})
        until(lambda: site.containers("stopping"))
        until(lambda: "waiting" in site.log("stopping"))
        site.stop("stopping")
        assert site.ended("stopping")["TrainingJobStatus"] == "Stopped"
        assert site.archive("stopping", "model") == {"weights": "saved\n"}
        assert site.containers("stopping") == []

    def test_an_image_that_runs_as_another_user(self, site: Site, image: tuple[str, str], tmp_path: Path) -> None:
        engine, base = image
        (tmp_path / "Dockerfile").write_text(f"FROM {base}\nUSER 1234\n")
        name = f"{base}-user"
        subprocess.run([engine, "build", "-q", "-t", name, str(tmp_path)], capture_output=True, check=True)
        try:
            with LocalEndpoint(images=[{"image": "*", "container": {"engine": engine, "image": name}}]) as endpoint:
                fill(endpoint.client("s3"))
                other = Site(endpoint, engine)
                other.start("other-user")
                assert other.ended("other-user")["TrainingJobStatus"] == "Completed", other.log("other-user")
                assert "weights" in other.archive("other-user", "model")
        finally:
            subprocess.run([engine, "rmi", "--force", name], capture_output=True, check=False)

    def test_files_of_another_user_are_taken_over(
        self, image: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine, name = image
        folder = MlFolder(tmp_path)
        folder.create()
        (folder.model / "weights").write_text("x")
        before = (folder.model / "weights").stat().st_uid
        if Engines().find(engine).rootless:
            pytest.skip("in a rootless engine's containers there are no other users of this machine")
        monkeypatch.setattr(os, "getuid", lambda: before + 1)
        ContainerRun(Container(), Engine(engine), name, order(), folder).take_over_files()
        assert (folder.model / "weights").stat().st_uid == before + 1

    def test_an_image_that_is_not_there_is_refused_at_once(self, site: Site) -> None:
        with pytest.raises(Exception, match="the image 'registry/absent:1' or 'absent:1' is not on this machine"):
            site.start("absent", image="registry/absent:1")

    def test_sigkill_ends_one_that_ignores_sigterm(self, image: tuple[str, str], tmp_path: Path) -> None:
        engine, name = image
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        try:
            url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
            fill(endpoint_client("s3", url, "us-east-1"))
            images = [{"image": "registry/mine:*", "container": {"engine": engine, "image": name}}]
            api = SageMakerApi(url, "us-east-1", "123456789012", tmp_path, images, stop_grace_seconds=0.5)
            api.handle("CreateTrainingJob", request("stubborn", {"then": "ignore"}))
            log = until(lambda: list(tmp_path.glob("stubborn-*/stubborn.log")))[0]
            until(lambda: "waiting" in log.read_text())
            api.handle("StopTrainingJob", {"TrainingJobName": "stubborn"})
            described = {"TrainingJobName": "stubborn"}
            until(lambda: api.handle("DescribeTrainingJob", described)["TrainingJobStatus"] == "Stopped")
            # It is gone when the training job has ended, not some time after.
            assert containers(engine, "stubborn") == []
            api.close()
        finally:
            server.stop()

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
    def test_nothing_outlives_the_endpoint(self, image: tuple[str, str], number: signal.Signals) -> None:
        name = f"orphan-{number.name.lower()}"
        with open_endpoint(image) as endpoint:
            fill(endpoint.client("s3"))
            site = Site(endpoint, image[0])
            site.start(name, {"then": "ignore"})
            until(lambda: site.containers(name))
            assert endpoint.pid is not None
            os.kill(endpoint.pid, number)
            deadline = time.monotonic() + 30
            while site.containers(name):
                assert time.monotonic() < deadline, "the container runs on"
                time.sleep(0.2)
