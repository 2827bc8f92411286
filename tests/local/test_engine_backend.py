"""Backends: the contract for the simulated and the real one; and the processes below the real one."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import textwrap
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from hpo_constructs.local.algorithms import local_program
from hpo_constructs.local.engine.backend import Backend, Finished, Order, TrainingJobStatus
from hpo_constructs.local.engine.clock import Clock, SimulatedClock, SystemClock
from hpo_constructs.local.engine.contracts import BackendContract, How
from hpo_constructs.local.engine.local import LocalBackend, Site
from hpo_constructs.local.engine.plan import Definition, read_plan
from hpo_constructs.local.engine.processes import Processes
from hpo_constructs.local.engine.searcher import ContinuousRange
from hpo_constructs.local.engine.simulation import Outcome, SimulatedBackend
from hpo_constructs.local.engine.tuner import Tuner
from hpo_constructs.local.training import S3, endpoint_client

PROGRAM = """
import os, signal, sys, time
how = os.environ["SM_HP_HOW"]
if how == "fails":
    open(os.environ["SM_OUTPUT_DIR"] + "/failure", "w").write("bad value")
    sys.exit(3)
if how == "saves":
    def save(*_):
        open(os.environ["SM_MODEL_DIR"] + "/saved", "w").write("on SIGTERM")
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
print("score=0.25;", "score=0.5;", sep="\\n")
if how in ("hangs", "saves"):
    time.sleep(600)
"""


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "the condition did not become true in time"
        time.sleep(0.02)
    return value


@pytest.fixture(scope="module")
def s3_url() -> Iterator[str]:
    """An S3 server with the bucket ``backend-tests``."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    url = f"http://127.0.0.1:{server.get_host_and_port()[1]}"
    endpoint_client("s3", url, "us-east-1").create_bucket(Bucket="backend-tests")
    yield url
    server.stop()


def order(name: str, how: str) -> Order:
    request = {
        "AlgorithmSpecification": {
            "TrainingImage": "test-program:1",
            "TrainingInputMode": "File",
            "MetricDefinitions": [{"Name": "score", "Regex": r"score=(\S+);"}],
        },
        "OutputDataConfig": {"S3OutputPath": "s3://backend-tests/out"},
    }
    return Order(
        name, Definition(None, request, True, "score", (ContinuousRange("x", 0, 1),), 3600), {"how": how, "x": "0.5"}
    )


def simulate(wanted: Order) -> Outcome:
    how = wanted.hyperparameters["how"]
    if how == "fails":
        return Outcome(1, {}, "AlgorithmError: bad value, exit code: 3")
    if how == "hangs":
        # Two epochs in the first two seconds, and then nothing for minutes.
        return Outcome(600, curve=[0.25, 0.5, *[0.5] * 598])
    return Outcome(1, curve=[0.25, 0.5])


class TestSimulatedBackend(BackendContract):
    def make_order(self, name: str, how: How) -> Order:
        return order(name, how)

    @contextlib.contextmanager
    def make_backend(self) -> Iterator[tuple[Backend, Clock]]:
        clock = SimulatedClock()
        backend = SimulatedBackend(clock, simulate)
        yield backend, clock
        backend.close()

    def test_stops_at_the_moment_that_it_is_asked(self) -> None:
        with self.make_backend() as (backend, clock):
            began = clock.now()
            backend.start(order("job-1", "hangs"))
            while clock.now() < began + timedelta(seconds=90):
                backend.wait(None)
            backend.stop("job-1")
            events = [event for _ in range(3) for event in backend.wait(clock.now() + timedelta(seconds=1))]
            assert [type(event) for event in events] == [Finished]
            assert events[0].at == began + timedelta(seconds=90)


def test_the_contract_finds_a_backend_that_breaks_it() -> None:
    class Silent(TestSimulatedBackend):
        """Tells of no epochs, and forgets what a stopped training job had reached."""

        @contextlib.contextmanager
        def make_backend(self) -> Iterator[tuple[Backend, Clock]]:
            clock = SimulatedClock()
            yield SimulatedBackend(clock, lambda wanted: Outcome(1, {"score": 0.5})), clock

    with pytest.raises(AssertionError, match="each epoch's value must be reported in order, got "):
        Silent().test_a_training_job_that_completes()
    with pytest.raises(AssertionError, match="it must fail, got "):
        Silent().test_a_training_job_that_fails()


