"""The wizard in a terminal: asks the questions of a draft, step by step, and goes back where one wants to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any

import typer

from ..errors import HpoError, SpecError
from ..report.findings import finding_text
from ..rules import Severity
from ..wizard import REVIEW, Draft, DraftFinding, Field, Kind, Row, Step, tunable_algorithms
from .prompts import BACK, MORE, Option, Prompts, say
from .terminal import style

_NONE, _OTHER, _CONTINUE, _CHANGE, _ADD = "none", "other", "continue", "change", "add"
_ALGORITHM, _ADD_DEFINITION, _CLONE, _REMOVE = "algorithm", "add definition", "clone", "remove"
_WRITE, _YAML, _STEP, _LATER = "write", "yaml", "step", "later"
_LONGEST = 44


class _Move(StrEnum):
    """Where to go after a question or a step."""

    NEXT = "next"
    BACK = "back"
    STAY = "stay"


class Session:
    """One run of the wizard over a draft.

    Args:
        draft: The draft.
        prompts: How to ask.
        keep: Called after every answer, so that nothing that was typed is lost.
        check: The findings of the draft, against the quotas that `hpo check` would take.
    """

    def __init__(
        self,
        draft: Draft,
        prompts: Prompts,
        keep: Callable[[Draft], None],
        check: Callable[[Draft], list[DraftFinding]],
    ) -> None:
        self.draft = draft
        self._prompts = prompts
        self._keep = keep
        self._check = check
        self._asked: set[str] = set()
        self._done: dict[str, list[str]] = {}
        self._finished: set[str] = set()

    def run(self) -> None:
        """Ask everything; the draft is to be written when this returns.

        Of a step that was reached before, as in a clone or a draft that was kept, only what is missing is asked.

        Raises:
            KeyboardInterrupt: The user ends the wizard.
        """
        for step in self.draft.steps():
            if step.reached and step.key != REVIEW:
                questions = self._essentials(step)
                answered = [item.path for item in questions if item.applies is None and (item.text or item.rows)]
                self._done[step.key] = answered
                if len(answered) == len(questions):
                    self._finished.add(step.key)
        at: str | None = next((key for key in self._keys() if key not in self._finished), REVIEW)
        while at is not None:
            at = self._review() if at == REVIEW else self._after(at, self._step(at))

    def _keys(self) -> list[str]:
        return [step.key for step in self.draft.steps()]

    def _after(self, key: str, move: _Move | str) -> str:
        """The key of the step to go to."""
        if not isinstance(move, _Move):
            return move
        keys = self._keys()
        place = keys.index(key)
        if move is _Move.NEXT:
            return next(item for item in keys[place + 1 :] if item not in self._finished)
        return keys[place - 1] if move is _Move.BACK else key

    # Steps

    def _step(self, key: str) -> _Move | str:
        """Ask a step's questions, those that were answered before left out, and then what to do next."""
        self.draft.reach(key)
        step = self._current(key)
        number = self._keys().index(key) + 1
        typer.echo()
        typer.echo(style()(f"{step.title}  ({number} of {len(self._keys())})", "strong"))
        done = self._done.setdefault(key, [])
        if key in self._finished:
            done[:] = [item.path for item in self._essentials(step)]
        while True:
            step = self._current(key)
            field = next((item for item in self._essentials(step) if item.path not in done), None)
            if field is None:
                self._finished.add(key)
                move = self._menu(step)
                if move is not _Move.BACK:
                    return move
            else:
                move = self._ask(field)
                if move is _Move.NEXT:
                    done.append(field.path)
            if move is _Move.BACK:
                self._finished.discard(key)
                if done:
                    self._asked.add(done.pop())
                elif number > 1:
                    return _Move.BACK
                else:
                    say("This is the first question.", indent="  ", role="dim")

    def _current(self, key: str) -> Step:
        return next(step for step in self.draft.steps() if step.key == key)

    def _essentials(self, step: Step) -> list[Field]:
        """The questions that are always asked: what is needed, and what most jobs decide."""
        kind = "" if step.definition is None else self.draft.algorithm(step.definition).kind
        found: list[Field] = []
        for field in step.fields:
            if field.applies is not None:
                found += [field] if field.text else []
                continue
            if field.advanced or (field.path.endswith("training_image") and kind == "built-in"):
                continue
            if field.path.endswith("algorithm_name") and kind != "resource":
                continue
            if field.path.endswith("objective.type") and field.text and field.text == field.default:
                continue  # the built-in metric's own direction
            if field.is_table:
                rows = [_of_row(row, item) for row in field.rows for item in row.fields if item.required]
                if field.kind is not Kind.RANGES:
                    found += [item for item in rows if not item.text or item.path in self._asked]
                if (field.required and field.kind is not Kind.CHANNELS) or (
                    field.kind is Kind.CHANNELS and not field.rows
                ):
                    found.append(field)
                continue
            found.append(field)
        self._asked |= {item.path for item in found}
        return found

    def _menu(self, step: Step) -> _Move | str:
        """What to do at the end of a step."""
        self._show([item for item in self._check(self.draft) if item.step == step.key and not item.missing])
        options = [
            Option(_CONTINUE, "Continue"),
            Option(_CHANGE, "Change or add a setting", self._more(step)),
        ]
        if step.definition is not None:
            options += [
                Option(_ALGORITHM, "Choose another algorithm"),
                Option(_ADD_DEFINITION, "Add a definition", "another algorithm in the same tuning job"),
                Option(_CLONE, "Clone this definition"),
            ]
            if self.draft.definition_count > 1:
                options.append(Option(_REMOVE, "Remove this definition"))
        options.append(Option(BACK, "Back"))
        typer.echo()
        chosen = self._prompts.choose(step.title.partition(":")[0], options, _CONTINUE)
        index = step.definition or 0
        try:
            match chosen:
                case "continue":
                    return _Move.NEXT
                case "<":
                    return _Move.BACK
                case "change":
                    self._change(step)
                case "algorithm":
                    self.choose_algorithm(index)
                case "add definition":
                    new = self.draft.add_definition()
                    self.choose_algorithm(new)
                    return self._enter(new)
                case "clone":
                    return self._enter(self.draft.clone_definition(index))
                case "remove":
                    self.draft.remove_definition(index)
                    return self._enter(min(index, self.draft.definition_count - 1), ended=True)
        except HpoError as error:
            self._refused(str(error))
        self._keep(self.draft)
        return _Move.STAY

    def _enter(self, index: int, *, ended: bool = False) -> str:
        """Go to a definition, now that their number has changed and so their paths have."""
        self._keep(self.draft)
        keys = [key for key in self._keys() if key.startswith("definition-")]
        say(f"The tuning job has {len(keys)} definition{'s' if len(keys) > 1 else ''} now.", indent="  ", role="dim")
        self._done.clear()
        self._finished = {key for key in self._finished if not key.startswith("definition-")} | set(keys)
        if not ended:
            self._finished.discard(keys[index])
        return keys[index]

    def _more(self, step: Step) -> str:
        names = [field.title.lower() for field in step.fields if field.advanced and field.applies is None]
        return f"{', '.join(names[:4])} …" if names else ""

    def _change(self, step: Step) -> None:
        fields = [field for field in step.fields if field.applies is None or field.text]
        options = [Option(field.path, field.title, _short(field)) for field in fields]
        chosen = self._prompts.choose("Setting", [*options, Option(BACK, "Back")], "")
        field = next((item for item in fields if item.path == chosen), None)
        if field is not None:
            self._ask(field)

    # The algorithm

    def choose_algorithm(self, index: int) -> None:
        """Ask for the algorithm of a definition."""
        options = [
            Option("built-in", "A built-in algorithm", "XGBoost, linear learner, …"),
            Option("image", "Your own container", "a training image in a registry"),
            Option("resource", "An algorithm resource", "such as one of AWS Marketplace"),
        ]
        match self._prompts.choose("Algorithm", options, "built-in"):
            case "built-in":
                self.choose_builtin(index)
            case "image":
                self._image(index, "image")
            case _:
                self._image(index, "resource")
        self._keep(self.draft)

    def choose_builtin(self, index: int) -> None:
        """Ask for a built-in algorithm and the region of its image."""
        name = self._prompts.choose("Built-in algorithm", algorithm_options(), "xgboost")
        while True:
            region = self._prompts.text("Region", self.draft.region)
            before, self.draft.region = self.draft.region, region
            try:
                self.draft.use_builtin(index, name)
            except HpoError as error:
                self.draft.region = before
                self._refused(str(error))
                continue
            return

    def _image(self, index: int, kind: str) -> None:
        path = f"{self.draft.definition_path(index)}.algorithm_specification"
        field = self.draft.field(f"{path}.{'training_image' if kind == 'image' else 'algorithm_name'}")
        while True:
            answer = self._line(field, field.text)
            if answer == BACK or not answer.strip():
                return
            try:
                (self.draft.use_image if kind == "image" else self.draft.use_algorithm)(index, answer)
            except HpoError as error:
                self._refused(str(error))
                continue
            return

    # Questions

    def _ask(self, field: Field) -> _Move:
        """Ask one field until its answer can stand."""
        if field.applies is not None:
            return self._superfluous(field)
        if field.is_table:
            return self._table(field)
        insisted: str | None = None
        suggestion = field.text or field.default
        self._help(field)
        while True:
            answer = self._answer(field, suggestion)
            if answer == BACK:
                return _Move.BACK
            before = self._known()
            kept = self.draft.copy()
            try:
                self.draft.set(field.path, answer)
            except SpecError as error:
                self._refused(str(error))
                suggestion = answer
                continue
            found = [item for item in self._check(self.draft) if not item.missing]
            here = [item for item in found if item.field == field.path and item.finding.severity.fails]
            if field.required and not answer.strip():
                self._refused(f"{field.title.lower()} is needed, got nothing; such as {field.example or 'a value'}")
                self.draft = kept
                continue
            if here and answer != insisted:
                self._show(here)
                say("Correct it, or enter it again to keep it.", indent="  ", role="dim")
                insisted = suggestion = answer
                continue
            self._keep(self.draft)
            self._show([item for item in found if item.shown and _identity(item) not in before and item not in here])
            return _Move.NEXT

    def _answer(self, field: Field, suggestion: str) -> str:
        if field.kind is Kind.BOOLEAN:
            options = [Option("yes", "Yes"), Option("no", "No"), Option(BACK, "Back")]
            return self._prompts.choose(field.title, options, "yes" if suggestion == "true" else "no")
        if field.choices and field.kind is Kind.CHOICE:
            options = [Option(choice.value, choice.value, choice.help) for choice in field.choices]
            known = {option.value for option in options}
            if suggestion and suggestion not in known:
                options.insert(0, Option(suggestion, suggestion))
            if not field.required:
                options.append(Option(_NONE, "None of these"))
            if field.open:
                options.append(Option(_OTHER, "Another one …"))
            options.append(Option(BACK, "Back"))
            default = suggestion or (_NONE if not field.required else "")
            chosen = self._prompts.choose(field.title, options, default)
            if chosen == _OTHER:
                return self._line(field, "")
            return "" if chosen == _NONE else chosen
        return self._line(field, suggestion)

    def _line(self, field: Field, suggestion: str) -> str:
        while True:
            answer = self._prompts.text(field.title, suggestion)
            if answer.strip() != MORE:
                return BACK if answer.strip() == BACK else answer
            say(f"{field.help} See {field.source}", indent="  ")

    def _help(self, field: Field) -> None:
        example = f" Such as {field.example}" if field.example and not field.text and not field.choices else ""
        typer.echo()
        say(f"{field.help}{example}", indent="  ", role="dim")

    def _superfluous(self, field: Field) -> _Move:
        say(f"{field.title} does not apply: {field.applies}.", indent="  ")
        options = [Option("remove", f"Remove it: {_short(field)}"), Option("keep", "Keep it"), Option(BACK, "Back")]
        match self._prompts.choose(field.title, options, "remove"):
            case "<":
                return _Move.BACK
            case "remove":
                self.draft.set(field.path, None)
                self._keep(self.draft)
        return _Move.NEXT

    def _table(self, field: Field) -> _Move:
        """Show a table and change its rows."""
        self._help(field)
        while True:
            field = self.draft.field(field.path)
            rows = [Option(row.path, row.name, self._row_text(row.fields)) for row in field.rows]
            options = [
                *([Option(_CONTINUE, "Keep these" if rows else "None")] if rows or not field.required else []),
                *rows,
                Option(_ADD, "Add one …"),
                Option(BACK, "Back"),
            ]
            chosen = self._prompts.choose(field.title, options, _CONTINUE if rows else _ADD)
            if chosen == _CONTINUE:
                return _Move.NEXT
            if chosen == BACK:
                return _Move.BACK
            if chosen == _ADD:
                self._add_row(field)
            else:
                row = next(item for item in field.rows if item.path == chosen)
                self._change_row(field, row.path, row.fields)

    def _row_text(self, fields: Sequence[Field]) -> str:
        return ", ".join(item.text for item in fields if item.text)

    def _add_row(self, table: Field) -> None:
        name = self._new_name(table)
        if not name:
            return
        path = f"{table.path}.{name}"
        start = next((choice.start for choice in table.choices if choice.value == name), None)
        if start:
            try:
                self.draft.set(path, start)
            except SpecError as error:
                self._refused(str(error))
                return
            row = next((row for row in self.draft.field(table.path).rows if row.name == name), None)
            fields: Sequence[Field] = row.fields if row is not None else ()
        else:
            fields = table.columns
        for column in fields:
            self._ask_cell(column, path, name)

    def _new_name(self, table: Field) -> str:
        if table.choices:
            options = [Option(choice.value, choice.value, choice.help) for choice in table.choices]
            options += [Option(_OTHER, "Another one …"), Option(BACK, "Back")]
            chosen = self._prompts.choose("Add", options, options[0].value)
            if chosen == BACK:
                return ""
            if chosen != _OTHER:
                return chosen
        answer = self._prompts.text("Name", "").strip()
        return "" if answer == BACK else answer

    def _ask_cell(self, column: Field, path: str, name: str) -> None:
        """Ask one value of a row; the less usual ones are not asked for a new row."""
        if column.advanced:
            return
        place = column.path.replace(f"{path.removesuffix(name)}*", path, 1)
        title = name if column.title in {"Value", "Range", name} else f"{name}: {column.title}"
        insisted: str | None = None
        suggestion = column.text or column.default
        self._help(column)
        while True:
            answer = self._prompts.text(title, suggestion)
            if answer.strip() == BACK or (not answer.strip() and not column.text):
                return
            try:
                self.draft.set(place, answer)
            except SpecError as error:
                self._refused(str(error))
                suggestion = answer
                continue
            here = [
                item
                for item in self._check(self.draft)
                if item.finding.severity.fails and not item.missing and item.finding.path.startswith(place)
            ]
            self._keep(self.draft)
            if here and answer != insisted:
                self._show(here)
                say("Correct it, or enter it again to keep it.", indent="  ", role="dim")
                insisted = suggestion = answer
                continue
            return

    def _change_row(self, table: Field, path: str, fields: Sequence[Field]) -> None:
        name = path.removeprefix(f"{table.path}.")
        if len(fields) == 1:
            say("An empty answer removes it.", indent="  ", role="dim")
            self._ask_cell(fields[0], path, name)
            return
        options = [Option(item.path, item.title, item.text) for item in fields if item.applies is None or item.text]
        options += [Option(_REMOVE, f"Remove {name}"), Option(BACK, "Back")]
        chosen = self._prompts.choose(name, options, options[0].value)
        if chosen == _REMOVE:
            self.draft.set(path, None)
            self._keep(self.draft)
            return
        field = next((item for item in fields if item.path == chosen), None)
        if field is not None:
            self._ask(replace(field, title=f"{name}: {field.title}"))

    # The review

    def _review(self) -> str | None:
        """Show the findings; give the step to go to, or None to write the template."""
        self.draft.reach(REVIEW)
        steps = self.draft.steps()
        typer.echo()
        typer.echo(style()(f"Review  ({len(steps)} of {len(steps)})", "strong"))
        shown_yaml = False
        while True:
            found = self._check(self.draft)
            failing = [item for item in found if item.finding.severity.fails]
            if not shown_yaml:
                typer.echo(f"\n{self.draft.template()}")
                shown_yaml = True
            self._show(found)
            if not failing:
                typer.echo(style()("hpo check has nothing to object", "good"))
            noun = "finding" if len(failing) == 1 else "findings"
            write = f"Write it with {len(failing)} {noun} to correct" if failing else "Write the template"
            options = [
                Option(_WRITE, write),
                *(Option(step.key, f"Go to: {step.title}") for step in steps if step.key != REVIEW),
                Option(_YAML, "Show the template again"),
            ]
            default = failing[0].step if failing else _WRITE
            chosen = self._prompts.choose("Review", options, default)
            if chosen == _WRITE:
                return None
            if chosen != _YAML:
                return chosen
            shown_yaml = False

    # Findings

    def _known(self) -> set[Any]:
        return {_identity(item) for item in self._check(self.draft)}

    def _show(self, found: Sequence[DraftFinding]) -> None:
        for item in found:
            if item.finding.severity is not Severity.UNKNOWN:
                # The lines are those of a file that is not written yet.
                typer.echo(finding_text(replace(item.finding, line=None, column=None), style()))

    def _refused(self, message: str) -> None:
        say(message, indent="  ", role="error")


def algorithm_options() -> list[Option]:
    """The built-in algorithms that can be tuned, with their titles."""
    from ..catalog import builtin

    found = ((name, builtin(name)) for name in tunable_algorithms())
    return [Option(name, name, facts.title) for name, facts in found if facts is not None]


def _of_row(row: Row, field: Field) -> Field:
    """A field of a row under a title that names the row."""
    return field if field.title == row.name else replace(field, title=f"{row.name}: {field.title}")


def _identity(item: DraftFinding) -> tuple[str, str, str]:
    return item.finding.rule, item.finding.path, item.finding.message


def _short(field: Field) -> str:
    if field.is_table:
        names = ", ".join(row.name for row in field.rows)
        return names if len(names) <= _LONGEST else f"{len(field.rows)} entries"
    return field.text if len(field.text) <= _LONGEST else f"{field.text[: _LONGEST - 1]}…"
