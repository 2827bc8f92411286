"""The backend that trains: each training job is a real process that follows SageMaker's container contract."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..algorithms import LocalProgram
from ..training import (
    OBJECTIVE_METRIC,
    S3,
    LogStream,
    MetricDefinition,
    MlFolder,
    TrainingError,
    endpoint_client,
    environment,
    failure_reason,
    has_files,
    pack,
    read_metrics,
)
from .backend import Event, Finished, Order, Progress, SecondaryStatus, TrainingJobStatus
from .clock import Clock
from .processes import Process, Processes

_LOG = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 120.0
"""So long after SIGTERM a stopping training job is killed, as the service documents."""

_LOG_INTERVAL_SECONDS = 2.0
_END_SECONDS = 10.0


def model_artifacts(order_name: str, definition: Mapping[str, Any]) -> str:
    """Give the S3 URI of a training job's model, whether it exists yet or not."""
    return _output_uri(order_name, definition, "model")


def _output_uri(order_name: str, definition: Mapping[str, Any], what: str) -> str:
    output = definition["OutputDataConfig"]
    suffix = "/" if output.get("CompressionType") == "NONE" else ".tar.gz"
    return f"{output['S3OutputPath'].rstrip('/')}/{order_name}/output/{what}{suffix}"


@dataclass(frozen=True)
class Site:
    """What all training jobs of an endpoint share.

    Args:
        s3: where data comes from and artifacts go.
        processes: starts the training processes.
        endpoint_url: the endpoint that training processes are pointed to.
        region: its region.
        clock: the time.
        program: gives the local program for a training image.
        stop_grace_seconds: how long a stopping training job may take to end by itself.
    """

    s3: S3
    processes: Processes
    endpoint_url: str
    region: str
    clock: Clock
    program: Callable[[str], LocalProgram]
    stop_grace_seconds: float = STOP_GRACE_SECONDS

    def logs_client(self) -> Any:
        """Make a client of CloudWatch Logs."""
        return endpoint_client("logs", self.endpoint_url, self.region)


