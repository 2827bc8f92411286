"""`hpo report`: a tuning job's results as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import HpoError
from .account import Profile, Region, Stack


def report_command(
    job: Annotated[
        str | None,
        typer.Argument(
            metavar="[JOB]",
            help="A declared name, whose newest run is meant, or a tuning job's own name.",
            show_default=False,
        ),
    ] = None,
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file to write.", show_default="the tuning job's name with .html, here"),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            help="Take what `hpo show JOB --json` has printed, or a folder of `hpo run`, in place of an account.",
            show_default=False,
        ),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the file even if it is no report.")] = False,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Write a tuning job's results as one HTML file, which needs no network.

    It has figures, importances, all training jobs, failures and instance-hours.

    An older report of the same name is replaced.

    Exit code 0: written, however the tuning job ended; 2: there is none, the account cannot be asked, or wrong use.
    """
    if (job is None) == (source is None):
        raise HpoError("name one thing to report on: a JOB, or a file with --from")
    if source is not None and (stack or region or profile):
        raise HpoError("--from takes a file in place of an account; leave out --stack, --region and --profile")
    from ..report.html import render, write
    from ..report.results import TuningJobResult

    if source is not None:
        result = TuningJobResult.from_file(source)
    else:
        result = TuningJobResult.from_job(str(job), region=region, profile=profile, stack=stack)
    file = output or Path(f"{result.name}.html")
    write(file, render(result), replace=force)
    typer.echo(str(file))
    if show and typer.launch(file.resolve().as_uri()) != 0:
        typer.echo(f"hpo: no browser could be started; open {file} by hand", err=True)
