"""A stand-in for SageMaker's built-in k-means: scikit-learn's.

The service's k-means is not available outside of it. This program takes its hyperparameters, channels and CSV data
(``text/csv;label_size=0``), prints its metrics in its log's form, and goes the same way: mini-batch k-means finds
``k * extra_center_factor`` centers, and Lloyd's algorithm reduces them to ``k``. Its numbers are not the service's.
The channels are ``train`` and, for the metrics, ``test``.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/k-means-api-config.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/algo-kmeans-tech-notes.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/k-means-tuning.html
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.metrics import pairwise_distances_argmin_min

from ._program import (
    Array,
    Choice,
    CustomerError,
    Job,
    Number,
    Reader,
    auto_or,
    check_complete,
    read_csv,
    read_hyperparameters,
    require,
    require_csv,
    require_train,
    run,
)

_COUNT = Number(whole=True, low=1)
_INIT = Choice(("random", "kmeans++"))
_METRICS = ("msd", "ssd")
_AUTO_TRIALS = 10
_AUTO_FACTOR = 10


def _metrics(name: str, value: str) -> list[str]:
    try:
        metrics = json.loads(value)
    except ValueError:
        metrics = None
    if not isinstance(metrics, list) or not set(metrics) <= set(_METRICS):
        raise CustomerError(f"hyperparameter {name} must be a JSON list of msd and ssd, got {value!r}")
    return metrics


_READERS: Mapping[str, Reader] = {
    "feature_dim": _COUNT,
    "k": _COUNT,
    "epochs": _COUNT,
    "eval_metrics": _metrics,
    "extra_center_factor": auto_or(_COUNT),
    "half_life_time_size": Number(whole=True, low=0),
    "init_method": _INIT,
    "local_lloyd_init_method": _INIT,
    "local_lloyd_max_iter": _COUNT,
    "local_lloyd_num_trials": auto_or(_COUNT),
    "local_lloyd_tol": Number(low=0, high=1),
    "mini_batch_size": _COUNT,
}
_DEFAULTS: Mapping[str, Any] = {
    "epochs": 1,
    "eval_metrics": ["msd"],
    "init_method": "random",
    "local_lloyd_init_method": "kmeans++",
    "local_lloyd_max_iter": 300,
    "local_lloyd_num_trials": _AUTO_TRIALS,
    "local_lloyd_tol": 0.0001,
    "mini_batch_size": 5000,
}


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    print("This is a stand-in for SageMaker's k-means: scikit-learn's.")
    values = read_hyperparameters(job.hyperparameters, _READERS)
    require(values, "k", "feature_dim")
    if values.get("half_life_time_size"):
        print("WARNING: hyperparameter half_life_time_size has no effect on the stand-in")
    settings = {**_DEFAULTS, **{name: value for name, value in values.items() if value is not None}}
    tuned = job.hyperparameters.get("_tuning_objective_metric", "").removeprefix("test:")
    wanted = [name for name in _METRICS if name in settings["eval_metrics"] or name == tuned]
    channels = {"train": require_train(job)} | ({"test": job.channels["test"]} if "test" in job.channels else {})
    tables = {}
    for name, channel in channels.items():
        require_csv(channel)
        table = tables[name] = read_csv(channel, labelled=False)
        check_complete(table, name)
        if table.shape[1] != settings["feature_dim"]:
            raise CustomerError(
                f"hyperparameter feature_dim must be {table.shape[1]} as in channel {name}, got "
                f"{settings['feature_dim']}"
            )
    centers = _fit(tables["train"], settings)
    if "test" in tables:
        squared = _squared_distances(tables["test"], centers)
        found = {"msd": float(squared.mean()), "ssd": float(squared.sum())}
        for name in wanted:
            print(f"#quality_metric: host=algo-1, test {name} <loss>={found[name]!r}", flush=True)
    # Read back by its owner only, from the model that this very program wrote.
    (job.model / "kmeans-stand-in.pickle").write_bytes(pickle.dumps(centers))
    (job.model / "about.json").write_text(json.dumps({"algorithm": "k-means stand-in (scikit-learn)"}))


def _fit(table: Array, settings: Mapping[str, Any]) -> Array:
    k = settings["k"]
    if k > len(table):
        raise CustomerError(f"hyperparameter k must be <= {len(table)}, the rows of channel train, got {k}")
    factor = settings.get("extra_center_factor") or min(_AUTO_FACTOR, len(table) // k)
    count = min(len(table), k * factor)
    batch = max(min(settings["mini_batch_size"], len(table)), count)
    first = MiniBatchKMeans(
        n_clusters=count, init=_scikit(settings["init_method"]), n_init=1, batch_size=batch, random_state=0
    )
    order = np.random.default_rng(0)
    for epoch in range(settings["epochs"]):
        shuffled = table[order.permutation(len(table))]
        for start in range(0, len(shuffled), batch):
            # scikit-learn begins with as many rows as there are centers.
            rows = shuffled[start : start + batch]
            if epoch or start or len(rows) >= count:
                first.partial_fit(rows)
        print(f"#progress_metric: host=algo-1, completed {100 * (epoch + 1) / settings['epochs']:g} % of epochs")
    lloyd = KMeans(
        n_clusters=k,
        init=_scikit(settings["local_lloyd_init_method"]),
        n_init=settings["local_lloyd_num_trials"],
        max_iter=settings["local_lloyd_max_iter"],
        tol=settings["local_lloyd_tol"],
        random_state=0,
    )
    weights = np.bincount(first.predict(table), minlength=count)
    used = weights > 0
    if used.sum() >= k:
        lloyd.fit(first.cluster_centers_[used], sample_weight=weights[used])
    else:
        # So few centers have a row that there is nothing to reduce.
        lloyd.fit(table)
    centers: Array = lloyd.cluster_centers_
    return centers


def _scikit(method: str) -> str:
    return "k-means++" if method == "kmeans++" else method


def _squared_distances(table: Array, centers: Array) -> Array:
    _, distances = pairwise_distances_argmin_min(table, centers)
    squared: Array = distances**2
    return squared


if __name__ == "__main__":
    sys.exit(main())
