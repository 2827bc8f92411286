"""The tuner's loop: keeps training jobs running within the limits, learns from their ends, knows the best.

How several training job definitions share the training jobs is not documented by the service. Here each one gets an
equal part of the first half of the budget, in turns. Of the second half two in three training jobs go to the
definition with the best objective value so far, the third to the one that had the fewest. A definition that has not
succeeded in three training jobs gets no more while another one has. Without a stated number of training jobs the
first half is five per definition.

A training job improves on the earlier ones when its objective value is better by at least 1 % than the value of the
last one that did. Convergence, whose criteria the service does not publish, is here: 20 training jobs in a row, and at
least as many as came before them, did not improve.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeHyperParameterTuningJob.html,
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_TuningJobCompletionCriteria.html,
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_RetryStrategy.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-progress.html
"""

from __future__ import annotations

import logging
import math
import random
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from .backend import INTERNAL_ERROR, Backend, Finished, Order, Progress, SecondaryStatus, TrainingJobStatus
from .clock import Clock
from .plan import Definition, Plan
from .searcher import Searcher, Suggestion
from .stopping import StoppingRule

_LOG = logging.getLogger(__name__)

ATTEMPTS = 5
"""So many first training jobs without success end a tuning job as failed."""

_NO_SUCCESS = (
    f"No training job succeeded after {ATTEMPTS} attempts. For additional details, please take a look at the training "
    "job failures by listing training jobs for the hyperparameter tuning job."
)
_NO_METRICS = (
    f"No objective metrics found after running {ATTEMPTS} training jobs. Please ensure that the training output "
    "contains the objective metric as defined by the regular expression of its metric definition."
)
_ALL_FAILED = "All training jobs failed. Please take a look at the training job failures to get more details."
_INTERNAL = f"{INTERNAL_ERROR}: the local tuning engine failed; its log has the reason"

_TRIALS_PER_DEFINITION_WITHOUT_BUDGET = 5
_HOPELESS = 3
_SEED_BITS = 32
_SIGNIFICANT = 0.01
_CONVERGED_AFTER = 20


class TuningJobStatus(StrEnum):
    """``HyperParameterTuningJobStatus`` of the API."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class ObjectiveStatus(StrEnum):
    """``ObjectiveStatus`` of the API."""

    PENDING = "Pending"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass
class Transition:
    """One phase of a training job; ``ended_at`` is None in the present one."""

    phase: SecondaryStatus
    started_at: datetime
    ended_at: datetime | None = None


@dataclass
class TrainingJob:
    """What is known of a training job. Read it under the tuner's lock."""

    name: str
    definition: Definition
    suggestion: Suggestion
    hyperparameters: dict[str, str]
    created_at: datetime
    modified_at: datetime
    status: TrainingJobStatus = TrainingJobStatus.IN_PROGRESS
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failure_reason: str | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    objective_status: ObjectiveStatus = ObjectiveStatus.PENDING
    transitions: list[Transition] = field(default_factory=list)
    out_of_time: bool = False
    stopped_early: bool = False
    retries: int = 0
    epochs: int = 0
    """How many values of the objective metric its present attempt has reported."""

    @property
    def phase(self) -> SecondaryStatus:
        """The present phase."""
        return self.transitions[-1].phase

    @property
    def objective(self) -> float | None:
        """The final value of the objective metric, None without one."""
        return self.metrics.get(self.definition.metric_name)

    @property
    def value(self) -> float:
        """The final value of the objective metric of a training job that has one."""
        if self.objective is None:
            raise ValueError(f"training job {self.name} has no objective value")
        return self.objective

    @property
    def succeeded(self) -> bool:
        """Whether it has ended with a value of the objective metric."""
        return self.objective_status is ObjectiveStatus.SUCCEEDED

    @property
    def is_retryable(self) -> bool:
        """Whether it failed for an internal error, which is no fault of its own."""
        return self.status is TrainingJobStatus.FAILED and (self.failure_reason or "").startswith(INTERNAL_ERROR)

    @property
    def was_stopped_by_hand(self) -> bool:
        """Whether it was stopped neither for its time nor for its metric."""
        return self.status is TrainingJobStatus.STOPPED and not (self.out_of_time or self.stopped_early)

    @property
    def ended(self) -> bool:
        """Whether the training job has ended, in whatever way."""
        return self.ended_at is not None

    @property
    def can_be_best(self) -> bool:
        """Whether it has a value that counts: completed, or stopped by its time limit or by early stopping."""
        return self.succeeded and not self.was_stopped_by_hand

    def enter(self, phase: SecondaryStatus, at: datetime) -> None:
        """Begin a phase; the present one is not begun anew."""
        if self.transitions:
            if self.phase is phase:
                return
            self.transitions[-1].ended_at = at
        self.transitions.append(Transition(phase, at))
        self.modified_at = at


