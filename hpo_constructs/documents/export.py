"""Declarations written as a team template, in its short forms wherever they say the same.

What is written is read again and compared before it is given out: a template never says something else than what it
was made from.
"""

import json
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any

from ..errors import DocumentError, HpoError
from ..spec.declaration import CONFIG, Declaration, Form, Path
from ..spec.names import declared_name, snake_name
from ..spec.shapes import Shape, shape_model
from .comments import Comment, comments_of
from .files import read_node, read_text, text_of
from .nodes import Node, parse
from .template import BUDGET, DEFAULTS, JOBS, LOCAL, QUOTAS, RANGE_LISTS, RUN

WIDTH = 110
_INDENT = "  "

_FORMS = {
    Form.TEMPLATE: "a team template",
    Form.SPEC: "a declaration in Python",
    Form.REQUEST: "a CreateHyperParameterTuningJob request",
    Form.DESCRIBE: "a DescribeHyperParameterTuningJob answer",
    Form.ACK: "an ACK HyperParameterTuningJob manifest",
}

# Texts that need no quotes: no character that YAML gives a meaning, in a block or, without colons and braces, in a
# one-line mapping or list.
_START = r"(?:[0-9]+\.[A-Za-z]|\.\.?/|[A-Za-z_/])"
_PLAIN = re.compile(rf"{_START}[A-Za-z0-9_./@+=${{}}:-]*(?<!:)")
_PLAIN_IN_LINE = re.compile(rf"{_START}[A-Za-z0-9_./@+=-]*")
# Numbers and booleans that any YAML reader shows as they are written.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|true|false")
# The shapes of values that are text for the API and often numbers for people have names that end so.
_VALUE_SHAPES = "Value"

_RANGE_MEMBERS = {
    "ContinuousParameterRanges": ("Continuous", {"Name", "MinValue", "MaxValue", "ScalingType"}),
    "IntegerParameterRanges": ("Integer", {"Name", "MinValue", "MaxValue", "ScalingType"}),
    "CategoricalParameterRanges": ("Categorical", {"Name", "Values"}),
    "AutoParameters": ("Auto", {"Name", "ValueHint"}),
}
_ROWS = {"hyperparameter_ranges", "static_hyperparameters", "environment", "tags", "metric_definitions"}


def import_file(path: str | FilePath) -> str:
    """The team template of a file in any of the forms; a template itself comes with defaults and clones written out.

    Comments of a YAML file are kept.

    Raises:
        DocumentError: The file is missing, cannot be read, or declares no tuning job.
        HpoError: A template cannot say what the file says.
    """
    file = str(path)
    return import_text(text_of(path), file)


def import_text(text: str, file: str, *, header: str | None = None, notes: Mapping[str, str] | None = None) -> str:
    """The team template of a text in any of the forms; see `import_file`.

    Args:
        text: The text.
        file: Its name, for messages and for the header.
        header: Lines that stand first, each a comment. Without it: where the template comes from, for a text that is
            none itself.
        notes: Comments by the paths of values, as a template spells paths, without their `#`: beside a short value,
            else above it.
    """
    documents: list[tuple[list[Declaration], dict[str, _Tree]]] = []
    for node in _single_documents(parse(text, file)):
        declared = read_node(node, file)
        template = declared[0].form is Form.TEMPLATE
        if documents and not template and documents[-1][0][-1].form is not Form.TEMPLATE:
            documents[-1][0].extend(declared)  # requests of one file become one template
            continue
        documents.append((declared, _blocks(node) if template else {}))
    if not documents:
        read_text(text, file)  # says what is wrong with an empty file
    if header is None:
        header = "" if documents[0][0][0].form is Form.TEMPLATE else _header(file, documents[0][0])
    trees = [_document(declared, blocks) for declared, blocks in documents]
    for tree in trees:
        _annotate(tree, notes or {}, "", 0)
    written = _written(trees, header, comments_of(text))
    _compare([item for declared, _ in documents for item in declared], written, file)
    return written


def _blocks(node: Node) -> "dict[str, _Tree]":
    """The blocks that a template has beside its jobs, as they were written."""
    found = {}
    for key in (RUN, QUOTAS, BUDGET, LOCAL):
        # What defaults and jobs say of runs together is known to the declarations only.
        if key in node.entries and not (key == RUN and DEFAULTS in node.entries):
            found[key] = _tree_of(node.entries[key])
            found[key].line, found[key].column = node.keys[key].line, node.keys[key].column
    return found


def _single_documents(nodes: Iterable[Node]) -> Iterator[Node]:
    for node in nodes:
        if node.kind == "sequence" and node.items:
            yield from _single_documents(node.items)
        else:
            yield node


