"""The backend that trains: each training job is a real process that follows SageMaker's container contract."""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ..algorithms import LocalProgram
from ..containers import INSTRUCTIONS, ContainerError, ContainerRun, Engines, container_variables
from ..environment import ACCOUNT_ID
from ..pipes import Feeder, close_all
from ..telemetry import Telemetry
from ..training import (
    DEFAULT_CHECKPOINTS,
    OBJECTIVE_METRIC,
    S3,
    SUBMIT_DIRECTORY,
    LogStream,
    LogTail,
    MetricDefinition,
    MetricStream,
    MlFolder,
    TrainingError,
    decode,
    environment,
    failure_reason,
    has_files,
    pack,
    read_metrics,
    read_values,
)
from .backend import INTERNAL_ERROR, Event, Finished, Order, Progress, SecondaryStatus, TrainingJobStatus
from .clock import Clock
from .processes import Process, Processes

_LOG = logging.getLogger(__name__)

STOP_GRACE_SECONDS = 120.0
"""So long after SIGTERM a stopping training job is killed, as the service documents."""

_LOOK_SECONDS = 0.1
_CHECKPOINT_SECONDS = 5.0
_END_SECONDS = 10.0


def model_artifacts(order_name: str, definition: Mapping[str, Any]) -> str:
    """Give the S3 URI of a training job's model, whether it exists yet or not."""
    return _output_uri(order_name, definition, "model")


def _output_uri(order_name: str, definition: Mapping[str, Any], what: str) -> str:
    output = definition["OutputDataConfig"]
    suffix = "/" if output.get("CompressionType") == "NONE" else ".tar.gz"
    return f"{output['S3OutputPath'].rstrip('/')}/{order_name}/output/{what}{suffix}"


class Cores:
    """Divides the machine's cores among all training jobs that may run at a time. Thread-safe.

    Args:
        count: how many cores there are; those that this process may use if not given.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count or _usable_cores()
        self._lock = threading.Lock()
        self._parallel: dict[object, int] = {}

    def enter(self, user: object, parallel: int) -> None:
        """Note that a user runs so many training jobs at a time."""
        with self._lock:
            self._parallel[user] = parallel

    def leave(self, user: object) -> None:
        """Note that a user runs none any more."""
        with self._lock:
            self._parallel.pop(user, None)

    def share(self) -> int:
        """How many threads a training job that starts now may use, 1 at least."""
        with self._lock:
            return max(1, self._count // max(1, sum(self._parallel.values())))


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Site:
    """What all training jobs of an endpoint share.

    Args:
        s3: where data comes from and artifacts go.
        processes: starts the training processes.
        endpoint_url: the endpoint that training processes are pointed to.
        region: its region.
        clock: the time.
        program: gives the local program for a training image and its static hyperparameters.
        stop_grace_seconds: how long a stopping training job may take to end by itself.
        account_id: the account in ARNs.
        cores: the machine's cores.
        engines: the container engines of the machine.
    """

    s3: S3
    processes: Processes
    endpoint_url: str
    region: str
    clock: Clock
    program: Callable[[str, Mapping[str, str]], LocalProgram]
    stop_grace_seconds: float = STOP_GRACE_SECONDS
    account_id: str = ACCOUNT_ID
    cores: Cores = field(default_factory=Cores)
    engines: Engines = field(default_factory=Engines)

    @property
    def telemetry(self) -> Telemetry:
        """CloudWatch, for training jobs' logs and metrics."""
        return Telemetry(self.account_id, self.region)


