"""What botocore's service model says of CreateHyperParameterTuningJob, as data.

The data file is written by `scripts/update-shapes`. Reading it needs no botocore, so a check stays quick.
"""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True, slots=True)
class Shape:
    """One shape of the service model.

    Attributes:
        type: structure, list, map, string, integer, long, float or boolean.
        minimum: Smallest value, length or number of items; None without one.
        maximum: Largest value, length or number of items; None without one.
        pattern: Regular expression that the whole string matches; None without one.
        enum: The values allowed; empty when any are.
        members: A structure's members, by the API's name, with the names of their shapes.
        required: A structure's required members.
        member: The shape of a list's items.
        key: The shape of a map's keys.
        value: The shape of a map's values.
    """

    name: str
    type: str
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    enum: tuple[str, ...] = ()
    members: dict[str, str] | None = None
    required: tuple[str, ...] = ()
    member: str | None = None
    key: str | None = None
    value: str | None = None


@dataclass(frozen=True, slots=True)
class ShapeModel:
    """All shapes that the request reaches.

    Attributes:
        botocore: The botocore release that the data was read from.
        root: The request's own shape.
        describe_only: Members that only Describe's answer has.
    """

    botocore: str
    root: Shape
    describe_only: frozenset[str]
    shapes: dict[str, Shape]

    def member(self, shape: Shape, name: str) -> Shape | None:
        """The shape of a structure's member, or None when the structure has no such member."""
        target = (shape.members or {}).get(name)
        return self.shapes[target] if target else None


@cache
def shape_model() -> ShapeModel:
    """The constraints of the request, read once from the package's data file."""
    text = resources.files(__package__).joinpath("data/shapes.json").read_text(encoding="utf-8")
    data = json.loads(text)
    shapes = {
        name: Shape(
            name=name,
            type=facts["type"],
            minimum=facts.get("min"),
            maximum=facts.get("max"),
            pattern=facts.get("pattern"),
            enum=tuple(facts.get("enum", ())),
            members=facts.get("members"),
            required=tuple(facts.get("required", ())),
            member=facts.get("member"),
            key=facts.get("key"),
            value=facts.get("value"),
        )
        for name, facts in data["shapes"].items()
    }
    return ShapeModel(
        botocore=data["botocore"],
        root=shapes[data["root"]],
        describe_only=frozenset(data["describe_only"]),
        shapes=shapes,
    )


def in_api_order(value: Any, shape: Shape | None = None) -> Any:
    """A request, or a part of it, with the members of its structures in the API's order; what it holds is the same."""
    model = shape_model()
    shape = shape or model.root
    if isinstance(value, dict) and shape.type == "structure":
        members = [name for name in shape.members or {} if name in value]
        known = {name: in_api_order(value[name], model.member(shape, name)) for name in members}
        return {**known, **{name: item for name, item in value.items() if name not in known}}
    if isinstance(value, list) and shape.member:
        return [in_api_order(item, model.shapes[shape.member]) for item in value]
    return value
