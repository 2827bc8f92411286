"""SageMaker's built-in CatBoost on this machine: the real package behind the built-in's hyperparameters and log.

Its metrics are those of the package's own log: ``bestTest = ([0-9\\\\.]+)``, as the tuning page has it for each of
them. The model is the file ``model`` in CatBoost's own format.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/catboost-hyperparameters.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/catboost-tuning.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/InputOutput-CatBoost.html
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

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
from ._program import CustomerError, Job, run

_PACKAGE = optional_package("catboost")

_LOSSES = {REGRESSION: "RMSE", "binary": "Logloss", "multiclass": "MultiClass"}
_METRICS = {REGRESSION: "RMSE", "binary": "AUC", "multiclass": "MultiClass"}
_CONTROL = ("early_stopping_rounds", "eval_metric", "thread_count")
_LEAF_WISE = ("Depthwise", "Lossguide")


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    catboost = require_package(_PACKAGE, "CatBoost")
    given, values = read_documented(job, "catboost", {})
    data = read_data(job)
    task = read_task(data.train.labels)
    metric = _METRICS[task.kind] if values["eval_metric"] == "auto" else values["eval_metric"]
    warn_of_unwatched_objective(job, metric)
    parameters = {name: value for name, value in values.items() if name not in _CONTROL and value != "Auto"}
    for name, why in _without_effect(values, task).items():
        del parameters[name]
        if name in given:
            print(f"WARNING: hyperparameter {name} has an effect {why} only", flush=True)
    if (rounds := values["early_stopping_rounds"]) > 0:
        parameters["early_stopping_rounds"] = rounds
    threads = values["thread_count"]
    make = catboost.CatBoostRegressor if task.kind == REGRESSION else catboost.CatBoostClassifier
    try:
        model = make(
            **parameters,
            loss_function=_LOSSES[task.kind],
            eval_metric=metric,
            # The bootstrap that has a bagging temperature.
            bootstrap_type="Bayesian",
            thread_count=threads if threads > 0 else job.threads,
            allow_writing_files=False,
        )
        model.fit(_pool(catboost, data.train, data), eval_set=_pool(catboost, data.validation, data))
    except (catboost.CatBoostError, ValueError) as error:
        raise CustomerError(f"CatBoost refuses to train: {error}") from error
    model.save_model(str(job.model / "model"))


def _without_effect(values: Mapping[str, Any], task: Task) -> dict[str, str]:
    """Give the hyperparameters that the package refuses beside the others, with what they go with."""
    found = {}
    if values["grow_policy"] != "Lossguide":
        found["max_leaves"] = "with grow_policy Lossguide"
    if values["grow_policy"] not in _LEAF_WISE:
        found["min_data_in_leaf"] = "with grow_policy Depthwise or Lossguide"
    if task.kind != "binary":
        found["scale_pos_weight"] = "with two classes"
    return found


def _pool(catboost: Any, table: Table, data: Data) -> Any:
    features = table.features
    if data.categorical:
        # Categories are texts to CatBoost; a missing one is a category of its own.
        features = features.copy()
        for column in data.categorical:
            features[:, column] = features[:, column].astype(str)
    else:
        features = np.asarray(features, dtype=float)
    return catboost.Pool(features, label=table.labels, cat_features=list(data.categorical) or None)


if __name__ == "__main__":
    sys.exit(main())
