"""Publishes how a tuning job ended: the best training job's facts, or why there is none."""

import json
from datetime import UTC, datetime
from typing import Any, Final

from botocore.exceptions import ClientError

from .budget import passed
from .contract import Fact, Failure, Key, OnStopped, Output, Rule, TuningJobStatus
from .digest import failure_digest
from .service import client, error_code, errors_named, logger

# https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html
_LARGEST_VALUE: Final = 8 * 1024
# What Step Functions takes as a cause.
# https://docs.aws.amazon.com/step-functions/latest/apireference/API_ExecutionFailedEventDetails.html
_LARGEST_CAUSE: Final = 32_768
# Facts of the latest run, whether or not it brought a best training job.
_OF_LATEST_RUN: Final = (Output.TUNING_JOB_NAME, Output.TUNING_JOB_STATUS, Output.UPDATED_AT)


class _Refused(Exception):
    """The run publishes no best training job."""

    def __init__(self, failure: Failure, cause: str) -> None:
        super().__init__(cause)
        self.failure = failure


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's signature
    """Writes the outputs of an ended tuning job below the output prefix.

    Only a run that the publishing policy accepts changes the best that is published; any other one changes the three
    parameters that tell of the latest run. The document `best` is written first, in one call: whoever reads it sees
    one run's facts, never a mixture. A second attempt writes the same again.
    """
    name, prefix, policy = event[Key.NAME], event[Key.OUTPUT_PREFIX].rstrip("/"), event.get(Key.POLICY, {})
    with errors_named(f"describing tuning job {name}"):
        job = client("sagemaker").describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    latest: dict[str, Any] = {
        Output.TUNING_JOB_NAME: name,
        Output.TUNING_JOB_STATUS: job["HyperParameterTuningJobStatus"],
        Output.UPDATED_AT: datetime.now(UTC).isoformat(timespec="seconds"),
    }
    best: dict[str, Any] = {}
    error = cause = ""
    stopped_by = _stopped_by(job, policy)
    try:
        _accept(job, policy, stopped_by)
        best = _best(job, latest)
        best[Fact.STOPPED_BY] = stopped_by or None
        best[Fact.PUBLISHED] = _replaces_published(best, prefix, policy.get(Rule.REPLACE_BEST_BY))
    except _Refused as refused:
        error, cause = refused.failure, _cause(str(refused), job)
    values = _values(best) if best.get(Fact.PUBLISHED) else {}
    for output, value in {**values, **latest}.items():
        _put(f"{prefix}/{output}", value)
    logger.log(
        40 if error else 20,
        "tuning job %s: %s",
        name,
        cause or best[Output.BEST_TRAINING_JOB_NAME],
        extra={"tuning_job_name": name, "tuning_job_status": latest[Output.TUNING_JOB_STATUS], "best": best or None},
    )
    return {
        Key.NAME: name,
        Key.STATUS: latest[Output.TUNING_JOB_STATUS],
        Key.SUCCEEDED: not error,
        Key.BEST: best,
        Key.ERROR: error,
        Key.CAUSE: cause,
    }


def _stopped_by(job: dict[str, Any], policy: dict[str, Any]) -> str:
    """Why the tuning job was stopped, where it was its budget; whoever stopped it, it had used that up."""
    limit = policy.get(Rule.STOP_AT_INSTANCE_HOURS)
    stopped = job["HyperParameterTuningJobStatus"] == TuningJobStatus.STOPPED
    return passed(job, limit) if stopped and limit is not None else ""


def _accept(job: dict[str, Any], policy: dict[str, Any], stopped_by: str) -> None:
    """Refuses a run that may not publish.

    Raises:
        _Refused: it ended in the wrong way, or brought too little.
    """
    name, status = job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"]
    reason = job.get("FailureReason")
    if status == TuningJobStatus.STOPPED:
        # The best so far is what a run has that its budget ended.
        if not stopped_by and policy.get(Rule.ON_STOPPED, OnStopped.FAIL) == OnStopped.FAIL:
            why = f": {reason}" if reason else ""
            raise _Refused(Failure.STOPPED, f"tuning job {name} was stopped before it completed{why}")
    elif status != TuningJobStatus.COMPLETED:
        raise _Refused(Failure.FAILED, f"tuning job {name} ended as {status}: {reason or 'no reason given'}")
    if "BestTrainingJob" not in job:
        ended = "completed" if status == TuningJobStatus.COMPLETED else "was stopped"
        ended += f" by {stopped_by}," if stopped_by else ""
        raise _Refused(Failure.NO_BEST, f"tuning job {name} {ended} without a best training job")
    least, completed = policy.get(Rule.MIN_COMPLETED_TRAINING_JOBS), _counters(job).get("Completed", 0)
    if least is not None and completed < least:
        raise _Refused(
            Failure.TOO_FEW,
            f"tuning job {name} completed {completed} training jobs, {Rule.MIN_COMPLETED_TRAINING_JOBS} is {least}",
        )
    required, objective = policy.get(Rule.REQUIRED_OBJECTIVE_VALUE), _objective(job["BestTrainingJob"])
    if required is not None and not _at_least(objective["Value"], required, _direction(job)):
        raise _Refused(
            Failure.NOT_GOOD_ENOUGH,
            f"the best {objective['MetricName']} of tuning job {name} is {objective['Value']}, "
            f"{Rule.REQUIRED_OBJECTIVE_VALUE} is {required} ({_direction(job)})",
        )


