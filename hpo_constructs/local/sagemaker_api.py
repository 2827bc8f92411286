"""SageMaker's tuning and training calls, answered by the local tuning engine.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .algorithms import LocalProgram, local_program
from .engine.clock import SystemClock
from .engine.local import STOP_GRACE_SECONDS, LocalBackend, Site, metric_definitions, model_artifacts
from .engine.plan import Definition, Plan, read_plan
from .engine.processes import Processes
from .engine.searcher import Searcher
from .engine.tuner import ObjectiveStatus, TrainingJob, Tuner
from .training import OBJECTIVE_METRIC, S3

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape

_END_SECONDS = 15.0
_PAGE = 10
_SEED_BITS = 32
_OBJECTIVE_FIELDS = ("TuningObjective", "DefinitionName")
_TUNER_ONLY = ("HyperParameterRanges", "HyperParameterTuningResourceConfig", "StaticHyperParameters")


class ApiError(Exception):
    """An error that the API answers with.

    Args:
        code: the error code, e.g. ``ResourceNotFound``.
        message: what is wrong.
        status: the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


class _TuningJob:
    """A tuning job: what was asked for, and the tuner that does it."""

    def __init__(self, arn: str, request: Mapping[str, Any], tuner: Tuner, backend: LocalBackend) -> None:
        self.arn = arn
        self.request = request
        self.tuner = tuner
        self.backend = backend
        self.thread = threading.Thread(target=tuner.run, name=tuner.plan.name, daemon=True)

    @property
    def name(self) -> str:
        return self.tuner.plan.name


