"""Places of a template by their path, as findings and people spell it, and values as people type them.

A path is the template's own spelling: `resource_limits.max_parallel_training_jobs`,
`training_job_definitions[1].input_data_config.train.s3_uri`, `hyperparameter_ranges.eta`. Where names are the user's
own (hyperparameters, tags, metrics, channels) the rest of the path, or as much of it as is a name, is the name.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from ..documents.nodes import Node, parse
from ..documents.template import (
    BUDGET,
    LOCAL,
    QUOTAS,
    RANGE_LISTS,
    RUN,
    S3_KEYS,
    find_member,
    top_level_keys,
)
from ..errors import DocumentError, SpecError
from ..spec.names import snake_name
from ..spec.run import setting_names
from ..spec.shapes import Shape, shape_model

Step = str | int

# Blocks of a template that are none of the API's.
BLOCKS = (RUN, QUOTAS, BUDGET, LOCAL)
# A list of structures that people write as a mapping from names to one text.
_PAIRS = {"TagList": ("TagKey", "TagValue"), "MetricDefinitionList": ("MetricName", "MetricRegex")}
_PARENT = "ParentHyperParameterTuningJob"
_RANGE_KEYS = ("type", "min_value", "max_value", "scaling_type", "values", "value_hint")
_TRUE, _FALSE = {"true", "yes", "y", "on"}, {"false", "no", "n", "off"}
_STEP = re.compile(r"(?P<key>[^.\[\]]+)|\[(?P<index>\d+)\]|\.")
# "0.1 to 0.5", "1 to 10 Logarithmic"
_RANGE = re.compile(r"(?P<low>\S+)\s+to\s+(?P<high>[^\s,]+)(?:[\s,]+\(?(?P<scaling>[A-Za-z]+)\)?)?")
_AUTO = re.compile(r"auto(?:\s+(?P<hint>\S+))?", re.IGNORECASE)
_WHOLE = re.compile(r"[-+]?\d+")


@dataclass(frozen=True, slots=True)
class Place:
    """A place of a template.

    Attributes:
        path: Its path as a template spells it.
        steps: The keys and indices that lead to it.
        shape: What the API has there; None in a block that is not the API's, and for a part of a range.
        role: What else it is: `range` for a searched hyperparameter, `range part` below one, `block` in a block that
            is not the API's, else empty.
    """

    path: str
    steps: tuple[Step, ...]
    shape: Shape | None
    role: str = ""


def locate(path: str, template: Mapping[str, Any]) -> Place:
    """The place that a path names.

    Args:
        path: The path.
        template: The template, whose own names (channels, hyperparameters) go before a dot in them.

    Raises:
        SpecError: A template has no such place; the message says what there is.
    """
    return _Locator(path, template).locate()


class _Locator:
    def __init__(self, path: str, template: Mapping[str, Any]) -> None:
        self._path = path
        self._rest = path.strip()
        self._here: Any = template
        self._steps: list[Step] = []
        self._model = shape_model()

    def locate(self) -> Place:
        keys = top_level_keys()
        first = self._key([*keys, *BLOCKS])
        if first in BLOCKS:
            while self._rest:
                self._block_step(first)
            return self._place(None, "block")
        if first not in keys:
            raise self._unknown(first, [*keys, *BLOCKS], "a tuning job")
        shape: Shape | None = self._model.root
        for member in keys[first]:
            shape = self._model.member(shape, member) if shape is not None else None
        while self._rest and shape is not None:
            if shape.name == "ParameterRanges":
                return self._range()
            shape = self._step(shape)
        return self._place(shape)

    def _place(self, shape: Shape | None, role: str = "") -> Place:
        return Place(self._path.strip(), tuple(self._steps), shape, role)

    def _step(self, shape: Shape) -> Shape:
        if shape.name in _PAIRS and not self._rest.startswith("["):
            self._name(whole=True)
            return self._model.shapes[_PAIRS[shape.name][1]]
        if shape.name == "InputDataConfig" and not self._rest.startswith("["):
            self._name(whole=False)
            return self._model.shapes["Channel"]
        match shape.type:
            case "map":
                self._name(whole=True)
                return self._model.shapes[shape.value or ""]
            case "list":
                self._index(self._path_so_far())
                return self._model.shapes[shape.member or ""]
            case "structure":
                return self._member(shape)
        raise SpecError(f"{self._path_so_far()} is one value, got {self._rest!r} behind it; leave that out")

    def _member(self, shape: Shape) -> Shape:
        names = [snake_name(name) for name in shape.members or {}]
        holder = self._path_so_far()
        if shape.name == "Channel":
            names += S3_KEYS
        key = self._key(names)
        source = self._model.shapes["S3DataSource"] if shape.name == "Channel" and key in S3_KEYS else shape
        name = find_member(source, key)
        member = self._model.member(source, name) if name else None
        if member is None:
            raise self._unknown(key, names, holder)
        return member

    def _range(self) -> Place:
        # A hyperparameter may have dots in its name; what looks like a part of a range is one.
        _, dot, last = self._rest.rpartition(".")
        part = bool(dot) and bool(get_close_matches(last.partition("[")[0], _RANGE_KEYS, n=1))
        self._name(whole=not part)
        if not self._rest:
            return self._place(None, "range")
        holder = self._path_so_far()
        key = self._key(list(_RANGE_KEYS))
        if key not in _RANGE_KEYS:
            raise self._unknown(key, _RANGE_KEYS, holder)
        if self._rest:
            self._index(self._path_so_far())
        return self._place(None, "range part")

    def _block_step(self, block: str) -> None:
        if self._rest.startswith("["):
            self._index(block)
            return
        known = [str(key) for key in self._here] if isinstance(self._here, Mapping) else []
        if block == RUN:
            known = list(setting_names())
            if (key := self._key(known)) not in known:
                raise self._unknown(key, known, RUN)
            return
        self._name(whole=block == LOCAL and len(self._steps) > 1)

    def _key(self, known: Iterable[str]) -> str:
        self._rest = self._rest.removeprefix(".")
        found = _STEP.match(self._rest)
        key = found["key"] if found else None
        if found is None or key is None:
            holder = self._path_so_far() or "a tuning job"
            raise SpecError(
                f"{self._path!r} is no path of a template: {holder} needs one of {', '.join(known)} after it"
            )
        self._advance(key, found.end())
        return key

    def _index(self, holder: str) -> None:
        found = _STEP.match(self._rest)
        if found is None or found["index"] is None:
            raise SpecError(f"{holder} is a list: write its path with a number, such as {holder}[0]")
        self._advance(int(found["index"]), found.end())

    def _name(self, *, whole: bool) -> None:
        rest = self._rest.removeprefix(".")
        known = [str(key) for key in self._here] if isinstance(self._here, Mapping) else []
        fitting = [name for name in known if rest == name or rest.startswith(f"{name}.")]
        name = rest if whole else max(fitting, key=len, default=rest.partition(".")[0])
        if not name:
            raise SpecError(f"{self._path_so_far()} needs a name after it, got none")
        self._rest = rest
        self._advance(name, len(name))

    def _advance(self, step: Step, length: int) -> None:
        self._rest = self._rest[length:]
        self._steps.append(step)
        self._here = get(self._here, (step,))

    def _path_so_far(self) -> str:
        return join(self._steps)

    def _unknown(self, key: str, known: Iterable[str], holder: str) -> SpecError:
        close = get_close_matches(key, list(known), n=1)
        hint = f"did you mean {close[0]}?" if close else f"it has: {', '.join(known)}"
        return SpecError(f"{holder} has no {key}; {hint}")


def join(steps: Iterable[Step]) -> str:
    """The path of steps."""
    text = ""
    for step in steps:
        text += f"[{step}]" if isinstance(step, int) else f"{'.' if text else ''}{step}"
    return text


def get(value: Any, steps: Iterable[Step]) -> Any:
    """The value at steps below another one; None where there is none."""
    for step in steps:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def is_empty(value: Any) -> bool:
    """Whether a value says nothing: none, an empty text, an empty collection."""
    return value is None or (isinstance(value, str | list | dict) and not value)


def put(template: dict[str, Any], place: Place, value: Any) -> None:
    """Set the value at a place, or take it away with what it leaves empty around it.

    Raises:
        SpecError: An index skips entries of a list, or something stands in the way.
    """
    if is_empty(value):
        _remove(template, place.steps)
        return
    here: Any = template
    for step, following in zip(place.steps, [*place.steps[1:], None], strict=True):
        new: Any = value if following is None else [] if isinstance(following, int) else {}
        here = _enter(here, step, new, place.path, last=following is None)


def _enter(here: Any, step: Step, new: Any, path: str, *, last: bool) -> Any:
    if isinstance(step, int):
        if not isinstance(here, list) or step > len(here):
            length = len(here) if isinstance(here, list) else 0
            raise SpecError(f"{path}: the list has {length} entries, so the next index is [{length}], got [{step}]")
        if step == len(here):
            here.append(new)
        elif last:
            here[step] = new
    elif not isinstance(here, dict):
        raise SpecError(f"{path}: a value that is no mapping stands in the way; set that one anew")
    elif last or here.get(step) is None:
        here[step] = new
    return here[step]


def _remove(template: dict[str, Any], steps: tuple[Step, ...]) -> None:
    *above, last = steps
    holder = get(template, above)
    if isinstance(last, int):
        if isinstance(holder, list) and last < len(holder):
            del holder[last]
    elif isinstance(holder, dict):
        holder.pop(last, None)
    # A definition stays, however empty: taking it away is another wish.
    emptied = isinstance(holder, dict | list) and not holder
    if above and emptied and not isinstance(above[-1], int) and above != ["training_job_definition"]:
        _remove(template, tuple(above))


def spelled(node: Node) -> Any:
    """A node as plain data in which numbers that are not written as Python writes them keep their spelling."""
    match node.kind:
        case "mapping":
            return {key: spelled(value) for key, value in node.entries.items()}
        case "sequence":
            return [spelled(item) for item in node.items]
    value = node.plain()
    if isinstance(value, bool):
        return value if node.text in {"true", "false"} else node.text
    return node.text if isinstance(value, int | float) and repr(value) != node.text else value


def read_value(value: Any, place: Place, *, kind_of: str | None = None) -> Any:
    """The template's value of what a person typed, or of what a program gives.

    Args:
        value: Text as it was typed, or a plain value. An empty text is None.
        place: Where it goes.
        kind_of: The kind of range (Integer, Continuous, Categorical) that a hyperparameter is documented to have.

    Raises:
        SpecError: It cannot be read as what the place takes; the message says what that is.
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    name = join(place.steps[-1:]) or place.path
    if place.role == "range":
        return read_range(value, name, kind_of)
    if place.shape is None:
        return _plain(value, name)
    return _read(value, place.shape, name)


