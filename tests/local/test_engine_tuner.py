"""The tuner on a simulated clock: hours of tuning in milliseconds."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from hpo_constructs.local.engine.backend import Order, SecondaryStatus, TrainingJobStatus
from hpo_constructs.local.engine.clock import SimulatedClock
from hpo_constructs.local.engine.plan import Definition, Plan
from hpo_constructs.local.engine.searcher import CategoricalRange, ContinuousRange, IntegerRange, Range
from hpo_constructs.local.engine.simulation import Outcome, SimulatedBackend
from hpo_constructs.local.engine.tuner import ObjectiveStatus, Tuner, TuningJobStatus

Simulate = Callable[[Order], Outcome]


def definition(
    name: str | None = None,
    *,
    ranges: tuple[Range, ...] = (ContinuousRange("x", 0, 1),),
    metric: str = "score",
    maximize: bool = True,
    max_runtime_seconds: int = 3600,
    **rest: Any,
) -> Definition:
    request = {"StaticHyperParameters": {"static": "1"}}
    return Definition(name, request, maximize, metric, ranges, max_runtime_seconds, **rest)


def plan(*definitions: Definition, **rest: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "tune",
        "strategy": "Random",
        "definitions": definitions or (definition(),),
        "max_parallel_training_jobs": 3,
        "max_training_jobs": 10,
    }
    return Plan(**(values | rest))


def x_after_ten_minutes(order: Order) -> Outcome:
    return Outcome(600, {order.definition.metric_name: float(order.hyperparameters["x"])})


class Watch:
    """A simulated backend that counts how many training jobs run at once."""

    def __init__(self, backend: SimulatedBackend) -> None:
        self.backend = backend
        self.running: set[str] = set()
        self.most = 0
        self.orders: list[Order] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def start(self, order: Order) -> None:
        self.orders.append(order)
        self.running.add(order.name)
        self.most = max(self.most, len(self.running))
        self.backend.start(order)

    def wait(self, until: Any) -> Any:
        events = self.backend.wait(until)
        for event in events:
            if hasattr(event, "status"):
                self.running.discard(event.name)
        return events


def tune(wanted: Plan, simulate: Simulate = x_after_ten_minutes, seed: int = 5) -> tuple[Tuner, Watch, SimulatedClock]:
    clock = SimulatedClock()
    backend = Watch(SimulatedBackend(clock, simulate))
    tuner = Tuner(wanted, searchers=wanted.searchers(seed), backend=backend, clock=clock, seed=seed)
    tuner.run()
    return tuner, backend, clock


def test_all_training_jobs_run_within_the_parallel_limit() -> None:
    tuner, backend, _ = tune(plan())
    assert tuner.status is TuningJobStatus.COMPLETED
    assert len(tuner.jobs) == 10
    assert backend.most == 3
    # Ten minutes each, three at a time: four rounds.
    assert tuner.ended_at is not None
    assert (tuner.ended_at - tuner.created_at).total_seconds() == 4 * 600


class Untouched(dict[str, Any]):
    """Training jobs that may be looked up, not looked through: that would make a long run's events ever slower."""

    def __iter__(self) -> Any:
        raise AssertionError("no event may look through all training jobs")

    keys = values = items = __iter__


def test_the_cost_of_an_event_does_not_grow_with_the_training_jobs() -> None:
    wanted = plan(definition("a"), definition("b"), max_training_jobs=40)
    clock = SimulatedClock()
    backend = SimulatedBackend(clock, x_after_ten_minutes)
    tuner = Tuner(wanted, searchers=wanted.searchers(1), backend=backend, clock=clock, seed=1)
    tuner.jobs = Untouched()
    tuner.run()
    assert tuner.status is TuningJobStatus.COMPLETED
    assert len(tuner.jobs) == 40


def test_the_best_is_the_one_with_the_best_value() -> None:
    tuner, _, _ = tune(plan())
    assert tuner.best is not None
    assert tuner.best.objective == max(job.objective or 0 for job in tuner.jobs.values())
    down, _, _ = tune(plan(definition(maximize=False)))
    assert down.best is not None
    assert down.best.objective == min(job.objective or 0 for job in down.jobs.values())


