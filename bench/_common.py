"""What the rows of the bench share: fresh processes, runs in turns, the rows themselves, the facts of the machine.

A timed program runs in a process of its own, and what is compared runs in turns, so that a machine that is busy for a
while is busy for both. The quickest run counts where nothing but the program's own work is timed: what else the machine
does makes a run slower, never quicker.
"""

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

ROOT: Final = Path(__file__).resolve().parents[1]
BIN: Final = Path(sys.executable).parent
T = TypeVar("T")
_PACKAGES: Final = ("aws-cdk-lib", "boto3", "cfn-lint", "moto", "optuna", "pydantic", "xgboost-cpu")


class BenchError(Exception):
    """A program of the bench did not do what is to be timed; the message has what it printed."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What a row should reach.

    Attributes:
        of: The figure that is looked at.
        sense: Whether it may be at most or has to be at least so much.
        limit: So much.
    """

    of: Literal["ratio", "ours"]
    sense: Literal["<=", ">=", "<"]
    limit: float

    def met(self, value: float) -> bool:
        """Whether a value reaches the aim."""
        match self.sense:
            case "<=":
                return value <= self.limit
            case "<":
                return value < self.limit
            case ">=":
                return value >= self.limit


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, as it stands in JSON; `row_of` makes it.

    Attributes:
        row: The part of the bench.
        case: What is measured.
        ours: Our figure.
        other: The alternative's figure, where it has one.
        other_name: The alternative.
        unit: `s`, `B`, `USD`, or a word; see `shown`.
        ratio: Ours by the alternative's.
        better: Which direction is the good one.
        aim: What is aimed at; empty without an aim.
        met: Whether it is reached; None without an aim, or without the figure that it is about.
        note: What has to be known beside the figures.
    """

    row: str
    case: str
    ours: float
    other: float | None
    other_name: str
    unit: str
    ratio: float | None
    better: Literal["lower", "higher"]
    aim: str
    met: bool | None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The row as it stands in JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Row":
        """A row out of JSON."""
        return cls(**values)


def row_of(
    row: str,
    case: str,
    ours: float,
    unit: str,
    *,
    other: float | None = None,
    other_name: str = "",
    better: Literal["lower", "higher"] = "lower",
    aim: Aim | None = None,
    note: str = "",
) -> Row:
    """The row of what was measured; the arguments are `Row`'s."""
    ratio = ours / other if other else None
    text, met = "", None
    if aim is not None:
        value = ratio if aim.of == "ratio" else ours
        met = None if value is None else aim.met(value)
        text = f"{aim.sense} {f'{aim.limit:g} x' if aim.of == 'ratio' else shown(aim.limit, unit)}"
    return Row(row, case, ours, other, other_name, unit, ratio, better, text, met, note)


def shown(value: float | None, unit: str) -> str:
    """A figure with its unit, with the digits that matter."""
    if value is None:
        return ""
    match unit:
        case "s" if value >= 3 * 3600:
            return f"{value / 3600:.1f} h"
        case "s" if value >= 180:
            return f"{value / 60:.1f} min"
        case "s" if value >= 1:
            return f"{value:.2f} s"
        case "s" if value >= 1e-3:
            return f"{1e3 * value:.1f} ms"
        case "s":
            return f"{1e6 * value:.0f} us"
        case "B" if abs(value) >= 1e6:
            return f"{value / 1e6:.2f} MB"
        case "B":
            return f"{value / 1e3:.1f} KB"
        case "USD":
            return f"${value:.2g}" if value < 0.1 else f"${value:.2f}"
    digits = f"{value:,.0f}" if value == int(value) or value >= 1000 else f"{value:.3g}"
    return f"{digits} {unit}".strip()


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of several runs of one thing."""

    values: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least."""
        return min(self.values)

    @property
    def median(self) -> float:
        """The middle."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles."""
        if len(self.values) < 2:
            return self.values[0], self.values[0]
        low, _, high = statistics.quantiles(self.values, n=4, method="inclusive")
        return low, high


def in_turns(runs: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Run each participant once a round, every other round in the opposite order."""
    found: dict[str, list[T]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in reversed(list(runs)) if number % 2 else runs:
            found[name].append(runs[name]())
    return found


def environment(**more: str) -> dict[str, str]:
    """The environment of the programs: the tools of this environment, compiled bytecode, and no AWS account."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHONDONTWRITE"))}
    paths = os.pathsep.join([str(ROOT), str(ROOT / "lambda")])
    return own | {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": paths,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        **more,
    }


def output(command: Sequence[str], *, cwd: Path | None = None, **variables: str) -> str:
    """What a command prints.

    Raises:
        BenchError: It failed.
    """
    done = subprocess.run(command, cwd=cwd, env=environment(**variables), capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"{' '.join(command)[:300]} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def seconds(command: Sequence[str], *, cwd: Path | None = None, **variables: str) -> float:
    """How long a command takes, the start of its process included."""
    begin = time.perf_counter()
    output(command, cwd=cwd, **variables)
    return time.perf_counter() - begin


def figures(program: str, *arguments: str, **variables: str) -> Any:
    """The JSON document that a Python program prints last, run in a process of its own.

    It runs in an empty folder: what stands in the present one is not imported.
    """
    with tempfile.TemporaryDirectory() as folder:
        text = output([sys.executable, "-c", program, *arguments], cwd=Path(folder), **variables)
    return json.loads(text.splitlines()[-1])


def progress(text: str) -> None:
    """Say what is being measured."""
    print(f"  {text}", file=sys.stderr, flush=True)


def machine() -> dict[str, Any]:
    """The facts of the machine and of what runs on it."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if "model name" in line]
        cpu = names[0] if names else cpu
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "node": output(["node", "--version"]).strip(),
        "cdk": output(["cdk", "--version"]).split()[0],
        "load": round(os.getloadavg()[0], 2),
        "packages": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
