"""A stand-in for SageMaker's built-in linear learner: scikit-learn's stochastic gradient descent.

The service's linear learner is not available outside of it. This program takes its hyperparameters, channels and CSV
data, prints its metrics in its log's form, and fits a linear model of the same kind; its numbers are not the
service's. The channels are ``train`` and optionally ``validation`` and ``test``.

Mini-batches: the service moves once per mini-batch, by the batch's mean gradient; scikit-learn moves once per row. The
learning rate is divided by the mini-batch size, so that a pass over a batch moves as far as the service's one step.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/ll_hyperparameters.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/linear-learner-tuning.html
"""

from __future__ import annotations

import json
import math
import pickle
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sklearn.metrics
from sklearn.linear_model import SGDClassifier, SGDRegressor
from sklearn.preprocessing import StandardScaler

from ._program import (
    Array,
    Choice,
    CustomerError,
    Job,
    Number,
    Reader,
    auto_or,
    check_complete,
    flag,
    read_csv,
    read_hyperparameters,
    require,
    require_csv,
    run,
    text,
)

_POSITIVE = Number(low=0, open_low=True)
_NOT_NEGATIVE = Number(low=0)
_COUNT = Number(whole=True, low=1)
_PART = Number(low=0, high=1)

_READERS: Mapping[str, Reader] = {
    "predictor_type": Choice(("binary_classifier", "multiclass_classifier", "regressor")),
    "num_classes": auto_or(Number(whole=True, low=3, high=1_000_000)),
    "learning_rate": auto_or(_POSITIVE),
    "epochs": _COUNT,
    "mini_batch_size": auto_or(_COUNT),
    "l1": auto_or(_NOT_NEGATIVE),
    "wd": auto_or(_NOT_NEGATIVE),
    "use_bias": flag,
    "loss": Choice(
        (
            "auto",
            "logistic",
            "hinge_loss",
            "softmax_loss",
            "squared_loss",
            "absolute_loss",
            "eps_insensitive_squared_loss",
            "eps_insensitive_absolute_loss",
            "huber_loss",
        )
    ),
    "loss_insensitivity": _POSITIVE,
    "huber_delta": _POSITIVE,
    "normalize_data": auto_or(flag),
    "normalize_label": auto_or(flag),
    "positive_example_weight_mult": lambda name, value: (
        value if value in ("balanced", "auto") else _POSITIVE(name, value)
    ),
    "binary_classifier_model_selection_criteria": Choice(
        (
            "accuracy",
            "f1",
            "f_beta",
            "precision_at_target_recall",
            "recall_at_target_precision",
            "cross_entropy_loss",
            "loss_function",
        )
    ),
    "target_recall": _PART,
    "target_precision": _PART,
    "f_beta": _POSITIVE,
    "accuracy_top_k": _COUNT,
    "early_stopping_patience": _COUNT,
    "early_stopping_tolerance": _POSITIVE,
    "feature_dim": auto_or(_COUNT),
}
_WITHOUT_EFFECT: Mapping[str, Reader] = dict.fromkeys(
    (
        "balance_multiclass_weights",
        "beta_1",
        "beta_2",
        "bias_lr_mult",
        "bias_wd_mult",
        "init_bias",
        "init_method",
        "init_scale",
        "init_sigma",
        "lr_scheduler_factor",
        "lr_scheduler_minimum_lr",
        "lr_scheduler_step",
        "margin",
        "momentum",
        "num_calibration_samples",
        "num_models",
        "num_point_for_scaler",
        "optimizer",
        "quantile",
        "unbias_data",
        "unbias_label",
        "use_lr_scheduler",
    ),
    text,
)
_DEFAULTS: Mapping[str, Any] = {
    "epochs": 15,
    "mini_batch_size": 1000,
    "learning_rate": 0.1,
    "l1": 0.0,
    "wd": 0.0,
    "use_bias": True,
    "loss": "auto",
    "loss_insensitivity": 0.01,
    "huber_delta": 1.0,
    "normalize_data": True,
    "normalize_label": None,
    "positive_example_weight_mult": 1.0,
    "binary_classifier_model_selection_criteria": "accuracy",
    "target_recall": 0.8,
    "target_precision": 0.8,
    "f_beta": 1.0,
    "accuracy_top_k": 3,
    "early_stopping_patience": 3,
    "early_stopping_tolerance": 0.001,
    "num_classes": None,
    "feature_dim": None,
}
_CLASSIFIER_LOSSES = {"auto": "log_loss", "logistic": "log_loss", "softmax_loss": "log_loss", "hinge_loss": "hinge"}
_REGRESSOR_LOSSES = {
    "auto": "squared_error",
    "squared_loss": "squared_error",
    "absolute_loss": "epsilon_insensitive",
    "eps_insensitive_squared_loss": "squared_epsilon_insensitive",
    "eps_insensitive_absolute_loss": "epsilon_insensitive",
    "huber_loss": "huber",
}
_TINY = 1e-12


