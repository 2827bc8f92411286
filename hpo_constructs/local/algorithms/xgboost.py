"""SageMaker's built-in XGBoost on this machine: the real package behind the built-in's hyperparameters and log.

The channels are ``train`` and, for ``validation:`` metrics, ``validation``; the data is CSV without header with the
label in the first column, or LIBSVM. The model is the file ``xgboost-model`` in XGBoost's own format.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost_hyperparameters.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/xgboost-tuning.html and
https://github.com/aws/sagemaker-xgboost-container
"""

from __future__ import annotations

import json
import re
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import sklearn.metrics
import xgboost
from sklearn.datasets import load_svmlight_file

from ._program import (
    Array,
    Channel,
    Choice,
    CustomerError,
    Job,
    Number,
    Reader,
    data_files,
    flag,
    is_csv,
    is_libsvm,
    read_csv,
    read_hyperparameters,
    run,
    text,
)
from .metrics import XGBOOST_MAXIMIZE, XGBOOST_MINIMIZE

_SHARE = Number(low=0, high=1, open_low=True)
_PART = Number(low=0, high=1)
_POSITIVE = Number(low=0)
_BIT = Number(whole=True, low=0, high=1)

_PARAMETERS: Mapping[str, Reader] = {
    "alpha": _POSITIVE,
    "aft_loss_distribution": Choice(("normal", "logistic", "extreme")),
    "aft_loss_distribution_scale": Number(low=0, open_low=True),
    "base_score": _POSITIVE,
    "booster": Choice(("gbtree", "gblinear", "dart")),
    "colsample_bylevel": _SHARE,
    "colsample_bynode": _SHARE,
    "colsample_bytree": _SHARE,
    "eta": _PART,
    "gamma": _POSITIVE,
    "grow_policy": Choice(("depthwise", "lossguide")),
    "huber_slope": Number(low=0, open_low=True),
    "interaction_constraints": text,
    "lambda": _POSITIVE,
    "max_bin": Number(whole=True, low=0),
    "max_delta_step": _POSITIVE,
    "max_depth": Number(whole=True, low=0),
    "max_leaves": Number(whole=True, low=0),
    "min_child_weight": _POSITIVE,
    "monotone_constraints": text,
    "normalize_type": Choice(("tree", "forest")),
    "nthread": Number(whole=True, low=1),
    "num_class": Number(whole=True, low=2),
    "num_parallel_tree": Number(whole=True, low=1),
    "objective": Choice(
        (
            "binary:hinge",
            "binary:logistic",
            "binary:logitraw",
            "count:poisson",
            "multi:softmax",
            "multi:softprob",
            "rank:map",
            "rank:ndcg",
            "rank:pairwise",
            "reg:absoluteerror",
            "reg:gamma",
            "reg:linear",
            "reg:logistic",
            "reg:pseudohubererror",
            "reg:squarederror",
            "reg:squaredlogerror",
            "reg:tweedie",
            "survival:aft",
            "survival:cox",
        )
    ),
    "one_drop": _BIT,
    "process_type": Choice(("default", "update")),
    "rate_drop": _PART,
    "refresh_leaf": _BIT,
    "sample_type": Choice(("uniform", "weighted")),
    "scale_pos_weight": Number(low=0, open_low=True),
    "seed": Number(whole=True, low=-(2**31) + 1, high=2**31 - 1),
    "skip_drop": _PART,
    "subsample": _SHARE,
    "tree_method": Choice(("auto", "exact", "approx", "hist", "gpu_hist")),
    "tweedie_variance_power": Number(low=1, high=2, open_low=True),
    "updater": text,
    "verbosity": Number(whole=True, low=0, high=3),
}
_CONTROL: Mapping[str, Reader] = {
    "csv_weights": _BIT,
    "early_stopping_rounds": Number(whole=True, low=1),
    "eval_metric": text,
    "num_round": Number(whole=True, low=1),
    "save_model_on_termination": flag,
}
_WITHOUT_EFFECT: Mapping[str, Reader] = dict.fromkeys(
    (
        "deterministic_histogram",
        "dsplit",
        "lambda_bias",
        "predictor",
        "single_precision_histogram",
        "sketch_eps",
        "use_dask_gpu_training",
    ),
    text,
)
_KNOWN_METRICS = (*XGBOOST_MAXIMIZE, *XGBOOST_MINIMIZE)
_METRICS_WITH_THRESHOLD = ("error", "ndcg", "map")

Metric = Callable[[Array, Array], float]

