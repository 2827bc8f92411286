"""Writes the example data: the breast cancer data set that scikit-learn ships, as CSV for SageMaker's built-ins.

Each file has the label (1 for benign) in its first column, 30 measurements after it, and no header. The rows are
shuffled in a fixed order and split into train (60 %), validation and test (20 % each).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}
SEED = 20


def main() -> None:
    """Write one folder per channel."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "data",
        help="folder for train, validation and test (default: %(default)s)",
    )
    folder: Path = parser.parse_args().output
    data = load_breast_cancer()
    table = np.column_stack([data.target, data.data])
    table = table[np.random.default_rng(SEED).permutation(len(table))]
    ends = [round(len(table) * share) for share in np.cumsum(list(SHARES.values()))]
    for channel, rows in zip(SHARES, np.split(table, ends[:-1]), strict=True):
        file = folder / channel / "part-0.csv"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savetxt(file, rows, delimiter=",", fmt="%.10g")
        print(f"{file}: {len(rows)} rows")


if __name__ == "__main__":
    main()