@dataclass(frozen=True)
class _Table:
    features: Array
    labels: Array


class _Learner:
    """A linear model with the settings of one training job."""

    def __init__(self, settings: Mapping[str, Any], train: _Table) -> None:
        self._settings = settings
        self.kind: str = settings["predictor_type"]
        regularisation = settings["l1"] + settings["wd"]
        common = {
            "penalty": "elasticnet" if regularisation > 0 else None,
            "alpha": regularisation,
            "l1_ratio": settings["l1"] / regularisation if regularisation > 0 else 0.0,
            "fit_intercept": settings["use_bias"],
            "learning_rate": "constant",
            "eta0": settings["learning_rate"] / min(settings["mini_batch_size"], len(train.labels)),
            "random_state": 0,
        }
        self._scaler = StandardScaler() if settings["normalize_data"] is not False else None
        self._label_mean, self._label_scale = 0.0, 1.0
        self.threshold = 0.0
        losses = _REGRESSOR_LOSSES if self.kind == "regressor" else _CLASSIFIER_LOSSES
        if settings["loss"] not in losses:
            raise CustomerError(
                f"hyperparameter loss must be one of {', '.join(losses)} for the predictor_type {self.kind}, "
                f"got {settings['loss']!r}"
            )
        loss = losses[settings["loss"]]
        if self.kind == "regressor":
            epsilon = {"huber_loss": settings["huber_delta"], "absolute_loss": 0.0}.get(
                settings["loss"], settings["loss_insensitivity"]
            )
            self._model: Any = SGDRegressor(loss=loss, epsilon=epsilon, **common)
            if settings["normalize_label"] is not False:
                self._label_mean = float(train.labels.mean())
                self._label_scale = float(train.labels.std()) or 1.0
        else:
            self._model = SGDClassifier(loss=loss, **common)
        if self._scaler is not None:
            self._scaler.fit(train.features)
        self._features = self._scale(train.features)
        self._targets = (train.labels - self._label_mean) / self._label_scale
        self._weights = self._sample_weights(train.labels)
        classes = {"binary_classifier": 2, "multiclass_classifier": settings["num_classes"], "regressor": 0}
        self._classes = np.arange(classes[self.kind])
        self._order = np.random.default_rng(0)

    def fit_epoch(self) -> None:
        """Go over the training data once, in mini-batches."""
        order = self._order.permutation(len(self._targets))
        for start in range(0, len(order), self._settings["mini_batch_size"]):
            batch = order[start : start + self._settings["mini_batch_size"]]
            if self.kind == "regressor":
                self._model.partial_fit(self._features[batch], self._targets[batch], self._weights[batch])
            else:
                self._model.partial_fit(
                    self._features[batch], self._targets[batch], self._classes, self._weights[batch]
                )

    def raw(self, table: _Table) -> Array:
        """Give margins (classifiers) or values (regressor)."""
        features = self._scale(table.features)
        if self.kind == "regressor":
            values: Array = self._model.predict(features) * self._label_scale + self._label_mean
            return values
        margins: Array = self._model.decision_function(features)
        return margins

    def objective(self, table: _Table) -> tuple[str, float]:
        """Give the loss that is minimized: its name in the log, and its mean."""
        raw, labels = self.raw(table), table.labels
        if self.kind == "regressor":
            distance = np.abs(raw - labels)
            if self._settings["loss"] in ("auto", "squared_loss", "eps_insensitive_squared_loss"):
                return "mse_objective", float((distance**2).mean())
            return "absolute_loss_objective", float(distance.mean())
        if self.kind == "multiclass_classifier":
            chosen = _softmax(raw)[np.arange(len(labels)), labels.astype(int)]
            return "multiclass_cross_entropy_objective", float(-np.log(np.maximum(chosen, _TINY)).mean())
        signs = 2 * labels - 1
        if self._settings["loss"] == "hinge_loss":
            return "hinge_loss_objective", float(np.maximum(0, 1 - signs * raw).mean())
        return "binary_classification_cross_entropy_objective", float(np.logaddexp(0, -signs * raw).mean())

    def choose_threshold(self, table: _Table) -> None:
        """Set the threshold that serves the model selection criterion best."""
        criterion = self._settings["binary_classifier_model_selection_criteria"]
        if criterion in ("loss_function", "cross_entropy_loss") or len(set(table.labels)) < 2:
            return
        positives = table.labels.sum()
        negatives = len(table.labels) - positives
        false_rate, recall, thresholds = sklearn.metrics.roc_curve(
            table.labels, self.raw(table), drop_intermediate=False
        )
        hits, false_alarms = recall * positives, false_rate * negatives
        precision = hits / np.maximum(hits + false_alarms, _TINY)
        if criterion == "accuracy":
            score = hits + negatives - false_alarms
        elif criterion == "precision_at_target_recall":
            score = np.where(recall >= self._settings["target_recall"], precision, recall - 1)
        elif criterion == "recall_at_target_precision":
            score = np.where(precision >= self._settings["target_precision"], recall, precision - 1)
        else:
            beta = 1.0 if criterion == "f1" else self._settings["f_beta"]
            score = (1 + beta**2) * precision * recall / np.maximum(beta**2 * precision + recall, _TINY)
        # The first point of the curve is at infinity: nothing is positive.
        best = 1 + int(np.argmax(score[1:]))
        following = thresholds[best + 1] if best + 1 < len(thresholds) else thresholds[best] - 1
        self.threshold = float(thresholds[best] + following) / 2

    def metrics(self, table: _Table) -> dict[tuple[str, str], float]:
        """Give the final metrics by the name in the log and its kind, ``score`` or ``loss``."""
        raw, labels = self.raw(table), table.labels
        name, loss = self.objective(table)
        metrics = {(name, "loss"): loss}
        if self.kind == "regressor":
            squared = float(((raw - labels) ** 2).mean())
            metrics |= {
                ("mse", "loss"): squared,
                ("rmse", "loss"): math.sqrt(squared),
                ("absolute_loss", "loss"): float(np.abs(raw - labels).mean()),
            }
        elif self.kind == "binary_classifier":
            metrics |= self._binary_metrics(raw, labels)
        else:
            metrics |= self._multiclass_metrics(raw, labels)
        return metrics

    def state(self) -> dict[str, Any]:
        """Give what a prediction needs."""
        return {
            "predictor_type": self.kind,
            "model": self._model,
            "scaler": self._scaler,
            "label_mean": self._label_mean,
            "label_scale": self._label_scale,
            "threshold": self.threshold,
        }

    def _binary_metrics(self, raw: Array, labels: Array) -> dict[tuple[str, str], float]:
        predicted = (raw > self.threshold).astype(int)
        beta = self._settings["f_beta"]
        metrics = {
            ("binary_classification_accuracy", "score"): float((predicted == labels).mean()),
            (f"binary_f_{beta:.3f}", "score"): float(
                sklearn.metrics.fbeta_score(labels, predicted, beta=beta, zero_division=0)
            ),
            ("precision", "score"): float(sklearn.metrics.precision_score(labels, predicted, zero_division=0)),
            ("recall", "score"): float(sklearn.metrics.recall_score(labels, predicted, zero_division=0)),
        }
        if len(set(labels)) == 2:
            metrics["roc_auc_score", "score"] = float(sklearn.metrics.roc_auc_score(labels, raw))
        return metrics

    def _multiclass_metrics(self, raw: Array, labels: Array) -> dict[tuple[str, str], float]:
        predicted = raw.argmax(axis=1)
        top = min(self._settings["accuracy_top_k"], raw.shape[1])
        own = raw[np.arange(len(labels)), labels.astype(int)]
        ranks = (raw > own[:, None]).sum(axis=1)
        beta = self._settings["f_beta"]
        averaged: dict[str, Any] = {"average": "macro", "zero_division": 0}
        return {
            ("multiclass_accuracy", "score"): float((predicted == labels).mean()),
            (f"multiclass_top_k_accuracy_{top}", "score"): float((ranks < top).mean()),
            ("dcg", "score"): float((1 / np.log2(ranks + 2)).mean()),
            ("macro_recall", "score"): float(sklearn.metrics.recall_score(labels, predicted, **averaged)),
            ("macro_precision", "score"): float(sklearn.metrics.precision_score(labels, predicted, **averaged)),
            (f"macro_f_{beta:.3f}", "score"): float(
                sklearn.metrics.fbeta_score(labels, predicted, beta=beta, **averaged)
            ),
        }

    def _scale(self, features: Array) -> Array:
        scaled: Array = features if self._scaler is None else self._scaler.transform(features)
        return scaled

    def _sample_weights(self, labels: Array) -> Array:
        weights = np.ones(len(labels))
        if self.kind == "binary_classifier":
            factor = self._settings["positive_example_weight_mult"]
            positives = labels.sum()
            if factor == "balanced":
                factor = (len(labels) - positives) / max(positives, 1)
            elif factor == "auto":
                factor = 1.0
            weights[labels == 1] = factor
        return weights


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    print("This is a stand-in for SageMaker's linear learner: scikit-learn's stochastic gradient descent.")
    values = read_hyperparameters(job.hyperparameters, {**_READERS, **_WITHOUT_EFFECT})
    require(values, "predictor_type")
    for name in sorted(values.keys() & _WITHOUT_EFFECT.keys()):
        print(f"WARNING: hyperparameter {name} has no effect on the stand-in")
    # What is stated as auto is read as None and takes the default.
    settings = {**_DEFAULTS, **{name: value for name, value in values.items() if value is not None}}
    tables = _read_tables(job, settings)
    learner = _Learner(settings, tables["train"])
    _fit(learner, tables, settings)
    if learner.kind == "binary_classifier":
        learner.choose_threshold(tables.get("validation", tables["train"]))
    for channel, table in tables.items():
        for (name, kind), value in learner.metrics(table).items():
            _log(f"#quality_metric: host=algo-1, {channel} {name} <{kind}>={value!r}")
    # Read back by its owner only, from the model that this very program wrote.
    (job.model / "linear-learner-stand-in.pickle").write_bytes(pickle.dumps(learner.state()))
    (job.model / "about.json").write_text(json.dumps({"algorithm": "linear learner stand-in (scikit-learn)"}))


