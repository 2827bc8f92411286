"""The team template: tuning jobs in YAML for people, in snake_case, with short forms where they cannot be misread.

A file declares one job at its top level, or several under `tuning_jobs`. Beside them stand `defaults`, which hold for
every job of the file, `quotas`, which the account allows, and `local`, which only local runs read. A job's `run` block
says how its runs begin and what they publish. Short forms:

- `hyperparameter_ranges`, `tags`, `metric_definitions` and `input_data_config` as mappings from names;
- `s3_uri`, `s3_data_type` and `s3_data_distribution_type` of a channel without the levels around them;
- parent tuning jobs as names;
- `clone: NAME` in a definition takes over the definition of that name, with the changes that stand beside it.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..errors import DocumentError, QuotaError, SpecError
from ..quotas import state
from ..quotas.costs import state_budget
from ..spec.declaration import CONFIG, Declaration, Fault, Form, Origin, Path
from ..spec.names import declared_name, snake_name
from ..spec.run import RunSettings
from ..spec.shapes import Shape, shape_model
from .nodes import Node
from .reading import RequestReader

RANGE_LISTS = {
    "Continuous": "continuous_parameter_ranges",
    "Integer": "integer_parameter_ranges",
    "Categorical": "categorical_parameter_ranges",
    "Auto": "auto_parameters",
}
JOBS, DEFAULTS, QUOTAS, LOCAL, RUN, CLONE = "tuning_jobs", "defaults", "quotas", "local", "run", "clone"
BUDGET = "budget"
LOCAL_KEYS = ("prepare", "data", "commands")
_DEFINITION, _DEFINITIONS = "training_job_definition", "training_job_definitions"
_RANGES = "hyperparameter_ranges"
S3_KEYS = ("s3_uri", "s3_data_type", "s3_data_distribution_type")


def top_level_keys() -> dict[str, tuple[str, ...]]:
    """Where each key of a job stands in the request: members of the API's configuration are at the top, too."""
    model = shape_model()
    config = model.member(model.root, CONFIG)
    keys: dict[str, tuple[str, ...]] = {
        declared_name(name): (name,) for name in model.root.members or {} if name != CONFIG
    }
    keys |= {declared_name(name): (CONFIG, name) for name in (config.members or {} if config else {})}
    return keys


def is_template(node: Node) -> bool:
    """Whether a document is a team template: it has at least one key of one."""
    return node.kind == "mapping" and not node.entries.keys().isdisjoint({*top_level_keys(), JOBS})


def read_template(node: Node, file: str) -> list[Declaration]:
    """The declarations of a template's document.

    Raises:
        DocumentError: `tuning_jobs`, `defaults` or `local` is not what it has to be.
    """
    local = _block(node, LOCAL, file)
    defaults = _block(node, DEFAULTS, file)
    quotas, budget = _quotas(node, file), _budget(node, file)
    jobs = node.entries.get(JOBS)
    if jobs is None:
        job = _without(node, {LOCAL, DEFAULTS, QUOTAS, BUDGET})
        return [replace(_JobReader(file).read(_with_defaults(job, defaults), "", local, quotas), budget=budget)]
    if jobs.kind != "sequence" or not jobs.items:
        raise _error(f"{JOBS} must be a list of tuning jobs", file, node.keys[JOBS])
    for key in node.entries:
        if key not in {JOBS, DEFAULTS, LOCAL, QUOTAS, BUDGET}:
            raise _error(f"{key} stands beside {JOBS}: write it in each job, or under {DEFAULTS}", file, node.keys[key])
    declarations = []
    for index, job in enumerate(jobs.items):
        if job.kind != "mapping":
            raise _error(f"{JOBS}[{index}] must be a mapping that declares a tuning job", file, job)
        declarations.append(_JobReader(file).read(_with_defaults(job, defaults), f"{JOBS}[{index}]", local, quotas))
    return [replace(declaration, budget=budget) for declaration in declarations]