def _read(value: Any, shape: Shape, name: str) -> Any:
    if value is None:
        return None
    match shape.type:
        case "string":
            return _text(value, shape, name)
        case "boolean":
            return _flag(value, name)
        case "integer" | "long":
            return _whole(value, name)
        case "float":
            return _number(value, name)
    if isinstance(value, str) and shape.name == _PARENT:
        return value.strip()  # a parent is told by its name alone
    if isinstance(value, str):
        value = _typed(value, shape, name)
    return _collection(value, shape, name)


def _collection(value: Any, shape: Shape, name: str) -> Any:
    model = shape_model()
    if isinstance(value, Mapping):
        if shape.name == "ParameterRanges":
            lists = set(RANGE_LISTS.values())
            if value.keys() <= lists:
                return dict(value)
            return {str(key): read_range(item, str(key), None) for key, item in value.items()}
        if shape.name in _PAIRS or shape.type == "map":
            inner = model.shapes[_PAIRS[shape.name][1] if shape.name in _PAIRS else shape.value or ""]
            return {str(key): _read(item, inner, str(key)) for key, item in value.items()}
        if shape.name == "InputDataConfig":
            return {str(key): _structure(item, model.shapes["Channel"], str(key)) for key, item in value.items()}
        if shape.type == "structure":
            return _structure(value, shape, name)
    if isinstance(value, list | tuple) and shape.type == "list":
        item_shape = model.shapes[shape.member or ""]
        return [_read(item, item_shape, f"{name}[{index}]") for index, item in enumerate(value)]
    wanted = "a list" if shape.type == "list" and shape.name not in {*_PAIRS, "InputDataConfig"} else "a mapping"
    raise SpecError(f"{name} must be {wanted}, got {_shown(value)}")


