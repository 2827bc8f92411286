"""Searchers: one suite that each of them passes, and what is special to each."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

import pytest

from hpo_constructs.local.engine.searcher import (
    CategoricalRange,
    ContinuousRange,
    GridSearcher,
    IntegerRange,
    OptunaSearcher,
    Range,
    Searcher,
    combinations,
    is_logarithmic,
    read_ranges,
)

Make = Callable[[Sequence[Range]], Searcher]

FINITE = (CategoricalRange("booster", ("gbtree", "dart")), CategoricalRange("grow", ("a", "b", "c")))


def optuna_searcher(strategy: str, ranges: Sequence[Range], seed: int = 7, **rest: int) -> OptunaSearcher:
    return OptunaSearcher(ranges, strategy=strategy, maximize=True, seed=seed, **rest)


@pytest.fixture(params=["Random", "Bayesian", "Grid"])
def make(request: pytest.FixtureRequest) -> Make:
    """Makes a searcher of each kind."""
    if request.param == "Grid":
        return GridSearcher
    return lambda ranges: optuna_searcher(request.param, ranges)


class TestEverySearcher:
    def test_proposes_each_combination_of_a_finite_space_once(self, make: Make) -> None:
        searcher = make(FINITE)
        seen = []
        for number in range(6):
            suggestion = searcher.suggest()
            assert suggestion is not None
            searcher.observe(suggestion, float(number % 2))
            seen.append(tuple(sorted(suggestion.values.items())))
        assert len(set(seen)) == 6

    def test_parallel_proposals_differ_too(self, make: Make) -> None:
        searcher = make(FINITE)
        suggestions = [searcher.suggest() for _ in range(6)]
        assert len({tuple(one.values.items()) for one in suggestions if one is not None}) == 6

    def test_values_are_strings_in_the_order_of_the_ranges(self, make: Make) -> None:
        suggestion = make(FINITE).suggest()
        assert suggestion is not None
        assert list(suggestion.values) == ["booster", "grow"]
        assert suggestion.values["booster"] in ("gbtree", "dart")

    def test_a_failed_training_job_does_not_end_the_search(self, make: Make) -> None:
        searcher = make(FINITE)
        first = searcher.suggest()
        assert first is not None
        searcher.observe(first, None)
        assert searcher.suggest() is not None


@pytest.mark.parametrize("strategy", ["Random", "Bayesian"])
class TestOptunaSearcher:
    RANGES = (
        ContinuousRange("eta", 0.1, 0.3),
        IntegerRange("max_depth", 2, 10),
        CategoricalRange("booster", ("gbtree", "dart")),
    )

    def replay(self, strategy: str, seed: int) -> list[dict[str, str]]:
        searcher = optuna_searcher(strategy, self.RANGES, seed, warmup=3)
        values = []
        for _ in range(12):
            suggestion = searcher.suggest()
            values.append(dict(suggestion.values))
            searcher.observe(suggestion, -float(suggestion.values["eta"]))
        return values

    def test_same_seed_same_proposals(self, strategy: str) -> None:
        assert self.replay(strategy, 1) == self.replay(strategy, 1)
        assert self.replay(strategy, 1) != self.replay(strategy, 2)

    def test_stays_within_the_ranges(self, strategy: str) -> None:
        for values in self.replay(strategy, 3):
            assert 0.1 <= float(values["eta"]) <= 0.3
            assert 2 <= int(values["max_depth"]) <= 10

    def test_a_finite_space_starts_over_when_all_was_tried(self, strategy: str) -> None:
        searcher = optuna_searcher(strategy, FINITE)
        keys = [tuple(searcher.suggest().values.values()) for _ in range(12)]
        assert len(set(keys[:6])) == len(set(keys[6:])) == 6

    def test_integers_are_not_repeated_while_others_remain(self, strategy: str) -> None:
        searcher = optuna_searcher(strategy, [IntegerRange("num_round", 1, 40)])
        suggestions = []
        for _ in range(40):
            suggestion = searcher.suggest()
            searcher.observe(suggestion, 1.0)
            suggestions.append(suggestion.values["num_round"])
        assert sorted(map(int, suggestions)) == list(range(1, 41))


def test_bayesian_finds_more_than_random_does() -> None:
    def best(strategy: str, seed: int) -> float:
        searcher = OptunaSearcher(
            [ContinuousRange("x", 0, 1), ContinuousRange("y", 0, 1)],
            strategy=strategy,
            maximize=False,
            seed=seed,
            warmup=8,
        )
        results = []
        for _ in range(40):
            suggestion = searcher.suggest()
            x, y = (float(value) for value in suggestion.values.values())
            results.append((x - 0.31) ** 2 + (y - 0.72) ** 2)
            searcher.observe(suggestion, results[-1])
        return min(results)

    seeds = range(6)
    assert sum(best("Bayesian", seed) for seed in seeds) < sum(best("Random", seed) for seed in seeds) / 2


def test_parallel_bayesian_proposals_do_not_pile_up() -> None:
    searcher = optuna_searcher("Bayesian", [ContinuousRange("x", 0, 1)], warmup=4)
    for _ in range(8):
        suggestion = searcher.suggest()
        searcher.observe(suggestion, -abs(float(suggestion.values["x"]) - 0.5))
    together = sorted(float(searcher.suggest().values["x"]) for _ in range(8))
    assert together[-1] - together[0] > 0.2


@pytest.mark.parametrize(
    ("searched", "logarithmic"),
    [
        (ContinuousRange("x", 0.001, 0.1), True),
        (ContinuousRange("x", 0.001, 0.09), False),
        (ContinuousRange("x", 0, 1), False),
        (ContinuousRange("x", 0.1, 0.3, "Logarithmic"), True),
        (ContinuousRange("x", 1e-6, 1, "Linear"), False),
        (IntegerRange("n", 1, 1000), True),
        (IntegerRange("n", 1, 50), False),
    ],
)
def test_scaling(searched: ContinuousRange | IntegerRange, logarithmic: bool) -> None:
    assert is_logarithmic(searched) is logarithmic


def shares_below(scaling: str, low: float, high: float, limit: float) -> float:
    searcher = optuna_searcher("Random", [ContinuousRange("x", low, high, scaling)])
    values = [float(searcher.suggest().values["x"]) for _ in range(400)]
    assert all(low <= value <= high for value in values)
    return sum(value < limit for value in values) / len(values)


def test_scaling_spreads_the_proposals() -> None:
    # Half of the decades, a tenth of the length.
    assert shares_below("Linear", 0.0001, 1, 0.01) < 0.05
    assert 0.4 < shares_below("Logarithmic", 0.0001, 1, 0.01) < 0.6
    assert 0.4 < shares_below("Auto", 0.0001, 1, 0.01) < 0.6
    # Nearly all the decades of the distance from 1 are above 0.9.
    assert shares_below("ReverseLogarithmic", 0.0, 0.9999, 0.9) < 0.35
    assert 0.8 < shares_below("Linear", 0.0, 0.9999, 0.9) < 1


@pytest.mark.parametrize(
    ("make_range", "words"),
    [
        (lambda: ContinuousRange("eta", 0.3, 0.1), "MinValue < MaxValue must hold for 'eta', got 0.3 and 0.1"),
        (lambda: ContinuousRange("eta", 0, 1, "Logarithmic"), "MinValue > 0 must hold"),
        (lambda: ContinuousRange("eta", 0, 1, "ReverseLogarithmic"), "< 1 must hold for ReverseLogarithmic"),
        (lambda: IntegerRange("depth", 1, 5, "ReverseLogarithmic"), "for continuous ranges only"),
        (lambda: ContinuousRange("eta", 0, math.inf), "'eta'"),
        (lambda: CategoricalRange("booster", ("a", "a")), "none twice"),
        (lambda: GridSearcher([IntegerRange("depth", 1, 5)]), "categorical hyperparameters only, got 'depth'"),
    ],
)
def test_a_bad_range_names_itself(make_range: Callable[[], object], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        make_range()


def test_ranges_are_read_from_a_request() -> None:
    ranges = read_ranges(
        {
            "ContinuousParameterRanges": [
                {"Name": "wd", "MinValue": "1e-05", "MaxValue": "1", "ScalingType": "Linear"}
            ],
            "IntegerParameterRanges": [{"Name": "depth", "MinValue": "2", "MaxValue": "8"}],
            "CategoricalParameterRanges": [{"Name": "booster", "Values": ["gbtree"]}],
        }
    )
    assert ranges == (
        ContinuousRange("wd", 1e-5, 1.0, "Linear"),
        IntegerRange("depth", 2, 8, "Auto"),
        CategoricalRange("booster", ("gbtree",)),
    )
    assert combinations(ranges) == math.inf
    assert combinations(ranges[1:]) == 7


@pytest.mark.parametrize("value", ["2.5", "two"])
def test_an_integer_bound_must_be_whole(value: str) -> None:
    with pytest.raises(ValueError, match="MinValue of 'depth' must be a whole number, got"):
        read_ranges({"IntegerParameterRanges": [{"Name": "depth", "MinValue": value, "MaxValue": "8"}]})
