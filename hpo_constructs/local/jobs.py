"""The jobs of the endpoint: those that run here, and those that an earlier run of the endpoint has left on record."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from .describing import TRAINING_ENDED, TUNING_ENDED, Describer, TrainingRecord, counters
from .engine.backend import Backend, Order, Progress, SecondaryStatus, TrainingJobStatus
from .engine.clock import Clock
from .engine.local import LocalBackend
from .engine.plan import Definition
from .engine.searcher import Suggestion
from .engine.tuner import TrainingJob, Tuner
from .engine.warm_start import Parent

_LOG = logging.getLogger(__name__)

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
"""How long a training job may run that does not say it, as the service documents."""


class Records(Protocol):
    """Keeps what is known of jobs beyond this run of the endpoint; see ``state.State``."""

    def save_jobs(
        self,
        owner: Mapping[str, Any] | None,
        training_jobs: Sequence[TrainingRecord],
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a tuning job's description, None for training jobs of none, and training jobs that have changed."""


class TuningJob(Protocol):
    """A tuning job, whether it runs here or is on record only."""

    request: Mapping[str, Any]

    @property
    def ended(self) -> bool:
        """Whether it has ended and no training process of it is left."""

    def description(self) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers."""

    def training_jobs(self) -> list[TrainingRecord]:
        """All its training jobs, in the order of their creation."""

    def training_job(self, name: str) -> TrainingRecord | None:
        """One of its training jobs; None when it has none of that name."""

    def stop(self) -> bool:
        """Stop it; False when it has ended."""

    def stop_training_job(self, name: str) -> bool:
        """Stop one of its training jobs; False when that has ended."""

    def close(self) -> None:
        """Kill its training processes."""

    def join(self, seconds: float) -> None:
        """Wait for its end."""


class SingleTrainingJob(Protocol):
    """A training job of no tuning job, whether it runs here or is on record only."""

    def record(self) -> TrainingRecord:
        """All that is known of it."""

    def stop(self) -> bool:
        """Stop it; False when it has ended."""

    def close(self) -> None:
        """Kill its training process."""

    def join(self, seconds: float) -> None:
        """Wait for its end."""


class LiveTuningJob:
    """A tuning job that runs here.

    Args:
        request: what was asked for.
        make_tuner: makes the tuner; what it is given is to be called whenever the tuner waits.
        describer: makes the documents.
        records: where they are kept; nowhere without it.
        parents: the tuning jobs that it is a warm start of.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        make_tuner: Callable[[Callable[[], None]], tuple[Tuner, LocalBackend]],
        describer: Describer,
        records: Records | None,
        parents: Sequence[Parent] = (),
    ) -> None:
        self.request = request
        self._parents = parents
        self._describer = describer
        self._records = records
        self._saved: dict[str, tuple[str, datetime]] = {}
        self.tuner, self.backend = make_tuner(self._save)
        self._thread = threading.Thread(target=self._run, name=self.tuner.plan.name, daemon=True)

    def start(self) -> None:
        """Begin to tune."""
        self._save()
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether it has ended and no training process of it is left."""
        return self.tuner.finished.is_set()

    def description(self) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers."""
        with self.tuner.lock:
            return self._describer.tuning_job(self.request, self.tuner, self._parents)

    def training_jobs(self) -> list[TrainingRecord]:
        """All its training jobs, in the order of their creation."""
        with self.tuner.lock:
            return [self._describer.training_record(self.tuner, job) for job in self.tuner.jobs.values()]

    def training_job(self, name: str) -> TrainingRecord | None:
        """One of its training jobs; None when it has none of that name."""
        with self.tuner.lock:
            job = self.tuner.jobs.get(name)
            return None if job is None else self._describer.training_record(self.tuner, job)

    def stop(self) -> bool:
        """Stop it; False when it has ended."""
        with self.tuner.lock:
            if self.tuner.ended_at is not None:
                return False
            self.tuner.stop()
            return True

    def stop_training_job(self, name: str) -> bool:
        """Stop one of its training jobs; False when that has ended."""
        with self.tuner.lock:
            if self.tuner.jobs[name].ended:
                return False
            self.tuner.stop_training_job(name)
            return True

    def close(self) -> None:
        """Kill its training processes."""
        self.tuner.stop()
        self.backend.close()

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        self.tuner.run()
        self._save()
        # Nothing is left to wait for; what it holds of each training job is on record in the tuner.
        self.backend.close()

    def _save(self) -> None:
        """Keep what has changed. Only the tuner's own thread calls it, once that runs."""
        if self._records is None:
            return
        with self.tuner.lock:
            changed = [
                job
                for job in self.tuner.jobs.values()
                if self._saved.get(job.name) != (job.status.value, job.modified_at)
            ]
            description = self._describer.tuning_job(self.request, self.tuner, self._parents)
            training_jobs = [self._describer.training_record(self.tuner, job) for job in changed]
            self._saved |= {job.name: (job.status.value, job.modified_at) for job in changed}
        self._records.save_jobs(description, training_jobs, self.request)


