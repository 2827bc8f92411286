"""A backend that trains nothing: training jobs take stated times on a simulated clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from .backend import Event, Finished, Order, Progress, SecondaryStatus, TrainingJobStatus
from .clock import SimulatedClock


@dataclass(frozen=True)
class Outcome:
    """How a simulated training job goes.

    Attributes:
        seconds: how long it takes.
        metrics: its final metrics; with a curve, the objective metric's is the curve's last value unless given here.
        failure_reason: why it fails at its end; None when it completes.
        curve: the objective metric after each epoch; the epochs take equal parts of the time.
    """

    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure_reason: str | None = None
    curve: Sequence[float] = ()


class SimulatedBackend:
    """Replays training jobs on a simulated clock, which ``wait`` moves.

    Args:
        clock: the clock to move.
        simulate: says how an order goes; asked again when an order is started again.
    """

    def __init__(self, clock: SimulatedClock, simulate: Callable[[Order], Outcome]) -> None:
        self._clock = clock
        self._simulate = simulate
        self._order = itertools.count()
        self._events: list[tuple[datetime, int, _Run, Event]] = []
        self._runs: dict[str, _Run] = {}
        self._woken = False

    def start(self, order: Order) -> None:
        """Schedule the events of a training job."""
        run = self._runs[order.name] = _Run(order, self._simulate(order), self._clock.now())
        self._schedule(run, Progress(order.name, run.started_at, SecondaryStatus.DOWNLOADING))
        self._schedule(run, Progress(order.name, run.started_at, SecondaryStatus.TRAINING))
        self._schedule(run, run.next_event())

    def stop(self, name: str) -> None:
        """End a training job now, with the metrics that it has so far; without a curve, with its final ones."""
        run = self._runs.get(name)
        if run is not None and not run.stopped:
            run.stopped = True
            self._schedule(run, run.end(self._clock.now(), TrainingJobStatus.STOPPED))

    def wait(self, until: datetime | None) -> Sequence[Event]:
        """Move the clock to the next event, or to ``until`` when that comes first."""
        if self._woken:
            self._woken = False
            return ()
        while self._events and (until is None or self._events[0][0] <= until):
            at, _, run, event = heapq.heappop(self._events)
            if run.stopped and not _happens_though_stopped(event):
                continue
            self._clock.move_to(at)
            if isinstance(event, Finished):
                del self._runs[event.name]
            elif event.values:
                run.epochs_done += 1
                self._schedule(run, run.next_event())
            return (event,)
        if until is not None:
            self._clock.move_to(until)
        return ()

    def wake(self) -> None:
        """Make the next ``wait`` return at once."""
        self._woken = True

    def close(self) -> None:
        """Forget all that is scheduled."""
        self._events.clear()
        self._runs.clear()

    def _schedule(self, run: _Run, event: Event) -> None:
        heapq.heappush(self._events, (event.at, next(self._order), run, event))


@dataclass(eq=False)
class _Run:
    """One simulated training job."""

    order: Order
    outcome: Outcome
    started_at: datetime
    epochs_done: int = 0
    stopped: bool = False

    def next_event(self) -> Event:
        """Give the next epoch, or the end after the last one."""
        outcome, epoch = self.outcome, self.epochs_done
        if epoch < len(outcome.curve):
            at = self.started_at + timedelta(seconds=outcome.seconds * (epoch + 1) / len(outcome.curve))
            return Progress(self.order.name, at, SecondaryStatus.TRAINING, (outcome.curve[epoch],))
        failed = outcome.failure_reason is not None
        at = self.started_at + timedelta(seconds=outcome.seconds)
        return self.end(at, TrainingJobStatus.FAILED if failed else TrainingJobStatus.COMPLETED)

    def end(self, at: datetime, status: TrainingJobStatus) -> Finished:
        """Give the end with the metrics so far."""
        outcome = self.outcome
        metrics = dict(outcome.metrics)
        if outcome.curve:
            done = outcome.curve[: self.epochs_done]
            objective = self.order.definition.metric_name
            if status is TrainingJobStatus.STOPPED:
                metrics.pop(objective, None)
            if done:
                metrics.setdefault(objective, done[-1])
        reason = outcome.failure_reason if status is TrainingJobStatus.FAILED else None
        return Finished(self.order.name, at, status, reason, metrics)


def _happens_though_stopped(event: Event) -> bool:
    """Tell the end and the first phases from the epochs and the end that a stopped training job does not reach."""
    if isinstance(event, Finished):
        return event.status is TrainingJobStatus.STOPPED
    return not event.values
