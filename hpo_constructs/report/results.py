"""The results of a tuning job: data, the best training job, importances and figures."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import wraps
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ..errors import HpoError
from ..spec.model import Objective
from ..spec.ranges import CategoricalParameter, ContinuousParameter, IntegerParameter, Parameter
from .training_jobs import objective_value, training_seconds
from .tuning_jobs import CHANGING, best_text, definitions, settings_lines

if TYPE_CHECKING:
    import pandas
    from plotly.graph_objects import Figure

    from ..account import Account

_Arguments = ParamSpec("_Arguments")
_Answer = TypeVar("_Answer")

_READERS = 8
_HOUR = 3600
_NEEDED_OF_JOB = (
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobStatus",
    "HyperParameterTuningJobConfig",
    "CreationTime",
)
_NEEDED_OF_TRAINING_JOB = ("TrainingJobName", "TrainingJobStatus", "CreationTime")


class ResultError(HpoError, ValueError):
    """The results do not have what is asked for; the message says why."""


def missing_packages() -> HpoError:
    """The error for an environment without the packages that results need."""
    return HpoError(
        "the packages for results are not installed in this environment; run `pip install 'hpo-constructs[report]'`"
    )


def _with_packages(method: Callable[_Arguments, _Answer]) -> Callable[_Arguments, _Answer]:
    """Say in one sentence what to install where a package is missing."""

    @wraps(method)
    def wrapped(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Answer:
        try:
            return method(*args, **kwargs)
        except ImportError:
            raise missing_packages() from None

    return wrapped


@dataclass(frozen=True, slots=True)
class Definition:
    """A training job definition of a tuning job: what it searches, and for what.

    Attributes:
        name: Its name; empty where the tuning job has one definition without a name.
        objective: The metric that it improves; None where the tuning job states none.
        parameters: The ranges of the hyperparameters by name. Those that Autotune chooses are not among them.
    """

    name: str
    objective: Objective | None
    parameters: Mapping[str, Parameter]


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """A training job of a tuning job.

    Attributes:
        number: Its place in the order of creation, from 1.
        name: Its name.
        definition: Name of the definition that it comes from.
        status: Its TrainingJobStatus.
        objective_value: The final objective value that the search used; None without one.
        hyperparameters: The values that were tried, as the API spells them.
        created: When it was created.
        started: When training started; None before that.
        ended: When training ended; None before that.
        failure_reason: Why it failed or brought no objective; empty otherwise.
    """

    number: int
    name: str
    definition: str
    status: str
    objective_value: float | None
    hyperparameters: Mapping[str, str]
    created: datetime
    started: datetime | None
    ended: datetime | None
    failure_reason: str


@dataclass(frozen=True, slots=True)
class BestTrainingJob:
    """The best training job of a tuning job, as SageMaker names it.

    Attributes:
        training_job_name: Its name.
        training_job_definition_name: The definition that it comes from; empty where there is one without a name.
        objective_metric_name: The objective metric.
        objective_metric_value: Its final value.
        objective_type: Maximize or Minimize.
        hyperparameters: The tuned hyperparameters, as the API spells them.
        status: Its TrainingJobStatus.
        model_artifacts: The model's S3 URI, as DescribeTrainingJob tells it; None where that is not known.
    """

    training_job_name: str
    training_job_definition_name: str
    objective_metric_name: str
    objective_metric_value: float
    objective_type: str
    hyperparameters: Mapping[str, str]
    status: str
    model_artifacts: str | None


@dataclass(frozen=True, slots=True)
class InstanceHours:
    """What training jobs have used of one kind of instance.

    Attributes:
        instance_type: The type; None for training jobs that could run on several types, where it is not known which.
        spot: Whether they are managed spot instances.
        training_jobs: How many training jobs have trained on it.
        instance_hours: Training time times the number of instances, in hours.
        billable_instance_hours: BillableTimeInSeconds times the number of instances, in hours. For instances that are
            not spot it is the training time. None where DescribeTrainingJob did not tell it for every training job.
    """

    instance_type: str | None
    spot: bool
    training_jobs: int
    instance_hours: float
    billable_instance_hours: float | None


class TuningJobResult:
    """The results of one tuning job, for notebooks and reports: `TuningJobResult.from_job("churn")`.

    A tuning job may have several definitions with objectives and hyperparameters of their own. What is about one
    definition takes its name as `definition`, which may be left out where there is one only.

    Args:
        tuning_job: The answer of DescribeHyperParameterTuningJob.
        training_jobs: TrainingJobSummaries of ListTrainingJobsForHyperParameterTuningJob, in any order.
        details: Answers of DescribeTrainingJob by name, as many as there are: they tell the model of the best
            training job, and what spot training is billed for.
        declared_name: The declared name, where a declaration has made the job.
        as_of: When the answers were given; now without it. What still runs is counted to this moment.

    Raises:
        ResultError: The answers do not belong together, or something is missing in them.
    """

    def __init__(
        self,
        tuning_job: Mapping[str, Any],
        training_jobs: Iterable[Mapping[str, Any]],
        *,
        details: Mapping[str, Mapping[str, Any]] | None = None,
        declared_name: str | None = None,
        as_of: datetime | None = None,
    ) -> None:
        self.tuning_job = tuning_job
        self.summaries = sorted(training_jobs, key=lambda one: (one["CreationTime"], one["TrainingJobName"]))
        self.details = details or {}
        self.declared_name = declared_name
        self.as_of = as_of or datetime.now(UTC)
        self.definitions = tuple(_definition(tuning_job, each) for each in definitions(tuning_job))
        if not self.definitions:
            raise ResultError(f"the tuning job {self.name!r} has no training job definition; is its description whole?")
        self.training_jobs = tuple(
            self._training_job(number, summary) for number, summary in enumerate(self.summaries, 1)
        )

    @classmethod
    def from_job(
        cls,
        name: str,
        *,
        region: str | None = None,
        profile: str | None = None,
        stack: str | None = None,
        session: Any = None,
    ) -> TuningJobResult:
        """The results of a tuning job on AWS or on the local endpoint, whichever the AWS configuration names.

        Args:
            name: A declared name, whose newest run is meant, or a tuning job's own name.
            region: The region; the AWS configuration's without it.
            profile: The profile of the AWS configuration; its default one without it.
            stack: The stack that declares the job; needed where several declare the same name.
            session: A boto3 session in place of region and profile.

        Raises:
            AccountError: There is no such job, it has not run, or the account cannot be asked.
        """
        from ..account import Account

        return cls.read(Account(region=region, profile=profile, session=session), name, stack=stack)

    @classmethod
    def read(cls, account: Account, name: str, *, stack: str | None = None) -> TuningJobResult:
        """The results of a tuning job of an account that is asked already; else as :meth:`from_job`.

        Args:
            account: The account.
            name: As for :meth:`from_job`.
            stack: As for :meth:`from_job`.

        Raises:
            AccountError: As from :meth:`from_job`.
        """
        from ..account import find, ran, training_jobs

        found = find(account, name, stack)
        tuning_job = account.call(
            "sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=ran(found)
        )
        as_of = datetime.now(UTC)
        summaries = training_jobs(account, ran(found))
        details = _details(account, tuning_job, summaries)
        return cls(tuning_job, summaries, details=details, declared_name=found.name, as_of=as_of)

    @classmethod
    def from_file(cls, path: str | Path) -> TuningJobResult:
        """The results of a tuning job from saved answers, without an account.

        Args:
            path: What `hpo show JOB --json` has printed, or the folder that `hpo run` has kept.

        Raises:
            ResultError: There is no such file, or it is not that.
        """
        path = Path(path)
        if path.is_dir():
            names = {"tuning_job": "tuning-job.json", "training_jobs": "training-jobs.json"}
            document = {key: _json(path / name) for key, name in names.items()}
        else:
            document = _json(path)
        if not isinstance(document, dict) or not {"tuning_job", "training_jobs"} <= document.keys():
            raise ResultError(
                f"{path} does not hold a tuning job's results: it must be what `hpo show JOB --json` prints, with "
                "tuning_job and training_jobs"
            )
        job, summaries = _answers(path, document["tuning_job"], document["training_jobs"])
        declared = document.get("declared_job")
        try:
            return cls(
                job,
                summaries,
                declared_name=declared.get("name") if isinstance(declared, dict) else None,
                as_of=_moment(job, document.get("duration_seconds")),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ResultError(f"{path} does not hold a tuning job's results as the API gives them: {error}") from None

    @property
    def name(self) -> str:
        """The tuning job's name."""
        return str(self.tuning_job["HyperParameterTuningJobName"])

    @property
    def status(self) -> str:
        """The HyperParameterTuningJobStatus."""
        return str(self.tuning_job["HyperParameterTuningJobStatus"])

    @property
    def running(self) -> bool:
        """Whether the tuning job still changes."""
        return self.status in CHANGING

    @property
    def objective(self) -> Objective | None:
        """The metric that all definitions improve; None where they differ, and each says its own."""
        objectives = {each.objective for each in self.definitions}
        return objectives.pop() if len(objectives) == 1 else None

    @property
    def best(self) -> BestTrainingJob | None:
        """The best training job, as SageMaker names it; None while there is none."""
        best = self.tuning_job.get("BestTrainingJob")
        value = objective_value(best or {})
        if best is None or value is None:
            return None
        metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
        definition = best.get("TrainingJobDefinitionName", "")
        stated = next((each.objective for each in self.definitions if each.name == definition), None) or self.objective
        detail = self.details.get(best["TrainingJobName"], {})
        return BestTrainingJob(
            training_job_name=best["TrainingJobName"],
            training_job_definition_name=definition,
            objective_metric_name=metric["MetricName"],
            objective_metric_value=value,
            objective_type=metric.get("Type") or (stated.type if stated else "Maximize"),
            hyperparameters=dict(best.get("TunedHyperParameters", {})),
            status=best["TrainingJobStatus"],
            model_artifacts=detail.get("ModelArtifacts", {}).get("S3ModelArtifacts"),
        )

    def definition(self, name: str | None = None) -> Definition:
        """A definition by its name, or the only one.

        Raises:
            ResultError: There is none of that name, or there are several and none is named.
        """
        if name is None and len(self.definitions) == 1:
            return self.definitions[0]
        for each in self.definitions:
            if each.name == name:
                return each
        names = ", ".join(repr(each.name) for each in self.definitions)
        if name is None:
            raise ResultError(f"{self.name} has {len(self.definitions)} definitions; name one: {names}")
        raise ResultError(f"{self.name} has no definition {name!r}; it has {names}")

    def training_jobs_of(self, definition: str | None = None) -> list[TrainingJob]:
        """The training jobs of a definition, in the order of creation.

        Raises:
            ResultError: As from :meth:`definition`.
        """
        name = self.definition(definition).name
        return [job for job in self.training_jobs if job.definition == name]

    def best_of(self, definition: str | None = None) -> TrainingJob | None:
        """The training job of a definition with the best objective value, the earliest of equals; None without one.

        Raises:
            ResultError: As from :meth:`definition`.
        """
        chosen = self.definition(definition)
        valued = [job for job in self.training_jobs_of(chosen.name) if job.objective_value is not None]
        sign = -1 if maximizes(chosen) else 1
        return min(valued, key=lambda job: sign * (job.objective_value or 0.0), default=None)

    def hyperparameters(self, definition: str | None = None) -> list[str]:
        """Names of the hyperparameters that a definition searches: of its ranges, then what training jobs have beside.

        Raises:
            ResultError: As from :meth:`definition`.
        """
        chosen = self.definition(definition)
        names = dict.fromkeys(chosen.parameters)
        for job in self.training_jobs_of(chosen.name):
            names |= dict.fromkeys(job.hyperparameters)
        return list(names)

    @_with_packages
    def dataframe(self) -> pandas.DataFrame:
        """The training jobs as a table, a row each, in the order of creation.

        Columns are those of the SageMaker SDK's `HyperparameterTuningJobAnalytics.dataframe()`: one for each
        hyperparameter, numeric where all its values are numbers, then TrainingJobName, TrainingJobStatus,
        FinalObjectiveValue, TrainingStartTime, TrainingEndTime, TrainingElapsedTimeSeconds and
        TrainingJobDefinitionName. What a training job does not have (yet) is NaN or NaT.

        Source: https://sagemaker.readthedocs.io/en/v2/api/training/analytics.html
        """
        import pandas

        columns: dict[str, Any] = {}
        for name in dict.fromkeys(name for each in self.definitions for name in self.hyperparameters(each.name)):
            texts = [job.hyperparameters.get(name) for job in self.training_jobs]
            values = numbers(texts)
            columns[name] = pandas.Series(texts, dtype=object) if values is None else pandas.Series(values, dtype=float)
        jobs = self.training_jobs

        def times(moments: Iterable[datetime | None]) -> pandas.Series[Any]:
            return pandas.to_datetime(pandas.Series(list(moments), dtype=object), utc=True)

        columns |= {
            "TrainingJobName": pandas.Series([job.name for job in jobs], dtype=object),
            "TrainingJobStatus": pandas.Series([job.status for job in jobs], dtype=object),
            "FinalObjectiveValue": pandas.Series([job.objective_value for job in jobs], dtype=float),
            "TrainingStartTime": times(job.started for job in jobs),
            "TrainingEndTime": times(job.ended for job in jobs),
            "TrainingElapsedTimeSeconds": pandas.Series(
                [(job.ended - job.started).total_seconds() if job.started and job.ended else None for job in jobs],
                dtype=float,
            ),
            "TrainingJobDefinitionName": pandas.Series([job.definition for job in jobs], dtype=object),
        }
        return pandas.DataFrame(columns)

    @_with_packages
    def importances(self, definition: str | None = None, *, seed: int = 0) -> dict[str, float]:
        """How much of the objective's variation each hyperparameter explains, the most important first; the sum is 1.

        fANOVA on the training jobs with an objective value; the same seed gives the same answer.

        Args:
            definition: The definition; the only one without it.
            seed: The seed of the random forest.

        Raises:
            ResultError: There are too few training jobs with an objective, or nothing varies; or as from
                :meth:`definition`.
        """
        from .importances import importances

        chosen = self.definition(definition)
        return importances(chosen, self.training_jobs_of(chosen.name), seed=seed)

    def instance_hours(self) -> list[InstanceHours]:
        """What the training jobs have used, by kind of instance; what still runs is counted until `as_of`.

        Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeTrainingJob.html
        """
        described = {each.get("DefinitionName", ""): each for each in definitions(self.tuning_job)}
        used: dict[tuple[str | None, bool], list[tuple[float, float | None]]] = {}
        for job, summary in zip(self.training_jobs, self.summaries, strict=True):
            seconds = training_seconds(summary, self.as_of)
            if seconds is None:
                continue
            detail = self.details.get(job.name, {})
            definition = described[job.definition]
            spot = bool(definition.get("EnableManagedSpotTraining"))
            billable = detail.get("BillableTimeInSeconds") if spot else seconds
            for instance_type, count in _instances(definition, detail):
                used.setdefault((instance_type, spot), []).append(
                    (seconds * count, None if billable is None else billable * count)
                )
        return [
            InstanceHours(
                instance_type,
                spot,
                len(parts),
                sum(seconds for seconds, _ in parts) / _HOUR,
                None if any(one is None for _, one in parts) else sum(one or 0.0 for _, one in parts) / _HOUR,
            )
            for (instance_type, spot), parts in sorted(used.items(), key=lambda item: (item[0][0] or "~", item[0][1]))
        ]

    @_with_packages
    def plot_history(self, definition: str | None = None) -> Figure:
        """The objective over time with the best value so far.

        Training jobs that brought no objective are marked below, by status.

        Args:
            definition: The definition; without it all, which then must improve the same metric.

        Raises:
            ResultError: Definitions improve different metrics and none is named; or as from :meth:`definition`.
        """
        from .figures import history

        if definition is not None:
            return history(self, [self.definition(definition)])
        if len({each.objective for each in self.definitions}) > 1:
            each = ", ".join(f"{one.name!r} {_spoken(one.objective)}" for one in self.definitions)
            raise ResultError(f"the definitions of {self.name} have different objectives; name one: {each}")
        return history(self, self.definitions)

    @_with_packages
    def plot_hyperparameter(self, name: str | None = None, definition: str | None = None) -> Figure:
        """The objective against one hyperparameter, on the scale that the search uses.

        Args:
            name: The hyperparameter; the only one without it.
            definition: The definition; the only one without it.

        Raises:
            ResultError: There is no such hyperparameter, or there are several and none is named; or as from
                :meth:`definition`.
        """
        from .figures import hyperparameter

        chosen = self.definition(definition)
        names = self.hyperparameters(chosen.name)
        if name is None and len(names) == 1:
            name = names[0]
        if name is None or name not in names:
            wrong = f"no hyperparameter {name!r}" if name else f"{len(names)} hyperparameters; name one"
            raise ResultError(f"{chosen.name or self.name} has {wrong}; it searches {', '.join(names) or 'none'}")
        return hyperparameter(self, chosen, name)

    @_with_packages
    def plot_slices(self, definition: str | None = None) -> Figure:
        """The objective against every hyperparameter of a definition, a small picture each.

        Raises:
            ResultError: As from :meth:`definition`, or nothing is searched.
        """
        from .figures import slices

        return slices(self, self._searching(definition))

    @_with_packages
    def plot_parallel_coordinates(
        self, definition: str | None = None, hyperparameters: Sequence[str] | None = None
    ) -> Figure:
        """All training jobs of a definition as lines over its hyperparameters, the better the stronger.

        Args:
            definition: The definition; the only one without it.
            hyperparameters: The hyperparameters to show, in this order; all without it.

        Raises:
            ResultError: There is no such hyperparameter; or as from :meth:`definition`, or nothing is searched.
        """
        from .figures import parallel_coordinates

        chosen = self._searching(definition)
        every = self.hyperparameters(chosen.name)
        names = list(every if hyperparameters is None else hyperparameters)
        if not names or not set(names) <= set(every):
            wrong = sorted(set(names) - set(every))
            raise ResultError(
                f"{chosen.name or self.name} has no hyperparameters {', '.join(wrong) or '(none is named)'}; "
                f"it searches {', '.join(every)}"
            )
        return parallel_coordinates(self, chosen, names)

    @_with_packages
    def plot_importances(self, definition: str | None = None) -> Figure:
        """The importances of the hyperparameters as bars.

        Raises:
            ResultError: As from :meth:`importances`.
        """
        from .figures import importance_bars

        return importance_bars(self.importances(definition))

    def _searching(self, definition: str | None) -> Definition:
        chosen = self.definition(definition)
        if not self.hyperparameters(chosen.name):
            raise ResultError(f"{chosen.name or self.name} searches no hyperparameters")
        return chosen

    def _training_job(self, number: int, summary: Mapping[str, Any]) -> TrainingJob:
        name, definition = summary["TrainingJobName"], summary.get("TrainingJobDefinitionName", "")
        names = [each.name for each in self.definitions]
        if len(names) == 1:
            definition = names[0]
        elif definition not in names:
            raise ResultError(
                f"the training job {name!r} is of the definition {definition!r}, which {self.name!r} does not have; "
                f"it has {', '.join(map(repr, names))}"
            )
        value = objective_value(summary)
        used = summary.get("ObjectiveStatus", "Succeeded") == "Succeeded"
        return TrainingJob(
            number=number,
            name=name,
            definition=definition,
            status=summary["TrainingJobStatus"],
            objective_value=value if used and value is not None and math.isfinite(value) else None,
            hyperparameters=dict(summary.get("TunedHyperParameters", {})),
            created=summary["CreationTime"],
            started=summary.get("TrainingStartTime"),
            ended=summary.get("TrainingEndTime"),
            failure_reason=str(summary.get("FailureReason", "")),
        )

    def __repr__(self) -> str:
        best = best_text(self.tuning_job.get("BestTrainingJob")) or "none"
        count = len(self.training_jobs)
        return f"<TuningJobResult {self.name}: {self.status}, {count} training jobs, best {best}>"

    def _repr_html_(self) -> str:
        rows = [
            ("status", self.status),
            *settings_lines(self.tuning_job, self.declared_name, self.as_of),
            ("best", best_text(self.tuning_job.get("BestTrainingJob")) or "none yet"),
        ]
        if self.best is not None:
            rows += [("best training job", self.best.training_job_name), *sorted(self.best.hyperparameters.items())]
        cells = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(title)}</th>'
            f'<td style="text-align:left">{escape(text)}</td></tr>'
            for title, text in rows
        )
        return f"<table><caption>Tuning job {escape(self.name)}</caption><tbody>{cells}</tbody></table>"


