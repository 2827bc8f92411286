"""`hpo jobs`: the tuning jobs of an account."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .account import WIDE, AsJson, Interval, Profile, Region, Watch, console, refuse_together, watched

if TYPE_CHECKING:
    from rich.console import RenderableType

    from ..account import Account


class Status(StrEnum):
    """Statuses of tuning jobs."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPED = "Stopped"
    STOPPING = "Stopping"
    DELETING = "Deleting"
    DELETE_FAILED = "DeleteFailed"


class Sort(StrEnum):
    """Orders of tuning jobs, as the API has them."""

    STARTED = "started"
    NAME = "name"
    STATUS = "status"


_SORT_BY = {Sort.STARTED: "CreationTime", Sort.NAME: "Name", Sort.STATUS: "Status"}


def jobs_command(
    *,
    status: Annotated[
        Status | None,
        typer.Option(case_sensitive=False, help="Those with this status only.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Those whose names contain this only.", show_default=False),
    ] = None,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 20,
    sort: Annotated[Sort, typer.Option(help="The order; with `started` the newest come first.")] = Sort.STARTED,
    reverse: Annotated[bool, typer.Option("--reverse", help="Turn the order around.")] = False,
    as_json: AsJson = False,
    watch: Watch = False,
    interval: Interval = 5.0,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """List the tuning jobs that run and ran.

    On AWS, or on the local endpoint where the AWS configuration names it (the variables of `hpo local up`).

    Exit code 0: listed, even if there is none; 2: the account cannot be asked, or wrong use.
    """
    refuse_together(json=as_json, watch=watch)
    from ..account import Account
    from ..report.tuning_jobs import as_json as json_text
    from ..report.tuning_jobs import tuning_jobs_table

    account = Account(region=region, profile=profile)
    screen = console()

    def listed() -> tuple[list[dict[str, Any]], bool]:
        return _entries(account, name, status, limit, _SORT_BY[sort], descending=(sort is Sort.STARTED) != reverse)

    if as_json:
        typer.echo(json_text({"tuning_jobs": listed()[0]}))
        return
    if watch:

        def look() -> tuple[RenderableType, bool]:
            return tuning_jobs_table(listed()[0], wide=screen.width >= WIDE), False

        watched(screen, look, interval)
        return
    entries, more = listed()
    if not entries:
        filters = " that match" if status or name else ""
        typer.echo(f"no tuning jobs{filters} in {account.place}", err=True)
        return
    screen.print(tuning_jobs_table(entries, wide=screen.width >= WIDE))
    if more:
        typer.echo(f"there are more than {limit}: --limit 0 lists all", err=True)


def _entries(
    account: Account, name: str | None, status: Status | None, limit: int, sort_by: str, *, descending: bool
) -> tuple[list[dict[str, Any]], bool]:
    """The tuning jobs with their best training jobs, and whether there are more."""
    from ..account.declared import declared_name, tuning_jobs
    from ..account.runs import AT_ONCE, described
    from ..report.tuning_jobs import duration_seconds

    found = tuning_jobs(
        account,
        name_contains=name,
        status=None if status is None else str(status),
        sort_by=sort_by,
        descending=descending,
    )
    summaries = list(islice(found, limit + 1) if limit else found)
    shown = summaries[:limit] if limit else summaries
    account.client("sagemaker")  # made before the threads want it
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        details = list(pool.map(lambda one: described(account, one["HyperParameterTuningJobName"]), shown))
    entries = [
        {
            "tuning_job": summary,
            "declared_job": declared_name(summary["HyperParameterTuningJobName"]),
            "best_training_job": (detail or {}).get("BestTrainingJob"),
            "duration_seconds": duration_seconds(summary),
        }
        for summary, detail in zip(shown, details, strict=True)
    ]
    return entries, len(summaries) > len(shown)