class LocalBackend:
    """Trains in local processes, for one tuning job.

    Args:
        site: what all training jobs share.
        folder: the tuning job's own folder.
        parallel: how many training jobs run at a time; the machine's cores are divided among them.
    """

    def __init__(self, site: Site, *, folder: Path, parallel: int) -> None:
        self._site = site
        self._folder = folder
        self._threads = max(1, (os.cpu_count() or 1) // parallel)
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._logs_client: Any = None
        self._closed = False

    def start(self, order: Order) -> None:
        """Start a training job in a thread that looks after its process."""
        with self._lock:
            if self._logs_client is None:
                self._logs_client = self._site.logs_client()
            run = _Run(
                order,
                self._site,
                folder=self._folder,
                threads=self._threads,
                report=self._events.put,
                logs_client=self._logs_client,
            )
            self._runs[order.name] = run
            if self._closed:
                run.kill()
        run.thread.start()

    def stop(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL when the grace is over."""
        self._runs[name].stop()

    def wait(self, until: datetime | None) -> Sequence[Event]:
        """Wait for events."""
        timeout = None if until is None else max(0.0, (until - self._site.clock.now()).total_seconds())
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return ()
        return () if event is None else (event,)

    def wake(self) -> None:
        """Make ``wait`` return."""
        self._events.put(None)

    def close(self) -> None:
        """Kill what runs; each training job still reports its end."""
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.kill()
        for run in runs:
            if run.thread.ident is not None:
                run.thread.join(_END_SECONDS)


class _Run:
    """One training job: its folder, its process and the thread that looks after both."""

    def __init__(
        self,
        order: Order,
        site: Site,
        *,
        folder: Path,
        threads: int,
        report: Callable[[Event], None],
        logs_client: Any,
    ) -> None:
        self._order = order
        self._site = site
        self._threads = threads
        self._report = report
        self._definition = order.definition.request
        self._ml = MlFolder(folder / order.name)
        self._inputs = folder / "inputs"
        self._log = folder / f"{order.name}.log"
        self._logs = LogStream(logs_client, f"{order.name}/algo-1-{int(site.clock.now().timestamp())}")
        self._program = site.program(self._definition["AlgorithmSpecification"]["TrainingImage"])
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._stopping = False
        self._killed = False
        self._killer: threading.Timer | None = None
        self.thread = threading.Thread(target=self._run, name=order.name, daemon=True)

    def stop(self) -> None:
        """End the process, by its own means within the grace."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            if self._process is not None:
                self._process.signal(signal.SIGTERM)
                self._killer = threading.Timer(self._site.stop_grace_seconds, self._process.signal, (signal.SIGKILL,))
                self._killer.daemon = True
                self._killer.start()

    def kill(self) -> None:
        """End the process at once and leave its results behind."""
        with self._lock:
            self._stopping = self._killed = True
            if self._process is not None:
                self._process.signal(signal.SIGKILL)

    def _run(self) -> None:
        metrics: dict[str, float] = {}
        try:
            status, reason = self._train()
            metrics = self._read_metrics()
            if not self._killed:
                self._enter(SecondaryStatus.UPLOADING)
                self._upload(with_model=status is not TrainingJobStatus.FAILED)
        except TrainingError as error:
            status, reason = TrainingJobStatus.FAILED, str(error)
        except Exception as error:
            _LOG.exception("training job %s failed", self._order.name)
            status, reason = TrainingJobStatus.FAILED, f"InternalServerError: {error}"
        finally:
            if self._killer is not None:
                self._killer.cancel()
        if self._killed:
            status, reason = TrainingJobStatus.STOPPED, None
        else:
            self._send_log(last=True)
        if status is not TrainingJobStatus.FAILED:
            # What counts is in S3; a failed training job's folder stays for a look.
            shutil.rmtree(self._ml.root, ignore_errors=True)
        self._report(Finished(self._order.name, self._site.clock.now(), status, reason, metrics))

    def _train(self) -> tuple[TrainingJobStatus, str | None]:
        self._enter(SecondaryStatus.DOWNLOADING)
        self._ml.create()
        self._ml.write_config(self._order)
        for channel in self._definition.get("InputDataConfig", ()):
            self._site.s3.fetch(channel, self._inputs, self._ml.data / channel["ChannelName"])
        self._enter(SecondaryStatus.TRAINING)
        with self._lock:
            if self._stopping:
                return TrainingJobStatus.STOPPED, None
            process = self._process = self._site.processes.start(
                module=self._program.module,
                command=self._program.command,
                environment=environment(
                    self._order,
                    self._ml,
                    threads=self._threads,
                    endpoint_url=self._site.endpoint_url,
                    region=self._site.region,
                    base=os.environ,
                ),
                directory=self._program.directory or self._ml.code,
                log=self._log,
            )
        while not process.ended.wait(_LOG_INTERVAL_SECONDS):
            self._send_log(last=False)
        if self._stopping:
            return TrainingJobStatus.STOPPED, None
        if process.exit_code == 0:
            return TrainingJobStatus.COMPLETED, None
        return TrainingJobStatus.FAILED, failure_reason(self._ml.failure(), process.exit_code, self._log)

    def _read_metrics(self) -> dict[str, float]:
        try:
            lines = self._log.read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        definitions = metric_definitions(self._definition, self._program)
        metrics = read_metrics(lines, definitions)
        if (objective := metrics.get(self._order.definition.metric_name)) is not None:
            metrics[OBJECTIVE_METRIC] = objective
        return metrics

    def _upload(self, *, with_model: bool) -> None:
        if has_files(self._ml.output):
            self._upload_folder(self._ml.output, "output")
        if with_model:
            self._upload_folder(self._ml.model, "model")

    def _upload_folder(self, folder: Path, what: str) -> None:
        uri = _output_uri(self._order.name, self._definition, what)
        if uri.endswith("/"):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                self._site.s3.upload(file, uri + file.relative_to(folder).as_posix())
            return
        archive = self._ml.root / f"{what}.tar.gz"
        pack(folder, archive)
        self._site.s3.upload(archive, uri)

    def _enter(self, phase: SecondaryStatus) -> None:
        self._report(Progress(self._order.name, self._site.clock.now(), phase))

    def _send_log(self, *, last: bool) -> None:
        with contextlib.suppress(OSError):
            self._logs.send_new(self._log, int(self._site.clock.now().timestamp() * 1000), last=last)


def metric_definitions(definition: Mapping[str, Any], program: LocalProgram) -> tuple[MetricDefinition, ...]:
    """Give a definition's metrics: the built-in program's own, and what the definition adds to them."""
    stated = tuple(
        MetricDefinition(metric["Name"], metric["Regex"])
        for metric in definition["AlgorithmSpecification"].get("MetricDefinitions", ())
    )
    known = {metric.name for metric in program.metric_definitions}
    return (*program.metric_definitions, *(metric for metric in stated if metric.name not in known))
