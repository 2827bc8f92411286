"""What the programs of SageMaker JumpStart's tabular models share: hyperparameters, data and the task.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/InputOutput-LightGBM.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/InputOutput-CatBoost.html
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...catalog.algorithms import Hyperparameter, known_builtin
from ..training import decode, is_services_own
from . import TASK
from ._program import (
    Array,
    Channel,
    Choice,
    CustomerError,
    Job,
    Number,
    Reader,
    data_files,
    read_csv,
    read_hyperparameters,
    text,
)

REGRESSION = "regression"
_CATEGORIES = "categorical_index.json"
_VALIDATION_SHARE = 0.2
_SAMPLE_SEED = 200


def optional_package(name: str) -> ModuleType | None:
    """Import a package that not every installation has; None without it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def require_package(package: ModuleType | None, title: str) -> Any:
    """Give a package.

    Raises:
        CustomerError: it is not installed.
    """
    if package is None:
        raise CustomerError(f"{title} is not installed on this machine: pip install 'hpo-constructs[boosting]'")
    return package


@dataclass(frozen=True)
class Task:
    """What is to be learned.

    Attributes:
        kind: ``regression``, ``binary`` or ``multiclass``.
        classes: the labels that a classification has, in order; empty for a regression.
    """

    kind: str
    classes: tuple[float, ...] = ()


@dataclass(frozen=True)
class Table:
    """Features and labels; a categorical feature is a column of its own in ``features`` as texts or numbers."""

    features: NDArray[Any]
    labels: Array


@dataclass(frozen=True)
class Data:
    """The data of a training job; ``categorical`` are the numbers of the categorical features, from 0."""

    train: Table
    validation: Table
    categorical: tuple[int, ...]


