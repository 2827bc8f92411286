"""Bayesian search by a Gaussian process, as a sampler for Optuna.

Optuna's own Gaussian process needs torch, which is many times larger than everything else that the local endpoint
installs; this one needs NumPy and SciPy. ``bench/search_quality.py`` compares it with Optuna's samplers.

The model is a Gaussian process with a Matérn 5/2 kernel, one length scale for each hyperparameter and weak priors
that keep a few observations from being over-interpreted (Hvarfner et al., "Vanilla Bayesian Optimization Performs
Great in High Dimensions", 2024). The next combination is the one with the greatest expected improvement, whose
logarithm is computed as in Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian Optimization",
2023. What still runs counts as if it had given what the model expects of it: parallel proposals keep apart.

What a proposal costs does not grow with the search: the model is made of at most 160 observations, the best and the
latest, and of more than 50 its hyperparameters are found anew only when a twentieth of them is new.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState
from scipy import linalg, optimize, special
from scipy.spatial.distance import cdist
from scipy.stats import qmc
from threadpoolctl import ThreadpoolController

if TYPE_CHECKING:
    from collections.abc import Iterator

Array = NDArray[np.float64]

_MOST_OBSERVATIONS = 160
_FEW_OBSERVATIONS = 50
_CANDIDATES = 1024
_REFINED = 4
_ROUNDS = 3
_NEIGHBOURS = 64
_ENUMERABLE = 4096
# So many points at a time, with all observations, stay in a processor's cache.
_BLOCK = 256
_FIT_STEPS = 40
_FITS_KEPT_FOR = 0.05
_POOR = 2.0
_HUGE = 1e100  # Its square is still a number.

_SQRT5 = math.sqrt(5)
_LENGTH_PRIOR_MEAN, _LENGTH_PRIOR_SCALE = math.sqrt(2), math.sqrt(3)
_NOISE_PRIOR_MEAN, _NOISE_PRIOR_SCALE = math.log(1e-3), 2.0
_SIGNAL_PRIOR_SCALE = 1.0
_JITTER = 1e-8


class GaussianProcessSampler(BaseSampler):
    """Proposes where a Gaussian process expects the greatest improvement.

    Args:
        distributions: what is searched.
        seed: the same seed and the same trials give the same proposals.
        warmup: how many trials spread over the space before the model is asked; results that the study has from
            elsewhere count among them.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution], *, seed: int, warmup: int) -> None:
        self._distributions = dict(distributions)
        self._axes = [_Axis(name, distribution) for name, distribution in self._distributions.items()]
        self._chance = np.random.default_rng(seed)
        self._design = qmc.Sobol(len(self._axes), seed=self._chance)
        self._warmup = warmup
        self._hyperparameters: Array | None = None
        self._fitted_to = 0
        # The places of trials by their numbers, and these as keys: what a trial tries does not change.
        self._places: dict[int, Array] = {}
        self._tried: set[bytes] = set()
        self._threads = ThreadpoolController()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:  # noqa: ARG002
        """Give everything that is searched."""
        return self._distributions

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Propose a combination."""
        # The matrices are small: threads would only wait for one another, and the cores belong to the training jobs.
        with self._threads.limit(limits=1):
            return self._propose(study, trial)

    def _propose(self, study: Study, trial: FrozenTrial) -> dict[str, Any]:
        trials = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        done = [one for one in trials if one.state is TrialState.COMPLETE]
        running = [one for one in trials if one.state is TrialState.RUNNING and len(one.params) == len(self._axes)]
        self._take_up(trials)
        if len(done) + len(running) < self._warmup or len(done) < 2:
            return self._decode(self._snap(self._design.random(1))[0])
        sign = -1.0 if study.direction is StudyDirection.MAXIMIZE else 1.0
        chosen = _most_telling(done, sign)
        values = _tempered(sign * np.array([one.value for one in chosen], dtype=float))
        spread = float(values.std()) or 1.0
        points = self._encode(chosen)
        model = _GaussianProcess(points, (values - values.mean()) / spread, self._axes)
        if self._hyperparameters is None or self._is_outgrown(len(done), len(chosen)):
            self._hyperparameters = model.fit(self._hyperparameters)
            self._fitted_to = len(done)
        else:
            model.adopt(self._hyperparameters)
        if running:
            model.believe(self._encode(running))
        return self._decode(self._best_point(model))

    def sample_independent(
        self,
        study: Study,  # noqa: ARG002
        trial: FrozenTrial,  # noqa: ARG002
        param_name: str,  # noqa: ARG002
        param_distribution: BaseDistribution,
    ) -> Any:
        """Propose one value by itself, for a hyperparameter that the sampler was not told of."""
        return _Axis("", param_distribution).decode(self._chance.random())

    def _is_outgrown(self, results: int, observations: int) -> bool:
        """Tell whether the model's hyperparameters are to be found anew; many observations change them slowly."""
        return observations <= _FEW_OBSERVATIONS or results - self._fitted_to >= _FITS_KEPT_FOR * observations

    def _take_up(self, trials: Iterable[FrozenTrial]) -> None:
        for trial in trials:
            if trial.number not in self._places and len(trial.params) == len(self._axes):
                place = np.array([axis.encode(trial.params[axis.name]) for axis in self._axes], dtype=float)
                self._places[trial.number] = place
                self._tried.update(_keys(place[None, :]))

    def _best_point(self, model: _GaussianProcess) -> Array:
        if (everything := self._enumerated()) is not None:
            candidates = everything
        else:
            best = model.points[np.argsort(model.believed())[:_REFINED]]
            candidates = np.concatenate(
                [self._chance.random((_CANDIDATES, len(self._axes))), self._near(best, 0.1), self._near(best, 0.02)]
            )
        candidates = _without(self._snap(candidates), self._tried)
        scores = model.log_improvement(candidates)
        if everything is None:
            for spread in np.geomspace(0.1, 0.005, _ROUNDS):
                best = candidates[np.argsort(scores)[-_REFINED:]]
                nearby = _without(self._snap(self._near(best, spread)), self._tried)
                candidates = np.concatenate([best, nearby])
                scores = model.log_improvement(candidates)
            # The slope may end where something was tried: at a bound, again and again.
            candidates = _without(self._climb(model, candidates[np.argsort(scores)[-_REFINED:]]), self._tried)
            scores = model.log_improvement(candidates)
        point: Array = candidates[int(np.argmax(scores))]
        return point

    def _near(self, points: Array, spread: float) -> Array:
        """Scatter points around points; a choice changes now and then."""
        around = np.repeat(points, _NEIGHBOURS, axis=0)
        moved = np.clip(around + self._chance.normal(0, spread, around.shape), 0, 1)
        anew = self._chance.random(around.shape)
        for index, axis in enumerate(self._axes):
            if axis.is_choice:
                changes = self._chance.random(len(around)) < 0.5 / len(self._axes)
                moved[:, index] = np.where(changes, anew[:, index], around[:, index])
        # One direction at a time finds valleys along an axis.
        keep = self._chance.random(around.shape) < 0.5
        keep[np.arange(len(around)), self._chance.integers(len(self._axes), size=len(around))] = False
        return np.where(keep, around, moved)

    def _climb(self, model: _GaussianProcess, starts: Array) -> Array:
        """Follow the slope from each start, along the axes that are continuous; give starts and ends."""
        free = [index for index, axis in enumerate(self._axes) if axis.is_continuous]
        if not free:
            return starts
        ended = starts.copy()
        steps = np.concatenate([np.zeros((1, len(free))), 1e-5 * np.eye(len(free))])

        def descend(place: Array, start: Array) -> tuple[float, Array]:
            block = np.repeat(start[None, :], len(steps), axis=0)
            block[:, free] = place + np.where(place > 0.5, -steps, steps)
            scores = model.log_improvement(block)
            slope = (scores[1:] - scores[0]) / np.where(place > 0.5, -1e-5, 1e-5)
            return -float(scores[0]), -slope

        for row in range(len(starts)):
            found = optimize.minimize(
                descend, starts[row, free], args=(starts[row],), jac=True, method="L-BFGS-B",
                bounds=[(0.0, 1.0)] * len(free), options={"maxiter": 25},
            )  # fmt: skip
            ended[row, free] = found.x
        return np.concatenate([starts, ended])

    def _enumerated(self) -> Array | None:
        """Give every point of a small finite space."""
        counts = [axis.count for axis in self._axes]
        if math.prod(counts) > _ENUMERABLE:
            return None
        return np.array(list(itertools.product(*(axis.places() for axis in self._axes))))

    def _encode(self, trials: Sequence[FrozenTrial]) -> Array:
        return np.array([self._places[trial.number] for trial in trials])

    def _snap(self, points: Array) -> Array:
        return np.stack([axis.snap(points[:, index]) for index, axis in enumerate(self._axes)], axis=1)

    def _decode(self, point: Array) -> dict[str, Any]:
        return {axis.name: axis.decode(float(place)) for axis, place in zip(self._axes, point, strict=True)}