def test_training_jobs_are_named_after_the_tuning_job() -> None:
    tuner, backend, _ = tune(plan())
    for number, (name, order) in enumerate(zip(tuner.jobs, backend.orders, strict=True), start=1):
        base, counter, suffix = name.rsplit("-", 2)
        assert (base, counter) == ("tune", f"{number:03d}")
        assert len(suffix) == 8
        assert int(suffix, 16) >= 0
        assert order.hyperparameters["static"] == "1"
        assert order.hyperparameters["_tuning_objective_metric"] == "score"


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
def test_the_same_seed_replays_the_same_run(strategy: str) -> None:
    def record(seed: int) -> list[tuple[str, Any, Any]]:
        wanted = plan(definition("a"), definition("b"), strategy=strategy, max_training_jobs=14)
        tuner, _, _ = tune(wanted, seed=seed)
        return [(job.name, dict(job.suggestion.values), job.ended_at) for job in tuner.jobs.values()]

    assert record(1) == record(1)
    assert record(1) != record(2)


def test_a_month_of_tuning_takes_no_time() -> None:
    def long(order: Order) -> Outcome:
        return Outcome(86_400, {"score": float(order.hyperparameters["x"])})

    tuner, _, _ = tune(plan(definition(max_runtime_seconds=200_000), max_training_jobs=90), long)
    assert tuner.ended_at is not None
    assert (tuner.ended_at - tuner.created_at).days == 30


def shares(tuner: Tuner) -> Counter[str | None]:
    return Counter(job.definition.name for job in tuner.jobs.values())


def test_the_more_promising_definition_gets_more_and_each_one_its_floor() -> None:
    good, fair, poor = definition("good"), definition("fair"), definition("poor")

    def simulate(order: Order) -> Outcome:
        return Outcome(60, {"score": {"good": 3.0, "fair": 2.0, "poor": 1.0}[order.definition.name or ""]})

    tuner, _, _ = tune(plan(poor, good, fair, max_training_jobs=30), simulate)
    count = shares(tuner)
    assert count["good"] >= 14
    assert count["fair"] >= 5
    assert count["poor"] >= 5
    assert sum(count.values()) == 30


def test_every_definition_is_tried_even_with_a_small_budget() -> None:
    tuner, _, _ = tune(plan(definition("a"), definition("b"), definition("c"), max_training_jobs=4))
    assert set(shares(tuner)) == {"a", "b", "c"}


def test_a_definition_that_only_fails_gets_no_more_while_another_succeeds() -> None:
    def simulate(order: Order) -> Outcome:
        failed = order.definition.name == "broken"
        return Outcome(60, {} if failed else {"score": 1.0}, "AlgorithmError: x" if failed else None)

    wanted = plan(definition("broken"), definition("works"), max_training_jobs=20, max_parallel_training_jobs=1)
    tuner, _, _ = tune(wanted, simulate)
    assert tuner.status is TuningJobStatus.COMPLETED
    assert shares(tuner) == {"broken": 3, "works": 17}


def test_different_metrics_are_compared_as_if_they_were_one() -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(60, {"validation:auc": 0.9, "test:accuracy": 0.95})

    tuner, _, _ = tune(
        plan(definition("a", metric="validation:auc"), definition("b", metric="test:accuracy")), simulate
    )
    assert tuner.best is not None
    assert tuner.best.definition.name == "b"


def test_five_failures_at_the_start_end_the_tuning_job() -> None:
    tuner, backend, _ = tune(
        plan(max_training_jobs=100), lambda _: Outcome(60, {}, "AlgorithmError: bad, exit code: 1")
    )
    assert tuner.status is TuningJobStatus.FAILED
    assert (tuner.failure_reason or "").startswith("No training job succeeded after 5 attempts")
    assert len(tuner.jobs) <= 5 + 3
    assert not backend.running


def test_a_success_among_the_first_five_keeps_it_going() -> None:
    def simulate(order: Order) -> Outcome:
        works = order.name.split("-")[1] in ("004", "009")
        return Outcome(60, {"score": 1.0} if works else {}, None if works else "AlgorithmError: x")

    tuner, _, _ = tune(plan(max_training_jobs=12), simulate)
    assert tuner.status is TuningJobStatus.COMPLETED
    assert len(tuner.jobs) == 12


def test_all_failures_of_a_small_budget_fail_the_tuning_job() -> None:
    tuner, _, _ = tune(plan(max_training_jobs=3), lambda _: Outcome(60, {}, "AlgorithmError: x"))
    assert tuner.status is TuningJobStatus.FAILED
    assert (tuner.failure_reason or "").startswith("All training jobs failed")


@pytest.mark.parametrize("metrics", [{}, {"other": 1.0}, {"score": math.nan}])
def test_a_metric_that_never_appears(metrics: dict[str, float]) -> None:
    tuner, _, _ = tune(plan(max_training_jobs=20), lambda _: Outcome(60, metrics))
    assert tuner.status is TuningJobStatus.FAILED
    assert (tuner.failure_reason or "").startswith("No objective metrics found after running 5 training jobs")
    assert tuner.best is None
    finished = [job for job in tuner.jobs.values() if job.status is TrainingJobStatus.COMPLETED]
    assert len(finished) == 5 or len(finished) == 6
    assert {job.objective_status for job in finished} == {ObjectiveStatus.FAILED}


