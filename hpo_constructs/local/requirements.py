"""A script's ``requirements.txt``: an environment of its own with these packages, made once and used again.

SageMaker's framework images install the packages before the script starts. Here they go into an environment beside the
endpoint's, which sees the endpoint's packages where it has none of its own.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/pytorch.html and
https://github.com/aws/sagemaker-training-toolkit
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import sysconfig
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path

_TAIL_LINES = 6


class RequirementsError(Exception):
    """The packages cannot be installed; the text says why."""

    def __init__(self, reason: str, exit_code: int = 1) -> None:
        super().__init__(reason)
        self.exit_code = exit_code


def cache_folder() -> Path:
    """Give the folder of all environments, below the user's cache folder (``XDG_CACHE_HOME``)."""
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "hpo-constructs" / "environments"


def python_with(requirements: Path, cache: Path) -> Path | None:
    """Give the Python that has the packages of a ``requirements.txt``; None when this one has them all.

    The environment is made by ``uv`` where that is on the PATH, else by ``venv`` and ``pip``; what they say is printed.

    Args:
        requirements: the file; paths in it are relative to its folder.
        cache: where environments are kept.

    Raises:
        RequirementsError: they cannot be installed.
    """
    if _has_all(requirements):
        print("requirements.txt: the endpoint's environment has these packages", flush=True)
        return None
    environment = cache / _key(requirements)
    python, made = environment / "bin" / "python", environment / ".made"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(environment.with_suffix(".lock")):
            if made.exists():
                print(f"requirements.txt: installed in {environment}", flush=True)
            else:
                _make(environment, python, requirements)
                made.touch()
    except OSError as error:
        raise RequirementsError(f"the environment cannot be made in {cache}: {error}") from error
    return python


def _has_all(requirements: Path) -> bool:
    """Tell whether this environment has all packages already; a line that is no plain requirement says no."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = [Requirement(line) for line in _lines(requirements)]
    except InvalidRequirement:
        return False
    for requirement in wanted:
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            return False
        plain = not requirement.url and not requirement.extras
        if not plain or not requirement.specifier.contains(version, prereleases=True):
            return False
    return True


def _lines(requirements: Path) -> list[str]:
    lines = (line.partition(" #")[0].strip() for line in requirements.read_text().splitlines())
    return [line for line in lines if line and not line.startswith("#")]


def _key(requirements: Path) -> str:
    """Give what tells environments apart: the requirements, with the files that they name, and this Python."""
    digest = hashlib.sha256(f"{sys.version}\n{sys.prefix}\n{requirements.read_text()}".encode())
    folder = requirements.parent
    named = [folder / word for line in _lines(requirements) for word in line.split()]
    for path in named:
        files = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in files:
            if file.is_file():
                digest.update(f"\n{file.relative_to(folder)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:24]


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Have a lock; training jobs that run at the same time make an environment once."""
    with file.open("w") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX)
        yield


def _make(environment: Path, python: Path, requirements: Path) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    uv = shutil.which("uv")
    if uv is not None:
        _run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], requirements.parent)
        install = [uv, "pip", "install", "--python", str(python)]
    else:
        _run([sys.executable, "-m", "venv", str(environment)], requirements.parent)
        install = [str(python), "-m", "pip", "install", "--disable-pip-version-check"]
    # A virtual environment's own "system packages" would be those of the Python below the endpoint's environment.
    places = {"base": str(environment), "platbase": str(environment)}
    own = Path(sysconfig.get_path("purelib", "venv", vars=places))
    endpoints = dict.fromkeys((sysconfig.get_path("purelib"), sysconfig.get_path("platlib")))
    lines = [f"import site; site.addsitedir({place!r})" for place in endpoints]
    (own / "_endpoint.pth").write_text("\n".join([*lines, ""]))
    _run([*install, "-r", requirements.name], requirements.parent)


def _run(command: Sequence[str], folder: Path) -> None:
    tail: deque[str] = deque(maxlen=_TAIL_LINES)
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None  # noqa: S101 - opened as a pipe above
        for line in process.stdout:
            print(line, end="", flush=True)
            if line.strip():
                tail.append(line.strip())
    if process.returncode != 0:
        raise RequirementsError(" ".join(tail), process.returncode)
