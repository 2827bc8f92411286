"""From a name that a person types to a tuning job: declared jobs of the account's stacks, and their runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from hpo_handlers.contract import DECLARED_NAME_LENGTH, Key, tuning_job_name

from .access import Account, AccountError, DeniedError, MissingError

_MACHINE, _PREFIX = "StateMachineArn", "OutputPrefix"
_RUN = re.compile(rf"(.{{1,{DECLARED_NAME_LENGTH}}})-[0-9a-f]{{10}}")
# How many of the latest runs are compared with a stack's executions.
_LATEST_RUNS = 100
_PAGE = 100


@dataclass(frozen=True)
class DeclaredJob:
    """A tuning job that a stack of the account declares.

    Attributes:
        name: The declared name.
        stack: The stack's name.
        state_machine_arn: The state machine that runs it.
        output_prefix: Path of the SSM parameters, with a slash at its end.
    """

    name: str
    stack: str
    state_machine_arn: str
    output_prefix: str


@dataclass(frozen=True)
class Job:
    """What a name on the command line means.

    Attributes:
        text: The name as it was given.
        name: The declared name; None for a tuning job that no declaration has made.
        declared: The declaration, where a stack of the account has it.
        tuning_job: The tuning job's own name; None when the declared job has no run.
        given: Whether the name given is a tuning job's own.
    """

    text: str
    name: str | None
    declared: DeclaredJob | None
    tuning_job: str | None
    given: bool


def declared_name(tuning_job: str) -> str | None:
    """The declared name in a tuning job's own one; None for one that no declaration has made."""
    match = _RUN.fullmatch(tuning_job)
    return match[1] if match else None


def declared_jobs(account: Account, stack: str | None = None) -> list[DeclaredJob]:
    """The tuning jobs that stacks declare, told by the stacks' outputs, in the order of stacks and names.

    Args:
        account: The account.
        stack: The only stack to look at; all without it.

    Raises:
        MissingError: There is no such stack.
        AccountError: The account cannot be asked.
    """
    found = []
    for described in account.pages(
        "cloudformation", "describe_stacks", "Stacks", **({"StackName": stack} if stack else {})
    ):
        outputs = {output["OutputKey"]: output["OutputValue"] for output in described.get("Outputs", ())}
        for key, prefix in outputs.items():
            machine = outputs.get(f"{key.removesuffix(_PREFIX)}{_MACHINE}")
            if key.endswith(_PREFIX) and machine is not None:
                name = _name(account, described["StackName"], prefix, machine)
                found.append(DeclaredJob(name, described["StackName"], machine, prefix))
    return sorted(found, key=lambda job: (job.stack, job.name))


def find(account: Account, text: str, stack: str | None = None) -> Job:
    """Find the tuning job that a name means: a declared job, whose newest run is meant, or a tuning job itself.

    Args:
        account: The account.
        text: The name.
        stack: The stack that declares the job; needed where several declare the same name.

    Raises:
        AccountError: There is none, or several; the message lists the candidates. Or the account cannot be asked.
    """
    if stack is None and _RUN.fullmatch(text) and _exists(account, text):
        return Job(text, declared_name(text), None, text, given=True)
    declared: Sequence[DeclaredJob] = ()
    denied: DeniedError | None = None
    try:
        declared = declared_jobs(account, stack)
    except MissingError:
        stacks = sorted({job.stack for job in declared_jobs(account)})
        raise MissingError(
            f"there is no stack {stack!r} in {account.place}; stacks that declare tuning jobs: {_listed(stacks)}"
        ) from None
    except DeniedError as error:
        # Who may look at tuning jobs need not see stacks.
        if stack is not None:
            raise
        denied = error
    same = [job for job in declared if job.name == text]
    if len(same) > 1:
        stacks = [job.stack for job in same]
        raise AccountError(
            f"{len(same)} stacks of {account.place} declare a tuning job {text!r}: choose one with --stack: "
            f"{_listed(stacks)}"
        )
    if same:
        return Job(text, text, same[0], _newest(account, same[0], alone=stack is None), given=False)
    if stack is None:
        if _exists(account, text):
            return Job(text, declared_name(text), None, text, given=True)
        newest = next(runs(account, text), None)
        if newest is not None:
            return Job(text, text, None, newest["HyperParameterTuningJobName"], given=False)
    if denied is not None:
        raise denied
    raise MissingError(_missing(account, text, declared, stack))