# Metrics that the container adds to the package's own: labels and predicted classes or values.
_CLASS_METRICS: Mapping[str, Metric] = {
    "accuracy": sklearn.metrics.accuracy_score,
    "balanced_accuracy": sklearn.metrics.balanced_accuracy_score,
    "f1": lambda labels, classes: sklearn.metrics.f1_score(labels, classes, average="macro"),
    "f1_binary": lambda labels, classes: sklearn.metrics.f1_score(labels, classes, average="binary"),
    "f1_macro": lambda labels, classes: sklearn.metrics.f1_score(labels, classes, average="macro"),
    "precision": lambda labels, classes: sklearn.metrics.precision_score(labels, classes, zero_division=0),
    "precision_macro": lambda labels, classes: sklearn.metrics.precision_score(
        labels, classes, average="macro", zero_division=0
    ),
    "precision_micro": lambda labels, classes: sklearn.metrics.precision_score(labels, classes, average="micro"),
    "recall": lambda labels, classes: sklearn.metrics.recall_score(labels, classes, zero_division=0),
    "recall_macro": lambda labels, classes: sklearn.metrics.recall_score(
        labels, classes, average="macro", zero_division=0
    ),
    "recall_micro": lambda labels, classes: sklearn.metrics.recall_score(labels, classes, average="micro"),
}
_VALUE_METRICS: Mapping[str, Metric] = {
    "mse": sklearn.metrics.mean_squared_error,
    "r2": sklearn.metrics.r2_score,
}


class _StopOnSignal(xgboost.callback.TrainingCallback):
    """Ends the training after the present round once SIGTERM has come, so that the model so far is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._asked = False
        signal.signal(signal.SIGTERM, self._ask)

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 - the package's
        """Tell whether to end."""
        return self._asked

    def _ask(self, _number: int, _frame: Any) -> None:
        self._asked = True


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    for name in ("_kfold", "_num_cv_round"):
        if name in job.hyperparameters:
            raise CustomerError(f"hyperparameter {name} (cross validation) is not available on this machine")
    values = read_hyperparameters(job.hyperparameters, {**_PARAMETERS, **_CONTROL, **_WITHOUT_EFFECT})
    if "num_round" not in values:
        raise CustomerError("hyperparameter num_round is required, got none")
    for name in sorted(values.keys() & _WITHOUT_EFFECT.keys()):
        print(f"WARNING: hyperparameter {name} has no effect with XGBoost {xgboost.__version__}")
    metrics = _metrics(values.get("eval_metric"), job.hyperparameters.get("_tuning_objective_metric"))
    parameters = _parameters(values, job.threads)
    data = _read_data(job, weights=bool(values.get("csv_weights")))
    _check_labels(data, parameters)
    own = [metric for metric in metrics if metric in _CLASS_METRICS or metric in _VALUE_METRICS]
    if packaged := [metric for metric in metrics if metric not in own]:
        parameters["eval_metric"] = packaged
    callbacks: list[Any] = [xgboost.callback.EvaluationMonitor(logger=_log)]
    if (rounds := values.get("early_stopping_rounds")) is not None:
        if not metrics or "validation" not in job.channels:
            raise CustomerError("hyperparameter early_stopping_rounds needs an eval_metric and the channel validation")
        # The package evaluates its own metrics before the added ones.
        watched = (own or packaged)[-1]
        callbacks.append(
            xgboost.callback.EarlyStopping(
                rounds=rounds,
                metric_name=watched,
                data_name="validation",
                maximize=watched.partition("@")[0] in XGBOOST_MAXIMIZE,
                save_best=parameters.get("booster") != "gblinear",
            )
        )
    if values.get("save_model_on_termination"):
        callbacks.append(_StopOnSignal())
    try:
        booster = xgboost.train(
            parameters,
            data[0][0],
            num_boost_round=values["num_round"],
            evals=data,
            custom_metric=_custom_metric(own, parameters["objective"]) if own else None,
            callbacks=callbacks,
            verbose_eval=False,
        )
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise CustomerError(f"XGBoost refuses to train: {_first_words(error)}") from error
    booster.save_model(job.model / "xgboost-model.json")
    (job.model / "xgboost-model.json").rename(job.model / "xgboost-model")


def _parameters(values: Mapping[str, Any], threads: int) -> dict[str, Any]:
    parameters: dict[str, Any] = {"objective": "reg:squarederror", "nthread": threads, "verbosity": 1}
    parameters |= {name: value for name, value in values.items() if name in _PARAMETERS}
    if parameters["objective"] == "reg:linear":
        parameters["objective"] = "reg:squarederror"
    if parameters.get("tree_method") == "gpu_hist":
        print("WARNING: tree_method gpu_hist is trained as hist on this machine")
        parameters["tree_method"] = "hist"
    if parameters["objective"].startswith("multi:") and "num_class" not in parameters:
        raise CustomerError(f"hyperparameter num_class is required for the objective {parameters['objective']}")
    if "interaction_constraints" in parameters:
        try:
            parameters["interaction_constraints"] = json.loads(parameters["interaction_constraints"])
        except ValueError:
            raise CustomerError("hyperparameter interaction_constraints must be a nested list of integers") from None
    return parameters


def _metrics(eval_metric: str | None, tuned: str | None) -> list[str]:
    """List what to evaluate: what was asked for, and the tuning job's objective in any case."""
    metrics = [] if eval_metric is None else [metric.strip() for metric in eval_metric.split(",") if metric.strip()]
    for metric in metrics:
        name, at, _ = metric.partition("@")
        if name not in _KNOWN_METRICS or (at and name not in _METRICS_WITH_THRESHOLD):
            raise CustomerError(f"hyperparameter eval_metric must be of {', '.join(_KNOWN_METRICS)}, got {metric!r}")
    if tuned is not None:
        metric = tuned.rpartition(":")[2]
        if metric not in _KNOWN_METRICS:
            raise CustomerError(f"the objective metric must be of {', '.join(_KNOWN_METRICS)}, got {tuned!r}")
        if metric not in metrics:
            metrics.append(metric)
    return metrics


