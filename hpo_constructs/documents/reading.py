"""From a tree of nodes to the request document, driven by the service model's shapes."""

from collections.abc import Callable
from typing import Any

from ..spec.declaration import Origin, Path
from ..spec.shapes import Shape, shape_model
from .nodes import Node

# Gives the API's name of a key of a structure, or None when the structure has no such member.
MemberFinder = Callable[[Shape, str], str | None]

# Rewrites a node in a short form into the API's form, given the shape it stands for and its path as a person writes
# it; None when it is no short form.
ShortForm = Callable[[Node, Shape, str], "Node | None"]


class RequestReader:
    """Reads nodes into the request and notes where each value stands.

    Faults are kept in the request as they are, under the key that the input has: the rules report them, all at once.
    """

    def __init__(self, find: MemberFinder, *, numbers_as_text: bool, short: ShortForm | None = None) -> None:
        """Make a reader.

        Args:
            find: Knows the input's spelling of members.
            numbers_as_text: Whether a number, boolean or date is taken where the API wants text, in the spelling of
                the input.
            short: Knows the short forms of the input; without it there are none.
        """
        self._find = find
        self._numbers_as_text = numbers_as_text
        self._short = short
        self._model = shape_model()
        self.origins: dict[Path, Origin] = {}

    def note(self, path: Path, text: str, node: Node) -> None:
        """Remember where the value of a path stands."""
        self.origins[path] = Origin(text, node.line, node.column)

    def read(self, node: Node, shape: Shape, path: Path, text: str) -> Any:
        """The request's value of a node.

        Args:
            node: The node.
            shape: What the API expects there.
            path: The value's place in the request.
            text: The value's place in the input, as a person would write it.
        """
        if self._short is not None:
            node = self._short(node, shape, text) or node
        if shape.type == "structure" and node.kind == "mapping":
            return dict(self.read_member(node, key, shape, path, text) for key in node.entries)
        if shape.type == "list" and node.kind == "sequence" and shape.member:
            item_shape = self._model.shapes[shape.member]
            return [
                self._item(item, item_shape, (*path, i), _place(text, item, f"[{i}]"))
                for i, item in enumerate(node.items)
            ]
        if shape.type == "map" and node.kind == "mapping" and shape.value:
            value_shape = self._model.shapes[shape.value]
            return {
                key: self._entry(node, key, value_shape, (*path, key), _place(text, value, f".{key}"))
                for key, value in node.entries.items()
            }
        if shape.type == "string" and node.kind == "scalar" and not node.is_null and self._numbers_as_text:
            return node.text
        return node.plain()

    def read_member(self, node: Node, key: str, shape: Shape, path: Path, text: str) -> tuple[str, Any]:
        """The API's name and the request's value of one key of a mapping that stands for a structure."""
        name = self._find(shape, key)
        member = self._model.member(shape, name) if name else None
        place = _place(text, node.entries[key], f".{key}")
        target = (*path, name or key)
        if name is None or member is None:
            self.note(target, place, node.keys[key])
            return key, node.entries[key].plain()
        return name, self._entry(node, key, member, target, place)

    def _entry(self, node: Node, key: str, shape: Shape, path: Path, text: str) -> Any:
        value = node.entries[key]
        # A scalar's own place is where the mistake is; a block's place is its key.
        self.note(path, text, value if value.kind == "scalar" and value.text else node.keys[key])
        return self.read(value, shape, path, text)

    def _item(self, node: Node, shape: Shape, path: Path, text: str) -> Any:
        self.note(path, text, node)
        return self.read(node, shape, path, text)


def _place(text: str, node: Node, step: str) -> str:
    """The path of a node below the one with the path `text`, as a person would write it."""
    if node.label is not None:
        step = f".{node.label}" if node.label else ""
    return (text + step).removeprefix(".")
