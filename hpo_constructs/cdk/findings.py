"""Findings of the rules in the CDK's own validation report.

A policy validation plugin, because its violations carry a fix and a severity and can be acknowledged with a reason:

    Validations.of(job).acknowledge(Acknowledgment(id="hpo::range-width-advice", reason="measured: it helps here"))

https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html
"""

from importlib.metadata import version
from typing import Any, Final
from weakref import WeakKeyDictionary

import jsii
from aws_cdk import (
    IPolicyValidationContext,
    IPolicyValidationPlugin,
    PolicyValidationPluginReport,
    PolicyViolatingResource,
    PolicyViolation,
    Stack,
    Validations,
)
from constructs import Construct, IConstruct

from ..rules import Finding, Job, Scope, Severity, check_jobs
from .place import Place, Surroundings
from .plan import TuningPlan

# Stands before the two colons of an acknowledgement's id.
PLUGIN_NAME: Final = "hpo"

# Stands for all values of a job that are known at deployment only.
NOT_CHECKED: Final = "deploy-time-values"

# The CDK's words for the severities; it shows others as custom ones.
_SEVERITIES: Final = {
    Severity.ERROR: "error",
    Severity.QUOTA: "error",
    Severity.WARNING: "warning",
    Severity.UNKNOWN: "info",
}

# The construct that remembers an app's plugin; it makes no resource.
_REGISTRAR_ID: Final = "HpoFindings"


def report_findings(path: str, declared: Any, surroundings: Surroundings) -> None:
    """Has a declaration checked at synthesis and its findings reported under the construct of a path.

    Findings of severity error and quota fail the synthesis, once all findings of all jobs are known. The account's
    quotas come from the context key `hpo:quotas`, the app's budget from `hpo:budget`.

    """
    plugin = _plugin(surroundings.stack)
    plugin.add(path, surroundings.place, declared, surroundings.quotas, surroundings.budget)


def report_finding(path: str, stack: Stack, finding: Finding) -> None:
    """Has a finding of the deployment itself reported under the construct of a path, beside those of the rules."""
    _plugin(stack).add_finding(path, finding)


def _plugin(stack: Stack) -> "_FindingsPlugin":
    if stack not in _PLUGINS:
        root = stack.node.root
        found = root.node.try_find_child(_REGISTRAR_ID)
        registrar = found if isinstance(found, _Registrar) else _Registrar(root, _REGISTRAR_ID)
        _PLUGINS[stack] = registrar.plugin
    return _PLUGINS[stack]


@jsii.implements(IPolicyValidationPlugin)
class _FindingsPlugin:
    """Reports the findings of all tuning jobs of an app at once."""

    def __init__(self, plan: TuningPlan) -> None:
        self._plan = plan
        self._of_deployment: list[tuple[str, Finding]] = []

    @property
    def name(self) -> str:
        return PLUGIN_NAME

    @property
    def version(self) -> str:
        return version("hpo-constructs")

    @property
    def rule_ids(self) -> None:
        """None named: the list serves the CDK's usage figures only."""
        return None

    def add(self, path: str, place: Place, declared: Any, quotas: Any, budget: Any) -> None:
        self._plan.add(path, place, declared, quotas, budget)

    def add_finding(self, path: str, finding: Finding) -> None:
        self._of_deployment.append((path, finding))

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:  # noqa: ARG002 - the CDK's
        failed, violations = False, []
        jobs = self._plan.read()
        # The jobs of one stack are checked together, too; what those of an account need is the plan's.
        in_stacks: dict[str, list[tuple[str, Job]]] = {}
        for planned, job in jobs:
            in_stacks.setdefault(planned.stack, []).append((planned.path, job))
        for in_stack in in_stacks.values():
            paths = {job.declaration.name: path for path, job in reversed(in_stack)}
            unchecked: dict[str, list[Finding]] = {}
            for finding in check_jobs([job for _, job in in_stack], scope=Scope.STACK):
                path = paths.get(finding.job, in_stack[0][0])
                if finding.severity is Severity.UNKNOWN:
                    unchecked.setdefault(path, []).append(finding)
                    continue
                failed = failed or finding.severity.fails
                violations.append(_violation(finding, path))
            violations += [_not_checked(findings, path) for path, findings in unchecked.items()]
        for path, finding in self._of_deployment:
            failed = failed or finding.severity.fails
            violations.append(_violation(finding, path))
        for finding in self._plan.findings(jobs):
            failed = failed or finding.severity.fails
            violations.append(_violation(finding, self._plan.node.root.node.path))
        self._plan.write(jobs)
        return PolicyValidationPluginReport(success=not failed, violations=violations)


class _Registrar(Construct):
    def __init__(self, root: IConstruct, id: str) -> None:
        super().__init__(root, id)  # type: ignore[arg-type] # the root of a tree is a Construct
        self.plugin = _FindingsPlugin(TuningPlan.of(root))
        Validations.of(root).add_plugins(self.plugin)


# By stack: looking it up in the tree for every job takes time.
_PLUGINS: WeakKeyDictionary[Stack, _FindingsPlugin] = WeakKeyDictionary()


def _not_checked(findings: list[Finding], construct_path: str) -> PolicyViolation:
    """One line for all values of a job that only the deployment knows: most are references to the app's resources."""
    places = list(dict.fromkeys(finding.path for finding in findings))
    return PolicyViolation(
        rule_name=NOT_CHECKED,
        description=f"not checked, because only the deployment knows the values: {', '.join(places)}",
        severity=_SEVERITIES[Severity.UNKNOWN],
        rule_metadata={"severity": str(Severity.UNKNOWN)},
        violating_resources=[PolicyViolatingResource(construct_path=construct_path, locations=places)],
    )


def _violation(finding: Finding, construct_path: str) -> PolicyViolation:
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    where = f"{place} {finding.path}".strip()
    return PolicyViolation(
        rule_name=finding.rule,
        description=f"{where}: {finding.message} (see {finding.source})",
        fix=finding.fix,
        severity=_SEVERITIES[finding.severity],
        rule_metadata={"severity": str(finding.severity)},
        violating_resources=[PolicyViolatingResource(construct_path=construct_path, locations=[finding.path])],
    )
