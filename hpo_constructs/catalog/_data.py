"""Loads the catalog's dated data files, each on first use."""

import json
import os
from collections.abc import Iterable
from functools import cache
from typing import Any

_FOLDER = os.path.join(os.path.dirname(__file__), "data")  # noqa: PTH118, PTH120


@cache
def load(stem: str) -> dict[str, Any]:
    """The data file whose name is the stem, a hyphen and an edition; there is one of each."""
    # Path.glob would cost more than reading the file does.
    (name,) = (name for name in os.listdir(_FOLDER) if name.startswith(f"{stem}-"))  # noqa: PTH208
    with open(os.path.join(_FOLDER, name), encoding="utf-8") as file:  # noqa: PTH118, PTH123
        data: dict[str, Any] = json.load(file)
    return data


def suggestion(name: str, known: Iterable[str]) -> str:
    """`, did you mean x?` for a name that is close to a known one, else nothing."""
    from difflib import get_close_matches  # only a failed lookup pays for the import

    nearest = get_close_matches(name, list(known), n=1)
    return f", did you mean {nearest[0]}?" if nearest else ""
