"""Local programs for training images: which one stands for an image, and the metrics that it prints.

Some built-in images have programs here, and an image in script mode (a framework's, say) runs the user's own script.
Any other image needs an entry of the image mapping.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..training import PROGRAM, SUBMIT_DIRECTORY, MetricDefinition, decode
from . import metrics


@dataclass(frozen=True)
class LocalProgram:
    """What is run for a training image: a module's ``main()`` or a command.

    Attributes:
        module: the module of a built-in program; None for a command.
        command: the argument list.
        directory: the working directory; the training job's ``code`` folder without one.
        metric_definitions: the metrics that a built-in program always has.
        from_source_archive: whether the program is a script in the archive that ``sagemaker_submit_directory`` names.
    """

    module: str | None = None
    command: tuple[str, ...] = ()
    directory: Path | None = None
    metric_definitions: tuple[MetricDefinition, ...] = ()
    from_source_archive: bool = False


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


_SCRIPT = LocalProgram(module=f"{__name__}.script", from_source_archive=True)


def local_program(
    image_uri: str, mapping: Sequence[Mapping[str, Any]], hyperparameters: Mapping[str, str] | None = None
) -> LocalProgram:
    """Find the local program for a training image.

    The mapping's first matching entry comes first, then script mode, then the built-in programs.

    Args:
        image_uri: any account, region or registry; the tag or digest does not matter for the built-ins.
        mapping: entries ``{"image": <fnmatch pattern>, "command": [...], "directory": <working directory>}``.
        hyperparameters: the static ones. With ``sagemaker_program`` and a ``sagemaker_submit_directory`` in S3 the
            image is in script mode: it runs a script of the user's.

    Raises:
        LookupError: there is none; the message names the image, what is known and the fix.
    """
    for entry in mapping:
        if fnmatchcase(image_uri, entry["image"]):
            directory = entry.get("directory")
            return LocalProgram(
                command=tuple(entry["command"]), directory=None if directory is None else Path(directory)
            )
    if _is_script_mode(hyperparameters or {}):
        return _SCRIPT
    if (program := BUILT_IN.get(repository_name(image_uri))) is not None:
        return program
    patterns = [entry["image"] for entry in mapping]
    raise LookupError(
        f"no local program for the training image {image_uri!r}: known are the built-in images "
        f"{', '.join(BUILT_IN)}" + (f" and the mapped images {', '.join(patterns)}" if patterns else "") + "; add "
        f"{{image: {repository_name(image_uri)!r} as a pattern such as '*{repository_name(image_uri)}*', command: "
        "[...]} to the image mapping (local.commands of the template), or give sagemaker_program and "
        "sagemaker_submit_directory (script mode) among the static hyperparameters"
    )


def _is_script_mode(hyperparameters: Mapping[str, str]) -> bool:
    source = str(decode(hyperparameters.get(SUBMIT_DIRECTORY, "")))
    return PROGRAM in hyperparameters and source.startswith("s3://")


def repository_name(image_uri: str) -> str:
    """Give the last part of an image's repository, without registry, tag and digest."""
    return image_uri.partition("@")[0].rpartition("/")[2].partition(":")[0]
