"""A team template being filled in."""

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..catalog import Algorithm, builtin, recognise, recognise_algorithm_name
from ..documents.export import import_text
from ..documents.files import read_text
from ..documents.nodes import parse
from ..documents.template import BUDGET, CLONE, JOBS, LOCAL, QUOTAS, RANGE_LISTS, RUN, top_level_keys
from ..errors import DocumentError, HpoError, SpecError
from ..rules import Finding, check
from .fields import BLOCK_COMMENTS, DEFINITION, JOB, LIMITS, Field, Step, Topic
from .paths import BLOCKS, Place, get, is_empty, locate, put, read_value, spelled
from .questions import (
    DEFAULT_TRAINING_JOBS,
    JOBS_PER_HYPERPARAMETER,
    REVIEW,
    SEVERAL,
    SINGLE,
    Places,
    questions,
)
from .starting import default_instance, fits_instance, start_of

MOST_DEFINITIONS = 10
DEFAULT_REGION = "us-east-1"
_VERSION = 1
_NAME_LENGTH = 21
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_RANGE_LISTS = set(RANGE_LISTS.values())
# The name of a definition before its algorithm is known.
_PLACEHOLDER = re.compile(r"definition(-\d+)?")
_RUN_SUFFIX = re.compile(r"-[0-9a-f]{10}$")

# The order of a written template: as people fill it in; what is not named here stands behind, in its own order.
_ORDER = (
    "name",
    "strategy",
    "strategy_config",
    "objective",
    "training_job_early_stopping_type",
    "warm_start_config",
    "random_seed",
    "autotune",
    "resource_limits",
    "tuning_job_completion_criteria",
    "tags",
    "hyperparameter_ranges",
    SINGLE,
    SEVERAL,
    RUN,
    QUOTAS,
    BUDGET,
    LOCAL,
)
_DEFINITION_ORDER = (
    "definition_name",
    "algorithm_specification",
    "tuning_objective",
    "hyperparameter_ranges",
    "static_hyperparameters",
    "input_data_config",
    "output_data_config",
    "resource_config",
    "enable_managed_spot_training",
    "checkpoint_config",
    "stopping_condition",
    "retry_strategy",
)


@dataclass(frozen=True, slots=True)
class DraftFinding:
    """A finding and the question that it belongs to.

    Attributes:
        finding: The finding, as `hpo check` gives it for the written template.
        field: The path of the field that it belongs to; empty where it is about the whole step.
        step: The key of that field's step.
        missing: Whether there is just no answer yet, rather than a wrong one.
        shown: Whether to show it: the user has reached its step.
    """

    finding: Finding
    field: str
    step: str
    missing: bool
    shown: bool


@dataclass(frozen=True, slots=True)
class AlgorithmChoice:
    """The algorithm of a definition.

    Attributes:
        kind: `built-in`, `image` for an own container, `resource` for an algorithm by name or ARN, or empty.
        name: The built-in algorithm's name, the image's URI, or the algorithm's name or ARN.
        version: The version of a built-in algorithm's image, or None.
        region: The region of the image or of the ARN, or None.
    """

    kind: str = ""
    name: str = ""
    version: str | None = None
    region: str | None = None


