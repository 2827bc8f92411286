"""The rows of `bench/engine.py`, a program of its own because it starts endpoints and training processes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ._common import ROOT, BenchError, Row, environment, progress


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about the local engine.

    Raises:
        BenchError: The program failed; what it said is on the terminal.
    """
    progress("bench/engine.py")
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "engine.json"
        command = [sys.executable, str(ROOT / "bench/engine.py"), "--full" if full else "--quick", "--json", str(file)]
        # What it prints while it runs is progress; its own table would stand beside ours.
        done = subprocess.run(command, env=environment(), stdout=sys.stderr, check=False)
        if done.returncode or not file.exists():
            raise BenchError(f"bench/engine.py ended with {done.returncode}")
        yield from (Row.from_dict(row) for row in json.loads(file.read_text()))
