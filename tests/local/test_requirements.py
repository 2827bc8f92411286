"""A script's requirements.txt: packages of its own, in an environment that is made once."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import io
import os
import shutil
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.local import LocalEndpoint
from hpo_constructs.local.requirements import RequirementsError, python_with

SKLEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


def wheel(folder: Path, name: str, code: str, version: str = "1.0") -> Path:
    """Write a wheel with one module."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},"
        f"{len(text.encode())}"
        for path, text in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,", ""])
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return file


def output(python: Path, code: str) -> str:
    import subprocess

    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    return folder


def write(code: Path, text: str) -> Path:
    file = code / "requirements.txt"
    file.write_text(text)
    return file


@pytest.fixture
def offline_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def uv(offline_tools: None) -> None:
    if shutil.which("uv") is None:
        pytest.skip("uv is not on the PATH")


@pytest.fixture(params=["uv", "pip"])
def installer(request: pytest.FixtureRequest, offline_tools: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of both ways to install."""
    if request.param == "uv":
        request.getfixturevalue("uv")
        return
    if importlib.util.find_spec("ensurepip") is None:
        pytest.skip("this Python has no ensurepip")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


class TestEnvironments:
    def test_packages_of_its_own_before_the_endpoints(self, installer: None, code: Path, tmp_path: Path) -> None:
        wheel(code / "lib", "tiny_package", "VALUE = 7")
        requirements = write(code, "# what the script needs\n./lib/tiny_package-1.0-py3-none-any.whl\n")
        python = python_with(requirements, tmp_path / "cache")
        assert python is not None
        seen = output(python, "import tiny_package, optuna, hpo_constructs; print(tiny_package.VALUE)")
        assert seen == "7"
        assert Path(output(python, "import sys; print(sys.prefix)")) == python.parent.parent
        assert importlib.util.find_spec("tiny_package") is None

    def test_it_is_made_once_and_anew_for_other_packages(self, uv: None, code: Path, tmp_path: Path) -> None:
        wheel(code / "lib", "tiny_package", "VALUE = 7")
        requirements = write(code, "./lib/tiny_package-1.0-py3-none-any.whl\n")
        first = python_with(requirements, tmp_path / "cache")
        assert first is not None
        mark = first.parent / "mark"
        mark.touch()
        assert python_with(requirements, tmp_path / "cache") == first
        assert mark.exists()
        wheel(code / "lib", "tiny_package", "VALUE = 8")
        second = python_with(requirements, tmp_path / "cache")
        assert second is not None
        assert second != first
        assert output(second, "import tiny_package; print(tiny_package.VALUE)") == "8"

    def test_one_that_was_left_unfinished_is_made_again(self, uv: None, code: Path, tmp_path: Path) -> None:
        wheel(code, "tiny_package", "VALUE = 7")
        requirements = write(code, "./tiny_package-1.0-py3-none-any.whl\n")
        python = python_with(requirements, tmp_path / "cache")
        assert python is not None
        (python.parent.parent / ".made").unlink()
        shutil.rmtree(python.parent.parent / "lib")
        assert python_with(requirements, tmp_path / "cache") == python
        assert output(python, "import tiny_package; print(tiny_package.VALUE)") == "7"

    def test_a_package_that_cannot_be_had(self, installer: None, code: Path, tmp_path: Path) -> None:
        requirements = write(code, "no-such-package-of-these-tests==1\n")
        with pytest.raises(RequirementsError, match="no-such-package-of-these-tests") as caught:
            python_with(requirements, tmp_path / "cache")
        assert caught.value.exit_code != 0

    @pytest.mark.parametrize(
        ("text", "needed"),
        [
            ("optuna>=2\nscikit-learn  # the estimator\n", False),
            ("optuna; python_version < '3'\n\n", False),
            ("", False),
            ("optuna<2\n", True),
            ("no-such-package-of-these-tests\n", True),
            ("-r other.txt\n", True),
        ],
    )
    def test_the_endpoints_own_packages_are_enough(self, code: Path, tmp_path: Path, text: str, needed: bool) -> None:
        requirements = write(code, text)
        if needed:
            with pytest.raises(RequirementsError):
                python_with(requirements, tmp_path / "cache")
        else:
            assert python_with(requirements, tmp_path / "cache") is None
            assert not (tmp_path / "cache").exists()


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An endpoint whose scripts install without a network, into a cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_OFFLINE", "1")
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
        with LocalEndpoint() as endpoint:
            endpoint.client("s3").create_bucket(Bucket="requirements-tests")
            yield endpoint


def train(endpoint: LocalEndpoint, name: str, files: dict[str, bytes]) -> dict[str, Any]:
    """Run a script-mode training job to its end."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for path, content in files.items():
            member = tarfile.TarInfo(path)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    s3, client = endpoint.client("s3"), endpoint.client("sagemaker")
    s3.put_object(Bucket="requirements-tests", Key=f"{name}.tar.gz", Body=archive.getvalue())
    client.create_training_job(
        TrainingJobName=name,
        HyperParameters={
            "sagemaker_program": "train.py",
            "sagemaker_submit_directory": f"s3://requirements-tests/{name}.tar.gz",
            "depth": "3",
        },
        AlgorithmSpecification={
            "TrainingImage": SKLEARN,
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": "score=([0-9.]+);"}],
        },
        RoleArn="arn:aws:iam::123456789012:role/training",
        OutputDataConfig={"S3OutputPath": "s3://requirements-tests/output"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
        StoppingCondition={"MaxRuntimeInSeconds": 600},
    )
    deadline = time.monotonic() + 60
    while (described := client.describe_training_job(TrainingJobName=name))["TrainingJobStatus"] == "InProgress":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return dict(described)


def test_a_script_imports_what_it_requires(offline: LocalEndpoint, tmp_path: Path) -> None:
    package = wheel(tmp_path, "tiny_package", "VALUE = 0.7")
    # A module of the script's folder that has the name of one that the endpoint itself imports.
    files = {
        "requirements.txt": f"./lib/{package.name}\n".encode(),
        f"lib/{package.name}": package.read_bytes(),
        "runpy.py": b"raise RuntimeError('not this one')",
        "train.py": b"import sys, tiny_package, sklearn\n"
        b"assert sys.argv[1:] == ['--depth', '3'], sys.argv\nprint(f'score={tiny_package.VALUE};')\n",
    }
    described = train(offline, "with-package", files)
    assert described["TrainingJobStatus"] == "Completed", described
    assert described["FinalMetricDataList"][0]["Value"] == pytest.approx(0.7)


def test_packages_that_cannot_be_had_are_the_reason(offline: LocalEndpoint, unique: Callable[[str], str]) -> None:
    files = {"requirements.txt": b"no-such-package-of-these-tests\n", "train.py": b"print('score=1;')\n"}
    described = train(offline, unique("without"), files)
    assert described["TrainingJobStatus"] == "Failed"
    assert described["FailureReason"].startswith("AlgorithmError: InstallRequirementsError: ExitCode ")
    assert "no-such-package-of-these-tests" in described["FailureReason"]
