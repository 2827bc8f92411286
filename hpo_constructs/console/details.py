"""The pages of one tuning job: details, plots, report, and its training jobs with their logs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from werkzeug.wrappers import Response as AnyResponse

from ..account import AccountError, Job, MissingError, look, stop, training_jobs
from ..account.declared import declared_name
from ..account.logs import TrainingLog
from ..account.runs import described
from ..errors import HpoError
from ..report.results import TuningJobResult
from ..report.training_jobs import objective_value, training_seconds
from ..report.tuning_jobs import (
    CHANGING,
    completion_reason,
    definition_lines,
    definitions,
    duration_text,
    failure_reasons,
    local_time,
    settings_lines,
    sorted_training_jobs,
)
from .site import number, site

routes = Blueprint("details", __name__)

_PAGE = 50
_ORDERS = ("time", "objective", "duration", "status", "name")
_STATUSES = ("InProgress", "Completed", "Failed", "Stopping", "Stopped")
_SOON, _LATER = 3, 0
_TAILS = (200, 1000, 10_000)
# What has happened to a training job, as the parts of the bar that shows how far the tuning job is.
_PARTS = {
    "completed": ("Completed",),
    "running": ("InProgress",),
    "stopped": ("Stopped",),
    "failed": ("RetryableError", "NonRetryableError"),
}


@routes.get("/jobs/<name>")
def job(name: str) -> str:
    """A tuning job: settings, progress, best, failures, plots, training jobs and definitions."""
    here = site()
    described_job = described(here.account, name)
    here.identify()
    if described_job is None:
        return _starting(name)
    summaries = training_jobs(here.account, name)
    sort, status, text, page = _filters()
    chosen = [
        one
        for one in sorted_training_jobs(summaries, sort)
        if status in {"", one["TrainingJobStatus"]} and text.lower() in _searched(one)
    ]
    declared = declared_name(name)
    changing = described_job["HyperParameterTuningJobStatus"] in CHANGING
    limits = described_job["HyperParameterTuningJobConfig"].get("ResourceLimits", {})
    return render_template(
        "job.html",
        name=name,
        job=described_job,
        status=described_job["HyperParameterTuningJobStatus"],
        changing=changing,
        declared=declared,
        stack=_stack_of(declared),
        settings=settings_lines(described_job, None),
        reason=completion_reason(described_job),
        definitions=[
            (one.get("DefinitionName", ""), definition_lines(described_job, one)) for one in definitions(described_job)
        ],
        best_job=described_job.get("BestTrainingJob"),
        failures=failure_reasons(summaries),
        bar=_bar(described_job.get("TrainingJobStatusCounters", {}), limits.get("MaxNumberOfTrainingJobs")),
        rows=[_row(name, one) for one in chosen[(page - 1) * _PAGE : page * _PAGE]],
        found=len(chosen),
        total=len(summaries),
        page=page,
        pages=max(1, -(-len(chosen) // _PAGE)),
        sort=sort,
        orders=_ORDERS,
        training_status=status,
        statuses=_STATUSES,
        text=text,
        several=len(definitions(described_job)) > 1,
        note=request.args.get("note", ""),
        refresh=_SOON if changing else _LATER,
    )


@routes.get("/jobs/<name>/stop")
def ask_stop(name: str) -> str:
    """Ask whether the tuning job is to be stopped."""
    return render_template(
        "confirm.html",
        question=f"Stop {name}?",
        text="Training jobs that run are stopped; what they have saved, and the results so far, stay.",
        verb="Stop",
        action=url_for(".stop_job", name=name),
        back=url_for(".job", name=name),
        grave=True,
    )


@routes.post("/jobs/<name>/stop")
def stop_job(name: str) -> AnyResponse:
    """Stop the tuning job."""
    job = Job(name, declared_name(name), None, name, given=True)
    stopping = stop(site().account, job, seconds=0, waiting=lambda _: None)
    note = "stopping" if stopping.tuning_jobs else "nothing-ran"
    return redirect(url_for(".job", name=name, note=note), 303)


@routes.get("/jobs/<name>/training/<training_job>")
def training(name: str, training_job: str) -> str:
    """A training job: what it was given, what became of it, and the end of its log."""
    here = site()
    tail = _tail()
    described_job = here.account.call("sagemaker", "describe_training_job", TrainingJobName=training_job)
    log = TrainingLog(here.account, training_job)
    lines = list(log.read(tail))
    status = described_job["TrainingJobStatus"]
    return render_template(
        "training_job.html",
        name=name,
        training_job=training_job,
        job=described_job,
        status=status,
        facts_lines=_training_facts(described_job),
        hyperparameters=sorted(
            (key, value) for key, value in described_job.get("HyperParameters", {}).items() if not key.startswith("_")
        ),
        lines=lines,
        several=log.instances > 1,
        tail=tail,
        tails=_TAILS,
        refresh=_SOON if status in CHANGING else _LATER,
    )


@routes.get("/jobs/<name>/plots.json")
def plots(name: str) -> AnyResponse:
    """The plots' data."""
    here = site()
    text = here.plots.text(_known(name), training_jobs(here.account, name))
    return Response(text, mimetype="application/json")


