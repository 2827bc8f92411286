"""SageMaker's built-in LightGBM on this machine: the real package behind the built-in's hyperparameters and log.

Its metrics are those of the package's own log, by the expressions that the tuning page gives, such as
``auc: ([0-9\\\\.]+)``. The model is ``model.pkl``, written by joblib.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/lightgbm-hyperparameters.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/lightgbm-tuning.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/InputOutput-LightGBM.html
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import numpy as np

from ...catalog.algorithms import known_builtin
from ._jumpstart import (
    REGRESSION,
    Data,
    Table,
    Task,
    optional_package,
    read_data,
    read_documented,
    read_task,
    require_package,
    warn_of_unwatched_objective,
)
from ._program import Choice, CustomerError, Job, run, text

_PACKAGE = optional_package("lightgbm")

_OBJECTIVES = {REGRESSION: "regression", "binary": "binary", "multiclass": "multiclass"}
_METRICS = {REGRESSION: "rmse", "binary": "binary_logloss", "multiclass": "multi_logloss"}
_CONTROL = ("num_boost_round", "early_stopping_rounds", "metric", "num_threads", "tree_learner", "use_dask")


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    lightgbm = require_package(_PACKAGE, "LightGBM")
    allowed = ("auto", *known_builtin("lightgbm").objective_metrics)
    # A single machine trains serially, whatever the learner and Dask.
    _, values = read_documented(job, "lightgbm", {"metric": Choice(allowed), "use_dask": text})
    data = read_data(job)
    task = read_task(data.train.labels)
    metric = _METRICS[task.kind] if values["metric"] == "auto" else values["metric"]
    warn_of_unwatched_objective(job, metric)
    parameters: dict[str, Any] = {name: value for name, value in values.items() if name not in _CONTROL}
    parameters |= {
        "objective": _OBJECTIVES[task.kind],
        "metric": metric,
        "is_unbalance": values["is_unbalance"] == "True",
        "num_threads": values["num_threads"] or job.threads,
    }
    if task.kind == "multiclass":
        parameters["num_class"] = len(task.classes)
    if task.kind != "binary":
        # The package refuses them elsewhere.
        parameters = {name: value for name, value in parameters.items() if name not in _BINARY_ONLY}
    callbacks = [lightgbm.log_evaluation(1)]
    if (rounds := values["early_stopping_rounds"]) > 0 and values["boosting"] != "dart":
        callbacks.append(lightgbm.early_stopping(rounds))
    try:
        train = _dataset(lightgbm, data.train, data, task)
        booster = lightgbm.train(
            parameters,
            train,
            num_boost_round=values["num_boost_round"],
            valid_sets=[_dataset(lightgbm, data.validation, data, task, reference=train)],
            callbacks=callbacks,
        )
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        raise CustomerError(f"LightGBM refuses to train: {error}") from error
    importlib.import_module("joblib").dump(booster, job.model / "model.pkl")


_BINARY_ONLY = ("is_unbalance", "scale_pos_weight")


def _dataset(lightgbm: Any, table: Table, data: Data, task: Task, reference: Any = None) -> Any:
    try:
        features = table.features.astype(float)
    except ValueError as error:
        raise CustomerError(f"categorical features must be whole numbers for LightGBM: {error}") from None
    labels: Any = table.labels
    if task.classes:
        if not np.isin(labels, task.classes).all():
            raise CustomerError("the validation data must have no label that the training data has not")
        labels = np.searchsorted(task.classes, labels)
    return lightgbm.Dataset(
        features, label=labels, categorical_feature=list(data.categorical) or "auto", reference=reference
    )


if __name__ == "__main__":
    sys.exit(main())
