"""The image mapping: what stands in for training images on this machine, as templates and mapping files say it."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import LocalError
from .algorithms import BY_ALGORITHM
from .containers import ENGINES, NETWORKS

_WAYS = ("command", "algorithm", "container")
_SHAPE = (
    "{image: pattern} with one of command: [program, …] (and directory: folder), algorithm: name, or container: "
    "{image, engine, pull, network, memory}, all of which are optional"
)
_CONTAINER: Mapping[str, str] = {
    "image": "the name of an image on this machine",
    "engine": f"one of auto, {', '.join(ENGINES)}",
    "pull": "true or false",
    "network": f"one of {', '.join(NETWORKS)}",
    "memory": "an amount of memory such as 4g",
}


def image_entries(entries: Any, folder: Path, where: str) -> list[dict[str, Any]]:
    """Read the mapping from training images to what stands in for them, in the form that the endpoint takes.

    Args:
        entries: What a template's `local.commands` or a mapping file says.
        folder: The folder that directories are relative to, and the default one.
        where: How messages name the entries.

    Raises:
        LocalError: An entry has the wrong form; the message says what it has to be.
    """
    if not isinstance(entries, list):
        raise LocalError(f"{where} must be a list of {_SHAPE}, got {entries!r}")
    return [_entry(entry, folder, f"{where}[{number}]") for number, entry in enumerate(entries)]


def _entry(entry: Any, folder: Path, name: str) -> dict[str, Any]:
    if not isinstance(entry, dict) or entry.keys() - {"image", "directory", *_WAYS}:
        raise LocalError(f"{name} must be {_SHAPE}, got {entry!r}")
    if not isinstance(entry.get("image"), str):
        raise LocalError(f"{name}.image must be an image's URI or a pattern with *, got {entry.get('image')!r}")
    ways = [way for way in _WAYS if way in entry]
    if len(ways) != 1:
        raise LocalError(f"{name} must have one of {', '.join(_WAYS)}, got {', '.join(ways) or 'none'}")
    if "directory" in entry and "command" not in entry:
        raise LocalError(f"{name}.directory goes with a command, not with {ways[0]}; leave it out")
    if "algorithm" in entry:
        algorithm = entry["algorithm"]
        if algorithm not in BY_ALGORITHM:
            raise LocalError(f"{name}.algorithm must be one of {', '.join(BY_ALGORITHM)}, got {algorithm!r}")
        return {"image": entry["image"], "algorithm": algorithm}
    if "container" in entry:
        return {"image": entry["image"], "container": _container(entry["container"], f"{name}.container")}
    command, directory = entry["command"], entry.get("directory", ".")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise LocalError(f"{name}.command must be a list of words, got {command!r}")
    if not isinstance(directory, str) or not (folder / directory).is_dir():
        raise LocalError(f"{name}.directory must be a folder, got {directory!r}, which is none in {folder}")
    return {
        "image": entry["image"],
        "command": with_this_python(command),
        "directory": str((folder / directory).resolve()),
    }


def _container(value: Any, name: str) -> dict[str, Any]:
    value = {} if value is None else value
    if not isinstance(value, dict) or value.keys() - _CONTAINER.keys():
        raise LocalError(f"{name} must be a mapping of {', '.join(_CONTAINER)}, all optional, got {value!r}")
    right = {
        "engine": lambda given: given in ("auto", *ENGINES),
        "pull": lambda given: isinstance(given, bool),
        "network": lambda given: given in NETWORKS,
    }
    for member, given in value.items():
        if not right.get(member, lambda text: isinstance(text, str) and text != "")(given):
            raise LocalError(f"{name}.{member} must be {_CONTAINER[member]}, got {given!r}")
    return dict(value)


def with_this_python(command: Sequence[str]) -> list[str]:
    """`python` is the interpreter that runs this library: the packages that it knows are there."""
    return [sys.executable if command[0] in {"python", "python3"} else command[0], *command[1:]]
