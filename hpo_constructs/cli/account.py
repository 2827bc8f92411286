"""What the commands on an account share: options, the console, JSON and looking again and again."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import HpoError

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..account import DeclaredJob, Job

# Where nobody looks on a screen, a row is a line.
_WIDTH_OF_FILES = 240
WIDE = 140

JobName = Annotated[
    str,
    typer.Argument(
        metavar="JOB",
        help="A declared name, whose newest run is meant, or a tuning job's own name.",
        show_default=False,
    ),
]
Stack = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The stack that declares the job, where several do.", show_default=False),
]
Region = Annotated[
    str | None, typer.Option(help="The AWS region.", show_default="the AWS configuration's", rich_help_panel="AWS")
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="The profile of the AWS configuration.", show_default="AWS_PROFILE, or default", rich_help_panel="AWS"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's own data, with ours beside it, as JSON.")]
Watch = Annotated[bool, typer.Option("--watch", help="Look again and again; Ctrl-C ends it.")]
Interval = Annotated[float, typer.Option(metavar="SECONDS", min=0.5, help="How often --watch and the like look.")]


def console() -> Console:
    """A console for standard output: without colour where NO_COLOR is set or nobody looks."""
    from rich.console import Console

    return Console(
        highlight=False,
        width=None if sys.stdout.isatty() else _WIDTH_OF_FILES,
        color_system=None if os.environ.get("NO_COLOR") else "auto",
    )


def watched(screen: Console, look: Callable[[], tuple[RenderableType, bool]], interval: float) -> None:
    """Show what a look gives until it says that nothing changes any more; Ctrl-C is a right way to end it.

    On a terminal it is one live picture; elsewhere it is printed whenever it has changed.

    Args:
        screen: Where to show it.
        look: Gives what to show, and whether that was the last of it.
        interval: Seconds between two looks.
    """
    from rich.live import Live

    shown, last = look()
    before = ""
    try:
        with (
            Live(shown, console=screen, auto_refresh=False, vertical_overflow="ellipsis")
            if screen.is_terminal
            else (nullcontext()) as live
        ):
            while True:
                if live is not None:
                    live.update(shown, refresh=True)
                elif (text := _text(screen, shown)) != before:
                    typer.echo(text)
                    before = text
                if last:
                    return
                time.sleep(interval)
                shown, last = look()
    except KeyboardInterrupt:
        return


def _text(screen: Console, shown: RenderableType) -> str:
    with screen.capture() as captured:
        screen.print(shown)
    return captured.get()


def refuse_together(**options: bool) -> None:
    """Refuse options that exclude each other.

    Raises:
        HpoError: More than one is given.
    """
    given = [f"--{name}" for name, value in options.items() if value]
    if len(given) > 1:
        raise HpoError(f"{' and '.join(given)} cannot be given together; choose one")


def declared_by(job: Job) -> str | None:
    """The declared name and its stack, for people."""
    if job.declared is None:
        return job.name
    return f"{job.name}, stack {job.declared.stack}"


def declared_json(declared: DeclaredJob | None, name: str | None) -> Mapping[str, Any] | None:
    """The declaration, for programs; None for a tuning job that no declaration has made."""
    if declared is None:
        return None if name is None else {"name": name}
    return {
        "name": declared.name,
        "stack": declared.stack,
        "state_machine_arn": declared.state_machine_arn,
        "output_prefix": declared.output_prefix,
    }
