"""What a run has brought: its published outputs, its training jobs' logs and its best model, read or kept in files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .access import Account
from .logs import TrainingLog


def outputs(account: Account, prefix: str) -> dict[str, str]:
    """The published SSM parameters below a path, by name.

    Raises:
        AccountError: The account cannot be asked.
    """
    found = account.pages("ssm", "get_parameters_by_path", "Parameters", Path=prefix.rstrip("/"), Recursive=True)
    return {each["Name"]: each["Value"] for each in found}


def log_lines(account: Account, training_job: str, tail: int | None = None) -> list[str]:
    """The lines that a training job has printed, or the last so many; none where it has no log.

    Raises:
        AccountError: The account cannot be asked.
    """
    return [line.message for line in TrainingLog(account, training_job).read(tail)]


def keep(
    account: Account,
    folder: Path,
    *,
    tuning_job: Mapping[str, Any] | None,
    training_jobs: Sequence[Mapping[str, Any]],
    published: Mapping[str, str],
) -> None:
    """Keep what a run has brought in a folder: the tuning job, the training jobs and their logs, the best model.

    Args:
        account: The account.
        folder: The folder, made where there is none.
        tuning_job: The answer of DescribeHyperParameterTuningJob; None where it was never created.
        training_jobs: The summaries of ListTrainingJobsForHyperParameterTuningJob.
        published: The published SSM parameters by name.

    Raises:
        AccountError: The account cannot be asked.
    """
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    _write(folder / "training-jobs.json", training_jobs)
    if tuning_job is not None:
        _write(folder / "tuning-job.json", tuning_job)
    _write(folder / "outputs.json", published)
    for each in training_jobs:
        name = each["TrainingJobName"]
        text = "\n".join(log_lines(account, name))
        (logs / f"{name}.log").write_text(f"{text}\n", encoding="utf-8")
    best = (tuning_job or {}).get("BestTrainingJob")
    if best is None:
        return
    described = account.call("sagemaker", "describe_training_job", TrainingJobName=best["TrainingJobName"])
    model = described.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
    if model.endswith(".tar.gz"):
        bucket, _, key = model.removeprefix("s3://").partition("/")
        account.download(bucket, key, str(folder / "model.tar.gz"))


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, default=str) + "\n", encoding="utf-8")
