"""The pages that list: tuning jobs, and what the account's stacks declare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from hpo_handlers.contract import TuningJobStatus, tuning_job_name

from ..account import DeclaredJob, DeniedError, Job, MissingError, declared_jobs, start, stop
from ..account.declared import declared_name, executions, runs, tuning_jobs
from ..errors import HpoError
from ..report.tuning_jobs import CHANGING
from .site import Site, number, site

routes = Blueprint("listing", __name__)

_PAGE = 25
# Declared jobs that the first page shows beside the tuning jobs; the others have a page of their own.
_FEW = 8
# How many of the newest tuning jobs are looked through for runs of declared jobs.
_NEWEST = 200
_RUNS = 20
_STATUSES = tuple(str(status) for status in TuningJobStatus)
_SORT_BY = {"started": "CreationTime", "name": "Name", "status": "Status"}
# Seconds between two looks: while something changes, and otherwise.
_SOON, _LATER = 4, 20


@routes.get("/")
def jobs() -> str:
    """The tuning jobs, and some of the declared ones."""
    here = site()
    text, status, sort, descending, page = _filters()
    # SageMaker refuses a name with other characters; there is none that contains them.
    found = tuning_jobs(
        here.account,
        name_contains=text or None,
        status=status or None,
        sort_by=_SORT_BY[sort],
        descending=descending,
    )
    summaries = list(islice(found, (page - 1) * _PAGE, page * _PAGE + 1)) if _may_be_named(text) else []
    here.identify()
    entries = _entries(here, summaries[:_PAGE])
    declared, denied = _declared(here, text)
    shown = declared[:_FEW] if page == 1 and not status else []
    return render_template(
        "jobs.html",
        entries=entries,
        more=len(summaries) > _PAGE,
        page=page,
        text=text,
        status=status,
        statuses=_STATUSES,
        sort=sort,
        descending=descending,
        declared=_with_newest(here, shown),
        declared_count=len(declared),
        denied=denied,
        refresh=_pace(entries),
    )


@routes.get("/declared")
def declared() -> str:
    """All that the account's stacks declare."""
    here = site()
    text = _text()
    found, denied = _declared(here, text)
    here.identify()
    return render_template(
        "declared.html", declared=_with_newest(here, found), text=text, denied=denied, refresh=_LATER
    )


@routes.get("/declared/<stack>/<name>")
def declared_job(stack: str, name: str) -> str:
    """One declared job with its runs."""
    here = site()
    job = _job(here, stack, name)
    entries = _entries(here, _runs(here, job))
    return render_template(
        "declared_job.html",
        job=job,
        entries=entries,
        most=_RUNS,
        note=request.args.get("note", ""),
        refresh=_pace(entries),
    )


@routes.get("/declared/<stack>/<name>/start")
def ask_start(stack: str, name: str) -> str:
    """Ask whether a run is to be started."""
    job = _job(site(), stack, name)
    return render_template(
        "confirm.html",
        question=f"Start a run of {job.name}?",
        text=f"The state machine of stack {stack} makes a new tuning job, whose training jobs are charged as any.",
        verb="Start",
        action=url_for(".start_run", stack=stack, name=name),
        back=url_for(".declared_job", stack=stack, name=name),
        grave=False,
    )


@routes.post("/declared/<stack>/<name>/start")
def start_run(stack: str, name: str) -> Response:
    """Start a run, and show it."""
    here = site()
    execution, tuning_job = start(here.account, _job(here, stack, name))
    return redirect(url_for("details.job", name=tuning_job, execution=execution), 303)


@routes.get("/declared/<stack>/<name>/stop")
def ask_stop(stack: str, name: str) -> str:
    """Ask whether all runs are to be stopped."""
    job = _job(site(), stack, name)
    return render_template(
        "confirm.html",
        question=f"Stop all runs of {job.name}?",
        text="Runs that wait for their turn are ended. Training jobs that run are stopped; what they have saved stays.",
        verb="Stop all runs",
        action=url_for(".stop_runs", stack=stack, name=name),
        back=url_for(".declared_job", stack=stack, name=name),
        grave=True,
    )


