"""The process that starts training processes, run as ``python -m hpo_constructs.local.engine.process_server``.

It is a fork server: packages that take seconds to import are imported once, and each training process of a built-in
program is a fork that starts at once. A user's own command is forked and executed. Each training process leads a
process group of its own; the whole group is killed when its leader ends.

The server reads commands from its standard input, one JSON object a line, and answers on its standard output. When
the input ends, because its owner closed it or died, every training process is killed and the server ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import selectors
import signal
import sys
import traceback
from typing import Any

_CONTROL_INPUT = 0
_CONTROL_OUTPUT = 1
_PR_SET_PDEATHSIG = 1
_COMMAND_NOT_FOUND = 127
_DESCRIPTORS = 256
# Apple's libraries do not survive a fork without an exec.
_FORKS_PROGRAMS = sys.platform != "darwin"


class ProcessServer:
    """Starts, signals and reaps training processes on command."""

    def __init__(self) -> None:
        self._pids: dict[str, int] = {}
        self._unread = b""
        self._libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None
        self._child_ended, self._wakeup = os.pipe()
        for descriptor in (self._child_ended, self._wakeup):
            os.set_blocking(descriptor, False)

    def run(self) -> None:
        """Serve until the control input ends; then kill what runs."""
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        with selectors.DefaultSelector() as selector:
            selector.register(_CONTROL_INPUT, selectors.EVENT_READ)
            selector.register(self._child_ended, selectors.EVENT_READ)
            try:
                while True:
                    ready = {key.fd for key, _ in selector.select()}
                    if self._child_ended in ready:
                        with contextlib.suppress(BlockingIOError):
                            os.read(self._child_ended, 4096)
                        self._reap()
                    if _CONTROL_INPUT in ready and not self._read_commands():
                        break
            finally:
                for pid in self._pids.values():
                    _signal_group(pid, signal.SIGKILL)

    def _read_commands(self) -> bool:
        received = os.read(_CONTROL_INPUT, 1 << 16)
        if not received:
            return False
        *lines, self._unread = (self._unread + received).split(b"\n")
        for line in lines:
            self._obey(json.loads(line))
        return True

    def _obey(self, command: dict[str, Any]) -> None:
        match command["do"]:
            case "preload":
                self._preload(command["module"])
            case "start":
                self._start(command)
            case "signal":
                if pid := self._pids.get(command["id"]):
                    _signal_group(pid, command["signal"])

    def _preload(self, module: str) -> None:
        if not _FORKS_PROGRAMS:
            return
        # What fails to import here fails again in the training process, whose log then says so.
        with contextlib.suppress(Exception):
            importlib.import_module(module)
        gc.freeze()

    def _start(self, command: dict[str, Any]) -> None:
        if command["module"]:
            self._preload(command["module"])
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _answer({"id": command["id"], "exit_code": None, "error": str(error)})
            return
        if pid == 0:
            code = 1
            try:
                code = self._be_training_process(command, server)
            except SystemExit as ending:
                code = ending.code if isinstance(ending.code, int) else int(ending.code is not None)
            except BaseException:
                traceback.print_exc()
            finally:
                with contextlib.suppress(Exception):
                    sys.stdout.flush()
                    sys.stderr.flush()
                os._exit(code)
        with contextlib.suppress(OSError):  # The child does the same; whoever comes first wins.
            os.setpgid(pid, pid)
        self._pids[command["id"]] = pid

    def _be_training_process(self, command: dict[str, Any], server: int) -> int:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        if self._libc is not None:
            # The kernel ends this process should the server itself be killed.
            self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != server:
                return 1
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(nothing, 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, _DESCRIPTORS)
        sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - lives as long as the process
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        os.environ.clear()
        os.environ.update(command["environment"])
        os.chdir(command["directory"])
        if command["module"] and _FORKS_PROGRAMS:
            return int(importlib.import_module(command["module"]).main())
        arguments = command["command"] or [sys.executable, "-m", command["module"]]
        program = arguments[0]
        try:
            os.execvpe(program, arguments, os.environ)  # noqa: S606 - an argument list, never a shell
        except OSError as error:
            print(f"the training command {program!r} cannot be started: {error.strerror}", file=sys.stderr)
            return _COMMAND_NOT_FOUND

    def _reap(self) -> None:
        for name, pid in list(self._pids.items()):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended == 0:
                continue
            # What the training process left behind in its group goes with it.
            _signal_group(pid, signal.SIGKILL)
            del self._pids[name]
            _answer({"id": name, "exit_code": os.waitstatus_to_exitcode(status)})


def _signal_group(pid: int, number: int) -> None:
    # macOS answers EPERM for a group whose members are all zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _answer(message: dict[str, Any]) -> None:
    os.write(_CONTROL_OUTPUT, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    ProcessServer().run()