class _JobReader:
    """Reads one job."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._faults: list[Fault] = []
        self._reader = RequestReader(find_member, numbers_as_text=True, short=self._short)

    def read(self, job: Node, text: str, local: Node | None, quotas: Mapping[str, Any] | str | None) -> Declaration:
        keys = top_level_keys()
        model = shape_model()
        config = model.member(model.root, CONFIG)
        request: dict[str, Any] = {CONFIG: {}}
        self._reader.note((), text, job)
        job = self._with_clones(job)
        run = self._run(job)
        job = _without(job, {RUN})
        for key in job.entries:
            target = keys.get(key)
            # An unknown key is kept under its own name: the rule `shape` reports it with a suggestion.
            holder, shape = (request[CONFIG], config) if target and len(target) > 1 else (request, model.root)
            prefix: Path = (CONFIG,) if holder is not request else ()
            name, value = self._reader.read_member(job, key, shape or model.root, prefix, text)
            holder[name] = value
        return Declaration(
            request=request,
            form=Form.TEMPLATE,
            file=self._file,
            origins=self._reader.origins,
            faults=tuple(self._faults),
            quotas=quotas,
            local=self._local(local),
            run=run,
        )

    def _run(self, job: Node) -> RunSettings:
        node = _block(job, RUN, self._file)
        if node is None:
            return RunSettings()
        try:
            return RunSettings.from_mapping(node.plain())
        except SpecError as error:
            # A message begins with the setting's name, which stands at its own place.
            at = next((place for name, place in node.keys.items() if str(error).startswith(f"{name} ")), node)
            raise _error(f"{RUN}: {error}", self._file, at) from None

    def _local(self, node: Node | None) -> dict[str, Any]:
        if node is None:
            return {}
        for key in node.entries:
            if key not in LOCAL_KEYS:
                raise _error(f"{LOCAL} has no key {key}; allowed: {', '.join(LOCAL_KEYS)}", self._file, node.keys[key])
        block: dict[str, Any] = node.plain()
        return block

    def _with_clones(self, job: Node) -> Node:
        """The job with each definition that clones another one written out."""
        definitions = job.entries.get(_DEFINITIONS)
        if definitions is None or definitions.kind != "sequence":
            return job
        by_name = {
            item.entries["definition_name"].text: item
            for item in definitions.items
            if item.kind == "mapping" and "definition_name" in item.entries
        }
        items = [self._cloned(item, by_name, ()) for item in definitions.items]
        entries = {**job.entries, _DEFINITIONS: Node.sequence(items, definitions)}
        return Node.mapping(entries, job, job.keys)

    def _cloned(self, item: Node, by_name: dict[str, Node], seen: tuple[str, ...]) -> Node:
        if item.kind != "mapping" or CLONE not in item.entries:
            return item
        name = item.entries[CLONE].text
        source = by_name.get(name)
        if source is None or source is item or name in seen:
            known = ", ".join(sorted(by_name)) or "none"
            reason = "clones itself" if source is not None else "names no definition of this job"
            raise _error(f"clone {name!r} {reason}; its definitions: {known}", self._file, item.keys[CLONE])
        base = self._cloned(source, by_name, (*seen, name))
        return merged(base, _without(item, {CLONE}))

    def _short(self, node: Node, shape: Shape, text: str) -> Node | None:
        match shape.name, node.kind:
            case "ParameterRanges", "mapping":
                return self._ranges(node, text)
            case "TagList", "mapping":
                return _pairs(node, "key", "value")
            case "MetricDefinitionList", "mapping":
                return _pairs(node, "name", "regex")
            case "InputDataConfig", "mapping":
                return _named_list(node, "channel_name")
            case "Channel", "mapping":
                return _channel(node)
            case "S3DataSource", "mapping":
                return _with_default(node, "s3_data_type", "S3Prefix")
            case "HyperParameterAlgorithmSpecification", "mapping":
                return _with_default(node, "training_input_mode", "File")
            case "ParentHyperParameterTuningJob", "scalar" if not node.is_null:
                return Node.mapping({"hyperparameter_tuning_job_name": node.labelled("")}, node)
        return None

    def _ranges(self, node: Node, text: str) -> Node | None:
        lists = set(RANGE_LISTS.values())
        if not node.entries or (node.entries.keys() <= lists and _all_sequences(node)):
            return None
        found: dict[str, list[Node]] = {}
        for name, entry in node.entries.items():
            at = node.keys[name]
            if entry.kind == "sequence":  # eta: [gbtree, dart]
                entry = Node.mapping({"values": entry.labelled("")}, at)
            kind = _range_kind(entry)
            if entry.kind == "mapping" and kind in RANGE_LISTS:
                rest = {key: value for key, value in entry.entries.items() if key != "type"}
            else:
                self._faults.append(_range_fault(name, entry, Origin(f"{text}.{name}", at.line, at.column)))
                continue
            item = Node.mapping({"name": Node.scalar(name, at), **rest}, at, entry.keys).labelled(name)
            found.setdefault(RANGE_LISTS[kind], []).append(item)
        entries = {key: Node.sequence(items, node).labelled("") for key, items in found.items()}
        return Node.mapping(entries, node)


def merged(base: Node, changes: Node) -> Node:
    """A mapping with the entries of another one over it; null takes an entry away; ranges are replaced by name."""
    entries, keys = dict(base.entries), dict(base.keys)
    for key, value in changes.entries.items():
        old = entries.get(key)
        if value.is_null:
            entries.pop(key, None)
            continue
        if old is not None and old.kind == value.kind == "mapping":
            value = _shallow(old, value) if key == _RANGES else merged(old, value)
        entries[key] = value
        keys[key] = changes.keys[key]
    return Node.mapping(entries, changes, keys)


def _shallow(base: Node, changes: Node) -> Node:
    entries = {
        key: value
        for key, value in {**base.entries, **changes.entries}.items()
        if not (key in base.entries and value.is_null)
    }
    return Node.mapping(entries, changes, {**base.keys, **changes.keys})


def _with_defaults(job: Node, defaults: Node | None) -> Node:
    """The job with the file's defaults below it: those for definitions in each of its definitions."""
    if defaults is None:
        return job
    for_definitions = defaults.entries.get(_DEFINITION)
    result = merged(_without(defaults, {_DEFINITION}), job)
    if for_definitions is None or for_definitions.kind != "mapping":
        return result
    entries = dict(result.entries)
    single, several = entries.get(_DEFINITION), entries.get(_DEFINITIONS)
    if single is not None and single.kind == "mapping":
        entries[_DEFINITION] = merged(for_definitions, single)
    if several is not None and several.kind == "sequence":
        items = [
            # A clone takes the defaults from the definition that it clones.
            item if item.kind != "mapping" or CLONE in item.entries else merged(for_definitions, item)
            for item in several.items
        ]
        entries[_DEFINITIONS] = Node.sequence(items, several)
    if single is None and several is None:
        entries[_DEFINITION] = for_definitions
    return Node.mapping(entries, result, {**defaults.keys, **result.keys})


