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
    """How a simulated training job goes: it takes ``seconds``, gives ``metrics`` or fails with a reason."""

    seconds: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    failure_reason: str | None = None


class SimulatedBackend:
    """Replays training jobs on a simulated clock, which ``wait`` moves.

    Args:
        clock: the clock to move.
        simulate: says how an order goes.
    """

    def __init__(self, clock: SimulatedClock, simulate: Callable[[Order], Outcome]) -> None:
        self._clock = clock
        self._simulate = simulate
        self._order = itertools.count()
        self._events: list[tuple[datetime, int, Event]] = []
        self._metrics: dict[str, Mapping[str, float]] = {}
        self._woken = False

    def start(self, order: Order) -> None:
        """Schedule the events of a training job."""
        outcome = self._simulate(order)
        now = self._clock.now()
        self._metrics[order.name] = outcome.metrics
        self._schedule(Progress(order.name, now, SecondaryStatus.DOWNLOADING))
        self._schedule(Progress(order.name, now, SecondaryStatus.TRAINING))
        failed = outcome.failure_reason is not None
        self._schedule(
            Finished(
                order.name,
                now + timedelta(seconds=outcome.seconds),
                TrainingJobStatus.FAILED if failed else TrainingJobStatus.COMPLETED,
                outcome.failure_reason,
                outcome.metrics,
            )
        )

    def stop(self, name: str) -> None:
        """End a training job now, with the metrics that it would have had."""
        if name in self._metrics:
            ending = next(entry for entry in self._events if isinstance(entry[2], Finished) and entry[2].name == name)
            self._events.remove(ending)
            heapq.heapify(self._events)
            metrics = self._metrics[name]
            self._schedule(Finished(name, self._clock.now(), TrainingJobStatus.STOPPED, None, metrics))

    def wait(self, until: datetime | None) -> Sequence[Event]:
        """Move the clock to the next event, or to ``until`` when that comes first."""
        if self._woken:
            self._woken = False
            return ()
        if not self._events or (until is not None and self._events[0][0] > until):
            if until is not None:
                self._clock.move_to(until)
            return ()
        at, _, event = heapq.heappop(self._events)
        self._clock.move_to(at)
        if isinstance(event, Finished):
            del self._metrics[event.name]
        return (event,)

    def wake(self) -> None:
        """Make the next ``wait`` return at once."""
        self._woken = True

    def close(self) -> None:
        """Forget all that is scheduled."""
        self._events.clear()
        self._metrics.clear()

    def _schedule(self, event: Event) -> None:
        heapq.heappush(self._events, (event.at, next(self._order), event))