class _Axis:
    """One hyperparameter as the unit interval."""

    def __init__(self, name: str, distribution: BaseDistribution) -> None:
        self.name = name
        self._distribution = distribution
        self.is_choice = isinstance(distribution, CategoricalDistribution)
        self.is_continuous = isinstance(distribution, FloatDistribution)
        self._log = False
        self.count = math.inf
        self.width = 1
        match distribution:
            case CategoricalDistribution():
                self.count = self.width = len(distribution.choices)
            case IntDistribution():
                self._log = distribution.log
                self.count = distribution.high - distribution.low + 1
                # Every whole number has its part of the axis.
                self._low, self._high = distribution.low - 0.5, distribution.high + 0.5
            case FloatDistribution():
                self._log = distribution.log
                self._low, self._high = distribution.low, distribution.high
            case _:
                raise TypeError(f"a distribution must be of numbers or choices, got {distribution}")

    def encode(self, value: Any) -> float:
        """Give a value's place."""
        if isinstance(self._distribution, CategoricalDistribution):
            return (self._distribution.choices.index(value) + 0.5) / self.count
        low, high = self._scaled(self._low), self._scaled(self._high)
        place: float = (self._scaled(value) - low) / (high - low)
        return min(max(place, 0.0), 1.0)

    def decode(self, place: float) -> Any:
        """Give the value at a place."""
        distribution = self._distribution
        if isinstance(distribution, CategoricalDistribution):
            return distribution.choices[min(int(place * self.count), len(distribution.choices) - 1)]
        low, high = self._scaled(self._low), self._scaled(self._high)
        value = low + place * (high - low)
        value = math.exp(value) if self._log else value
        if isinstance(distribution, IntDistribution):
            return min(max(round(value), distribution.low), distribution.high)
        return min(max(value, self._low), self._high)

    def snap(self, places: Array) -> Array:
        """Move places to those that have a value of their own."""
        if self.is_continuous:
            return places
        snapped: Array
        if self.is_choice:
            snapped = (np.minimum(np.floor(places * self.count), self.count - 1) + 0.5) / self.count
            return snapped
        low, high = self._scaled(self._low), self._scaled(self._high)
        values = low + places * (high - low)
        whole = np.clip(np.round(np.exp(values) if self._log else values), self._low + 0.5, self._high - 0.5)
        snapped = np.log(whole) if self._log else whole
        return (snapped - low) / (high - low)

    def features(self, places: Array) -> Array:
        """Give the columns that the model sees: the place, or for a choice one column for each value.

        Two different values of a choice are at a distance of 1.
        """
        if not self.is_choice:
            return places[:, None]
        chosen = np.minimum((places * self.count).astype(int), self.width - 1)
        columns: Array = np.eye(self.width)[chosen] / math.sqrt(2)
        return columns

    def places(self) -> Iterator[float]:
        """Give the places of all values, when they can be counted."""
        distribution = self._distribution
        if isinstance(distribution, CategoricalDistribution):
            return (self.encode(value) for value in distribution.choices)
        assert isinstance(distribution, IntDistribution)  # noqa: S101 - others are not countable
        return (self.encode(value) for value in range(distribution.low, distribution.high + 1))

    def _scaled(self, value: float) -> float:
        return math.log(value) if self._log else value


