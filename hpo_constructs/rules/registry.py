"""The register of rules: each a small unit with an identity, a reason and a source."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache

from ..spec.declaration import Path
from .finding import Severity
from .job import Job

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"


@dataclass(frozen=True, slots=True)
class Problem:
    """What a rule has found at a place of the request.

    Attributes:
        path: The place in the request.
        message: What is wrong: the name, the value, what is allowed.
        fix: What to do.
        severity: Where it differs from the rule's own.
    """

    path: Path
    message: str
    fix: str
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A fragment of a team template that shows a rule, laid over a complete template.

    Attributes:
        text: The fragment, in YAML.
        several: Whether it is laid over the template with two algorithms.
        quotas: Quotas that the app states.
    """

    text: str
    several: bool = False
    quotas: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: Its slug; part of the public contract.
        title: What holds, in one line.
        severity: How bad a violation is, where the problem does not say otherwise.
        reason: Why the rule exists.
        source: The page that it rests on.
        passes: An example that the rule has nothing to say about.
        fails: An example with exactly one finding of this rule, and none of another error.
        check: Gives the problems of one job; None for a rule over all jobs.
        check_all: Gives the problems of an app's jobs, each with its job; None for a rule over one.
        account_wide: Whether it is about all jobs of an account and region, whatever stack they are in.
    """

    id: str
    title: str
    severity: Severity
    reason: str
    source: str
    passes: Example
    fails: Example
    check: Callable[[Job], Iterable[Problem]] | None = None
    check_all: Callable[[list[Job]], Iterable[tuple[Job, Problem]]] | None = None
    account_wide: bool = False


_RULES: dict[str, Rule] = {}


def rule(
    rule_id: str,
    *,
    title: str,
    severity: Severity,
    reason: str,
    source: str,
    passes: str | Example,
    fails: str | Example,
) -> Callable[[Callable[[Job], Iterable[Problem]]], Callable[[Job], Iterable[Problem]]]:
    """Register a function that checks one job."""

    def register(check: Callable[[Job], Iterable[Problem]]) -> Callable[[Job], Iterable[Problem]]:
        _add(Rule(rule_id, title, severity, reason, source, _example(passes), _example(fails), check=check))
        return check

    return register


AppCheck = Callable[[list[Job]], Iterable[tuple[Job, Problem]]]


def app_rule(
    rule_id: str,
    *,
    title: str,
    severity: Severity,
    reason: str,
    source: str,
    passes: str | Example,
    fails: str | Example,
    account_wide: bool = False,
) -> Callable[[AppCheck], AppCheck]:
    """Register a function that checks all jobs of an app together."""

    def register(check: AppCheck) -> AppCheck:
        examples = _example(passes), _example(fails)
        _add(Rule(rule_id, title, severity, reason, source, *examples, check_all=check, account_wide=account_wide))
        return check

    return register


@cache
def rules() -> dict[str, Rule]:
    """All registered rules by id, in the order of the catalogue."""
    from . import load_rules

    order = load_rules()
    # A module that was imported earlier, for a helper of its, has registered its rules earlier.
    return dict(sorted(_RULES.items(), key=lambda entry: order.index(_module(entry[1]))))


def _module(of: Rule) -> str:
    return (of.check or of.check_all).__module__.rpartition(".")[2]


def _add(new: Rule) -> None:
    if new.id in _RULES:
        raise ValueError(f"two rules have the id {new.id}")
    _RULES[new.id] = new


def _example(example: str | Example) -> Example:
    return Example(example) if isinstance(example, str) else example
