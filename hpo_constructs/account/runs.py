"""Runs of declared jobs: started, looked at, stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hpo_handlers.contract import CHANGING_STATUSES, TuningJobStatus, tuning_job_name

from .access import Account, AccountError, MissingError
from .declared import DeclaredJob, Job, executions, runs

_LOOK_SECONDS = 1.0
# How many jobs are described at once: few enough for the rate that SageMaker lets an account have.
AT_ONCE = 4


@dataclass(frozen=True)
class Run:
    """The state of a run.

    Attributes:
        execution: The answer of DescribeExecution.
        job: The answer of DescribeHyperParameterTuningJob; None before the tuning job exists.
    """

    execution: Mapping[str, Any]
    job: Mapping[str, Any] | None

    @property
    def ended(self) -> bool:
        """Whether the state machine's execution has ended."""
        return bool(self.execution["status"] != "RUNNING")

    @property
    def succeeded(self) -> bool:
        """Whether the execution has ended well and has a tuning job: a skipped one has none."""
        return bool(self.execution["status"] == "SUCCEEDED" and self.job is not None)

    @property
    def reason(self) -> str:
        """Why the run has no result."""
        if self.execution["status"] == "SUCCEEDED":
            return "skipped: another run of the job had not ended"
        error, cause = self.execution.get("error", ""), self.execution.get("cause", "")
        return ": ".join(part for part in (error, cause) if part) or str(self.execution["status"])


@dataclass
class Stopping:
    """What was asked to stop, and what of it is left.

    Attributes:
        tuning_jobs: Tuning jobs that were asked to stop, or were stopping already.
        executions: Names of executions that were ended because they had no tuning job yet.
        left: By name of a tuning job or an execution the status of what has not ended.
    """

    tuning_jobs: list[str] = field(default_factory=list)
    executions: list[str] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)


def start(account: Account, job: DeclaredJob) -> tuple[str, str]:
    """Start a run; the execution's ARN and the name of the tuning job that it makes.

    Raises:
        AccountError: The account cannot be asked.
    """
    arn = account.call("stepfunctions", "start_execution", stateMachineArn=job.state_machine_arn)["executionArn"]
    return arn, tuning_job_name(job.name, arn)


def look(account: Account, execution_arn: str, tuning_job: str) -> Run:
    """The state of a run now.

    Raises:
        AccountError: The account cannot be asked.
    """
    # The execution first: when it has ended, what the tuning job tells is the end of it.
    execution = account.call("stepfunctions", "describe_execution", executionArn=execution_arn)
    return Run(execution, described(account, tuning_job))


def watch(account: Account, execution_arn: str, tuning_job: str, interval: float) -> Iterator[Run]:
    """The state of a run again and again, until its execution has ended.

    Args:
        account: The account.
        execution_arn: The execution.
        tuning_job: The tuning job that it makes.
        interval: Seconds between two looks.

    Raises:
        AccountError: The account cannot be asked.
    """
    while True:
        run = look(account, execution_arn, tuning_job)
        yield run
        if run.ended:
            return
        time.sleep(interval)


def described(account: Account, tuning_job: str) -> dict[str, Any] | None:
    """The answer of DescribeHyperParameterTuningJob; None when there is no such tuning job."""
    try:
        return account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=tuning_job)
    except MissingError:
        return None


def ran(job: Job) -> str:
    """The tuning job's own name.

    Raises:
        MissingError: The declared job has no run.
    """
    if job.tuning_job is None:
        where = f" by stack {job.declared.stack}" if job.declared else ""
        raise MissingError(f"{job.text} is declared{where} and has not run; start it with `hpo start {job.text}`")
    return job.tuning_job


def training_jobs(account: Account, tuning_job: str) -> list[dict[str, Any]]:
    """The summaries of a tuning job's training jobs."""
    return list(
        account.pages(
            "sagemaker",
            "list_training_jobs_for_hyper_parameter_tuning_job",
            "TrainingJobSummaries",
            HyperParameterTuningJobName=tuning_job,
            PaginationConfig={"PageSize": 100},
        )
    )


