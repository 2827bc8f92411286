"""What to try next: searchers over the parameter ranges of one training job definition.

A searcher proposes values as the strings that the API carries, and learns from the values of the objective metric.
Random and Bayesian searches are Optuna studies; a grid is enumerated.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-how-it-works.html
"""

from __future__ import annotations

import itertools
import math
import random
from collections import deque
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
    """Proposes combinations of hyperparameter values and learns from what came of them.

    The tuner calls it from one thread at a time. ``hpo_constructs.local.engine.contracts`` has a suite that any
    searcher should pass.
    """

    def suggest(self) -> Suggestion | None:
        """Propose what to try next; None when there is nothing left to try.

        What was proposed and not yet observed still runs. No combination of a finite space is proposed twice.
        """

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


@dataclass(frozen=True)
class Experience:
    """What earlier tuning jobs tell a searcher.

    Attributes:
        results: combinations with their objective values, which count like the searcher's own.
        first: combinations to try first, the most promising one first.
    """

    results: tuple[tuple[Mapping[str, str], float], ...] = ()
    first: tuple[Mapping[str, str], ...] = ()


class OptunaSearcher:
    """Random or Bayesian search by Optuna.

    No combination of a finite space is proposed twice; when all were proposed there is nothing left to try.

    Args:
        ranges: what to search.
        strategy: ``Random``, or ``Bayesian``: a Gaussian process (``gaussian_process``), which at equal budget finds
            better values than Optuna's samplers of the same weight; ``bench/search_quality.py`` measures it.
        maximize: whether more is better.
        seed: the same seed and the same observations in the same order give the same proposals.
        warmup: how many proposals of a Bayesian search are random before it learns; results of earlier tuning jobs
            count among them.
        experience: what earlier tuning jobs tell; what lies outside the ranges is left out. Of the combinations to
            try first at most ``warmup`` are taken.
    """

    def __init__(
        self,
        ranges: Sequence[Range],
        *,
        strategy: str,
        maximize: bool,
        seed: int,
        warmup: int = 10,
        experience: Experience | None = None,
    ) -> None:
        # Optuna takes a while to load, and only a tuning job needs it.
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = {searched.name: _distribution(searched) for searched in ranges}
        sampler: BaseSampler
        if strategy == "Random":
            sampler = optuna.samplers.RandomSampler(seed=seed)
        elif strategy == "Bayesian":
            from .gaussian_process import GaussianProcessSampler

            sampler = GaussianProcessSampler(self._distributions, seed=seed, warmup=warmup)
        else:
            raise ValueError(f"Strategy must be Random or Bayesian, got {strategy!r}")
        self._study = optuna.create_study(sampler=sampler, direction="maximize" if maximize else "minimize")
        self._failed = optuna.trial.TrialState.FAIL
        self._ranges = tuple(ranges)
        self._random = random.Random(seed)  # noqa: S311 - a search, no secret
        self._combinations = combinations(ranges)
        self._seen: set[tuple[str, ...]] = set()
        known = experience or Experience()
        for values, objective in known.results:
            if (parameters := self._parameters(values)) is not None:
                self._study.add_trial(
                    optuna.trial.create_trial(
                        params=parameters, distributions=self._distributions, value=float(objective)
                    )
                )
        within = (parameters for values in known.first if (parameters := self._parameters(values)) is not None)
        self._first = deque(itertools.islice(within, warmup))

    def suggest(self) -> Suggestion | None:
        """Propose the next combination; None when a finite space has no other left."""
        if len(self._seen) >= self._combinations:
            return None
        while self._first:
            self._study.enqueue_trial(self._first.popleft())
            if (suggestion := self._ask_new()) is not None:
                return suggestion
        for _ in range(_ASKS_BEFORE_ENUMERATION):
            if (suggestion := self._ask_new()) is not None:
                return suggestion
        if self._combinations > _ENUMERABLE:
            # A model that insists on what was tried: anything else from so large a space.
            return self._ask_for(self._untried_by_chance())
        untried = [one for one in _enumerate(self._ranges) if tuple(one.values()) not in self._seen]
        return self._ask_for(self._random.choice(untried))

    def observe(self, suggestion: Suggestion, value: float | None) -> None:
        """Learn from a finished training job. One without a value is left out of what is learnt."""
        if value is None:
            self._study.tell(suggestion.handle, state=self._failed)
        else:
            self._study.tell(suggestion.handle, value)

    def _ask_new(self) -> Suggestion | None:
        suggestion = self._ask()
        if (key := tuple(suggestion.values.values())) in self._seen:
            self._study.tell(suggestion.handle, state=self._failed)
            return None
        self._seen.add(key)
        return suggestion

    def _ask_for(self, values: Mapping[str, str]) -> Suggestion:
        self._seen.add(tuple(values.values()))
        self._study.enqueue_trial({searched.name: _parse(searched, values) for searched in self._ranges})
        return self._ask()

    def _ask(self) -> Suggestion:
        trial: Trial = self._study.ask(self._distributions)
        return Suggestion({one.name: _render(one, trial.params[one.name]) for one in self._ranges}, trial)

    def _untried_by_chance(self) -> dict[str, str]:
        while True:
            values = {searched.name: _by_chance(searched, self._random) for searched in self._ranges}
            if tuple(values.values()) not in self._seen:
                return values

    def _parameters(self, values: Mapping[str, str]) -> dict[str, Any] | None:
        """Read a combination of another tuning job; None when it is not within the ranges."""
        if not all(_is_within(searched, values[searched.name]) for searched in self._ranges):
            return None
        return {searched.name: _parse(searched, values) for searched in self._ranges}


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
    text = values[searched.name]
    match searched:
        case CategoricalRange():
            return text
        case IntegerRange():
            return int(text)
        case ContinuousRange(scaling="ReverseLogarithmic"):
            return 1 - float(text)
        case ContinuousRange():
            return float(text)


def _is_within(searched: Range, text: str) -> bool:
    if isinstance(searched, CategoricalRange):
        return text in searched.values
    try:
        value = int(text) if isinstance(searched, IntegerRange) else float(text)
    except ValueError:
        return False
    return searched.low <= value <= searched.high


def _by_chance(searched: Range, chance: random.Random) -> str:
    match searched:
        case CategoricalRange():
            return chance.choice(searched.values)
        case IntegerRange():
            return str(chance.randint(searched.low, searched.high))
        case ContinuousRange():
            return str(chance.uniform(searched.low, searched.high))


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
