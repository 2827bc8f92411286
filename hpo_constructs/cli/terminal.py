"""Colour where a person looks, plain text everywhere else."""

import os
import sys
from typing import Any

from ..report.findings import Style, plain

_ROLES: dict[str, dict[str, Any]] = {
    "error": {"fg": "red", "bold": True},
    "quota": {"fg": "magenta", "bold": True},
    "warning": {"fg": "yellow"},
    "unknown": {"fg": "cyan"},
    "good": {"fg": "green"},
    "strong": {"bold": True},
    "dim": {"dim": True},
}


def style() -> Style:
    """A style for standard output: no colour when it is not a terminal that knows any, or when NO_COLOR is set."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not sys.stdout.isatty():
        return plain

    def coloured(text: str, role: str) -> str:
        from typer import style as ansi

        return ansi(text, **_ROLES[role])

    return coloured
