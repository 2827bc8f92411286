"""A tuning job's results as one HTML file that needs nothing else, no network either.

What comes from outside is escaped where it stands: by Jinja in the page, as JSON without `<` in the figures' data, and
by :func:`~hpo_constructs.report.figures.label` in the figures' texts. Beside that the page's content security policy
lets its own scripts run, known by their hashes, and nothing else be loaded or run.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import HpoError
from ..spec.ranges import CategoricalParameter, Parameter
from ..writing import write_whole
from .results import Definition, ResultError, TrainingJob, TuningJobResult, maximizes, missing_packages, numbers
from .training_jobs import training_seconds
from .tuning_jobs import definition_lines, definitions, duration_text, failure_reasons, local_time, settings_lines

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

# By this line a report knows a file as one of its own.
_MARK = '<meta name="generator" content="hpo-constructs report'
_MARK_WITHIN = 4096
# More axes than this in parallel coordinates cannot be told apart.
_MOST_AXES = 10
_SHOWN_DIGITS = 8


@dataclass
class _Picture:
    """A figure in the page: its key in the page's data, its height in pixels, and what it shows in words."""

    key: str
    height: int
    text: str
    caption: str


class _Pictures:
    """The figures of a page, as JSON that the page's script draws."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}

    def add(self, figure: Figure, text: str, caption: str = "") -> _Picture:
        # The page has colours of its own in place of a template's.
        figure.update_layout(template=None)
        key = f"figure-{len(self.data) + 1}"
        drawn = json.loads(figure.to_json(validate=False))
        self.data[key] = {"data": drawn["data"], "layout": drawn["layout"]}
        return _Picture(key, int(drawn["layout"]["height"]), text, caption)


def render(result: TuningJobResult) -> str:
    """The report of a tuning job as the text of an HTML file.

    Args:
        result: The tuning job's results.

    Raises:
        HpoError: The packages of `hpo-constructs[report]` are not installed.
    """
    try:
        import jinja2
        from plotly.offline import get_plotlyjs
    except ImportError:
        raise missing_packages() from None
    folder = files(__package__) / "templates"
    style, table, figures = (
        (folder / name).read_text(encoding="utf-8") for name in ("report.css", "table.js", "figures.js")
    )
    # The table works before plotly's several megabytes are read.
    scripts = [table, get_plotlyjs(), figures]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(__package__, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["pieces"] = _pieces
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":"), "ensure_ascii": False}
    return environment.get_template("report.html").render(
        **_page(result),
        generator=f"hpo-constructs report {version('hpo-constructs')}",
        policy=_policy(scripts),
        style=style,
        scripts=scripts,
    )


def write(path: Path, text: str, *, replace: bool = False) -> None:
    """Write a report to a file, which is there whole or not at all.

    Args:
        path: The file. An older report of the same name is replaced.
        text: The report.
        replace: Whether a file that is no report is replaced too.

    Raises:
        HpoError: The file is there and is no report, or it cannot be written.
    """
    try:
        if path.is_dir():
            raise HpoError(f"{path} is a folder; name a file in it: {path / 'report.html'}")
        if not replace and path.exists() and not _is_report(path):
            raise HpoError(f"{path} is there and is no report; name another file with --output, or state --force")
        write_whole(path, text)
    except OSError as error:
        raise HpoError(f"the report cannot be written to {path}: {error.strerror or error}") from None


def _is_report(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace") as file:
        return _MARK in file.read(_MARK_WITHIN)


def _policy(scripts: Sequence[str]) -> str:
    """The content security policy: these scripts and styles of the page's own; pictures that the page itself makes."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _page(result: TuningJobResult) -> dict[str, Any]:
    pictures = _Pictures()
    several = len(result.definitions) > 1
    parts = [_definition(result, pictures, *pair) for pair in zip(result.definitions, _described(result), strict=True)]
    return {
        "name": result.name,
        "declared": result.declared_name,
        "status": result.status,
        "running": result.running,
        "as_of": _time(result.as_of),
        "notices": _notices(result),
        "cards": _cards(result),
        "settings": [
            line
            for line in settings_lines(result.tuning_job, result.declared_name, result.as_of)
            if line[0] != "limits"
        ],
        "limits": _limits(result),
        "best": _best(result),
        "histories": _histories(result, pictures),
        "several": several,
        "definitions": parts,
        "failures": _failures(result),
        "costs": _costs(result),
        **_table(result),
        "figures": pictures.data,
    }