def _fit(learner: _Learner, tables: Mapping[str, _Table], settings: Mapping[str, Any]) -> None:
    best, waited = math.inf, 0
    for epoch in range(settings["epochs"]):
        learner.fit_epoch()
        losses = {
            channel: learner.objective(tables[channel]) for channel in ("train", "validation") if channel in tables
        }
        for channel, (name, loss) in losses.items():
            _log(f"#quality_metric: host=algo-1, epoch={epoch}, {channel} {name} <loss>={loss!r}")
        _log(f"#progress_metric: host=algo-1, completed {100 * (epoch + 1) / settings['epochs']:g} % of epochs")
        _, watched = losses.get("validation", losses["train"])
        if not math.isfinite(watched):
            raise CustomerError(f"the training diverged in epoch {epoch}; lower learning_rate")
        if watched < best - settings["early_stopping_tolerance"] * abs(best if math.isfinite(best) else 0):
            best, waited = watched, 0
        else:
            waited += 1
        if waited >= settings["early_stopping_patience"]:
            _log(f"the loss no longer gets better: the training ends after epoch {epoch}")
            break


def _read_tables(job: Job, settings: dict[str, Any]) -> dict[str, _Table]:
    if "train" not in job.channels:
        raise CustomerError(f"the channel train is required, got {', '.join(job.channels) or 'none'}")
    tuned = job.hyperparameters.get("_tuning_objective_metric", "")
    wanted = tuned.partition(":")[0]
    if wanted in ("validation", "test") and wanted not in job.channels:
        raise CustomerError(f"the channel {wanted} is required for the objective metric {tuned}")
    tables = {}
    for name in ("train", "validation", "test"):
        if name not in job.channels:
            continue
        channel = job.channels[name]
        require_csv(channel)
        table = read_csv(channel)
        check_complete(table, name)
        tables[name] = _Table(table[:, 1:], table[:, 0])
    _check_labels(tables, settings)
    return tables


def _check_labels(tables: Mapping[str, _Table], settings: Mapping[str, Any]) -> None:
    kind = settings["predictor_type"]
    width = tables["train"].features.shape[1]
    if settings["feature_dim"] not in (None, width):
        raise CustomerError(f"hyperparameter feature_dim must be {width} as in the data, got {settings['feature_dim']}")
    if kind == "multiclass_classifier" and settings["num_classes"] is None:
        raise CustomerError("hyperparameter num_classes is required for the predictor_type multiclass_classifier")
    for name, table in tables.items():
        if table.features.shape[1] != width:
            raise CustomerError(f"channel {name} must have {width} features as train has")
        if kind == "regressor":
            continue
        count = 2 if kind == "binary_classifier" else settings["num_classes"]
        if not np.isin(table.labels, np.arange(count)).all():
            raise CustomerError(f"the labels of channel {name} must be whole numbers from 0 to {count - 1}")


def _softmax(raw: Array) -> Array:
    shifted = np.exp(raw - raw.max(axis=1, keepdims=True))
    probabilities: Array = shifted / shifted.sum(axis=1, keepdims=True)
    return probabilities


def _log(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
