"""What makes a declaration right: rules with id, title, reason and source, and the check that runs them."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from enum import StrEnum
from importlib import import_module
from typing import Any

from ..collecting import nothing_collected
from ..errors import HpoError
from ..quotas import Quotas, state
from ..quotas.costs import Budget, state_budget
from ..spec.declaration import Declaration, Form
from .finding import Finding, Severity
from .job import Job
from .registry import Problem, Rule, rules

__all__ = ["Finding", "Job", "Rule", "Scope", "Severity", "check", "check_jobs", "read_jobs", "rules"]

# One module a section of the catalogue, in its order. The shapes come first: the others can rely on them.
_MODULES = ("shape", "job_rules", "strategy", "hyperparameters", "algorithm", "data", "resources", "warm_start", "app")

# Rule by rule for so many jobs: a processor's cache holds them and the code of a rule, not the code of all rules.
_JOBS_AT_A_TIME = 32

Declared = Any  # a TuningJobSpec, a Declaration or a request; typed so that a check loads no models


def load_rules() -> tuple[str, ...]:
    """Import the modules that register rules, and give their names in the order of the catalogue."""
    for module in _MODULES:
        import_module(f".{module}", __name__)
    return _MODULES


class Scope(StrEnum):
    """Which rules are checked.

    ALL: Every rule. STACK: Those about a job, and about the jobs of one stack. ACCOUNT: Those about all jobs of an
    account and region.
    """

    ALL = "all"
    STACK = "stack"
    ACCOUNT = "account"


def check(
    spec: Declared | Iterable[Declared],
    quotas: Quotas | Mapping[str, Any] | str | None = None,
    *,
    budget: Budget | Mapping[str, Any] | None = None,
    scope: Scope = Scope.ALL,
) -> list[Finding]:
    """Check declarations against every rule.

    Args:
        spec: A `TuningJobSpec`, a request of CreateHyperParameterTuningJob, a `Declaration`, or several of them,
            which are then also checked together.
        quotas: The account's quotas: an edition's name, or single values with an edition beside them. The edition
            developer-guide without it.
        budget: What one run of all jobs together may use at most; no bound without it.
        scope: Which rules are checked; all without it.

    Returns:
        All findings of all jobs, in the order of the files.

    Raises:
        QuotaError: `quotas` names an unknown edition or quota, or `budget` states something unknown.
    """
    allowed = budget if isinstance(budget, Budget) else state_budget(budget)
    return check_jobs(read_jobs(spec, quotas), allowed, scope=scope)


@nothing_collected()
def check_jobs(jobs: list[Job], budget: Budget | None = None, *, scope: Scope = Scope.ALL) -> list[Finding]:
    """Check jobs that `read_jobs` gave; the rest is as for `check`."""
    allowed = budget or Budget()
    for job in jobs:
        job.app_budget = allowed
    findings: list[tuple[Job, Finding]] = []
    if scope is not Scope.ACCOUNT:
        problems = zip(jobs, _problems(jobs), strict=True)
        findings = [(job, finding) for job, found in problems for finding in _findings(job, found)]
    left_out = {Scope.ALL: None, Scope.STACK: True, Scope.ACCOUNT: False}[scope]
    for rule in rules().values():
        if rule.check_all is not None and rule.account_wide is not left_out:
            findings += [(job, _finding(rule, job, problem)) for job, problem in _guarded_all(rule, jobs)]
    return sorted(_once(findings), key=_order)


def read_jobs(spec: Declared | Iterable[Declared], quotas: Quotas | Mapping[str, Any] | str | None = None) -> list[Job]:
    """The jobs of declarations, as rules look at them, each with the quotas that hold for it.

    Raises:
        QuotaError: `quotas` names an unknown edition or quota.
    """
    stated = quotas if isinstance(quotas, Quotas) else state(quotas)
    return [Job(declaration, state(declaration.quotas, stated)) for declaration in _declarations(spec)]


def _once(findings: Iterable[tuple[Job, Finding]]) -> Iterable[Finding]:
    """Leave out repeats: a fault in defaults, or in a definition that others clone, stands in the file once."""
    seen: set[Any] = set()
    for job, finding in findings:
        place = (finding.file, finding.line, finding.column) if finding.line else (id(job), finding.path)
        key = (finding.rule, place, finding.message)
        if key not in seen:
            seen.add(key)
            yield finding


def _declarations(spec: Declared | Iterable[Declared]) -> list[Declaration]:
    if isinstance(spec, Declaration):
        return [spec]
    if isinstance(spec, Mapping):
        return [Declaration(request=dict(spec), form=Form.REQUEST)]
    if hasattr(spec, "to_request"):
        origin = getattr(spec, "_origin", None)
        # A spec that was copied with changes still knows where it came from; what it says now is what counts.
        base = origin if isinstance(origin, Declaration) else Declaration(request={})
        return [replace(base, request=spec.to_request())]
    if isinstance(spec, Iterable) and not isinstance(spec, str | bytes):
        return [declaration for item in spec for declaration in _declarations(item)]
    raise HpoError(f"check takes a TuningJobSpec, a request or several of them, got {type(spec).__name__}")


def _problems(jobs: list[Job]) -> Iterable[list[tuple[Rule, Problem]]]:
    """The problems of each job by itself, in the order of the rules."""
    for first in range(0, len(jobs), _JOBS_AT_A_TIME):
        block: list[tuple[Job, list[tuple[Rule, Problem]]]] = [
            (job, []) for job in jobs[first : first + _JOBS_AT_A_TIME]
        ]
        for rule in rules().values():
            for job, found in block:
                found += _guarded(rule, job)
        yield from (found for _, found in block)


def _guarded(rule: Rule, job: Job) -> list[tuple[Rule, Problem]]:
    if rule.check is None:
        return []
    try:
        return [(rule, problem) for problem in rule.check(job)]
    except Exception as error:  # a rule that crashes must not hide what the others find
        return [(rule, _crash(rule, error))]


def _findings(job: Job, found: Iterable[tuple[Rule, Problem]]) -> Iterable[Finding]:
    """What is told of the problems of a job, and of faults in its document."""
    broken: set[Any] = set()
    for rule, problem in found:
        # A value of the wrong shape has its finding; what other rules make of it would be a cascade.
        if problem.path in broken and rule.id != "shape":
            continue
        if rule.id == "shape" and problem.severity is not Severity.UNKNOWN:
            broken.add(problem.path)
        yield _finding(rule, job, problem)
    for fault in job.declaration.faults:
        yield Finding(
            rule="shape",
            severity=Severity.ERROR,
            path=fault.origin.path,
            message=fault.message,
            fix=fault.fix,
            source=rules()["shape"].source,
            job=job.declaration.name,
            file=job.declaration.file,
            line=fault.origin.line or None,
            column=fault.origin.column or None,
        )


def _guarded_all(rule: Rule, jobs: list[Job]) -> list[tuple[Job, Problem]]:
    if rule.check_all is None or not jobs:
        return []
    try:
        return list(rule.check_all(jobs))
    except Exception as error:
        return [(jobs[0], _crash(rule, error))]


def _crash(rule: Rule, error: Exception) -> Problem:
    return Problem(
        (),
        f"the rule {rule.id} failed on this declaration with {type(error).__name__}: {error}",
        "report the declaration to the library's maintainers; the other rules were checked",
        Severity.ERROR,
    )


def _finding(rule: Rule, job: Job, problem: Problem) -> Finding:
    origin = job.declaration.origin(problem.path)
    return Finding(
        rule=rule.id,
        severity=problem.severity or rule.severity,
        path=origin.path,
        message=problem.message,
        fix=problem.fix,
        source=rule.source,
        job=job.declaration.name,
        file=job.declaration.file,
        line=origin.line or None,
        column=origin.column or None,
    )


def _order(finding: Finding) -> tuple[str, int, int, str]:
    return (finding.file or "", finding.line or 0, finding.column or 0, finding.path)
