"""Searchers: the contract that each of them passes, and what is special to each."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

import optuna
import pytest

from hpo_constructs.local.engine.contracts import SearcherContract
from hpo_constructs.local.engine.searcher import (
    CategoricalRange,
    ContinuousRange,
    Experience,
    GridSearcher,
    IntegerRange,
    OptunaSearcher,
    Range,
    Searcher,
    Suggestion,
    combinations,
    is_logarithmic,
    read_ranges,
)


def optuna_searcher(strategy: str, ranges: Sequence[Range], seed: int = 7, **rest: int) -> OptunaSearcher:
    return OptunaSearcher(ranges, strategy=strategy, maximize=True, seed=seed, **rest)


class TestRandom(SearcherContract):
    def make_searcher(self, ranges: Sequence[Range], *, seed: int = 0) -> Searcher:
        return optuna_searcher("Random", ranges, seed)


class TestBayesian(SearcherContract):
    def make_searcher(self, ranges: Sequence[Range], *, seed: int = 0) -> Searcher:
        return optuna_searcher("Bayesian", ranges, seed, warmup=3)


class TestGrid(SearcherContract):
    searches_numbers = False

    def make_searcher(self, ranges: Sequence[Range], *, seed: int = 0) -> Searcher:
        return GridSearcher(ranges)


class ForgetfulSearcher(GridSearcher):
    """Proposes the same thing again and again."""

    def suggest(self) -> Suggestion:
        return Suggestion({"booster": "dart", "grow_policy": "depthwise"})


def test_the_contract_finds_a_searcher_that_breaks_it() -> None:
    class Broken(SearcherContract):
        searches_numbers = False

        def make_searcher(self, ranges: Sequence[Range], *, seed: int = 0) -> Searcher:
            return ForgetfulSearcher(ranges)

    with pytest.raises(AssertionError, match="each combination must come once"):
        Broken().test_proposes_each_combination_of_a_finite_space_once()
    with pytest.raises(AssertionError, match="parallel proposals must differ"):
        Broken().test_parallel_proposals_differ()


def test_the_contracts_need_no_test_framework() -> None:
    code = "import sys, hpo_constructs.local.engine.contracts; print('pytest' in sys.modules, 'optuna' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


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
        for _ in range(24):
            suggestion = searcher.suggest()
            x, y = (float(value) for value in suggestion.values.values())
            results.append((x - 0.31) ** 2 + (y - 0.72) ** 2)
            searcher.observe(suggestion, results[-1])
        return min(results)

    seeds = range(4)
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


class TestExperience:
    RANGES = (ContinuousRange("x", 0, 1), CategoricalRange("kind", ("a", "b")))

    def test_results_count_like_its_own(self) -> None:
        # On a slope towards 0.8 of kind b, the earlier results leave nothing to explore elsewhere.
        results = tuple(
            ({"x": str(x / 10), "kind": kind}, -abs(x / 10 - 0.8) - (kind == "a")) for x in range(11) for kind in "ab"
        )
        searcher = OptunaSearcher(
            self.RANGES, strategy="Bayesian", maximize=True, seed=1, experience=Experience(results=results)
        )
        suggestion = searcher.suggest()
        assert suggestion is not None
        assert suggestion.values["kind"] == "b"
        assert abs(float(suggestion.values["x"]) - 0.8) < 0.1

    def test_promising_combinations_come_first_and_what_is_out_of_range_is_left_out(self) -> None:
        first = (
            {"x": "0.25", "kind": "b"},
            {"x": "7", "kind": "a"},
            {"x": "0.5", "kind": "c"},
            {"x": "1", "kind": "a"},
        )
        for strategy in ("Random", "Bayesian"):
            searcher = OptunaSearcher(
                self.RANGES, strategy=strategy, maximize=True, seed=1, experience=Experience(first=first)
            )
            proposals = [searcher.suggest() for _ in range(2)]
            assert [dict(one.values) for one in proposals if one is not None] == [
                {"x": "0.25", "kind": "b"},
                {"x": "1.0", "kind": "a"},
            ]

    def test_reverse_logarithmic_values_survive(self) -> None:
        searcher = OptunaSearcher(
            (ContinuousRange("momentum", 0, 0.999, "ReverseLogarithmic"),),
            strategy="Random",
            maximize=True,
            seed=1,
            experience=Experience(first=({"momentum": "0.9"},)),
        )
        suggestion = searcher.suggest()
        assert suggestion is not None
        assert math.isclose(float(suggestion.values["momentum"]), 0.9)


def test_a_bayesian_proposal_asks_the_model_once_where_the_best_place_is_a_corner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Every slope ends in the corner, which is tried once: asking anew for something else would cost a fit each time.
    asked = []
    ask = optuna.study.Study.ask
    monkeypatch.setattr(optuna.study.Study, "ask", lambda *arguments: asked.append(None) or ask(*arguments))
    searcher = optuna_searcher("Bayesian", [ContinuousRange("x", 0, 1), ContinuousRange("y", 0, 1)], warmup=4)
    seen = set()
    for _ in range(40):
        suggestion = searcher.suggest()
        assert suggestion is not None
        x, y = (float(value) for value in suggestion.values.values())
        searcher.observe(suggestion, x - y)
        seen.add((x, y))
    assert (1.0, 0.0) in seen
    assert len(seen) == 40
    assert len(asked) == 40


def test_a_huge_finite_space_has_no_repeats_either() -> None:
    searcher = optuna_searcher("Bayesian", [IntegerRange("n", 1, 20_000)], warmup=3)
    seen = []
    for _ in range(30):
        suggestion = searcher.suggest()
        assert suggestion is not None
        # Always the same best place.
        searcher.observe(suggestion, -abs(int(suggestion.values["n"]) - 777) / 20_000)
        seen.append(suggestion.values["n"])
    assert len(set(seen)) == 30


def test_bayesian_search_survives_values_without_differences_and_huge_ones() -> None:
    for values in ([1.0] * 6, [1e300, -1e300] * 3, [0.0, 1e-300] * 3):
        searcher = optuna_searcher("Bayesian", [ContinuousRange("x", 0, 1)], warmup=2)
        for value in values:
            suggestion = searcher.suggest()
            assert suggestion is not None
            assert 0 <= float(suggestion.values["x"]) <= 1
            searcher.observe(suggestion, value)