def _structure(value: Any, shape: Shape, name: str) -> Any:
    if isinstance(value, str):
        value = _typed(value, shape, name)
    if not isinstance(value, Mapping):
        raise SpecError(f"{name} must be a mapping, got {_shown(value)}")
    model = shape_model()
    read = {}
    for key, item in value.items():
        source = model.shapes["S3DataSource"] if shape.name == "Channel" and key in S3_KEYS else shape
        member = find_member(source, str(key))
        target = model.member(source, member) if member else None
        # An unknown key stays, so that the rules can say what was meant.
        read[str(key)] = item if target is None else _read(item, target, str(key))
    return {key: item for key, item in read.items() if item is not None}


def _typed(text: str, shape: Shape, name: str) -> Any:
    """A collection as people type it: `a, b` for a list, `a=1, b=2` for a mapping, or YAML's `[a, b]`, `{a: 1}`."""
    text = text.strip()
    if text[0] in "[{":
        try:
            nodes = parse(text, name)
        except DocumentError as error:
            raise SpecError(f"{name} cannot be read: {error.message}; write [a, b] or {{a: b}}") from None
        return spelled(nodes[0]) if nodes else None
    parts = [part.strip() for part in re.split(r"[\n,]", text) if part.strip()]
    if shape.type == "map" or shape.name in _PAIRS:
        pairs = [part.partition("=") for part in parts]
        if any(not mark for _, mark, _ in pairs):
            raise SpecError(f"{name} must be names with values such as a=1, b=2, got {_shown(text)}")
        return {key.strip(): value.strip() for key, _, value in pairs}
    if shape.type == "list" and shape.name != "InputDataConfig":
        return parts
    raise SpecError(f"{name} must be a mapping such as {{a: b}}, got {_shown(text)}")


