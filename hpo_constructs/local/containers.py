"""Training images that run as containers, by the engine of this machine (Docker or Podman), as SageMaker runs them.

The engine's command line does the work: Docker and Podman take the same one.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-dockerfile.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/mkt-algo-model-internet-free.html
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from .training import CONTAINER_ROOT, DEFAULT_CHECKPOINTS, MlFolder

if TYPE_CHECKING:
    from .engine.backend import Order

ENGINES = ("docker", "podman")
NETWORKS = ("none", "host", "bridge")
LABEL = "hpo-constructs.training-job"
INSTRUCTIONS = "HPO_LOCAL_CONTAINER"
"""The variable that tells the container's process what to run, as JSON: ``engine``, ``name`` and ``command``."""

_ANSWER_SECONDS = 60.0
_REMOVE_SECONDS = 30.0
_NAME_LENGTH = 63


class ContainerError(Exception):
    """An image cannot run as a container on this machine; the text says why, and what to do."""


@dataclass(frozen=True)
class Container:
    """How a training image runs as a container.

    Attributes:
        image: the image that runs. By default the training image itself, or what is on this machine under its name
            without the registry (``churn:7``).
        engine: ``docker``, ``podman``, or ``auto``, the first of them that answers.
        pull: whether the engine fetches an image that is not on this machine. It does not by default.
        network: ``none``, ``host``, by which AWS clients in the container reach the local endpoint, or ``bridge``.
            Network isolation of the training job goes before it.
        memory: the most memory, as the engine takes it (``4g``); without it there is no limit.
    """

    image: str | None = None
    engine: str = "auto"
    pull: bool = False
    network: str = "none"
    memory: str | None = None


@dataclass(frozen=True)
class Engine:
    """A container engine that answers.

    Attributes:
        command: its program.
        limits_cpus: whether it can limit a container's processors.
        limits_memory: whether it can limit a container's memory.
        rootless: whether a container's root is the user who runs the engine.
    """

    command: str
    limits_cpus: bool = True
    limits_memory: bool = True
    rootless: bool = False


