"""The questions that a draft asks, as its present answers make them, and the question that a finding belongs to."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..catalog import Algorithm
from .fields import API, CHANNEL, DEFINITION, JOB, LIMITS, Choice, Field, Kind, Row, Step, Topic
from .paths import get, range_text, value_text
from .starting import (
    channel_start,
    default_instance,
    hyperparameter_help,
    instance_choices,
    names_without,
    recommended_range,
    required_hyperparameters,
)

if TYPE_CHECKING:
    from .draft import Draft

REVIEW = "review"
SINGLE, SEVERAL = "training_job_definition", "training_job_definitions"
DEFAULT_TRAINING_JOBS = 20
JOBS_PER_HYPERPARAMETER = 5


def questions(draft: "Draft") -> list[Step]:
    """The steps of a draft in the console's order, with their fields."""
    return _Questions(draft).steps()


class _Questions:
    def __init__(self, draft: "Draft") -> None:
        self._draft = draft

    def steps(self) -> list[Step]:
        draft = self._draft
        return [
            Step("job", "Job settings", "What is tuned, and how the search goes on.", tuple(self._job_fields())),
            *(
                Step(
                    f"definition-{index}",
                    f"Training job definition: {draft.definition_label(index)}",
                    "The algorithm, its hyperparameters, its data and its machines.",
                    tuple(self._definition_fields(index)),
                    definition=index,
                )
                for index in range(draft.definition_count)
            ),
            Step("limits", "Resource limits", "How much the tuning job may run.", tuple(self._limit_fields())),
            Step(REVIEW, "Review", "The findings and the template."),
        ]

    def _job_fields(self) -> Iterator[Field]:
        for topic in JOB:
            known: dict[str, Any] = {}
            match topic.path:
                case "name":
                    known["default"] = self._draft.suggested_name
                case "objective.metric_name":
                    known = self._metric(0)
                case "objective.type":
                    known = self._direction(0, topic.path)
            yield self._field(topic, topic.path, applies=self._job_applies(topic.path), **known)

    def _job_applies(self, path: str) -> str | None:
        strategy = self._draft.get("strategy")
        match path.partition(".")[0]:
            case "strategy_config" if strategy != "Hyperband":
                return "for the strategy Hyperband only"
            case "objective" if self._draft.several:
                return "with several definitions each one has its own objective"
            case "training_job_early_stopping_type" if self._draft.definition_count > 1:
                return "with one definition only"
            case "training_job_early_stopping_type" if strategy == "Hyperband":
                return "Hyperband stops training jobs itself"
            case "warm_start_config" if self._draft.definition_count > 1:
                return "with one definition only"
            case "warm_start_config" if path.endswith("tuning_jobs") and not self._draft.get(
                "warm_start_config.warm_start_type"
            ):
                return "after a warm start type is chosen"
        return None

    def _limit_fields(self) -> Iterator[Field]:
        grid = self._draft.get("strategy") == "Grid"
        for topic in LIMITS:
            known: dict[str, Any] = {}
            if topic.path == "resource_limits.max_number_of_training_jobs":
                known["default"] = str(
                    max(DEFAULT_TRAINING_JOBS, JOBS_PER_HYPERPARAMETER * self._draft.searched_count())
                )
                known["applies"] = "the number of combinations tells it for a grid" if grid else None
                known["required"] = self._draft.get("autotune.mode") != "Enabled"
            elif topic.path == "resource_limits.max_parallel_training_jobs":
                known["default"] = str(self._draft.instance_total())
            elif topic.section == "Completion criteria":
                known["applies"] = "a grid runs all of its combinations" if grid else None
            yield self._field(topic, topic.path, **known)

    def _definition_fields(self, index: int) -> Iterator[Field]:
        prefix = self._draft.definition_path(index)
        for topic in DEFINITION:
            path = f"{prefix}.{topic.path}"
            known: dict[str, Any] = {"applies": self._definition_applies(index, topic.path)}
            match topic.path:
                case "definition_name":
                    known["default"] = (
                        self._draft.free_name(self._draft.began(index) or "definition") if self._draft.several else ""
                    )
                case "algorithm_specification.training_image":
                    known["required"] = known["applies"] is None
                case "algorithm_specification.metric_definitions":
                    known |= self._values_table(path, "", API)
                    known["required"] = self._draft.algorithm(index).kind in {"", "image"}
                case "tuning_objective.metric_name":
                    known |= self._metric(index)
                case "tuning_objective.type":
                    known |= self._direction(index, path)
                case "static_hyperparameters":
                    known |= self._static_table(index, path)
                case "hyperparameter_ranges":
                    path = path if self._draft.several else topic.path
                    known |= self._range_table(index, path)
                case "input_data_config":
                    known |= self._channel_table(index, path)
                case "resource_config.instance_type":
                    facts = self._draft.facts(index)
                    known |= {"choices": instance_choices(facts), "default": default_instance(facts)}
                case "environment":
                    known |= self._values_table(path, "The variable's value.", topic.page)
            yield self._field(topic, path, **known)

    def _definition_applies(self, index: int, path: str) -> str | None:
        match path.partition(".")[0]:
            case "definition_name" | "tuning_objective" if not self._draft.several:
                return "with several definitions only"
            case "resource_config" if self._draft.value_at(index, "hyperparameter_tuning_resource_config"):
                return "the definition names its instances in hyperparameter_tuning_resource_config"
        choice = self._draft.algorithm(index)
        match path:
            case "algorithm_specification.training_image" if choice.kind == "resource":
                return "the definition names an algorithm resource instead"
            case "algorithm_specification.algorithm_name" if choice.kind in {"image", "built-in"}:
                return "the definition names a training image instead"
            case "algorithm_specification.metric_definitions" if choice.kind in {"built-in", "resource"}:
                return "the algorithm brings its metrics"
            case "stopping_condition.max_wait_time_in_seconds" if not self._draft.value_at(
                index, "enable_managed_spot_training"
            ):
                return "for spot training only"
            case "checkpoint_config.local_path" if not self._draft.value_at(index, "checkpoint_config", "s3_uri"):
                return "after a checkpoint path is given"
            case "resource_config.instance_type" | "resource_config.instance_count" if self._draft.is_grouped(index):
                return "the definition names its instances in groups"
        return None

    def _field(self, topic: Topic, path: str, **known: Any) -> Field:
        place, value = self._draft.locate(path), self._draft.get(path)
        if topic.kind is Kind.VALUES and "rows" not in known:
            known |= self._values_table(path, "The tag's value.", topic.page)
        if known.get("applies") is not None:
            known["required"] = False
        return topic.field(path, value=value, text="" if value is None else value_text(value, place), **known)

    def _metric(self, index: int) -> dict[str, Any]:
        facts = self._draft.facts(index)
        defined = self._draft.value_at(index, "algorithm_specification", "metric_definitions")
        if isinstance(defined, dict) and defined:
            return {"kind": Kind.CHOICE, "choices": tuple(Choice(str(name)) for name in defined), "open": True}
        if facts is None:
            return {}
        choices = (Choice(name, direction) for name, direction in facts.objective_metrics.items())
        return {"kind": Kind.CHOICE, "choices": tuple(choices), "open": True, "source": facts.sources["tuning"]}

    def _direction(self, index: int, path: str) -> dict[str, Any]:
        facts = self._draft.facts(index)
        metric = self._draft.get(f"{path.rpartition('.')[0]}.metric_name")
        return {"default": facts.objective_metrics.get(str(metric), "") if facts else ""}

    def _values_table(self, path: str, help_text: str, source: str) -> dict[str, Any]:
        value = self._draft.get(path)
        rows = []
        for name, item in value.items() if isinstance(value, dict) else ():
            place = f"{path}.{name}"
            rows.append(Row(name, place, (Field(place, name, help_text, source, value=item, text=value_text(item)),)))
        return {"rows": tuple(rows), "columns": (Field(f"{path}.*", "Value", help_text, source),)}

    def _static_table(self, index: int, path: str) -> dict[str, Any]:
        facts = self._draft.facts(index)
        table = self._values_table(path, "", f"{API}API_HyperParameterTrainingJobDefinition.html")
        if facts is None:
            return table
        static, searched = self._draft.rows_at(path), self._draft.rows_at(self._draft.ranges_path(index))
        needed = required_hyperparameters(facts, static)
        names = [*static, *names_without(needed, [*static, *searched])]
        rows = [
            Row(name, f"{path}.{name}", (self._hyperparameter(facts, f"{path}.{name}", name, static, needed),))
            for name in names
        ]
        left = names_without(facts.known, [*names, *searched])
        choices = [Choice(name, hyperparameter_help(facts, name), facts.known[name].default or "") for name in left]
        return {**table, "rows": tuple(rows), "choices": tuple(choices), "open": True}

    def _hyperparameter(
        self, facts: Algorithm, path: str, name: str, static: Mapping[str, Any], needed: list[str]
    ) -> Field:
        known = facts.known.get(name)
        choices = tuple(Choice(item) for item in known.choices) if known else ()
        return Field(
            path,
            name,
            hyperparameter_help(facts, name),
            facts.sources["hyperparameters"],
            Kind.CHOICE if choices else Kind.TEXT,
            value=static.get(name),
            text=value_text(static.get(name)),
            choices=choices,
            open=True,
            required=name in needed,
            default=(known.default or "") if known else "",
        )

    def _range_table(self, index: int, path: str) -> dict[str, Any]:
        facts = self._draft.facts(index)
        source = facts.sources["tuning"] if facts else f"{API}API_ParameterRanges.html"
        help_text = "Such as 0.1 to 0.5, 1 to 100 Logarithmic, or values such as adam, sgd."
        ranges = self._draft.rows_at(path)
        rows = []
        for name, value in ranges.items():
            place = f"{path}.{name}"
            advice = self._recommended(facts, name)
            inner = Field(
                place,
                name,
                f"The guide recommends {advice}." if advice else help_text,
                source,
                Kind.RANGE,
                value=value,
                text=range_text(value),
                required=True,
                default=advice,
            )
            rows.append(Row(name, place, (inner,)))
        left = (
            names_without(facts.tunable, [*ranges, *self._draft.rows_at(self._draft.static_path(index))])
            if facts
            else []
        )
        choices = tuple(
            Choice(name, self._recommended(facts, name), recommended_range(facts, name)) for name in left if facts
        )
        column = Field(f"{path}.*", "Range", help_text, source, Kind.RANGE, required=True)
        return {"rows": tuple(rows), "choices": choices, "columns": (column,), "open": True, "source": source}

    def _recommended(self, facts: Algorithm | None, name: str) -> str:
        return range_text(recommended_range(facts, name)) if facts and name in facts.tunable else ""

    def _channel_table(self, index: int, path: str) -> dict[str, Any]:
        facts = self._draft.facts(index)
        content_types = tuple(Choice(item) for item in facts.content_types) if facts else (Choice("text/csv"),)
        channels = self._draft.rows_at(path)

        def columns(name: str, row: Any) -> tuple[Field, ...]:
            own_source = isinstance(row, dict) and "data_source" in row
            fields = []
            for topic in CHANNEL:
                value = get(row, (topic.path,))
                known: dict[str, Any] = {"choices": content_types} if topic.path == "content_type" else {}
                if topic.path == "s3_uri" and own_source:
                    known |= {"required": False, "applies": "the channel states its data_source in the long form"}
                text = "" if value is None else value_text(value)
                fields.append(topic.field(f"{path}.{name}.{topic.path}", value=value, text=text, **known))
            return tuple(fields)

        rows = tuple(Row(name, f"{path}.{name}", columns(name, row)) for name, row in channels.items())
        left = names_without([channel.name for channel in facts.channels], channels) if facts else []
        choices = tuple(Choice(name, "", channel_start(facts)) for name in left if facts)
        return {"rows": rows, "choices": choices, "columns": columns("*", None), "open": True}