def _notices(result: TuningJobResult) -> list[str]:
    found = []
    if result.running:
        found.append(
            f"This tuning job was not over when the report was made ({local_time(result.as_of)}, status "
            f"{result.status}): what is shown is its state at that time."
        )
    counted = sum(result.tuning_job.get("TrainingJobStatusCounters", {}).values())
    if counted > len(result.training_jobs):
        found.append(
            f"The data has {len(result.training_jobs)} of {counted} training jobs; tables and figures are about these."
        )
    return found


def _cards(result: TuningJobResult) -> list[tuple[str, str, str]]:
    """The numbers at the top: title, number, and a word on it."""
    best = result.best
    lines = dict(settings_lines(result.tuning_job, None, result.as_of))
    hours = result.instance_hours()
    cards = []
    if best is not None:
        direction = "higher is better" if best.objective_type == "Maximize" else "lower is better"
        cards.append(
            ("best objective", f"{best.objective_metric_value:.6g}", f"{best.objective_metric_name}, {direction}")
        )
    else:
        cards.append(("best objective", "none", "no training job has brought an objective value"))
    cards.append(("training jobs", str(len(result.training_jobs)), lines.get("training jobs", "")))
    if "duration" in lines:
        cards.append(("duration", lines["duration"], "so far" if result.running else "from creation to end"))
    used = sum(each.instance_hours for each in hours)
    types = ", ".join(dict.fromkeys(each.instance_type or "type not known" for each in hours))
    cards.append(("instance-hours", _hours(used), types or "nothing has trained"))
    return cards


def _limits(result: TuningJobResult) -> list[dict[str, Any]]:
    """How much of its limits the tuning job has used."""
    limits = result.tuning_job["HyperParameterTuningJobConfig"].get("ResourceLimits", {})
    counted = sum(result.tuning_job.get("TrainingJobStatusCounters", {}).values()) or len(result.training_jobs)
    found = []
    if (most := limits.get("MaxNumberOfTrainingJobs")) is not None:
        found.append({"title": "training jobs", "used": counted, "most": most, "text": f"{counted} of {most}"})
    if (parallel := limits.get("MaxParallelTrainingJobs")) is not None:
        at_once = _most_at_once(result)
        found.append({"title": "in parallel", "used": at_once, "most": parallel, "text": f"{at_once} of {parallel}"})
    if (seconds := limits.get("MaxRuntimeInSeconds")) is not None:
        consumed = result.tuning_job.get("ConsumedResources", {}).get("RuntimeInSeconds")
        if consumed is None:
            ended = result.tuning_job.get("HyperParameterTuningEndTime", result.as_of)
            consumed = (ended - result.tuning_job["CreationTime"]).total_seconds()
        text = f"{duration_text(consumed)} of {duration_text(seconds)}"
        found.append({"title": "run time", "used": consumed, "most": seconds, "text": text})
    return found


def _most_at_once(result: TuningJobResult) -> int:
    """The most training jobs that trained at the same time."""
    moments = []
    for job in result.training_jobs:
        if job.started is not None:
            moments += [(job.started, 1), (job.ended or result.as_of, -1)]
    most = now = 0
    for _, change in sorted(moments):
        now += change
        most = max(most, now)
    return most


def _best(result: TuningJobResult) -> dict[str, Any] | None:
    best = result.best
    if best is None:
        return None
    number = next((job.number for job in result.training_jobs if job.name == best.training_job_name), None)
    overall = result.tuning_job.get("OverallBestTrainingJob", {})
    better = overall.get("TrainingJobName") not in {None, best.training_job_name}
    lines = [
        ("objective", f"{best.objective_metric_name} = {best.objective_metric_value!r} ({best.objective_type})"),
        ("definition", best.training_job_definition_name),
        ("status", best.status),
        ("model artifacts", best.model_artifacts or ""),
        (
            "overall best",
            f"{overall['TrainingJobName']} of {overall.get('TuningJobName', 'a parent tuning job')}" if better else "",
        ),
    ]
    return {
        "name": best.training_job_name,
        "number": number,
        "lines": [(title, text) for title, text in lines if text],
        "hyperparameters": sorted(best.hyperparameters.items()),
    }


