"""What rules look at: a declared job, read so that a value of the wrong type is simply not there.

The rule `shape` reports wrong types; every other rule can rely on the types that it gets here.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ..quotas import Quotas
from ..quotas.costs import Budget
from ..spec.declaration import CONFIG, Declaration, Path

_PSEUDO_PARAMETERS = {
    "${AWS::AccountId}": "123456789012",
    "${AWS::Region}": "us-east-1",
    "${AWS::Partition}": "aws",
    "${AWS::URLSuffix}": "amazonaws.com",
}


def settled(text: str) -> str:
    """The text with CloudFormation's pseudo parameters replaced by values of their kind."""
    if "${AWS::" in text:
        for name, value in _PSEUDO_PARAMETERS.items():
            text = text.replace(name, value)
    return text


def is_unknown(value: Any) -> bool:
    """Whether a text holds a value that is known at deployment only: a CDK token or a CloudFormation reference."""
    return isinstance(value, str) and "${" in value and "${" in settled(value)


class Structure:
    """A structure of the request, or an empty one where there is none.

    Attributes:
        place: Its path in the request.
        raw: Its members as they stand.
    """

    def __init__(self, raw: Any, place: Path) -> None:
        # The question that is cheap first: a check makes a hundred of them, and asks them for members a thousand times.
        self.present = type(raw) is dict or isinstance(raw, Mapping)
        self.raw: Mapping[str, Any] = raw if self.present else {}
        self.place = place
        self._members: dict[str, Structure] = {}
        self._lists: dict[str, tuple[Structure, ...]] = {}

    def __contains__(self, name: str) -> bool:
        return self.raw.get(name) is not None

    def path(self, *names: str | int) -> Path:
        """The path of a member, or of one below it."""
        return (*self.place, *names)

    def text(self, name: str) -> str | None:
        """A member that is a text."""
        value = self.raw.get(name)
        return value if isinstance(value, str) else None

    def whole(self, name: str) -> int | None:
        """A member that is a whole number."""
        value = self.raw.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def number(self, name: str) -> float | None:
        """A member that is a number."""
        value = self.raw.get(name)
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def flag(self, name: str) -> bool | None:
        """A member that is true or false."""
        value = self.raw.get(name)
        return value if isinstance(value, bool) else None

    def structure(self, name: str) -> "Structure":
        """A member that is a structure; empty when it is absent."""
        found = self._members.get(name)
        if found is None:
            found = self._members[name] = Structure(self.raw.get(name), (*self.place, name))
        return found

    def structures(self, name: str) -> "tuple[Structure, ...]":
        """The structures of a list, each with its own index."""
        found = self._lists.get(name)
        if found is None:
            value = self.raw.get(name)
            items = value if isinstance(value, list | tuple) else ()
            found = self._lists[name] = tuple(
                Structure(item, (*self.place, name, i)) for i, item in enumerate(items) if isinstance(item, Mapping)
            )
        return found

    def texts(self, name: str) -> list[tuple[Path, str]]:
        """The texts of a list with their paths."""
        value = self.raw.get(name)
        items = value if isinstance(value, list | tuple) else ()
        return [(self.path(name, i), item) for i, item in enumerate(items) if isinstance(item, str)]

    def mapping(self, name: str) -> dict[str, str]:
        """The entries of a map whose values are texts."""
        value = self.raw.get(name)
        entries = value.items() if isinstance(value, Mapping) else ()
        return {str(key): item for key, item in entries if isinstance(item, str)}


_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, slots=True)
class Range:
    """A searched hyperparameter.

    Attributes:
        name: The hyperparameter; empty when its name is missing.
        kind: Continuous, Integer, Categorical or Auto.
        place: The path of its entry in the request.
        low: The smallest value as a number, or None when it is not one.
        high: The largest value as a number, or None when it is not one.
        low_text: The smallest value as it is written.
        high_text: The largest value as it is written.
        scaling: The scaling type as it is written, or None.
        values: The values of a categorical one.
        hint: The value hint of an Auto one.
    """

    name: str
    kind: str
    place: Path
    low: float | None = None
    high: float | None = None
    low_text: str | None = None
    high_text: str | None = None
    scaling: str | None = None
    values: tuple[str, ...] = ()
    hint: str | None = None

    @property
    def count(self) -> float:
        """How many different values the range has; infinity for a continuous or unreadable one."""
        if self.kind == "Categorical":
            return len(set(self.values))
        if self.kind == "Integer" and self.low is not None and self.high is not None:
            return max(0.0, math.floor(self.high) - math.ceil(self.low) + 1)
        return math.inf