@routes.get("/plots")
def plots_frame() -> str:
    """The frame in which plots are drawn; it is sent its data by the page around it."""
    return render_template("plots_frame.html")


@routes.get("/plots/plotly.js")
def plotly() -> AnyResponse:
    """Plotly's own file, out of its installed package."""
    import plotly as package

    file = Path(package.__file__).parent / "package_data" / "plotly.min.js"
    return send_file(file, mimetype="text/javascript", max_age=3600)


@routes.get("/jobs/<name>/report")
def report(name: str) -> AnyResponse:
    """The report of `hpo report`, to look at or, with `download`, to keep."""
    from ..report.html import render

    answer = Response(render(TuningJobResult.read(site().account, name)), mimetype="text/html")
    if "download" in request.args:
        answer.headers.set("Content-Disposition", "attachment", filename=f"{name}.html")
    return answer


def _known(name: str) -> dict[str, Any]:
    """The answer of DescribeHyperParameterTuningJob.

    Raises:
        MissingError: There is no such tuning job.
    """
    return site().account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)


def _starting(name: str) -> str:
    """A run that was just started has an execution before it has a tuning job.

    Raises:
        MissingError: There is neither.
    """
    execution = request.args.get("execution")
    if execution is None:
        where = site().account.place
        raise MissingError(f"there is no tuning job {name!r} in {where}; it may have been deleted")
    run = look(site().account, execution, name)
    return render_template(
        "starting.html",
        name=name,
        run=run,
        declared=declared_name(name),
        # One that has come into being in between is shown with the next look.
        refresh=1 if not run.ended or run.job else _LATER,
    )


def _stack_of(declared: str | None) -> str | None:
    """The only stack that declares a name; None for several, none, or where stacks may not be seen."""
    if declared is None:
        return None
    try:
        stacks = [one.stack for one in site().declared(fresh=False) if one.name == declared]
    except AccountError:
        return None
    return stacks[0] if len(stacks) == 1 else None


def _filters() -> tuple[str, str, str, int]:
    """Order, status, text and page of the training jobs, from the address.

    Raises:
        HpoError: One of them is not what the page's own links say.
    """
    sort, status = request.args.get("sort", "time"), request.args.get("status", "")
    if sort not in _ORDERS:
        raise HpoError(f"sort must be one of {', '.join(_ORDERS)}, got {sort!r}")
    if status and status not in _STATUSES:
        raise HpoError(f"status must be one of {', '.join(_STATUSES)}, got {status!r}")
    return sort, status, request.args.get("text", "").strip(), number("page", 1)


def _tail() -> int:
    tail = number("tail", _TAILS[0])
    if tail not in _TAILS:
        raise HpoError(f"tail must be one of {', '.join(map(str, _TAILS))}, got {tail}")
    return tail


def _searched(summary: Mapping[str, Any]) -> str:
    """What the text that is looked for may stand in."""
    tuned = " ".join(f"{name}={value}" for name, value in summary.get("TunedHyperParameters", {}).items())
    parts = (
        summary["TrainingJobName"],
        summary.get("TrainingJobDefinitionName", ""),
        tuned,
        summary.get("FailureReason", ""),
    )
    return " ".join(parts).lower()


def _row(tuning_job: str, summary: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": summary["TrainingJobName"],
        "short": summary["TrainingJobName"].removeprefix(f"{tuning_job}-"),
        "definition": summary.get("TrainingJobDefinitionName", ""),
        "status": summary["TrainingJobStatus"],
        "objective": objective_value(summary),
        "seconds": training_seconds(summary),
        "hyperparameters": sorted(summary.get("TunedHyperParameters", {}).items()),
        "reason": summary.get("FailureReason", ""),
    }


def _bar(counters: Mapping[str, int], most: int | None) -> dict[str, Any]:
    """How far the tuning job is: by how its training jobs ended the count, and where its part of the bar lies."""
    counts = {word: sum(counters.get(status, 0) for status in statuses) for word, statuses in _PARTS.items()}
    begun = sum(counts.values())
    whole = max(most or begun, begun, 1)
    parts, at = [], 0.0
    for word, count in counts.items():
        width = 100 * count / whole
        parts.append({"word": word, "count": count, "at": f"{at:.2f}", "width": f"{width:.2f}"})
        at += width
    return {"parts": parts, "begun": begun, "most": most}


def _training_facts(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    end = job.get("TrainingEndTime") or job.get("LastModifiedTime")
    metrics = ", ".join(f"{one['MetricName']} {one['Value']:.6g}" for one in job.get("FinalMetricDataList", ()))
    lines = [
        ("metrics", metrics),
        ("created", local_time(job["CreationTime"])),
        ("ended", local_time(end) if job["TrainingJobStatus"] not in CHANGING else ""),
        ("trained", duration_text(training_seconds(job))),
        ("stage", str(job.get("SecondaryStatus", "")) if job["TrainingJobStatus"] in CHANGING else ""),
        ("model", str(job.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""))),
        # A training job has no ranges, and its hyperparameters have a table of their own.
        *definition_lines({}, {**job, "HyperParameterRanges": {"": ()}, "StaticHyperParameters": {}}),
    ]
    return [(title, text) for title, text in lines if text]
