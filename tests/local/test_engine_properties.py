"""What holds for every tuning job: valid requests at random, replayed on the simulated clock."""

from __future__ import annotations

import math
import random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hpo_constructs.local.engine.backend import Order, TrainingJobStatus
from hpo_constructs.local.engine.clock import SimulatedClock
from hpo_constructs.local.engine.plan import Plan, read_plan
from hpo_constructs.local.engine.searcher import combinations
from hpo_constructs.local.engine.simulation import Outcome, SimulatedBackend
from hpo_constructs.local.engine.tuner import ObjectiveStatus, Tuner, TuningJobStatus

EPOCHS = 12

_CATEGORICAL = st.lists(st.sampled_from(["a", "b", "c", "d"]), min_size=2, max_size=4, unique=True)


@st.composite
def ranges(draw: st.DrawFn, *, only_categorical: bool) -> dict[str, Any]:
    """Parameter ranges of every kind."""
    categorical = [{"Name": f"kind{n}", "Values": draw(_CATEGORICAL)} for n in range(draw(st.integers(1, 2)))]
    found: dict[str, Any] = {"CategoricalParameterRanges": categorical}
    if only_categorical:
        return found
    if draw(st.booleans()):
        low = draw(st.integers(1, 5))
        scaling = draw(st.sampled_from(["Auto", "Linear", "Logarithmic"]))
        found["IntegerParameterRanges"] = [
            {
                "Name": "n",
                "MinValue": str(low),
                "MaxValue": str(low + draw(st.integers(1, 300))),
                "ScalingType": scaling,
            }
        ]
    if draw(st.booleans()):
        scaling = draw(st.sampled_from(["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]))
        found["ContinuousParameterRanges"] = [
            {"Name": "x", "MinValue": "0.01", "MaxValue": "0.9", "ScalingType": scaling}
        ]
    return found


@st.composite
def training_job_definitions(
    draw: st.DrawFn, *, index: int, strategy: str, objective: dict[str, str]
) -> dict[str, Any]:
    """One training job definition."""
    definition: dict[str, Any] = {
        "DefinitionName": f"definition-{index}",
        "TuningObjective": objective,
        "HyperParameterRanges": draw(ranges(only_categorical=strategy == "Grid")),
        "AlgorithmSpecification": {"TrainingImage": "own:1", "TrainingInputMode": "File"},
        "StoppingCondition": {"MaxRuntimeInSeconds": draw(st.sampled_from([100, 3600]))},
    }
    if draw(st.booleans()):
        definition["RetryStrategy"] = {"MaximumRetryAttempts": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        definition["StaticHyperParameters"] = {"epochs": str(EPOCHS)}
    return definition


CRITERIA = st.fixed_dictionaries(
    {},
    optional={
        "TargetObjectiveMetricValue": st.floats(0, 1),
        "BestObjectiveNotImproving": st.fixed_dictionaries({"MaxNumberOfTrainingJobsNotImproving": st.integers(3, 10)}),
        "ConvergenceDetected": st.just({"CompleteOnConvergence": "Enabled"}),
    },
)


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """Requests that the service takes, as far as the engine reads them."""
    strategy = draw(st.sampled_from(["Random", "Random", "Bayesian", "Hyperband", "Grid"]))
    objective = {"Type": draw(st.sampled_from(["Maximize", "Minimize"])), "MetricName": "score"}
    count = draw(st.integers(1, 3))
    definitions = [
        draw(training_job_definitions(index=index, strategy=strategy, objective=objective)) for index in range(count)
    ]
    possible = sum(combinations_of(definition) for definition in definitions)
    total = draw(st.integers(1, 8 if strategy == "Bayesian" else 40)) if strategy != "Grid" else possible
    limits = {"MaxParallelTrainingJobs": int(min(draw(st.integers(1, 8)), total, possible))}
    if strategy != "Grid":
        limits["MaxNumberOfTrainingJobs"] = int(min(total, possible))
    if draw(st.booleans()):
        limits["MaxRuntimeInSeconds"] = draw(st.integers(120, 20_000))
    config: dict[str, Any] = {"Strategy": strategy, "ResourceLimits": limits}
    if strategy == "Hyperband":
        config["StrategyConfig"] = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": EPOCHS}}
    elif count == 1 and draw(st.booleans()):
        config["TrainingJobEarlyStoppingType"] = "Auto"
    if criteria := draw(CRITERIA):
        config["TuningJobCompletionCriteria"] = criteria
    return {
        "HyperParameterTuningJobName": "tune",
        "HyperParameterTuningJobConfig": config,
        **({"TrainingJobDefinition": definitions[0]} if count == 1 else {"TrainingJobDefinitions": definitions}),
    }


def combinations_of(definition: dict[str, Any]) -> float:
    found = definition["HyperParameterRanges"]
    if "ContinuousParameterRanges" in found:
        return math.inf
    count = math.prod(len(one["Values"]) for one in found["CategoricalParameterRanges"])
    for one in found.get("IntegerParameterRanges", ()):
        count *= int(one["MaxValue"]) - int(one["MinValue"]) + 1
    return count


class World:
    """Training jobs that do as they like, by chance: complete, fail in either way, or report nothing."""

    def __init__(self, clock: SimulatedClock, seed: int) -> None:
        self.backend = SimulatedBackend(clock, self._go)
        self.running: set[str] = set()
        self.most = 0
        self._chance = random.Random(seed)  # noqa: S311 - a simulation

    def _go(self, order: Order) -> Outcome:
        self.running.add(order.name)
        self.most = max(self.most, len(self.running))
        seconds = self._chance.uniform(1, 400)
        fate = self._chance.random()
        if fate < 0.1:
            return Outcome(seconds, {}, "AlgorithmError: bad value, exit code: 1")
        if fate < 0.2:
            return Outcome(seconds, {}, "InternalServerError: lost")
        if fate < 0.25:
            return Outcome(seconds)
        level = self._chance.random()
        return Outcome(seconds, curve=[level * (1 - 0.7**epoch) for epoch in range(1, EPOCHS + 1)])

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backend, name)

    def wait(self, until: Any) -> Any:
        events = self.backend.wait(until)
        self.running -= {event.name for event in events if hasattr(event, "status")}
        return events


def tune(plan: Plan, seed: int, *, stop_after: int | None = None) -> tuple[Tuner, World, SimulatedClock]:
    clock = SimulatedClock()
    world = World(clock, seed)
    tuner = Tuner(plan, searchers=plan.searchers(seed), backend=world, clock=clock, seed=seed)
    if stop_after is not None:
        wait, waits = world.wait, iter(range(10**9))

        def wait_and_stop(until: Any) -> Any:
            if next(waits) == stop_after:
                tuner.stop()
            return wait(until)

        world.wait = wait_and_stop  # type: ignore[method-assign]
    tuner.run()
    return tuner, world, clock


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests(), st.integers(0, 2**32 - 1), st.none() | st.integers(0, 60))
def test_every_tuning_job_ends_within_its_limits(request: dict[str, Any], seed: int, stop_after: int | None) -> None:
    plan = read_plan(request)
    tuner, world, clock = tune(plan, seed, stop_after=stop_after)
    jobs = list(tuner.jobs.values())

    # It has ended, and nothing runs.
    assert tuner.finished.is_set()
    assert tuner.status in (TuningJobStatus.COMPLETED, TuningJobStatus.FAILED, TuningJobStatus.STOPPED)
    assert tuner.ended_at == clock.now()
    assert not (tuner.failure_reason or "").startswith("InternalServerError: the local tuning engine")
    assert (tuner.failure_reason is not None) == (tuner.status is TuningJobStatus.FAILED)
    assert not world.running

    # The limits held.
    assert len(jobs) <= plan.max_training_jobs
    assert world.most <= plan.max_parallel_training_jobs
    if plan.max_runtime_seconds is not None:
        assert (tuner.ended_at - tuner.created_at).total_seconds() <= plan.max_runtime_seconds
    for job in jobs:
        assert job.ended
        assert job.started_at is not None
        assert job.ended_at is not None
        assert (job.ended_at - job.started_at).total_seconds() <= job.definition.max_runtime_seconds
        assert job.retries <= job.definition.retries
        assert job.epochs <= EPOCHS

    # The counters add up.
    ended = (TrainingJobStatus.COMPLETED, TrainingJobStatus.FAILED, TrainingJobStatus.STOPPED)
    assert sum(job.status is status for job in jobs for status in ended) == len(jobs)
    assert not any(job.objective_status is ObjectiveStatus.PENDING for job in jobs)

    # Times and phases go forward, without a gap.
    for job in jobs:
        assert job.transitions[0].started_at == job.created_at
        for earlier, later in zip(job.transitions, job.transitions[1:], strict=False):
            assert earlier.started_at <= later.started_at
            assert earlier.ended_at == later.started_at
        assert job.transitions[-1].started_at == job.ended_at

    # The best is the best.
    candidates = [job for job in jobs if job.can_be_best]
    assert (tuner.best is not None) == bool(candidates)
    if tuner.best is not None:
        assert not any(job.definition.better(job.value, tuner.best.value) for job in candidates)

    # No combination of a finite space ran twice; a grid that was not cut short ran all of them.
    for definition in plan.definitions:
        tried = [tuple(job.suggestion.values.items()) for job in jobs if job.definition is definition]
        assert len(set(tried)) == len(tried)
        if plan.strategy == "Grid" and tuner.status is TuningJobStatus.COMPLETED and not may_end_early(plan):
            assert len(tried) == combinations(definition.ranges)


def may_end_early(plan: Plan) -> bool:
    criteria = (plan.target_objective_metric_value, plan.max_training_jobs_not_improving, plan.max_runtime_seconds)
    return plan.complete_on_convergence or any(one is not None for one in criteria)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(requests(), st.integers(0, 2**32 - 1))
def test_the_same_seed_replays_the_same_run(request: dict[str, Any], seed: int) -> None:
    def record() -> list[Any]:
        tuner, _, _ = tune(read_plan(request), seed)
        return [
            tuner.status,
            tuner.ended_at,
            *(
                (job.name, dict(job.hyperparameters), job.status, job.epochs, job.ended_at)
                for job in tuner.jobs.values()
            ),
        ]

    assert record() == record()