def parse_number(text: str | None) -> float | None:
    """The finite number that a text says, or None."""
    if text is None or not _NUMBER.fullmatch(text.strip()):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


RANGE_KINDS = {
    "ContinuousParameterRanges": "Continuous",
    "IntegerParameterRanges": "Integer",
    "CategoricalParameterRanges": "Categorical",
    "AutoParameters": "Auto",
}


def read_ranges(holder: Structure) -> list[Range]:
    """The searched hyperparameters of a `ParameterRanges` structure, in the order of the lists."""
    return [
        Range(
            name=entry.text("Name") or "",
            kind=kind,
            place=entry.place,
            low=parse_number(entry.text("MinValue")),
            high=parse_number(entry.text("MaxValue")),
            low_text=entry.text("MinValue"),
            high_text=entry.text("MaxValue"),
            scaling=entry.text("ScalingType"),
            values=tuple(text for _, text in entry.texts("Values")),
            hint=entry.text("ValueHint"),
        )
        for name, kind in RANGE_KINDS.items()
        for entry in holder.structures(name)
    ]


class Definition(Structure):
    """A training job definition with the objective and the ranges that hold for it.

    Attributes:
        objective: The objective: its own, or the one of the job's configuration.
        range_holder: The structure with its ranges: its own, or the one of the job's configuration.
        label: How messages name it: its own name, or its number.
    """

    def __init__(self, raw: Any, place: Path, config: Structure) -> None:
        super().__init__(raw, place)
        own = place[0] == "TrainingJobDefinitions"
        self.objective = (
            self.structure("TuningObjective") if own else config.structure("HyperParameterTuningJobObjective")
        )
        self.range_holder = self.structure("HyperParameterRanges") if own else config.structure("ParameterRanges")
        number = place[-1]
        self.label = self.text("DefinitionName") or (f"definition {number + 1}" if isinstance(number, int) else "")

    @cached_property
    def ranges(self) -> list[Range]:
        """The searched hyperparameters."""
        return read_ranges(self.range_holder)

    @cached_property
    def static(self) -> dict[str, str]:
        """The static hyperparameters."""
        return self.mapping("StaticHyperParameters")

    @property
    def algorithm(self) -> Structure:
        """The algorithm specification."""
        return self.structure("AlgorithmSpecification")


class Job(Structure):
    """A declared tuning job, with the quotas that it is checked against.

    Attributes:
        declaration: Where it came from.
        quotas: The limits of the account.
        app_budget: What all jobs that are checked together may use at most.
        config: Its HyperParameterTuningJobConfig.
        limits: Its ResourceLimits.
        definitions: Its training job definitions, in both forms of the request.
        several: Whether it has more than one algorithm.
    """

    def __init__(self, declaration: Declaration, quotas: Quotas) -> None:
        super().__init__(declaration.request, ())
        self.declaration = declaration
        self.quotas = quotas
        self.app_budget = Budget()
        self.config = self.structure(CONFIG)
        self.limits = self.config.structure("ResourceLimits")
        self.definitions = tuple(self._definitions())
        self.several = len(self.definitions) > 1

    def _definitions(self) -> Iterator[Definition]:
        single = self.structure("TrainingJobDefinition")
        if single.present:
            yield Definition(single.raw, single.place, self.config)
        for item in self.structures("TrainingJobDefinitions"):
            yield Definition(item.raw, item.place, self.config)

    @property
    def range_holders(self) -> list[Structure]:
        """Every structure with ranges, also one that no definition uses: its values have to be right all the same."""
        own = [item.structure("HyperParameterRanges") for item in self.definitions]
        return [self.config.structure("ParameterRanges"), *own]

    def spell(self, member: str) -> str:
        """A member's name as the user's input spells it."""
        return self.declaration.spell(member)

    @property
    def strategy(self) -> str | None:
        """The search strategy as it is written."""
        return self.config.text("Strategy")

    @property
    def autotune(self) -> bool:
        """Whether SageMaker chooses ranges and settings."""
        return self.structure("Autotune").text("Mode") == "Enabled"
