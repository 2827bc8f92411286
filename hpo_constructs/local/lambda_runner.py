"""Runs the real code of Lambda functions in worker processes.

A worker serves one version of a function's code and configuration, one invocation at a time, and is kept warm for
the next one, as Lambda keeps its execution environments
(https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html). The server never imports a
handler.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import lambda_worker

#: How many invocations run at a time; further ones wait for their turn.
MAX_RUNNING = 16
#: How many idle workers are kept for a function, and for all functions together.
MAX_IDLE_PER_FUNCTION = 3
MAX_IDLE = 12
#: Seconds that a function's module may take to import. Lambda allows 10; a laptop may be busy with training.
INIT_TIMEOUT = 60.0
#: ``LogResult`` holds the last 4 KB of the log: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
LOG_TAIL_BYTES = 4096

_WORKER = Path(lambda_worker.__file__)


@dataclass(frozen=True)
class FunctionConfig:
    """What an invocation needs to know of a function; a change of any of it needs new workers."""

    name: str
    arn: str
    version: str
    handler: str
    runtime: str
    timeout: int
    memory: int
    code: bytes = field(repr=False)
    layers: tuple[bytes, ...] = field(repr=False, default=())
    environment: Mapping[str, str] = field(default_factory=dict)
    log_group: str = ""
    log_format: str = "Text"
    log_level: str = "INFO"

    def key(self) -> str:
        """Identifies the execution environments that may serve this function."""
        digest = hashlib.sha256(self.code)
        for layer in self.layers:
            digest.update(layer)
        settings = [self.arn, self.version, self.handler, self.memory, self.log_group, self.log_format]
        digest.update(json.dumps([*settings, self.log_level, dict(sorted(self.environment.items()))]).encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class Invocation:
    """The outcome of a call: the answer as JSON, whether it is an error, and the end of its log."""

    payload: bytes
    is_error: bool
    log_tail: str


class _Worker:
    """A worker process and the two threads that listen to it."""

    def __init__(self, config: FunctionConfig, folder: Path, environment: Mapping[str, str]) -> None:
        self.key = config.key()
        self.log_stream = environment["AWS_LAMBDA_LOG_STREAM_NAME"]
        self._answers: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._lines: list[str] = []
        self._markers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        requests_read, requests_write = os.pipe()
        answers_read, answers_write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(_WORKER), str(requests_read), str(answers_write)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=environment,
                pass_fds=(requests_read, answers_write),
                # A group of its own: a timeout also ends what the handler started.
                process_group=0,
            )
        except OSError:
            os.close(requests_write)
            os.close(answers_read)
            raise
        finally:
            os.close(requests_read)
            os.close(answers_write)
        self._requests = os.fdopen(requests_write, "w", encoding="utf-8")
        threading.Thread(target=self._read_answers, args=(answers_read,), daemon=True).start()
        threading.Thread(target=self._read_output, daemon=True).start()

    def _read_answers(self, descriptor: int) -> None:
        with os.fdopen(descriptor, encoding="utf-8") as answers:
            for line in answers:
                # A worker that dies while it writes leaves half a line.
                with contextlib.suppress(json.JSONDecodeError):
                    self._answers.put(json.loads(line))
        self._answers.put(None)

    def _read_output(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 - opened as a pipe above
        with io.TextIOWrapper(self._process.stdout, encoding="utf-8", errors="replace") as output:
            for line in output:
                text, marker, token = line.rstrip("\n").partition(lambda_worker.END_MARKER)
                if text or not marker:
                    self._lines.append(text)
                if marker:
                    self._markers.put(token)
        self._markers.put(None)

    def send(self, request: dict[str, Any]) -> None:
        # A worker that died while it was idle is noticed by the answer that does not come.
        with contextlib.suppress(BrokenPipeError):
            self._requests.write(json.dumps(request) + "\n")
            self._requests.flush()

    def answer(self, timeout: float) -> dict[str, Any] | None:
        """The next answer, or None when the worker died; TimeoutError when none came in time."""
        try:
            return self._answers.get(timeout=max(timeout, 0))
        except queue.Empty:
            raise TimeoutError from None

    def take_output(self, token: str) -> list[str]:
        """The lines written up to the marker, or up to the worker's end."""
        with contextlib.suppress(queue.Empty):
            while self._markers.get(timeout=2.0) not in {token, None}:
                pass
        lines, self._lines = self._lines, []
        return lines

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def exit_status(self) -> str:
        """How the process ended, in Lambda's words."""
        try:
            code = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            return "exit status unknown"
        if code < 0:
            return f"signal: {signal.strsignal(-code) or -code}".lower()
        return f"exit status {code}"

    def kill(self) -> None:
        # What the handler started is in the worker's group and goes with it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        with contextlib.suppress(OSError):
            self._requests.close()