def runs(account: Account, name: str, status: str | None = None) -> Iterator[dict[str, Any]]:
    """The summaries of a declared job's tuning jobs, or of those with a status, the newest first."""
    for summary in tuning_jobs(account, name_contains=f"{name}-", status=status):
        if declared_name(summary["HyperParameterTuningJobName"]) == name:
            yield summary


def tuning_jobs(
    account: Account,
    *,
    name_contains: str | None = None,
    status: str | None = None,
    sort_by: str = "CreationTime",
    descending: bool = True,
) -> Iterator[dict[str, Any]]:
    """The HyperParameterTuningJobSummaries of the account, the newest first by default.

    Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListHyperParameterTuningJobs.html
    """
    filters = {"NameContains": name_contains, "StatusEquals": status}
    return account.pages(
        "sagemaker",
        "list_hyper_parameter_tuning_jobs",
        "HyperParameterTuningJobSummaries",
        SortBy=sort_by,
        SortOrder="Descending" if descending else "Ascending",
        PaginationConfig={"PageSize": _PAGE},
        **{name: value for name, value in filters.items() if value is not None},
    )


def executions(account: Account, job: DeclaredJob, status: str | None = None) -> Iterator[dict[str, Any]]:
    """The executions of a declared job's state machine, the newest first."""
    return account.pages(
        "stepfunctions",
        "list_executions",
        "executions",
        stateMachineArn=job.state_machine_arn,
        **({"statusFilter": status} if status else {}),
    )


def published_parameters(account: Account, job: Job) -> list[str]:
    """Names of the SSM parameters in which the published best of a job may stand.

    Outputs outlive their stack, and a fragment in somebody's own state machine has no outputs of a stack: then the
    parameters' names tell.
    """
    if job.name is None:
        return []
    if job.declared is not None:
        return [f"{job.declared.output_prefix.rstrip('/')}/best"]
    contains = {"Key": "Name", "Option": "Contains", "Values": [f"/{job.name}/best"]}
    found = account.pages("ssm", "describe_parameters", "Parameters", ParameterFilters=[contains])
    return sorted(each["Name"] for each in found if each["Name"].endswith(f"/{job.name}/best"))


def _name(account: Account, stack: str, prefix: str, machine: str) -> str:
    """The declared name: the prefix has it, unless the declaration states one of its own."""
    standard = re.fullmatch(rf"/hpo/{re.escape(stack)}/([^/]+)/", prefix)
    if standard:
        return standard[1]
    definition = json.loads(
        account.call("stepfunctions", "describe_state_machine", stateMachineArn=machine)["definition"]
    )
    for state in definition["States"].values():
        request = (state.get("Result") or {}).get(Key.REQUEST) if isinstance(state.get("Result"), dict) else None
        if request:
            return str(request["HyperParameterTuningJobName"])
    return prefix.strip("/").rpartition("/")[2]


def _newest(account: Account, job: DeclaredJob, *, alone: bool) -> str | None:
    """The newest tuning job of a declared job; None before its first run.

    Args:
        account: The account.
        job: The declared job.
        alone: Whether no other stack declares the name. Otherwise the executions tell whose run a tuning job is.
    """
    latest = [
        each["HyperParameterTuningJobName"] for each in islice(runs(account, job.name), 1 if alone else _LATEST_RUNS)
    ]
    if alone:
        return latest[0] if latest else None
    for execution in executions(account, job):
        if (name := tuning_job_name(job.name, execution["executionArn"])) in latest:
            return name
    return None


def _exists(account: Account, name: str) -> bool:
    try:
        account.call("sagemaker", "describe_hyper_parameter_tuning_job", HyperParameterTuningJobName=name)
    except MissingError:
        return False
    return True


def _missing(account: Account, text: str, declared: Sequence[DeclaredJob], stack: str | None) -> str:
    names = list(dict.fromkeys(job.name for job in declared))
    recent = (
        [] if stack else [each["HyperParameterTuningJobName"] for each in islice(tuning_jobs(account), _LATEST_RUNS)]
    )
    where = f"stack {stack}" if stack else account.place
    close = get_close_matches(text, [*names, *recent], n=3)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif names:
        hint = f"declared are: {_listed(names)}"
    elif recent:
        hint = f"the newest tuning jobs are: {_listed(recent)}"
    else:
        hint = "no stack declares one and none has run; deploy one with `cdk deploy`"
    return f"there is no tuning job {text!r} in {where}; {hint}{'' if stack else ' (`hpo jobs` lists all)'}"


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(names[:most]) or "none") + more
