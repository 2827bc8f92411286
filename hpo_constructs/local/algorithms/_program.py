"""What the built-in programs share: hyperparameters, tabular channels and the failure file."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_CSV = ("text/csv", "csv")
_LIBSVM = ("text/libsvm", "libsvm", "text/x-libsvm")


class CustomerError(Exception):
    """The training job cannot run as it was asked for; the text goes to the failure file."""


@dataclass(frozen=True)
class Channel:
    """A channel's folder and what ``inputdataconfig.json`` says of it."""

    name: str
    folder: Path
    content_type: str | None
    content_parameters: Mapping[str, str]


@dataclass(frozen=True)
class Job:
    """A training job as its process finds it below ``HPO_LOCAL_ML_ROOT``."""

    hyperparameters: Mapping[str, str]
    channels: Mapping[str, Channel]
    model: Path
    threads: int


@dataclass(frozen=True)
class Number:
    """A numeric hyperparameter; the bounds are included unless ``open_low``."""

    whole: bool = False
    low: float = -math.inf
    high: float = math.inf
    open_low: bool = False

    def __call__(self, name: str, text: str) -> Any:
        """Read a value."""
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or (self.whole and not value.is_integer()):
            raise CustomerError(f"hyperparameter {name} must be {self._wanted()}, got {text!r}")
        if not self.low <= value <= self.high or (self.open_low and value == self.low):
            raise CustomerError(f"hyperparameter {name} must be {self._wanted()}, got {text}")
        return int(value) if self.whole else value

    def _wanted(self) -> str:
        kind = "an integer" if self.whole else "a number"
        bounds = []
        if math.isfinite(self.low):
            bounds.append(f"{'>' if self.open_low else '>='} {self.low:g}")
        if math.isfinite(self.high):
            bounds.append(f"<= {self.high:g}")
        return f"{kind} {' and '.join(bounds)}".strip()


@dataclass(frozen=True)
class Choice:
    """A hyperparameter with a list of values."""

    values: tuple[str, ...]

    def __call__(self, name: str, text: str) -> str:
        """Read a value."""
        if text not in self.values:
            raise CustomerError(f"hyperparameter {name} must be one of {', '.join(self.values)}, got {text!r}")
        return text


def text(_name: str, value: str) -> str:
    """Read a value that the algorithm itself interprets."""
    return value


def flag(name: str, value: str) -> bool:
    """Read ``true`` or ``false``."""
    return Choice(("true", "false"))(name, value.lower()) == "true"


Reader = Callable[[str, str], Any]


def auto_or(reader: Reader) -> Reader:
    """Read a value that may also be ``auto``, which is given as None."""
    return lambda name, value: None if value == "auto" else reader(name, value)


def read_hyperparameters(hyperparameters: Mapping[str, str], readers: Mapping[str, Reader]) -> dict[str, Any]:
    """Read all hyperparameters but the service's own, whose names begin with ``_``.

    Raises:
        CustomerError: one is unknown or has a bad value.
    """
    values = {}
    for name, value in hyperparameters.items():
        if name.startswith("_"):
            continue
        if name not in readers:
            raise CustomerError(f"hyperparameter {name} is not known, known are {', '.join(sorted(readers))}")
        values[name] = readers[name](name, value)
    return values


def run(train: Callable[[Job], None]) -> int:
    """Run a program's training and give its exit code; a customer's mistake is told in the failure file."""
    root = Path(os.environ["HPO_LOCAL_ML_ROOT"])
    try:
        train(_read_job(root))
    except CustomerError as error:
        (root / "output" / "failure").write_text(f"Customer Error: {error}")
        print(f"Customer Error: {error}", flush=True)
        return 1
    except Exception as error:
        (root / "output" / "failure").write_text(f"{type(error).__name__}: {error}")
        raise
    return 0


def _read_job(root: Path) -> Job:
    config = root / "input" / "config"
    channels = {}
    for name, about in json.loads((config / "inputdataconfig.json").read_text()).items():
        content_type, *parameters = (part.strip() for part in about.get("ContentType", "").split(";"))
        pairs = (parameter.partition("=") for parameter in parameters)
        channels[name] = Channel(
            name=name,
            folder=root / "input" / "data" / name,
            content_type=content_type.lower() or None,
            content_parameters={key.strip(): value.strip() for key, _, value in pairs},
        )
    return Job(
        hyperparameters=json.loads((config / "hyperparameters.json").read_text()),
        channels=channels,
        model=root / "model",
        threads=int(os.environ.get("SM_NUM_CPUS", "1")),
    )


def is_csv(channel: Channel) -> bool:
    """Tell whether a channel has CSV."""
    return channel.content_type in _CSV


def is_libsvm(channel: Channel) -> bool:
    """Tell whether a channel has LIBSVM text."""
    return channel.content_type in _LIBSVM


def read_csv(channel: Channel) -> Array:
    """Read all CSV files of a channel as one table, without header, the label in the first column.

    Raises:
        CustomerError: there is no file, or one is no such table.
    """
    if channel.content_parameters.get("label_size", "1") != "1":
        raise CustomerError(f"the ContentType of channel {channel.name} must have label_size=1 or none")
    tables = [_read_table(file) for file in data_files(channel)]
    if len({table.shape[1] for table in tables}) > 1:
        raise CustomerError(f"the files of channel {channel.name} must have the same number of columns")
    table = np.concatenate(tables)
    if np.isnan(table[:, 0]).any():
        raise CustomerError(f"the first column of channel {channel.name} is the label and must be a number in each row")
    return table


def data_files(channel: Channel) -> list[Path]:
    """List a channel's files by name.

    Raises:
        CustomerError: there is none.
    """
    files = sorted(
        path for path in channel.folder.rglob("*") if path.is_file() and not path.name.startswith((".", "_"))
    )
    if not files:
        raise CustomerError(f"channel {channel.name} has no data file")
    return files


def _read_table(file: Path) -> Array:
    try:
        table: Array = np.loadtxt(file, delimiter=",", ndmin=2)
    except ValueError:
        # Empty fields are missing values; a field that is no number is a mistake.
        rows = [line.split(",") for line in file.read_text().splitlines() if line.strip()]
        try:
            table = np.array([[float(value) if value.strip() else math.nan for value in row] for row in rows])
        except ValueError as error:
            raise CustomerError(f"file {file.name} must be CSV with numbers only and no header: {error}") from None
    if table.ndim != 2 or table.shape[0] == 0 or table.shape[1] < 2:
        raise CustomerError(f"file {file.name} must have rows with a label and at least one feature")
    return table
