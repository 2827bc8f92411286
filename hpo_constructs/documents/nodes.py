"""YAML and JSON text as a tree of nodes that know their lines.

PyYAML on libyaml composes both, in a tenth of a millisecond. YAML is read by version 1.2's core schema, so `Off` is a
text and not a boolean. Values keep their spelling: `1e-05` and `0.10` stay what was written, wherever the request
wants text.
"""

import json
import math
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar

from ..errors import DocumentError

# A team template has a few hundred lines. The limits keep a hostile or mistaken file from taking the machine down:
# the composer recurses once per level, and aliases can multiply.
MAX_BYTES = 4_000_000
MAX_DEPTH = 60
MAX_NODES = 200_000

# Text shorter than this can hold neither too many values nor take long; its nesting is looked at, all the same.
_SHORT = 100_000
# Block collections that begin on one line: `- - - ? - x`.
_INLINE_BLOCKS = re.compile(r"(?:[-?:][ \t]+){30}")
# JSON writes a character beyond the basic plane as two escapes; YAML knows no such pairs.
_PAIRED_ESCAPES = re.compile(r"\\\\|\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})")

_STR, _NULL, _BOOL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null", "tag:yaml.org,2002:bool"
_INT, _FLOAT, _MERGE = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:merge"
_PLAIN_TAGS = {_STR, _NULL, _BOOL, _INT, _FLOAT}