class LambdaRunner:
    """Invokes functions in worker processes that it starts, keeps warm and ends.

    ``write_log(group, stream, lines)`` takes the log lines of an invocation. ``environment`` is what every worker
    gets besides the function's own variables: credentials, region and endpoint.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str],
        write_log: Callable[[str, str, list[str]], None],
    ) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._write_log = write_log
        self._running = threading.BoundedSemaphore(MAX_RUNNING)
        self._lock = threading.Lock()
        #: Least recently used first, each with its function's ARN.
        self._idle: list[tuple[str, _Worker]] = []
        self._busy: set[_Worker] = set()
        self._unpacking = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """End all workers; invocations that still run end with an error."""
        with self._lock:
            self._closed = True
            workers = [worker for _, worker in self._idle] + list(self._busy)
            self._idle.clear()
        for worker in workers:
            worker.kill()

    def retire(self, arn: str) -> None:
        """End the idle workers of a function that was deleted."""
        self._end_idle(lambda idle_arn, _: idle_arn == arn)

    def invoke(self, config: FunctionConfig, event: Any, client_context: Any = None) -> Invocation:
        """Call the function and wait for its answer."""
        request_id = str(uuid.uuid4())
        if not config.runtime.startswith("python"):
            return self._refused(
                config,
                request_id,
                f"the local endpoint runs Python functions only, got runtime {config.runtime or 'none'} "
                f"of {config.name}",
            )
        with self._running:
            return self._run(config, event, client_context, request_id)

    def _refused(self, config: FunctionConfig, request_id: str, message: str) -> Invocation:
        error = {"errorType": "Runtime.InvalidRuntime", "errorMessage": message, "requestId": request_id}
        self._write_log(config.log_group, _log_stream_name(config), [f"[ERROR] {message}"])
        return Invocation(json.dumps(error).encode(), True, message)

    def _run(self, config: FunctionConfig, event: Any, client_context: Any, request_id: str) -> Invocation:
        started = time.monotonic()
        worker = self._take_idle(config)
        init_seconds: float | None = None
        log: list[str] = []
        if worker is None:
            try:
                worker = self._start(config)
            except (OSError, zipfile.BadZipFile, ValueError) as exc:
                return self._refused(config, request_id, f"cannot start {config.name}: {exc}")
            try:
                init = worker.answer(INIT_TIMEOUT)
            except TimeoutError:
                worker.kill()
                init = _sandbox_error(
                    "Sandbox.Timedout", request_id, f"Task timed out after {INIT_TIMEOUT:.2f} seconds"
                )
            else:
                init = init or _sandbox_error("Runtime.ExitError", request_id, _exited(worker))
            init_seconds = time.monotonic() - started
            log += worker.take_output("init")
            if not init["ok"]:
                log[:0] = [_start_line(config, request_id)]
                log += _sandbox_log(init, request_id)
                return self._finish(
                    config,
                    worker,
                    init,
                    request_id=request_id,
                    log=log,
                    seconds=0.0,
                    init_seconds=init_seconds,
                    keep=False,
                )

        log.append(_start_line(config, request_id))
        started = time.monotonic()
        worker.send(
            {
                "request_id": request_id,
                "event": event,
                "client_context": client_context,
                "invoked_function_arn": config.arn,
                "deadline": time.time() + config.timeout,
            }
        )
        try:
            answer = worker.answer(config.timeout)
        except TimeoutError:
            worker.kill()
            answer = _sandbox_error(
                "Sandbox.Timedout", request_id, f"Task timed out after {config.timeout:.2f} seconds"
            )
            seconds = float(config.timeout)
        else:
            seconds = time.monotonic() - started
            answer = answer or _sandbox_error("Runtime.ExitError", request_id, _exited(worker))
        log += worker.take_output(request_id)
        sandbox_log = _sandbox_log(answer, request_id)
        log += sandbox_log
        keep = not sandbox_log
        return self._finish(
            config,
            worker,
            answer,
            request_id=request_id,
            log=log,
            seconds=seconds,
            init_seconds=init_seconds,
            keep=keep,
        )

    def _finish(
        self,
        config: FunctionConfig,
        worker: _Worker,
        answer: dict[str, Any],
        *,
        request_id: str,
        log: list[str],
        seconds: float,
        init_seconds: float | None,
        keep: bool,
    ) -> Invocation:
        log += _end_lines(config, request_id, seconds, init_seconds, answer.get("memory", 0))
        self._write_log(config.log_group, worker.log_stream, log)
        self._release(config, worker, keep=keep)
        tail = "\n".join(log).encode()[-LOG_TAIL_BYTES:].decode(errors="replace")
        return Invocation(answer["payload"].encode(), not answer["ok"], tail)

    def _take_idle(self, config: FunctionConfig) -> _Worker | None:
        key = config.key()
        # Workers of the function's former code or configuration are of no more use.
        self._end_idle(lambda arn, worker: arn == config.arn and worker.key != key)
        with self._lock:
            for index in range(len(self._idle) - 1, -1, -1):
                arn, worker = self._idle[index]
                if arn == config.arn:
                    del self._idle[index]
                    if worker.is_alive():
                        self._busy.add(worker)
                        return worker
                    worker.kill()
        return None

    def _end_idle(self, condition: Callable[[str, _Worker], bool]) -> None:
        with self._lock:
            ended = [worker for arn, worker in self._idle if condition(arn, worker)]
            self._idle = [(arn, worker) for arn, worker in self._idle if worker not in ended]
        for worker in ended:
            worker.kill()

    def _release(self, config: FunctionConfig, worker: _Worker, *, keep: bool) -> None:
        ended = []
        with self._lock:
            self._busy.discard(worker)
            if keep and not self._closed and worker.is_alive():
                self._idle.append((config.arn, worker))
                same = [entry for entry in self._idle if entry[0] == config.arn]
                for entry in same[:-MAX_IDLE_PER_FUNCTION] + self._idle[:-MAX_IDLE]:
                    if entry in self._idle:
                        self._idle.remove(entry)
                        ended.append(entry[1])
            else:
                ended.append(worker)
        for idle in ended:
            idle.kill()

    def _start(self, config: FunctionConfig) -> _Worker:
        folder = self._unpacked(config.code)
        layers = [self._unpacked(layer) / "python" for layer in config.layers]
        environment = {
            **{name: value for name, value in config.environment.items() if not name.startswith("AWS_ENDPOINT_URL")},
            **self._environment,
            "_HANDLER": config.handler,
            "LAMBDA_TASK_ROOT": str(folder),
            "HPO_LOCAL_LAYERS": os.pathsep.join(map(str, layers)),
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{config.runtime}",
            "AWS_LAMBDA_FUNCTION_NAME": config.name,
            "AWS_LAMBDA_FUNCTION_VERSION": config.version,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": config.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": _log_stream_name(config),
            "AWS_LAMBDA_LOG_FORMAT": config.log_format,
            "AWS_LAMBDA_LOG_LEVEL": config.log_level,
        }
        with self._lock:
            if self._closed:
                raise ValueError("the local endpoint is shutting down")
            worker = _Worker(config, folder, environment)
            self._busy.add(worker)
        return worker

    def _unpacked(self, archive: bytes) -> Path:
        """The folder with the archive's files; each archive is unpacked once."""
        folder = self._folder / hashlib.sha256(archive).hexdigest()[:32]
        with self._unpacking:
            if not folder.is_dir():
                half = folder.with_suffix(".part")
                with zipfile.ZipFile(io.BytesIO(archive)) as files:
                    files.extractall(half)
                half.rename(folder)
        return folder


