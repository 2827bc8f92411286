"""The console's server: waitress on the loopback interface."""

from __future__ import annotations

import errno
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from waitress.server import create_server

from ..errors import HpoError
from .application import LARGEST_FORM, create_app
from .security import HOSTS, TOKEN, Guard

if TYPE_CHECKING:
    from ..account import Account

DEFAULT_PORT = 8765
# How many ports after the default one are tried when it is taken.
_PORTS = 20
# Pages wait for AWS, so that several are asked for at once; a browser has six connections to a host.
_THREADS = 12


def listening(port: int | None) -> socket.socket:
    """A socket on 127.0.0.1 that listens.

    Args:
        port: The port; 0 for a free one. Without it the default one, or the next that is free.

    Raises:
        HpoError: The port is taken, or may not be used.
    """
    first = DEFAULT_PORT if port is None else port
    candidates = range(first, first + _PORTS) if port is None else (first,)
    refused = None
    for candidate in candidates:
        found = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            found.bind((HOSTS[0], candidate))
            found.listen(128)
        except OSError as error:
            found.close()
            refused = error
            if error.errno == errno.EADDRINUSE:
                continue
            break
        return found
    if refused is not None and refused.errno != errno.EADDRINUSE:
        raise HpoError(f"port {first} cannot be used ({refused.strerror}); choose another with --port")
    shown = f"port {first} is" if port is not None else f"ports {first} to {first + _PORTS - 1} are"
    raise HpoError(f"{shown} taken on {HOSTS[0]}; choose another with --port, or --port 0 for a free one")


def serve(account: Account, *, templates: Path | None, port: int | None, ready: Callable[[str], None]) -> None:
    """Serve the console until the process is interrupted.

    Args:
        account: The account that the pages show.
        templates: The folder into which the wizard may write; it writes nothing without one.
        port: As from `listening`.
        ready: Called with the address once it answers.

    Raises:
        HpoError: The port is taken.
    """
    with listening(port) as listener:
        number = listener.getsockname()[1]
        guard = Guard(number)
        app = create_app(account, guard, templates=templates)
        server = create_server(
            app,
            sockets=[listener],
            threads=_THREADS,
            ident="",
            clear_untrusted_proxy_headers=True,
            max_request_body_size=LARGEST_FORM,
        )
        # Its warnings are for operators of sites: that a page is being waited for, also when the console ends.
        logging.getLogger("waitress").setLevel(logging.ERROR)
        try:
            ready(f"http://{HOSTS[0]}:{number}/?{TOKEN}={guard.token}")
            server.run()
        except KeyboardInterrupt:
            # Before its loop has begun, or a second time while it ends.
            server.close()