def stop(account: Account, job: Job, *, seconds: float, waiting: Callable[[Stopping], None]) -> Stopping:
    """Stop all that runs of a job, and wait a while for the end.

    Executions that wait for their turn are ended first, so that none of them begins. Then the tuning jobs are asked to
    stop; their executions end by themselves and publish what their policy lets them.

    Args:
        account: The account.
        job: A declared job, of which all runs are stopped, or a tuning job, which is stopped alone.
        seconds: How long to wait.
        waiting: Called when everything was asked to stop.

    Raises:
        AccountError: The account cannot be asked.
    """
    stopping = Stopping()
    running = _running(account, job)
    for execution, tuning_job in running.items():
        if described(account, tuning_job) is None:
            account.call(
                "stepfunctions", "stop_execution", executionArn=execution, error="Stopped", cause="stopped by hpo stop"
            )
            stopping.executions.append(_short(execution))
    for name in _tuning_jobs(account, job, running.values()):
        if _stop(account, name):
            stopping.tuning_jobs.append(name)
    waiting(stopping)
    deadline = time.monotonic() + seconds
    while True:
        stopping.left = _left(account, stopping.tuning_jobs, running)
        if not stopping.left or time.monotonic() >= deadline:
            return stopping
        time.sleep(_LOOK_SECONDS)


def _running(account: Account, job: Job) -> dict[str, str]:
    """The tuning jobs' names by the ARNs of the executions that run."""
    if job.given or job.declared is None:
        return {}
    arns = [each["executionArn"] for each in executions(account, job.declared, "RUNNING")]
    return {arn: tuning_job_name(job.declared.name, arn) for arn in arns}


def _tuning_jobs(account: Account, job: Job, of_running: Iterable[str]) -> list[str]:
    """Names of the tuning jobs that may have to be stopped."""
    if job.given:
        return [str(job.tuning_job)]
    changing = [
        each["HyperParameterTuningJobName"]
        for status in (TuningJobStatus.IN_PROGRESS, TuningJobStatus.STOPPING)
        for each in runs(account, job.text, str(status))
    ]
    if job.declared is None:
        return changing
    names = list(of_running)
    # A tuning job whose execution has ended already runs unwatched. Another stack's may be named alike.
    unwatched = set(changing) - set(names)
    for execution in executions(account, job.declared) if unwatched else ():
        name = tuning_job_name(job.declared.name, execution["executionArn"])
        if name in unwatched:
            names.append(name)
            unwatched.discard(name)
        if not unwatched:
            break
    return names


def _stop(account: Account, name: str) -> bool:
    """Stop a tuning job; whether it ran."""
    found = described(account, name)
    if found is None or found["HyperParameterTuningJobStatus"] not in CHANGING_STATUSES:
        return False
    if found["HyperParameterTuningJobStatus"] == TuningJobStatus.IN_PROGRESS:
        try:
            account.call("sagemaker", "stop_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)
        except AccountError:
            # It may have ended between the two calls.
            again = described(account, name)
            if again is not None and again["HyperParameterTuningJobStatus"] == TuningJobStatus.IN_PROGRESS:
                raise
            return False
    return True


def _left(account: Account, names: Sequence[str], running: Mapping[str, str]) -> dict[str, str]:
    left = {}
    for name in names:
        found = described(account, name)
        if found is not None and found["HyperParameterTuningJobStatus"] in CHANGING_STATUSES:
            left[f"tuning job {name}"] = str(found["HyperParameterTuningJobStatus"])
    for arn in running:
        status = account.call("stepfunctions", "describe_execution", executionArn=arn)["status"]
        if status == "RUNNING":
            left[f"execution {_short(arn)}"] = "RUNNING"
    return left


def _short(execution_arn: str) -> str:
    return execution_arn.rpartition(":")[2]
