"""Local programs for training images: which one stands for an image, and the metrics that it prints.

Some built-in images have programs here, and an image in script mode (a framework's, say) runs the user's own script.
LightGBM and CatBoost have no images of their own: SageMaker JumpStart trains them in a framework's image with its own
script, by whose place in S3 they are known. Any other image needs an entry of the image mapping.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..containers import Container
from ..training import PROGRAM, SUBMIT_DIRECTORY, MetricDefinition, decode
from . import metrics

TASK = "HPO_LOCAL_TASK"
"""The variable that tells a program of a JumpStart model its task, classification or regression."""


@dataclass(frozen=True)
class LocalProgram:
    """What is run for a training image: a module's ``main()``, a command or a container.

    Attributes:
        module: the module of a built-in program; None for a command.
        command: the argument list.
        directory: the working directory; the training job's ``code`` folder without one.
        metric_definitions: the metrics that a built-in program always has.
        from_source_archive: whether the program is a script in the archive that ``sagemaker_submit_directory`` names.
        variables: further environment variables.
        own_channels: the channels of a definition that the program brings itself: they are not read from S3.
        container: how the image runs as a container.
    """

    module: str | None = None
    command: tuple[str, ...] = ()
    directory: Path | None = None
    metric_definitions: tuple[MetricDefinition, ...] = ()
    from_source_archive: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)
    own_channels: frozenset[str] = frozenset()
    container: Container | None = None


_XGBOOST = LocalProgram(module=f"{__name__}.xgboost", metric_definitions=metrics.XGBOOST)
_LINEAR_LEARNER = LocalProgram(module=f"{__name__}.linear_learner", metric_definitions=metrics.LINEAR_LEARNER)
_KMEANS = LocalProgram(module=f"{__name__}.kmeans", metric_definitions=metrics.KMEANS)
_KNN = LocalProgram(module=f"{__name__}.knn", metric_definitions=metrics.KNN)

BUILT_IN: Mapping[str, LocalProgram] = {
    "sagemaker-xgboost": _XGBOOST,
    "xgboost": _XGBOOST,
    "linear-learner": _LINEAR_LEARNER,
    "kmeans": _KMEANS,
    "knn": _KNN,
}
"""The built-in programs by the name of the image's repository."""


def _jumpstart(package: str, task: str) -> LocalProgram:
    # The channel model has JumpStart's untrained model, which the script never reads.
    return LocalProgram(module=f"{__name__}.{package}", variables={TASK: task}, own_channels=frozenset({"model"}))


JUMPSTART: Mapping[str, LocalProgram] = {
    f"{package}-{task}-model": _jumpstart(package, task)
    for package in ("lightgbm", "catboost")
    for task in ("classification", "regression")
}
"""The programs of SageMaker JumpStart's tabular models by model id; their metrics are for the definition to state."""

BY_ALGORITHM: Mapping[str, LocalProgram] = {
    **{name: program for name, program in BUILT_IN.items() if not name.startswith("sagemaker-")},
    **JUMPSTART,
}
"""The programs that an entry of the image mapping may name as its algorithm."""

# .../source-directory-tarballs/lightgbm/transfer_learning/classification/prepack/v2.1.0/sourcedir.tar.gz
_JUMPSTART_SOURCE = re.compile(r"/(lightgbm|catboost)/transfer_learning/(classification|regression)/")
_SCRIPT = LocalProgram(module=f"{__name__}.script", from_source_archive=True)
_CONTAINER = f"{__name__}.container"


def local_program(
    image_uri: str, mapping: Sequence[Mapping[str, Any]], hyperparameters: Mapping[str, str] | None = None
) -> LocalProgram:
    """Find the local program for a training image.

    The mapping's first matching entry comes first, then script mode, then the built-in programs.

    Args:
        image_uri: any account, region or registry; the tag or digest does not matter for the built-ins.
        mapping: entries ``{"image": <fnmatch pattern>}`` with one of ``"command": [...]`` and ``"directory":
            <working directory>``, ``"algorithm": <name of BY_ALGORITHM>`` or ``"container": {...}``, the attributes
            of ``Container``.
        hyperparameters: the static ones. With ``sagemaker_program`` and a ``sagemaker_submit_directory`` in S3 the
            image is in script mode: it runs a script of the user's, or JumpStart's of a model that is known here.

    Raises:
        LookupError: there is none, or the mapping's entry is wrong; the message names the image, what is known and
            the fix.
    """
    for entry in mapping:
        if fnmatchcase(image_uri, entry["image"]):
            return _mapped(entry)
    source = _source(hyperparameters or {})
    if source is not None:
        found = _JUMPSTART_SOURCE.search(source)
        return _SCRIPT if found is None else JUMPSTART[f"{found[1]}-{found[2]}-model"]
    if (program := BUILT_IN.get(repository_name(image_uri))) is not None:
        return program
    patterns = [entry["image"] for entry in mapping]
    raise LookupError(
        f"no local program for the training image {image_uri!r}: known are the built-in images "
        f"{', '.join(BUILT_IN)}" + (f" and the mapped images {', '.join(patterns)}" if patterns else "") + "; add "
        f"{{image: {repository_name(image_uri)!r} as a pattern such as '*{repository_name(image_uri)}*', command: "
        "[...]} to the image mapping (local.commands of the template), or container: {} there to run the image "
        "itself with docker or podman, or give sagemaker_program and sagemaker_submit_directory (script mode) among "
        "the static hyperparameters"
    )


def _mapped(entry: Mapping[str, Any]) -> LocalProgram:
    where = f"the image mapping's entry for {entry['image']!r}"
    if "algorithm" in entry:
        if (program := BY_ALGORITHM.get(entry["algorithm"])) is None:
            raise LookupError(
                f"algorithm of {where} must be one of {', '.join(BY_ALGORITHM)}, got {entry['algorithm']!r}"
            )
        return program
    if "container" in entry:
        members = entry["container"] or {}
        known = [member.name for member in fields(Container)]
        if unknown := [name for name in members if name not in known]:
            raise LookupError(f"container of {where} must be of {', '.join(known)}, got {', '.join(unknown)}")
        return LocalProgram(module=_CONTAINER, container=Container(**members))
    directory = entry.get("directory")
    return LocalProgram(command=tuple(entry["command"]), directory=None if directory is None else Path(directory))


def _source(hyperparameters: Mapping[str, str]) -> str | None:
    """Give the source archive of an image in script mode."""
    source = str(decode(hyperparameters.get(SUBMIT_DIRECTORY, "")))
    return source if PROGRAM in hyperparameters and source.startswith("s3://") else None


def repository_name(image_uri: str) -> str:
    """Give the last part of an image's repository, without registry, tag and digest."""
    return image_uri.partition("@")[0].rpartition("/")[2].partition(":")[0]
