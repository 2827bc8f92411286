"""Trains a support vector machine on handwritten digits, as SageMaker's containers do it.

Everything that the program needs is where SageMaker puts it: hyperparameters and channels in the `SM_*` variables of
the training toolkit, or below `/opt/ml`. What it prints is the training log, from which the metric definitions read.
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo.html
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from pathlib import Path

import joblib
import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

ROOT = Path(os.environ.get("HPO_LOCAL_ML_ROOT", "/opt/ml"))


def hyperparameters() -> dict[str, str]:
    """The training job's hyperparameters; the service writes all values as text."""
    values: dict[str, str] = json.loads((ROOT / "input/config/hyperparameters.json").read_text())
    return values


def channel(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Features and labels of a channel; the label is the first column."""
    folder = ROOT / "input/data" / name
    rows = np.vstack([np.loadtxt(file, delimiter=",") for file in sorted(folder.glob("*.csv"))])
    return rows[:, 1:], rows[:, 0].astype(int)


def main() -> None:
    """Fit, report both accuracies, save the model."""
    values = hyperparameters()
    model = make_pipeline(
        StandardScaler(),
        SVC(C=float(values["C"]), gamma=float(values["gamma"]), kernel=values.get("kernel", "rbf")),
    )
    train, validation = channel("train"), channel("validation")
    model.fit(*train)
    print(f"train accuracy={model.score(*train):.5f}", flush=True)
    print(f"validation accuracy={model.score(*validation):.5f}", flush=True)
    folder = ROOT / "model"
    folder.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, folder / "model.joblib")


if __name__ == "__main__":
    try:
        main()
    except Exception:
        # The end of this file becomes the training job's FailureReason.
        failure = ROOT / "output/failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(traceback.format_exc())
        traceback.print_exc()
        sys.exit(1)
