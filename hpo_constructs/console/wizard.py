"""The wizard's pages: the steps of `hpo_constructs.wizard` as a form.

The server keeps nothing: the page carries the draft, and each request brings it together with what was typed. The
buttons are actions of the form; without scripts they load the next page, with scripts the same page is put in place.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby
from typing import Any

from flask import Blueprint, Response, render_template, request
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response as AnyResponse

from ..account import AccountError, MissingError
from ..account.runs import described
from ..errors import HpoError, SpecError
from ..rules import Severity
from ..wizard import Draft, DraftFinding, Field, Kind, Step, tunable_algorithms
from . import folder
from .site import site

routes = Blueprint("wizard", __name__)

REVIEW = "review"
_VALUE, _FLAG, _ROW, _COLUMN = "v:", "b:", "r:", "c:"
# Choices that are shown as radio buttons with what they mean.
_FEW = 4
_REST = "More settings"


@dataclass
class Page:
    """What becomes of a request: the draft, the step to show, and what could not be taken.

    Attributes:
        draft: The draft.
        step: The key of the step that is shown.
        raw: What was typed and could not be taken, by the field's path, with the reason.
        focus: The field, or `step` or `summary`, that the reader is led to.
        file: What was said of the file to write.
    """

    draft: Draft
    step: str
    raw: dict[str, tuple[str, str]] = field(default_factory=dict)
    focus: str = ""
    file: dict[str, str] = field(default_factory=dict)


@routes.get("/new")
def start() -> str:
    """The ways to begin."""
    return _start_page()


@routes.post("/new")
def begin() -> str:
    """Begin a draft."""
    form = request.form
    region = form.get("region", "").strip() or _region()
    try:
        match form.get("kind"):
            case "built-in":
                draft = Draft.for_builtin(form.get("algorithm", ""), region=region)
            case "image":
                draft = Draft.new(region=region)
            case "text":
                draft = _of_file()
            case "job":
                return clone(form.get("tuning_job", "").strip())
            case kind:
                raise HpoError(f"kind must be one of built-in, image, text, job, got {kind!r}")
    except HpoError as error:
        return _start_page(str(error))
    return _shown(Page(draft, "job", focus="step"))


@routes.get("/new/clone/<name>")
def clone(name: str) -> str:
    """Begin with the settings of a tuning job of the account."""
    account = site().account
    answer = described(account, name) if name else None
    if answer is None:
        account.client("sagemaker")
        raise MissingError(f"there is no tuning job {name!r} in {account.place}; the list has their names")
    return _shown(Page(Draft.from_describe(answer), "job", focus="step"))


@routes.post("/new/steps")
def steps() -> AnyResponse | str:
    """Take what was typed, do what the button says, and show the step that follows."""
    page = Page(_draft(), request.form.get("step", "job"))
    if page.step not in {step.key for step in page.draft.steps()}:
        raise HpoError(f"the draft has no step {page.step!r}; begin again")
    _take(page, request.form)
    action, _, what = request.form.get("action", "next").partition(":")
    if action == "download":
        text, name = page.draft.template(), f"{page.draft.name or 'template'}.yaml"
        answer = Response(text, mimetype="application/yaml")
        answer.headers.set("Content-Disposition", "attachment", filename=name)
        return answer
    do = _ACTIONS.get(action)
    if do is None:
        raise HpoError(f"action must be one of {', '.join(_ACTIONS)} or download, got {action[:40]!r}")
    try:
        do(page, what)
    except (HpoError, ValueError) as error:
        page.raw[what if action in {"add", "remove"} else ""] = ("", str(error))
        page.focus = "summary"
    return _shown(page)


def _start_page(problem: str = "") -> str:
    return render_template(
        "wizard_start.html",
        algorithms=tunable_algorithms(),
        regions=_regions(),
        region=_region(),
        problem=problem,
        form=request.form,
    )


def _of_file() -> Draft:
    """The draft of a file that was sent, or of a pasted text.

    Raises:
        HpoError: There is neither, or it is no declaration.
    """
    sent = request.files.get("file")
    name, text = "the text", request.form.get("text", "")
    if sent is not None and sent.filename:
        name = sent.filename
        try:
            text = sent.read().decode()
        except UnicodeDecodeError:
            raise HpoError(
                f"{name} is not text in UTF-8; choose a template, an API request or a Describe answer"
            ) from None
    if not text.strip():
        raise HpoError("choose a file, or paste its text")
    return Draft.from_text(text, name, job=request.form.get("job", "").strip() or None)


def _draft() -> Draft:
    """The draft that the page carries.

    Raises:
        SpecError: It is not a draft's.
    """
    try:
        data = json.loads(request.form.get("draft", ""))
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise SpecError("the page does not carry a draft any more; begin a new one")
    return Draft.from_dict(data)


# What was typed


def _take(page: Page, form: MultiDict[str, str]) -> None:
    """Set what differs from what the page showed."""
    step = _step(page.draft, page.step)
    for whole in step.fields:
        for row in whole.rows:
            typed = [(each, form.get(_VALUE + each.path)) for each in row.fields]
            known = any(each.text for each in row.fields)
            if known and all(not (each.text if text is None else text.strip()) for each, text in typed):
                # Without its values a row is gone: that is what its button is for, not what one types on the way.
                page.raw[row.fields[0].path] = ("", f"{row.name} needs a value; its button takes the row away")
                continue
            for each, _ in typed:
                _take_field(page, each, form)
        if not whole.is_table:
            _take_field(page, whole, form)


def _take_field(page: Page, shown: Field, form: MultiDict[str, str]) -> None:
    path = shown.path
    if shown.kind is Kind.BOOLEAN:
        checked = _VALUE + path in form
        if _FLAG + path in form and checked != (shown.value is True):
            page.draft.set(path, checked or None)
        return
    text = form.get(_VALUE + path)
    if text is None or text.strip() == shown.text:
        return
    try:
        page.draft.set(path, text)
    except SpecError as error:
        page.raw[path] = (text, str(error))


# What the buttons do


def _stay(page: Page, _: str) -> None:
    page.focus = ""


def _next(page: Page, _: str) -> None:
    """The next step, unless something of this one is to be put right."""
    page.draft.reach(page.step)
    if page.raw or any(found.finding.severity.fails and found.step == page.step for found in page.draft.findings()):
        page.focus = "summary"
        return
    keys = [step.key for step in page.draft.steps()]
    _go(page, keys[min(keys.index(page.step) + 1, len(keys) - 1)])


def _back(page: Page, _: str) -> None:
    keys = [step.key for step in page.draft.steps()]
    _go(page, keys[max(keys.index(page.step) - 1, 0)])


def _go(page: Page, key: str) -> None:
    """Another step, or one of its fields: `KEY` or `KEY#PATH`. What could not be taken is left behind."""
    key, _, path = key.partition("#")
    if key not in {step.key for step in page.draft.steps()}:
        raise HpoError(f"the draft has no step {key!r}")
    if key != page.step:
        page.draft.reach(page.step)
        page.raw.clear()
    page.step, page.focus = key, path or "step"
    if key == REVIEW:
        page.draft.reach(REVIEW)


def _add(page: Page, path: str) -> None:
    """A row of a table, with the name and the values typed beside its button."""
    table = page.draft.field(path)
    name = request.form.get(_ROW + path, "").strip()
    if not name:
        raise SpecError(f"{table.title.lower()}: a name is needed to add one")
    if any(row.name == name for row in table.rows):
        raise SpecError(f"{table.title.lower()}: there is {name} already; change it there")
    begins = next((choice.start for choice in table.choices if choice.value == name), None)
    typed = {
        column.path: text for column in table.columns if (text := request.form.get(_COLUMN + column.path, "").strip())
    }
    if table.kind is Kind.CHANNELS:
        row = dict(begins) if isinstance(begins, dict) else {}
        row |= {column.rpartition(".")[2]: text for column, text in typed.items()}
        value: Any = row
    else:
        value = next(iter(typed.values()), begins)
    if not value:
        raise SpecError(f"{table.title.lower()}: {name} needs a value")
    page.draft.set(f"{path}.{name}", value)
    page.focus = f"{path}.{name}"


def _remove(page: Page, path: str) -> None:
    page.draft.set(path, None)
    page.raw = {place: kept for place, kept in page.raw.items() if place != path and not place.startswith(f"{path}.")}
    page.focus = next(
        (whole.path for whole in _step(page.draft, page.step).fields if path.startswith(f"{whole.path}.")), "step"
    )


def _builtin(page: Page, index: str) -> None:
    page.draft.use_builtin(int(index), request.form.get("builtin", ""))
    page.raw.clear()
    page.focus = "step"


def _add_definition(page: Page, _: str) -> None:
    index = page.draft.add_definition(request.form.get("new_definition") or None)
    _go(page, f"definition-{index}")


def _clone_definition(page: Page, index: str) -> None:
    _go(page, f"definition-{page.draft.clone_definition(int(index))}")


def _remove_definition(page: Page, index: str) -> None:
    page.draft.remove_definition(int(index))
    page.raw.clear()
    page.step, page.focus = f"definition-{max(0, int(index) - 1)}", "step"


def _write(page: Page, _: str) -> None:
    """Write the template into the folder."""
    where = site().templates
    if where is None:
        raise HpoError("the console may not write files; start it with `hpo console --templates FOLDER`")
    form = request.form
    page.step, page.focus = REVIEW, "file"
    page.file = {"name": form.get("file", "").strip()}
    failing = sum(found.finding.severity.fails for found in page.draft.findings())
    if failing and "insist" not in form:
        page.file["problem"] = f"the template has {failing} errors; put them right, or say that it is to be written so"
        return
    try:
        path = folder.write(where, page.file["name"], page.draft.template(), replacing=form.get("replacing"))
    except folder.ExistsError as error:
        page.file |= {"problem": str(error), "digest": error.digest}
    except HpoError as error:
        page.file["problem"] = str(error)
    else:
        page.file["written"] = str(path)


_ACTIONS: dict[str, Callable[[Page, str], None]] = {
    "stay": _stay,
    "next": _next,
    "back": _back,
    "go": _go,
    "add": _add,
    "remove": _remove,
    "builtin": _builtin,
    "add-definition": _add_definition,
    "clone-definition": _clone_definition,
    "remove-definition": _remove_definition,
    "write": _write,
}


# What is shown


def _shown(page: Page) -> str:
    """The page of a step."""
    draft = page.draft
    _suggest(draft, page.step)
    every = draft.steps()
    step = next(each for each in every if each.key == page.step)
    findings = [found for found in draft.findings() if found.finding.severity is not Severity.UNKNOWN]
    here = [found for found in findings if found.step == page.step and (step.reached or not found.missing)]
    marks = _Marks(page, here)
    return render_template(
        "wizard.html",
        draft=draft,
        data=json.dumps(draft.to_dict(), separators=(",", ":")),
        steps=[(each, _state(each, page.step, findings)) for each in every],
        step=step,
        position=every.index(step) + 1,
        sections=_sections(step),
        marks=marks,
        findings=findings,
        here=here,
        text=draft.template(),
        algorithms=tunable_algorithms(),
        file={"name": f"{draft.name or 'template'}.yaml", **page.file},
        templates=site().templates,
        failing=sum(found.finding.severity.fails for found in findings),
        review=REVIEW,
        few=_FEW,
        kinds=Kind,
    )


def _suggest(draft: Draft, key: str) -> None:
    """Fill in what a step suggests for answers that a job cannot do without, when it is first shown."""
    step = _step(draft, key)
    if step.reached:
        return
    for whole in step.fields:
        for each in whole.below():
            if each.required and not each.text and each.default and each.applies is None:
                with suppress(SpecError):  # a suggestion is not worth a message
                    draft.set(each.path, each.default)


def _step(draft: Draft, key: str) -> Step:
    return next(step for step in draft.steps() if step.key == key)


def _sections(step: Step) -> list[tuple[str, list[Field], list[Field]]]:
    """The sections of a step: their titles, what is always shown, and what most jobs leave as it is.

    Sections of nothing but the latter are one at the end.
    """
    fields = [each for each in step.fields if each.applies is None or each.text]
    found: list[tuple[str, list[Field], list[Field]]] = []
    rest: list[Field] = []
    for title, group in groupby(fields, key=lambda each: each.section):
        members = list(group)
        plain, more = ([each for each in members if each.advanced is kind] for kind in (False, True))
        if plain:
            found.append((title, plain, more))
        else:
            rest += more
    return [*found, (_REST, [], rest)] if rest else found


def _state(step: Step, shown: str, findings: list[DraftFinding]) -> tuple[str, int]:
    """How a step stands: `here`, `todo`, `wrong` or `done`, and how many errors it has."""
    wrong = sum(found.finding.severity.fails for found in findings if found.step == step.key and found.shown)
    if step.key == REVIEW:
        return "here" if shown == REVIEW else "todo", 0
    state = "wrong" if wrong else "done" if step.reached else "todo"
    return "here" if step.key == shown else state, wrong


class _Marks:
    """What stands beside the fields of a page: ids, findings, and what was typed."""

    def __init__(self, page: Page, here: list[DraftFinding]) -> None:
        self._raw = page.raw
        self._here = here
        self.focus = page.focus

    @staticmethod
    def id(path: str) -> str:
        """The id of a field's control; paths may hold what an id cannot."""
        return f"f{zlib.crc32(path.encode()):08x}"

    def text(self, field: Field) -> str:
        """What the control holds: what was typed, even if it could not be taken."""
        return self._raw[field.path][0] if field.path in self._raw else field.text

    def of(self, path: str) -> list[dict[str, str]]:
        """What is wrong with a field."""
        found = [_finding(each) for each in self._here if each.field == path]
        if path in self._raw:
            found.insert(0, {"severity": "error", "message": self._raw[path][1], "fix": "", "source": "", "rule": ""})
        return found

    def summary(self) -> Iterator[dict[str, str]]:
        """All that is wrong on the page, with the field that it belongs to."""
        for path, (_, reason) in self._raw.items():
            yield {"severity": "error", "message": reason, "field": path}
        for each in self._here:
            yield {**_finding(each), "field": each.field}

    def any_of(self, fields: list[Field]) -> bool:
        """Whether something is known or wrong of some of the fields, so that they should be in sight."""
        return any(each.text or self.of(inner.path) for each in fields for inner in each.below())


def _finding(found: DraftFinding) -> dict[str, str]:
    one = found.finding
    return {
        "severity": str(one.severity),
        "message": one.message,
        "fix": one.fix,
        "source": one.source,
        "rule": one.rule,
    }


@cache
def _regions() -> list[str]:
    from boto3.session import Session

    return sorted(Session().get_available_regions("sagemaker"))


def _region() -> str:
    """The region that images are suggested for, until one is chosen."""
    try:
        return str(site().account.client("sagemaker").meta.region_name)
    except AccountError:
        return "us-east-1"