@routes.post("/declared/<stack>/<name>/stop")
def stop_runs(stack: str, name: str) -> Response:
    """Stop all runs of a declared job."""
    here = site()
    job = Job(name, name, _job(here, stack, name), None, given=False)
    stopping = stop(here.account, job, seconds=0, waiting=lambda _: None)
    note = "stopping" if stopping.tuning_jobs or stopping.executions else "nothing-ran"
    return redirect(url_for(".declared_job", stack=stack, name=name, note=note), 303)


def _job(here: Site, stack: str, name: str) -> DeclaredJob:
    """The job that a stack declares by a name.

    Raises:
        MissingError: There is no such stack, or it declares no such job.
    """
    declared = declared_jobs(here.account, stack)
    found = next((job for job in declared if job.name == name), None)
    if found is None:
        listed = ", ".join(job.name for job in declared) or "none"
        raise MissingError(f"the stack {stack} declares no tuning job {name!r}; it declares: {listed}")
    return found


def _filters() -> tuple[str, str, str, bool, int]:
    """Text, status, order, whether it is descending, and page, from the address.

    Raises:
        HpoError: One of them is not what the page's own links say.
    """
    status, sort = request.args.get("status", ""), request.args.get("sort", "started")
    order = request.args.get("order", "descending" if sort == "started" else "ascending")
    if status and status not in _STATUSES:
        raise HpoError(f"status must be one of {', '.join(_STATUSES)}, got {status!r}")
    if sort not in _SORT_BY or order not in {"ascending", "descending"}:
        raise HpoError(f"sort must be one of {', '.join(_SORT_BY)}, ascending or descending, got {sort!r}, {order!r}")
    return _text(), status, sort, order == "descending", number("page", 1)


def _text() -> str:
    return request.args.get("text", "").strip()


def _may_be_named(text: str) -> bool:
    """Whether a tuning job's name may contain the text: SageMaker would refuse to look for another one."""
    return len(text) <= 63 and all(
        character.isascii() and (character.isalnum() or character == "-") for character in text
    )


def _runs(here: Site, job: DeclaredJob, most: int = _RUNS) -> list[dict[str, Any]]:
    """The newest runs of a declared job."""
    if not _may_be_named(job.name):
        return []
    found = runs(here.account, job.name)
    if sum(other.name == job.name for other in here.declared(fresh=False)) > 1:
        # Another stack's runs are named alike: the executions tell whose they are.
        latest = list(islice(executions(here.account, job), _NEWEST))
        own = {tuning_job_name(job.name, each["executionArn"]) for each in latest}
        found = (run for run in islice(found, _NEWEST) if run["HyperParameterTuningJobName"] in own)
    return list(islice(found, most))


def _entries(here: Site, summaries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "job": summary,
            "name": summary["HyperParameterTuningJobName"],
            "status": summary["HyperParameterTuningJobStatus"],
            "declared": declared_name(summary["HyperParameterTuningJobName"]),
            "best": best,
        }
        for summary, best in zip(summaries, here.bests(summaries), strict=True)
    ]


def _declared(here: Site, text: str) -> tuple[list[DeclaredJob], str]:
    """The declared jobs whose names contain a text, and why they cannot be told."""
    try:
        # A page that refreshes itself says so.
        found = here.declared(fresh="X-Refresh" not in request.headers)
    except DeniedError as error:
        return [], str(error)
    return [job for job in found if text.lower() in job.name.lower()], ""


def _with_newest(here: Site, declared: Sequence[DeclaredJob]) -> list[dict[str, Any]]:
    """Declared jobs with their newest runs among the account's newest tuning jobs."""
    if not declared:
        return []
    newest: dict[str, Mapping[str, Any]] = {}
    for summary in islice(tuning_jobs(here.account), _NEWEST):
        newest.setdefault(declared_name(summary["HyperParameterTuningJobName"]) or "", summary)
    times = Counter(job.name for job in declared)
    latest: list[Mapping[str, Any] | None] = []
    for job in declared:
        # Of several stacks' equal names the executions tell whose run it is.
        if times[job.name] > 1 and job.name in newest:
            latest.append(next(iter(_runs(here, job, 1)), None))
        else:
            latest.append(newest.get(job.name))
    bests = iter(here.bests([run for run in latest if run is not None]))
    return [
        {"job": job, "run": run, "best": None if run is None else next(bests)}
        for job, run in zip(declared, latest, strict=True)
    ]


def _pace(entries: Iterable[Mapping[str, Any]]) -> int:
    return _SOON if any(entry["status"] in CHANGING for entry in entries) else _LATER
