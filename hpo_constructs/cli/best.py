"""`hpo best`: the best training job that is published, and its model."""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hpo_handlers.contract import Fact, Output

from ..errors import HpoError
from .account import AsJson, JobName, Profile, Region, Stack, console

if TYPE_CHECKING:
    from ..account import Account, Job


def best_command(
    job: JobName,
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Download the model and best.json into this folder.", show_default=False),
    ] = None,
    as_json: AsJson = False,
    stack: Stack = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Print the published best training job of a declared job, with its configuration.

    It is read from the SSM parameter `best`, as the rest of the infrastructure reads it. For a tuning job's own name
    it is that tuning job's best, published or not.

    Exit code 0: there is one; 1: there is none yet; 2: no such job, the account cannot be asked, or wrong use.
    """
    from ..account import Account, MissingError
    from ..report.tuning_jobs import as_json as json_text

    account = Account(region=region, profile=profile)
    document = _best(account, job, stack)
    if document is None:
        typer.echo(f"hpo: {job} has no best training job yet; `hpo show {job}` shows how far it is", err=True)
        raise typer.Exit(1)
    training_job = None
    try:
        name = document["best"][Output.BEST_TRAINING_JOB_NAME]
        training_job = account.call("sagemaker", "describe_training_job", TrainingJobName=name)
    except MissingError:
        pass  # Published facts outlive the training job.
    document["training_job"] = training_job
    text = json_text(document)
    if as_json:
        typer.echo(text)
    else:
        _print(document)
    if output is not None:
        model = str(document["best"][Output.MODEL_ARTIFACTS])
        files = _download(account, model, output)
        (output / "best.json").write_text(f"{text}\n", encoding="utf-8")
        typer.echo(f"downloaded to {output}: best.json, {', '.join(files)}", err=True)


def _best(account: Account, text: str, stack: str | None) -> dict[str, Any] | None:
    from ..account import DeniedError, Job, MissingError, find

    try:
        job = find(account, text, stack)
    except MissingError:
        # The outputs outlive the stack and the tuning jobs.
        job = Job(text, text, None, None, given=False)
        published = _published(account, job, stack)
        if published is None:
            raise
        return published
    if not job.given:
        return _published(account, job, stack)
    try:
        published = _published(account, job, stack)
    except DeniedError:
        published = None  # Who may look at tuning jobs need not see parameters.
    return published or _of_tuning_job(account, str(job.tuning_job))


def _published(account: Account, job: Job, stack: str | None) -> dict[str, Any] | None:
    """The document in SSM and where it stands; None without one."""
    from ..account import MissingError
    from ..account.declared import published_parameters

    names = published_parameters(account, job)
    if job.declared is None and stack is not None:
        names = [name for name in names if f"/{stack}/" in name]
    documents = []
    for name in names:
        try:
            value = account.call("ssm", "get_parameter", Name=name)["Parameter"]["Value"]
        except MissingError:
            continue
        documents.append({"published": True, "parameter": name, "best": json.loads(value)})
    if job.given:
        documents = [one for one in documents if one["best"].get(Output.TUNING_JOB_NAME) == job.tuning_job]
    if len(documents) > 1:
        listed = ", ".join(str(one["parameter"]) for one in documents)
        raise HpoError(f"several published bests are named {job.text!r}: choose one with --stack: {listed}")
    return documents[0] if documents else None


def _of_tuning_job(account: Account, name: str) -> dict[str, Any] | None:
    """The best of a tuning job that has not published it, in the form of the document in SSM."""
    tuning_job = account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)
    summary = tuning_job.get("BestTrainingJob")
    if summary is None:
        return None
    training_job = account.call("sagemaker", "describe_training_job", TrainingJobName=summary["TrainingJobName"])
    algorithm, objective = (
        training_job["AlgorithmSpecification"],
        summary["FinalHyperParameterTuningJobObjectiveMetric"],
    )
    best = {
        Output.BEST_TRAINING_JOB_NAME: summary["TrainingJobName"],
        Output.OBJECTIVE_METRIC_NAME: objective["MetricName"],
        Output.OBJECTIVE_METRIC_VALUE: objective["Value"],
        Output.HYPERPARAMETERS: summary["TunedHyperParameters"],
        Output.MODEL_ARTIFACTS: training_job["ModelArtifacts"]["S3ModelArtifacts"],
        Output.TRAINING_IMAGE: algorithm.get("TrainingImage") or algorithm.get("AlgorithmName"),
        Output.TRAINING_JOB_DEFINITION_NAME: summary.get("TrainingJobDefinitionName"),
        Output.TUNING_JOB_NAME: name,
        Output.TUNING_JOB_STATUS: tuning_job["HyperParameterTuningJobStatus"],
        Fact.OBJECTIVE_TYPE: objective.get("Type"),
    }
    return {"published": False, "parameter": None, "best": {str(key): value for key, value in best.items()}}


def _print(document: dict[str, Any]) -> None:
    from rich.markup import escape

    from ..report.tuning_jobs import definition_lines, duration_text, grid

    screen = console()
    best, training_job = document["best"], document["training_job"]
    value = f"{best[Output.OBJECTIVE_METRIC_NAME]} = {best[Output.OBJECTIVE_METRIC_VALUE]:.6g}"
    screen.print(f"[bold]best training job {escape(best[Output.BEST_TRAINING_JOB_NAME])}[/bold]: {escape(value)}")
    lines = [
        ("definition", best.get(Output.TRAINING_JOB_DEFINITION_NAME)),
        ("tuning job", f"{best[Output.TUNING_JOB_NAME]} ({best[Output.TUNING_JOB_STATUS]})"),
        ("published", f"{document['parameter']}, {best.get(Output.UPDATED_AT)}" if document["published"] else "no"),
        ("model", best[Output.MODEL_ARTIFACTS]),
        ("image", best[Output.TRAINING_IMAGE]),
    ]
    if training_job is not None:
        described = {**training_job, "HyperParameterRanges": {"": ()}}
        lines += [line for line in definition_lines({}, described) if line[0] not in {"image", "output"}]
        lines.append(("trained", duration_text(training_job.get("TrainingTimeInSeconds"))))
    screen.print(grid((title, str(text)) for title, text in lines if text))
    tuned = best.get(Output.HYPERPARAMETERS) or {}
    every = (training_job or {}).get("HyperParameters") or tuned
    shown = {name: value for name, value in every.items() if not name.startswith("_")}
    screen.print("\n[bold]hyperparameters[/bold] (* tuned)")
    screen.print(grid((f"{name} *" if name in tuned else name, str(text)) for name, text in sorted(shown.items())))


def _download(account: Account, uri: str, folder: Path) -> list[str]:
    """Download a model: one archive, or all objects below a prefix; the names of the files.

    Raises:
        HpoError: The folder cannot be written, or there is nothing below the prefix.
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if key.endswith(".tar.gz"):
            name = PurePosixPath(key).name
            account.download(bucket, key, str(folder / name))
            return [name]
        prefix = f"{key.rstrip('/')}/"
        objects = account.pages("s3", "list_objects_v2", "Contents", Bucket=bucket, Prefix=prefix)
        names = [name for one in objects if (name := one["Key"].removeprefix(prefix)) and not name.endswith("/")]
        for name in names:
            file = (folder / name).resolve()
            if not file.is_relative_to(folder.resolve()):
                raise HpoError(f"the object s3://{bucket}/{prefix}{name} would be written outside of {folder}")
            file.parent.mkdir(parents=True, exist_ok=True)
            account.download(bucket, f"{prefix}{name}", str(file))
    except OSError as error:
        raise HpoError(f"the model cannot be written to {folder}: {error.strerror or error}") from None
    if not names:
        raise HpoError(f"there is no model at {uri}; was it moved or deleted?")
    return names