def _read_data(job: Job, *, weights: bool) -> list[tuple[Any, str]]:
    if "train" not in job.channels:
        raise CustomerError(f"the channel train is required, got {', '.join(job.channels) or 'none'}")
    tuned = job.hyperparameters.get("_tuning_objective_metric", "")
    if tuned.startswith("validation:") and "validation" not in job.channels:
        raise CustomerError(f"the channel validation is required for the objective metric {tuned}")
    return [
        (_read_channel(job.channels[name], weights=weights, threads=job.threads), name)
        for name in ("train", "validation")
        if name in job.channels
    ]


def _check_labels(data: Sequence[tuple[Any, str]], parameters: Mapping[str, Any]) -> None:
    objective = parameters["objective"]
    for matrix, channel in data:
        labels = matrix.get_label()
        if objective.startswith("binary:") or objective == "reg:logistic":
            if not ((labels >= 0) & (labels <= 1)).all():
                raise CustomerError(f"the labels of channel {channel} must be in [0,1] for the objective {objective}")
        elif objective.startswith("multi:") and not np.isin(labels, np.arange(parameters["num_class"])).all():
            raise CustomerError(
                f"the labels of channel {channel} must be whole numbers from 0 to num_class - 1 "
                f"({parameters['num_class'] - 1}) for the objective {objective}"
            )


def _read_channel(channel: Channel, *, weights: bool, threads: int) -> Any:
    if is_csv(channel):
        table = read_csv(channel)
        first = 2 if weights else 1
        if table.shape[1] <= first:
            raise CustomerError(f"channel {channel.name} must have a weight and a feature beside the label")
        return xgboost.DMatrix(
            table[:, first:], label=table[:, 0], weight=table[:, 1] if weights else None, nthread=threads
        )
    if channel.content_type is None or is_libsvm(channel):
        features, labels = _read_libsvm(channel)
        return xgboost.DMatrix(features, label=labels, nthread=threads)
    raise CustomerError(
        f"the ContentType of channel {channel.name} must be text/csv or text/libsvm on this machine, "
        f"got {channel.content_type}"
    )


def _read_libsvm(channel: Channel) -> tuple[Any, Array]:
    import scipy.sparse

    parts = []
    for file in data_files(channel):
        try:
            # A single format string for all files keeps feature numbers as they are written.
            parts.append(load_svmlight_file(str(file), zero_based=True))
        except ValueError:
            raise CustomerError(
                f"file {file.name} of channel {channel.name} is not in LIBSVM format, which is the format without a "
                "ContentType; give the channel the ContentType text/csv when it has CSV"
            ) from None
    width = max(features.shape[1] for features, _ in parts)
    for features, _ in parts:
        features.resize(features.shape[0], width)
    return scipy.sparse.vstack([features for features, _ in parts]).tocsr(), np.concatenate([y for _, y in parts])


def _custom_metric(names: Sequence[str], objective: str) -> Callable[[Any, Any], list[tuple[str, float]]]:
    def evaluate(predictions: Array, data: Any) -> list[tuple[str, float]]:
        labels = data.get_label()
        results = []
        for name in names:
            if name in _VALUE_METRICS:
                results.append((name, float(_VALUE_METRICS[name](labels, predictions))))
            else:
                results.append((name, float(_CLASS_METRICS[name](labels, _classes(predictions, objective)))))
        return results

    return evaluate


def _classes(predictions: Array, objective: str) -> Any:
    if predictions.ndim > 1:
        return predictions.argmax(axis=1)
    if objective.startswith("multi:"):
        return predictions
    return (predictions > (0.0 if objective == "binary:logitraw" else 0.5)).astype(int)


def _log(line: str) -> None:
    # The service's log shows a tab as its octal escape, and its metric definitions expect that.
    print(line.rstrip("\n").replace("\t", "#011"), flush=True)


def _first_words(error: Exception) -> str:
    # XGBoost puts a time and a source line before what it says, and a stack trace after it.
    said = str(error).partition("Stack trace")[0].strip()
    return re.sub(r"^(\[[\d:]+\] )?(\S+:\d+: )?(Check failed: )?", "", said)


if __name__ == "__main__":
    sys.exit(main())