class KeptTuningJob:
    """A tuning job on record: it ended, or was cut off, in an earlier run of the endpoint."""

    ended = True

    def __init__(
        self, request: Mapping[str, Any], description: dict[str, Any], training_jobs: Sequence[TrainingRecord]
    ) -> None:
        self.request = request
        self._description = description
        self._training_jobs = {record.name: record for record in training_jobs}

    def description(self) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers."""
        return self._description

    def training_jobs(self) -> list[TrainingRecord]:
        """All its training jobs, in the order of their creation."""
        return list(self._training_jobs.values())

    def training_job(self, name: str) -> TrainingRecord | None:
        """One of its training jobs; None when it has none of that name."""
        return self._training_jobs.get(name)

    def stop(self) -> bool:
        """Tell that it has ended."""
        return False

    def stop_training_job(self, name: str) -> bool:  # noqa: ARG002 - as every tuning job
        """Tell that it has ended."""
        return False

    def close(self) -> None:
        """Do nothing: nothing of it runs."""

    def join(self, seconds: float) -> None:
        """Do nothing: nothing of it runs."""


class LiveTrainingJob:
    """A training job of no tuning job that runs here.

    Args:
        request: a request of CreateTrainingJob.
        make_backend: makes its backend.
        clock: the time.
        describer: makes the documents.
        records: where they are kept; nowhere without it.
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        make_backend: Callable[[], Backend],
        clock: Clock,
        describer: Describer,
        records: Records | None,
    ) -> None:
        definition = single_definition(request)
        now = clock.now()
        self._job = TrainingJob(
            request["TrainingJobName"],
            definition,
            Suggestion({}),
            dict(request.get("HyperParameters", {})),
            created_at=now,
            modified_at=now,
        )
        self._job.enter(SecondaryStatus.STARTING, now)
        self._clock = clock
        self._describer = describer
        self._records = records
        self._lock = threading.RLock()
        self._backend = make_backend()
        self._thread = threading.Thread(target=self._run, name=self._job.name, daemon=True)

    def start(self) -> None:
        """Begin to train."""
        self._save()
        self._thread.start()

    def record(self) -> TrainingRecord:
        """All that is known of it."""
        with self._lock:
            return self._describer.single_record(self._job)

    def stop(self) -> bool:
        """Stop it; False when it has ended."""
        with self._lock:
            if self._job.ended:
                return False
            if self._job.status is TrainingJobStatus.IN_PROGRESS:
                self._job.status = TrainingJobStatus.STOPPING
                self._job.enter(SecondaryStatus.STOPPING, self._clock.now())
                self._backend.stop(self._job.name)
            return True

    def close(self) -> None:
        """Kill its training process."""
        self._backend.close()

    def join(self, seconds: float) -> None:
        """Wait for its end."""
        self._thread.join(seconds)

    def _run(self) -> None:
        job = self._job
        try:
            self._backend.start(Order(job.name, job.definition, job.hyperparameters))
            while not job.ended:
                for event in self._backend.wait(self._deadline()):
                    with self._lock:
                        self._learn(event)
                    self._save()
                self._keep_time()
        except Exception:
            _LOG.exception("training job %s failed", job.name)
            with self._lock:
                self._end(TrainingJobStatus.FAILED, "InternalServerError: the endpoint's log has the reason")
            self._save()
        finally:
            self._backend.close()

    def _learn(self, event: Any) -> None:
        job = self._job
        if isinstance(event, Progress):
            job.started_at = job.started_at or event.at
            if job.status is TrainingJobStatus.IN_PROGRESS:
                job.enter(event.phase, event.at)
        elif hasattr(event, "status"):
            job.metrics = dict(event.metrics)
            self._end(event.status, event.failure_reason, event.at)

    def _end(self, status: TrainingJobStatus, reason: str | None, at: datetime | None = None) -> None:
        job, at = self._job, at or self._clock.now()
        job.status = status
        job.failure_reason = reason
        job.started_at = job.started_at or at
        job.ended_at = at
        out_of_time = job.out_of_time and status is TrainingJobStatus.STOPPED
        job.enter(SecondaryStatus.MAX_RUNTIME_EXCEEDED if out_of_time else SecondaryStatus(status), at)

    def _deadline(self) -> datetime | None:
        job = self._job
        if job.started_at is None or job.status is not TrainingJobStatus.IN_PROGRESS:
            return None
        return job.started_at + timedelta(seconds=job.definition.max_runtime_seconds)

    def _keep_time(self) -> None:
        with self._lock:
            deadline = self._deadline()
            if deadline is not None and deadline <= self._clock.now():
                self._job.out_of_time = True
                self.stop()

    def _save(self) -> None:
        if self._records is not None:
            self._records.save_jobs(None, [self.record()])


