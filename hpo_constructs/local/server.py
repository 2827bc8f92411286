"""The local endpoint's server: ``python -m hpo_constructs.local.server``.

:class:`hpo_constructs.local.LocalEndpoint` starts it; run by hand it serves until Ctrl-C. It listens on a loopback
address only and prints ``ready http://localhost:PORT`` when it takes requests. What moto and the engine need is
imported after that, while the first client is still starting; requests wait for it.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import ipaddress
import json
import logging
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from . import guard
from .environment import ACCOUNT_ID, client_environment
from .middleware import Middleware, Services

if TYPE_CHECKING:
    from ..quotas import Quotas
    from .state import State

log = logging.getLogger("hpo_constructs.local")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m hpo_constructs.local.server", description=__doc__)
    parser.add_argument("--port", type=_port, default=0, help="0, the default, takes a free one")
    parser.add_argument("--host", type=_loopback, default="127.0.0.1", help="a loopback address")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--images", type=Path, help="a JSON file with the mapping from images to commands")
    parser.add_argument("--work-dir", type=Path, help="where jobs and logs go; by default a temporary folder")
    parser.add_argument("--remove-work-dir", action="store_true", help="remove the work folder at the end")
    parser.add_argument(
        "--wait-scale", type=_scale, default=1.0, help="state machines' waits take this part of their time"
    )
    parser.add_argument("--state", type=Path, help="a folder that keeps jobs, S3 objects and SSM parameters")
    parser.add_argument(
        "--quotas", type=_quotas, help="the account's quotas: an edition's name, or a JSON object of single values"
    )
    parser.add_argument("--parent-fd", type=int, help="a socket to the parent: gets the port; its end ends the server")
    return parser.parse_args(argv)


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"port must be within 0 and 65535, got {port}")
    return port


def _loopback(text: str) -> str:
    try:
        is_loopback = text == "localhost" or ipaddress.ip_address(text).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        raise argparse.ArgumentTypeError(
            f"host must be a loopback address such as 127.0.0.1, got {text}: the endpoint runs any code it is given"
        )
    return text


def _scale(text: str) -> float:
    scale = float(text)
    if not 0 < scale <= 1:
        raise argparse.ArgumentTypeError(f"wait-scale must be above 0 and at most 1, got {text}")
    return scale


def _quotas(text: str) -> Quotas:
    from ..errors import QuotaError
    from ..quotas import state

    try:
        return state(json.loads(text) if text.lstrip().startswith("{") else text)
    except (QuotaError, ValueError) as exc:
        raise argparse.ArgumentTypeError(str(exc)) from None


def _state(folder: Path | None) -> State | None:
    if folder is None:
        return None
    from ..errors import LocalError
    from .state import State

    try:
        return State(folder.resolve(), ACCOUNT_ID)
    except LocalError as exc:
        raise SystemExit(str(exc)) from None


def _images(path: Path | None) -> list[dict[str, Any]]:
    if path is None:
        return []
    try:
        images = json.loads(path.read_text())
    except (OSError, ValueError) as exc:
        raise SystemExit(f"images: cannot read {path}: {exc}") from None
    if not isinstance(images, list) or not all(isinstance(entry, dict) for entry in images):
        raise SystemExit(f"images: {path} must hold a list of objects")
    return images


def _bind(host: str, port: int) -> socket.socket:
    # localhost as the name of the IPv4 address: that is what the clients' URL resolves to first.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(128)
    except OSError as exc:
        listener.close()
        reason = "it is in use" if exc.errno == errno.EADDRINUSE else (exc.strerror or str(exc))
        raise SystemExit(f"port {port} on {host} cannot be taken: {reason}; choose another one or 0") from None
    return listener


class Server:
    """The pieces of a running endpoint, in the order in which they end."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._images = _images(arguments.images)
        self._quotas: Quotas | None = arguments.quotas
        self._state = _state(arguments.state)
        self._host: str = arguments.host
        self._listener = _bind(self._host, arguments.port)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://localhost:{self.port}"
        self._region: str = arguments.region
        self._wait_scale: float = arguments.wait_scale
        self._parent_fd: int | None = arguments.parent_fd
        self._is_temporary = arguments.work_dir is None or arguments.remove_work_dir
        self._work_dir = Path(arguments.work_dir or tempfile.mkdtemp(prefix="hpo-local-")).resolve()
        self._work_dir.mkdir(parents=True, exist_ok=True)
        self._closers: list[Callable[[], None]] = []
        self._guard: subprocess.Popen[bytes] | None = None
        self._ended = threading.Event()
        self._status = 0

    def run(self) -> int:
        """Serve until a signal or the parent's end; the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        self._start_guard()

        from moto.moto_server.werkzeug_app import MotoRequestHandler
        from werkzeug.serving import make_server

        middleware = Middleware({"account_id": ACCOUNT_ID, "region": self._region, "pid": os.getpid()})
        self._http = make_server(
            self._host,
            self.port,
            middleware,
            threaded=True,
            request_handler=MotoRequestHandler,
            fd=self._listener.fileno(),
        )
        # Requests that still run (a Lambda call, say) must not hold up the end.
        self._http.daemon_threads = True  # type: ignore[attr-defined]
        threading.Thread(target=self._http.serve_forever, daemon=True).start()
        self._announce()
        threading.Thread(target=self._load, args=(middleware,), daemon=True).start()
        self._watch_parent()
        self._close()
        return self._status

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's signature
        self._ended.set()

    def _start_guard(self) -> None:
        leads_session = os.getsid(0) == os.getpid()
        if not leads_session and os.getpgrp() != os.getpid():
            # Part of somebody else's group: nothing can be told apart from the caller's own processes.
            return
        kind = "session" if leads_session else "group"
        folders = [str(self._work_dir)] if self._is_temporary else []
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__, str(os.getpid()), kind, *folders],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _announce(self) -> None:
        print(f"ready {self.url}", flush=True)
        if self._parent_fd is not None:
            # The parent may be gone by now, which _watch_parent notices.
            with contextlib.suppress(OSError):
                os.write(self._parent_fd, json.dumps({"port": self.port}).encode() + b"\n")

    def _load(self, middleware: Middleware) -> None:
        try:
            middleware.serve(self._services())
        except Exception:
            log.exception("the local endpoint cannot load its services")
            self._status = 1
            self._ended.set()

    def _services(self) -> Services:
        from . import moto_setup

        moto_setup.configure(self.port)

        from .lambda_runner import LambdaRunner

        def write_log(group: str, stream: str, lines: list[str]) -> None:
            moto_setup.write_log(group, stream, lines, account_id=ACCOUNT_ID, region=self._region)

        runner = LambdaRunner(self._work_dir / "lambda", self._worker_environment(), write_log)
        self._closers.append(runner.close)
        moto_setup.install_lambda(runner)
        moto_setup.install_step_functions(self.url, wait_scale=self._wait_scale)

        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        if self._state is not None:
            self._state.restore()
            self._closers.append(self._state.close)

        from . import cloudformation, eventbridge, sagemaker_api
        from .account_quotas import service_quotas
        from .custom_resources import Callbacks

        def invoke(arn: str, event: dict[str, Any]) -> str | None:
            function = moto_setup.find_function(arn, self._region, ACCOUNT_ID)
            invocation = runner.invoke(moto_setup.function_config(function, self._region), event)
            return invocation.payload.decode(errors="replace") if invocation.is_error else None

        eventbridge.install(invoke)
        callbacks = Callbacks(self.url, invoke)
        cloudformation.install(callbacks)
        sagemaker = sagemaker_api.SageMakerApi(
            endpoint_url=self.url,
            region=self._region,
            account_id=ACCOUNT_ID,
            work_dir=self._work_dir,
            images=self._images,
            quotas=self._quotas,
            state=self._state,
        )
        self._closers.append(sagemaker.close)
        return Services(
            moto=DomainDispatcherApplication(create_backend_app),
            callbacks=callbacks,
            sagemaker=sagemaker,
            operations=sagemaker_api.OPERATIONS,
            api_error=sagemaker_api.ApiError,
            service_quotas=service_quotas(self._quotas),
            keep=None if self._state is None else self._state.snapshot,
        )

    def _worker_environment(self) -> dict[str, str]:
        """What a Lambda worker gets of this process's variables, and how it reaches the endpoint."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL", "HOME", "TMPDIR") if name in os.environ}
        return {
            **kept,
            **client_environment(self.port, self._region),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "TZ": ":UTC",
        }

    def _watch_parent(self) -> None:
        """Wait for the end: a signal, or the end of the parent."""
        parent = os.getppid()
        while not self._ended.wait(0.2):
            if self._parent_fd is None:
                continue
            readable, _, _ = select.select([self._parent_fd], [], [], 0)
            # A child that the parent forked may hold the socket open; the parent's id tells then.
            if (readable and not os.read(self._parent_fd, 1)) or os.getppid() != parent:
                return

    def _close(self) -> None:
        for close in reversed(self._closers):
            try:
                close()
            except Exception:
                log.exception("the local endpoint did not end cleanly")
        self._listener.close()
        if self._guard is not None:
            leader = os.getpid()
            guard.end_members(leader, by_session=os.getsid(0) == leader)
            with contextlib.suppress(ProcessLookupError):
                self._guard.kill()
            self._guard.wait()
        if self._is_temporary:
            shutil.rmtree(self._work_dir, ignore_errors=True)


def main(argv: list[str] | None = None) -> None:
    """Run the server; the process ends here."""
    arguments = _arguments(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # One line per request would bury what matters.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    status = Server(arguments).run()
    sys.stdout.flush()
    sys.stderr.flush()
    # Executions and requests that still run are in daemon threads: the interpreter would wait in their locks.
    os._exit(status)


if __name__ == "__main__":
    main()
