"""Writes the digits that scikit-learn ships as CSV, the label first: train (75 %) and validation (25 %)."""

from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

FOLDER = Path(__file__).parent / "data"


def main() -> None:
    """Write one folder per channel."""
    digits = load_digits()
    rows = np.column_stack([digits.target, digits.data])
    train, validation = train_test_split(rows, test_size=0.25, random_state=20, stratify=digits.target)
    for channel, part in {"train": train, "validation": validation}.items():
        file = FOLDER / channel / "part-0.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(file, part, delimiter=",", fmt="%g")
        print(f"{file}: {len(part)} rows")


if __name__ == "__main__":
    main()