class TestLocalBackend(BackendContract):
    @pytest.fixture(autouse=True)
    def _surroundings(self, s3_url: str, tmp_path: Path) -> None:
        self.url, self.folder = s3_url, tmp_path

    def make_order(self, name: str, how: How) -> Order:
        return order(name, how)

    @contextlib.contextmanager
    def make_backend(self) -> Iterator[tuple[Backend, Clock]]:
        images = [{"image": "test-program:*", "command": [sys.executable, "-c", PROGRAM]}]
        processes, clock = Processes(), SystemClock()
        site = Site(
            s3=S3(self.url, "us-east-1"),
            processes=processes,
            endpoint_url=self.url,
            region="us-east-1",
            clock=clock,
            program=lambda image, hyperparameters: local_program(image, images, hyperparameters),
            stop_grace_seconds=5,
        )
        backend = LocalBackend(site, folder=self.folder, parallel=2)
        try:
            yield backend, clock
        finally:
            backend.close()
            processes.close()

    def test_the_failure_file_is_the_reason(self) -> None:
        with self.make_backend() as (backend, _):
            backend.start(order("job-1", "fails"))
            _, (finished,) = self._collect(backend, 1)
            assert finished.failure_reason == "AlgorithmError: bad value, exit code: 3"

    def test_a_training_job_that_is_stopped_early_keeps_what_it_saves_on_sigterm(self) -> None:
        with self.make_backend() as (backend, _):
            backend.start(order("job-1", "saves"))
            values: list[float] = []
            while len(values) < 2:
                values += [value for event in backend.wait(None) for value in getattr(event, "values", ())]
            backend.stop("job-1")
            finished: list[Any] = []
            while not finished:
                finished += [event for event in backend.wait(None) if isinstance(event, Finished)]
            assert finished[0].status is TrainingJobStatus.STOPPED
            body = endpoint_client("s3", self.url, "us-east-1").get_object(
                Bucket="backend-tests", Key="out/job-1/output/model.tar.gz"
            )["Body"]
            with tarfile.open(fileobj=io.BytesIO(body.read())) as archive:
                assert archive.getnames() == ["saved"]


EPOCHS_PROGRAM = """
import os, signal, sys, time
def save(*_):
    open(os.environ["SM_MODEL_DIR"] + "/weights", "w").write("so far")
    sys.exit(0)
signal.signal(signal.SIGTERM, save)
level = float(os.environ["SM_HP_X"])
for epoch in range(1, 41):
    print(f"score={level * (1 - 0.7 ** epoch)};")
    time.sleep(0.15)
save()
"""


def test_hyperband_stops_real_training_jobs_and_keeps_their_models(s3_url: str, tmp_path: Path) -> None:
    plan = read_plan(
        {
            "HyperParameterTuningJobName": "hyperband",
            "HyperParameterTuningJobConfig": {
                "Strategy": "Hyperband",
                "StrategyConfig": {"HyperbandStrategyConfig": {"MinResource": 2, "MaxResource": 12}},
                "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
                "ResourceLimits": {"MaxNumberOfTrainingJobs": 8, "MaxParallelTrainingJobs": 4},
                "ParameterRanges": {"ContinuousParameterRanges": [{"Name": "x", "MinValue": "0.1", "MaxValue": "1"}]},
            },
            "TrainingJobDefinition": {
                **order("", "").definition.request,
                "StoppingCondition": {"MaxRuntimeInSeconds": 100},
            },
        }
    )
    images = [{"image": "test-program:*", "command": [sys.executable, "-c", EPOCHS_PROGRAM]}]
    processes = Processes()
    site = Site(
        s3=S3(s3_url, "us-east-1"),
        processes=processes,
        endpoint_url=s3_url,
        region="us-east-1",
        clock=SystemClock(),
        program=lambda image, hyperparameters: local_program(image, images, hyperparameters),
        stop_grace_seconds=5,
    )
    backend = LocalBackend(site, folder=tmp_path, parallel=4)
    tuner = Tuner(plan, searchers=plan.searchers(3), backend=backend, clock=SystemClock())
    try:
        tuner.run()
    finally:
        backend.close()
        processes.close()
    assert tuner.status == "Completed"
    jobs = list(tuner.jobs.values())
    # Each would make 40 epochs: the best ones are stopped at the most resource, most others well before.
    assert len(jobs) == 8
    assert all(job.status is TrainingJobStatus.STOPPED and job.stopped_early and job.succeeded for job in jobs)
    epochs = sorted(job.epochs for job in jobs)
    assert epochs[0] < 12 <= epochs[-1] < 40
    assert tuner.best is not None
    assert tuner.best.epochs >= 12
    s3 = endpoint_client("s3", s3_url, "us-east-1")
    for job in jobs:
        body = s3.get_object(Bucket="backend-tests", Key=f"out/{job.name}/output/model.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            assert archive.getnames() == ["weights"]


# Processes


@pytest.fixture
def processes() -> Iterator[Processes]:
    running = Processes()
    yield running
    running.close()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(code)]


