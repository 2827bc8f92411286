"""Publishes how a tuning job ended: the best training job's facts, or why there is none."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from .contract import Failure, Key, Output, TuningJobStatus
from .service import client, errors_named, logger

# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
_LARGEST_VALUE: Final = 8 * 1024


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Writes the outputs of an ended tuning job below the output prefix.

    Only a completed tuning job with a best training job changes the best that is published; any other one changes
    the three parameters that tell of the latest run. The document ``best`` is written first, in one call: whoever
    reads it sees one run's facts, never a mixture. A second attempt writes the same again.
    """
    name, prefix = event[Key.NAME], event[Key.OUTPUT_PREFIX].rstrip("/")
    with errors_named(f"describing tuning job {name}"):
        job = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    status = job["HyperParameterTuningJobStatus"]
    latest: dict[str, Any] = {
        Output.TUNING_JOB_NAME: name,
        Output.TUNING_JOB_STATUS: status,
        Output.UPDATED_AT: datetime.now(UTC).isoformat(timespec="seconds"),
    }
    best = _best(job, latest) if status == TuningJobStatus.COMPLETED and "BestTrainingJob" in job else None
    for output, value in {**(_values(best) if best else {}), **latest}.items():
        _put(f"{prefix}/{output}", value)
    logger.info(
        "published tuning job %s: %s",
        name,
        best[Output.BEST_TRAINING_JOB_NAME] if best else f"{status}, no new best training job",
        extra={"tuning_job_name": name, "tuning_job_status": status, "best": best},
    )
    error, cause = ("", "") if best else _failure(job)
    return {
        Key.NAME: name,
        Key.STATUS: status,
        Key.SUCCEEDED: best is not None,
        Key.BEST: best or {},
        Key.ERROR: error,
        Key.CAUSE: cause,
    }


def _best(job: dict[str, Any], latest: dict[str, Any]) -> dict[str, Any]:
    """The best training job's facts; the artifact and the image are what the training job itself reports."""
    summary = job["BestTrainingJob"]
    name = summary["TrainingJobName"]
    with errors_named(f"describing training job {name}"):
        training_job = client("sagemaker").describe_training_job(TrainingJobName=name)
    algorithm = training_job["AlgorithmSpecification"]
    objective = summary["FinalHyperParameterTuningJobObjectiveMetric"]
    return {
        Output.BEST_TRAINING_JOB_NAME: name,
        Output.OBJECTIVE_METRIC_NAME: objective["MetricName"],
        Output.OBJECTIVE_METRIC_VALUE: objective["Value"],
        Output.HYPERPARAMETERS: summary["TunedHyperParameters"],
        Output.MODEL_ARTIFACTS: training_job["ModelArtifacts"]["S3ModelArtifacts"],
        # An algorithm of the Marketplace has a name in place of an image.
        Output.TRAINING_IMAGE: algorithm.get("TrainingImage") or algorithm.get("AlgorithmName"),
        # Absent where the tuning job has one definition only.
        Output.TRAINING_JOB_DEFINITION_NAME: summary.get("TrainingJobDefinitionName"),
        **latest,
    }


def _values(best: dict[str, Any]) -> dict[str, str]:
    """The best's parameters, the document first."""
    document = json.dumps(best)
    if len(document.encode()) > _LARGEST_VALUE:
        # Thirty searched hyperparameters with the longest names and values do not fit; the rest is worth having.
        best[Output.HYPERPARAMETERS] = None
        document = json.dumps(best)
        logger.warning(
            "the hyperparameters of %s exceed a parameter's %d bytes and are left out: read them from the training job",
            best[Output.BEST_TRAINING_JOB_NAME],
            _LARGEST_VALUE,
            extra={"tuning_job_name": best[Output.TUNING_JOB_NAME]},
        )
    values: dict[str, str] = {Output.BEST: document}
    for output, value in best.items():
        # A parameter cannot be empty: a fact that this run does not have is JSON's null, not an earlier run's value.
        values[output] = value if isinstance(value, str) else json.dumps(value)
    return values


def _put(parameter: str, value: str) -> None:
    with errors_named(f"writing parameter {parameter}"):
        # The tier becomes advanced where a value is longer than the 4 KB of a standard parameter, and stays so:
        # an advanced parameter cannot be made a standard one again.
        client("ssm").put_parameter(
            Name=parameter, Value=value, Type="String", Tier="Intelligent-Tiering", Overwrite=True
        )


def _failure(job: dict[str, Any]) -> tuple[str, str]:
    """Error name and cause with which the execution ends."""
    name, status = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"]
    counters = ", ".join(f"{count} {kind}" for kind, count in job["TrainingJobStatusCounters"].items() if count)
    done = f"training jobs: {counters or 'none'}"
    reason = job.get("FailureReason")
    match status:
        case TuningJobStatus.COMPLETED:
            return Failure.NO_BEST, f"tuning job {name} completed without a best training job ({done})"
        case TuningJobStatus.STOPPED:
            why = f": {reason}" if reason else ""
            return Failure.STOPPED, f"tuning job {name} was stopped before it completed{why} ({done})"
        case _:
            return Failure.FAILED, f"tuning job {name} ended as {status}: {reason or 'no reason given'} ({done})"
