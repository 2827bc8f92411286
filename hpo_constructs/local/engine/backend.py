"""Where training jobs run: the protocol between the tuner and a backend, and what a backend reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from .plan import Definition

INTERNAL_ERROR = "InternalServerError"
"""How the failure reason of a training job begins that failed for no fault of its own; it may be tried again."""


class TrainingJobStatus(StrEnum):
    """``TrainingJobStatus`` of the API."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class SecondaryStatus(StrEnum):
    """``SecondaryStatus`` of the API, those that a local training job goes through."""

    STARTING = "Starting"
    DOWNLOADING = "Downloading"
    TRAINING = "Training"
    UPLOADING = "Uploading"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    MAX_RUNTIME_EXCEEDED = "MaxRuntimeExceeded"
    COMPLETED = "Completed"
    FAILED = "Failed"


@dataclass(frozen=True)
class Order:
    """A training job to run: its name, its definition and all its hyperparameters."""

    name: str
    definition: Definition
    hyperparameters: Mapping[str, str]


@dataclass(frozen=True)
class Progress:
    """A training job has entered a phase, or has trained on in it.

    ``values`` are those of the objective metric that came since the last report, in the order of the output: one for
    each epoch. Only the phase Training has any, and a report with values does not begin the phase anew.
    """

    name: str
    at: datetime
    phase: SecondaryStatus
    values: tuple[float, ...] = ()


@dataclass(frozen=True)
class Finished:
    """A training job has ended.

    ``status`` is Completed, Failed or Stopped; Stopped only after ``Backend.stop``. ``metrics`` are the final values
    by metric name.
    """

    name: str
    at: datetime
    status: TrainingJobStatus
    failure_reason: str | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


Event = Progress | Finished


class Backend(Protocol):
    """Runs training jobs.

    Every order that was started is reported as Finished once, whatever happens to it, unless the backend is closed.
    An order may be started again after that: a training job that failed for an internal error is. The failure reason
    of one begins with ``INTERNAL_ERROR``. A stopped training job keeps its metrics and what it has saved.
    Only ``wait`` blocks. All methods may be called from any thread.
    """

    def start(self, order: Order) -> None:
        """Start a training job."""

    def stop(self, name: str) -> None:
        """Ask a training job to end. Does nothing when it has ended."""

    def wait(self, until: datetime | None) -> Sequence[Event]:
        """Wait for events. Gives none at the moment ``until`` or when woken; without ``until`` there is no limit."""

    def wake(self) -> None:
        """Make ``wait`` return at once."""

    def close(self) -> None:
        """Kill whatever runs."""