class LocalBackend:
    """Trains in local processes, for one tuning job.

    Args:
        site: what all training jobs share.
        folder: the tuning job's own folder.
        parallel: how many training jobs run at a time; the machine's cores are divided among all that may run.
        before_wait: called whenever ``wait`` is, before it waits: all that it gave before has been dealt with.
    """

    def __init__(
        self, site: Site, *, folder: Path, parallel: int, before_wait: Callable[[], None] | None = None
    ) -> None:
        self._site = site
        self._folder = folder
        self._before_wait = before_wait
        self._site.cores.enter(self, parallel)
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._runs: dict[str, _Run] = {}
        self._closed = False

    def start(self, order: Order) -> None:
        """Start a training job in a thread that looks after its process."""
        with self._lock:
            run = _Run(
                order,
                self._site,
                folder=self._folder,
                threads=self._site.cores.share(),
                report=self._report,
            )
            self._runs[order.name] = run
            if self._closed:
                run.kill()
        run.thread.start()

    def stop(self, name: str) -> None:
        """Send SIGTERM, and SIGKILL when the grace is over."""
        with self._lock:
            run = self._runs.get(name)
        if run is not None:
            run.stop()

    def wait(self, until: datetime | None) -> Sequence[Event]:
        """Wait for events."""
        if self._before_wait is not None:
            self._before_wait()
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
        self._site.cores.leave(self)
        with self._lock:
            self._closed = True
            runs = list(self._runs.values())
        for run in runs:
            run.kill()
        for run in runs:
            if run.thread.ident is not None:
                run.thread.join(_END_SECONDS)

    def _report(self, event: Event) -> None:
        if isinstance(event, Finished):
            with self._lock:
                # Hundreds of training jobs may follow; what ended is remembered by the tuner.
                self._runs.pop(event.name, None)
        self._events.put(event)


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
    ) -> None:
        self._order = order
        self._site = site
        self._threads = threads
        self._report = report
        self._definition = order.definition.request
        self._ml = MlFolder(folder / order.name)
        self._inputs = folder / "inputs"
        self._log = folder / f"{order.name}.log"
        self._tail = LogTail(self._log)
        stream = f"{order.name}/algo-1-{int(site.clock.now().timestamp())}"
        self._logs = LogStream(site.telemetry.put_log, stream, self._log)
        self._metric_stream = MetricStream(partial(site.telemetry.put_metrics, order.name))
        self._program = site.program(
            self._definition["AlgorithmSpecification"]["TrainingImage"],
            self._definition.get("StaticHyperParameters", {}),
        )
        self._metric_definitions = metric_definitions(self._definition, self._program)
        self._objective = tuple(
            metric for metric in self._metric_definitions if metric.name == order.definition.metric_name
        )
        self._metrics: dict[str, float] = {}
        self._checkpoints = Checkpoints(self._ml, order, site.s3)
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
        try:
            status, reason = self._train()
            if not self._killed:
                self._look(last=True)
                self._enter(SecondaryStatus.UPLOADING)
                self._checkpoints.save()
                self._upload(with_model=status is not TrainingJobStatus.FAILED)
        except TrainingError as error:
            status, reason = TrainingJobStatus.FAILED, str(error)
        except Exception as error:
            _LOG.exception("training job %s failed", self._order.name)
            status, reason = TrainingJobStatus.FAILED, f"{INTERNAL_ERROR}: {error}"
        finally:
            if self._killer is not None:
                self._killer.cancel()
        if self._killed:
            status, reason = TrainingJobStatus.STOPPED, None
        self._metrics = self._with_objective(self._metrics)
        if status is not TrainingJobStatus.FAILED:
            # What counts is in S3; a failed training job's folder stays for a look.
            shutil.rmtree(self._ml.root, ignore_errors=True)
        self._report(Finished(self._order.name, self._site.clock.now(), status, reason, self._metrics))

    def _train(self) -> tuple[TrainingJobStatus, str | None]:
        self._enter(SecondaryStatus.DOWNLOADING)
        # A training job that is tried again starts from nothing but its checkpoints.
        shutil.rmtree(self._ml.root, ignore_errors=True)
        self._log.unlink(missing_ok=True)
        self._ml.create()
        self._ml.write_config(self._order)
        feeders: list[Feeder] = []
        try:
            for channel in self._definition.get("InputDataConfig", ()):
                self._open_channel(channel, feeders)
            self._checkpoints.restore()
            self._fetch_code()
            self._enter(SecondaryStatus.TRAINING)
            return self._run_process()
        finally:
            close_all(feeders)

    def _open_channel(self, channel: Mapping[str, Any], feeders: list[Feeder]) -> None:
        mode = channel.get("InputMode", self._definition["AlgorithmSpecification"]["TrainingInputMode"])
        target = self._ml.data / channel["ChannelName"]
        if channel["ChannelName"] in self._program.own_channels:
            target.mkdir()
            return
        if mode != "Pipe":
            # FastFile shows the same files at the same places.
            self._site.s3.fetch(channel, self._inputs, target)
            return
        feeders.append(
            Feeder(
                target,
                self._site.s3.records(channel, self._inputs),
                gzipped=channel.get("CompressionType") == "Gzip",
                record_io=channel.get("RecordWrapperType") == "RecordIO",
                shuffle_seed=channel.get("ShuffleConfig", {}).get("Seed"),
            )
        )

    def _fetch_code(self) -> None:
        """Put the source archive of a script-mode training job where its program finds it."""
        if self._program.from_source_archive:
            uri = str(decode(self._order.hyperparameters[SUBMIT_DIRECTORY]))
            self._site.s3.fetch_object(uri, self._ml.root / "sourcedir.tar.gz")

    def _run_process(self) -> tuple[TrainingJobStatus, str | None]:
        variables = environment(
            self._order,
            self._ml,
            threads=self._threads,
            endpoint_url=self._site.endpoint_url,
            region=self._site.region,
            account_id=self._site.account_id,
            base=os.environ,
        )
        container = self._container()
        if container is not None:
            container.open_folders()
            inside = container_variables(self._order, variables)
            variables = {**os.environ, INSTRUCTIONS: container.instructions(inside, self._threads)}
        with self._lock:
            if self._stopping:
                return TrainingJobStatus.STOPPED, None
            process = self._process = self._site.processes.start(
                module=self._program.module,
                command=self._program.command,
                environment={**variables, **self._program.variables},
                directory=self._program.directory or self._ml.code,
                log=self._log,
            )
        while not process.ended.wait(_LOOK_SECONDS):
            self._look(last=False)
            self._checkpoints.save_now_and_then()
        if container is not None:
            if self._stopping:
                container.remove()
            container.take_over_files()
        if self._stopping:
            return TrainingJobStatus.STOPPED, None
        if process.exit_code == 0:
            return TrainingJobStatus.COMPLETED, None
        return TrainingJobStatus.FAILED, failure_reason(self._ml.failure(), process.exit_code, self._log)

    def _container(self) -> ContainerRun | None:
        """Give the container that the training job runs in, None when it is a process of this machine."""
        container = self._program.container
        if container is None:
            return None
        try:
            engine = self._site.engines.find(container.engine)
            image = self._site.engines.image(container, self._definition["AlgorithmSpecification"]["TrainingImage"])
        except ContainerError as error:
            raise TrainingError(f"ClientError: {error}") from None
        return ContainerRun(container, engine, image, self._order, self._ml)

    def _look(self, *, last: bool) -> None:
        """Read what the process has printed since the last look: metrics, and lines for CloudWatch Logs."""
        values: list[float] = []
        now = self._site.clock.now()
        with contextlib.suppress(OSError):
            for lines in self._tail.new_lines(last=last):
                found = read_metrics(lines, self._metric_definitions)
                self._metrics |= found
                self._metric_stream.add(self._with_objective(found), now)
                values += read_values(lines, self._objective)
                self._logs.add(lines, int(now.timestamp() * 1000))
        if last:
            self._metric_stream.flush(now)
        if values:
            self._report(Progress(self._order.name, now, SecondaryStatus.TRAINING, tuple(values)))

    def _with_objective(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """Give metrics with the objective's value a second time, under the service's own name for it."""
        objective = metrics.get(self._order.definition.metric_name)
        return dict(metrics) if objective is None else {**metrics, OBJECTIVE_METRIC: objective}

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


class Checkpoints:
    """The checkpoints of a training job, kept the same in its folder and in S3.

    The training jobs of a tuning job have a prefix each below ``S3Uri``, their names: none begins with another one's
    checkpoint.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/model-checkpoints.html
    """

    def __init__(self, folder: MlFolder, order: Order, s3: S3) -> None:
        config = order.definition.request.get("CheckpointConfig")
        self._s3 = s3
        self._uri = ""
        self._folder = folder.root
        self._saved: dict[Path, tuple[int, int]] = {}
        self._looked_at = 0.0
        if config is not None:
            self._folder = folder.checkpoints(config.get("LocalPath", DEFAULT_CHECKPOINTS))
            self._uri = config["S3Uri"].rstrip("/")
            if order.definition.ranges:
                self._uri += f"/{order.name}"

    def restore(self) -> None:
        """Put what S3 has into the folder."""
        if self._uri:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._s3.fetch_prefix(self._uri, self._folder)
            self._saved = {file: _version(file) for file in self._files()}

    def save_now_and_then(self) -> None:
        """Put into S3 what is new in the folder, at most every 5 seconds. A failure is for ``save`` to tell."""
        now = time.monotonic()
        if self._uri and now - self._looked_at >= _CHECKPOINT_SECONDS:
            self._looked_at = now
            with contextlib.suppress(TrainingError, OSError):
                self.save()

    def save(self) -> None:
        """Put into S3 what is new in the folder.

        Raises:
            TrainingError: S3 refuses it.
        """
        for file in self._files():
            version = _version(file)
            if self._saved.get(file) != version:
                self._s3.upload(file, f"{self._uri}/{file.relative_to(self._folder).as_posix()}")
                self._saved[file] = version

    def _files(self) -> list[Path]:
        return sorted(path for path in self._folder.rglob("*") if path.is_file()) if self._uri else []


def _version(file: Path) -> tuple[int, int]:
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_size


def metric_definitions(definition: Mapping[str, Any], program: LocalProgram) -> tuple[MetricDefinition, ...]:
    """Give a definition's metrics: the built-in program's own, and what the definition adds to them."""
    stated = tuple(
        MetricDefinition(metric["Name"], metric["Regex"])
        for metric in definition["AlgorithmSpecification"].get("MetricDefinitions", ())
    )
    known = {metric.name for metric in program.metric_definitions}
    return (*program.metric_definitions, *(metric for metric in stated if metric.name not in known))