class KeptTrainingJob:
    """A training job of no tuning job on record: it ended, or was cut off, in an earlier run of the endpoint."""

    def __init__(self, record: TrainingRecord) -> None:
        self._record = record

    def record(self) -> TrainingRecord:
        """All that is known of it."""
        return self._record

    def stop(self) -> bool:
        """Tell that it has ended."""
        return False

    def close(self) -> None:
        """Do nothing: nothing of it runs."""

    def join(self, seconds: float) -> None:
        """Do nothing: nothing of it runs."""


def single_definition(request: Mapping[str, Any]) -> Definition:
    """Read a request of CreateTrainingJob as a definition with nothing to search."""
    own = ("TrainingJobName", "HyperParameters", "Tags")
    return Definition(
        name=None,
        request={
            **{name: value for name, value in request.items() if name not in own},
            "StaticHyperParameters": request.get("HyperParameters", {}),
        },
        maximize=False,
        metric_name="",
        ranges=(),
        max_runtime_seconds=request.get("StoppingCondition", {}).get(
            "MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS
        ),
    )


def cut_off(
    description: dict[str, Any], training_jobs: Sequence[TrainingRecord], at: datetime
) -> tuple[dict[str, Any], list[TrainingRecord]]:
    """Mark a tuning job that an endpoint's sudden end has cut off as failed, with all of it that still ran.

    Args:
        description: the tuning job as it was last on record.
        training_jobs: its training jobs.
        at: when the end was noticed.
    """
    training_jobs = [cut_off_training_job(record, at) for record in training_jobs]
    if description["HyperParameterTuningJobStatus"] in TUNING_ENDED:
        return description, training_jobs
    summaries = [record.summary or {} for record in training_jobs]
    ended = {
        **description,
        "HyperParameterTuningJobStatus": "Failed",
        "FailureReason": (
            "InternalServerError: the local endpoint ended while this tuning job ran; the training jobs that had "
            "ended are kept"
        ),
        "HyperParameterTuningEndTime": at,
        "LastModifiedTime": at,
        **counters((one["TrainingJobStatus"], one["ObjectiveStatus"], one.get("FailureReason")) for one in summaries),
    }
    return ended, training_jobs


def cut_off_training_job(record: TrainingRecord, at: datetime) -> TrainingRecord:
    """Mark a training job that an endpoint's sudden end has cut off as failed; one that had ended stays as it is."""
    description = record.description
    if description["TrainingJobStatus"] in TRAINING_ENDED:
        return record
    failed = {
        "TrainingJobStatus": "Failed",
        "TrainingEndTime": at,
        "FailureReason": "InternalServerError: the local endpoint ended while this training job ran",
    }
    *before, last = description["SecondaryStatusTransitions"]
    transitions = [*before, {**last, "EndTime": at}, {"Status": "Failed", "StartTime": at}]
    return TrainingRecord(
        {
            **description,
            **failed,
            "SecondaryStatus": "Failed",
            "LastModifiedTime": at,
            "SecondaryStatusTransitions": transitions,
        },
        None if record.summary is None else {**record.summary, **failed, "ObjectiveStatus": "Failed"},
    )
