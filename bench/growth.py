"""How each cost grows with the sizes that a team or a run can have, and the name of that growth.

A cost is measured at four sizes or more. The exponent of its growth is the slope of the logarithm of the cost over that
of the size, fitted over the larger half of the sizes: over the smaller ones what every run costs anyway hides it.
"""

from __future__ import annotations

import io
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from hpo_constructs.documents import read
from hpo_constructs.quotas import state
from hpo_constructs.quotas.planner import plan
from hpo_constructs.rules import check, read_jobs
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.rules.needs import job_needs

from ._common import ROOT, Aim, Row, in_turns, progress, row_of, shown
from .check import quotas, write_templates
from .synthesis import Assemblies

_LINEAR: Final = 1.15
_EXAMPLE: Final = ROOT / "examples/single/breast-cancer.yaml"
# What the example searches.
_SEARCHED: Final = ("eta", "max_depth", "subsample", "min_child_weight")
_OWN_IMAGE: Final = "123456789012.dkr.ecr.us-east-1.amazonaws.com/own:1"


def exponent(sizes: Sequence[int], costs: Sequence[float]) -> float:
    """The slope of a straight line through the logarithms of the larger half of the sizes, three at least."""
    start = min(len(sizes) // 2, len(sizes) - 3)
    xs, ys = ([math.log(value) for value in values[start:]] for values in (sizes, costs))
    return statistics.linear_regression(xs, ys).slope


def growth(slope: float) -> str:
    """The name of a growth by its exponent, as far as sizes below a thousand can tell."""
    if slope < 0.2:
        return "constant"
    if slope < 0.85:
        return "less than linear"
    if slope <= _LINEAR:
        return "linear"
    return "n log n" if slope <= 1.3 else "worse than n log n"


@dataclass(frozen=True)
class Curve:
    """A cost over sizes.

    Attributes:
        case: What is measured.
        by: What the sizes count.
        sizes: The sizes; in the long run `more` as well.
        cost: Measures the cost at a size.
        unit: The cost's.
        rounds: Runs at each size, of which the least counts.
        aim: The largest exponent that is right; linear by default.
    """

    case: str
    by: str
    sizes: tuple[int, ...]
    cost: Callable[[int], float]
    more: tuple[int, ...] = ()
    unit: str = "s"
    rounds: int = 3
    aim: float = _LINEAR

    def row(self, *, full: bool) -> Row:
        """Measure it."""
        sizes = self.sizes + (self.more if full else ())
        turns = in_turns({str(size): partial(self.cost, size) for size in sizes}, self.rounds)
        costs = [min(costs) for costs in turns.values()]
        slope = exponent(sizes, costs)
        points = ", ".join(f"{size}: {shown(cost, self.unit)}" for size, cost in zip(sizes, costs, strict=True))
        return row_of(
            "growth",
            f"{self.case}, by {self.by}",
            slope,
            "exponent",
            aim=Aim("ours", "<=", self.aim),
            note=f"{growth(slope)} ({points})",
        )


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about growth."""
    with tempfile.TemporaryDirectory() as name:
        for curve in curves(Path(name)):
            progress(f"{curve.case}, by {curve.by}")
            yield curve.row(full=full)


def curves(folder: Path) -> list[Curve]:
    """All curves; what they need is below a folder."""
    assemblies = Assemblies(folder)
    return [
        Curve("check", "jobs", (10, 30, 100, 300), partial(check_jobs, folder), (1000,)),
        Curve("check", "definitions", (1, 2, 5, 10), partial(check_definitions, folder), rounds=5),
        Curve("check", "hyperparameters", (1, 3, 10, 30), partial(check_ranges, folder), rounds=5),
        Curve("quotas plan", "jobs", (10, 30, 100, 300), partial(plan_jobs, folder), (1000,)),
        Curve("synthesis", "jobs", (10, 20, 50, 100), partial(synthesize, assemblies), (300,), rounds=2),
        Curve("templates", "jobs", (10, 20, 50, 100), partial(template_bytes, assemblies), (300,), "B", 1),
        Curve("request", "definitions", (1, 2, 5, 10), request_bytes_of_definitions, unit="B", rounds=1),
        Curve("hpo show", "training jobs", (10, 50, 250, 750), show),
        Curve("hpo report", "training jobs", (10, 50, 250, 750), report),
        Curve("local engine, random search", "training jobs", (10, 50, 250, 750), partial(tune, "Random")),
        Curve(
            "local engine, Bayesian search",
            "training jobs",
            (30, 60, 120, 200),
            partial(tune, "Bayesian"),
            (400, 750),
            rounds=1,
        ),
        Curve("a Bayesian proposal", "results known", (10, 50, 160, 350, 750), propose),
        Curve("a Bayesian proposal", "hyperparameters", (1, 3, 10, 30), propose_ranges),
    ]


# Checks and plans


def check_jobs(folder: Path, jobs: int) -> float:
    """Read and check templates."""
    templates = _templates(folder, jobs)
    return _seconds(lambda: check(_read_all(templates), quotas=quotas(jobs)))


def plan_jobs(folder: Path, jobs: int) -> float:
    """Plan what was read."""
    declarations = _read_all(_templates(folder, jobs))
    needs = [job_needs(job) for job in read_jobs(declarations, quotas(jobs))]
    return _seconds(lambda: plan(needs))


def check_definitions(folder: Path, count: int) -> float:
    """Check a template of several definitions."""
    return _check(folder, several(count))


def check_ranges(folder: Path, count: int) -> float:
    """Check a template that searches so many hyperparameters of an algorithm of one's own."""
    ranges = {f"x{index}": {"type": "Continuous", "min_value": 0.1, "max_value": 0.5} for index in range(count)}
    own: dict[str, Any] = {
        "objective": {"metric_name": "loss", "type": "Minimize"},
        "training_job_definition": {
            "algorithm_specification": {
                "training_image": _OWN_IMAGE,
                "metric_definitions": [{"name": "loss", "regex": "loss=([0-9.]+)"}],
            },
            "static_hyperparameters": None,
        },
    }
    return _check(folder, {**laid_over(_template(SINGLE), own), "hyperparameter_ranges": ranges})


def several(count: int) -> dict[str, Any]:
    """A template of so many definitions."""
    template = _template(SEVERAL)
    first = template["training_job_definitions"][0]
    template["training_job_definitions"] = [{**first, "definition_name": f"d{number}"} for number in range(count)]
    if count == 1:
        # Several definitions have an objective each; one alone is written the same way.
        template["training_job_definitions"] = template["training_job_definitions"][:1]
    return template


def _check(folder: Path, template: dict[str, Any]) -> float:
    file = folder / "one.json"
    file.write_text(json.dumps(template), encoding="utf-8")
    account = state({"edition": "aws-2026", "instances_per_type": 100, "instances_total": 100})
    findings = check(read(file), quotas=account)
    assert not any(finding.severity in {"error", "quota"} for finding in findings), findings
    return _seconds(lambda: check(read(file), quotas=account))


def _templates(folder: Path, jobs: int) -> Path:
    templates = folder / f"templates-{jobs}"
    if not templates.exists():
        write_templates(templates, jobs)
    return templates


def _read_all(templates: Path) -> list[Any]:
    return [document for file in sorted(templates.iterdir()) for document in read(file)]


def _template(text: str) -> dict[str, Any]:
    import yaml

    template: dict[str, Any] = yaml.safe_load(text)
    return template


# Synthesis


def synthesize(assemblies: Assemblies, jobs: int) -> float:
    """Construct and synthesize, after a first app has loaded what every app needs."""
    times = assemblies.ours(jobs, warm=True)
    return times["first"] + times["others"] + times["synthesis"]


def template_bytes(assemblies: Assemblies, jobs: int) -> float:
    """The bytes of all templates."""
    assemblies.ours(jobs)
    return sum(file.stat().st_size for file in assemblies.files())


def request_bytes_of_definitions(count: int) -> float:
    """The bytes of the request that the state machine's definition carries."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "one.json"
        file.write_text(json.dumps(several(count)), encoding="utf-8")
        return len(json.dumps(read(file)[0].request))


# Views and the engine


def show(count: int) -> float:
    """Sort, tabulate and render training jobs as `hpo show --limit 0` does, reasons of failures included."""
    from rich.console import Console

    from hpo_constructs.report.training_jobs import training_jobs_table
    from hpo_constructs.report.tuning_jobs import failure_reasons, sorted_training_jobs

    summaries = _summaries(count)

    def view() -> None:
        chosen = sorted_training_jobs(summaries, "objective")
        failure_reasons(summaries)
        table = training_jobs_table("churn", chosen, "churn-001", in_order=True)
        Console(file=io.StringIO(), width=160).print(table)

    return _seconds(view)


def _summaries(count: int) -> list[dict[str, Any]]:
    """Training jobs as SageMaker lists them; every tenth one failed."""
    chance, begin = random.Random(0), datetime(2026, 1, 1, tzinfo=UTC)  # noqa: S311 - a bench
    objective = {"Type": "Maximize", "MetricName": "validation:auc"}
    summaries = []
    for number in range(count):
        failed = number % 10 == 9
        outcome: dict[str, Any] = (
            {"FailureReason": f"AlgorithmError: out of memory in step {number}"}
            if failed
            else {"FinalHyperParameterTuningJobObjectiveMetric": {**objective, "Value": chance.random()}}
        )
        created = begin + timedelta(minutes=number)
        summaries.append(
            {
                "TrainingJobName": f"churn-{number:03}",
                "TrainingJobStatus": "Failed" if failed else "Completed",
                "CreationTime": created,
                "TrainingStartTime": created,
                "TrainingEndTime": created + timedelta(seconds=chance.randrange(600)),
                "TunedHyperParameters": {name: str(chance.random()) for name in _SEARCHED},
                **outcome,
            }
        )
    return summaries


def report(count: int) -> float:
    """Render the page of `hpo report`, with plots, importances and the table of all training jobs."""
    from hpo_constructs.report.html import render
    from hpo_constructs.report.results import TuningJobResult

    summaries = _summaries(count)
    tuning_job = {
        **read(_EXAMPLE)[0].request,
        "HyperParameterTuningJobStatus": "Completed",
        "CreationTime": summaries[0]["CreationTime"],
        "HyperParameterTuningEndTime": summaries[-1]["TrainingEndTime"],
        "TrainingJobStatusCounters": {"Completed": count},
        "BestTrainingJob": summaries[0],
    }
    render(TuningJobResult(tuning_job, summaries[:10]))  # imports what it needs
    return _seconds(lambda: render(TuningJobResult(tuning_job, summaries)))


def tune(strategy: str, count: int) -> float:
    """Run a tuning job of so many training jobs, ten at a time, which train nothing on a clock that jumps."""
    from hpo_constructs.local.engine.clock import SimulatedClock
    from hpo_constructs.local.engine.plan import read_plan
    from hpo_constructs.local.engine.simulation import Outcome, SimulatedBackend
    from hpo_constructs.local.engine.tuner import Tuner

    limits = {"MaxNumberOfTrainingJobs": count, "MaxParallelTrainingJobs": 10}
    request = laid_over(
        read(_EXAMPLE)[0].request,
        {"HyperParameterTuningJobConfig": {"Strategy": strategy, "ResourceLimits": limits}},
    )
    wanted = read_plan(request)
    clock, chance = SimulatedClock(), random.Random(0)  # noqa: S311 - a bench

    def outcome(order: Any) -> Outcome:
        score = (
            -((float(order.hyperparameters["eta"]) - 0.2) ** 2) - (float(order.hyperparameters["subsample"]) - 0.7) ** 2
        )
        return Outcome(60 + 60 * chance.random(), {"validation:auc": score + chance.gauss(0, 0.01)})

    backend = SimulatedBackend(clock, outcome)
    tuner = Tuner(wanted, searchers=wanted.searchers(0), backend=backend, clock=clock, seed=0)
    took = _seconds(tuner.run)
    assert len(tuner.jobs) == count, tuner.failure_reason
    return took


def propose(known: int) -> float:
    """One proposal for four hyperparameters, of which so many results are known."""
    return _propose(4, known)


def propose_ranges(count: int) -> float:
    """One proposal for so many hyperparameters, of which 50 results are known."""
    return _propose(count, 50)


def _propose(count: int, known: int) -> float:
    from hpo_constructs.local.engine.searcher import ContinuousRange, Experience, OptunaSearcher

    chance = random.Random(0)  # noqa: S311 - a bench
    points = [{f"x{index}": str(chance.random()) for index in range(count)} for _ in range(known)]
    results = tuple((point, sum((float(value) - 0.3) ** 2 for value in point.values())) for point in points)
    searcher = OptunaSearcher(
        [ContinuousRange(f"x{index}", 0, 1) for index in range(count)],
        strategy="Bayesian",
        maximize=False,
        seed=0,
        experience=Experience(results=results),
    )
    # The first one finds the model's hyperparameters from nothing; those after it start from its own.
    searcher.suggest()
    return _seconds(searcher.suggest)


def _seconds(work: Callable[[], object]) -> float:
    """Seconds of this process's processor time: what else the machine does would bend a curve."""
    begin = time.process_time()
    work()
    return time.process_time() - begin
