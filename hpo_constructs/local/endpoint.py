"""The local AWS endpoint as an object: a child process that ends with its parent."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from ..errors import LocalError
from ..quotas import Quotas
from ..quotas import state as state_quotas
from .environment import ACCOUNT_ID, client_environment

#: Seconds that the server may take to listen.
START_TIMEOUT = 60.0
#: Seconds that the server may take to end its training jobs and workers before it is killed.
STOP_TIMEOUT = 15.0
#: How much of the server's log an error shows.
_LOG_TAIL_LINES = 20


class LocalEndpoint:
    """An AWS endpoint on this machine that runs stacks, Lambda code, state machines and training for real.

    Use it as a context manager, or call :meth:`start` and :meth:`stop`. The server is a child process; it and all
    that it started end with :meth:`stop`, and also when this process ends in any other way.

    Args:
        port: The TCP port on localhost; 0, the default, takes a free one.
        region: The region that clients and stacks use, us-east-1 by default.
        images: The mapping from training images to local commands, entries as docs/architecture.md states them.
            Without it only the built-in algorithms can be trained.
        work_dir: Where training jobs' folders and the server's log go. By default a temporary folder, which is
            removed at the end.
        wait_scale: The part of its time that a state machine's wait or retry delay takes, above 0 and at most 1,
            the default: with 0.05 a wait of 60 seconds takes 3. Waits until a point in time are not shortened.
        state: The folder that keeps tuning and training jobs, S3 objects and SSM parameters from one run of the
            endpoint to the next; see :mod:`hpo_constructs.local.state` for what is kept. Nothing is by default.
        quotas: The account's quotas, in the forms of :func:`hpo_constructs.quotas.state`: a request beyond one is
            refused with ResourceLimitExceeded. None are in force by default.

    Raises:
        QuotaError: A quota is unknown or no whole number.
        LocalError: From :meth:`start` when the port is taken or the server does not listen within 60 seconds; its
            text holds the end of the server's log. From the properties when the endpoint does not run.
    """

    account_id = ACCOUNT_ID

    def __init__(
        self,
        *,
        port: int = 0,
        region: str = "us-east-1",
        images: Iterable[Mapping[str, Any]] = (),
        work_dir: Path | None = None,
        wait_scale: float = 1.0,
        state: Path | None = None,
        quotas: Quotas | Mapping[str, Any] | str | None = None,
    ) -> None:
        self.region = region
        self._requested_port = port
        self._images = [dict(entry) for entry in images]
        self._requested_work_dir = work_dir
        self._wait_scale = wait_scale
        self._state = state
        if quotas is None or isinstance(quotas, Quotas):
            self._quotas = quotas
        else:
            self._quotas = state_quotas(quotas)
        self._process: subprocess.Popen[bytes] | None = None
        self._lifeline: socket.socket | None = None
        self._port = 0
        self._work_dir: Path | None = None
        self._session: Any = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        self._require_running()
        return self._port

    @property
    def url(self) -> str:
        """``http://localhost:PORT``; the name, because clients and moto treat S3 addresses by it."""
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id, which is also its session's."""
        return self._require_running().pid

    @property
    def work_dir(self) -> Path:
        self._require_running()
        assert self._work_dir is not None  # noqa: S101 - set by start()
        return self._work_dir

    @property
    def log_file(self) -> Path:
        """What the server printed and logged."""
        return self.work_dir / "endpoint.log"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that keep the CDK CLI, the AWS CLI and SDKs on this endpoint.

        They go on top of a process's own; :meth:`child_environment` also takes away what would lead elsewhere.
        Credentials are made up. A profile that the user chose is replaced by one in a file of the endpoint's own,
        so that no real credentials are read.
        """
        folder = self.work_dir / "aws"
        return {
            **client_environment(self.port, self.region),
            "AWS_CONFIG_FILE": str(folder / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
            "AWS_PROFILE": "default",
            "AWS_DEFAULT_PROFILE": "default",
            # The SageMaker Python SDK asks STS at AWS's own address for the account, unless its bucket is stated.
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(folder / "sagemaker.yaml"),
            "CDK_DEFAULT_ACCOUNT": self.account_id,
            "CDK_DEFAULT_REGION": self.region,
            # The CDK CLI asks the network for these; an option --x of the CLI can be given as CDK_X.
            "CDK_NOTICES": "false",
            "CDK_DISABLE_CLI_TELEMETRY": "true",
            "CDK_DISABLE_VERSION_CHECK": "1",
        }

    def child_environment(self, base: Mapping[str, str] | None = None) -> dict[str, str]:
        """A whole environment for a child process: ``base`` (this process's by default) kept on this endpoint.

        All of its ``AWS_*`` variables are left out: a per-service endpoint or a web identity of the user's would
        otherwise be stronger than :attr:`environment`.
        """
        kept = {
            name: value for name, value in (os.environ if base is None else base).items() if not name.startswith("AWS_")
        }
        return {**kept, **self.environment}

    @property
    def session(self) -> Any:
        """A boto3 session whose clients are this endpoint's, whatever AWS configuration the user has."""
        if self._session is None:
            import boto3
            import botocore.session

            # None of the user's profiles and files; an unknown AWS_PROFILE would even be an error.
            nothing = {"profile": (None, None, None, None)}
            for name in ("config_file", "credentials_file"):
                nothing[name] = (None, None, os.devnull, None)  # type: ignore[assignment]
            self._session = boto3.session.Session(
                botocore_session=botocore.session.Session(session_vars=nothing),
                aws_access_key_id="local",
                aws_secret_access_key="local",  # noqa: S106 - made up
                region_name=self.region,
            )
            self._session.client = partial(self._session.client, endpoint_url=self.url)
        return self._session

    def client(self, service: str) -> Any:
        """A boto3 client of this endpoint."""
        return self.session.client(service)

    def start(self) -> Self:
        """Start the server and wait until it listens. A running endpoint stays as it is."""
        if self.is_running:
            return self
        self.stop()
        temporary = self._requested_work_dir is None
        self._work_dir = Path(
            tempfile.mkdtemp(prefix="hpo-local-") if self._requested_work_dir is None else self._requested_work_dir
        ).resolve()
        self._work_dir.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable,
            "-m",
            "hpo_constructs.local.server",
            *("--port", str(self._requested_port)),
            *("--region", self.region),
            *("--work-dir", str(self._work_dir)),
            *("--wait-scale", str(self._wait_scale)),
        ]
        if temporary:
            command.append("--remove-work-dir")
        if self._state is not None:
            command += ["--state", str(self._state.resolve())]
        if self._quotas is not None:
            stated = {name: getattr(self._quotas, name) for name in sorted(self._quotas.stated)}
            command += ["--quotas", json.dumps({"edition": self._quotas.edition, **stated}, default=dict)]
        if self._images:
            images = self._work_dir / "images.json"
            images.write_text(json.dumps(self._images))
            command += ["--images", str(images)]
        self._write_profile(self._work_dir / "aws")
        self._lifeline, child_end = socket.socketpair()
        with (self._work_dir / "endpoint.log").open("wb") as log:
            try:
                self._process = self._spawn(command, child_end, log)
            finally:
                child_end.close()
        atexit.register(self.stop)
        try:
            self._port = self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    @staticmethod
    def _spawn(command: list[str], child_end: socket.socket, log: IO[bytes]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*command, "--parent-fd", str(child_end.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            pass_fds=(child_end.fileno(),),
            # Ctrl-C in the terminal is the parent's to handle; and the session is what the server can end whole.
            start_new_session=True,
            # The server's own boto3 clients must see none of the user's AWS settings.
            env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        )

    def _write_profile(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        (folder / "config").write_text(f"[default]\nregion = {self.region}\n")
        modules = {
            "Session": {"DefaultS3Bucket": f"sagemaker-{self.region}-{self.account_id}"},
            "TelemetryOptOut": True,
        }
        # JSON is YAML.
        (folder / "sagemaker.yaml").write_text(
            json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": modules}}})
        )
        (folder / "credentials").write_text(
            "[default]\naws_access_key_id = local\naws_secret_access_key = local\naws_session_token = local\n"
        )

    def _wait_until_ready(self) -> int:
        assert self._process is not None  # noqa: S101 - just started
        assert self._lifeline is not None  # noqa: S101 - just started
        deadline = time.monotonic() + START_TIMEOUT
        received = b""
        while not received.endswith(b"\n"):
            readable, _, _ = select.select([self._lifeline], [], [], max(0.0, deadline - time.monotonic()))
            if not readable:
                raise LocalError(
                    f"the local endpoint did not come up within {START_TIMEOUT:.0f} seconds{self._log_tail()}"
                )
            try:
                chunk = self._lifeline.recv(1024)
            except ConnectionError:
                chunk = b""
            if not chunk:
                # The log is complete when the process has ended.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(timeout=5)
                raise LocalError(f"the local endpoint could not start{self._log_tail()}")
            received += chunk
        port: int = json.loads(received)["port"]
        return port

    def _log_tail(self) -> str:
        assert self._work_dir is not None  # noqa: S101 - set by start()
        try:
            lines = (self._work_dir / "endpoint.log").read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except OSError:
            # A killed server's temporary folder is removed.
            lines = []
        return ": " + "\n".join(lines) if lines else ""

    def _require_running(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._process.poll() is not None:
            raise LocalError("the local endpoint is not running; call start() or use it in a with statement")
        return self._process

    def stop(self) -> None:
        """End the server with all its training jobs and Lambda workers; nothing happens when it does not run."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                process.wait(timeout=STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                # The server's guard ends the rest.
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
        if self._work_dir is not None and self._requested_work_dir is None:
            shutil.rmtree(self._work_dir, ignore_errors=True)
        self._work_dir = None
        self._session = None
