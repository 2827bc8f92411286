"""A run shown while it goes on, for `hpo run` and `hpo start --wait` alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from ..account import Run


def show_progress(states: Iterable[Run], console: Console, *, quiet: bool = False) -> Run:
    """Show a run until its states end: a live bar on a terminal, a line for each change elsewhere; the last state.

    Args:
        states: The states of the run, at least one.
        console: Where the bar stands.
        quiet: Whether nothing is shown.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    bar = Progress(
        TextColumn("training jobs"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
    )
    shown = ""
    state: Run | None = None
    with bar:
        task = bar.add_task("", total=None)
        for state in states:
            ended, total, line = _progress(state.job)
            bar.update(task, completed=ended, total=total, description=line)
            if line != shown and not quiet and not console.is_terminal:
                typer.echo(f"{ended}/{total or '?'} training jobs: {line}")
            shown = line
    assert state is not None  # noqa: S101 - a run has a state
    return state


def _progress(job: Mapping[str, Any] | None) -> tuple[int, int | None, str]:
    """How many training jobs have ended, of how many, and the state in words."""
    from ..report.tuning_jobs import best_text, counters_text

    if job is None:
        return 0, None, "no tuning job yet (created or queued)"
    counters = job.get("TrainingJobStatusCounters", {})
    total = job["HyperParameterTuningJobConfig"].get("ResourceLimits", {}).get("MaxNumberOfTrainingJobs")
    best = best_text(job.get("BestTrainingJob"))
    line = f"{counters_text(job)}{f', best {best}' if best else ''}"
    return sum(counters.values()) - counters.get("InProgress", 0), total, line