def test_a_training_job_that_runs_too_long_is_stopped_and_keeps_its_value() -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(7200, {"score": 0.5})

    tuner, _, _ = tune(plan(definition(max_runtime_seconds=900), max_training_jobs=3), simulate)
    for job in tuner.jobs.values():
        assert job.status is TrainingJobStatus.STOPPED
        assert job.phase is SecondaryStatus.MAX_RUNTIME_EXCEEDED
        assert job.ended_at is not None
        assert job.started_at is not None
        assert (job.ended_at - job.started_at).total_seconds() == 900
    assert tuner.best is not None
    assert tuner.status is TuningJobStatus.COMPLETED


def test_the_tuning_time_ends_the_tuning_job() -> None:
    tuner, backend, _ = tune(plan(max_training_jobs=100, max_runtime_seconds=1500))
    assert tuner.status is TuningJobStatus.COMPLETED
    assert tuner.ended_at is not None
    assert (tuner.ended_at - tuner.created_at).total_seconds() == 1500
    assert Counter(job.status for job in tuner.jobs.values()) == {
        TrainingJobStatus.COMPLETED: 6,
        TrainingJobStatus.STOPPED: 3,
    }
    assert not backend.running


def test_time_alone_is_a_limit_too() -> None:
    tuner, _, _ = tune(plan(max_training_jobs=math.inf, max_runtime_seconds=6000))
    assert len(tuner.jobs) == 30


def test_the_target_value_ends_the_tuning_job() -> None:
    tuner, _, _ = tune(plan(max_training_jobs=500, target_objective_metric_value=0.9))
    assert tuner.status is TuningJobStatus.COMPLETED
    assert len(tuner.jobs) < 100
    assert tuner.best is not None
    assert (tuner.best.objective or 0) >= 0.9


def test_no_more_improvement_ends_the_tuning_job() -> None:
    def simulate(order: Order) -> Outcome:
        scores = {"001": 0.5, "004": 0.9}
        return Outcome(60, {"score": scores.get(order.name.split("-")[1], 0.1)})

    wanted = plan(max_training_jobs=100, max_training_jobs_not_improving=4, max_parallel_training_jobs=1)
    tuner, _, _ = tune(wanted, simulate)
    assert tuner.status is TuningJobStatus.COMPLETED
    # The fourth was better than the first; four more were not.
    assert len(tuner.jobs) == 8
    assert tuner.not_improving == 4


def test_a_grid_ends_when_all_combinations_were_tried() -> None:
    ranges = (CategoricalRange("x", ("0.1", "0.2")), CategoricalRange("y", ("1", "2", "3")))
    tuner, _, _ = tune(plan(definition(ranges=ranges), strategy="Grid", max_training_jobs=6))
    tried = {tuple(job.suggestion.values.values()) for job in tuner.jobs.values()}
    assert len(tried) == len(tuner.jobs) == 6


def test_stop_ends_what_runs_and_starts_nothing_more() -> None:
    clock = SimulatedClock()
    wanted = plan()

    class StopsLater(SimulatedBackend):
        waits = 0

        def wait(self, until: Any) -> Any:
            self.waits += 1
            if self.waits == 12:
                tuner.stop()
                assert tuner.status is TuningJobStatus.STOPPING
            return super().wait(until)

    tuner = Tuner(
        wanted, searchers=wanted.searchers(1), backend=StopsLater(clock, x_after_ten_minutes), clock=clock, seed=1
    )
    tuner.run()
    assert tuner.status is TuningJobStatus.STOPPED
    statuses = Counter(job.status for job in tuner.jobs.values())
    assert statuses[TrainingJobStatus.STOPPED] >= 1
    assert len(tuner.jobs) < 10
    # What completed before still has its best.
    assert tuner.best is not None


def test_one_training_job_can_be_stopped_by_itself() -> None:
    clock = SimulatedClock()
    wanted = plan(max_training_jobs=4, max_parallel_training_jobs=1)

    class StopsFirst(SimulatedBackend):
        def start(self, order: Order) -> None:
            super().start(order)
            if "-001-" in order.name:
                tuner.stop_training_job(order.name)

    tuner = Tuner(
        wanted, searchers=wanted.searchers(1), backend=StopsFirst(clock, x_after_ten_minutes), clock=clock, seed=1
    )
    tuner.run()
    assert [job.status for job in tuner.jobs.values()] == [TrainingJobStatus.STOPPED] + [
        TrainingJobStatus.COMPLETED
    ] * 3
    assert tuner.status is TuningJobStatus.COMPLETED
    assert tuner.best is not tuner.jobs[next(iter(tuner.jobs))]


