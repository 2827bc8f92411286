"""What every searcher and every backend must do, as test suites to inherit.

A subclass in a test module makes the thing to test; its methods whose names begin with ``test_`` run under pytest as
under unittest, whose names they follow, and nothing of either is imported here::

    class TestMySearcher(SearcherContract):
        def make_searcher(self, ranges, *, seed=0):
            return MySearcher(ranges, seed=seed)

What does not hold raises an AssertionError that says what was expected.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import timedelta
from typing import Literal

from .backend import Backend, Event, Finished, Order, Progress, SecondaryStatus, TrainingJobStatus
from .clock import Clock
from .searcher import CategoricalRange, ContinuousRange, IntegerRange, Range, Searcher, Suggestion

How = Literal["completes", "fails", "hangs"]

FINITE: tuple[Range, ...] = (
    CategoricalRange("booster", ("gbtree", "dart")),
    CategoricalRange("grow_policy", ("depthwise", "lossguide", "neither")),
)
"""A space of six combinations that every searcher can search."""

SCALED: tuple[Range, ...] = (
    ContinuousRange("linear", -1.0, 3.0, "Linear"),
    ContinuousRange("logarithmic", 1e-6, 1.0, "Logarithmic"),
    ContinuousRange("reverse", 0.0, 0.999, "ReverseLogarithmic"),
    ContinuousRange("auto", 0.1, 0.3),
    IntegerRange("whole", 1, 1000, "Logarithmic"),
    IntegerRange("few", -2, 2),
    CategoricalRange("kind", ("1", "2")),
)
"""A space with every kind of range and every scaling type."""

_COMBINATIONS = 6


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


class SearcherContract(ABC):
    """What every searcher must do.

    Attributes:
        searches_numbers: whether it takes continuous and integer ranges.
    """

    searches_numbers = True

    @abstractmethod
    def make_searcher(self, ranges: Sequence[Range], *, seed: int = 0) -> Searcher:
        """Make a searcher that maximizes."""

    def test_proposes_each_combination_of_a_finite_space_once(self) -> None:
        """Whatever comes of them, all combinations are tried, none twice, and then there is nothing left."""
        searcher = self.make_searcher(FINITE)
        seen = []
        for number in range(_COMBINATIONS):
            suggestion = self._suggest(searcher)
            searcher.observe(suggestion, float(number % 2))
            seen.append(tuple(sorted(suggestion.values.items())))
        _expect(len(set(seen)) == _COMBINATIONS, f"each combination must come once, got {seen}")
        _expect(searcher.suggest() is None, "suggest must give None when every combination was tried")

    def test_parallel_proposals_differ(self) -> None:
        """Proposals that still run are not made again."""
        searcher = self.make_searcher(FINITE)
        running = [tuple(self._suggest(searcher).values.items()) for _ in range(_COMBINATIONS)]
        _expect(len(set(running)) == _COMBINATIONS, f"parallel proposals must differ, got {running}")
        _expect(searcher.suggest() is None, "suggest must give None when every combination runs")

    def test_values_are_strings_in_the_order_of_the_ranges(self) -> None:
        """A proposal has exactly the searched hyperparameters, as the API carries them."""
        values = self._suggest(self.make_searcher(FINITE)).values
        names = [searched.name for searched in FINITE]
        _expect(list(values) == names, f"a proposal must have the values of {names}, got {dict(values)}")
        _expect(all(isinstance(value, str) for value in values.values()), f"values must be strings, got {values}")

    def test_values_stay_within_their_ranges(self) -> None:
        """Every scaling type keeps to the bounds, before and after results are known."""
        if not self.searches_numbers:
            return
        searcher = self.make_searcher(SCALED)
        for number in range(16):
            suggestion = self._suggest(searcher)
            for searched in SCALED:
                text = suggestion.values[searched.name]
                if isinstance(searched, CategoricalRange):
                    within = text in searched.values
                else:
                    value = int(text) if isinstance(searched, IntegerRange) else float(text)
                    within = searched.low <= value <= searched.high
                _expect(within, f"{searched.name} must be within {searched}, got {text}")
            searcher.observe(suggestion, -abs(float(suggestion.values["linear"]) - number / 8))

    def test_training_jobs_without_a_value_do_not_end_the_search(self) -> None:
        """Failures are survived, all of them, too."""
        searcher = self.make_searcher(FINITE)
        for _ in range(_COMBINATIONS - 1):
            searcher.observe(self._suggest(searcher), None)
        self._suggest(searcher)

    def test_results_come_in_any_order(self) -> None:
        """What was proposed first may end last."""
        searcher = self.make_searcher(FINITE)
        running = [self._suggest(searcher) for _ in range(4)]
        for place, suggestion in enumerate(reversed(running)):
            searcher.observe(suggestion, float(place))
        self._suggest(searcher)

    def test_the_same_seed_gives_the_same_proposals(self) -> None:
        """A search can be repeated."""
        _expect(self._replay(3) == self._replay(3), "the same seed must give the same proposals")

    def _replay(self, seed: int) -> list[dict[str, str]]:
        ranges = SCALED if self.searches_numbers else FINITE
        searcher = self.make_searcher(ranges, seed=seed)
        proposals = []
        for number in range(_COMBINATIONS):
            suggestion = self._suggest(searcher)
            proposals.append(dict(suggestion.values))
            searcher.observe(suggestion, float(number % 3))
        return proposals

    def _suggest(self, searcher: Searcher) -> Suggestion:
        suggestion = searcher.suggest()
        if suggestion is None:
            raise AssertionError("suggest must give a proposal while something is untried, got None")
        return suggestion


class BackendContract(ABC):
    """What every backend must do."""

    @abstractmethod
    def make_backend(self) -> AbstractContextManager[tuple[Backend, Clock]]:
        """Make a backend and its clock, and close it at the end."""

    @abstractmethod
    def make_order(self, name: str, how: How) -> Order:
        """Make an order that ends as asked.

        ``completes``: reports 0.25 and then 0.5 of the objective metric and completes. ``fails``: reports nothing and
        fails with a reason. ``hangs``: reports 0.25 and 0.5, and does not end by itself for minutes.
        """

    def test_a_training_job_that_completes(self) -> None:
        """Its last metric counts, and its values came one for each epoch."""
        with self.make_backend() as (backend, _):
            order = self.make_order("job-1", "completes")
            backend.start(order)
            events, (finished,) = self._collect(backend, 1)
            _expect(finished.status is TrainingJobStatus.COMPLETED, f"it must complete, got {finished}")
            value = finished.metrics.get(order.definition.metric_name)
            _expect(value == 0.5, f"the last value of the objective metric must count, got {value}")
            _expect(finished.failure_reason is None, f"it has no failure reason, got {finished.failure_reason!r}")
            values = [value for event in events if isinstance(event, Progress) for value in event.values]
            _expect(values == [0.25, 0.5], f"each epoch's value must be reported in order, got {values}")

    def test_a_training_job_that_fails(self) -> None:
        """Its reason is told."""
        with self.make_backend() as (backend, _):
            backend.start(self.make_order("job-1", "fails"))
            _, (finished,) = self._collect(backend, 1)
            _expect(finished.status is TrainingJobStatus.FAILED, f"it must fail, got {finished}")
            _expect(bool(finished.failure_reason), "a failure must have a reason, got none")

    def test_several_at_once_are_each_reported_once(self) -> None:
        """None is lost and none comes twice."""
        with self.make_backend() as (backend, _):
            names = [f"job-{number}" for number in range(4)]
            for name in names:
                backend.start(self.make_order(name, "completes"))
            _, finished = self._collect(backend, len(names))
            ended = sorted(event.name for event in finished)
            _expect(ended == names, f"each must be reported once, got {ended}")

    def test_a_stopped_training_job_keeps_its_metrics(self) -> None:
        """It ends soon; to stop it twice, or after its end, does nothing."""
        with self.make_backend() as (backend, _):
            order = self.make_order("job-1", "hangs")
            backend.start(order)
            reported = 0
            while reported < 2:
                reported += sum(len(event.values) for event in backend.wait(None) if isinstance(event, Progress))
            backend.stop("job-1")
            backend.stop("job-1")
            finished: list[Finished] = []
            while not finished:
                finished += [event for event in backend.wait(None) if isinstance(event, Finished)]
            _expect(finished[0].status is TrainingJobStatus.STOPPED, f"it must be stopped, got {finished[0]}")
            value = finished[0].metrics.get(order.definition.metric_name)
            _expect(value == 0.5, f"a stopped training job must keep its last value, got {value}")
            backend.stop("job-1")

    def test_a_training_job_can_be_started_again_after_its_end(self) -> None:
        """As a retry does."""
        with self.make_backend() as (backend, _):
            for how, status in (("fails", TrainingJobStatus.FAILED), ("completes", TrainingJobStatus.COMPLETED)):
                backend.start(self.make_order("job-1", "fails" if how == "fails" else "completes"))
                _, (finished,) = self._collect(backend, 1)
                _expect(finished.status is status, f"attempt must end as {status}, got {finished}")

    def test_waits_no_longer_than_asked(self) -> None:
        """Without events, ``wait`` gives none at the moment asked for."""
        with self.make_backend() as (backend, clock):
            limit = clock.now() + timedelta(seconds=0.2)
            events = list(backend.wait(limit))
            _expect(not events, f"there is nothing to report, got {events}")
            _expect(clock.now() >= limit, "wait must last until the moment asked for")

    def test_can_be_woken(self) -> None:
        """``wake`` ends a wait that has no limit."""
        with self.make_backend() as (backend, _):
            backend.wake()
            _expect(not list(backend.wait(None)), "a woken wait has no events")

    def _collect(self, backend: Backend, count: int) -> tuple[list[Event], list[Finished]]:
        """Wait for ends, and check the order of what is reported of each training job."""
        events: list[Event] = []
        finished: list[Finished] = []
        while len(finished) < count:
            came = backend.wait(None)
            events += came
            finished += [event for event in came if isinstance(event, Finished)]
        for end in finished:
            own = [event for event in events if event.name == end.name]
            _expect(own[-1] is end, f"nothing may follow the end of a training job, got {own}")
            _expect(isinstance(own[0], Progress), f"progress comes before the end, got {own}")
            _expect(
                all(early.at <= late.at for early, late in itertools.pairwise(own)),
                f"times must not go back, got {own}",
            )
            phases = [event.phase for event in own if isinstance(event, Progress) and event.values]
            _expect(set(phases) <= {SecondaryStatus.TRAINING}, f"values come while training only, got {phases}")
        return events, finished