def maximizes(definition: Definition) -> bool:
    """Whether a definition's objective is the better the larger it is."""
    return definition.objective is None or definition.objective.type == "Maximize"


def numbers(texts: Iterable[str | None]) -> list[float | None] | None:
    """Hyperparameter values as numbers, None for those that are missing; None where one is no finite number."""
    found: list[float | None] = []
    for text in texts:
        try:
            number = None if text is None else float(text)
        except ValueError:
            return None
        if number is not None and not math.isfinite(number):
            return None
        found.append(number)
    return found


def _definition(job: Mapping[str, Any], definition: Mapping[str, Any]) -> Definition:
    config = job["HyperParameterTuningJobConfig"]
    stated = definition.get("TuningObjective") or config.get("HyperParameterTuningJobObjective")
    ranges = definition.get("HyperParameterRanges") or config.get("ParameterRanges") or {}
    parameters: dict[str, Parameter] = {}
    for each in ranges.get("ContinuousParameterRanges", ()):
        parameters[each["Name"]] = ContinuousParameter(each["MinValue"], each["MaxValue"], each.get("ScalingType"))
    for each in ranges.get("IntegerParameterRanges", ()):
        parameters[each["Name"]] = IntegerParameter(each["MinValue"], each["MaxValue"], each.get("ScalingType"))
    for each in ranges.get("CategoricalParameterRanges", ()):
        parameters[each["Name"]] = CategoricalParameter(each["Values"])
    objective = None if stated is None else Objective(metric_name=stated["MetricName"], type=stated["Type"])
    return Definition(definition.get("DefinitionName", ""), objective, parameters)