def _histories(result: TuningJobResult, pictures: _Pictures) -> list[dict[str, Any]]:
    """A history for each objective, over all definitions that improve it."""
    groups: dict[Any, list[Definition]] = {}
    for each in result.definitions:
        groups.setdefault(each.objective, []).append(each)
    found = []
    for objective, members in groups.items():
        jobs = [job for job in result.training_jobs if job.definition in {each.name for each in members}]
        metric = objective.metric_name if objective else "objective"
        title = metric if len(groups) == 1 else f"{metric}: {', '.join(each.name for each in members)}"
        if not jobs:
            found.append({"title": title, "picture": None})
            continue
        from .figures import history

        text = _history_text(result, members, jobs)
        found.append({"title": title, "picture": pictures.add(history(result, members), text, text)})
    return found


def _history_text(result: TuningJobResult, members: Sequence[Definition], jobs: Sequence[TrainingJob]) -> str:
    valued = [job for job in jobs if job.objective_value is not None]
    text = f"{len(valued)} of {len(jobs)} training jobs brought an objective value"
    if not valued:
        return f"{text}."
    values = [job.objective_value or 0.0 for job in valued]
    sign = -1 if maximizes(members[0]) else 1
    best = min(valued, key=lambda job: sign * (job.objective_value or 0.0))
    after = ((best.ended or result.as_of) - result.tuning_job["CreationTime"]).total_seconds()
    return (
        f"{text}, from {min(values):.6g} to {max(values):.6g}. The best, {best.objective_value:.6g}, is number "
        f"{best.number}; it ended {duration_text(max(after, 0.0))} after the tuning job's start."
    )


def _described(result: TuningJobResult) -> list[Mapping[str, Any]]:
    return definitions(result.tuning_job)


def _definition(
    result: TuningJobResult, pictures: _Pictures, definition: Definition, described: Mapping[str, Any]
) -> dict[str, Any]:
    from .figures import hyperparameter, importance_bars, parallel_coordinates

    jobs = result.training_jobs_of(definition.name)
    valued = [job for job in jobs if job.objective_value is not None]
    names = result.hyperparameters(definition.name)
    best = result.best_of(definition.name)
    importances: dict[str, float] = {}
    reason = ""
    try:
        importances = result.importances(definition.name)
    except ResultError as error:
        reason = str(error)
    ordered = sorted(names, key=lambda name: -importances.get(name, 0.0))
    found: dict[str, Any] = {
        "name": definition.name,
        "heading": definition.name or "Training jobs",
        "count": len(jobs),
        "best": best,
        "best_text": f"{best.objective_value:.6g}" if best else "",
        "lines": [
            line
            for line in definition_lines(result.tuning_job, described)
            if line[0] not in {"ranges", "static", "channels"}
        ],
        "ranges": [_range(name, definition.parameters.get(name)) for name in names],
        "static": sorted(
            (name, value)
            for name, value in described.get("StaticHyperParameters", {}).items()
            # The service adds these.
            if not name.startswith("_")
        ),
        "channels": [_channel(each) for each in described.get("InputDataConfig", ())],
        "importances": [(name, f"{value:.1%}") for name, value in importances.items()],
        "importance_reason": reason,
        "importance_picture": None,
        "parallel": None,
        "slices": [],
    }
    if importances:
        leading = ", ".join(f"{name} {value:.0%}" for name, value in list(importances.items())[:3])
        found["importance_picture"] = pictures.add(importance_bars(importances), f"Importances: {leading}.")
    if not valued:
        return found
    if len(names) > 1:
        shown = ordered[:_MOST_AXES]
        which = (
            f"the {_MOST_AXES} most important of {len(names)} hyperparameters"
            if len(names) > len(shown)
            else "all hyperparameters"
        )
        text = (
            f"A line for each training job over {which} and the objective; the better, the stronger, and the best "
            f"in orange (number {best.number if best else ''})."
        )
        if len(valued) < len(jobs):
            text += f" Dotted: {len(jobs) - len(valued)} without an objective."
        found["parallel"] = pictures.add(parallel_coordinates(result, definition, shown), text, text)
    for name in ordered:
        value = best.hyperparameters.get(name, "") if best else ""
        text = (
            f"Objective against {name}: the best training job has {value}." if value else f"Objective against {name}."
        )
        found["slices"].append(pictures.add(hyperparameter(result, definition, name), text))
    return found


def _range(name: str, parameter: Parameter | None) -> dict[str, str]:
    if parameter is None:
        return {"name": name, "kind": "chosen by SageMaker", "values": "", "scaling": ""}
    kind = type(parameter).__name__.removesuffix("Parameter").lower()
    if isinstance(parameter, CategoricalParameter):
        return {"name": name, "kind": kind, "values": ", ".join(map(str, parameter.values)), "scaling": ""}
    values = f"{parameter.min_value} to {parameter.max_value}"
    return {"name": name, "kind": kind, "values": values, "scaling": parameter.scaling_type or "Auto"}


