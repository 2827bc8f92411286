"""SageMaker's tuning and training calls, answered by the local tuning engine.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Operations_Amazon_SageMaker_Service.html
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .algorithms import LocalProgram, local_program
from .containers import ContainerError
from .describing import Describer, TrainingRecord, training_summary, tuning_summary
from .engine.autotune import autotuned
from .engine.clock import SystemClock
from .engine.local import STOP_GRACE_SECONDS, Cores, LocalBackend, Site, metric_definitions
from .engine.plan import Definition, Plan, read_plan
from .engine.processes import Processes
from .engine.searcher import Searcher
from .engine.tuner import Tuner
from .engine.warm_start import Parent, check_parents, experience, read_parent
from .errors import ApiError
from .jobs import (
    KeptTrainingJob,
    KeptTuningJob,
    LiveTrainingJob,
    LiveTuningJob,
    SingleTrainingJob,
    TuningJob,
    single_definition,
)
from .limits import check_limits, check_training_job_limits
from .listing import chosen, ordered, page
from .request_shapes import RequestShapes
from .search import RESOURCES, search
from .training import S3, list_in_process

if TYPE_CHECKING:
    from ..quotas import Quotas
    from .state import State

__all__ = ["OPERATIONS", "ApiError", "SageMakerApi"]

_END_SECONDS = 15.0
_SEED_BITS = 32
_TAGS_PAGE = 50
_TRAINING_NAMES = {"Name": "TrainingJobName", "Status": "TrainingJobStatus", "CreationTime": "CreationTime"}
_TUNING_NAMES = {
    "Name": "HyperParameterTuningJobName",
    "Status": "HyperParameterTuningJobStatus",
    "CreationTime": "CreationTime",
}
_TAG_OPERATIONS = ("AddTags", "ListTags", "DeleteTags")


class SageMakerApi:
    """Answers SageMaker's tuning and training operations with real training in local processes. Thread-safe.

    Args:
        endpoint_url: the local endpoint, for S3 and logs, and for the training processes.
        region: the region in ARNs and clients.
        account_id: the account in ARNs.
        work_dir: where training jobs have their folders and logs.
        images: the image mapping, entries as ``algorithms.local_program`` takes them.
        stop_grace_seconds: how long a stopping training job may take to end by itself. 120 seconds, as the service
            documents, if not given.
        quotas: the account's quotas; a request beyond one is refused as the service refuses it. None are in force if
            not given.
        state: where jobs and tags are kept beyond the endpoint's end, and come back from. Nowhere if not given.
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
        quotas: Quotas | None = None,
        state: State | None = None,
    ) -> None:
        self._work_dir = work_dir
        self._images = tuple(images)
        self._quotas = quotas
        self._state = state
        self._lock = threading.RLock()
        self._jobs: dict[str, TuningJob] = {}
        # The training jobs of a deleted tuning job stay.
        self._deleted: list[TuningJob] = []
        self._single: dict[str, SingleTrainingJob] = {}
        self._tags: dict[str, dict[str, str]] = {}
        self._deleted_training_jobs: set[str] = set()
        self._closed = False
        self._shapes = RequestShapes()
        self._clock = SystemClock()
        self._arn_prefix = f"arn:aws:sagemaker:{region}:{account_id}"
        self._describer = Describer(self._arn_prefix, self._program_of, self._clock)
        self._site = Site(
            s3=S3(endpoint_url, region, listing=list_in_process(account_id)),
            processes=Processes(),
            endpoint_url=endpoint_url,
            region=region,
            clock=self._clock,
            program=self._program,
            stop_grace_seconds=stop_grace_seconds,
            account_id=account_id,
            cores=Cores(),
        )
        if state is not None:
            self._take_over(state)

    def answers(self, operation: str, body: Mapping[str, Any]) -> bool:
        """Tell whether a request is for this API; other resources' requests of the same operation are not."""
        if operation in _TAG_OPERATIONS:
            return _kind(body.get("ResourceArn")) in ("hyper-parameter-tuning-job", "training-job")
        if operation == "Search":
            return body.get("Resource") in RESOURCES
        return operation in OPERATIONS

    def handle(self, operation: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation of ``OPERATIONS``.

        Raises:
            ApiError: the request is refused.
        """
        self._shapes.check(operation, body)
        return _HANDLERS[operation](self, body)

    def close(self) -> None:
        """Stop everything that runs; no process is left."""
        with self._lock:
            self._closed = True
            running: list[TuningJob | SingleTrainingJob] = [*self._jobs.values(), *self._single.values()]
        for job in running:
            job.close()
        self._site.processes.close()
        for job in running:
            job.join(_END_SECONDS)

    # Tuning jobs

    def create_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """CreateHyperParameterTuningJob."""
        name = body["HyperParameterTuningJobName"]
        try:
            plan = read_plan(body)
            for definition in plan.definitions:
                self._check_trainable(definition, definition.name or "TrainingJobDefinition")
        except ValueError as error:
            raise ApiError("ValidationException", str(error)) from None
        _check_rules(body)
        parents = self._parents(plan)
        seed = secrets.randbits(_SEED_BITS) if plan.random_seed is None else plan.random_seed
        searchers = plan.searchers(seed, experience(plan, parents))
        arn = self._describer.tuning_arn(name)
        with self._lock:
            self._refuse_when_closed()
            # Names are unique without regard to case.
            if name.lower() in map(str.lower, self._jobs):
                raise ApiError(
                    "ResourceInUse",
                    f"a tuning job with the name {name} already exists ({arn}); names are unique within an account and "
                    "region, choose a different name",
                )
            if self._quotas is not None:
                check_limits(body, self._running_requests(), self._quotas, training_jobs=self._running_training_jobs())
            job = self._make(plan, searchers, autotuned(body), parents)
            self._jobs[name] = job
            self._set_tags(arn, {tag["Key"]: tag["Value"] for tag in body.get("Tags", ())})
        job.start()
        return {"HyperParameterTuningJobArn": arn}

    def describe_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeHyperParameterTuningJob."""
        return self._tuning_job(body).description()

    def list_tuning_jobs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListHyperParameterTuningJobs."""
        with self._lock:
            jobs = list(self._jobs.values())
        summaries = [tuning_summary(job.description()) for job in jobs]
        found = chosen(summaries, body, name="HyperParameterTuningJobName", status="HyperParameterTuningJobStatus")
        return page("HyperParameterTuningJobSummaries", ordered(found, body, _TUNING_NAMES, by="Name"), body)

    def list_jobs_of_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobsForHyperParameterTuningJob."""
        summaries = [record.summary for record in self._tuning_job(body).training_jobs() if record.summary is not None]
        found = chosen(
            [one for one in summaries if one["TrainingJobName"] not in self._deleted_training_jobs],
            body,
            name="TrainingJobName",
            status="TrainingJobStatus",
        )
        if body.get("SortBy") == "FinalObjectiveMetricValue":
            # Training jobs without a value are left out, as the service documents.
            found = [one for one in found if "FinalHyperParameterTuningJobObjectiveMetric" in one]
            found.sort(
                key=lambda one: one["FinalHyperParameterTuningJobObjectiveMetric"]["Value"],
                reverse=body.get("SortOrder") == "Descending",
            )
        else:
            found = ordered(found, body, _TRAINING_NAMES, by="Name")
        return page("TrainingJobSummaries", found, body)

    def stop_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """StopHyperParameterTuningJob."""
        job = self._tuning_job(body)
        if not job.stop():
            status = job.description()["HyperParameterTuningJobStatus"]
            raise ApiError(
                "ValidationException",
                f"The request was rejected because the hyperparameter tuning job is in status {status}.",
            )
        return {}

    def delete_tuning_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteHyperParameterTuningJob. A tuning job that is not there is no error; its training jobs stay."""
        name = body["HyperParameterTuningJobName"]
        with self._lock:
            job = self._jobs.get(name)
            if job is None:
                return {}
            if not job.ended:
                status = job.description()["HyperParameterTuningJobStatus"]
                raise ApiError(
                    "ValidationException",
                    f"tuning job {name} must have ended before it is deleted, its status is {status}; stop it first",
                )
            job.join(_END_SECONDS)
            # What a training job has of its tuning job's tags it keeps.
            for record in job.training_jobs():
                self._tags_of(record.description["TrainingJobArn"])
            self._deleted.append(self._jobs.pop(name))
            self._set_tags(self._describer.tuning_arn(name), None)
            if self._state is not None:
                self._state.delete_tuning_job(self._describer.tuning_arn(name))
        return {}

    # Training jobs

    def create_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """CreateTrainingJob."""
        name = body["TrainingJobName"]
        for field in ("AlgorithmSpecification", "StoppingCondition"):
            if field not in body:
                raise ApiError("ValidationException", f"{field} must be given on the local endpoint, got none")
        definition = single_definition(body)
        try:
            self._check_trainable(definition, "the training job")
        except ValueError as error:
            raise ApiError("ValidationException", str(error)) from None
        with self._lock:
            self._refuse_when_closed()
            if self._find_training_job(name) is not None:
                raise ApiError(
                    "ResourceInUse",
                    f"Job name must be unique within an AWS account and region, and a job with this name already "
                    f"exists ({self._describer.training_arn(name)})",
                )
            if self._quotas is not None:
                check_training_job_limits(
                    body, self._running_requests(), self._quotas, training_jobs=self._running_training_jobs()
                )
            folder = self._folder(name)
            self._preload([definition])
            job = LiveTrainingJob(
                body,
                lambda: LocalBackend(self._site, folder=folder, parallel=1),
                self._clock,
                self._describer,
                self._state,
            )
            self._single[name] = job
            arn = self._describer.training_arn(name)
            self._set_tags(arn, {tag["Key"]: tag["Value"] for tag in body.get("Tags", ())})
        job.start()
        return {"TrainingJobArn": arn}

    def describe_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeTrainingJob."""
        return self._training_job(body["TrainingJobName"]).description

    def list_training_jobs(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTrainingJobs: those of all tuning jobs, deleted ones included, and those of none."""
        summaries = [training_summary(record.description) for record in self._all_training_jobs()]
        found = chosen(summaries, body, name="TrainingJobName", status="TrainingJobStatus")
        if "WarmPoolStatusEquals" in body or "TrainingPlanArnEquals" in body:
            found = []  # Nothing here has a warm pool or a training plan.
        return page("TrainingJobSummaries", ordered(found, body, _TRAINING_NAMES, by="CreationTime"), body)

    def stop_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """StopTrainingJob."""
        name = body["TrainingJobName"]
        record = self._training_job(name)
        with self._lock:
            single = self._single.get(name)
        owner = None if single is not None else self._owner_of(name)
        stopped = single.stop() if single is not None else owner is not None and owner.stop_training_job(name)
        if not stopped:
            raise ApiError(
                "ValidationException",
                "The request was rejected because the training job is in status "
                f"{record.description['TrainingJobStatus']}.",
            )
        return {}

    def delete_training_job(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTrainingJob."""
        name = body["TrainingJobName"]
        record = self._training_job(name)
        if not record.ended:
            raise ApiError(
                "ResourceInUse",
                f"training job {name} must have ended before it is deleted, its status is "
                f"{record.description['TrainingJobStatus']}; stop it first",
            )
        with self._lock:
            if self._single.pop(name, None) is None:
                self._deleted_training_jobs.add(name)
            self._set_tags(self._describer.training_arn(name), None)
            if self._state is not None:
                self._state.delete_training_job(name)
        return {}

    def search(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Search, over training jobs or tuning jobs."""
        if body["Resource"] == "TrainingJob":
            found = [record.description for record in self._all_training_jobs()]
            hidden: tuple[str, ...] = ("ProfilingStatus",)
        else:
            with self._lock:
                found = [job.description() for job in self._jobs.values()]
            hidden = ("Autotune",)
        arns = {"TrainingJob": "TrainingJobArn", "HyperParameterTuningJob": "HyperParameterTuningJobArn"}
        with self._lock:
            documents = [
                {name: value for name, value in one.items() if name not in hidden}
                | {"Tags": _tag_list(self._tags_of(one[arns[body["Resource"]]]))}
                for one in found
            ]
        return search(documents, body)

    # Tags

    def add_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """AddTags."""
        with self._lock:
            arn = body["ResourceArn"]
            tags = {**self._tags_of(arn), **{tag["Key"]: tag["Value"] for tag in body["Tags"]}}
            if len(tags) > _TAGS_PAGE:
                raise ApiError("ResourceLimitExceeded", f"a resource has at most {_TAGS_PAGE} tags, got {len(tags)}")
            self._set_tags(arn, tags)
            return {"Tags": _tag_list(tags)}

    def list_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """ListTags."""
        with self._lock:
            tags = _tag_list(self._tags_of(body["ResourceArn"]))
        return page("Tags", tags, body, size=_TAGS_PAGE)

    def delete_tags(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """DeleteTags."""
        with self._lock:
            arn = body["ResourceArn"]
            self._set_tags(arn, {key: value for key, value in self._tags_of(arn).items() if key not in body["TagKeys"]})
        return {}

    # Finding and making

    def _take_over(self, state: State) -> None:
        """Have what an earlier run of the endpoint has left."""
        kept = state.load(self._clock.now())
        for tuning_job in kept.tuning_jobs:
            job = KeptTuningJob(tuning_job.request, tuning_job.description, tuning_job.training_jobs)
            if tuning_job.deleted:
                self._deleted.append(job)
            else:
                self._jobs[tuning_job.description["HyperParameterTuningJobName"]] = job
        self._single |= {record.name: KeptTrainingJob(record) for record in kept.training_jobs}
        for record in self._all_training_jobs():
            # Of its metrics the final values are on record.
            final = record.description.get("FinalMetricDataList", ())
            for metric in final:
                self._site.telemetry.put_metrics(
                    record.name, {metric["MetricName"]: metric["Value"]}, metric["Timestamp"]
                )
        self._tags = {arn: dict(tags) for arn, tags in kept.tags.items()}

    def _parents(self, plan: Plan) -> list[Parent]:
        """Read a warm start's parents.

        Raises:
            ApiError: one is not there, or may not be a parent of this tuning job.
        """
        names = () if plan.warm_start is None else plan.warm_start.parents
        jobs = [self._tuning_job({"HyperParameterTuningJobName": name}) for name in names]
        parents = [
            read_parent(job.description(), ((one.description, one.summary or {}) for one in job.training_jobs()))
            for job in jobs
        ]
        try:
            check_parents(plan, parents)
        except ValueError as error:
            raise ApiError("ValidationException", str(error)) from None
        return parents

    def _make(
        self, plan: Plan, searchers: Sequence[Searcher], body: Mapping[str, Any], parents: Sequence[Parent]
    ) -> LiveTuningJob:
        folder = self._folder(plan.name)
        self._preload(plan.definitions)

        def make_tuner(before_wait: Callable[[], None]) -> tuple[Tuner, LocalBackend]:
            backend = LocalBackend(
                self._site, folder=folder, parallel=plan.max_parallel_training_jobs, before_wait=before_wait
            )
            return Tuner(plan, searchers=searchers, backend=backend, clock=self._clock), backend

        return LiveTuningJob(body, make_tuner, self._describer, self._state, parents)

    def _folder(self, name: str) -> Path:
        # A name may come back after a deletion; its folder must not.
        folder = self._work_dir / f"{name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        return folder

    def _preload(self, definitions: Sequence[Definition]) -> None:
        modules = {self._program_of(definition.request).module for definition in definitions}
        for module in sorted(module for module in modules if module is not None):
            self._site.processes.preload(module)

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise ApiError("ServiceUnavailable", "the local endpoint is closing", 503)

    def _tuning_job(self, body: Mapping[str, Any]) -> TuningJob:
        name = body["HyperParameterTuningJobName"]
        with self._lock:
            if (job := self._jobs.get(name)) is None:
                raise ApiError("ResourceNotFound", f"there is no hyperparameter tuning job {name}")
            return job

    def _owners(self) -> list[TuningJob]:
        with self._lock:
            return [*self._jobs.values(), *self._deleted]

    def _owner_of(self, name: str) -> TuningJob | None:
        return next((owner for owner in self._owners() if owner.training_job(name) is not None), None)

    def _find_training_job(self, name: str) -> TrainingRecord | None:
        with self._lock:
            if (single := self._single.get(name)) is not None:
                return single.record()
            if name in self._deleted_training_jobs:
                return None
        owner = self._owner_of(name)
        return None if owner is None else owner.training_job(name)

    def _training_job(self, name: str) -> TrainingRecord:
        if (record := self._find_training_job(name)) is None:
            raise ApiError("ResourceNotFound", f"there is no training job {name}")
        return record

    def _all_training_jobs(self) -> list[TrainingRecord]:
        with self._lock:
            single = list(self._single.values())
        records = [record for owner in self._owners() for record in owner.training_jobs()]
        records += [job.record() for job in single]
        return [record for record in records if record.name not in self._deleted_training_jobs]

    def _running_requests(self) -> list[Mapping[str, Any]]:
        return [job.request for job in self._jobs.values() if not job.ended]

    def _running_training_jobs(self) -> list[dict[str, Any]]:
        records = [job.record() for job in self._single.values()]
        return [record.description for record in records if not record.ended]

    def _tags_of(self, arn: str) -> dict[str, str]:
        if arn in self._tags:
            return self._tags[arn]
        training_jobs = self._describer.training_arn("")
        if not arn.startswith(training_jobs):
            raise ApiError("ResourceNotFound", f"there is no tuning or training job {arn}")
        name = arn.removeprefix(training_jobs)
        self._training_job(name)
        owner = self._owner_of(name)
        # A training job has the tags of its tuning job from its start.
        self._set_tags(arn, {tag["Key"]: tag["Value"] for tag in owner.request.get("Tags", ())} if owner else {})
        return self._tags[arn]

    def _set_tags(self, arn: str, tags: dict[str, str] | None) -> None:
        if tags is None:
            self._tags.pop(arn, None)
        else:
            self._tags[arn] = tags
        if self._state is not None:
            self._state.save_tags(arn, tags)

    def _program(self, image: str, hyperparameters: Mapping[str, str]) -> LocalProgram:
        return local_program(image, self._images, hyperparameters)

    def _program_of(self, definition: Mapping[str, Any]) -> LocalProgram:
        image = definition["AlgorithmSpecification"]["TrainingImage"]
        return self._program(image, definition.get("StaticHyperParameters", {}))

    def _check_trainable(self, definition: Definition, label: str) -> None:
        """Refuse what the local endpoint cannot train.

        Raises:
            ValueError: with the reason.
        """
        request = definition.request
        algorithm = request["AlgorithmSpecification"]
        if "TrainingImage" not in algorithm:
            raise ValueError(
                f"AlgorithmSpecification.TrainingImage of {label} must be given on the local endpoint, which cannot "
                "run algorithm resources (AlgorithmName)"
            )
        try:
            program = self._program_of(request)
            if program.container is not None:
                self._site.engines.image(program.container, algorithm["TrainingImage"])
        except LookupError as error:
            raise ValueError(str(error.args[0])) from None
        except ContainerError as error:
            raise ValueError(f"the training image of {label} cannot run: {error}") from None
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
        if definition.metric_name and definition.metric_name not in names:
            raise ValueError(
                f"the objective metric {definition.metric_name!r} of {label} must be one of its metrics, which are "
                f"{', '.join(names) or 'none'}; define it in AlgorithmSpecification.MetricDefinitions"
            )
        for channel in request.get("InputDataConfig", ()):
            mode = channel.get("InputMode", algorithm["TrainingInputMode"])
            source = channel["DataSource"].get("S3DataSource")
            if source is None:
                raise ValueError(
                    f"channel {channel['ChannelName']!r} of {label} must be read from S3 on the local endpoint"
                )
            if source["S3DataType"] == "AugmentedManifestFile" and mode != "Pipe":
                raise ValueError(
                    f"channel {channel['ChannelName']!r} of {label} must have the InputMode Pipe for an "
                    f"AugmentedManifestFile, got {mode}"
                )
            if source["S3DataType"] not in ("S3Prefix", "ManifestFile", "AugmentedManifestFile"):
                raise ValueError(
                    f"the S3DataType of channel {channel['ChannelName']!r} of {label} must be S3Prefix, ManifestFile "
                    f"or AugmentedManifestFile on the local endpoint, got {source['S3DataType']}"
                )


_HANDLERS: dict[str, Callable[[SageMakerApi, Mapping[str, Any]], dict[str, Any]]] = {
    "CreateHyperParameterTuningJob": SageMakerApi.create_tuning_job,
    "DescribeHyperParameterTuningJob": SageMakerApi.describe_tuning_job,
    "ListHyperParameterTuningJobs": SageMakerApi.list_tuning_jobs,
    "ListTrainingJobsForHyperParameterTuningJob": SageMakerApi.list_jobs_of_tuning_job,
    "StopHyperParameterTuningJob": SageMakerApi.stop_tuning_job,
    "DeleteHyperParameterTuningJob": SageMakerApi.delete_tuning_job,
    "CreateTrainingJob": SageMakerApi.create_training_job,
    "DescribeTrainingJob": SageMakerApi.describe_training_job,
    "ListTrainingJobs": SageMakerApi.list_training_jobs,
    "StopTrainingJob": SageMakerApi.stop_training_job,
    "DeleteTrainingJob": SageMakerApi.delete_training_job,
    "Search": SageMakerApi.search,
    "AddTags": SageMakerApi.add_tags,
    "ListTags": SageMakerApi.list_tags,
    "DeleteTags": SageMakerApi.delete_tags,
}

OPERATIONS: frozenset[str] = frozenset(_HANDLERS)
"""The operations that ``SageMakerApi.handle`` answers, those of them that ``answers`` leaves to others excepted."""


def _check_rules(body: Mapping[str, Any]) -> None:
    """Refuse what the library's rules know that the service refuses.

    Raises:
        ApiError: a ValidationException with every finding.
    """
    from ..rules import Severity, check

    errors = [finding for finding in check(dict(body)) if finding.severity is Severity.ERROR]
    if errors:
        raise ApiError(
            "ValidationException",
            f"{len(errors)} validation error{'s' if len(errors) > 1 else ''} detected: "
            + "; ".join(f"{finding.path}: {finding.message}" for finding in errors),
        )


def _kind(arn: Any) -> str:
    """Give the kind of resource that an ARN of SageMaker names."""
    return str(arn).rpartition(":")[2].partition("/")[0]


def _tag_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
