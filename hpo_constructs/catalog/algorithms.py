"""The built-in algorithms: what they tune, what they need, what they run on.

The facts are those of the SageMaker developer guide; `edition()` dates them, and each algorithm names its pages and
the places where the guide contradicts itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

from ..errors import CatalogError
from ._data import load, suggestion

ParameterType = Literal["Integer", "Continuous", "Categorical"]
HyperparameterType = Literal["Integer", "Continuous", "Categorical", "Text"]
Direction = Literal["Maximize", "Minimize"]


@dataclass(frozen=True, slots=True)
class TunableHyperparameter:
    """A hyperparameter that the guide names as tunable, with the range that it recommends.

    Attributes:
        name: The hyperparameter's name.
        type: The kind of range.
        min: The least recommended value; None for a categorical one.
        max: The greatest recommended value; None for a categorical one.
        values: The recommended values of a categorical one, else empty.
        scaling: The recommended scaling type; None where the guide names none.
    """

    name: str
    type: ParameterType
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] = ()
    scaling: str | None = None


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """A hyperparameter of the algorithm's documented table.

    Attributes:
        name: The hyperparameter's name.
        type: The kind of value; None where the guide does not say.
        min: The least allowed value, or None.
        max: The greatest allowed value, or None.
        min_exclusive: The value must be above `min`.
        max_exclusive: The value must be below `max`.
        choices: The allowed values where they are a list.
        also: Words that are allowed beside numbers, such as `auto`.
        suggested: The range that the table suggests within the allowed one, or None.
        default: The value without one being given, as a string, or None.
        text: What else the guide says of allowed values, in words, or None.
    """

    name: str
    type: HyperparameterType | None = None
    min: float | None = None
    max: float | None = None
    min_exclusive: bool = False
    max_exclusive: bool = False
    choices: tuple[str, ...] = ()
    also: tuple[str, ...] = ()
    suggested: tuple[float, float] | None = None
    default: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """A hyperparameter that is required when another one has certain values.

    Attributes:
        name: The required hyperparameter.
        when: The hyperparameter that it depends on.
        values: The values of `when` that require it; empty when any value does.
    """

    name: str
    when: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Channel:
    """An input channel.

    Attributes:
        name: The channel's name.
        required: Whether training needs it.
        aliases: Other names that the algorithm takes for it.
    """

    name: str
    required: bool
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A built-in algorithm.

    Attributes:
        name: The name that the SageMaker Python SDK gives it.
        title: The name in the guide.
        objective_metrics: The metrics that a tuning job can optimize, each with its direction.
        tunable: The hyperparameters that the guide names as tunable, by name.
        known: The hyperparameters of the documented table, by name.
        known_complete: Whether the table is all that the algorithm takes.
        required: Hyperparameters that are always required.
        required_when: Hyperparameters that are required under a condition.
        iterative: Whether it trains in epochs or rounds, as Hyperband needs; None where the guide leaves it open.
        resource_hyperparameters: The hyperparameters that count epochs or rounds.
        early_stopping: Whether it reports the objective after every epoch, so that a tuning job can stop a
            training job early.
        early_stopping_metrics: The metrics that it does this for; empty means all.
        own_image: Whether it has an image of its own, whose metrics SageMaker knows. The others are trained by
            SageMaker JumpStart in a framework container with a script, and need metric definitions.
        channels: The input channels.
        input_modes: The documented input modes (the guide's table is older than FastFile).
        file_types: The documented kinds of training data, in the guide's words.
        content_types: The documented content types of the channels; empty where the guide lists none.
        cpu: Whether it trains on instances without a GPU.
        gpu: Whether it trains on instances with a GPU.
        single_instance: Whether it trains on one instance only.
        checkpoints: Whether it writes checkpoints, as managed spot training wants; None where the guide leaves
            it open.
        sources: The guide's pages by topic.
        notes: Where these facts differ from the guide, and why.
    """

    name: str
    title: str
    objective_metrics: Mapping[str, Direction]
    tunable: Mapping[str, TunableHyperparameter]
    known: Mapping[str, Hyperparameter]
    known_complete: bool
    required: tuple[str, ...]
    required_when: tuple[Requirement, ...]
    iterative: bool | None
    resource_hyperparameters: tuple[str, ...]
    early_stopping: bool
    early_stopping_metrics: tuple[str, ...]
    own_image: bool
    channels: tuple[Channel, ...]
    input_modes: tuple[str, ...]
    file_types: tuple[str, ...]
    content_types: tuple[str, ...]
    cpu: bool
    gpu: bool
    single_instance: bool
    checkpoints: bool | None
    sources: Mapping[str, str]
    notes: tuple[str, ...]

    def hyperparameter_type(self, name: str) -> HyperparameterType | None:
        """The documented type of a hyperparameter, from the table or else from the tuning page.

        None: the algorithm documents no such hyperparameter, or no type for it.
        """
        if (known := self.known.get(name)) is not None and known.type is not None:
            return known.type
        tunable = self.tunable.get(name)
        return tunable.type if tunable is not None else None

    def stops_early(self, metric: str) -> bool:
        """Whether early stopping has an effect on a tuning job with this objective metric."""
        return self.early_stopping and (not self.early_stopping_metrics or metric in self.early_stopping_metrics)


def _tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in facts.items()}


def edition() -> str:
    """The year and month of the guide that the facts are from."""
    return str(load("builtin-algorithms")["edition"])


def builtin_names() -> tuple[str, ...]:
    """The names of all built-in algorithms, in alphabetical order."""
    return tuple(load("builtin-algorithms")["algorithms"])


@cache
def builtin(name: str) -> Algorithm | None:
    """The built-in algorithm of that name (the SageMaker Python SDK's), or None."""
    data = load("builtin-algorithms")
    facts = data["algorithms"].get(name)
    if facts is None:
        return None
    return Algorithm(
        name=name,
        title=facts["title"],
        objective_metrics=MappingProxyType(facts["objective_metrics"]),
        tunable=MappingProxyType(
            {key: TunableHyperparameter(key, **_tuples(value)) for key, value in facts["tunable"].items()}
        ),
        known=MappingProxyType({key: Hyperparameter(key, **_tuples(value)) for key, value in facts["known"].items()}),
        known_complete=facts["known_complete"],
        required=tuple(facts["required"]),
        required_when=tuple(Requirement(**_tuples(value)) for value in facts.get("required_when", ())),
        iterative=facts["iterative"],
        resource_hyperparameters=tuple(facts["resource_hyperparameters"]),
        early_stopping=facts["early_stopping"],
        early_stopping_metrics=tuple(facts.get("early_stopping_metrics", ())),
        own_image=facts["own_image"],
        channels=tuple(Channel(**_tuples(value)) for value in facts["channels"]),
        input_modes=tuple(facts["input_modes"]),
        file_types=tuple(facts["file_types"]),
        content_types=tuple(facts.get("content_types", ())),
        cpu=facts["cpu"],
        gpu=facts["gpu"],
        single_instance=facts["single_instance"],
        checkpoints=facts["checkpoints"],
        sources=MappingProxyType({**data["sources"], **facts["sources"]}),
        notes=tuple(facts.get("notes", ())),
    )


def known_builtin(name: str) -> Algorithm:
    """The built-in algorithm of that name.

    Raises:
        CatalogError: There is none; the message lists them.
    """
    algorithm = builtin(name)
    if algorithm is None:
        names = builtin_names()
        raise CatalogError(
            f"algorithm {name!r} is not a built-in one{suggestion(name, names)} (allowed: {', '.join(names)})"
        )
    return algorithm