class Draft:
    """A team template being filled in: always readable, possibly incomplete or wrong.

    A draft is plain data (`to_dict`, `from_dict`), so that a stateless program can carry it. Whatever is set is read
    by the same code that reads templates, and `findings` are those of `hpo check`.
    """

    def __init__(
        self,
        template: Mapping[str, Any],
        *,
        region: str = DEFAULT_REGION,
        reached: Iterable[str] = (),
        algorithms: Iterable[str] = (),
        origin: str = "",
    ) -> None:
        """Make a draft of a template as plain data; `new`, `for_builtin` and `from_text` are the usual ways.

        Args:
            template: One tuning job in the short forms of a team template.
            region: The region whose training images are suggested.
            reached: The keys of the steps that the user has reached.
            algorithms: The built-in algorithm that each definition began with; empty for none.
            origin: The name of the tuning job that was cloned, if any.

        Raises:
            SpecError: The template is not one that can be read.
        """
        self._template = _ordered(copy.deepcopy(dict(template)))
        self.region = region
        self.origin = origin
        self._reached = set(reached)
        began = list(algorithms)[: self.definition_count]
        self._began = began + [""] * (self.definition_count - len(began))
        _verified(self._template)

    # Ways to begin

    @classmethod
    def new(cls, name: str = "", *, region: str = DEFAULT_REGION) -> "Draft":
        """A draft with an own container: nothing of the algorithm is known yet."""
        definition = _machines(None)
        limits = {"max_number_of_training_jobs": DEFAULT_TRAINING_JOBS, "max_parallel_training_jobs": 1}
        template = {"name": name, "strategy": "Bayesian", SINGLE: definition, "resource_limits": limits}
        return cls(template, region=region)

    @classmethod
    def for_builtin(
        cls, algorithm: str, name: str = "", *, region: str = DEFAULT_REGION, version: str | None = None
    ) -> "Draft":
        """A draft with a built-in algorithm: its image, an objective, recommended ranges, the channels it needs.

        Raises:
            CatalogError: There is no such algorithm, version or region.
        """
        draft = cls.new(name, region=region)
        draft.use_builtin(0, algorithm, version=version)
        return draft

    @classmethod
    def from_text(cls, text: str, file: str = "the text", *, job: str | None = None, name: str = "") -> "Draft":
        """A clone of a tuning job in any form: team template, API request, Describe answer, ACK manifest.

        Args:
            text: The text.
            file: Its name, for messages.
            job: The tuning job to clone, where the text declares several.
            name: The new tuning job's name; without it, it is still to be given.

        Raises:
            DocumentError: The text cannot be read, or declares no tuning job.
            SpecError: It declares several, and `job` names none of them.
        """
        nodes = parse(import_text(text, file, header=""), file)
        found = [job for node in nodes for job in _jobs(spelled(node))]
        chosen = [item for item in found if job is None or item.get("name") == job]
        if len(chosen) != 1:
            names = ", ".join(str(item.get("name", "")) for item in found)
            asked = f"no tuning job {job!r}" if job else f"{len(found)} tuning jobs"
            raise SpecError(f"{file} declares {asked}; choose one of: {names}")
        template = _with_short_ranges({**chosen[0], "name": name})
        draft = cls(template, origin=str(chosen[0].get("name", "")))
        regions = (draft.algorithm(index).region for index in range(draft.definition_count))
        draft.region = next((region for region in regions if region), DEFAULT_REGION)
        return draft

    @classmethod
    def from_describe(cls, answer: Mapping[str, Any], *, name: str = "") -> "Draft":
        """A clone of a tuning job on an account.

        Args:
            answer: What DescribeHyperParameterTuningJob answers, as boto3 gives it.
            name: The new tuning job's name; without it, it is still to be given.

        Raises:
            HpoError: A template cannot say what the answer says.
        """
        described = {"HyperParameterTuningJobStatus": "", **answer}  # so that it is read as an answer
        return cls.from_text(json.dumps(described, default=str), "the tuning job", name=name)

    # A draft as data

    def to_dict(self) -> dict[str, Any]:
        """The draft as plain JSON data."""
        return {
            "version": _VERSION,
            "template": copy.deepcopy(self._template),
            "region": self.region,
            "reached": sorted(self._reached),
            "algorithms": list(self._began),
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Draft":
        """The draft that `to_dict` gave.

        Raises:
            SpecError: The data is not a draft's.
        """
        template, reached, began = data.get("template"), data.get("reached", []), data.get("algorithms", [])
        texts = [data.get("region", DEFAULT_REGION), data.get("origin", "")]
        lists = [item for item in (reached, began) if isinstance(item, list)]
        right = isinstance(template, dict) and len(lists) == 2 and data.get("version") == _VERSION
        if not right or not all(isinstance(text, str) for text in [*texts, *(item for part in lists for item in part)]):
            raise SpecError("this is not a draft of a tuning job; begin a new one with `hpo new`")
        return cls(template or {}, region=texts[0], reached=reached, algorithms=began, origin=texts[1])

    def copy(self) -> "Draft":
        """An independent copy, such as for going back."""
        return Draft.from_dict(self.to_dict())

    # What it holds

    @property
    def name(self) -> str:
        """The tuning job's name; empty while it has none."""
        return str(self._template.get("name") or "")

    @property
    def several(self) -> bool:
        """Whether the template has a list of definitions."""
        return SEVERAL in self._template

    @property
    def definition_count(self) -> int:
        """How many definitions there are."""
        several = self._template.get(SEVERAL)
        return len(several) if isinstance(several, list) else 1

    def definition_path(self, index: int) -> str:
        """The path of a definition: `training_job_definition`, or `training_job_definitions[1]`."""
        self._check_index(index)
        return f"{SEVERAL}[{index}]" if self.several else SINGLE

    def definition_label(self, index: int) -> str:
        """How people call a definition: its name, its algorithm, or its number."""
        choice = self.algorithm(index)
        known = choice.name if choice.kind == "built-in" else ""
        return str(self.value_at(index, "definition_name") or known or self._began[index] or f"definition {index + 1}")

    def get(self, path: str) -> Any:
        """The value at a path as plain data; None where there is none.

        Raises:
            SpecError: A template has no such place.
        """
        return copy.deepcopy(get(self._template, locate(path, self._template).steps))

    def algorithm(self, index: int) -> AlgorithmChoice:
        """The algorithm of a definition, as its image or name tells it."""
        if resource := self.value_at(index, "algorithm_specification", "algorithm_name"):
            return AlgorithmChoice("resource", str(resource), region=recognise_algorithm_name(str(resource)).region)
        image = self.value_at(index, "algorithm_specification", "training_image")
        if not image:
            return AlgorithmChoice()
        found = recognise(str(image))
        if found is None:
            return AlgorithmChoice("image", str(image))
        if found.kind == "algorithm" and builtin(found.name) is not None:
            return AlgorithmChoice("built-in", found.name, found.version, found.region)
        return AlgorithmChoice("image", str(image), found.version, found.region)

    def facts(self, index: int) -> Algorithm | None:
        """What the catalog knows of a definition's algorithm; None for an own container."""
        choice = self.algorithm(index)
        if choice.kind == "built-in":
            return builtin(choice.name)
        # SageMaker JumpStart trains some algorithms in a framework's container, which does not tell the algorithm.
        began = builtin(self._began[index]) if self._began[index] and choice.kind != "resource" else None
        return began if began is not None and not began.own_image else None

    # Changing it

    def set(self, path: str, value: Any) -> None:
        """Set a value, as a person types it or as plain data; None or an empty text takes it away.

        Ranges are typed as `0.1 to 0.5 Logarithmic` or `gbtree, dart`, lists as `a, b`, mappings as `a=1, b=2`.
        A wrong value is taken, for `findings` to report; what cannot be read at all is not.

        Args:
            path: The place, as a template spells it.
            value: The value.

        Raises:
            SpecError: There is no such place, or the value cannot be read as what the place takes; the draft is as it
                was.
        """
        place = locate(path, self._template)
        channel = place.shape is not None and place.shape.name == "Channel"
        if channel and isinstance(value, str) and value.strip() and not value.strip().startswith("{"):
            place = locate(f"{path.strip()}.s3_uri", self._template)  # a channel's data alone
        self._check_definition(place)
        template = copy.deepcopy(self._template)
        put(template, place, read_value(value, place, kind_of=self._documented_kind(place)))
        self._direct(template, place)
        self._take(template)

    def use_builtin(self, index: int, name: str, *, version: str | None = None) -> None:
        """Give a definition a built-in algorithm, with what the catalog knows of it to begin with.

        The objective, hyperparameters and channels become the algorithm's; data, output and machines stay where they
        fit.

        Raises:
            CatalogError: There is no such algorithm or version, or the draft's region has no image of it.
        """
        self._check_index(index)
        began = start_of(name, self.region, version)
        template = copy.deepcopy(self._template)
        definition = self._definition(template, index)
        holder = definition if self.several else template
        objective, ranges = ("tuning_objective" if self.several else "objective"), "hyperparameter_ranges"
        for key in ("algorithm_specification", "static_hyperparameters"):
            definition.pop(key, None)
        known = definition.pop("input_data_config", None)
        definition |= copy.deepcopy(began.definition)
        channels = definition.get("input_data_config")
        if isinstance(known, dict) and isinstance(channels, dict):
            for channel, row in channels.items():
                row |= {key: value for key, value in (known.get(channel) or {}).items() if key == "s3_uri"}
        holder[objective] = began.objective
        holder[ranges] = copy.deepcopy(began.ranges)
        facts = builtin(name)
        if not fits_instance(facts, str(get(definition, ("resource_config", "instance_type")) or "")):
            definition["resource_config"] = {**definition["resource_config"], "instance_type": default_instance(facts)}
        if self.several and _PLACEHOLDER.fullmatch(str(definition.get("definition_name") or "definition")):
            definition["definition_name"] = self.free_name(name)
        self._take(template)
        self._began[index] = name
        # As many training jobs as the guide's advice on few hyperparameters comes to.
        total = get(self._template, ("resource_limits", "max_number_of_training_jobs"))
        if isinstance(total, int) and total < (enough := JOBS_PER_HYPERPARAMETER * self.searched_count()):
            self.set("resource_limits.max_number_of_training_jobs", enough)

    def use_image(self, index: int, image: str) -> None:
        """Give a definition a training image of one's own.

        Raises:
            SpecError: The image cannot be read as a text.
        """
        path = f"{self.definition_path(index)}.algorithm_specification"
        self.set(f"{path}.algorithm_name", None)
        self.set(f"{path}.training_image", image)

    def use_algorithm(self, index: int, name: str) -> None:
        """Give a definition an algorithm resource, such as a subscription of AWS Marketplace.

        A Marketplace algorithm gets the network isolation that it needs.

        Raises:
            SpecError: The name cannot be read as a text.
        """
        path = self.definition_path(index)
        self.set(f"{path}.algorithm_specification.training_image", None)
        self.set(f"{path}.algorithm_specification.metric_definitions", None)
        self.set(f"{path}.algorithm_specification.algorithm_name", name)
        self._began[index] = ""
        if recognise_algorithm_name(name).marketplace:
            self.set(f"{path}.enable_network_isolation", True)

    def add_definition(self, algorithm: str | None = None, *, version: str | None = None) -> int:
        """Add a definition with a built-in algorithm, or an empty one; give its number.

        With the second definition the objective and the ranges of the first move into it, as the API demands.

        Raises:
            SpecError: There are 10 already.
            CatalogError: There is no such algorithm or version.
        """
        if algorithm is not None:
            start_of(algorithm, self.region, version)  # a wrong name leaves the draft as it is
        definition = _machines(None)
        if output := self.value_at(self.definition_count - 1, "output_data_config"):
            definition["output_data_config"] = copy.deepcopy(output)
        index = self._append({"definition_name": self.free_name(algorithm or "definition"), **definition})
        if algorithm is not None:
            self.use_builtin(index, algorithm, version=version)
        return index

    def clone_definition(self, index: int) -> int:
        """Add a copy of a definition under a new name; give its number.

        Raises:
            SpecError: There is no such definition, or there are 10 already.
        """
        self._check_index(index)
        source = self.definition_label(index)
        self._to_several()
        copied = copy.deepcopy(self._definition(self._template, index))
        copied["definition_name"] = self.free_name(str(copied.get("definition_name") or source))
        return self._append(copied, self._began[index])

    def remove_definition(self, index: int) -> None:
        """Remove a definition; of two, the other one's objective and ranges move up to the tuning job.

        Raises:
            SpecError: There is no such definition, or it is the only one.
        """
        self._check_index(index)
        if self.definition_count == 1:
            raise SpecError("a tuning job needs at least one definition; change this one instead")
        template = copy.deepcopy(self._template)
        del template[SEVERAL][index]
        began = [item for number, item in enumerate(self._began) if number != index]
        if len(template[SEVERAL]) == 1:
            (definition,) = template.pop(SEVERAL)
            definition.pop("definition_name", None)
            moved = {
                "objective": definition.pop("tuning_objective", None),
                "hyperparameter_ranges": definition.pop("hyperparameter_ranges", None),
            }
            template |= {key: value for key, value in moved.items() if value is not None}
            template[SINGLE] = definition
        self._take(template, began=began)
        self._reached -= {f"definition-{number}" for number in range(self.definition_count, MOST_DEFINITIONS)}

    def reach(self, key: str) -> None:
        """Note that the user has reached a step: from now on its findings are shown."""
        self._reached.add(key)
        if key == REVIEW:
            self._reached |= {step.key for step in self.steps()}

    # Asking

    def steps(self) -> list[Step]:
        """The steps in the console's order, with their fields as the present answers make them."""
        return [replace(step, reached=step.key in self._reached) for step in questions(self)]

    def field(self, path: str) -> Field:
        """The field with a path, also one in a table's row.

        Raises:
            SpecError: No step asks for it.
        """
        for step in self.steps():
            for field in step.fields:
                for item in field.below():
                    if item.path == path:
                        return item
        raise SpecError(f"no step asks for {path}")

    def findings(self, quotas: Any = None, *, budget: Any = None) -> list[DraftFinding]:
        """The findings of `hpo check` on the written template, each with the field that it belongs to.

        Args:
            quotas: The account's quotas, as `rules.check` takes them.
            budget: What a run may use at most, as `rules.check` takes it.

        Raises:
            QuotaError: `quotas` or `budget` states something unknown.
        """
        declarations = [replace(item, file=None) for item in read_text(self.template(), "the draft")]
        places = Places(self.steps())
        found = []
        for finding in check(declarations, quotas, budget=budget):
            field, step = places.of(finding.path)
            missing = finding.severity.fails and self._is_missing(finding.path)
            found.append(DraftFinding(finding, field, step, missing, shown=step in self._reached))
        return found

    def template(self) -> str:
        """The team template with comments; reading it gives exactly the draft's request."""
        return import_text(_as_json(self._template), "the draft", header=self._header(), notes=dict(self._notes()))

    @property
    def suggested_name(self) -> str:
        """A name for the new tuning job; empty without an idea."""
        base = _RUN_SUFFIX.sub("", self.origin)
        if base:
            stem, _, number = base.rpartition("-")
            again = f"{stem}-{int(number) + 1}" if stem and number.isdigit() and len(number) < 4 else f"{base}-2"
            return again if len(again) <= _NAME_LENGTH else f"{base[: _NAME_LENGTH - 2].rstrip('-')}-2"
        choice = self.algorithm(0)
        name = choice.name if choice.kind == "built-in" else self._began[0]
        return f"{name[: _NAME_LENGTH - 7].rstrip('-')}-tuning" if name else ""

    # Parts of the template

    def locate(self, path: str) -> Place:
        """The place that a path names in this draft.

        Raises:
            SpecError: A template has no such place.
        """
        return locate(path, self._template)

    def began(self, index: int) -> str:
        """The built-in algorithm that a definition began with; empty for none."""
        return self._began[index]

    def value_at(self, index: int, *steps: str) -> Any:
        """A value of a definition, by its keys."""
        self._check_index(index)
        above = (SEVERAL, index) if self.several else (SINGLE,)
        return get(self._template, (*above, *steps))

    def _definition(self, template: dict[str, Any], index: int) -> dict[str, Any]:
        self._check_index(index)
        found: dict[str, Any] = template[SEVERAL][index] if SEVERAL in template else template.setdefault(SINGLE, {})
        return found

    def static_path(self, index: int) -> str:
        """The path of a definition's static hyperparameters."""
        return f"{self.definition_path(index)}.static_hyperparameters"

    def ranges_path(self, index: int) -> str:
        """The path of the hyperparameters that a definition's training jobs search."""
        return f"{self.definition_path(index)}.hyperparameter_ranges" if self.several else "hyperparameter_ranges"

    def rows_at(self, path: str) -> dict[str, Any]:
        """The rows of a table by name; none where it is written in the API's list form."""
        value = get(self._template, locate(path, self._template).steps)
        return value if isinstance(value, dict) and not value.keys() <= _RANGE_LISTS else {}

    def searched_count(self) -> int:
        """How many hyperparameters are searched over all definitions."""
        paths = {self.ranges_path(index) for index in range(self.definition_count)}
        return sum(len(self.rows_at(path)) for path in paths)

    def instance_total(self) -> int:
        """The instances of all definitions together, at least 1."""
        counts = [self.value_at(index, "resource_config", "instance_count") for index in range(self.definition_count)]
        return max(1, sum(count for count in counts if isinstance(count, int)))

    def is_grouped(self, index: int) -> bool:
        """Whether a definition names its instances in groups or preferences."""
        return any(self.value_at(index, "resource_config", key) for key in ("instance_groups", "instance_preferences"))

    def _documented_kind(self, place: Place) -> str | None:
        """The kind of range that the catalog documents for a searched hyperparameter."""
        if place.role != "range":
            return None
        facts = self.facts(int(place.steps[1]) if place.steps[0] == SEVERAL else 0)
        return facts.hyperparameter_type(str(place.steps[-1])) if facts else None

    def _direct(self, template: dict[str, Any], place: Place) -> None:
        """A built-in metric that is chosen brings its direction."""
        if place.steps[-2:] not in {("objective", "metric_name"), ("tuning_objective", "metric_name")}:
            return
        facts = self.facts(int(place.steps[1]) if place.steps[0] == SEVERAL else 0)
        direction = facts.objective_metrics.get(str(get(template, place.steps))) if facts else None
        if direction is not None:
            get(template, place.steps[:-1])["type"] = direction

    def _check_definition(self, place: Place) -> None:
        """Raise where a place is a whole definition, or in one that is not there."""
        if place.steps[0] not in {SINGLE, SEVERAL}:
            return
        inside = place.steps[1:] if place.steps[0] == SINGLE else place.steps[2:]
        if not inside:
            raise SpecError(
                f"{place.path} is a whole definition; set the values in it, or add, clone or remove definitions"
            )
        if (place.steps[0] == SEVERAL) is not self.several:
            here = f"{SEVERAL}[0] and so on" if self.several else SINGLE
            raise SpecError(f"{place.path}: the template spells its definitions {here}; write {here} here")
        if self.several:
            self._check_index(int(place.steps[1]))

    def _check_index(self, index: int) -> None:
        if not 0 <= index < self.definition_count:
            raise SpecError(f"there is no definition {index}; the template has {self.definition_count}, counted from 0")

    def _to_several(self) -> None:
        if self.several:
            return
        template = copy.deepcopy(self._template)
        definition = template.pop(SINGLE, {})
        named = definition.get("definition_name") or self.definition_label(0).replace(" ", "-")
        moved = {
            "definition_name": named,
            "tuning_objective": template.pop("objective", None),
            "hyperparameter_ranges": template.pop("hyperparameter_ranges", None),
        }
        template[SEVERAL] = [{**{key: value for key, value in moved.items() if value is not None}, **definition}]
        self._take(template)

    def _append(self, definition: dict[str, Any], began: str = "") -> int:
        if self.definition_count >= MOST_DEFINITIONS:
            raise SpecError(f"a tuning job has at most {MOST_DEFINITIONS} definitions")
        self._to_several()
        definition["definition_name"] = self.free_name(str(definition.get("definition_name") or "definition"))
        template = copy.deepcopy(self._template)
        template[SEVERAL].append(definition)
        self._take(template, began=[*self._began, began])
        return self.definition_count - 1

    def free_name(self, base: str) -> str:
        """A definition's name that no other one has."""
        taken = {self.value_at(index, "definition_name") for index in range(self.definition_count)}
        if not self.several:
            taken.add(self.definition_label(0).replace(" ", "-"))
        name, number = base, 2
        while name in taken:
            name, number = f"{base[:58]}-{number}", number + 1
        return name

    def _take(self, template: dict[str, Any], *, began: list[str] | None = None) -> None:
        """Make a changed template the draft's, if it can be read."""
        ordered = _ordered(template)
        _verified(ordered)
        self._template = ordered
        if began is not None:
            self._began = began

    def _is_missing(self, path: str) -> bool:
        try:
            place = locate(path, self._template) if path else None
        except SpecError:
            return False
        return place is not None and is_empty(get(self._template, place.steps))

    def _header(self) -> str:
        file = f"templates/{self.name if _FILE_NAME.fullmatch(self.name) else 'NAME'}.yaml"
        cloned = f" Cloned from {self.origin}." if _FILE_NAME.fullmatch(self.origin) else ""
        return (
            f"# A hyperparameter tuning job of Amazon SageMaker.{cloned}\n"
            f"#   hpo check {file}    every documented limit, in milliseconds\n"
            f"#   hpo run {file}      a rehearsal on this machine\n"
        )

    def _notes(self) -> Iterator[tuple[str, str]]:
        """The comments of the template, by path; of several definitions the first that has a setting gets its."""
        noted = set()
        for prefix, topics in (("", JOB), *self._definition_topics(), ("", LIMITS)):
            for topic in topics:
                parents = [topic.path.rsplit(".", count)[0] for count in range(topic.path.count("."), 0, -1)]
                for part in (*parents, topic.path):
                    text = (topic.comment if part == topic.path else "") or BLOCK_COMMENTS.get(part, "")
                    path = f"{prefix}{part}"
                    if part == "hyperparameter_ranges" and not self.several:
                        path = part
                    if text and part not in noted and not is_empty(self.get(path)):
                        noted.add(part)
                        yield path, text
        yield from ((key, BLOCK_COMMENTS[key]) for key in (SINGLE, SEVERAL, *BLOCKS))

    def _definition_topics(self) -> Iterator[tuple[str, tuple[Topic, ...]]]:
        for index in range(self.definition_count):
            yield f"{self.definition_path(index)}.", DEFINITION


def _machines(facts: Algorithm | None) -> dict[str, Any]:
    resources = {"instance_type": default_instance(facts), "instance_count": 1, "volume_size_in_gb": 30}
    return {"resource_config": resources, "stopping_condition": {"max_runtime_in_seconds": 3600}}


def _jobs(document: dict[str, Any]) -> list[dict[str, Any]]:
    """The jobs of a template's document, each with the blocks that hold for all of them."""
    if JOBS not in document:
        return [document]
    blocks = {key: document[key] for key in (QUOTAS, BUDGET, LOCAL) if key in document}
    return [{**job, **blocks} for job in document[JOBS]]


def _with_short_ranges(template: dict[str, Any]) -> dict[str, Any]:
    """The template with ranges by name where they stand in the API's lists.

    A Describe answer has a list for each kind of range, also where it is empty: as a template it keeps them all.
    """
    holders = [template, *(item for item in _list(template.get(SEVERAL, [])) if isinstance(item, dict))]
    for holder in holders:
        lists = holder.get("hyperparameter_ranges")
        if not isinstance(lists, dict) or not lists or not lists.keys() <= _RANGE_LISTS:
            continue
        entries = [(kind, item) for kind, key in RANGE_LISTS.items() for item in _list(lists.get(key) or [])]
        names = [item.get("name") if isinstance(item, dict) else None for _, item in entries]
        if None in names or len(set(names)) < len(names) or {*names} <= _RANGE_LISTS:
            continue  # only the lists can say it
        holder["hyperparameter_ranges"] = {
            name: {"type": kind, **{key: value for key, value in item.items() if key != "name"}}
            for name, (kind, item) in zip(names, entries, strict=True)
        }
    return template


def _as_json(template: Mapping[str, Any]) -> str:
    return json.dumps(template, allow_nan=False)


def _verified(template: Mapping[str, Any]) -> None:
    """Raise where a template cannot be read, or be written again as it is.

    Raises:
        SpecError: With the message of the reader.
    """
    known = {*top_level_keys(), RUN, QUOTAS, BUDGET, LOCAL}
    if unknown := [key for key in template if key not in known]:
        raise SpecError(f"a tuning job has no {unknown[0]}; it has: {', '.join(top_level_keys())}")
    definitions = [*([template[SINGLE]] if SINGLE in template else []), *_list(template.get(SEVERAL, []))]
    if not all(isinstance(item, dict) and CLONE not in item for item in definitions) or (
        SEVERAL in template and not template[SEVERAL]
    ):
        raise SpecError("the definitions of a draft must be mappings written out, without clone")
    try:
        import_text(_as_json(template), "the draft", header="")
    except DocumentError as error:
        raise SpecError(error.message) from None
    except (HpoError, ValueError, RecursionError) as error:
        raise SpecError(str(error)) from None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _ordered(template: Mapping[str, Any]) -> dict[str, Any]:
    """The template with its keys in the order in which people fill it in; a name has its place before it is given."""
    ordered = _sorted({"name": "", **template}, _ORDER)
    if isinstance(single := ordered.get(SINGLE), dict):
        ordered[SINGLE] = _sorted(single, _DEFINITION_ORDER)
    if isinstance(several := ordered.get(SEVERAL), list):
        ordered[SEVERAL] = [_sorted(item, _DEFINITION_ORDER) if isinstance(item, dict) else item for item in several]
    return ordered


def _sorted(value: Mapping[str, Any], order: tuple[str, ...]) -> dict[str, Any]:
    rank = {key: number for number, key in enumerate(order)}
    return {key: value[key] for key in sorted(value, key=lambda key: rank.get(key, len(order)))}