def _text(value: Any, shape: Shape, name: str) -> str:
    if isinstance(value, bool):
        text = "true" if value else "false"
    elif isinstance(value, int | float):
        text = repr(value)
    elif isinstance(value, str):
        text = value.strip()
    else:
        raise SpecError(f"{name} must be a text, got {_shown(value)}")
    # A word of a closed list is meant whatever its case; what is not in the list is for the rules to report.
    return next((word for word in shape.enum if word.lower() == text.lower()), text)


def _flag(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and (word := value.strip().lower()) in _TRUE | _FALSE:
        return word in _TRUE
    raise SpecError(f"{name} must be yes or no, got {_shown(value)}")


def _whole(value: Any, name: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip().replace(",", "")
        if _WHOLE.fullmatch(text) and text.isascii() and len(text) < 20:
            return int(text)
    raise SpecError(f"{name} must be a whole number such as 10, got {_shown(value)}")


def _number(value: Any, name: str) -> float | int:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    try:
        if isinstance(value, str) and "_" not in value:
            return float(value)
    except ValueError:
        pass
    raise SpecError(f"{name} must be a number such as 0.9, got {_shown(value)}")


def _plain(value: Any, name: str) -> Any:
    """A value of a block that is not the API's, or of a part of a range: text is read as YAML."""
    if not isinstance(value, str):
        return value
    try:
        nodes = parse(value, name)
    except DocumentError as error:
        raise SpecError(f"{name} cannot be read: {error.message}") from None
    return spelled(nodes[0]) if nodes else None


def read_range(value: Any, name: str, kind_of: str | None = None) -> Any:
    """A searched hyperparameter as people type it.

    `0.1 to 0.5`, with a scaling type behind it where one is wanted; `gbtree, dart` for a choice of values; `auto` or
    `auto 0.3` where SageMaker chooses the range. Whole numbers on both sides make an integer range, unless the
    hyperparameter is documented as a continuous one.

    Raises:
        SpecError: It is none of these.
    """
    if isinstance(value, Mapping):
        return {str(key): item for key, item in value.items() if not is_empty(item)}
    if isinstance(value, list | tuple):
        return [_text(item, shape_model().shapes["ParameterValue"], name) for item in value]
    if not isinstance(value, str):
        raise SpecError(f"{name} must be a range such as 0.1 to 0.5, got {_shown(value)}")
    text = value.strip()
    if text[:1] in {"[", "{"}:
        return read_range(_typed(text, shape_model().shapes["HyperParameters"], name), name, kind_of)
    if match := _RANGE.fullmatch(text):
        return _numeric_range(match, name, kind_of)
    if match := _AUTO.fullmatch(text):
        return {"type": "Auto", "value_hint": match["hint"]} if match["hint"] else {"type": "Auto"}
    values = [part.strip() for part in text.split(",")]
    if " to " not in f" {text} " and "" not in values:
        return values
    raise SpecError(
        f"{name} must be a range such as 0.1 to 0.5, 1 to 10 Logarithmic, or values such as gbtree, dart, "
        f"got {_shown(text)}"
    )


def _numeric_range(match: re.Match[str], name: str, kind_of: str | None) -> dict[str, Any]:
    bounds = (match["low"], match["high"])
    for bound in bounds:
        _number(bound, f"a bound of {name}")
    whole = all(_WHOLE.fullmatch(bound) for bound in bounds)
    kind = kind_of if kind_of in {"Integer", "Continuous"} else "Integer" if whole else "Continuous"
    found: dict[str, Any] = {"type": kind, "min_value": bounds[0], "max_value": bounds[1]}
    if match["scaling"]:
        allowed = shape_model().shapes["HyperParameterScalingType"].enum
        word = match["scaling"].lower()
        fitting = [scaling for scaling in allowed if scaling.lower().startswith(word)]
        if not fitting:
            raise SpecError(f"the scaling of {name} must be one of {', '.join(allowed)}, got {match['scaling']!r}")
        found["scaling_type"] = fitting[0]
    return found


def range_text(value: Any) -> str:
    """A searched hyperparameter as `read_range` takes it; empty where there is none or its form is another."""
    if isinstance(value, list):
        return ", ".join(_shown_scalar(item) for item in value)
    if not isinstance(value, Mapping):
        return ""
    if isinstance(value.get("values"), list):
        return range_text(value["values"])
    if value.get("type") == "Auto" or "value_hint" in value:
        return f"auto {_shown_scalar(value['value_hint'])}" if "value_hint" in value else "auto"
    if "min_value" not in value or "max_value" not in value:
        return ""
    text = f"{_shown_scalar(value['min_value'])} to {_shown_scalar(value['max_value'])}"
    return f"{text} {value['scaling_type']}" if "scaling_type" in value else text


def value_text(value: Any, place: Place | None = None) -> str:
    """A value as `read_value` takes it again, for a text field."""
    if place is not None and place.role == "range":
        return range_text(value)
    if isinstance(value, list):
        return ", ".join(_shown_scalar(item) for item in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={_shown_scalar(item)}" for key, item in value.items())
    return _shown_scalar(value)


def _shown_scalar(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
