"""A stand-in for SageMaker's built-in k-nearest neighbors: scikit-learn's.

The service's k-NN is not available outside of it. This program takes its hyperparameters, channels and CSV data with
the label in the first column, prints its metrics in its log's form, and goes the same way: it samples the training
data, reduces the dimensions when it is asked to (by a random projection for both types), and predicts by the nearest
neighbors. The neighbors are exact: an approximate index (``faiss.IVFFlat``, ``faiss.IVFPQ``) is not built. Its numbers
are not the service's. The channels are ``train`` and, for the metrics, ``test``.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/kNN_hyperparameters.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/kNN_how-it-works.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/kNN-tuning.html
"""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from ._program import (
    Array,
    Choice,
    CustomerError,
    Job,
    Number,
    Reader,
    check_complete,
    read_csv,
    read_hyperparameters,
    require,
    require_csv,
    require_train,
    run,
    text,
)

_COUNT = Number(whole=True, low=1)
_DISTANCES = {"L2": "euclidean", "COSINE": "cosine"}
_READERS: Mapping[str, Reader] = {
    "feature_dim": _COUNT,
    "k": _COUNT,
    "predictor_type": Choice(("classifier", "regressor")),
    "sample_size": _COUNT,
    "dimension_reduction_target": _COUNT,
    "dimension_reduction_type": Choice(("sign", "fjlt")),
    "index_metric": Choice(("L2", "INNER_PRODUCT", "COSINE")),
    "index_type": Choice(("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ")),
    "mini_batch_size": _COUNT,
}
_WITHOUT_EFFECT: Mapping[str, Reader] = {"faiss_index_ivf_nlists": text, "faiss_index_pq_m": text}


def main() -> int:
    """Train as the hyperparameters say."""
    return run(_train)


def _train(job: Job) -> None:
    print("This is a stand-in for SageMaker's k-nearest neighbors: scikit-learn's.")
    values = read_hyperparameters(job.hyperparameters, {**_READERS, **_WITHOUT_EFFECT})
    require(values, "k", "feature_dim", "predictor_type", "sample_size")
    if values.get("index_metric") == "INNER_PRODUCT":
        raise CustomerError("hyperparameter index_metric must be L2 or COSINE on this machine, got INNER_PRODUCT")
    for name in sorted(values.keys() & _WITHOUT_EFFECT.keys()):
        print(f"WARNING: hyperparameter {name} has no effect on the stand-in")
    if values.get("index_type", "faiss.Flat") != "faiss.Flat":
        print("WARNING: the stand-in's neighbors are exact: index_type has no effect")
    channels = {"train": require_train(job)} | ({"test": job.channels["test"]} if "test" in job.channels else {})
    tables = {}
    for name, channel in channels.items():
        require_csv(channel)
        table = tables[name] = read_csv(channel)
        check_complete(table, name)
        width = table.shape[1] - 1
        if width != values["feature_dim"]:
            raise CustomerError(
                f"hyperparameter feature_dim must be {width} as in channel {name}, got {values['feature_dim']}"
            )
    projection = _projection(values)
    train = _sample(tables["train"], values["sample_size"])
    if values["k"] > len(train):
        raise CustomerError(f"hyperparameter k must be <= {len(train)}, the sampled rows, got {values['k']}")
    kind: Any = KNeighborsClassifier if values["predictor_type"] == "classifier" else KNeighborsRegressor
    distance = _DISTANCES[values.get("index_metric", "L2")]
    model = kind(n_neighbors=values["k"], metric=distance, n_jobs=job.threads)
    model.fit(train[:, 1:] @ projection, train[:, 0])
    if "test" in tables:
        _report(values["predictor_type"], tables["test"][:, 0], model.predict(tables["test"][:, 1:] @ projection))
    # Read back by its owner only, from the model that this very program wrote.
    (job.model / "knn-stand-in.pickle").write_bytes(pickle.dumps({"model": model, "projection": projection}))
    (job.model / "about.json").write_text(json.dumps({"algorithm": "k-nearest neighbors stand-in (scikit-learn)"}))


def _sample(table: Array, size: int) -> Array:
    if size >= len(table):
        return table
    sampled: Array = table[np.random.default_rng(0).choice(len(table), size, replace=False)]
    return sampled


def _projection(values: Mapping[str, Any]) -> Array:
    """Give the matrix that reduces the dimensions; the unit matrix leaves them as they are."""
    width, kind = values["feature_dim"], values.get("dimension_reduction_type")
    if kind is None:
        return np.eye(width)
    require(values, "dimension_reduction_target")
    target = values["dimension_reduction_target"]
    if target >= width:
        raise CustomerError(f"hyperparameter dimension_reduction_target must be < {width} (feature_dim), got {target}")
    generator = np.random.default_rng(0)
    random = (
        generator.choice([-1.0, 1.0], (width, target)) if kind == "sign" else generator.normal(size=(width, target))
    )
    projection: Array = random / np.sqrt(target)
    return projection


def _report(predictor_type: str, labels: Array, predicted: Array) -> None:
    if predictor_type == "classifier":
        metric, kind, value = "accuracy", "score", float((predicted == labels).mean())
    else:
        metric, kind, value = "mse", "loss", float(((predicted - labels) ** 2).mean())
    print(f"#quality_metric: host=algo-1, test {metric} <{kind}>={value!r}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