def template_text(declarations: Iterable[Declaration | Mapping[str, Any]]) -> str:
    """The team template of declarations or of requests of CreateHyperParameterTuningJob.

    Raises:
        HpoError: A template cannot say what a request says.
    """
    declared = [item if isinstance(item, Declaration) else Declaration(dict(item)) for item in declarations]
    written = _written([_document(declared, {})], "", [])
    _compare(declared, written, "the template")
    return written


@dataclass
class _Tree:
    """A value of the template: a scalar, a mapping or a list, with its line in the source."""

    scalar: str = ""
    in_line: str = ""
    entries: "list[tuple[str, _Tree]] | None" = None
    items: "list[_Tree] | None" = None
    line: int = 0
    column: int = 0
    rows: bool = False
    before: list[str] = field(default_factory=list)
    behind: list[str] = field(default_factory=list)

    def below(self) -> "Iterator[_Tree]":
        """The values inside, in the order in which they are written."""
        for child in [*(value for _, value in self.entries or ()), *(self.items or ())]:
            yield child
            yield from child.below()


def _header(file: str, declared: list[Declaration]) -> str:
    forms = {_FORMS[item.form] for item in declared}
    shown = "".join(character if character.isprintable() else "?" for character in file)
    return f"# Imported from {shown}: {', '.join(sorted(forms))}.\n"


def _document(declared: list[Declaration], blocks: dict[str, _Tree]) -> _Tree:
    """The tree of one YAML document."""
    for declaration in declared:
        if declaration.faults:
            fault = declaration.faults[0]
            raise DocumentError(
                f"{fault.origin.path}: {fault.message}; {fault.fix}",
                file=declaration.file,
                line=fault.origin.line or None,
                column=fault.origin.column or None,
            )
    jobs = [_JobTree(declaration).tree() for declaration in declared]
    for declaration, job in zip(declared, jobs, strict=True):
        changed = {
            item.name: getattr(declaration.run, item.name)
            for item in fields(declaration.run)
            if getattr(declaration.run, item.name) != item.default
        }
        if changed and RUN not in blocks:
            job.entries = [*(job.entries or []), (RUN, _plain_tree(changed))]
    document = jobs[0] if len(jobs) == 1 else _Tree(entries=[(JOBS, _Tree(items=jobs))])
    document.entries = [*(document.entries or []), *blocks.items()]
    if len(jobs) == 1 and declared[0].form is Form.TEMPLATE:
        document.entries.sort(key=lambda entry: (entry[1].line or math.inf, entry[1].column))
    return document


