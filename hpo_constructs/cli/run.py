"""`hpo run`: a declared tuning job on this machine, from the check to the published best training job."""

from __future__ import annotations

import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..documents import read
from ..errors import DocumentError, HpoError, LocalError
from ..report.findings import as_text
from ..rules import check
from ..spec.declaration import Declaration
from .check import stated_quotas
from .progress import show_progress
from .terminal import style

if TYPE_CHECKING:
    from rich.console import Console

    from ..local.rehearsal import Rehearsal, Run

# The state machine's waits between two looks suit jobs of hours; on this machine a job takes seconds.
_WAIT_SCALE = 0.1
_LOG_LINES = 8


def run_command(
    template: Annotated[Path, typer.Argument(help="A team template, or another declaration.", show_default=False)],
    job: Annotated[
        str | None, typer.Option("--job", help="The job to run, when the file declares several.", show_default=False)
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML or JSON list of {image: pattern, command: [...], directory: ...}: the local command that stands "
            "in for a training image. A template's local.commands says the same.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where the best model, the training jobs and their logs are kept.",
            show_default=".hpo/runs/<tuning job>",
        ),
    ] = None,
) -> None:
    """Run a declared tuning job on this machine, with real training and no AWS account.

    The template is checked, synthesized and deployed by the CDK CLI to a local AWS endpoint; the state machine creates
    the tuning job there, waits for it and publishes the best training job to SSM, as it does on AWS. Ctrl-C stops the
    tuning job and leaves nothing running.

    Exit code 0: a best training job is published; 1: findings, or the run failed; 2: wrong use; 130: interrupted.
    """
    declaration = _chosen(template, job)
    _refuse_findings(declaration)
    from rich.console import Console

    # Where nobody looks on a screen, tables need not fit one.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with _terminated_like_interrupted():
        raise typer.Exit(_run(declaration, template, image_file_entries(images), output, console))


def _chosen(template: Path, job: str | None) -> Declaration:
    declarations = read(template)
    names = ", ".join(declaration.name for declaration in declarations)
    if job is None and len(declarations) > 1:
        raise HpoError(f"{template} declares {len(declarations)} tuning jobs: choose one with --job: {names}")
    chosen = [declaration for declaration in declarations if job in {None, declaration.name}]
    if not chosen:
        raise HpoError(f"{template} declares no tuning job {job!r}; it declares: {names}")
    return chosen[0]


def _refuse_findings(declaration: Declaration) -> None:
    findings = check(declaration, quotas=stated_quotas(None))
    if findings:
        typer.echo(as_text(findings, [], 1, style=style()), err=True)
    if any(finding.severity.fails for finding in findings):
        raise typer.Exit(1)


def image_file_entries(file: Path | None) -> list[dict[str, Any]]:
    """The image mapping of a file; empty without one."""
    if file is None:
        return []
    from ..documents.nodes import parse
    from ..local.rehearsal import image_entries

    try:
        nodes = parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(file)) from None
    return image_entries(nodes[0].plain() if nodes else [], file.resolve().parent, str(file))


def _run(
    declaration: Declaration, template: Path, images: list[dict[str, Any]], output: Path | None, console: Console
) -> int:
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
        rehearsal = Rehearsal(endpoint, declaration, template, log)
        interrupted = False
        run: Run | None = None
        try:
            run = _steps(rehearsal, console)
        except KeyboardInterrupt:
            interrupted = True
            with console.status("stopping the tuning job"):
                run = rehearsal.stop()
        finally:
            try:
                if run is not None:
                    kept = output or Path(".hpo") / "runs" / rehearsal.tuning_job
                    rehearsal.save(kept, run)
                    _report(rehearsal, run, kept, console)
            finally:
                endpoint.stop()
    if interrupted:
        typer.echo("hpo: interrupted; nothing is left running", err=True)
        return 130
    return 0 if run is not None and run.succeeded else 1


def _steps(rehearsal: Rehearsal, console: Console) -> Run:
    with _step(console, "data and CDK bootstrap"):
        rehearsal.prepare_and_bootstrap()
    with _step(console, "CDK deploy"):
        rehearsal.deploy()
    rehearsal.start()
    console.print(f"tuning job [bold]{rehearsal.tuning_job}[/bold]")
    return show_progress(rehearsal.watch(), console)


@contextmanager
def _step(console: Console, name: str) -> Iterator[None]:
    begun = time.monotonic()
    with console.status(name):
        yield
    console.print(f"[green]done[/green] {name} [dim]({time.monotonic() - begun:.1f} s)[/dim]")


def _report(rehearsal: Rehearsal, run: Run, kept: Path, console: Console) -> None:
    from rich.markup import escape

    from ..report.training_jobs import objective_value, output_lines, training_jobs_table

    best = (run.job or {}).get("BestTrainingJob")
    definitions = (run.job or {}).get("TrainingJobDefinitions") or []
    name = best["TrainingJobName"] if best else None
    if run.training_jobs:
        console.print()
        console.print(training_jobs_table(rehearsal.tuning_job, run.training_jobs, name, several=len(definitions) > 1))
    if best is not None:
        metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
        where = f" ({best['TrainingJobDefinitionName']})" if best.get("TrainingJobDefinitionName") else ""
        console.print(
            f"\n[bold]best training job {name}[/bold]{escape(where)}: {metric['MetricName']} "
            f"= {objective_value(best):.5f}"
        )
    outputs = rehearsal.outputs()
    if outputs:
        prefix = rehearsal.output_prefix
        console.print(f"\nSSM parameters below [bold]{escape(prefix)}[/bold], as read back from the endpoint:")
        for line in output_lines(prefix, outputs):
            console.print(f"  {escape(line)}", soft_wrap=True)
    console.print(f"\nkept in {escape(str(kept))}: {_listed(kept)}")
    if run.ended and not run.succeeded:
        console.print(f"[red]the run failed:[/red] {escape(run.reason)}")
        _show_failures(rehearsal, run.training_jobs, console)


def _show_failures(rehearsal: Rehearsal, training_jobs: Sequence[Any], console: Console) -> None:
    """The end of one log for each reason of failure; the reasons themselves are the run's."""
    from rich.markup import escape

    first_by_reason: dict[str, str] = {}
    for item in training_jobs:
        if item.get("FailureReason"):
            first_by_reason.setdefault(item["FailureReason"], item["TrainingJobName"])
    for name in first_by_reason.values():
        lines = rehearsal.training_log(name)[-_LOG_LINES:]
        if lines:
            console.print(f"\nthe log of {name} ends with:")
        for line in lines:
            console.print(f"  [dim]{escape(line)}[/dim]")


def _listed(folder: Path) -> str:
    return ", ".join(sorted(f"{item.name}/" if item.is_dir() else item.name for item in folder.iterdir()))


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: in order."""

    def interrupt(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
