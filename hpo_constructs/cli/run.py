"""`hpo run`: a declared tuning job on this machine, from the check to the published best training job."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ..documents import read
from ..errors import DocumentError, HpoError
from ..report.findings import as_text
from ..rules import check
from ..spec.declaration import Declaration
from .check import stated_quotas
from .terminal import style


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

    from .rehearse import rehearse

    # Where nobody looks on a screen, tables need not fit one.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 140)
    with _terminated_like_interrupted():
        raise typer.Exit(rehearse(declaration, template, image_file_entries(images), output, console))


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
    from ..local.image_mapping import image_entries

    try:
        nodes = parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(file)) from None
    return image_entries(nodes[0].plain() if nodes else [], file.resolve().parent, str(file))


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