@dataclass
class _Tally:
    """How many training jobs of a definition have come to what; each is counted as it starts and as it ends."""

    started: int = 0
    ended: int = 0
    succeeded: int = 0
    attempts: int = 0
    """Those that have ended and were not stopped by hand."""
    trained: int = 0
    """The attempts that did not fail."""

    def add_end(self, job: TrainingJob) -> None:
        """Count a training job that has ended."""
        self.ended += 1
        self.succeeded += job.succeeded
        if not job.was_stopped_by_hand:
            self.attempts += 1
            self.trained += job.status is not TrainingJobStatus.FAILED

    @property
    def is_hopeless(self) -> bool:
        """Whether enough have ended, all without success."""
        return self.ended >= _HOPELESS and not self.succeeded


class Tuner:
    """Runs one tuning job.

    ``run`` is the loop, for a thread of its own; all else may be called from any thread. Attributes are read under
    ``lock``.

    Args:
        plan: what to tune.
        searchers: one per definition, in the same order.
        backend: where the training jobs run; this tuner's alone.
        clock: the time.
        seed: for the names of the training jobs.
        stopping_rules: one per definition, None for one whose training jobs are not stopped early; the plan's own if
            not given.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        searchers: Sequence[Searcher],
        backend: Backend,
        clock: Clock,
        seed: int | None = None,
        stopping_rules: Sequence[StoppingRule | None] | None = None,
    ) -> None:
        self.plan = plan
        self.lock = threading.RLock()
        self.jobs: dict[str, TrainingJob] = {}
        self.best: TrainingJob | None = None
        self.created_at = self.modified_at = clock.now()
        self.ended_at: datetime | None = None
        self.failure_reason: str | None = None
        self.not_improving = 0
        """How many training jobs in a row, up to the last one, did not improve by 1 % or more."""
        self.converged_at: datetime | None = None
        self.finished = threading.Event()
        self._backend = backend
        self._clock = clock
        self._searchers = list(searchers)
        self._rules = list(plan.stopping_rules() if stopping_rules is None else stopping_rules)
        self._running_jobs: dict[str, TrainingJob] = {}
        self._tallies = [_Tally() for _ in plan.definitions]
        self._improved_to: float | None = None
        self._exhausted: set[int] = set()
        self._random = random.Random(secrets.randbits(_SEED_BITS) if seed is None else seed)  # noqa: S311
        self._outcome: TuningJobStatus | None = None

    @property
    def status(self) -> TuningJobStatus:
        """The tuning job's status."""
        if self._outcome is None or (self.ended_at is None and self._outcome is not TuningJobStatus.STOPPED):
            return TuningJobStatus.IN_PROGRESS
        return TuningJobStatus.STOPPING if self.ended_at is None else self._outcome

    def run(self) -> None:
        """Run the tuning job to its end."""
        try:
            self._loop()
        except Exception:
            _LOG.exception("tuning job %s failed", self.plan.name)
            with self.lock:
                self._finish(TuningJobStatus.FAILED, _INTERNAL)
            self._backend.close()
        finally:
            self.finished.set()

    def stop(self) -> None:
        """Stop the tuning job: no new training jobs, and those that run are asked to end."""
        with self.lock:
            self._wind_up(TuningJobStatus.STOPPED)
        self._backend.wake()

    def stop_training_job(self, name: str) -> None:
        """Stop one training job. The tuning job goes on."""
        with self.lock:
            self._stop_job(self.jobs[name])

    def _loop(self) -> None:
        while True:
            with self.lock:
                self._keep_time()
                self._start_jobs()
                running = self._running()
                if not running:
                    self._finish_by_outcome()
                    return
                until = self._next_deadline(running)
            for event in self._backend.wait(until):
                with self.lock:
                    self._learn(event)

    # Starting

    def _start_jobs(self) -> None:
        while (
            self._outcome is None
            and len(self.jobs) < self.plan.max_training_jobs
            and len(self._running_jobs) < self.plan.max_parallel_training_jobs
            and (index := self._next_definition()) is not None
        ):
            suggestion = self._searchers[index].suggest()
            if suggestion is None:
                self._exhausted.add(index)
            else:
                self._tallies[index].started += 1
                self._start(self.plan.definitions[index], suggestion)

    def _start(self, definition: Definition, suggestion: Suggestion) -> None:
        now = self._clock.now()
        hyperparameters = {
            **definition.request.get("StaticHyperParameters", {}),
            **suggestion.values,
            "_tuning_objective_metric": definition.metric_name,
        }
        name = f"{self.plan.name}-{len(self.jobs) + 1:03d}-{self._random.getrandbits(32):08x}"
        job = TrainingJob(name, definition, suggestion, hyperparameters, created_at=now, modified_at=now)
        job.enter(SecondaryStatus.STARTING, now)
        self.jobs[name] = job
        self.modified_at = now
        self._launch(job)

    def _launch(self, job: TrainingJob) -> None:
        self._running_jobs[job.name] = job
        if (rule := self._rule(job)) is not None:
            rule.start(job.name)
        self._backend.start(Order(job.name, job.definition, job.hyperparameters))

    def _next_definition(self) -> int | None:
        """Choose whose turn it is, by its position in the plan; the module's docstring has the policy."""
        tallies = self._tallies
        able = [index for index in range(len(tallies)) if index not in self._exhausted]
        hopeful = [index for index in able if not tallies[index].is_hopeless]
        if self._any_succeeded():
            able = hopeful or able
        if not able:
            return None
        fewest = min(able, key=lambda index: tallies[index].started)
        budget = self.plan.max_training_jobs
        balanced = _TRIALS_PER_DEFINITION_WITHOUT_BUDGET * len(tallies) if math.isinf(budget) else math.ceil(budget / 2)
        favourite = self._leading_definition()
        if len(self.jobs) < balanced or favourite not in able or (len(self.jobs) - balanced) % 3 == 2:
            return fewest
        return favourite

    def _leading_definition(self) -> int | None:
        return None if self.best is None else self.plan.definitions.index(self.best.definition)

    # Learning

    def _learn(self, event: Progress | Finished) -> None:
        job = self.jobs[event.name]
        if isinstance(event, Progress):
            self._follow(job, event)
        elif self._should_retry(job, event):
            self._retry(job, event)
        else:
            self._end(job, event)

    def _follow(self, job: TrainingJob, event: Progress) -> None:
        if job.started_at is None:
            job.started_at = event.at
        if job.status is not TrainingJobStatus.IN_PROGRESS:
            return
        job.enter(event.phase, event.at)
        rule = self._rule(job)
        for value in event.values:
            job.epochs += 1
            # One that has made all its epochs ends by itself, and is about to save its model.
            planned = job.definition.epochs(job.hyperparameters)
            if rule is not None and rule.report(job.name, value) and (planned is None or job.epochs < planned):
                job.stopped_early = True
                self._stop_job(job)
                return

    def _should_retry(self, job: TrainingJob, event: Finished) -> bool:
        return (
            event.status is TrainingJobStatus.FAILED
            and (event.failure_reason or "").startswith(INTERNAL_ERROR)
            and job.status is TrainingJobStatus.IN_PROGRESS
            and job.retries < job.definition.retries
        )

    def _retry(self, job: TrainingJob, event: Finished) -> None:
        job.retries += 1
        job.epochs = 0
        job.enter(SecondaryStatus.STARTING, event.at)
        self._launch(job)

    def _end(self, job: TrainingJob, event: Finished) -> None:
        del self._running_jobs[job.name]
        job.status = event.status
        job.ended_at = self.modified_at = event.at
        job.failure_reason = event.failure_reason
        job.metrics = dict(event.metrics)
        job.started_at = job.started_at or event.at
        value = job.objective
        has_value = event.status is not TrainingJobStatus.FAILED and value is not None and math.isfinite(value)
        job.objective_status = ObjectiveStatus.SUCCEEDED if has_value else ObjectiveStatus.FAILED
        if event.status is not TrainingJobStatus.STOPPED:
            job.out_of_time = job.stopped_early = False
        job.enter(SecondaryStatus.MAX_RUNTIME_EXCEEDED if job.out_of_time else SecondaryStatus(event.status), event.at)
        if (rule := self._rule(job)) is not None:
            rule.end(job.name, completed=event.status is TrainingJobStatus.COMPLETED)
        index = self.plan.definitions.index(job.definition)
        self._searchers[index].observe(job.suggestion, value if has_value else None)
        self._tallies[index].add_end(job)
        self._rank(job)
        self._check_completion()

    def _rank(self, job: TrainingJob) -> None:
        if not job.can_be_best:
            self.not_improving += 1
            return
        if self.best is None or job.definition.better(job.value, self.best.value):
            self.best = job
        if self._improved_to is None or (
            job.definition.better(job.value, self._improved_to)
            and abs(job.value - self._improved_to) >= _SIGNIFICANT * abs(self._improved_to)
        ):
            self._improved_to = job.value
            self.not_improving = 0
        else:
            self.not_improving += 1

    def _check_completion(self) -> None:
        patience = self.plan.max_training_jobs_not_improving
        target = self.plan.target_objective_metric_value
        if not self._any_succeeded() and sum(tally.attempts for tally in self._tallies) >= ATTEMPTS:
            trained = any(tally.trained for tally in self._tallies)
            self._wind_up(TuningJobStatus.FAILED, _NO_METRICS if trained else _NO_SUCCESS)
        if self.best is None:
            return
        if target is not None:
            value = self.best.value
            if value == target or self.best.definition.better(value, target):
                self._wind_up(TuningJobStatus.COMPLETED)
        if patience is not None and self.not_improving >= patience:
            self._wind_up(TuningJobStatus.COMPLETED)
        ended = sum(tally.ended for tally in self._tallies)
        if self.converged_at is None and self.not_improving >= max(_CONVERGED_AFTER, ended / 2):
            self.converged_at = self._clock.now()
        if self.plan.complete_on_convergence and self.converged_at is not None:
            self._wind_up(TuningJobStatus.COMPLETED)

    def _rule(self, job: TrainingJob) -> StoppingRule | None:
        return self._rules[self.plan.definitions.index(job.definition)]

    # Time

    def _deadline(self, job: TrainingJob) -> datetime | None:
        if job.started_at is None or job.status is TrainingJobStatus.STOPPING:
            return None
        return job.started_at + timedelta(seconds=job.definition.max_runtime_seconds)

    def _end_of_tuning(self) -> datetime | None:
        limit = self.plan.max_runtime_seconds
        return None if limit is None or self._outcome is not None else self.created_at + timedelta(seconds=limit)

    def _next_deadline(self, running: Sequence[TrainingJob]) -> datetime | None:
        deadlines = [self._end_of_tuning(), *(self._deadline(job) for job in running)]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def _keep_time(self) -> None:
        now = self._clock.now()
        end = self._end_of_tuning()
        if end is not None and end <= now:
            self._wind_up(TuningJobStatus.COMPLETED)
        for job in self._running():
            deadline = self._deadline(job)
            if deadline is not None and deadline <= now:
                job.out_of_time = True
                self._stop_job(job)

    # Ending

    def _wind_up(self, outcome: TuningJobStatus, failure_reason: str | None = None) -> None:
        """Start no more training jobs and stop those that run. The first reason to end counts."""
        if self._outcome is None:
            self._outcome = outcome
            self.failure_reason = failure_reason
            self.modified_at = self._clock.now()
            for job in self._running():
                self._stop_job(job)

    def _stop_job(self, job: TrainingJob) -> None:
        if not job.ended and job.status is TrainingJobStatus.IN_PROGRESS:
            job.status = TrainingJobStatus.STOPPING
            job.enter(SecondaryStatus.STOPPING, self._clock.now())
            self._backend.stop(job.name)

    def _finish_by_outcome(self) -> None:
        if self._outcome is None or self._outcome is TuningJobStatus.COMPLETED:
            if self._any_succeeded():
                self._finish(TuningJobStatus.COMPLETED, None)
            else:
                self._finish(TuningJobStatus.FAILED, _ALL_FAILED)
        else:
            self._finish(self._outcome, self.failure_reason)

    def _finish(self, outcome: TuningJobStatus, failure_reason: str | None) -> None:
        self._outcome = outcome
        self.failure_reason = failure_reason
        self.ended_at = self.modified_at = self._clock.now()

    def _running(self) -> list[TrainingJob]:
        return list(self._running_jobs.values())

    def _any_succeeded(self) -> bool:
        return any(tally.succeeded for tally in self._tallies)