class _JobTree:
    """Turns one request into the tree of a job."""

    def __init__(self, declaration: Declaration) -> None:
        self._declaration = declaration
        self._model = shape_model()
        self._short: dict[str, Callable[[Any, Path], _Tree | None]] = {
            "ParameterRanges": self._ranges,
            "TagList": lambda value, path: self._pairs(value, path, "Key", "Value", "TagValue"),
            "MetricDefinitionList": lambda value, path: self._pairs(value, path, "Name", "Regex", "MetricRegex"),
            "InputDataConfig": self._channels,
            "HyperParameterAlgorithmSpecification": self._algorithm,
            "S3DataSource": self._s3_source,
            "ParentHyperParameterTuningJob": self._parent,
        }

    def tree(self) -> _Tree:
        request = dict(self._declaration.request)
        config = request.pop(CONFIG, {})
        config_shape = self._model.member(self._model.root, CONFIG)
        entries = self._members(request, self._model.root, ())
        if isinstance(config, dict) and config_shape is not None:
            inner = self._members(config, config_shape, (CONFIG,))
            entries = [*entries[:1], *inner, *entries[1:]]
        if self._declaration.form is Form.TEMPLATE:
            entries.sort(key=lambda entry: (entry[1].line, entry[1].column))
        return self._placed(_Tree(entries=entries), ())

    def _members(self, value: dict[str, Any], shape: Shape, path: Path) -> list[tuple[str, _Tree]]:
        name_of = declared_name if shape is self._model.root or shape.name == CONFIG else snake_name
        entries = []
        # A definition's name stands first, whatever defaults and clones have brought.
        for name, item in sorted(value.items(), key=lambda entry: entry[0] != "DefinitionName"):
            member = self._model.member(shape, name)
            key = name_of(name) if member else name
            tree = self._value(item, member, (*path, name))
            tree.rows = tree.rows or key in _ROWS
            entries.append((key, tree))
        return entries

    def _value(self, value: Any, shape: Shape | None, path: Path) -> _Tree:
        if shape is None:
            return self._placed(_plain_tree(value), path)
        short = self._short.get(shape.name)
        tree = short(value, path) if short else None
        if tree is None:
            tree = self._long(value, shape, path)
        return self._placed(tree, path)

    def _long(self, value: Any, shape: Shape, path: Path) -> _Tree:
        if shape.type == "structure" and isinstance(value, dict):
            return _Tree(entries=self._members(value, shape, path))
        if shape.type == "map" and isinstance(value, dict):
            inner = self._model.shapes[shape.value or ""]
            return _Tree(entries=[(key, self._value(item, inner, (*path, key))) for key, item in value.items()])
        if shape.type == "list" and isinstance(value, list | tuple):
            inner = self._model.shapes[shape.member or ""]
            return _Tree(items=[self._value(item, inner, (*path, i)) for i, item in enumerate(value)])
        if isinstance(value, str):
            return _text_tree(value, number=shape.type == "string" and shape.name.endswith(_VALUE_SHAPES))
        return _plain_tree(value)

    def _placed(self, tree: _Tree, path: Path) -> _Tree:
        origin = self._declaration.origins.get(path)
        if origin is not None and not tree.line:
            tree.line, tree.column = origin.line, origin.column
        return tree

    def _ranges(self, value: Any, path: Path) -> _Tree | None:
        if not isinstance(value, dict) or not value or not value.keys() <= _RANGE_MEMBERS.keys():
            return None
        entries: list[tuple[str, _Tree]] = []
        for name, items in value.items():
            kind, members = _RANGE_MEMBERS[name]
            if not isinstance(items, list | tuple) or not items:
                return None
            for index, item in enumerate(items):
                place = (*path, name, index)
                if not isinstance(item, dict) or not item.keys() <= members or not isinstance(item.get("Name"), str):
                    return None
                entries.append((item["Name"], self._placed(self._range(item, kind, place), place)))
        names = {name for name, _ in entries}
        if len(names) < len(entries) or names <= set(RANGE_LISTS.values()):
            return None
        if all(tree.line for _, tree in entries):
            entries.sort(key=lambda entry: (entry[1].line, entry[1].column))
        return _Tree(entries=entries)

    def _range(self, item: dict[str, Any], kind: str, path: Path) -> _Tree:
        shape = next(
            self._model.shapes[target]
            for target in ("ContinuousParameterRange", "CategoricalParameterRange", "AutoParameter")
            if item.keys() <= (self._model.shapes[target].members or {}).keys()
        )
        if kind == "Categorical" and isinstance(item.get("Values"), list | tuple):
            values = self._model.member(self._model.shapes["CategoricalParameterRange"], "Values")
            return self._value(item["Values"], values, (*path, "Values"))
        rest = self._members({key: value for key, value in item.items() if key != "Name"}, shape, path)
        return _Tree(entries=[("type", _text_tree(kind)), *rest])

    def _pairs(self, value: Any, path: Path, key: str, text: str, shape: str) -> _Tree | None:
        if not isinstance(value, list | tuple) or not value:
            return None
        entries = []
        for index, item in enumerate(value):
            if not isinstance(item, dict) or item.keys() != {key, text}:
                return None
            if not isinstance(item[key], str) or not isinstance(item[text], str):
                return None
            tree = self._value(item[text], self._model.shapes.get(shape), (*path, index, text))
            entries.append((item[key], self._placed(tree, (*path, index))))
        return _Tree(entries=entries) if len({name for name, _ in entries}) == len(entries) else None

    def _channels(self, value: Any, path: Path) -> _Tree | None:
        if not isinstance(value, list | tuple) or not value:
            return None
        names = [item.get("ChannelName") if isinstance(item, dict) else None for item in value]
        if len(set(names)) < len(names) or not all(isinstance(name, str) for name in names):
            return None
        entries = []
        for index, (name, item) in enumerate(zip(names, value, strict=True)):
            place = (*path, index)
            rest = {key: member for key, member in item.items() if key != "ChannelName"}
            tree = self._placed(_Tree(entries=self._channel(rest, place)), place)
            tree.line = self._declaration.origins[place].line if place in self._declaration.origins else 0
            entries.append((str(name), tree))
        return _Tree(entries=entries, rows=True)

    def _channel(self, channel: dict[str, Any], path: Path) -> list[tuple[str, _Tree]]:
        shape = self._model.shapes["Channel"]
        source = channel.get("DataSource")
        s3_source = source.get("S3DataSource") if isinstance(source, dict) and len(source) == 1 else None
        short = {"S3Uri", "S3DataType", "S3DataDistributionType"}
        if not isinstance(s3_source, dict) or not {"S3Uri", "S3DataType"} <= s3_source.keys() <= short:
            return self._members(channel, shape, path)
        inside = (*path, "DataSource", "S3DataSource")
        members = self._members(
            _without_default(s3_source, "S3DataType", "S3Prefix"), self._model.shapes["S3DataSource"], inside
        )
        rest = self._members({key: value for key, value in channel.items() if key != "DataSource"}, shape, path)
        return [*members, *rest]

    def _s3_source(self, value: Any, path: Path) -> _Tree | None:
        if not isinstance(value, dict) or value.get("S3DataType") != "S3Prefix":
            return None
        return _Tree(
            entries=self._members(
                _without_default(value, "S3DataType", "S3Prefix"), self._model.shapes["S3DataSource"], path
            )
        )

    def _algorithm(self, value: Any, path: Path) -> _Tree | None:
        if not isinstance(value, dict) or value.get("TrainingInputMode") != "File":
            return None
        shape = self._model.shapes["HyperParameterAlgorithmSpecification"]
        return _Tree(entries=self._members(_without_default(value, "TrainingInputMode", "File"), shape, path))

    def _parent(self, value: Any, _path: Path) -> _Tree | None:
        if not isinstance(value, dict) or value.keys() != {"HyperParameterTuningJobName"}:
            return None
        name = value["HyperParameterTuningJobName"]
        return _text_tree(name) if isinstance(name, str) else None