def find_member(shape: Shape, key: str) -> str | None:
    """The API's name of a template's key in a structure, or None."""
    members = shape.members or {}
    for name in members:
        if key in {snake_name(name), declared_name(name)} and not _long_winded(shape, name, key):
            return name
    return None


def _long_winded(shape: Shape, name: str, key: str) -> bool:
    """Whether a key is the long form of a name that templates have a short one for: there is one spelling only."""
    root = shape_model().root
    top = shape is root or shape.name == "HyperParameterTuningJobConfig"
    return top and key != declared_name(name)


def _range_kind(entry: Node) -> str:
    if entry.kind != "mapping":
        return ""
    if "type" in entry.entries:
        return entry.entries["type"].text
    if "values" in entry.entries:
        return "Categorical"
    return "Auto" if "value_hint" in entry.entries else ""


def _range_fault(name: str, entry: Node, origin: Origin) -> Fault:
    allowed = ", ".join(RANGE_LISTS)
    stated = entry.entries.get("type") if entry.kind == "mapping" else None
    got = f"got {stated.text}" if stated is not None and stated.kind == "scalar" else "got none"
    if entry.kind != "mapping":
        got = f"got {entry.text!r}" if entry.text else "got nothing"
        return Fault(
            origin,
            f"{name} must be a range, {got}",
            f"write {name}: {{type: Continuous, min_value: 0.1, max_value: 0.3}}, or put a fixed value "
            "under static_hyperparameters",
        )
    return Fault(
        origin, f"type of {name} must be one of {allowed}, {got}", f"add type: Continuous or Integer to {name}"
    )


