"""How important each hyperparameter was, by Optuna's fANOVA.

fANOVA, because its answer reads well: the share of the objective's variation that a hyperparameter explains over the
whole searched space. PED-ANOVA is faster, but tells what separates the best tenth from the rest, which is another
question and moves with every new best.

Source: https://optuna.readthedocs.io/en/stable/reference/generated/optuna.importance.FanovaImportanceEvaluator.html
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..spec.ranges import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter

if TYPE_CHECKING:
    from .results import Definition, TrainingJob

# Fewer points than this say nothing about shares of variation.
_FEWEST = 4
# Trees of this size tell shares as well as Optuna's own ten times larger forest does, for 500 training jobs in half a
# second.
_TREES, _DEPTH = 16, 8


def importances(definition: Definition, jobs: Sequence[TrainingJob], *, seed: int) -> dict[str, float]:
    """The importances of a definition's hyperparameters, the largest first.

    Raises:
        ResultError: There are too few training jobs with an objective, or nothing varies.
    """
    from .results import ResultError

    of = f" of {definition.name}" if definition.name else ""
    valued = [job for job in jobs if job.objective_value is not None]
    if len(valued) < _FEWEST:
        raise ResultError(
            f"importances need at least {_FEWEST} training jobs with an objective value; {len(valued)}{of} have one"
        )
    if len({job.objective_value for job in valued}) == 1:
        raise ResultError(f"importances need an objective that varies; it is the same in all training jobs{of}")
    # A hyperparameter that not every training job has cannot be compared over all of them.
    names = [name for name in valued[0].hyperparameters if all(name in job.hyperparameters for job in valued)]
    varying = [name for name in names if len({job.hyperparameters[name] for job in valued}) > 1]
    if not varying:
        raise ResultError(f"importances need hyperparameters that vary; none does in the training jobs{of}")
    found = _evaluated({name: definition.parameters.get(name) for name in varying}, valued, seed)
    every = {**dict.fromkeys(names, 0.0), **found}
    return dict(sorted(every.items(), key=lambda item: (-item[1], item[0])))


def _evaluated(parameters: Mapping[str, Parameter | None], jobs: Sequence[TrainingJob], seed: int) -> dict[str, float]:
    import optuna

    axes = {
        name: _axis(parameter, [job.hyperparameters[name] for job in jobs]) for name, parameter in parameters.items()
    }
    distributions = {name: distribution for name, (distribution, _) in axes.items()}
    with _quiet():
        study = optuna.create_study()
    study.add_trials(
        [
            optuna.trial.create_trial(
                params={name: values[index] for name, (_, values) in axes.items()},
                distributions=distributions,
                value=job.objective_value,
            )
            for index, job in enumerate(jobs)
        ]
    )
    evaluator = optuna.importance.FanovaImportanceEvaluator(n_trees=_TREES, max_depth=_DEPTH, seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {name: float(value) for name, value in found.items()}


def _axis(parameter: Parameter | None, texts: Sequence[str]) -> tuple[Any, list[Any]]:
    """The space of a hyperparameter as Optuna knows it, and the values in it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    from .results import numbers

    values = None if isinstance(parameter, CategoricalParameter) else numbers(texts)
    if values is None:
        return CategoricalDistribution(sorted(set(texts))), list(texts)
    scaled = [float(value or 0.0) for value in values]
    scaling = parameter.scaling_type if isinstance(parameter, ContinuousParameter | IntegerParameter) else None
    if scaling == "ReverseLogarithmic" and max(scaled) < 1:
        scaled = [1 - value for value in scaled]
    logarithmic = scaling in {"Logarithmic", "ReverseLogarithmic"} and min(scaled) > 0
    if logarithmic:
        scaled = [math.log(value) for value in scaled]
    return FloatDistribution(min(scaled), max(scaled)), scaled


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's line about a new study, which is none of the user's; the user's own level is kept."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(level)
