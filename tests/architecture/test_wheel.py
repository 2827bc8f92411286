"""The wheel: built, installed where no checkout is, and used there."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*command: str, folder: Path, python_path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A command in a folder outside the checkout; the interpreter sees the wheel in `python_path` alone.

    `-S` leaves out the environment's path files, one of which names the checkout of an editable install.
    """
    environment = {**os.environ, "CDK_VALIDATION": "false"}
    if python_path:
        # jsii finds Node on the PATH of the environment.
        packages = [str(python_path), sysconfig.get_path("purelib")]
        environment |= {"PYTHONPATH": os.pathsep.join(packages)}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    return subprocess.run(
        [sys.executable, *(["-S", "-P"] if python_path else []), *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built by the project's own back end without a network."""
    folder = tmp_path_factory.mktemp("dist")
    done = run("-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), folder=ROOT)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel's packages alone; the dependencies are those of this environment."""
    target = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_both_packages_their_data_and_types_are_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for package, source in {
        "hpo_constructs": ROOT / "hpo_constructs",
        "hpo_handlers": ROOT / "lambda/hpo_handlers",
    }.items():
        wanted = {
            f"{package}/{file.relative_to(source).as_posix()}"
            for file in source.rglob("*")
            if file.is_file() and "__pycache__" not in file.parts
        }
        assert wanted <= names
        assert f"{package}/py.typed" in names
    assert any(name.endswith("/data/shapes.json") for name in names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"hpo_constructs", "hpo_handlers"}


def test_it_has_no_tests_and_no_examples(wheel: Path) -> None:
    assert [name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(("tests", "examples", "bench"))] == []


def test_an_example_synthesizes_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "churn.yaml").write_bytes((ROOT / "examples/single/breast-cancer.yaml").read_bytes())
    program = (
        "import json, sys, hpo_constructs, hpo_handlers\n"
        "from hpo_constructs.stacks.__main__ import main\n"
        "status = main(['churn.yaml'])\n"
        "print(json.dumps([status, hpo_constructs.__file__, hpo_handlers.__file__]))"
    )
    (tmp_path / "app.py").write_text(program)
    done = run("app.py", folder=tmp_path, python_path=installed)
    assert done.returncode == 0, done.stderr
    status, *files = json.loads(done.stdout.splitlines()[-1])
    assert status == 0
    assert all(Path(file).is_relative_to(installed) for file in files)


def test_the_command_checks_outside_the_checkout(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "churn.yaml").write_bytes((ROOT / "examples/single/breast-cancer.yaml").read_bytes())
    done = run("-m", "hpo_constructs.cli", "check", "churn.yaml", folder=tmp_path, python_path=installed)
    assert done.returncode == 0, done.stderr
    assert "no findings" in done.stdout


def test_the_functions_package_is_small() -> None:
    """What Lambda loads at a cold start: well under 50 KB, packed as the CDK packs it."""
    from io import BytesIO

    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in (ROOT / "lambda/hpo_handlers").rglob("*"):
            if file.is_file() and "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(ROOT / "lambda"))
    assert 1024 < packed.tell() < 50 * 1024