class Engines:
    """The container engines of this machine and their images; each is looked for once. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str, Engine] = {}
        self._images: dict[tuple[Container, str], str] = {}

    def find(self, wanted: str) -> Engine:
        """Give an engine that answers.

        Args:
            wanted: ``docker``, ``podman`` or ``auto``.

        Raises:
            ContainerError: there is none.
        """
        with self._lock:
            if wanted not in self._known:
                self._known[wanted] = _find(ENGINES if wanted == "auto" else (wanted,))
            return self._known[wanted]

    def image(self, container: Container, training_image: str) -> str:
        """Give the name of the image that runs for a training image.

        Raises:
            ContainerError: there is no engine, or no such image is on this machine and it may not be fetched.
        """
        engine = self.find(container.engine)
        with self._lock:
            if (container, training_image) in self._images:
                return self._images[container, training_image]
        names = [container.image] if container.image else [training_image, training_image.rpartition("/")[2]]
        here = (name for name in names if _ask(engine.command, "image", "inspect", name).returncode == 0)
        found = next(here, names[0] if container.pull else None)
        if found is None:
            raise ContainerError(
                f"the image {' or '.join(map(repr, dict.fromkeys(names)))} is not on this machine ({engine.command}): "
                "build it, or name one that is (container.image), or let the engine fetch it (container.pull: true)"
            )
        with self._lock:
            return self._images.setdefault((container, training_image), found)


def _find(candidates: Sequence[str]) -> Engine:
    silent = []
    for command in candidates:
        if shutil.which(command) is None:
            continue
        answer = _ask(command, "version")
        if answer.returncode == 0:
            return _facts(command)
        said = answer.stderr.strip().splitlines()
        silent.append(f"{command} does not answer ({said[-1] if said else f'exit code {answer.returncode}'})")
    names = " or ".join(candidates)
    if silent:
        raise ContainerError(f"no container engine: {'; '.join(silent)}; start it, or give the image a command instead")
    raise ContainerError(
        f"no container engine: there is no {names} on the PATH; install one, or give the image a command instead"
    )


def _facts(command: str) -> Engine:
    try:
        info: dict[str, Any] = json.loads(_ask(command, "info", "--format", "{{json .}}").stdout)
    except ValueError:
        return Engine(command)
    if "host" in info:  # Podman
        controllers = info["host"].get("cgroupControllers") or ()
        return Engine(
            command,
            limits_cpus="cpu" in controllers,
            limits_memory="memory" in controllers,
            rootless=bool(info["host"].get("security", {}).get("rootless")),
        )
    return Engine(
        command,
        limits_cpus=bool(info.get("CpuCfsQuota", True)),
        limits_memory=bool(info.get("MemoryLimit", True)),
        rootless="name=rootless" in (info.get("SecurityOptions") or ()),
    )


def _ask(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=_ANSWER_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {_ANSWER_SECONDS:g} seconds")


class ContainerRun:
    """One training job's container.

    Args:
        container: how its image runs.
        engine: the engine that runs it.
        image: the image's name.
        order: the training job.
        folder: its folder, the container's ``/opt/ml``.
    """

    def __init__(self, container: Container, engine: Engine, image: str, order: Order, folder: MlFolder) -> None:
        self._container = container
        self._engine = engine
        self._image = image
        self._order = order
        self._folder = folder
        self.name = f"hpo-{order.name[: _NAME_LENGTH - 13]}-{secrets.token_hex(4)}"

    def instructions(self, variables: Mapping[str, str], threads: int) -> str:
        """Give the value of ``INSTRUCTIONS``."""
        command = self.command(variables, threads)
        return json.dumps({"engine": self._engine.command, "name": self.name, "command": command})

    def command(self, variables: Mapping[str, str], threads: int) -> list[str]:
        """Give the command that runs the container in the foreground.

        Args:
            variables: the container's environment variables.
            threads: how many processors it may use.
        """
        definition = self._order.definition.request
        algorithm = definition["AlgorithmSpecification"]
        network = "none" if definition.get("EnableNetworkIsolation") else self._container.network
        words = [
            *(self._engine.command, "run", "--rm", "--name", self.name, "--label", f"{LABEL}={self._order.name}"),
            *("--pull", "missing" if self._container.pull else "never", "--network", network),
            # Where SELinux is in force it would keep the container out of the folders.
            *("--security-opt", "label=disable"),
        ]
        if self._engine.limits_cpus:
            words += ["--cpus", str(threads)]
        if self._container.memory is not None and self._engine.limits_memory:
            words += ["--memory", self._container.memory]
        for source, target, read_only in self._mounts():
            words += ["--volume", f"{source}:{target}" + (":ro" if read_only else "")]
        for name, value in sorted(variables.items()):
            words += ["--env", f"{name}={value}"]
        entrypoint = list(algorithm.get("ContainerEntrypoint", ()))
        if entrypoint:
            words += ["--entrypoint", entrypoint[0]]
        # The service runs an image with the one argument `train`, unless the algorithm says how.
        arguments = list(algorithm.get("ContainerArguments", () if entrypoint else ("train",)))
        return [*words, self._image, *entrypoint[1:], *arguments]

    def _mounts(self) -> list[tuple[Path, str, bool]]:
        # All training jobs share one copy of a channel's files: no container may write into it.
        mounts = [
            (self._folder.root, CONTAINER_ROOT, False),
            (self._folder.data, f"{CONTAINER_ROOT}/input/data", True),
        ]
        checkpoints = self._order.definition.request.get("CheckpointConfig")
        if checkpoints is not None:
            path = checkpoints.get("LocalPath", DEFAULT_CHECKPOINTS)
            if not PurePosixPath(path).is_relative_to(CONTAINER_ROOT):
                mounts.append((self._folder.checkpoints(path), path, False))
        return mounts

    def remove(self) -> None:
        """See to it that the container is gone. Does nothing when it is."""
        remove(self._engine.command, self.name)

    def open_folders(self) -> None:
        """Let whatever user the image runs as write into the folders, as it may on SageMaker."""
        for folder in (self._folder.root, *self._folder.root.rglob("*")):
            if folder.is_dir():
                folder.chmod(0o777)

    def take_over_files(self) -> None:
        """Make what the container wrote this user's own, where it is another user's."""
        own = os.getuid()
        if own == 0 or all(path.lstat().st_uid == own for path in self._folder.root.rglob("*")):
            return
        # Within a rootless engine's containers this user is root.
        owner = "0:0" if self._engine.rootless else f"{own}:{os.getgid()}"
        _ask(
            *(self._engine.command, "run", "--rm", "--pull", "never", "--network", "none", "--user", "0"),
            *("--security-opt", "label=disable", "--volume", f"{self._folder.root}:{CONTAINER_ROOT}"),
            *("--entrypoint", "chown", self._image, "-R", owner, CONTAINER_ROOT),
        )


def container_variables(order: Order, variables: Mapping[str, str]) -> dict[str, str]:
    """Give the environment variables of a container: what SageMaker sets, and how AWS clients reach the endpoint.

    What the training toolkit sets, such as ``SM_MODEL_DIR``, it sets in its own images.

    Args:
        order: the training job.
        variables: those of a training process on this machine.
    """
    kept = ("AWS_", "TRAINING_JOB_", "OMP_", "OPENBLAS_", "MKL_", "NUMEXPR_")
    return {
        **{name: value for name, value in variables.items() if name.startswith(kept)},
        "PYTHONUNBUFFERED": "1",
        **order.definition.request.get("Environment", {}),
    }


def remove(engine: str, name: str) -> None:
    """Kill and remove a container. Does nothing when it is not there."""
    # Podman's `rm --force` alone waits ten seconds for a container that ignores SIGTERM.
    for words in (["kill"], ["rm", "--force"]):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            subprocess.run(
                [engine, *words, name],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_REMOVE_SECONDS,
                check=False,
            )