def _without_default(value: dict[str, Any], member: str, default: str) -> dict[str, Any]:
    return {key: item for key, item in value.items() if (key, item) != (member, default)}


def _tree_of(node: Node) -> _Tree:
    """A block of a template as it was written."""
    tree = _Tree(line=node.line, column=node.column)
    match node.kind:
        case "mapping":
            tree.entries = []
            for key, value in node.entries.items():
                child = _tree_of(value)
                child.line, child.column = node.keys[key].line, node.keys[key].column
                tree.entries.append((key, child))
            tree.rows = True
        case "sequence":
            tree.items = [_tree_of(item) for item in node.items]
        case _:
            scalar = _plain_tree(node.plain())
            tree.scalar, tree.in_line = scalar.scalar, scalar.in_line
    return tree


def _plain_tree(value: Any) -> _Tree:
    if isinstance(value, dict):
        return _Tree(entries=[(str(key), _plain_tree(item)) for key, item in value.items()])
    if isinstance(value, list | tuple):
        return _Tree(items=[_plain_tree(item) for item in value])
    if isinstance(value, str):
        return _text_tree(value)
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, float) and not math.isfinite(value):
        text = ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    else:
        text = repr(value)
    return _Tree(scalar=text, in_line=text)


def _text_tree(text: str, *, number: bool = False) -> _Tree:
    """A text, in quotes where YAML would read something else; a number only where the API wants its text."""
    if number and _NUMBER.fullmatch(text):
        return _Tree(scalar=text, in_line=text)
    if not _is_plain(text):
        return _Tree(scalar=_quoted(text), in_line=_quoted(text))
    return _Tree(scalar=text, in_line=text if _PLAIN_IN_LINE.fullmatch(text) else _quoted(text))


@lru_cache(maxsize=4096)  # keys and values come again and again
def _is_plain(text: str) -> bool:
    """Whether YAML reads a text without quotes as itself."""
    return bool(_PLAIN.fullmatch(text)) and parse(text, "")[0].plain() == text


def _quoted(text: str) -> str:
    if text.isascii() and text.isprintable():
        return json.dumps(text)
    import yaml

    # YAML has escapes of its own for what cannot stand in a file as it is.
    dumped: str = yaml.dump(text, default_style='"', width=math.inf, allow_unicode=True)
    return dumped.rstrip("\n")


def _key(key: str) -> str:
    return _text_tree(key).in_line


def _written(documents: list[_Tree], header: str, comments: list[Comment]) -> str:
    footer = _attach(documents, comments)
    parts = ["\n".join([*tree.before, *_mapping_lines(tree)]) for tree in documents]
    return header + "\n---\n".join(parts) + "\n" + "".join(f"{line}\n" for line in footer)


def _attach(documents: list[_Tree], comments: list[Comment]) -> list[str]:
    """Give each comment to the value that stands in its line; return those that no value follows."""
    trees = [tree for document in documents for tree in document.below() if tree.line]
    by_line: dict[int, _Tree] = {}
    for tree in trees:
        by_line.setdefault(tree.line, tree)
    lines = sorted(by_line)
    footer: list[str] = []
    for comment in comments:
        target = by_line.get(comment.line)
        if target is not None and not comment.alone:
            target.behind.append(comment.text)
            continue
        following = next((line for line in lines if line >= comment.line), None)
        if following is None:
            footer.append(comment.text)
        else:
            by_line[following].before.append(comment.text)
    return footer


