"""Rules that end training jobs before their time."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import pytest

from hpo_constructs.local.engine.stopping import HyperbandRule, MedianRule, StoppingRule


def run(rule: StoppingRule, name: str, values: Sequence[float]) -> int | None:
    """Report values; the epoch after which the rule stops the training job, None when it lets it complete."""
    rule.start(name)
    for epoch, value in enumerate(values, start=1):
        if rule.report(name, value):
            rule.end(name, completed=False)
            return epoch
    rule.end(name, completed=True)
    return None


class TestMedianRule:
    def test_compares_the_value_with_the_median_of_running_averages(self) -> None:
        rule = MedianRule(maximize=True, warmup=3)
        for number, last in enumerate((0.5, 0.6, 0.7)):
            assert run(rule, f"job-{number}", [0.1, 0.3, last]) is None
        # Running averages after the third epoch: 0.3, 0.333, 0.367; at the first two all are alike.
        assert run(rule, "just-good-enough", [0.1, 0.2, 1 / 3 + 1e-9]) is None
        rule = MedianRule(maximize=True, warmup=3)
        for number, last in enumerate((0.5, 0.6, 0.7)):
            run(rule, f"job-{number}", [0.1, 0.3, last])
        assert run(rule, "a-little-worse", [0.1, 0.2, 1 / 3 - 1e-9, 0.9]) == 3

    def test_minimizing_turns_it_round(self) -> None:
        rule = MedianRule(maximize=False, warmup=1)
        run(rule, "first", [4.0, 2.0, 2.0])
        assert run(rule, "better", [4.0, 2.9, 2.6]) is None
        assert run(rule, "worse", [4.0, 5.0]) == 2

    def test_nothing_stops_before_enough_have_completed(self) -> None:
        rule = MedianRule(maximize=True, warmup=10)
        for number in range(10):
            assert run(rule, f"job-{number}", [1.0 - number / 10, 0.5]) is None
        assert run(rule, "poor", [0.0, 0.0]) == 1

    def test_the_first_quarter_of_the_epochs_is_spared(self) -> None:
        rule = MedianRule(maximize=True, warmup=1)
        run(rule, "first", [1.0] * 20)
        assert run(rule, "slow-starter", [0.0] * 20) == 5

    def test_no_number_is_worse_than_any(self) -> None:
        rule = MedianRule(maximize=True, warmup=1)
        run(rule, "first", [-1e9] * 3)
        assert run(rule, "diverged", [math.nan, 1.0]) == 1

    def test_one_without_values_counts_for_nothing(self) -> None:
        rule = MedianRule(maximize=True, warmup=1)
        run(rule, "silent", [])
        assert run(rule, "next", [0.0]) is None

    def test_epochs_that_nobody_has_reached_have_no_median(self) -> None:
        rule = MedianRule(maximize=True, warmup=1)
        run(rule, "short", [0.5])
        assert run(rule, "long", [0.6, 0.0, 0.0]) is None


class TestHyperbandRule:
    def test_brackets_and_their_rungs(self) -> None:
        assert HyperbandRule(min_resource=1, max_resource=81, maximize=True).brackets == (
            (1, 3, 9, 27),
            (3, 9, 27),
            (9, 27),
            (27,),
            (),
        )
        assert HyperbandRule(min_resource=10, max_resource=20, maximize=True).brackets == ((10,), ())

    def test_training_jobs_are_shared_as_published(self) -> None:
        rule = HyperbandRule(min_resource=1, max_resource=81, maximize=True)
        for number in range(143):
            rule.start(f"job-{number}")
        # Table 1 of the paper: 81, 34, 15, 8 and 5 for R = 81 and a factor of 3.
        assert sorted(Counter(rule._bracket_of.values()).values(), reverse=True) == [81, 34, 15, 8, 5]

    def test_at_a_rung_the_best_third_goes_on(self) -> None:
        rule = HyperbandRule(min_resource=2, max_resource=5, maximize=True)
        first_bracket = 0
        survivors = []
        # Ascending values: each one is the best so far and goes on. Descending: after the first, only the best third.
        for number in range(40):
            name = f"job-{number}"
            stopped = run_in(rule, name, [0.0, 1.0 - number / 40, 1.0])
            if stopped.bracket == first_bracket:
                survivors.append(stopped.epoch is None)
        assert survivors[0]
        assert not any(survivors[1:])

    def test_nothing_stops_before_the_least_resource(self) -> None:
        rule = HyperbandRule(min_resource=4, max_resource=100, maximize=False)
        for number in range(60):
            stopped = run(rule, f"job-{number}", [float(number)] * 99)
            assert stopped is None or stopped >= 4

    def test_the_most_resource_is_the_end(self) -> None:
        rule = HyperbandRule(min_resource=1, max_resource=9, maximize=True)
        assert run(rule, "best", [1.0] * 30) == 9

    def test_a_value_that_is_no_number_is_the_worst(self) -> None:
        rule = HyperbandRule(min_resource=1, max_resource=3, maximize=True)
        stopped = []
        for number in range(12):
            found = run_in(rule, f"job-{number}", [math.nan if number % 2 else -1e9, 0.0])
            if found.bracket == 0 and number % 2:
                stopped.append(found.epoch)
        assert stopped
        assert set(stopped) == {1}

    def test_a_retried_training_job_stays_in_its_bracket(self) -> None:
        rule = HyperbandRule(min_resource=1, max_resource=9, maximize=True)
        rule.start("job-1")
        bracket = rule._bracket_of["job-1"]
        rule.report("job-1", 1.0)
        rule.start("job-1")
        assert rule._bracket_of["job-1"] == bracket
        assert [rule.report("job-1", 1.0) for _ in range(9)] == [False] * 8 + [True]

    @pytest.mark.parametrize(("least", "most"), [(0, 5), (5, 5), (6, 5)])
    def test_resources_that_make_no_bracket(self, least: int, most: int) -> None:
        with pytest.raises(ValueError, match=f"MinResource={least}, MaxResource={most}"):
            HyperbandRule(min_resource=least, max_resource=most, maximize=True)


class Stopped:
    def __init__(self, bracket: int, epoch: int | None) -> None:
        self.bracket, self.epoch = bracket, epoch


def run_in(rule: HyperbandRule, name: str, values: Sequence[float]) -> Stopped:
    """As ``run``, with the bracket that the training job was in."""
    rule.start(name)
    bracket = rule._bracket_of[name]
    epoch = next((number for number, value in enumerate(values, start=1) if rule.report(name, value)), None)
    rule.end(name, completed=epoch is None)
    return Stopped(bracket, epoch)
