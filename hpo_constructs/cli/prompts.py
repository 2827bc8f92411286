"""Questions in a terminal: with arrow keys where the terminal can, as numbered lists where it cannot."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import typer

from .terminal import style

if TYPE_CHECKING:
    from prompt_toolkit.styles import Style

BACK = "<"
MORE = "?"
_WIDEST = 96
_SEARCH_FROM = 12


@dataclass(frozen=True, slots=True)
class Option:
    """An entry of a list.

    Attributes:
        value: What choosing it gives.
        label: What is shown.
        help: What it means, shown beside it.
    """

    value: str
    label: str
    help: str = ""


class Prompts(Protocol):
    """Asks one question and gives the answer as text."""

    def text(self, message: str, default: str) -> str:
        """Ask for a text; the default stands there to be changed.

        Raises:
            KeyboardInterrupt: The user ends the wizard.
        """

    def choose(self, message: str, options: Sequence[Option], default: str) -> str:
        """Ask for one of the options and give its value.

        Raises:
            KeyboardInterrupt: The user ends the wizard.
        """


def prompts() -> Prompts:
    """The prompts that fit the terminal."""
    return PlainPrompts() if os.environ.get("TERM", "dumb") in {"dumb", "unknown", ""} else KeyPrompts()


def width() -> int:
    """How wide text may be."""
    return min(shutil.get_terminal_size((80, 24)).columns, _WIDEST)


def say(text: str = "", *, indent: str = "", role: str = "") -> None:
    """Print a text in lines that fit the terminal."""
    lines = textwrap.wrap(text, width() - 1, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)
    for line in lines or [""]:
        typer.echo(style()(line, role) if role else line)


def aligned(options: Sequence[Option], message: str = "") -> list[str]:
    """Labels with what they mean in a second column, each in one line of the terminal, behind the message, too."""
    column = max((len(option.label) for option in options if option.help), default=0)
    lines = [f"{option.label:<{column}}  {option.help}" if option.help else option.label for option in options]
    most = max(width() - len(message) - 8, 20)
    return [line if len(line) <= most else f"{line[: most - 1]}…" for line in lines]


class KeyPrompts:
    """Prompts of questionary: lists are moved through with the arrow keys or by typing."""

    def text(self, message: str, default: str) -> str:
        """Ask for a text."""
        import questionary

        answer: str = questionary.text(f"{message}:", default=default, qmark="?", style=_look()).unsafe_ask()
        return answer

    def choose(self, message: str, options: Sequence[Option], default: str) -> str:
        """Ask for one of the options."""
        import questionary

        long = len(options) >= _SEARCH_FROM
        choices = [
            questionary.Choice(title=line, value=option.value)
            for option, line in zip(options, aligned(options, message), strict=True)
        ]
        answer: str = questionary.select(
            f"{message}:",
            choices=choices,
            default=next((choice for choice in choices if choice.value == default), None),
            qmark="?",
            style=_look(),
            use_search_filter=long,
            use_jk_keys=False,
            instruction="(type to search)" if long else " ",
        ).unsafe_ask()
        return answer


class PlainPrompts:
    """Prompts that need nothing of a terminal but lines: for TERM=dumb, screen readers and editors."""

    def text(self, message: str, default: str) -> str:
        """Ask for a text; an empty line is the default, and `-` stands for no text."""
        shown = f"{message} [{default}]: " if default else f"{message}: "
        answer = _line(shown)
        return "" if answer == "-" else answer or default

    def choose(self, message: str, options: Sequence[Option], default: str) -> str:
        """Ask for one of the options, by its number or its name."""
        values = [option.value for option in options]
        for number, line in enumerate(aligned(options), start=1):
            typer.echo(f"  {number:>2}. {line}")
        chosen = values.index(default) + 1 if default in values else 1
        while True:
            answer = _line(f"{message} [{chosen}]: ") or str(chosen)
            if answer.isdigit() and 1 <= int(answer) <= len(options):
                return values[int(answer) - 1]
            named = [
                option.value for option in options if answer.lower() in {option.value.lower(), option.label.lower()}
            ]
            if named:
                return named[0]
            typer.echo(f"  write a number from 1 to {len(options)}, got {answer!r}")


def _line(shown: str) -> str:
    sys.stdout.write(shown)
    sys.stdout.flush()
    line = sys.stdin.readline()
    if not line:
        raise KeyboardInterrupt  # the end of the input ends the wizard, as Ctrl-C does
    return line.strip()


def _look() -> Style:
    """Colours of the prompts; none with NO_COLOR."""
    from prompt_toolkit.styles import Style

    if os.environ.get("NO_COLOR"):
        return Style([(name, "noinherit") for name in ("qmark", "question", "answer", "pointer", "highlighted")])
    return Style(
        [
            ("qmark", "fg:ansicyan bold"),
            ("question", "bold"),
            ("answer", "fg:ansicyan"),
            ("pointer", "fg:ansicyan bold"),
            ("highlighted", "fg:ansicyan bold"),
            ("instruction", "fg:ansibrightblack"),
        ]
    )
