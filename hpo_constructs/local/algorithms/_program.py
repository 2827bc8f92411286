"""What the built-in programs share: hyperparameters, tabular channels and the failure file."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
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
            folder=_channel_folder(root, name, about),
            content_type=content_type.lower() or None,
            content_parameters={key.strip(): value.strip() for key, _, value in pairs},
        )
    return Job(
        hyperparameters=json.loads((config / "hyperparameters.json").read_text()),
        channels=channels,
        model=root / "model",
        threads=int(os.environ.get("SM_NUM_CPUS", "1")),
    )


def _channel_folder(root: Path, name: str, about: Mapping[str, str]) -> Path:
    """Give a channel's folder; one in Pipe mode is read into a folder, once."""
    data = root / "input" / "data"
    if about.get("TrainingInputMode") != "Pipe":
        return data / name
    folder = root / "input" / "piped" / name
    folder.mkdir(parents=True, exist_ok=True)
    with (data / f"{name}_0").open("rb") as pipe, (folder / "stream").open("wb") as file:
        shutil.copyfileobj(pipe, file)
    return folder


def check_complete(table: Array, channel: str) -> None:
    """Check that a table has a number in every field.

    Raises:
        CustomerError: it has not.
    """
    if np.isnan(table).any():
        raise CustomerError(f"channel {channel} must have a number in every field, got empty ones")


def require(values: Mapping[str, Any], *names: str) -> None:
    """Check that hyperparameters are given.

    Raises:
        CustomerError: one is not.
    """
    for name in names:
        if name not in values:
            raise CustomerError(f"hyperparameter {name} is required, got none")


def require_train(job: Job) -> Channel:
    """Give the channel train, and check that a test metric has its channel.

    Raises:
        CustomerError: a channel is not there.
    """
    if "train" not in job.channels:
        raise CustomerError(f"the channel train is required, got {', '.join(job.channels) or 'none'}")
    tuned = job.hyperparameters.get("_tuning_objective_metric", "")
    if tuned.startswith("test:") and "test" not in job.channels:
        raise CustomerError(f"the channel test is required for the objective metric {tuned}")
    return job.channels["train"]


def require_csv(channel: Channel) -> None:
    """Check that a channel has CSV.

    Raises:
        CustomerError: it has something else.
    """
    if not is_csv(channel):
        raise CustomerError(
            f"the ContentType of channel {channel.name} must be text/csv on this machine, got "
            f"{channel.content_type or 'none, which means RecordIO'}"
        )


def is_csv(channel: Channel) -> bool:
    """Tell whether a channel has CSV."""
    return channel.content_type in _CSV


def is_libsvm(channel: Channel) -> bool:
    """Tell whether a channel has LIBSVM text."""
    return channel.content_type in _LIBSVM


def read_csv(channel: Channel, *, labelled: bool = True, files: Sequence[Path] | None = None) -> Array:
    """Read all CSV files of a channel as one table, without header, the label in the first column.

    Args:
        channel: the channel.
        labelled: whether the table has a label; without one its ContentType says ``label_size=0``.
        files: the files to read; all of the channel if not given.

    Raises:
        CustomerError: there is no file, or one is no such table.
    """
    label_size = "1" if labelled else "0"
    if channel.content_parameters.get("label_size", "1") != label_size:
        wanted = "label_size=1 or none" if labelled else "label_size=0 (text/csv;label_size=0)"
        raise CustomerError(f"the ContentType of channel {channel.name} must have {wanted}")
    tables = [_read_table(file, columns=2 if labelled else 1) for file in files or data_files(channel)]
    if len({table.shape[1] for table in tables}) > 1:
        raise CustomerError(f"the files of channel {channel.name} must have the same number of columns")
    table = np.concatenate(tables)
    if labelled and np.isnan(table[:, 0]).any():
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


def _read_table(file: Path, *, columns: int) -> Array:
    try:
        table: Array = np.loadtxt(file, delimiter=",", ndmin=2)
    except ValueError:
        # Empty fields are missing values; a field that is no number is a mistake.
        rows = [line.split(",") for line in file.read_text().splitlines() if line.strip()]
        try:
            table = np.array([[float(value) if value.strip() else math.nan for value in row] for row in rows])
        except ValueError as error:
            raise CustomerError(f"file {file.name} must be CSV with numbers only and no header: {error}") from None
    if table.ndim != 2 or table.shape[0] == 0 or table.shape[1] < columns:
        what = "a label and at least one feature" if columns > 1 else "at least one feature"
        raise CustomerError(f"file {file.name} must have rows with {what}")
    return table