def _annotate(tree: _Tree, notes: Mapping[str, str], path: str, depth: int) -> None:
    """Give each value its note: beside it where it is short and the line has room, else above it."""
    children = [(f"{path}.{key}" if path else key, len(_key(key)) + 1, value) for key, value in tree.entries or ()]
    children += [(f"{path}[{index}]", 1, item) for index, item in enumerate(tree.items or ())]
    for place, head, child in children:
        if note := notes.get(place):
            indent = depth * len(_INDENT)
            beside = child.entries is None and child.items is None
            if beside and indent + head + len(child.scalar) + len(note) + 5 <= WIDTH:
                child.behind.append(f"# {note}")
            else:
                child.before += [f"# {line}" for line in textwrap.wrap(note, WIDTH - indent - 2)]
        _annotate(child, notes, place, depth + 1)


def _lines(tree: _Tree, head: str, indent: str) -> list[str]:
    """The lines of a value behind a key or a hyphen (`head`), with its comments."""
    behind = f"  {' '.join(tree.behind)}" if tree.behind else ""
    before = [indent + comment for comment in tree.before]
    if tree.entries is None and tree.items is None:
        return [*before, f"{indent}{head} {tree.scalar}{behind}"]
    line = _in_line(tree)
    if line is not None and len(indent) + len(head) + len(line) < WIDTH:
        return [*before, f"{indent}{head} {line}{behind}"]
    if tree.entries is not None:
        inner = [indent + _INDENT + line for line in _mapping_lines(tree)]
    else:
        inner = [indent + _INDENT + line for item in tree.items or () for line in _item_lines(item)]
    return [*before, f"{indent}{head}{behind}", *inner]


def _mapping_lines(tree: _Tree) -> list[str]:
    if not tree.entries:
        return ["{}"]
    return [line for key, value in tree.entries for line in _lines(value, f"{_key(key)}:", "")]


def _item_lines(item: _Tree) -> list[str]:
    line = _in_line(item)
    if not item.entries or (line is not None and len(line) < WIDTH):
        return _lines(item, "-", "")
    comments = [*item.before, *item.behind]
    lines = _mapping_lines(item)
    first = next(i for i, text in enumerate(lines) if not text.lstrip().startswith("#"))
    inner = [f"- {text}" if i == first else (text if i < first else _INDENT + text) for i, text in enumerate(lines)]
    return [*comments, *inner]


def _in_line(tree: _Tree) -> str | None:
    """A small value in one line; None for one that reads better in lines, or that has comments inside."""
    if tree.entries is None and tree.items is None:
        return tree.in_line
    if any(child.before or child.behind for child in tree.below()):
        return None
    if tree.items is not None:
        texts = [item.in_line if item.entries is None and item.items is None else None for item in tree.items]
        return None if None in texts else f"[{', '.join(text for text in texts if text is not None)}]"
    entries = tree.entries or []
    if not entries:
        return "{}"
    if tree.rows or any(value.entries is not None or value.items for _, value in entries):
        return None
    return "{" + ", ".join(f"{_key(key)}: {_in_line(value)}" for key, value in entries) + "}"


def _compare(declared: list[Declaration], written: str, file: str) -> None:
    """Raise where the template does not say what it was made from."""
    again = read_text(written, file)
    for wanted, got in zip(declared, again, strict=True):
        difference = _difference(wanted.request, got.request, ())
        beside = all(getattr(wanted, name) == getattr(got, name) for name in ("run", "quotas", "budget", "local"))
        if difference is not None or got.faults or not beside:
            origin = wanted.origin(difference or ())
            raise HpoError(
                f"{file}: a template cannot say what {origin.path or 'the declaration'} says: "
                "`hpo check` tells what is wrong there; correct it and import again"
            )


def _difference(left: Any, right: Any, path: Path) -> Path | None:
    """The first place at which two requests differ; 1 is not true here, nor 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        for key in {**left, **right}:
            if key not in left or key not in right:
                return (*path, key)
            if (found := _difference(left[key], right[key], (*path, key))) is not None:
                return found
        return None
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        if len(left) != len(right):
            return path
        for index, (one, other) in enumerate(zip(left, right, strict=True)):
            if (found := _difference(one, other, (*path, index))) is not None:
                return found
        return None
    # repr tells -0.0 from 0.0 and finds nan equal to nan
    return None if type(left) is type(right) and repr(left) == repr(right) else path
