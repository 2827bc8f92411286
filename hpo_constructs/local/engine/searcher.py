"""What to try next: searchers over the parameter ranges of one training job definition.

A searcher proposes values as the strings that the API carries, and learns from the values of the objective metric.
Random and Bayesian searches are Optuna's; a grid is enumerated.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

AUTO_LOGARITHMIC_RATIO = 100.0
"""``Auto`` scaling searches a positive range logarithmically when it spans at least this ratio (two decades)."""

_ENUMERABLE = 10_000
_ASKS_BEFORE_ENUMERATION = 8


@dataclass(frozen=True)
class ContinuousRange:
    """A continuous hyperparameter between two bounds, both included."""

    name: str
    low: float
    high: float
    scaling: str = "Auto"

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.scaling == "ReverseLogarithmic" and not 0 <= self.low < self.high < 1:
            raise ValueError(
                f"0 <= MinValue < MaxValue < 1 must hold for ReverseLogarithmic scaling of {self.name!r}, "
                f"got {self.low:g} and {self.high:g}"
            )


@dataclass(frozen=True)
class IntegerRange:
    """A whole-numbered hyperparameter between two bounds, both included."""

    name: str
    low: int
    high: int
    scaling: str = "Auto"

    def __post_init__(self) -> None:
        _check_bounds(self)
        if self.scaling == "ReverseLogarithmic":
            raise ValueError(
                f"ReverseLogarithmic scaling is for continuous ranges only, got the integer range {self.name!r}; "
                "use Auto, Linear or Logarithmic"
            )


@dataclass(frozen=True)
class CategoricalRange:
    """A hyperparameter with a list of values."""

    name: str
    values: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.values or len(set(self.values)) != len(self.values):
            raise ValueError(f"Values of {self.name!r} must be one or more, none twice, got {list(self.values)}")


Range = ContinuousRange | IntegerRange | CategoricalRange


def read_ranges(parameter_ranges: Mapping[str, Any]) -> tuple[Range, ...]:
    """Read the ``ParameterRanges`` of a request.

    Raises:
        ValueError: a bound is no number, or the bounds do not make a range; the message names the hyperparameter.
    """
    ranges: list[Range] = []
    for continuous in parameter_ranges.get("ContinuousParameterRanges", ()):
        low, high = (_number(continuous, bound, float) for bound in ("MinValue", "MaxValue"))
        ranges.append(ContinuousRange(continuous["Name"], low, high, continuous.get("ScalingType", "Auto")))
    for integer in parameter_ranges.get("IntegerParameterRanges", ()):
        first, last = (_number(integer, bound, int) for bound in ("MinValue", "MaxValue"))
        ranges.append(IntegerRange(integer["Name"], first, last, integer.get("ScalingType", "Auto")))
    ranges.extend(
        CategoricalRange(categorical["Name"], tuple(categorical["Values"]))
        for categorical in parameter_ranges.get("CategoricalParameterRanges", ())
    )
    return tuple(ranges)


def is_logarithmic(searched: ContinuousRange | IntegerRange) -> bool:
    """Tell whether a range is searched on a logarithmic scale.

    ``Auto`` leaves the choice to the service, which does not document it. Here it means logarithmic for a range above
    0 that spans two decades or more, else linear.
    """
    if searched.scaling == "Auto":
        return searched.low > 0 and searched.high / searched.low >= AUTO_LOGARITHMIC_RATIO
    return searched.scaling == "Logarithmic"


def combinations(ranges: Sequence[Range]) -> float:
    """Count the distinct combinations of values; infinite with a continuous range."""
    count = 1.0
    for searched in ranges:
        match searched:
            case ContinuousRange():
                return math.inf
            case IntegerRange():
                count *= searched.high - searched.low + 1
            case CategoricalRange():
                count *= len(searched.values)
    return count


@dataclass(frozen=True)
class Suggestion:
    """One combination of values to try, by hyperparameter, as the API carries them."""

    values: Mapping[str, str]
    handle: Any = field(default=None, compare=False, repr=False)


class Searcher(Protocol):
    """Proposes combinations of hyperparameter values and learns from what came of them."""

    def suggest(self) -> Suggestion | None:
        """Propose what to try next; None when there is nothing left to try."""

    def observe(self, suggestion: Suggestion, value: float | None) -> None:
        """Learn the objective metric's final value for a proposal; None when its training job gave none."""


