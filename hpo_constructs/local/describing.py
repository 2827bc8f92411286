"""What the Describe and List operations say of jobs: documents in the API's form.

A document is plain data. It is made from a job that runs here, or was made by an earlier run of the endpoint and kept.

Sources: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeHyperParameterTuningJob.html and
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .algorithms import LocalProgram
from .engine.backend import INTERNAL_ERROR
from .engine.clock import Clock
from .engine.local import metric_definitions, model_artifacts
from .engine.plan import Definition
from .engine.tuner import ObjectiveStatus, TrainingJob, Tuner
from .engine.warm_start import Parent, overall_best
from .training import OBJECTIVE_METRIC

TUNING_ENDED = frozenset(("Completed", "Failed", "Stopped"))
TRAINING_ENDED = frozenset(("Completed", "Failed", "Stopped"))

_OF_TUNER_ONLY = (
    "TuningObjective",
    "DefinitionName",
    "HyperParameterRanges",
    "HyperParameterTuningResourceConfig",
    "StaticHyperParameters",
)
_SERVER_DEFAULTS = {
    "EnableNetworkIsolation": False,
    "EnableInterContainerTrafficEncryption": False,
    "EnableManagedSpotTraining": False,
}


@dataclass(frozen=True)
class TrainingRecord:
    """What is known of a training job.

    Attributes:
        description: what DescribeTrainingJob answers.
        summary: what ListTrainingJobsForHyperParameterTuningJob says of it; None for one of no tuning job.
    """

    description: dict[str, Any]
    summary: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """The training job's name."""
        name: str = self.description["TrainingJobName"]
        return name

    @property
    def ended(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.description["TrainingJobStatus"] in TRAINING_ENDED


class Describer:
    """Makes documents of jobs that run here.

    Args:
        arn_prefix: what ARNs begin with, up to the account.
        program: gives the local program for a definition.
        clock: the time.
    """

    def __init__(self, arn_prefix: str, program: Callable[[Mapping[str, Any]], LocalProgram], clock: Clock) -> None:
        self._arn_prefix = arn_prefix
        self._program = program
        self._clock = clock

    def tuning_arn(self, name: str) -> str:
        """The ARN of a tuning job."""
        return f"{self._arn_prefix}:hyper-parameter-tuning-job/{name}"

    def training_arn(self, name: str) -> str:
        """The ARN of a training job."""
        return f"{self._arn_prefix}:training-job/{name}"

    def tuning_job(self, request: Mapping[str, Any], tuner: Tuner, parents: Sequence[Parent] = ()) -> dict[str, Any]:
        """What DescribeHyperParameterTuningJob answers. Call it under the tuner's lock.

        Args:
            request: what was asked for.
            tuner: the tuning job's tuner.
            parents: the tuning jobs that it is a warm start of.
        """
        answer: dict[str, Any] = {
            "HyperParameterTuningJobName": tuner.plan.name,
            "HyperParameterTuningJobArn": self.tuning_arn(tuner.plan.name),
            "HyperParameterTuningJobConfig": request["HyperParameterTuningJobConfig"],
            **{name: request[name] for name in ("WarmStartConfig", "Autotune") if name in request},
        }
        described = [self._definition(definition) for definition in tuner.plan.definitions]
        if "TrainingJobDefinition" in request:
            answer["TrainingJobDefinition"] = described[0]
        else:
            answer["TrainingJobDefinitions"] = described
        answer |= {
            "HyperParameterTuningJobStatus": tuner.status.value,
            "CreationTime": tuner.created_at,
            "LastModifiedTime": tuner.modified_at,
            **counters(
                (one.status.value, one.objective_status.value, one.failure_reason) for one in tuner.jobs.values()
            ),
            "TuningJobCompletionDetails": {"NumberOfTrainingJobsObjectiveNotImproving": tuner.not_improving},
            "ConsumedResources": {"RuntimeInSeconds": self._seconds(tuner.created_at, tuner.ended_at)},
        }
        if tuner.ended_at is not None:
            answer["HyperParameterTuningEndTime"] = tuner.ended_at
        if tuner.converged_at is not None:
            answer["TuningJobCompletionDetails"]["ConvergenceDetectedTime"] = tuner.converged_at
        if tuner.best is not None:
            answer["BestTrainingJob"] = self.summary(tuner.plan.name, tuner.best)
        if (best := overall_best(tuner.plan, answer.get("BestTrainingJob"), parents)) is not None:
            answer["OverallBestTrainingJob"] = best
        if tuner.failure_reason:
            answer["FailureReason"] = tuner.failure_reason
        return answer

    def training_record(self, tuner: Tuner, job: TrainingJob) -> TrainingRecord:
        """All that is known of a training job of a tuning job. Call it under the tuner's lock."""
        description = self._training_job(job) | {"TuningJobArn": self.tuning_arn(tuner.plan.name)}
        return TrainingRecord(description, self.summary(tuner.plan.name, job))

    def single_record(self, job: TrainingJob) -> TrainingRecord:
        """All that is known of a training job that no tuning job has made."""
        return TrainingRecord(self._training_job(job))

    def summary(self, tuning_job: str, job: TrainingJob) -> dict[str, Any]:
        """What the lists of a tuning job say of one of its training jobs."""
        definition = job.definition
        summary: dict[str, Any] = {
            "TrainingJobName": job.name,
            "TrainingJobArn": self.training_arn(job.name),
            "TuningJobName": tuning_job,
            "CreationTime": job.created_at,
            "TrainingJobStatus": job.status.value,
            "TunedHyperParameters": dict(job.suggestion.values),
            "ObjectiveStatus": job.objective_status.value,
        }
        if definition.name is not None:
            summary["TrainingJobDefinitionName"] = definition.name
        if job.started_at is not None:
            summary["TrainingStartTime"] = job.started_at
        if job.ended_at is not None:
            summary["TrainingEndTime"] = job.ended_at
        if job.failure_reason:
            summary["FailureReason"] = job.failure_reason
        elif job.status == "Completed" and job.objective_status is ObjectiveStatus.FAILED:
            summary["FailureReason"] = (
                f"the objective metric {definition.metric_name} was not found: no line of the training output gives "
                "it a number by the regular expression of its metric definition"
            )
        if job.objective_status is ObjectiveStatus.SUCCEEDED:
            summary["FinalHyperParameterTuningJobObjectiveMetric"] = {
                "Type": "Maximize" if definition.maximize else "Minimize",
                "MetricName": definition.metric_name,
                "Value": job.objective,
            }
        return summary

    def _training_job(self, job: TrainingJob) -> dict[str, Any]:
        described = self._definition(job.definition)
        request = job.definition.request
        answer: dict[str, Any] = {
            **{name: value for name, value in described.items() if name not in _OF_TUNER_ONLY},
            "TrainingJobName": job.name,
            "TrainingJobArn": self.training_arn(job.name),
            "ModelArtifacts": {"S3ModelArtifacts": model_artifacts(job.name, request)},
            "TrainingJobStatus": job.status.value,
            "SecondaryStatus": job.phase.value,
            "HyperParameters": dict(job.hyperparameters),
            "CreationTime": job.created_at,
            "LastModifiedTime": job.modified_at,
            "SecondaryStatusTransitions": [
                {
                    "Status": transition.phase.value,
                    "StartTime": transition.started_at,
                    **({} if transition.ended_at is None else {"EndTime": transition.ended_at}),
                    "StatusMessage": _STATUS_MESSAGES.get(transition.phase.value, transition.phase.value),
                }
                for transition in job.transitions
            ],
            "ProfilingStatus": "Disabled",
        }
        if "InputDataConfig" in answer:
            answer["InputDataConfig"] = [_channel(channel) for channel in answer["InputDataConfig"]]
        if "ResourceConfig" not in answer:
            answer["ResourceConfig"] = _resources(request)
        if job.started_at is not None:
            seconds = max(1, self._seconds(job.started_at, job.ended_at))
            answer |= {"TrainingStartTime": job.started_at, "TrainingTimeInSeconds": seconds}
            answer["BillableTimeInSeconds"] = seconds
        if job.ended_at is not None:
            answer["TrainingEndTime"] = job.ended_at
        if job.failure_reason:
            answer["FailureReason"] = job.failure_reason
        if job.metrics and job.ended_at is not None:
            answer["FinalMetricDataList"] = [
                {"MetricName": name, "Value": value, "Timestamp": job.ended_at} for name, value in job.metrics.items()
            ]
        return answer

    def _definition(self, definition: Definition) -> dict[str, Any]:
        """Give a definition as the service describes it: with its own additions."""
        request = definition.request
        algorithm = request["AlgorithmSpecification"]
        metrics = metric_definitions(request, self._program(request))
        shown = [{"Name": metric.name, "Regex": metric.regex} for metric in metrics]
        static = dict(request.get("StaticHyperParameters", {}))
        if definition.metric_name:
            shown += [
                {"Name": OBJECTIVE_METRIC, "Regex": metric.regex}
                for metric in metrics
                if metric.name == definition.metric_name
            ]
            static["_tuning_objective_metric"] = definition.metric_name
        return {
            **_SERVER_DEFAULTS,
            **request,
            "OutputDataConfig": {"KmsKeyId": "", **request["OutputDataConfig"]},
            "StaticHyperParameters": static,
            "AlgorithmSpecification": {**algorithm, **({"MetricDefinitions": shown} if shown else {})},
        }

    def _seconds(self, start: datetime, end: datetime | None) -> int:
        return int(((end or self._clock.now()) - start).total_seconds())


def counters(facts: Iterable[tuple[str, str, str | None]]) -> dict[str, dict[str, int]]:
    """Count training jobs by their status and their objective's status; a failure's reason tells its kind."""
    known = list(facts)
    by_status = [status for status, _, _ in known]
    by_objective = [objective for _, objective, _ in known]
    failures = [reason or "" for status, _, reason in known if status == "Failed"]
    retryable = sum(reason.startswith(INTERNAL_ERROR) for reason in failures)
    return {
        "TrainingJobStatusCounters": {
            "Completed": by_status.count("Completed"),
            "InProgress": by_status.count("InProgress") + by_status.count("Stopping"),
            "RetryableError": retryable,
            "NonRetryableError": len(failures) - retryable,
            "Stopped": by_status.count("Stopped"),
        },
        "ObjectiveStatusCounters": {name: by_objective.count(name) for name in ("Succeeded", "Pending", "Failed")},
    }


def tuning_summary(description: Mapping[str, Any]) -> dict[str, Any]:
    """What ListHyperParameterTuningJobs says of a tuning job."""
    config = description["HyperParameterTuningJobConfig"]
    fields = (
        "HyperParameterTuningJobName",
        "HyperParameterTuningJobArn",
        "HyperParameterTuningJobStatus",
        "CreationTime",
        "LastModifiedTime",
        "HyperParameterTuningEndTime",
        "TrainingJobStatusCounters",
        "ObjectiveStatusCounters",
    )
    return {
        **{name: description[name] for name in fields if name in description},
        "Strategy": config["Strategy"],
        "ResourceLimits": config["ResourceLimits"],
    }


def training_summary(description: Mapping[str, Any]) -> dict[str, Any]:
    """What ListTrainingJobs says of a training job."""
    fields = (
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "LastModifiedTime",
        "TrainingEndTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    )
    return {name: description[name] for name in fields if name in description}


_STATUS_MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Downloading": "Downloading input data",
    "Training": "Training the model on this machine",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "The training job reached its longest run time and was stopped",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
}


def _channel(channel: Mapping[str, Any]) -> dict[str, Any]:
    """Give a channel with what the service fills in."""
    source = channel["DataSource"].get("S3DataSource")
    filled = {"CompressionType": "None", "RecordWrapperType": "None", **channel}
    if source is not None:
        filled["DataSource"] = {"S3DataSource": {"S3DataDistributionType": "FullyReplicated", **source}}
    return filled


def _resources(request: Mapping[str, Any]) -> dict[str, Any]:
    """Give the resources of a definition in the form that a training job has."""
    config = request.get("HyperParameterTuningResourceConfig", {})
    first = next(iter(config.get("InstanceConfigs", ())), config)
    fields = ("InstanceType", "InstanceCount")
    return {name: first[name] for name in fields if name in first} | (
        {"VolumeSizeInGB": first.get("VolumeSizeInGB", config.get("VolumeSizeInGB", 1))}
    )
