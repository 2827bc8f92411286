"""`hpo show`: one tuning job with its definitions and training jobs."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .account import (
    AsJson,
    Interval,
    JobName,
    Profile,
    Region,
    Stack,
    Watch,
    console,
    declared_by,
    declared_json,
    refuse_together,
    watched,
)

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

    from ..account import Job

_DEFAULT_ROWS = 20


class TrainingStatus(StrEnum):
    """Statuses of training jobs."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


class Sort(StrEnum):
    """Orders of training jobs."""

    TIME = "time"
    OBJECTIVE = "objective"
    DURATION = "duration"
    STATUS = "status"
    NAME = "name"


def show_command(
    job: JobName,
    *,
    sort: Annotated[
        Sort, typer.Option(help="The training jobs' order: the oldest, the best or the longest come first.")
    ] = Sort.TIME,
    status: Annotated[
        TrainingStatus | None,
        typer.Option(case_sensitive=False, help="Training jobs with this status only.", show_default=False),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=0, help="How many training jobs at most; 0 for all.", show_default=f"{_DEFAULT_ROWS}; all with --json"
        ),
    ] = None,
    as_json: AsJson = False,
    watch: Watch = False,
    interval: Interval = 5.0,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Show a tuning job: settings, definitions, best, training jobs, why it ended and why jobs failed.

    --watch ends with the tuning job.

    Exit code 0: shown, however the tuning job ended; 2: there is none, the account cannot be asked, or wrong use.
    """
    refuse_together(json=as_json, watch=watch)
    from ..account import Account, find, ran, training_jobs
    from ..report.tuning_jobs import CHANGING, sorted_training_jobs
    from ..report.tuning_jobs import as_json as json_text

    account = Account(region=region, profile=profile)
    found = find(account, job, stack)
    name = ran(found)

    def look() -> tuple[dict[str, Any], list[Any], list[Any]]:
        tuning_job = account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)
        summaries = training_jobs(account, name)
        chosen = [one for one in summaries if status in {None, one["TrainingJobStatus"]}]
        return tuning_job, summaries, sorted_training_jobs(chosen, sort)

    if as_json:
        tuning_job, summaries, chosen = look()
        typer.echo(json_text(_document(found, tuning_job, summaries, chosen[:limit] if limit else chosen)))
        return
    rows = _DEFAULT_ROWS if limit is None else limit
    screen = console()

    def view() -> tuple[RenderableType, bool]:
        tuning_job, summaries, chosen = look()
        ended = tuning_job["HyperParameterTuningJobStatus"] not in CHANGING
        return _view(found, tuning_job, summaries, chosen, rows), ended

    if watch:
        watched(screen, view, interval)
    else:
        screen.print(view()[0])


def _document(job: Job, tuning_job: dict[str, Any], training_jobs: list[Any], chosen: list[Any]) -> dict[str, Any]:
    from ..report.tuning_jobs import completion_reason, duration_seconds, failure_reasons

    return {
        "tuning_job": tuning_job,
        "training_jobs": chosen,
        "declared_job": declared_json(job.declared, job.name),
        "duration_seconds": duration_seconds(tuning_job),
        "completion_reason": completion_reason(tuning_job) or None,
        "failure_reasons": failure_reasons(training_jobs),
    }


def _view(job: Job, tuning_job: dict[str, Any], training_jobs: list[Any], chosen: list[Any], rows: int) -> Group:
    from rich.console import Group
    from rich.markup import escape

    from ..report.training_jobs import training_jobs_table
    from ..report.tuning_jobs import (
        best_text,
        definition_lines,
        definitions,
        failure_reasons,
        grid,
        settings_lines,
        status_text,
    )

    name = tuning_job["HyperParameterTuningJobName"]
    best = tuning_job.get("BestTrainingJob")
    parts: list[RenderableType] = [
        f"[bold]{escape(name)}[/bold]  {status_text(tuning_job['HyperParameterTuningJobStatus'])}",
        grid(settings_lines(tuning_job, declared_by(job))),
    ]
    declared = definitions(tuning_job)
    for definition in declared:
        parts += [
            f"\n[bold]definition {escape(definition.get('DefinitionName', ''))}".rstrip() + "[/bold]",
            grid(definition_lines(tuning_job, definition)),
        ]
    if best:
        values = [(key, str(value)) for key, value in sorted(best.get("TunedHyperParameters", {}).items())]
        parts += [f"\n[bold]best {escape(best['TrainingJobName'])}[/bold]  {escape(best_text(best))}", grid(values)]
    for group in failure_reasons(training_jobs):
        count = group["count"]
        names = ", ".join(group["training_jobs"][:3]) + (f" and {count - 3} more" if count > 3 else "")
        parts.append(f"\n[red]{count} failed:[/red] {escape(group['reason'])}\n  [dim]{escape(names)}[/dim]")
    shown = chosen[:rows] if rows else chosen
    if shown:
        best_name = best["TrainingJobName"] if best else None
        parts += ["", training_jobs_table(name, shown, best_name, several=len(declared) > 1, in_order=True)]
    if len(shown) < len(chosen):
        parts.append(f"[dim]{len(shown)} of {len(chosen)} training jobs; --limit 0 shows all[/dim]")
    elif training_jobs and not chosen:
        parts.append(f"\n[dim]none of the {len(training_jobs)} training jobs has that status[/dim]")
    return Group(*parts)