class SageMakerApi:
    """Answers SageMaker's tuning and training operations with real training in local processes. Thread-safe.

    Args:
        endpoint_url: the local endpoint, for S3 and logs, and for the training processes.
        region: the region in ARNs and clients.
        account_id: the account in ARNs.
        work_dir: where training jobs have their folders and logs.
        images: the image mapping, entries ``{"image": <fnmatch pattern>, "command": [...], "directory": ...}``.
        stop_grace_seconds: how long a stopping training job may take to end by itself. 120 seconds, as the service
            documents, if not given.
    """

    def __init__(
        self,
        endpoint_url: str,
        region: str,
        account_id: str,
        work_dir: Path,
        images: Sequence[Mapping[str, Any]] = (),
        *,
        stop_grace_seconds: float = STOP_GRACE_SECONDS,
    ) -> None:
        self._arn_prefix = f"arn:aws:sagemaker:{region}:{account_id}"
        self._work_dir = work_dir
        self._images = tuple(images)
        self._lock = threading.RLock()
        self._jobs: dict[str, _TuningJob] = {}
        # The training jobs of a deleted tuning job stay.
        self._deleted: list[_TuningJob] = []
        self._tags: dict[str, dict[str, str]] = {}
        self._closed = False
        self._model: ServiceModel | None = None
        self._clock = SystemClock()
        self._site = Site(
            s3=S3(endpoint_url, region),
            processes=Processes(),
            endpoint_url=endpoint_url,
            region=region,
            clock=self._clock,
            program=self._program,
            stop_grace_seconds=stop_grace_seconds,
        )

    def handle(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation of ``OPERATIONS``.

        Raises:
            ApiError: the request is refused.
        """
        self._validate(operation, body)
        return _HANDLERS[operation](self, body)

    def close(self) -> None:
        """Stop everything that runs; no process is left."""
        with self._lock:
            self._closed = True
            jobs = list(self._jobs.values())
        for job in jobs:
            job.tuner.stop()
            job.backend.close()
        self._site.processes.close()
        for job in jobs:
            job.thread.join(_END_SECONDS)

    # Tuning jobs

    def create_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """CreateHyperParameterTuningJob."""
        name = body["HyperParameterTuningJobName"]
        try:
            plan = read_plan(body)
            for definition in plan.definitions:
                self._check_trainable(definition)
        except ValueError as error:
            raise ApiError("ValidationException", str(error)) from None
        seed = secrets.randbits(_SEED_BITS) if plan.random_seed is None else plan.random_seed
        searchers = plan.searchers(seed)
        with self._lock:
            if self._closed:
                raise ApiError("ServiceUnavailable", "the local endpoint is closing", 503)
            if name in self._jobs:
                raise ApiError(
                    "ResourceInUse",
                    f"a tuning job with the name {name} already exists ({self._jobs[name].arn}); names are unique "
                    "within an account and region, choose a different name",
                )
            job = self._jobs[name] = self._make(plan, searchers, body)
            self._tags[job.arn] = {tag["Key"]: tag["Value"] for tag in body.get("Tags", ())}
        job.thread.start()
        return {"HyperParameterTuningJobArn": job.arn}

    def describe_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        job = self._tuning_job(body)
        tuner = job.tuner
        answer: dict[str, Any] = {
            "HyperParameterTuningJobConfig": job.request["HyperParameterTuningJobConfig"],
        }
        described = [self._described(definition) for definition in tuner.plan.definitions]
        if "TrainingJobDefinition" in job.request:
            answer["TrainingJobDefinition"] = described[0]
        else:
            answer["TrainingJobDefinitions"] = described
        with tuner.lock:
            answer |= self._tuning_facts(job)
            if tuner.best is not None:
                answer["BestTrainingJob"] = self._job_summary(tuner, tuner.best)
            if tuner.failure_reason:
                answer["FailureReason"] = tuner.failure_reason
            answer["TuningJobCompletionDetails"] = {"NumberOfTrainingJobsObjectiveNotImproving": tuner.not_improving}
            answer["ConsumedResources"] = {"RuntimeInSeconds": self._seconds(tuner.created_at, tuner.ended_at)}
        return answer

    def list_tuning_jobs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListHyperParameterTuningJobs."""
        with self._lock:
            jobs = list(self._jobs.values())
        summaries = []
        for job in jobs:
            config = job.request["HyperParameterTuningJobConfig"]
            with job.tuner.lock:
                summaries.append(
                    self._tuning_facts(job)
                    | {"Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}
                )
        chosen = _filter(summaries, body, name="HyperParameterTuningJobName", status="HyperParameterTuningJobStatus")
        fields = {
            "Name": "HyperParameterTuningJobName",
            "Status": "HyperParameterTuningJobStatus",
            "CreationTime": "CreationTime",
        }
        ordered = _sort(chosen, body, fields, default="Name")
        return _page("HyperParameterTuningJobSummaries", ordered, body)

    def list_jobs_of_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobsForHyperParameterTuningJob."""
        tuner = self._tuning_job(body).tuner
        with tuner.lock:
            summaries = [self._job_summary(tuner, job) for job in tuner.jobs.values()]
        chosen = _filter(summaries, body, name="TrainingJobName", status="TrainingJobStatus")
        if body.get("SortBy") == "FinalObjectiveMetricValue":
            chosen = [one for one in chosen if "FinalHyperParameterTuningJobObjectiveMetric" in one]
            chosen.sort(
                key=lambda one: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
                reverse=body.get("SortOrder") == "Descending",
            )
        else:
            fields = {"Name": "TrainingJobName", "Status": "TrainingJobStatus", "CreationTime": "CreationTime"}
            chosen = _sort(chosen, body, fields, default="Name")
        return _page("TrainingJobSummaries", chosen, body)

    def stop_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """StopHyperParameterTuningJob."""
        tuner = self._tuning_job(body).tuner
        with tuner.lock:
            if tuner.ended_at is not None:
                raise ApiError(
                    "ValidationException",
                    "The request was rejected because the hyperparameter tuning job is in status "
                    f"{tuner.status.value}.",
                )
            tuner.stop()
        return {}

    def delete_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteHyperParameterTuningJob. A tuning job that is not there is no error; its training jobs stay."""
        name = body["HyperParameterTuningJobName"]
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return {}
            if not job.tuner.finished.is_set():
                raise ApiError(
                    "ValidationException",
                    f"tuning job {name} must have ended before it is deleted, its status is "
                    f"{job.tuner.status.value}; stop it first",
                )
            self._deleted.append(self._jobs.pop(name))
            self._tags.pop(job.arn, None)
        return {}

    # Training jobs

    def describe_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        owner, job = self._training_job(body["TrainingJobName"])
        definition = job.definition
        request = definition.request
        with owner.tuner.lock:
            answer = {
                **{
                    name: value
                    for name, value in self._described(definition).items()
                    if name not in (*_OBJECTIVE_FIELDS, *_TUNER_ONLY)
                },
                "TrainingJobName": job.name,
                "TrainingJobArn": self._training_arn(job),
                "TuningJobArn": owner.arn,
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
                    }
                    for transition in job.transitions
                ],
                "ProfilingStatus": "Disabled",
            }
            if "ResourceConfig" not in answer:
                answer["ResourceConfig"] = _resources(request)
            if job.started_at is not None:
                answer["TrainingStartTime"] = job.started_at
                seconds = self._seconds(job.started_at, job.ended_at)
                answer |= {"TrainingTimeInSeconds": max(1, seconds), "BillableTimeInSeconds": max(1, seconds)}
            if job.ended_at is not None:
                answer["TrainingEndTime"] = job.ended_at
            if job.failure_reason:
                answer["FailureReason"] = job.failure_reason
            if job.metrics and job.ended_at is not None:
                answer["FinalMetricDataList"] = [
                    {"MetricName": name, "Value": value, "Timestamp": job.ended_at}
                    for name, value in job.metrics.items()
                ]
        return answer

    def list_training_jobs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs: those of all tuning jobs, deleted ones included."""
        summaries = []
        for owner in self._owners():
            with owner.tuner.lock:
                for job in owner.tuner.jobs.values():
                    summaries.append(
                        {
                            "TrainingJobName": job.name,
                            "TrainingJobArn": self._training_arn(job),
                            "CreationTime": job.created_at,
                            "LastModifiedTime": job.modified_at,
                            "TrainingJobStatus": job.status.value,
                            "SecondaryStatus": job.phase.value,
                            **({} if job.ended_at is None else {"TrainingEndTime": job.ended_at}),
                        }
                    )
        chosen = _filter(summaries, body, name="TrainingJobName", status="TrainingJobStatus")
        fields = {"Name": "TrainingJobName", "Status": "TrainingJobStatus", "CreationTime": "CreationTime"}
        return _page("TrainingJobSummaries", _sort(chosen, body, fields, default="CreationTime"), body)

    def stop_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """StopTrainingJob."""
        owner, job = self._training_job(body["TrainingJobName"])
        with owner.tuner.lock:
            if job.ended:
                raise ApiError(
                    "ValidationException",
                    f"The request was rejected because the training job is in status {job.status.value}.",
                )
            owner.tuner.stop_training_job(job.name)
        return {}

    # Tags

    def add_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags."""
        with self._lock:
            tags = self._tags_of(body["ResourceArn"])
            tags |= {tag["Key"]: tag["Value"] for tag in body["Tags"]}
            return {"Tags": _tag_list(tags)}

    def list_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTags."""
        with self._lock:
            tags = _tag_list(self._tags_of(body["ResourceArn"]))
        return _page("Tags", tags, {"MaxResults": 50, **body})

    def delete_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        with self._lock:
            tags = self._tags_of(body["ResourceArn"])
            for key in body["TagKeys"]:
                tags.pop(key, None)
        return {}

    # Parts of answers

    def _tuning_facts(self, job: _TuningJob) -> dict[str, Any]:
        tuner = job.tuner
        statuses = [one.status.value for one in tuner.jobs.values()]
        objectives = [one.objective_status for one in tuner.jobs.values()]
        facts: dict[str, Any] = {
            "HyperParameterTuningJobName": job.name,
            "HyperParameterTuningJobArn": job.arn,
            "HyperParameterTuningJobStatus": tuner.status.value,
            "CreationTime": tuner.created_at,
            "LastModifiedTime": tuner.modified_at,
            "TrainingJobStatusCounters": {
                "Completed": statuses.count("Completed"),
                "InProgress": statuses.count("InProgress") + statuses.count("Stopping"),
                "RetryableError": 0,
                "NonRetryableError": statuses.count("Failed"),
                "Stopped": statuses.count("Stopped"),
            },
            "ObjectiveStatusCounters": {
                "Succeeded": objectives.count(ObjectiveStatus.SUCCEEDED),
                "Pending": objectives.count(ObjectiveStatus.PENDING),
                "Failed": objectives.count(ObjectiveStatus.FAILED),
            },
        }
        if tuner.ended_at is not None:
            facts["HyperParameterTuningEndTime"] = tuner.ended_at
        return facts

    def _job_summary(self, tuner: Tuner, job: TrainingJob) -> dict[str, Any]:
        definition = job.definition
        summary: dict[str, Any] = {
            "TrainingJobName": job.name,
            "TrainingJobArn": self._training_arn(job),
            "TuningJobName": tuner.plan.name,
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

    def _described(self, definition: Definition) -> dict[str, Any]:
        """Give a definition as the service describes it: with its own additions."""
        request = definition.request
        algorithm = request["AlgorithmSpecification"]
        metrics = metric_definitions(request, self._program(algorithm["TrainingImage"]))
        objective = [
            {"Name": OBJECTIVE_METRIC, "Regex": metric.regex}
            for metric in metrics
            if metric.name == definition.metric_name
        ]
        return {
            "EnableNetworkIsolation": False,
            "EnableInterContainerTrafficEncryption": False,
            "EnableManagedSpotTraining": False,
            **request,
            "StaticHyperParameters": {
                **request.get("StaticHyperParameters", {}),
                "_tuning_objective_metric": definition.metric_name,
            },
            "AlgorithmSpecification": {
                **algorithm,
                "MetricDefinitions": [
                    *({"Name": metric.name, "Regex": metric.regex} for metric in metrics),
                    *objective,
                ],
            },
        }

    def _training_arn(self, job: TrainingJob) -> str:
        return f"{self._arn_prefix}:training-job/{job.name}"

    def _seconds(self, start: datetime, end: datetime | None) -> int:
        return int(((end or self._clock.now()) - start).total_seconds())

    # Finding and making

    def _make(self, plan: Plan, searchers: Sequence[Searcher], body: Mapping[str, Any]) -> _TuningJob:
        # A name may come back after a deletion; its folder must not.
        folder = self._work_dir / f"{plan.name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        modules = {self._program(_image(definition)).module for definition in plan.definitions}
        for module in sorted(module for module in modules if module is not None):
            self._site.processes.preload(module)
        backend = LocalBackend(self._site, folder=folder, parallel=plan.max_parallel_training_jobs)
        tuner = Tuner(plan, searchers=searchers, backend=backend, clock=self._clock)
        arn = f"{self._arn_prefix}:hyper-parameter-tuning-job/{plan.name}"
        return _TuningJob(arn, body, tuner, backend)

    def _tuning_job(self, body: Mapping[str, Any]) -> _TuningJob:
        name = body["HyperParameterTuningJobName"]
        with self._lock:
            if (job := self._jobs.get(name)) is None:
                raise ApiError("ResourceNotFound", f"there is no hyperparameter tuning job {name}")
            return job

    def _owners(self) -> list[_TuningJob]:
        with self._lock:
            return [*self._jobs.values(), *self._deleted]

    def _training_job(self, name: str) -> tuple[_TuningJob, TrainingJob]:
        for owner in self._owners():
            with owner.tuner.lock:
                if (job := owner.tuner.jobs.get(name)) is not None:
                    return owner, job
        raise ApiError("ResourceNotFound", f"there is no training job {name}")

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn in self._tags:
            return self._tags[arn]
        prefix = f"{self._arn_prefix}:training-job/"
        if not arn.startswith(prefix):
            raise ApiError("ResourceNotFound", f"there is no tuning or training job {arn}")
        owner, _ = self._training_job(arn.removeprefix(prefix))
        # A training job has the tags of its tuning job from its start.
        self._tags[arn] = {tag["Key"]: tag["Value"] for tag in owner.request.get("Tags", ())}
        return self._tags[arn]

    def _program(self, image: str) -> LocalProgram:
        return local_program(image, self._images)

    def _check_trainable(self, definition: Definition) -> None:
        """Refuse what the local endpoint cannot train.

        Raises:
            ValueError: with the reason.
        """
        request = definition.request
        label = definition.name or "TrainingJobDefinition"
        algorithm = request["AlgorithmSpecification"]
        if "TrainingImage" not in algorithm:
            raise ValueError(
                f"AlgorithmSpecification.TrainingImage of {label} must be given on the local endpoint, which cannot "
                "run algorithm resources (AlgorithmName)"
            )
        try:
            program = self._program(algorithm["TrainingImage"])
        except LookupError as error:
            raise ValueError(str(error.args[0])) from None
        metrics = metric_definitions(request, program)
        for metric in metrics:
            try:
                re.compile(metric.regex)
            except re.error as error:
                raise ValueError(
                    f"MetricDefinitions of {label}: the Regex of {metric.name!r} must be a regular expression, got "
                    f"{metric.regex!r}: {error}"
                ) from None
        names = [metric.name for metric in metrics]
        if definition.metric_name not in names:
            raise ValueError(
                f"the objective metric {definition.metric_name!r} of {label} must be one of its metrics, which are "
                f"{', '.join(names) or 'none'}; define it in AlgorithmSpecification.MetricDefinitions"
            )
        for channel in request.get("InputDataConfig", ()):
            mode = channel.get("InputMode", algorithm["TrainingInputMode"])
            source = channel["DataSource"].get("S3DataSource")
            if source is None or source["S3DataType"] not in ("S3Prefix", "ManifestFile") or mode == "Pipe":
                raise ValueError(
                    f"channel {channel['ChannelName']!r} of {label} must be read from S3 by S3Prefix or ManifestFile "
                    "in File or FastFile mode on the local endpoint"
                )

    # Validation

    def _validate(self, operation: str, body: Mapping[str, Any]) -> None:
        from botocore.validate import ParamValidator

        shape = self._service_model().operation_model(operation).input_shape
        if shape is None:
            return
        report = ParamValidator().validate(body, shape)
        if report.has_errors():
            raise ApiError("ValidationException", f"{operation}: {report.generate_report()}")
        if violations := list(_violations(body, shape, "")):
            raise ApiError(
                "ValidationException",
                f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
                + "; ".join(violations),
            )

    def _service_model(self) -> ServiceModel:
        with self._lock:
            if self._model is None:
                import botocore.session

                self._model = botocore.session.get_session().get_service_model("sagemaker")
            return self._model


_HANDLERS: dict[str, Callable[[SageMakerApi, Mapping[str, Any]], dict[str, Any]]] = {
    "CreateHyperParameterTuningJob": SageMakerApi.create_tuning_job,
    "DescribeHyperParameterTuningJob": SageMakerApi.describe_tuning_job,
    "ListHyperParameterTuningJobs": SageMakerApi.list_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": SageMakerApi.list_jobs_of_tuning_job,
    "StopHyperParameterTuningJob": SageMakerApi.stop_tuning_job,
    "DeleteHyperParameterTuningJob": SageMakerApi.delete_tuning_job,
    "DescribeTrainingJob": SageMakerApi.describe_training_job,
    "ListTrainingJobs": SageMakerApi.list_training_jobs,
    "StopTrainingJob": SageMakerApi.stop_training_job,
    "AddTags": SageMakerApi.add_tags,
    "ListTags": SageMakerApi.list_tags,
    "DeleteTags": SageMakerApi.delete_tags,
}

OPERATIONS: frozenset[str] = frozenset(_HANDLERS)
"""The operations that ``SageMakerApi.handle`` answers."""


def _image(definition: Definition) -> str:
    image: str = definition.request["AlgorithmSpecification"]["TrainingImage"]
    return image


def _resources(request: Mapping[str, Any]) -> dict[str, Any]:
    """Give the resources of a definition in the form that a training job has."""
    config = request.get("HyperParameterTuningResourceConfig", {})
    first = next(iter(config.get("InstanceConfigs", ())), config)
    fields = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
    return {name: first[name] for name in fields if name in first}


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def _filter(
    summaries: Iterable[dict[str, Any]], body: Mapping[str, Any], *, name: str, status: str
) -> list[dict[str, Any]]:
    def chosen(one: Mapping[str, Any]) -> bool:
        return (
            body.get("NameContains", "") in one[name]
            and body.get("StatusEquals", one[status]) == one[status]
            and all(
                one[time] > _moment(body[f"{time}After"])
                for time in ("CreationTime", "LastModifiedTime")
                if f"{time}After" in body
            )
            and all(
                one[time] < _moment(body[f"{time}Before"])
                for time in ("CreationTime", "LastModifiedTime")
                if f"{time}Before" in body
            )
        )

    return [one for one in summaries if chosen(one)]


def _moment(value: Any) -> datetime:
    from botocore.utils import parse_timestamp

    moment: datetime = value if isinstance(value, datetime) else parse_timestamp(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _sort(
    summaries: list[dict[str, Any]], body: Mapping[str, Any], fields: Mapping[str, str], *, default: str
) -> list[dict[str, Any]]:
    field = fields[body.get("SortBy", default)]
    return sorted(summaries, key=lambda one: one[field], reverse=body.get("SortOrder") == "Descending")


def _page(member: str, items: Sequence[Any], body: Mapping[str, Any]) -> dict[str, Any]:
    size = body.get("MaxResults", _PAGE)
    start = 0
    if token := body.get("NextToken"):
        try:
            start = int(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError):
            raise ApiError(
                "ValidationException", f"NextToken must be one that this operation gave, got {token!r}"
            ) from None
    answer: dict[str, Any] = {member: list(items[start : start + size])}
    if start + size < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _violations(value: Any, shape: Shape, path: str) -> Iterable[str]:
    """Tell what the service's model forbids and botocore's own validator lets through."""
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from _violations(value[name], member, f"{path}.{name}".lstrip("."))
        case "list":
            yield from _size_violations(len(value), shape, path, "length")
            for index, item in enumerate(value):
                yield from _violations(item, shape.member, f"{path}[{index}]")
        case "map":
            yield from _size_violations(len(value), shape, path, "size")
            for key, item in value.items():
                yield from _violations(key, shape.key, f"{path} (key {key!r})")
                yield from _violations(item, shape.value, f"{path}.{key}")
        case "string":
            yield from _size_violations(len(value), shape, path, "length")
            allowed = shape.metadata.get("enum")
            if allowed and value not in allowed:
                known = ", ".join(allowed[:12]) + (", ..." if len(allowed) > 12 else "")
                yield f"value {value!r} at {path!r} must be one of {known}"
            pattern = shape.metadata.get("pattern")
            if pattern and not _matches(pattern, value):
                yield f"value {value!r} at {path!r} must match the pattern {pattern}"
        case "integer" | "long" | "float" | "double":
            yield from _size_violations(value, shape, path, "value")


def _size_violations(size: float, shape: Shape, path: str, what: str) -> Iterable[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{what} {size} at {path!r} must be >= {low}"
    if high is not None and size > high:
        yield f"{what} {size} at {path!r} must be <= {high}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # One of Java's own character classes.
        return True