def _channel(channel: Mapping[str, Any]) -> tuple[str, str, str]:
    source = channel.get("DataSource", {})
    s3, file_system = source.get("S3DataSource", {}), source.get("FileSystemDataSource", {})
    place = s3.get("S3Uri") or " ".join(str(file_system.get(key, "")) for key in ("FileSystemId", "DirectoryPath"))
    return channel["ChannelName"], place, channel.get("ContentType", "")


def _failures(result: TuningJobResult) -> list[dict[str, Any]]:
    numbered = {job.name: job.number for job in result.training_jobs}
    return [
        {**group, "numbers": [(numbered[name], name) for name in group["training_jobs"]]}
        for group in failure_reasons(result.summaries)
    ]


def _costs(result: TuningJobResult) -> dict[str, Any]:
    hours = result.instance_hours()
    spot = any(each.spot for each in hours)
    rows = [
        {
            "type": each.instance_type or "not known (one of several)",
            "purchase": "spot" if each.spot else "on demand",
            "jobs": each.training_jobs,
            "hours": _hours(each.instance_hours),
            "billable": "not known" if each.billable_instance_hours is None else _hours(each.billable_instance_hours),
        }
        for each in hours
    ]
    basis = (
        "Instance-hours are the time from TrainingStartTime to TrainingEndTime of each training job, times the number "
        "of its instances."
    )
    if spot:
        basis += (
            " Billable instance-hours of spot training are BillableTimeInSeconds of DescribeTrainingJob times the "
            "number of instances."
        )
    if result.running:
        basis += " What still trains is counted up to the report's time."
    return {"rows": rows, "basis": basis, "total": _hours(sum(each.instance_hours for each in hours)), "spot": spot}


def _table(result: TuningJobResult) -> dict[str, Any]:
    """The columns and rows of the table of training jobs."""
    objectives = {
        each.name: each.objective.metric_name if each.objective else "objective" for each in result.definitions
    }
    metrics = list(dict.fromkeys(objectives.values()))
    members = {each.name: set(result.hyperparameters(each.name)) for each in result.definitions}
    names = list(dict.fromkeys(name for each in result.definitions for name in result.hyperparameters(each.name)))
    numeric = {
        name: numbers(job.hyperparameters.get(name) for job in result.training_jobs) is not None for name in names
    }
    best = result.best
    rows = []
    for job, summary in zip(result.training_jobs, result.summaries, strict=True):
        seconds = training_seconds(summary, result.as_of)
        value = job.objective_value
        rows.append(
            {
                "number": job.number,
                "name": job.name.removeprefix(f"{result.name}-"),
                "full_name": job.name,
                "best": best is not None and best.training_job_name == job.name,
                "definition": job.definition,
                "status": job.status,
                "objectives": [
                    (f"{value:.6g}", repr(value))
                    if value is not None and objectives[job.definition] == metric
                    else ("", "")
                    for metric in metrics
                ],
                "started": _time(job.started) if job.started else None,
                "duration": f"{duration_text(seconds)}{' so far' if not job.ended else ''}"
                if seconds is not None
                else "",
                "seconds": "" if seconds is None else f"{seconds:.3f}",
                "values": [_cell(job.hyperparameters.get(name)) for name in names],
            }
        )
    columns = [
        {"title": name, "numeric": numeric[name], "of": [each for each in members if name in members[each]]}
        for name in names
    ]
    statuses = list(dict.fromkeys(job.status for job in result.training_jobs))
    return {"rows": rows, "columns": columns, "metrics": metrics, "statuses": sorted(statuses)}


def _cell(value: str | None) -> tuple[str, str]:
    """A hyperparameter's value as it is shown, and in full where that is more."""
    if value is None:
        return "", ""
    found = numbers([value])
    if found is None or len(value) <= _SHOWN_DIGITS:
        return value, ""
    return f"{found[0]:.5g}", value


def _time(moment: Any) -> dict[str, str]:
    return {"iso": moment.isoformat(), "text": local_time(moment)}


def _pieces(name: str) -> list[str]:
    """A name in the pieces between which a line may end."""
    return re.split(r"(?<=[:_/.-])", name)


def _hours(hours: float) -> str:
    if hours >= 100:
        return f"{hours:,.0f}"
    return f"{hours:.2f}" if hours >= 1 or hours == 0 else f"{hours:.3g}"
