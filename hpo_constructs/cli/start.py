"""`hpo start` and `hpo stop`: runs of declared jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HpoError
from .account import AsJson, Interval, JobName, Profile, Region, Stack, console, declared_json
from .progress import show_progress

if TYPE_CHECKING:
    from rich.console import Console

    from ..account import Account, Run, Stopping


def start_command(
    job: Annotated[str, typer.Argument(metavar="JOB", help="A declared name.", show_default=False)],
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for the end and show how far the run is.")] = False,
    as_json: AsJson = False,
    interval: Interval = 3.0,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Start a run of a declared job: an execution of its state machine.

    Ctrl-C ends the waiting of --wait, not the run.

    Exit code 0: started, or with --wait: a best training job is there; 1: with --wait: the run failed or was skipped;
    2: no such job, the account cannot be asked, or wrong use; 130: the waiting was interrupted.
    """
    from ..account import Account, declared_jobs, find, start
    from ..report.tuning_jobs import as_json as json_text

    account = Account(region=region, profile=profile)
    found = find(account, job, stack)
    if found.declared is None:
        declared_jobs(account, stack)  # tells where stacks may not be seen
        raise HpoError(
            f"no stack of {account.place} declares {job!r}, so that there is no state machine to start; "
            + (f"for a new run of {found.name} give that name" if found.given and found.name else "deploy one first")
        )
    execution, tuning_job = start(account, found.declared)
    document: dict[str, Any] = {
        "execution_arn": execution,
        "tuning_job": tuning_job,
        "declared_job": declared_json(found.declared, found.name),
    }
    if not as_json:
        typer.echo(f"execution   {execution}\ntuning job  {tuning_job}")
    if not wait:
        if as_json:
            typer.echo(json_text(document))
        return
    run = _wait(account, execution, tuning_job, interval, console(), quiet=as_json)
    best = (run.job or {}).get("BestTrainingJob") if run.succeeded else None
    if as_json:
        ended = {"status": run.execution["status"], "reason": None if run.succeeded else run.reason}
        typer.echo(json_text({**document, **ended, "best_training_job": best}))
    else:
        _print_end(run, best)
    raise typer.Exit(0 if best else 1)


def _print_end(run: Run, best: Any) -> None:
    from ..report.tuning_jobs import best_text

    if best:
        typer.echo(f"best training job {best['TrainingJobName']}: {best_text(best)}")
    else:
        typer.echo(f"the run has no result: {run.reason}", err=True)


def _wait(account: Account, execution: str, tuning_job: str, interval: float, screen: Console, *, quiet: bool) -> Run:
    """Show the run until it ends."""
    from ..account import watch

    try:
        return show_progress(watch(account, execution, tuning_job, interval), screen, quiet=quiet)
    except KeyboardInterrupt:
        typer.echo(
            f"hpo: no longer waiting; the run goes on: `hpo show {tuning_job}` shows it, `hpo stop {tuning_job}` "
            "stops it",
            err=True,
        )
        raise typer.Exit(130) from None


def stop_command(
    job: JobName,
    *,
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="How long to wait for the end; 0 does not wait.")
    ] = 60.0,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Stop all runs of a declared job, or one tuning job.

    Runs that wait for their turn are ended. Tuning jobs are asked to stop, and their executions end by themselves:
    with a failure, or with the best so far where the declaration says `on_stopped: accept_best`.

    Exit code 0: all has stopped, is stopping, or nothing ran; 1: something could not be stopped and still runs;
    2: no such job, the account cannot be asked, or wrong use.
    """
    from ..account import Account, find, stop

    account = Account(region=region, profile=profile)
    found = find(account, job, stack)

    def waiting(stopping: Stopping) -> None:
        for name in stopping.executions:
            typer.echo(f"execution {name} had no tuning job yet and is ended")
        for name in stopping.tuning_jobs:
            typer.echo(f"tuning job {name} is being stopped")

    with console().status("waiting for the end"):
        stopping = stop(account, found, seconds=timeout, waiting=waiting)
    if not stopping.left:
        ran = stopping.executions or stopping.tuning_jobs
        typer.echo("nothing is left running" if ran else f"nothing of {job} runs")
        return
    for what, status in stopping.left.items():
        typer.echo(f"not ended yet: {what} ({status})")
    if any(status == "InProgress" for status in stopping.left.values()):
        raise typer.Exit(1)
    typer.echo(f"it ends by itself; `hpo show {job} --watch` shows when")