def _timestamp() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _log_stream_name(config: FunctionConfig) -> str:
    return f"{datetime.datetime.now(datetime.UTC):%Y/%m/%d}/[{config.version}]{uuid.uuid4().hex}"


def _exited(worker: _Worker) -> str:
    status = worker.exit_status()
    worker.kill()
    return f"Runtime exited with error: {status}"


def _sandbox_error(error_type: str, request_id: str, message: str) -> dict[str, Any]:
    error = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return {"ok": False, "payload": json.dumps(error), "log": message}


def _sandbox_log(answer: dict[str, Any], request_id: str) -> list[str]:
    """The line that the sandbox, not the function, writes about the end of a worker."""
    return [f"{_timestamp()} {request_id} {answer['log']}"] if "log" in answer else []


def _start_line(config: FunctionConfig, request_id: str) -> str:
    if config.log_format == "JSON":
        record = {"requestId": request_id, "version": config.version}
        return json.dumps({"time": _timestamp(), "type": "platform.start", "record": record})
    return f"START RequestId: {request_id} Version: {config.version}"


def _end_lines(
    config: FunctionConfig, request_id: str, seconds: float, init_seconds: float | None, memory: int
) -> list[str]:
    duration = seconds * 1000
    billed = int(duration) + 1
    if config.log_format == "JSON":
        metrics: dict[str, Any] = {
            "durationMs": round(duration, 3),
            "billedDurationMs": billed,
            "memorySizeMB": config.memory,
            "maxMemoryUsedMB": memory,
        }
        if init_seconds is not None:
            metrics["initDurationMs"] = round(init_seconds * 1000, 3)
        record = {"requestId": request_id, "metrics": metrics}
        return [json.dumps({"time": _timestamp(), "type": "platform.report", "record": record})]
    report = (
        f"REPORT RequestId: {request_id}\tDuration: {duration:.2f} ms\tBilled Duration: {billed} ms\t"
        f"Memory Size: {config.memory} MB\tMax Memory Used: {memory} MB"
    )
    if init_seconds is not None:
        report += f"\tInit Duration: {init_seconds * 1000:.2f} ms"
    return [f"END RequestId: {request_id}", report]
