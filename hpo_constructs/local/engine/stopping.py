"""When to end a training job before its time: rules over the objective metric after each epoch.

Both rules see the same thing, one value of the objective metric for each epoch of a training job, in the order in
which the training jobs of one definition report them. Optuna's own pruners are not used: they read a study's trials,
and so would tie what is stopped to one kind of searcher, and none of them is the rule that the service documents.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-early-stopping.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_HyperbandStrategyConfig.html
"""

from __future__ import annotations

import bisect
import math
import statistics
from typing import Protocol

REDUCTION_FACTOR = 3
"""Hyperband lets one in so many training jobs go on at each of its decisions."""

_LEAST_SHARE_OF_EPOCHS = 0.25


class StoppingRule(Protocol):
    """Decides about the training jobs of one definition."""

    def start(self, name: str) -> None:
        """Note a training job that starts, or starts again after an internal error."""

    def report(self, name: str, value: float) -> bool:
        """Learn the objective metric after one more epoch; tell whether to stop the training job now."""

    def end(self, name: str, *, completed: bool) -> None:
        """Note the end of a training job; ``completed`` when it ran to its own end."""


class MedianRule:
    """Early stopping of the type Auto: stops what is worse than the median of earlier training jobs.

    After each epoch the value is compared with the median, over the training jobs that have ended, of the running
    averages of their values up to the same epoch. Worse than the median stops.

    The service's paper (Perrone et al., "Amazon SageMaker Automatic Model Tuning", section on early stopping) adds
    two safeguards: some training jobs always complete first, and no decision is taken in the first epochs, whose
    number follows from the training jobs that completed. How many epochs is not published: here a quarter of the
    median number.

    Args:
        maximize: whether more is better.
        warmup: how many training jobs complete before any is stopped.
    """

    def __init__(self, *, maximize: bool, warmup: int = 10) -> None:
        self._sign = -1.0 if maximize else 1.0
        self._warmup = warmup
        self._averages: dict[str, list[float]] = {}
        self._sums: dict[str, float] = {}
        self._ended_by_epoch: list[list[float]] = []
        self._completed_epochs: list[int] = []

    def start(self, name: str) -> None:
        """Begin a training job's averages."""
        self._averages[name] = []
        self._sums[name] = 0.0

    def report(self, name: str, value: float) -> bool:
        """Compare with the median of the running averages at the same epoch."""
        averages = self._averages[name]
        signed = self._sign * value if math.isfinite(value) else math.inf
        self._sums[name] += signed
        averages.append(self._sums[name] / (len(averages) + 1))
        epoch = len(averages)
        if len(self._completed_epochs) < self._warmup or epoch > len(self._ended_by_epoch):
            return False
        if epoch < _LEAST_SHARE_OF_EPOCHS * statistics.median_low(self._completed_epochs):
            return False
        return signed > statistics.median(self._ended_by_epoch[epoch - 1])

    def end(self, name: str, *, completed: bool) -> None:
        """Let later training jobs be compared with this one."""
        averages = self._averages.pop(name, [])
        self._sums.pop(name, None)
        if not averages:
            return
        if completed:
            bisect.insort(self._completed_epochs, len(averages))
        while len(self._ended_by_epoch) < len(averages):
            self._ended_by_epoch.append([])
        for of_epoch, average in zip(self._ended_by_epoch, averages, strict=False):
            bisect.insort(of_epoch, average)


class HyperbandRule:
    """Hyperband, asynchronous: brackets of training jobs, and in each a decision at every rung.

    A bracket's rungs are the least resource of the bracket and each ``REDUCTION_FACTOR``-fold of it below the most
    resource. At a rung, a training job goes on when its value is among the best one in ``REDUCTION_FACTOR`` of those
    that the bracket has seen there so far; the best one always does. The first bracket begins at ``min_resource``,
    each further one ``REDUCTION_FACTOR`` times later, the last one lets every training job run. Training jobs go to
    the brackets in the proportions of the published algorithm (Li et al., "Hyperband", Journal of Machine Learning
    Research 18, 2018; asynchronous decisions: Li et al., "A System for Massively Parallel Hyperparameter Tuning",
    2020).

    Nothing stops before ``min_resource``; whatever reaches ``max_resource`` is stopped.

    Args:
        min_resource: the fewest epochs that a training job gets.
        max_resource: the most epochs that a training job gets.
        maximize: whether more is better.
    """

    def __init__(self, *, min_resource: int, max_resource: int, maximize: bool) -> None:
        if not 1 <= min_resource < max_resource:
            raise ValueError(
                f"1 <= MinResource < MaxResource must hold, got MinResource={min_resource}, MaxResource={max_resource}"
            )
        self._max_resource = max_resource
        self._sign = -1.0 if maximize else 1.0
        self.brackets = _brackets(min_resource, max_resource)
        most = len(self.brackets) - 1
        self._weights = [
            math.ceil((most + 1) / (most - index + 1) * REDUCTION_FACTOR ** (most - index))
            for index in range(len(self.brackets))
        ]
        self._members = [0] * len(self.brackets)
        self._bracket_of: dict[str, int] = {}
        self._epochs: dict[str, int] = {}
        self._seen: list[dict[int, list[float]]] = [{rung: [] for rung in rungs} for rungs in self.brackets]

    def start(self, name: str) -> None:
        """Put a training job into the bracket that lacks most; one that starts again stays in its own."""
        self._epochs[name] = 0
        if name not in self._bracket_of:
            bracket = min(
                range(len(self.brackets)), key=lambda index: (self._members[index] + 1) / self._weights[index]
            )
            self._members[bracket] += 1
            self._bracket_of[name] = bracket

    def report(self, name: str, value: float) -> bool:
        """Decide at the rungs of the training job's bracket, and at the end of the resource."""
        self._epochs[name] += 1
        epoch = self._epochs[name]
        if epoch >= self._max_resource:
            return True
        seen = self._seen[self._bracket_of[name]].get(epoch)
        if seen is None:
            return False
        signed = self._sign * value if math.isfinite(value) else math.inf
        bisect.insort(seen, signed)
        return signed > seen[max(1, len(seen) // REDUCTION_FACTOR) - 1]

    def end(self, name: str, *, completed: bool) -> None:  # noqa: ARG002 - the protocol's
        """Forget the training job; what it showed at the rungs stays."""
        self._epochs.pop(name, None)
        self._bracket_of.pop(name, None)


def _brackets(min_resource: int, max_resource: int) -> tuple[tuple[int, ...], ...]:
    rungs = []
    rung = min_resource
    while rung < max_resource:
        rungs.append(rung)
        rung *= REDUCTION_FACTOR
    return tuple(tuple(rungs[index:]) for index in range(len(rungs) + 1))
