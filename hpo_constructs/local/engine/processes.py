"""Training processes, started through one process server that dies with its owner."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SERVER = "hpo_constructs.local.engine.process_server"
_END_SECONDS = 5.0


class Process:
    """One training process.

    ``exit_code`` is what the process ended with: negative for the signal that ended it, None while it runs or when
    the process server itself was lost.
    """

    def __init__(self, server: _Server, name: str) -> None:
        self._server = server
        self._name = name
        self.ended = threading.Event()
        self.exit_code: int | None = None

    def signal(self, number: int) -> None:
        """Send a signal to the process and everything that it started. Does nothing after its end."""
        if not self.ended.is_set():
            self._server.send({"do": "signal", "id": self._name, "signal": int(number)})

    def end(self, exit_code: int | None) -> None:
        """Record the end; called by the process server's reader."""
        self.exit_code = exit_code
        self.ended.set()


class Processes:
    """Starts training processes. Thread-safe; the process server starts on first use and again should it be lost."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._server: _Server | None = None
        self._closed = False

    def preload(self, module: str) -> None:
        """Import a program's packages now, so that its first training process need not wait for them."""
        self._running_server().send({"do": "preload", "module": module})

    def start(
        self,
        *,
        module: str | None = None,
        command: Sequence[str] = (),
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
    ) -> Process:
        """Start a process: a module's ``main()``, or a command.

        Args:
            module: a module of a built-in program, whose ``main()`` gives the exit code.
            command: the argument list of any other program.
            environment: all environment variables of the process.
            directory: its working directory.
            log: the file that its standard output and error are appended to.

        Raises:
            RuntimeError: after ``close()``.
        """
        return self._running_server().start(
            module=module, command=command, environment=environment, directory=directory, log=log
        )

    def close(self) -> None:
        """Kill every process and end the process server."""
        with self._lock:
            self._closed = True
            server, self._server = self._server, None
        if server is not None:
            server.close()

    def _running_server(self) -> _Server:
        with self._lock:
            if self._closed:
                raise RuntimeError("the training processes are closed")
            if self._server is None or self._server.lost:
                if self._server is not None:
                    self._server.close()
                self._server = _Server()
            return self._server


class _Server:
    """The owner's end of one process server."""

    def __init__(self) -> None:
        # One thread while packages are imported: a fork copies only the calling thread.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._child = subprocess.Popen(
            [sys.executable, "-m", _SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal is the owner's to handle.
        )
        self.lost = False
        self._lock = threading.Lock()
        self._names = itertools.count()
        self._processes: dict[str, Process] = {}
        self._reader = threading.Thread(target=self._read, name="training-processes", daemon=True)
        self._reader.start()

    def start(
        self,
        *,
        module: str | None,
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        log: Path,
    ) -> Process:
        with self._lock:
            name = str(next(self._names))
            process = self._processes[name] = Process(self, name)
        self.send(
            {
                "do": "start",
                "id": name,
                "module": module,
                "command": list(command),
                "environment": dict(environment),
                "directory": str(directory),
                "log": str(log),
            }
        )
        if self.lost:  # The reader may have swept before this process was listed.
            process.end(None)
        return process

    def send(self, command: dict[str, Any]) -> None:
        assert self._child.stdin is not None  # noqa: S101 - opened as a pipe above
        line = json.dumps(command).encode() + b"\n"
        # A server that is gone has taken its processes with it; the reader tells their owners.
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._child.stdin.write(line)
            self._child.stdin.flush()

    def close(self) -> None:
        assert self._child.stdin is not None  # noqa: S101
        with self._lock, contextlib.suppress(OSError):
            self._child.stdin.close()
        try:
            self._child.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:  # Busy with an import: its children die with it.
            self._child.kill()
            self._child.wait()
        self._reader.join(_END_SECONDS)

    def _read(self) -> None:
        assert self._child.stdout is not None  # noqa: S101
        with self._child.stdout as answers:
            for line in answers:
                answer = json.loads(line)
                with self._lock:
                    process = self._processes.pop(answer["id"], None)
                if process is not None:
                    process.end(answer["exit_code"])
        self.lost = True
        with self._lock:
            orphans = list(self._processes.values())
            self._processes.clear()
        for process in orphans:
            process.end(None)
