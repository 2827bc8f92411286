"""A user's training script, as for SageMaker's scikit-learn image."""

import argparse
import os
from pathlib import Path

import numpy as np
from own_helper import accuracy
from sklearn.tree import DecisionTreeClassifier

parser = argparse.ArgumentParser()
parser.add_argument("--max-depth", type=int)
parser.add_argument("--note")
arguments = parser.parse_args()
assert arguments.note == "two words"
train, validation = (
    np.loadtxt(Path(os.environ[f"SM_CHANNEL_{name}"]) / "part-0.csv", delimiter=",") for name in ("TRAIN", "VALIDATION")
)
tree = DecisionTreeClassifier(max_depth=arguments.max_depth, random_state=0).fit(train[:, 1:], train[:, 0])
print(f"accuracy={accuracy(tree, validation)};")
(Path(os.environ["SM_MODEL_DIR"]) / "depth.txt").write_text(str(tree.get_depth()))
