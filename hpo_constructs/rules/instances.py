"""The instances that a definition asks for, in whichever of the API's forms."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..catalog.instances import InstanceType, instance_type
from ..spec.declaration import Path
from .job import Definition, Structure, is_unknown

RESOURCE_FORMS = ("ResourceConfig", "HyperParameterTuningResourceConfig")
# Lists whose entries name an instance type each.
_LISTS = ("InstanceGroups", "InstancePreferences", "InstanceConfigs")


@dataclass(frozen=True, slots=True)
class Request:
    """One instance type that a definition may use.

    Attributes:
        name: The instance type as it is written; None when it is missing.
        count: How many instances; None when it is not stated.
        place: The path of the structure that states them.
        member: The list that the structure stands in; empty for the resource structure itself.
    """

    name: str | None
    count: int | None
    place: Path
    member: str = ""


def resource_forms(definition: Definition) -> list[Structure]:
    """The structures of a definition that state instances; a right definition has one."""
    return [found for name in RESOURCE_FORMS if (found := definition.structure(name)).present]


def requests(definition: Definition) -> Iterator[Request]:
    """Every instance type that a definition states."""
    for resources in resource_forms(definition):
        if "InstanceType" in resources or "InstanceCount" in resources:
            yield Request(resources.text("InstanceType"), resources.whole("InstanceCount"), resources.place)
        for member in _LISTS:
            for entry in resources.structures(member):
                yield Request(entry.text("InstanceType"), entry.whole("InstanceCount"), entry.place, member)


def node_count(definition: Definition) -> int | None:
    """The most instances that one training job of a definition runs on; None when it is not stated."""
    found = list(requests(definition))
    counts = [request.count for request in found if request.count is not None]
    if not counts or len(counts) < len(found):
        return None
    # The groups of a cluster run together; of alternatives, one is taken.
    groups = [request.count or 0 for request in found if request.member == "InstanceGroups"]
    return sum(groups) if groups else max(counts)


def instance_facts(name: str | None) -> InstanceType | None:
    """The catalog's facts of an instance type; None where the name is missing, ill-formed or not known yet."""
    return None if name is None or is_unknown(name) else _facts(name)


@lru_cache(maxsize=1024)
def _facts(name: str) -> InstanceType | None:
    return instance_type(name)