def read_documented(job: Job, algorithm: str, extra: Mapping[str, Reader]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read hyperparameters by the algorithm's documented table.

    Args:
        job: the training job.
        algorithm: the algorithm's name in the catalogue.
        extra: the readers of those that the table says too little of, or nothing.

    Returns:
        What was given, and that with the documented defaults.

    Raises:
        CustomerError: one is unknown or has a bad value.
    """
    known = known_builtin(algorithm).known
    readers = {name: _reader(hyperparameter) for name, hyperparameter in known.items()} | dict(extra)
    # Clients write the hyperparameters of scripts as JSON.
    texts = {name: _plain(value) for name, value in job.hyperparameters.items() if not is_services_own(name)}
    given = read_hyperparameters(texts, readers)
    defaults = {name: one.default for name, one in known.items() if one.default is not None}
    return given, {name: readers[name](name, default) for name, default in defaults.items()} | given


def _plain(value: str) -> str:
    decoded = decode(value)
    return decoded if isinstance(decoded, str) else value


def _reader(known: Hyperparameter) -> Reader:
    if known.choices:
        return Choice(known.choices)
    if known.type not in ("Integer", "Continuous"):
        return text
    number = Number(
        whole=known.type == "Integer",
        low=-math.inf if known.min is None else known.min,
        high=math.inf if known.max is None else known.max,
        open_low=known.min_exclusive,
    )
    return lambda name, value: value if value in known.also else number(name, value)


def warn_of_unwatched_objective(job: Job, metric: str) -> None:
    """Say in the log when the tuning job's objective metric is not the one that will be printed."""
    tuned = job.hyperparameters.get("_tuning_objective_metric")
    if tuned is not None and tuned.rpartition(":")[2].lower() != metric.lower():
        print(f"WARNING: the evaluation metric is {metric}; the tuning job's objective is called {tuned}", flush=True)


def read_task(labels: Array) -> Task:
    """Tell the task by the model and, for a classification, by how many classes the labels have.

    Raises:
        CustomerError: a classification has one class only.
    """
    if os.environ.get(TASK) == REGRESSION:
        return Task(REGRESSION)
    classes = tuple(float(one) for one in np.unique(labels))
    if len(classes) < 2:
        raise CustomerError(f"the labels of a classification must be of 2 classes at least, got {len(classes)}")
    return Task("binary" if len(classes) == 2 else "multiclass", classes)


def read_data(job: Job) -> Data:
    """Read the data: CSV without header, the label in the first column.

    It is in the channels ``train`` (or ``training``) and ``validation``, or in folders of these names in the one
    channel. Without validation data it is a fifth of the training data.

    Raises:
        CustomerError: it is not there, or not as it has to be.
    """
    channel = next((job.channels[name] for name in ("train", "training") if name in job.channels), None)
    if channel is None:
        raise CustomerError(f"the channel train (or training) is required, got {', '.join(job.channels) or 'none'}")
    folder = channel.folder
    categories = _categories(folder / _CATEGORIES)
    inner = folder / "train"
    train = _read(channel, inner if inner.is_dir() else folder, categories)
    other, own = job.channels.get("validation"), folder / "validation"
    if other is not None:
        validation = _read(other, other.folder, categories)
    elif own.is_dir():
        validation = _read(channel, own, categories)
    else:
        train, validation = _split(train)
    if train.features.shape[1] != validation.features.shape[1]:
        raise CustomerError(
            f"training and validation data must have the same features, got {train.features.shape[1]} and "
            f"{validation.features.shape[1]}"
        )
    return Data(train, validation, tuple(column - 1 for column in categories))


def _categories(file: Path) -> tuple[int, ...]:
    """Read the columns of the categorical features, counted from the label, which is 0."""
    if not file.is_file():
        return ()
    try:
        columns = json.loads(file.read_text())["cat_index_list"]
        if all(isinstance(column, int) and column > 0 for column in columns):
            return tuple(sorted(set(columns)))
    except (ValueError, KeyError, TypeError):
        pass
    raise CustomerError(f'{_CATEGORIES} must be {{"cat_index_list": [whole numbers above 0]}}')


def _read(channel: Channel, folder: Path, categories: tuple[int, ...]) -> Table:
    part = replace(channel, folder=folder)
    files = [file for file in data_files(part) if file.name != _CATEGORIES]
    if not files:
        raise CustomerError(f"channel {channel.name} has no data file")
    if not categories:
        table = read_csv(part, files=files)
        return Table(table[:, 1:], table[:, 0])
    rows = [row for file in files for row in csv.reader(file.read_text().splitlines()) if row]
    if len({len(row) for row in rows}) != 1 or len(rows[0]) <= categories[-1]:
        raise CustomerError(
            f"each row of channel {channel.name} must have the same number of columns, more than the greatest of "
            f"cat_index_list ({categories[-1]})"
        )
    cells: NDArray[Any] = np.array(rows, dtype=object)
    for column in range(cells.shape[1]):
        if column not in categories:
            cells[:, column] = _numbers(cells[:, column], channel, column)
    return Table(cells[:, 1:], cells[:, 0].astype(float))


def _numbers(cells: NDArray[Any], channel: Channel, column: int) -> Array:
    try:
        numbers = np.array([float(cell) if cell.strip() else math.nan for cell in cells])
    except ValueError as error:
        raise CustomerError(
            f"column {column} of channel {channel.name} must be numbers, or be in cat_index_list: {error}"
        ) from None
    if column == 0 and np.isnan(numbers).any():
        raise CustomerError(f"the first column of channel {channel.name} is the label and must be a number in each row")
    return numbers


def _split(table: Table) -> tuple[Table, Table]:
    order = np.random.default_rng(_SAMPLE_SEED).permutation(len(table.labels))
    cut = max(1, int(len(order) * _VALIDATION_SHARE))
    if cut == len(order):
        raise CustomerError("the training data must have 2 rows at least when there is no validation data")
    held, kept = order[:cut], order[cut:]
    return (
        Table(table.features[kept], table.labels[kept]),
        Table(table.features[held], table.labels[held]),
    )
