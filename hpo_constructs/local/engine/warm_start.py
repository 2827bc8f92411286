"""Warm starts: what a tuning job takes over from earlier ones, and what the service asks of them.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-warm-start.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .plan import IDENTICAL, Definition, Plan, read_definitions
from .searcher import CategoricalRange, Experience, Range

_MOST_CHANGES = 10
_ENDED = ("Completed", "Stopped", "Failed")
_SET_CHANGED = (
    "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. Please "
    "ensure this set is constant when warm starting. Note that previously static HyperParameters can be tuned in warm "
    "start jobs and vice versa."
)
_ALLOWED_TO_CHANGE = "StaticHyperParameters, HyperParameterRanges, ResourceConfig, StoppingCondition, OutputDataConfig"


@dataclass(frozen=True)
class Parent:
    """A parent tuning job, whether it ran here or is on record.

    Attributes:
        name: its name.
        status: its ``HyperParameterTuningJobStatus``.
        definitions: what it tuned.
        results: all hyperparameters and the objective value of each training job that has one.
        best: what Describe says of its best training job; None without one.
    """

    name: str
    status: str
    definitions: tuple[Definition, ...]
    results: tuple[tuple[Mapping[str, str], float], ...]
    best: Mapping[str, Any] | None = None


def read_parent(
    description: Mapping[str, Any], training_jobs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]]
) -> Parent:
    """Read a parent out of the API's documents.

    Args:
        description: what DescribeHyperParameterTuningJob answers.
        training_jobs: for each training job what DescribeTrainingJob answers, and what
            ListTrainingJobsForHyperParameterTuningJob says of it.
    """
    return Parent(
        name=description["HyperParameterTuningJobName"],
        status=description["HyperParameterTuningJobStatus"],
        definitions=read_definitions(description),
        results=tuple(
            (training_job["HyperParameters"], _objective_value(summary))
            for training_job, summary in training_jobs
            if summary.get("ObjectiveStatus") == "Succeeded"
        ),
        best=description.get("BestTrainingJob"),
    )


def check_parents(plan: Plan, parents: Sequence[Parent]) -> None:
    """Check the parents of a warm start as the service does.

    Raises:
        ValueError: one may not be a parent of this tuning job; the message names it.
    """
    if plan.warm_start is None:
        return
    (definition,) = plan.definitions
    for parent in parents:
        if parent.status not in _ENDED:
            raise ValueError(
                f"the parent tuning job {parent.name} must have ended ({', '.join(_ENDED)}) before a warm start, its "
                f"status is {parent.status}; wait for its end or stop it"
            )
        if len(parent.definitions) > 1:
            raise ValueError(
                f"the parent tuning job {parent.name} must tune one algorithm, got {len(parent.definitions)} "
                "TrainingJobDefinitions; a warm start is for one algorithm"
            )
        (theirs,) = parent.definitions
        if (definition.metric_name, definition.maximize) != (theirs.metric_name, theirs.maximize):
            raise ValueError(
                f"the objective must be that of the parent tuning job {parent.name}, {_objective(theirs)}, got "
                f"{_objective(definition)}"
            )
        _check_hyperparameters(definition, theirs, parent.name)
        if plan.warm_start.kind == IDENTICAL:
            _check_identical(definition, theirs, parent.name)


def experience(plan: Plan, parents: Sequence[Parent]) -> Experience:
    """Collect what the parents' training jobs tell the searcher.

    On identical data every objective value counts like one of the tuning job's own. With transfer learning the values
    cannot be compared with the new ones: only the parents' combinations are taken over, the best ones first.
    """
    if plan.warm_start is None:
        return Experience()
    (definition,) = plan.definitions
    names = [searched.name for searched in definition.ranges]
    known = [
        [
            ({name: hyperparameters[name] for name in names}, value)
            for hyperparameters, value in sorted(
                parent.results, key=lambda result: result[1], reverse=definition.maximize
            )
        ]
        for parent in parents
    ]
    if plan.warm_start.kind == IDENTICAL:
        return Experience(results=tuple(result for ranked in known for result in ranked))
    # In turns: on other data a good value of one parent may be a poor one of another.
    places = range(max((len(ranked) for ranked in known), default=0))
    return Experience(first=tuple(ranked[place][0] for place in places for ranked in known if place < len(ranked)))


def overall_best(plan: Plan, best: Mapping[str, Any] | None, parents: Sequence[Parent]) -> Mapping[str, Any] | None:
    """Give ``OverallBestTrainingJob``: the best of a warm start on identical data and of its parents.

    Args:
        plan: the tuning job.
        best: what Describe says of its best training job; None without one.
        parents: its parents.

    Returns:
        The best training job's summary; None for any other plan, or when there is none.
    """
    if plan.warm_start is None or plan.warm_start.kind != IDENTICAL:
        return None
    (definition,) = plan.definitions
    for parent in parents:
        if parent.best is not None and (
            best is None or definition.better(_objective_value(parent.best), _objective_value(best))
        ):
            best = parent.best
    return best


def _objective_value(summary: Mapping[str, Any]) -> float:
    return float(summary["FinalHyperParameterTuningJobObjectiveMetric"]["Value"])


def _objective(definition: Definition) -> str:
    return f"{'Maximize' if definition.maximize else 'Minimize'} {definition.metric_name}"


def _static(definition: Definition) -> Mapping[str, str]:
    static: Mapping[str, str] = definition.request.get("StaticHyperParameters", {})
    return {name: value for name, value in static.items() if not name.startswith("_")}


def _check_hyperparameters(mine: Definition, theirs: Definition, parent: str) -> None:
    my_ranges, their_ranges = ({one.name: one for one in definition.ranges} for definition in (mine, theirs))
    my_static, their_static = _static(mine), _static(theirs)
    if my_ranges.keys() | my_static.keys() != their_ranges.keys() | their_static.keys():
        raise ValueError(_SET_CHANGED)
    for name in my_ranges.keys() & their_ranges.keys():
        if type(my_ranges[name]) is not type(their_ranges[name]):
            raise ValueError(
                f"the hyperparameter {name} must be {_kind(their_ranges[name])} as in the parent tuning job {parent}, "
                f"got {_kind(my_ranges[name])}"
            )
    changes = sum(_values(their_ranges[name]) for name in their_ranges.keys() & my_static.keys())
    changes += sum(
        1 if _is_number(my_static[name]) and _is_number(their_static[name]) else 2
        for name in my_static.keys() & their_static.keys()
        if my_static[name] != their_static[name]
    )
    if changes > _MOST_CHANGES:
        raise ValueError(
            f"at most {_MOST_CHANGES} changes of static hyperparameters and from searched to static are allowed from "
            f"the parent tuning job {parent}, got {changes}; each value of a categorical hyperparameter counts"
        )


def _check_identical(mine: Definition, theirs: Definition, parent: str) -> None:
    changed = [
        name
        for name, own, other in (
            ("TrainingImage", _image(mine), _image(theirs)),
            ("InputDataConfig", mine.request.get("InputDataConfig"), theirs.request.get("InputDataConfig")),
        )
        if _canonical(own) != _canonical(other)
    ]
    if changed:
        raise ValueError(
            "Only the following fields in TrainingJobDefinition are allowed to change for a warm start of type "
            f"{IDENTICAL}: {_ALLOWED_TO_CHANGE}; the parent tuning job {parent} has other values of "
            f"{', '.join(changed)}, for which there is the type TransferLearning"
        )


def _image(definition: Definition) -> Any:
    algorithm = definition.request["AlgorithmSpecification"]
    return algorithm.get("TrainingImage", algorithm.get("AlgorithmName"))


def _canonical(value: Any) -> str:
    return json.dumps(value or None, sort_keys=True, default=str)


def _kind(searched: Range) -> str:
    return type(searched).__name__.removesuffix("Range").lower()


def _values(searched: Range) -> int:
    return len(searched.values) if isinstance(searched, CategoricalRange) else 1


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
