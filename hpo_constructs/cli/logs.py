"""`hpo logs`: what a training job printed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HpoError
from .account import Interval, JobName, Profile, Region, Stack

if TYPE_CHECKING:
    from ..account import Account
    from ..account.logs import TrainingLog

_ENDED = frozenset({"Completed", "Failed", "Stopped"})
# CloudWatch Logs shows a line some seconds after it was written.
_LATE_SECONDS = 5.0


def logs_command(
    job: JobName,
    *,
    training_job: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|best",
            help="The training job: its name, also without the tuning job's, or `best`.",
            show_default="the best; a failed one where the tuning job failed",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the training job ends.")] = False,
    tail: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="The last N lines only.", show_default="all")
    ] = None,
    interval: Interval = 3.0,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Print the log of a training job from CloudWatch Logs.

    The log alone goes to standard output; which training job it is goes to standard error.

    Exit code 0: printed; 1: there is no log (yet); 2: no such job, the account cannot be asked, or wrong use.
    """
    from ..account import Account, find, ran
    from ..account.logs import TrainingLog

    account = Account(region=region, profile=profile)
    tuning_job = ran(find(account, job, stack))
    name = _chosen(account, tuning_job, training_job)
    log = TrainingLog(account, name)
    status = _status(account, name)
    typer.echo(f"# training job {name} ({status})", err=True)
    try:
        printed = _print(log, tail)
        ended_at = time.monotonic()
        while follow:
            if status not in _ENDED:
                status, ended_at = _status(account, name), time.monotonic()
            time.sleep(interval)
            count = _print(log)
            printed += count
            if status in _ENDED and (not count or time.monotonic() - ended_at > _LATE_SECONDS):
                break
    except KeyboardInterrupt:
        typer.echo("hpo: no longer following; the training job goes on by itself", err=True)
        raise typer.Exit(130) from None
    if not printed and tail != 0:
        hint = "it has not begun to train" if status not in _ENDED else "logs are kept as long as the log group says"
        typer.echo(f"hpo: training job {name} has no log; {hint}", err=True)
        raise typer.Exit(1)


def _print(log: TrainingLog, tail: int | None = None) -> int:
    count = 0
    for line in log.read(tail):
        typer.echo(f"{line.instance}  {line.message}" if log.instances > 1 else line.message)
        count += 1
    return count


def _status(account: Account, name: str) -> str:
    return str(account.call("sagemaker", "describe_training_job", TrainingJobName=name)["TrainingJobStatus"])


def _chosen(account: Account, tuning_job: str, wanted: str | None) -> str:
    """The training job that is meant.

    Raises:
        HpoError: There is none.
    """
    from ..account import training_jobs

    described = account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=tuning_job)
    summaries = sorted(training_jobs(account, tuning_job), key=lambda one: one["CreationTime"], reverse=True)
    names = [str(one["TrainingJobName"]) for one in summaries]
    best = described.get("BestTrainingJob", {}).get("TrainingJobName")
    if wanted not in {None, "best"}:
        for name in (wanted, f"{tuning_job}-{wanted}"):
            if name in names:
                return str(name)
        raise HpoError(
            f"tuning job {tuning_job} has no training job {wanted!r}; `hpo show {tuning_job} --limit 0` lists them"
        )
    if not names:
        raise HpoError(f"tuning job {tuning_job} has no training job yet; try again in a minute")
    if wanted == "best":
        if best is None:
            raise HpoError(f"tuning job {tuning_job} has no best training job yet; name one with --training-job")
        return str(best)
    failed = _first(summaries, "Failed") if described["HyperParameterTuningJobStatus"] == "Failed" else None
    return failed or best or _first(summaries, "InProgress") or _first(summaries, "Failed") or names[0]


def _first(summaries: list[dict[str, Any]], status: str) -> str | None:
    """The newest training job with a status."""
    return next((str(one["TrainingJobName"]) for one in summaries if one["TrainingJobStatus"] == status), None)