def _channel(node: Node) -> Node | None:
    short = {key: value for key, value in node.entries.items() if key in S3_KEYS}
    if "s3_uri" not in short or "data_source" in node.entries:
        return None
    s3_source = Node.mapping(short, node, node.keys).labelled("")
    source = Node.mapping({"s3_data_source": s3_source}, node).labelled("")
    rest = {key: value for key, value in node.entries.items() if key not in S3_KEYS}
    return Node.mapping({**rest, "data_source": source}, node, node.keys)


def _with_default(node: Node, key: str, value: str) -> Node | None:
    if key in node.entries:
        return None
    return Node.mapping({**node.entries, key: Node.scalar(value, node)}, node, node.keys)


def _pairs(node: Node, key_member: str, value_member: str) -> Node:
    """`{name: value}` as the API's list of structures."""
    items = []
    for name, value in node.entries.items():
        at = node.keys[name]
        if value.is_null:
            value = Node.scalar("", at)
        entries = {key_member: Node.scalar(name, at).labelled(""), value_member: value.labelled("")}
        items.append(Node.mapping(entries, at).labelled(name))
    return Node.sequence(items, node)


def _named_list(node: Node, name_member: str) -> Node:
    """`{name: {...}}` as the API's list of structures."""
    items = []
    for name, value in node.entries.items():
        at = node.keys[name]
        if value.kind == "mapping":
            entries = {name_member: Node.scalar(name, at).labelled(""), **value.entries}
            items.append(Node.mapping(entries, at, value.keys).labelled(name))
        else:
            items.append(value.labelled(name))
    return Node.sequence(items, node)


def _all_sequences(node: Node) -> bool:
    return all(entry.kind == "sequence" for entry in node.entries.values())


def _without(node: Node, keys: set[str]) -> Node:
    entries = {key: value for key, value in node.entries.items() if key not in keys}
    return Node.mapping(entries, node, node.keys)


def _block(node: Node, key: str, file: str) -> Node | None:
    block = node.entries.get(key)
    if block is None or block.is_null:
        return None
    if block.kind != "mapping":
        raise _error(f"{key} must be a mapping", file, node.keys[key])
    return block


def _quotas(node: Node, file: str) -> Mapping[str, Any] | str | None:
    """What the template states of the account's quotas."""
    stated = node.entries.get(QUOTAS)
    if stated is None:
        return None
    values: Mapping[str, Any] | str | None = stated.plain()
    try:
        state(values)
    except QuotaError as error:
        raise _error(f"{QUOTAS}: {error}", file, node.keys[QUOTAS]) from None
    return values


def _budget(node: Node, file: str) -> Mapping[str, Any] | None:
    """What a run of each of the template's jobs may use at most."""
    block = _block(node, BUDGET, file)
    if block is None:
        return None
    values: Mapping[str, Any] = block.plain()
    try:
        state_budget(values)
    except QuotaError as error:
        raise _error(str(error), file, node.keys[BUDGET]) from None
    return values


def _error(message: str, file: str, node: Node) -> DocumentError:
    return DocumentError(message, file=file, line=node.line, column=node.column)
