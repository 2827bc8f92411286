"""`hpo console`: the commands' views and the wizard in a browser."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from ..errors import HpoError
from .account import Profile, Region


def console_command(
    *,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.", show_default="8765, or the next free one"),
    ] = None,
    open_browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    templates: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Let the wizard write templates into this folder; without it they are downloaded.",
            show_default=False,
        ),
    ] = None,
    region: Region = None,
    profile: Profile = None,
) -> None:
    """Serve a web application on this machine: tuning jobs with their details, plots and logs, and a wizard.

    It listens on 127.0.0.1 only, works with your AWS credentials, and is open to those who have the address that it
    prints. Ctrl-C ends it; what runs on AWS goes on.

    Exit code 0: ended; 2: the port is taken, or wrong use.
    """
    try:
        from ..console.serving import serve
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        raise HpoError(f"{package} is not installed: pip install 'hpo-constructs[console]'") from None
    from ..account import Account

    if templates is not None and not templates.is_dir():
        raise HpoError(f"--templates must be a folder that exists, got {templates}")
    account = Account(region=region, profile=profile)

    def ready(address: str) -> None:
        typer.echo(f"hpo console is ready; open\n\n    {address}\n\nCtrl-C ends it")
        if open_browser:
            # Some browsers are waited for, and it is this process that answers them.
            threading.Thread(target=_open, args=(address,), daemon=True).start()

    def end(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    serve(
        account,
        templates=None if templates is None else templates.resolve(),
        port=port,
        ready=ready,
    )
    typer.echo("ended", err=True)


def _open(address: str) -> None:
    import webbrowser

    if not webbrowser.open(address):
        typer.echo("hpo: no browser is found; open the address by hand", err=True)