WITH_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open("pids.new", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename("pids.new", "pids")
time.sleep(600)
"""


def read_pids(folder: Path) -> list[int]:
    return [int(pid) for pid in until(lambda: (folder / "pids").exists() and (folder / "pids").read_text()).split()]


def start(processes: Processes, folder: Path, command: list[str]) -> Any:
    return processes.start(command=command, environment=dict(os.environ), directory=folder, log=folder / "log")


def test_a_process_has_its_environment_folder_and_log(processes: Processes, tmp_path: Path) -> None:
    process = processes.start(
        command=python(
            "import os, sys; print(os.environ['A'], os.getcwd(), flush=True); print('err', file=sys.stderr); exit(4)"
        ),
        environment={"A": "b"},
        directory=tmp_path,
        log=tmp_path / "log",
    )
    assert process.ended.wait(20)
    assert process.exit_code == 4
    assert (tmp_path / "log").read_text().splitlines() == [f"b {tmp_path}", "err"]


def test_a_command_that_is_not_there_is_told_in_the_log(processes: Processes, tmp_path: Path) -> None:
    process = start(processes, tmp_path, ["no-such-program"])
    assert process.ended.wait(20)
    assert process.exit_code == 127
    assert "'no-such-program' cannot be started: No such file" in (tmp_path / "log").read_text()


def test_a_signal_reaches_the_whole_group(processes: Processes, tmp_path: Path) -> None:
    process = start(processes, tmp_path, python(WITH_CHILD))
    pids = read_pids(tmp_path)
    process.signal(signal.SIGTERM)
    assert process.ended.wait(20)
    assert process.exit_code == -signal.SIGTERM
    until(lambda: not any(map(is_alive, pids)))


def test_what_a_process_leaves_behind_is_killed(processes: Processes, tmp_path: Path) -> None:
    process = start(processes, tmp_path, python(WITH_CHILD.rpartition("time.sleep")[0]))
    assert process.ended.wait(20)
    assert process.exit_code == 0
    until(lambda: not any(map(is_alive, read_pids(tmp_path))))


def test_close_leaves_nothing(tmp_path: Path) -> None:
    processes = Processes()
    process = start(processes, tmp_path, python(WITH_CHILD))
    pids = read_pids(tmp_path)
    processes.close()
    assert process.ended.is_set()
    until(lambda: not any(map(is_alive, pids)))
    with pytest.raises(RuntimeError, match="closed"):
        start(processes, tmp_path, ["true"])


def test_processes_die_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner = subprocess.Popen(
        python(
            f"""
            import os, time
            from pathlib import Path
            from hpo_constructs.local.engine.processes import Processes
            folder = Path({str(tmp_path)!r})
            Processes().start(
                command=[{sys.executable!r}, "-c", {WITH_CHILD!r}],
                environment=dict(os.environ), directory=folder, log=folder / "log",
            )
            time.sleep(600)
            """
        )
    )
    try:
        pids = read_pids(tmp_path)
        assert all(map(is_alive, pids))
    finally:
        owner.kill()
        owner.wait()
    until(lambda: not any(map(is_alive, pids)))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_the_loss_of_the_process_server_ends_its_processes_and_no_more(processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    process = start(processes, tmp_path / "a", python(WITH_CHILD))
    leader, _ = read_pids(tmp_path / "a")
    server = int(Path(f"/proc/{leader}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(server, signal.SIGKILL)
    assert process.ended.wait(20)
    assert process.exit_code is None
    until(lambda: not is_alive(leader))
    os.killpg(leader, signal.SIGKILL)  # The grandchild, which nobody else is left to end.
    again = start(processes, tmp_path, python("exit(0)"))
    assert again.ended.wait(20)
    assert again.exit_code == 0


def test_a_module_is_imported_once_for_all_its_processes(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_program.py").write_text(
        "import os, time\ntime.sleep(0.5)\nSERVER = os.getpid()\n"
        "def main():\n    print(SERVER, os.getpid(), flush=True)\n    return int(os.environ['CODE'])\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def run(code: int) -> Any:
        return processes.start(
            module="slow_program",
            environment={"CODE": str(code)},
            directory=tmp_path,
            log=tmp_path / "log",
        )

    runs = [run(code) for code in (0, 5, 6)]
    assert all(process.ended.wait(20) for process in runs)
    assert [process.exit_code for process in runs] == [0, 5, 6]
    servers, pids = zip(*(line.split() for line in (tmp_path / "log").read_text().splitlines()), strict=True)
    assert len(set(servers)) == 1
    assert len(set(pids)) == 3
    assert not set(servers) & set(pids)


def test_a_crash_in_a_module_is_a_traceback_in_its_log(
    processes: Processes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crashing_program.py").write_text(
        "import os\n"
        "def main():\n    if os.environ['HOW'] == 'raise':\n        raise ValueError('boom')\n    os.abort()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    codes = []
    for how in ("raise", "abort", "raise"):
        process = processes.start(
            module="crashing_program", environment={"HOW": how}, directory=tmp_path, log=tmp_path / how
        )
        assert process.ended.wait(20)
        codes.append(process.exit_code)
    assert codes == [1, -signal.SIGABRT, 1]
    assert (tmp_path / "raise").read_text().rstrip().endswith("ValueError: boom")