# https://yaml.org/spec/1.2.2/#1032-tag-resolution, and the merge key, which 1.2 dropped and everybody uses. The third
# member holds the characters that such a scalar can begin with.
_CORE_SCHEMA: tuple[tuple[str, str, list[str]], ...] = (
    (_NULL, r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    (_BOOL, r"^(?:true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    (_INT, r"^(?:[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        _FLOAT,
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        list("-+0123456789."),
    ),
    (_MERGE, r"^<<$", ["<"]),
)


class Node:
    """A node of the document: a scalar, a list or a mapping.

    Attributes:
        kind: "scalar", "sequence" or "mapping".
        tag: The YAML tag of a scalar.
        text: A scalar's text as it was written.
        items: A sequence's nodes.
        entries: A mapping's values by key; `keys` has the nodes of the keys.
        line: Line, from 1.
        column: Column, from 1.
        label: How a path names the node, where that is not its key or index: the short forms of a template leave
            out levels that the API has. Empty for a level that the person did not write.
    """

    __slots__ = ("column", "entries", "items", "keys", "kind", "label", "line", "tag", "text")

    def __init__(self, kind: str, line: int, column: int) -> None:
        self.kind = kind
        self.line = line
        self.column = column
        self.label: str | None = None
        self.tag = ""
        self.text = ""
        self.items: list[Node] = []
        self.entries: dict[str, Node] = {}
        self.keys: dict[str, Node] = {}

    @classmethod
    def scalar(cls, text: str, at: "Node", tag: str = _STR) -> "Node":
        """A scalar that stands where another node does."""
        node = cls("scalar", at.line, at.column)
        node.tag, node.text = tag, text
        return node

    @classmethod
    def mapping(cls, entries: "dict[str, Node]", at: "Node", keys: "dict[str, Node] | None" = None) -> "Node":
        """A mapping that stands where another node does; keys without a place of their own stand there too."""
        node = cls("mapping", at.line, at.column)
        node.entries = entries
        node.keys = {key: (keys or {}).get(key, at) for key in entries}
        return node

    @classmethod
    def sequence(cls, items: "list[Node]", at: "Node") -> "Node":
        """A sequence that stands where another node does."""
        node = cls("sequence", at.line, at.column)
        node.items = items
        return node

    def labelled(self, label: str) -> "Node":
        """The same node under a label; the nodes below are shared."""
        node = Node(self.kind, self.line, self.column)
        node.tag, node.text = self.tag, self.text
        node.items, node.entries, node.keys = self.items, self.entries, self.keys
        node.label = label
        return node

    @property
    def is_null(self) -> bool:
        """Whether the node is YAML's null: nothing after the colon, `null` or `~`."""
        return self.kind == "scalar" and self.tag == _NULL

    def plain(self) -> Any:
        """The value as plain Python data, numbers and booleans resolved."""
        match self.kind:
            case "mapping":
                return {key: node.plain() for key, node in self.entries.items()}
            case "sequence":
                return [node.plain() for node in self.items]
        return _scalar(self.tag, self.text)


def parse(text: str, file: str) -> list[Node]:
    """The documents of a YAML or JSON text; empty documents are left out.

    Raises:
        DocumentError: The text is neither, or a mapping has a key twice, or it is too large or too deeply nested.
    """
    if len(text) > MAX_BYTES:
        raise DocumentError(f"the file has {len(text):,} characters, at most {MAX_BYTES:,} are read", file=file)
    text = text.removeprefix("\ufeff")
    if text.lstrip()[:1] in {"{", "["} and _is_json(text):
        # JSON may be indented by tabs, YAML may not. A tab in valid JSON is always white space.
        text = _PAIRED_ESCAPES.sub(_joined, text.replace("\t", " "))
    _refuse_monsters(text, file)
    return [_Builder(file).build(node) for node in _composed(text, file) if not _is_empty(node)]


def _is_empty(node: Any) -> bool:
    return node is None or (node.id == "scalar" and node.tag == _NULL and not node.value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _joined(escapes: re.Match[str]) -> str:
    high, low = escapes.groups()
    if high is None:
        return escapes[0]  # an escaped backslash, whatever follows it
    return chr(0x10000 + ((int(high, 16) - 0xD800) << 10) + (int(low, 16) - 0xDC00))


@cache
def _loader() -> Any:
    """A loader of PyYAML (libyaml where it is built in) that resolves scalars by YAML 1.2's core schema."""
    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
        yaml_implicit_resolvers: ClassVar[dict[str, Any]] = {}

    for tag, pattern, first in _CORE_SCHEMA:
        Loader.add_implicit_resolver(tag, re.compile(pattern), first)
    return Loader


def _composed(text: str, file: str) -> Iterator[Any]:
    import yaml

    try:
        yield from yaml.compose_all(text, Loader=_loader())
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"the file is not text: {error.reason}", file=file) from None
    except UnicodeError as error:
        raise DocumentError(f"the file is not text: {error}", file=file) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise DocumentError(
            f"not readable as YAML or JSON: {problem}",
            file=file,
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        ) from None


def _refuse_monsters(text: str, file: str) -> None:
    """Refuse text that nests too deeply or holds too much, before the composer recurses into it."""
    flows = text.count("[") + text.count("{")
    deep = flows > MAX_DEPTH or "\n" + " " * MAX_DEPTH in text or _INLINE_BLOCKS.search(text) is not None
    if not deep and len(text) <= _SHORT:
        return
    import yaml

    depth = count = 0
    try:
        for event in yaml.parse(text, Loader=_loader()):
            if isinstance(event, yaml.NodeEvent):
                count += 1
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                raise _error(_TOO_DEEP, file, event.start_mark)
            if count > MAX_NODES:
                raise _error(_TOO_MANY, file, event.start_mark)
    except (yaml.YAMLError, UnicodeError):
        return  # the composer reports it with its place


_TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
_TOO_MANY = f"more than {MAX_NODES:,} values, aliases counted wherever they are used"


def _error(message: str, file: str, mark: Any) -> DocumentError:
    return DocumentError(message, file=file, line=mark.line + 1, column=mark.column + 1)


class _Builder:
    """Turns the composer's nodes into ours: merge keys applied, keys checked."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = 0
        self._open: set[int] = set()

    def build(self, source: Any) -> Node:
        self._count += 1
        mark = source.start_mark
        if self._count > MAX_NODES:
            raise _error(_TOO_MANY, self._file, mark)
        if len(self._open) >= MAX_DEPTH and source.id != "scalar":
            raise _error(_TOO_DEEP, self._file, mark)
        node = Node(source.id, mark.line + 1, mark.column + 1)
        if source.id == "scalar":
            node.tag = source.tag if source.tag in _PLAIN_TAGS else _STR
            node.text = source.value
            return node
        if id(source) in self._open:
            raise _error("an alias refers to a value that contains it", self._file, mark)
        self._open.add(id(source))
        if source.id == "sequence":
            node.items = [self.build(item) for item in source.value]
        else:
            self._build_mapping(node, source)
        self._open.discard(id(source))
        return node

    def _build_mapping(self, node: Node, source: Any) -> None:
        merged: list[Node] = []
        for key, value in source.value:
            if key.id != "scalar":
                raise _error("a key must be a text, got a list or a mapping", self._file, key.start_mark)
            if key.tag == _MERGE:
                built = self.build(value)
                others = built.items if built.kind == "sequence" else [built]
                if any(other.kind != "mapping" for other in others):
                    raise _error("the merge key << takes a mapping or a list of mappings", self._file, key.start_mark)
                merged.extend(others)
                continue
            if key.value in node.entries:
                first = node.keys[key.value]
                raise _error(
                    f"the key {key.value} stands twice, first in line {first.line}", self._file, key.start_mark
                )
            key_node = Node("scalar", key.start_mark.line + 1, key.start_mark.column + 1)
            node.keys[key.value] = key_node
            node.entries[key.value] = self.build(value)
        for other in merged:
            for name, entry in other.entries.items():
                if name not in node.entries:
                    node.entries[name] = entry
                    node.keys[name] = other.keys[name]


def _scalar(tag: str, text: str) -> Any:
    if tag == _NULL:
        return None
    if tag == _BOOL:
        return text.lower() == "true"
    try:
        if tag == _INT:
            return int(text, 0 if text[:2] in {"0x", "0o"} else 10)
        if tag == _FLOAT:
            return _float(text.lower())
    except ValueError:
        return text
    return text


def _float(text: str) -> float:
    sign = -1.0 if text.startswith("-") else 1.0
    match text.lstrip("+-"):
        case ".inf":
            return sign * math.inf
        case ".nan":
            return math.nan
        case digits:
            return sign * float(digits)