def test_a_crash_of_the_engine_fails_the_tuning_job() -> None:
    def crash(_: Order) -> Outcome:
        raise RuntimeError("boom")

    tuner, _, _ = tune(plan(), crash)
    assert tuner.status is TuningJobStatus.FAILED
    assert (tuner.failure_reason or "").startswith("InternalServerError")
    assert tuner.finished.is_set()


# Retries


def fails_internally(times: int, reason: str = "InternalServerError: lost") -> tuple[Simulate, Counter[str]]:
    """Each training job fails so many times before it works; the counter has the attempts."""
    attempts: Counter[str] = Counter()

    def simulate(order: Order) -> Outcome:
        attempts[order.name] += 1
        failed = attempts[order.name] <= times
        return Outcome(60, {} if failed else {"score": 1.0}, reason if failed else None)

    return simulate, attempts


def test_an_internal_error_is_tried_again() -> None:
    simulate, attempts = fails_internally(2)
    tuner, backend, _ = tune(plan(definition(retries=2), max_training_jobs=4), simulate)
    assert tuner.status is TuningJobStatus.COMPLETED
    assert set(attempts.values()) == {3}
    assert backend.most == 3
    for job in tuner.jobs.values():
        assert job.retries == 2
        assert [transition.phase for transition in job.transitions] == [
            SecondaryStatus.STARTING,
            SecondaryStatus.DOWNLOADING,
            SecondaryStatus.TRAINING,
        ] * 3 + [SecondaryStatus.COMPLETED]


@pytest.mark.parametrize(("retries", "reason"), [(1, "InternalServerError: lost"), (30, "AlgorithmError: bad value")])
def test_what_is_not_tried_again(retries: int, reason: str) -> None:
    simulate, attempts = fails_internally(2, reason)
    tuner, _, _ = tune(plan(definition(retries=retries), max_training_jobs=4), simulate)
    assert tuner.status is TuningJobStatus.FAILED
    assert set(attempts.values()) == {2 if "Internal" in reason else 1}
    assert all(job.is_retryable == ("Internal" in reason) for job in tuner.jobs.values())


def test_all_attempts_together_have_the_run_time() -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(100, {}, "InternalServerError: lost")

    tuner, _, _ = tune(plan(definition(retries=30, max_runtime_seconds=250), max_training_jobs=3), simulate)
    for job in tuner.jobs.values():
        assert job.status is TrainingJobStatus.STOPPED
        assert job.retries == 2
        assert job.started_at is not None
        assert job.ended_at is not None
        assert (job.ended_at - job.started_at).total_seconds() == 250


# Early stopping and Hyperband


def learning_curve(order: Order, epochs: int) -> Outcome:
    """A curve that rises to the value of ``x``; an epoch takes a minute."""
    level = float(order.hyperparameters["x"])
    return Outcome(60 * epochs, curve=[level * (1 - 0.8**epoch) for epoch in range(1, epochs + 1)])


def test_early_stopping_saves_time_and_finds_as_much() -> None:
    def end_and_best(*, early_stopping: bool) -> tuple[float, float, Counter[str]]:
        wanted = plan(definition(max_runtime_seconds=10**6), max_training_jobs=40, early_stopping=early_stopping)
        tuner, _, _ = tune(wanted, lambda order: learning_curve(order, 20))
        assert tuner.ended_at is not None
        assert tuner.best is not None
        statuses = Counter(job.status.value for job in tuner.jobs.values())
        assert len(tuner.jobs) == sum(statuses.values()) == 40
        return (tuner.ended_at - tuner.created_at).total_seconds(), tuner.best.value, statuses

    with_it, without = end_and_best(early_stopping=True), end_and_best(early_stopping=False)
    assert without[2] == {"Completed": 40}
    assert with_it[2]["Stopped"] >= 10
    assert with_it[0] < 0.85 * without[0]
    assert with_it[1] == without[1]


def test_a_training_job_that_was_stopped_early_keeps_its_last_value() -> None:
    wanted = plan(max_training_jobs=40, early_stopping=True)
    tuner, _, _ = tune(wanted, lambda order: learning_curve(order, 20))
    stopped = [job for job in tuner.jobs.values() if job.stopped_early]
    assert stopped
    for job in stopped:
        assert job.status is TrainingJobStatus.STOPPED
        assert job.phase is SecondaryStatus.STOPPED
        assert job.objective_status is ObjectiveStatus.SUCCEEDED
        assert job.epochs < 20
        assert job.value == pytest.approx(float(job.hyperparameters["x"]) * (1 - 0.8**job.epochs))