class GridSearcher:
    """Tries every combination of categorical values once, in the order of the request."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        for searched in ranges:
            if not isinstance(searched, CategoricalRange):
                raise ValueError(
                    f"Grid searches categorical hyperparameters only, got {searched.name!r}; "
                    "make it categorical or use another strategy"
                )
        self._combinations = _enumerate(ranges)

    def suggest(self) -> Suggestion | None:
        """Give the next combination, None after the last one."""
        values = next(self._combinations, None)
        return None if values is None else Suggestion(values)

    def observe(self, suggestion: Suggestion, value: float | None) -> None:
        """Do nothing: a grid does not learn."""


class OptunaSearcher:
    """Random or Bayesian search by Optuna.

    No combination of a finite space is proposed twice while others are untried.

    Args:
        ranges: what to search.
        strategy: ``Random``, or ``Bayesian``: Optuna's tree-structured Parzen estimator, in which proposals that
            still run count as poor ones, so that parallel proposals keep apart.
        maximize: whether more is better.
        seed: the same seed and the same observations in the same order give the same proposals.
        warmup: how many proposals of a Bayesian search are random before it learns.
    """

    def __init__(self, ranges: Sequence[Range], *, strategy: str, maximize: bool, seed: int, warmup: int = 10) -> None:
        # Optuna takes a while to load, and only a tuning job needs it.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler: BaseSampler
        if strategy == "Random":
            sampler = optuna.samplers.RandomSampler(seed=seed)
        elif strategy == "Bayesian":
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=warmup, constant_liar=True)
        else:
            raise ValueError(f"Strategy must be Random or Bayesian, got {strategy!r}")
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._failed = optuna.trial.TrialState.FAIL
        self._ranges = tuple(ranges)
        self._distributions = {searched.name: _distribution(searched) for searched in ranges}
        self._random = random.Random(seed)  # noqa: S311 - a search, no secret
        self._combinations = combinations(ranges)
        self._seen: set[tuple[str, ...]] = set()

    def suggest(self) -> Suggestion:
        """Propose the next combination. A finite space starts over when every combination was tried."""
        if len(self._seen) >= self._combinations:
            self._seen.clear()
        for _ in range(_ASKS_BEFORE_ENUMERATION):
            suggestion = self._ask()
            if (key := tuple(suggestion.values.values())) not in self._seen:
                self._seen.add(key)
                return suggestion
            self._study.tell(suggestion.handle, state=self._failed)
        if self._combinations > _ENUMERABLE:  # So many combinations that a repeated one is no loss.
            return self._ask()
        untried = [one for one in _enumerate(self._ranges) if tuple(one.values()) not in self._seen]
        chosen = self._random.choice(untried)
        self._seen.add(tuple(chosen.values()))
        self._study.enqueue_trial({searched.name: _parse(searched, chosen) for searched in self._ranges})
        return self._ask()

    def observe(self, suggestion: Suggestion, value: float | None) -> None:
        """Learn from a finished training job. One without a value is left out of what is learnt."""
        if value is None:
            self._study.tell(suggestion.handle, state=self._failed)
        else:
            self._study.tell(suggestion.handle, value)

    def _ask(self) -> Suggestion:
        trial: Trial = self._study.ask(self._distributions)
        return Suggestion({one.name: _render(one, trial.params[one.name]) for one in self._ranges}, trial)


def _check_bounds(searched: ContinuousRange | IntegerRange) -> None:
    if not (math.isfinite(searched.low) and math.isfinite(searched.high) and searched.low < searched.high):
        raise ValueError(f"MinValue < MaxValue must hold for {searched.name!r}, got {searched.low} and {searched.high}")
    if searched.scaling == "Logarithmic" and searched.low <= 0:
        raise ValueError(f"MinValue > 0 must hold for Logarithmic scaling of {searched.name!r}, got {searched.low}")


def _number(searched: Mapping[str, Any], bound: str, kind: type[Any]) -> Any:
    try:
        return kind(searched[bound])
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise ValueError(f"{bound} of {searched['Name']!r} must be {wanted}, got {searched[bound]!r}") from None


def _distribution(searched: Range) -> BaseDistribution:
    from optuna import distributions

    match searched:
        case CategoricalRange():
            return distributions.CategoricalDistribution(searched.values)
        case IntegerRange():
            return distributions.IntDistribution(searched.low, searched.high, log=is_logarithmic(searched))
        case ContinuousRange(scaling="ReverseLogarithmic"):
            # The distance from 1 is searched on a logarithmic scale.
            return distributions.FloatDistribution(1 - searched.high, 1 - searched.low, log=True)
        case ContinuousRange():
            return distributions.FloatDistribution(searched.low, searched.high, log=is_logarithmic(searched))


def _render(searched: Range, value: Any) -> str:
    if isinstance(searched, ContinuousRange):
        if searched.scaling == "ReverseLogarithmic":
            value = 1 - value
        # Rounding must not carry a value over a bound.
        value = min(max(value, searched.low), searched.high)
    return str(value)


def _parse(searched: Range, values: Mapping[str, str]) -> Any:
    value = values[searched.name]
    return int(value) if isinstance(searched, IntegerRange) else value


def _enumerate(ranges: Sequence[Range]) -> Iterator[dict[str, str]]:
    choices: list[Sequence[str]] = []
    for searched in ranges:
        match searched:
            case CategoricalRange():
                choices.append(searched.values)
            case IntegerRange():
                choices.append([str(value) for value in range(searched.low, searched.high + 1)])
            case ContinuousRange():
                raise ValueError(f"a continuous range cannot be enumerated, got {searched.name!r}")
    names = [searched.name for searched in ranges]
    return (dict(zip(names, values, strict=True)) for values in itertools.product(*choices))