def _spoken(objective: Objective | None) -> str:
    return "without an objective" if objective is None else f"({objective.type} {objective.metric_name})"


def _details(
    account: Account, tuning_job: Mapping[str, Any], summaries: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """Answers of DescribeTrainingJob where only they tell something.

    They are an addition: without the permission, or throttled, the results do without them.
    """
    from ..account import AccountError

    # Which of several instance types a training job got, and what a spot one is billed for, stand nowhere else.
    special = {
        each.get("DefinitionName", "")
        for each in definitions(tuning_job)
        if each.get("EnableManagedSpotTraining")
        or each.get("HyperParameterTuningResourceConfig", {}).get("InstanceConfigs")
    }
    alone = len(definitions(tuning_job)) == 1
    wanted = [
        one["TrainingJobName"]
        for one in summaries
        if special and (alone or one.get("TrainingJobDefinitionName", "") in special)
    ]
    if best := tuning_job.get("BestTrainingJob"):
        wanted = list(dict.fromkeys([best["TrainingJobName"], *wanted]))

    def describe(name: str) -> dict[str, Any] | None:
        try:
            answer: dict[str, Any] = account.call("sagemaker", "describe_training_job", TrainingJobName=name)
        except AccountError:
            return None
        return answer

    with ThreadPoolExecutor(_READERS) as readers:
        answers = dict(zip(wanted, readers.map(describe, wanted), strict=True))
    return {name: answer for name, answer in answers.items() if answer is not None}


def _instances(definition: Mapping[str, Any], detail: Mapping[str, Any]) -> list[tuple[str | None, int]]:
    """The instances of a training job: their types, None where it could be any of several, with their numbers."""
    config = detail.get("ResourceConfig") or definition.get("ResourceConfig")
    if config is None:
        config = definition.get("HyperParameterTuningResourceConfig", {})
        choices = config.get("InstanceConfigs", ())
        if len(choices) == 1:
            config = choices[0]
        elif choices:
            counts = {choice.get("InstanceCount", 1) for choice in choices}
            return [(None, counts.pop() if len(counts) == 1 else 1)]
    groups: Sequence[Mapping[str, Any]] = config.get("InstanceGroups") or [config]
    return [(group.get("InstanceType"), group.get("InstanceCount", 1)) for group in groups]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ResultError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ResultError(f"{path} is not JSON: {error}") from None


def _answers(path: Path, job: Any, summaries: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A tuning job's description and its training jobs as read from JSON, with their times.

    Raises:
        ResultError: They are not that.
    """
    if not isinstance(job, dict) or not isinstance(summaries, list):
        raise ResultError(f"{path}: tuning_job must be a mapping and training_jobs a list")
    checked: list[tuple[Any, tuple[str, ...], str]] = [(job, _NEEDED_OF_JOB, "tuning_job")]
    checked += [(one, _NEEDED_OF_TRAINING_JOB, f"training_jobs[{index}]") for index, one in enumerate(summaries)]
    for answer, needed, where in checked:
        missing = [key for key in needed if not isinstance(answer, dict) or key not in answer]
        if missing:
            raise ResultError(f"{path}: {where} has no {', '.join(missing)}")
    return _timed(path, job), [_timed(path, one) for one in summaries]


def _timed(path: Path, answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer whose times are moments again."""
    found: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, dict):
            value = _timed(path, value)
        elif key.endswith("Time") and isinstance(value, str):
            try:
                value = datetime.fromisoformat(value).astimezone(UTC)
            except ValueError:
                raise ResultError(f"{path}: {key} must be a time in ISO 8601, got {value!r}") from None
        found[key] = value
    return found


def _moment(job: Mapping[str, Any], duration: Any) -> datetime:
    """When saved answers were given: the job's duration then tells it, or else its last change."""
    if isinstance(duration, int | float):
        created: datetime = job["CreationTime"]
        return created + timedelta(seconds=duration)
    changed = job.get("LastModifiedTime")
    return changed if isinstance(changed, datetime) else datetime.now(UTC)