@dataclass
class _Kernel:
    """Length scales, signal and noise; all as logarithms in one vector."""

    vector: Array

    @property
    def inverse_lengths(self) -> Array:
        inverse: Array = np.exp(-self.vector[:-2])
        return inverse

    @property
    def signal(self) -> float:
        return math.exp(self.vector[-2])

    @property
    def noise(self) -> float:
        return math.exp(self.vector[-1])

    def covariance(self, distance: Array) -> Array:
        """Give the covariance at distances in length scales."""
        # In place: what takes the time here is memory.
        reach = _SQRT5 * distance
        covariance: Array = reach * (1 / 3)
        covariance += 1
        covariance *= reach
        covariance += 1
        np.negative(reach, out=reach)
        np.exp(reach, out=reach)
        covariance *= reach
        covariance *= self.signal
        return covariance


class _GaussianProcess:
    """A Gaussian process over the unit cube, for values to be minimized that have mean 0 and deviation 1."""

    def __init__(self, points: Array, values: Array, axes: Sequence[_Axis]) -> None:
        self.points = points
        self._axes = axes
        self._values = values
        self._features = self._as_features(points)
        # The axis of each feature: a choice has one for each of its values.
        self._axis_of = np.repeat(np.arange(len(axes)), [axis.width for axis in axes])
        self._kernel = _Kernel(self._default())

    def fit(self, previous: Array | None) -> Array:
        """Find the most probable hyperparameters from those of the time before; of few observations anew as well."""
        starts = [self._default()] if previous is None else [previous]
        if previous is not None and len(self._values) <= _FEW_OBSERVATIONS:
            starts.append(self._default())
        bounds = [(math.log(1e-2), math.log(1e3))] * len(self._axes) + [(-5.0, 5.0), (math.log(1e-6), 0.0)]
        results = [
            optimize.minimize(
                self._objective, start, jac=True, method="L-BFGS-B", bounds=bounds,
                options={"maxiter": _FIT_STEPS},
            )
            for start in starts
        ]  # fmt: skip
        best = min(results, key=lambda result: float(result.fun))
        vector: Array = best.x
        self.adopt(vector)
        return vector

    def adopt(self, vector: Array) -> None:
        """Take hyperparameters that were found with other observations."""
        self._kernel = _Kernel(vector)
        self._condition()

    def believe(self, points: Array) -> None:
        """Take what is expected at points as observed there."""
        expected = self._cross(points) @ self._weights
        self.points = np.concatenate([self.points, points])
        self._features = self._as_features(self.points)
        self._values = np.concatenate([self._values, expected])
        self._condition()

    def believed(self) -> Array:
        """Give what the model expects where something was observed."""
        return self._expected

    def log_improvement(self, points: Array) -> Array:
        """Give the logarithm of the expected improvement on the best that the model believes to have been found."""
        blocks = [self._predict(points[first : first + _BLOCK]) for first in range(0, len(points), _BLOCK)]
        mean, deviation = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
        improvement: Array = _log_h((self._best - mean) / deviation) + np.log(deviation)
        return improvement

    def _default(self) -> Array:
        lengths = np.full(len(self._axes), math.log(0.5))
        return np.concatenate([lengths, [0.0, _NOISE_PRIOR_MEAN]])

    def _as_features(self, points: Array) -> Array:
        return np.concatenate([axis.features(points[:, index]) for index, axis in enumerate(self._axes)], axis=1)

    def _condition(self) -> None:
        self._scales = self._kernel.inverse_lengths[self._axis_of]
        self._scaled = self._features * self._scales
        among = self._kernel.covariance(cdist(self._scaled, self._scaled))
        covariance = among.copy()
        covariance[np.diag_indices_from(covariance)] += self._kernel.noise + _JITTER
        factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        self._weights = linalg.cho_solve((factor, True), self._values, check_finite=False)
        # A product with it is quicker than solving for a few points at a time.
        self._inverse_factor, _ = linalg.lapack.dtrtri(factor, lower=True)
        self._expected: Array = among @ self._weights
        self._best = float(self._expected.min())

    def _cross(self, points: Array) -> Array:
        """Give the covariance of points with what was observed."""
        return self._kernel.covariance(cdist(self._as_features(points) * self._scales, self._scaled))

    def _predict(self, points: Array) -> tuple[Array, Array]:
        cross = self._cross(points)
        solved = self._inverse_factor @ cross.T
        variance = self._kernel.signal - np.einsum("ij,ij->j", solved, solved)
        return cross @ self._weights, np.sqrt(np.maximum(variance, 1e-12))

    def _objective(self, vector: Array) -> tuple[float, Array]:
        """Give the negative logarithm of the posterior density of the hyperparameters, and its slope."""
        kernel, count = _Kernel(vector), len(self._values)
        scaled = self._features * kernel.inverse_lengths[self._axis_of]
        reach = _SQRT5 * cdist(scaled, scaled)
        decay = np.exp(-reach)
        signal = kernel.signal * (1 + reach + reach**2 / 3) * decay
        covariance = signal + (kernel.noise + _JITTER) * np.eye(count)
        try:
            factor = linalg.cholesky(covariance, lower=True, check_finite=False)
        except linalg.LinAlgError:
            return 1e10, np.zeros_like(vector)
        weights = linalg.cho_solve((factor, True), self._values, check_finite=False)
        value = 0.5 * self._values @ weights + np.log(np.diag(factor)).sum()
        half, _ = linalg.lapack.dpotri(factor, lower=True)  # the inverse's lower half, above which zeros stay
        inner = half + np.tril(half, -1).T - np.outer(weights, weights)
        common = inner * (5 / 3 * kernel.signal * (1 + reach) * decay)
        # The sum over all pairs of ``common`` and the squared difference of a feature, without the differences.
        features = self._features
        pairs = 2 * (common.sum(axis=1) @ features**2 - ((common @ features) * features).sum(axis=0))
        by_axis = np.bincount(self._axis_of, weights=pairs, minlength=len(self._axes))
        slope = np.empty_like(vector)
        slope[:-2] = 0.5 * by_axis * kernel.inverse_lengths**2
        slope[-2] = 0.5 * (inner * signal).sum()
        slope[-1] = 0.5 * kernel.noise * np.trace(inner)
        means = np.full_like(vector, _LENGTH_PRIOR_MEAN + 0.5 * math.log(len(self._axes)))
        scales = np.full_like(vector, _LENGTH_PRIOR_SCALE)
        means[-2:] = 0.0, _NOISE_PRIOR_MEAN
        scales[-2:] = _SIGNAL_PRIOR_SCALE, _NOISE_PRIOR_SCALE
        away = (vector - means) / scales
        return float(value + 0.5 * away @ away), slope + away / scales