def _best(job: dict[str, Any], latest: dict[str, Any]) -> dict[str, Any]:
    """The best training job's facts; the artifact and the image are what the training job itself reports."""
    summary = job["BestTrainingJob"]
    name = summary["TrainingJobName"]
    with errors_named(f"describing training job {name}"):
        training_job = client("sagemaker").describe_training_job(TrainingJobName=name)
    algorithm, objective = training_job["AlgorithmSpecification"], _objective(summary)
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
        Fact.OBJECTIVE_TYPE: _direction(job),
        Fact.TRAINING_JOBS: _counters(job),
        Fact.OBJECTIVES: job.get("ObjectiveStatusCounters", {}),
        Fact.COMPLETION_DETAILS: _plain(job.get("TuningJobCompletionDetails")),
        Fact.CONSUMED_SECONDS: job.get("ConsumedResources", {}).get("RuntimeInSeconds"),
        Fact.OVERALL_BEST: _overall_best(job),
    }


def _overall_best(job: dict[str, Any]) -> dict[str, Any] | None:
    """The best training job of this tuning job and its parents, which only a warm start has."""
    summary = job.get("OverallBestTrainingJob")
    if summary is None:
        return None
    objective = _objective(summary)
    return {
        Output.BEST_TRAINING_JOB_NAME: summary["TrainingJobName"],
        Output.TUNING_JOB_NAME: summary.get("TuningJobName"),
        Output.OBJECTIVE_METRIC_NAME: objective.get("MetricName"),
        Output.OBJECTIVE_METRIC_VALUE: objective.get("Value"),
    }


def _replaces_published(best: dict[str, Any], prefix: str, margin: float | None) -> bool:
    """Whether this run's best takes the place of the published one."""
    if margin is None:
        return True
    published = _published(f"{prefix}/{Output.BEST}")
    # An earlier attempt may have written this run's own document and not yet the parameters beside it.
    same_run = published.get(Output.TUNING_JOB_NAME) == best[Output.TUNING_JOB_NAME]
    if same_run or any(
        published.get(name) != best[name] for name in (Output.OBJECTIVE_METRIC_NAME, Fact.OBJECTIVE_TYPE)
    ):
        return True
    old, new, direction = (
        published[Output.OBJECTIVE_METRIC_VALUE],
        best[Output.OBJECTIVE_METRIC_VALUE],
        best[Fact.OBJECTIVE_TYPE],
    )
    gain = new - old if direction == "Maximize" else old - new
    # Without a margin an equal value replaces nothing.
    better = bool(gain > 0 and gain >= margin)
    logger.info(
        "%s %s the published %s: gain %s, %s is %s",
        new,
        "replaces" if better else "does not replace",
        old,
        gain,
        Rule.REPLACE_BEST_BY,
        margin,
        extra={"tuning_job_name": best[Output.TUNING_JOB_NAME], "published": published},
    )
    return better


def _published(parameter: str) -> dict[str, Any]:
    with errors_named(f"reading parameter {parameter}"):
        try:
            document: dict[str, Any] = json.loads(client("ssm").get_parameter(Name=parameter)["Parameter"]["Value"])
        except ClientError as error:
            if error_code(error) == "ParameterNotFound":
                return {}
            raise
    return document


def _objective(summary: dict[str, Any]) -> dict[str, Any]:
    objective: dict[str, Any] = summary.get("FinalHyperParameterTuningJobObjectiveMetric", {})
    return objective


def _direction(job: dict[str, Any]) -> str:
    """`Maximize` or `Minimize`: the objective's of the best training job's definition."""
    best = job["BestTrainingJob"]
    objectives = [
        definition["TuningObjective"]
        for definition in job.get("TrainingJobDefinitions", ())
        if definition.get("DefinitionName") == best.get("TrainingJobDefinitionName")
    ]
    objectives.append(job["HyperParameterTuningJobConfig"].get("HyperParameterTuningJobObjective", {}))
    return str(_objective(best).get("Type") or objectives[0].get("Type", "Maximize"))


def _at_least(value: float, required: float, direction: str) -> bool:
    return value >= required if direction == "Maximize" else value <= required


def _counters(job: dict[str, Any]) -> dict[str, int]:
    counters: dict[str, int] = job["TrainingJobStatusCounters"]
    return counters


def _plain(details: dict[str, Any] | None) -> dict[str, Any] | None:
    """Completion details with their times as text."""
    if details is None:
        return None
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in details.items()}


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
    for output in Output:
        if output in best and output not in _OF_LATEST_RUN:
            # A parameter cannot be empty: a fact that this run does not have is JSON's null, not an earlier run's
            # value.
            values[output] = best[output] if isinstance(best[output], str) else json.dumps(best[output])
    return values


def _put(parameter: str, value: str) -> None:
    with errors_named(f"writing parameter {parameter}"):
        # The tier becomes advanced where a value is longer than the 4 KB of a standard parameter, and stays so:
        # an advanced parameter cannot be made a standard one again.
        client("ssm").put_parameter(
            Name=parameter, Value=value, Type="String", Tier="Intelligent-Tiering", Overwrite=True
        )


def _cause(why: str, job: dict[str, Any]) -> str:
    """The cause with which the execution ends: why, how many training jobs ended how, and why they failed."""
    counters = ", ".join(f"{count} {kind}" for kind, count in _counters(job).items() if count)
    text = f"{why} (training jobs: {counters or 'none'})"
    return (text + failure_digest(job, _LARGEST_CAUSE - len(text)))[:_LARGEST_CAUSE]
