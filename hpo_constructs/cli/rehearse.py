"""A declared job taken through all its steps on this machine, and what came of it, shown and kept."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..account import Account, DeclaredJob, Job, Run, look, start, stop, training_jobs, watch
from ..errors import LocalError
from ..spec.declaration import Declaration
from .progress import show_progress

if TYPE_CHECKING:
    from rich.console import Console

    from ..local.rehearsal import Rehearsal

# The state machine's waits between two looks suit jobs of hours; on this machine a job takes seconds.
_WAIT_SCALE = 0.03
_LOOK_SECONDS = 0.5
_STOP_SECONDS = 30.0
_LOG_LINES = 8


def rehearse(
    declaration: Declaration, template: Path, images: list[dict[str, Any]], output: Path | None, console: Console
) -> int:
    """Deploy a declared job to a local endpoint, run it there, and keep and show what it has brought.

    Args:
        declaration: The declared job, checked.
        template: The file that declares it.
        images: The image mapping beside the template's own.
        output: The folder for what the run has brought; `.hpo/runs/<tuning job>` without one.
        console: Where to show it.

    Returns:
        The exit code: 0 with a best training job, 1 without one, 130 when it was interrupted.

    Raises:
        LocalError: It cannot be run here; the message says why.
    """
    from ..local.rehearsal import LocalBlock, Rehearsal, refuse_unknown_images

    try:
        from ..local import LocalEndpoint
    except ImportError as error:
        raise LocalError(f"{error.name} is not installed: pip install 'hpo-constructs[local]'") from None
    commands = [*LocalBlock.of(declaration).commands, *images]
    refuse_unknown_images(declaration, commands)
    with tempfile.TemporaryDirectory(prefix="hpo-run-") as folder:
        log = Path(folder) / "cdk.log"
        log.touch()
        with console.status("starting the local endpoint"):
            endpoint = LocalEndpoint(images=commands, wait_scale=_WAIT_SCALE)
            endpoint.start()
        started: _Started | None = None
        run: Run | None = None
        interrupted = False
        try:
            deployed = _deployed(Rehearsal(endpoint, declaration, template, log), declaration, console)
            started = _Started.of(Account(session=endpoint.session), deployed)
            console.print(f"tuning job [bold]{started.tuning_job}[/bold]")
            run = show_progress(started.watch(), console)
        except KeyboardInterrupt:
            interrupted = True
            if started is not None:
                with console.status("stopping the tuning job"):
                    run = started.stop()
        finally:
            try:
                if started is not None and run is not None:
                    kept = output or Path(".hpo") / "runs" / started.tuning_job
                    _end(started, run, kept, log, console)
            finally:
                endpoint.stop()
    if interrupted:
        typer.echo("hpo: interrupted; nothing is left running", err=True)
        return 130
    return 0 if run is not None and run.succeeded else 1


def _deployed(rehearsal: Rehearsal, declaration: Declaration, console: Console) -> DeclaredJob:
    from ..local.rehearsal import STACK_NAME

    with _step(console, "data and CDK bootstrap"):
        rehearsal.prepare_and_bootstrap()
    with _step(console, "CDK deploy"):
        machine, prefix = rehearsal.deploy()
    return DeclaredJob(declaration.name, STACK_NAME, machine, prefix)


@dataclass(frozen=True)
class _Started:
    """A run of the deployed job."""

    account: Account
    job: DeclaredJob
    execution: str
    tuning_job: str

    @classmethod
    def of(cls, account: Account, job: DeclaredJob) -> _Started:
        """Start a run."""
        return cls(account, job, *start(account, job))

    def watch(self) -> Iterator[Run]:
        """The state of the run again and again, until it has ended."""
        return watch(self.account, self.execution, self.tuning_job, _LOOK_SECONDS)

    def stop(self) -> Run:
        """Stop the run; its last state."""
        job = Job(self.job.name, self.job.name, self.job, self.tuning_job, given=False)
        stop(self.account, job, seconds=_STOP_SECONDS, waiting=lambda _: None)
        return look(self.account, self.execution, self.tuning_job)


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    begun = time.monotonic()
    with console.status(name):
        yield
    console.print(f"[green]done[/green] {name} [dim]({time.monotonic() - begun:.1f} s)[/dim]")


def _end(started: _Started, run: Run, kept: Path, log: Path, console: Console) -> None:
    """Keep what the run has brought, and show it."""
    from rich.markup import escape

    from ..account.results import keep, outputs
    from ..report.training_jobs import objective_value, output_lines, training_jobs_table

    summaries = training_jobs(started.account, started.tuning_job) if run.job else []
    prefix = started.job.output_prefix
    published = outputs(started.account, prefix)
    keep(started.account, kept, tuning_job=run.job, training_jobs=summaries, published=published)
    shutil.copyfile(log, kept / log.name)
    best = (run.job or {}).get("BestTrainingJob")
    definitions = (run.job or {}).get("TrainingJobDefinitions") or []
    name = best["TrainingJobName"] if best else None
    if summaries:
        console.print()
        console.print(training_jobs_table(started.tuning_job, summaries, name, several=len(definitions) > 1))
    if best is not None:
        metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
        where = f" ({best['TrainingJobDefinitionName']})" if best.get("TrainingJobDefinitionName") else ""
        console.print(
            f"\n[bold]best training job {name}[/bold]{escape(where)}: {metric['MetricName']} "
            f"= {objective_value(best):.5f}"
        )
    if published:
        console.print(f"\nSSM parameters below [bold]{escape(prefix)}[/bold], as read back from the endpoint:")
        for line in output_lines(prefix, published):
            console.print(f"  {escape(line)}", soft_wrap=True)
    console.print(f"\nkept in {escape(str(kept))}: {_listed(kept)}")
    if summaries:
        console.print(f"as a page, with plots: hpo report --from {escape(str(kept))} --open", soft_wrap=True)
    if run.ended and not run.succeeded:
        console.print(f"[red]the run failed:[/red] {escape(run.reason)}")
        _show_failures(started.account, summaries, console)


def _show_failures(account: Account, summaries: Sequence[Any], console: Console) -> None:
    """The end of one log for each reason of failure; the reasons themselves are the run's."""
    from rich.markup import escape

    from ..account.results import log_lines
    from ..report.tuning_jobs import failure_reasons

    for group in failure_reasons(summaries):
        name = group["training_jobs"][0]
        lines = log_lines(account, name, _LOG_LINES)
        if lines:
            console.print(f"\nthe log of {name} ends with:")
        for line in lines:
            console.print(f"  [dim]{escape(line)}[/dim]")


def _listed(folder: Path) -> str:
    return ", ".join(sorted(f"{item.name}/" if item.is_dir() else item.name for item in folder.iterdir()))