def _most_telling(trials: list[FrozenTrial], sign: float) -> list[FrozenTrial]:
    """Keep the best and the latest of many trials, so that the model's cost stays bounded."""
    if len(trials) <= _MOST_OBSERVATIONS:
        return trials
    half = _MOST_OBSERVATIONS // 2
    latest = trials[-half:]
    earlier = sorted(trials[:-half], key=lambda trial: sign * float(trial.value or 0.0))
    return earlier[:half] + latest


def _tempered(values: Array) -> Array:
    """Cut the poor values off: how bad a training job was that diverged says nothing about the good ones."""
    values = np.clip(values, -_HUGE, _HUGE)
    middle = float(np.median(values))
    return np.minimum(values, middle + _POOR * (middle - float(values.min())))


def _keys(points: Array) -> list[bytes]:
    """Give points in a form to look them up by."""
    return [row.tobytes() for row in np.round(points, 9)]


def _without(points: Array, known: Set[bytes]) -> Array:
    """Leave out points that are known, unless none is left."""
    fresh = np.array([key not in known for key in _keys(points)])
    return points[fresh] if fresh.any() else points


def _log_h(z: Array) -> Array:
    """Give log(pdf(z) + z cdf(z)) of the standard normal distribution, exact for very negative z as well."""
    upper = np.maximum(z, -1.0)
    density = np.exp(-0.5 * upper**2) / math.sqrt(2 * math.pi)
    plain = np.log(density + upper * special.ndtr(upper))
    lower = np.minimum(z, -1.0)
    ratio = special.erfcx(-lower / math.sqrt(2)) * -lower * math.sqrt(math.pi / 2)
    tail = np.where(lower < -1e4, -2 * np.log(-lower), np.log1p(-np.minimum(ratio, 1 - 1e-15)))
    return np.where(z > -1.0, plain, -0.5 * lower**2 - 0.5 * math.log(2 * math.pi) + tail)