def test_one_that_has_made_all_its_epochs_is_left_to_save_its_model() -> None:
    # The most resource is what the training job does anyway: it completes.
    static = {"StaticHyperParameters": {"epochs": "9"}}
    wanted = plan(
        Definition(None, static, True, "score", (ContinuousRange("x", 0, 1),), 10**6, resource=(1, 9)),
        strategy="Hyperband",
        max_training_jobs=30,
    )
    tuner, _, _ = tune(wanted, lambda order: learning_curve(order, 9))
    longest = [job for job in tuner.jobs.values() if job.epochs == 9]
    assert longest
    assert {job.status for job in longest} == {TrainingJobStatus.COMPLETED}


def test_one_that_would_go_on_is_stopped_at_the_most_resource() -> None:
    wanted = plan(definition(resource=(1, 9), max_runtime_seconds=10**6), strategy="Hyperband", max_training_jobs=30)
    tuner, _, _ = tune(wanted, lambda order: learning_curve(order, 1000))
    assert max(job.epochs for job in tuner.jobs.values()) == 9
    assert tuner.status is TuningJobStatus.COMPLETED
    assert tuner.best is not None
    assert tuner.best.stopped_early


def test_hyperband_with_500_training_jobs_replays_in_about_a_second() -> None:
    wanted = plan(
        definition(
            resource=(1, 81), max_runtime_seconds=10**6, ranges=(ContinuousRange("x", 0, 1), IntegerRange("n", 1, 9))
        ),
        strategy="Hyperband",
        max_training_jobs=500,
        max_parallel_training_jobs=10,
    )
    began = time.process_time()
    tuner, backend, _ = tune(wanted, lambda order: learning_curve(order, 81))
    assert time.process_time() - began < 2
    assert len(tuner.jobs) == 500
    assert backend.most == 10
    epochs = sum(job.epochs for job in tuner.jobs.values())
    # A random search of as many training jobs makes 40,500 epochs.
    assert 500 < epochs < 9_000
    assert tuner.best is not None
    assert tuner.best.value > 0.97
    assert tuner.ended_at is not None
    # Ten at a time, a minute for each epoch: hardly an idle one.
    assert (tuner.ended_at - tuner.created_at).total_seconds() < 1.1 * 60 * epochs / 10


# Completion


def test_an_improvement_of_less_than_one_per_cent_is_none() -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(60, {"score": 0.9 + 0.001 * int(order.name.split("-")[1])})

    wanted = plan(max_training_jobs=100, max_training_jobs_not_improving=5, max_parallel_training_jobs=1)
    tuner, _, _ = tune(wanted, simulate)
    # 0.901 is the first value; 0.911 would be better by 1 % and comes too late.
    assert len(tuner.jobs) == 6
    assert tuner.best is not None
    # The best is the best by whatever margin.
    assert tuner.best.value == pytest.approx(0.906)


@pytest.mark.parametrize("enabled", [True, False])
def test_convergence_is_noted_and_ends_the_tuning_job_when_asked(enabled: bool) -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(60, {"score": min(int(order.name.split("-")[1]), 30.0)})

    wanted = plan(max_training_jobs=100, max_parallel_training_jobs=1, complete_on_convergence=enabled)
    tuner, _, _ = tune(wanted, simulate)
    assert tuner.converged_at is not None
    # Thirty improve, each by more than 1 %; as many do not before it counts as converged.
    assert len(tuner.jobs) == (60 if enabled else 100)
    assert (tuner.converged_at - tuner.created_at).total_seconds() == 60 * 60


def test_a_search_that_still_improves_has_not_converged() -> None:
    def simulate(order: Order) -> Outcome:
        return Outcome(60, {"score": 1.02 ** int(order.name.split("-")[1])})

    tuner, _, _ = tune(plan(max_training_jobs=60, complete_on_convergence=True), simulate)
    assert tuner.converged_at is None
    assert len(tuner.jobs) == 60


def test_a_finite_space_without_a_number_of_training_jobs_ends_when_all_was_tried() -> None:
    ranges = (CategoricalRange("x", ("0.1", "0.2", "0.3")),)
    tuner, _, _ = tune(plan(definition(ranges=ranges), max_training_jobs=math.inf, max_runtime_seconds=10**6))
    assert tuner.status is TuningJobStatus.COMPLETED
    assert sorted(job.hyperparameters["x"] for job in tuner.jobs.values()) == ["0.1", "0.2", "0.3"]