class Places:
    """Finds the field and the step of a finding."""

    def __init__(self, steps: list[Step]) -> None:
        self._fields = [
            (field.path, field.applies is None, step.key)
            for step in steps
            for whole in step.fields
            for field in whole.below()
        ]

    def of(self, path: str) -> tuple[str, str]:
        """The path of the field and the key of its step: the field itself, one around it, or the first inside."""
        # A channel whose data is nowhere: its question is the S3 URI.
        path = f"{path.removesuffix('.data_source')}.s3_uri" if path.endswith(".data_source") else path
        around = [item for item in self._fields if _within(path, item[0])]
        if around:
            field, _, step = max(around, key=lambda item: len(item[0]))
            return field, step
        inside = [item for item in self._fields if path and _within(item[0], path)]
        if inside:
            field, _, step = min(inside, key=lambda item: not item[1])  # the first that applies
            return field, step
        return "", self._step_of(path)

    def _step_of(self, path: str) -> str:
        """The step of a setting that no field asks for."""
        if match := re.match(rf"{SEVERAL}\[(\d+)\]", path):
            return f"definition-{match[1]}"
        if path.startswith((SINGLE, SEVERAL)):
            return "definition-0"
        return "limits" if path.startswith("resource_limits") else "job"


def _within(path: str, whole: str) -> bool:
    return path == whole or path.startswith((f"{whole}.", f"{whole}["))
