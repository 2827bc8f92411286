"""Findings of the rules in the CDK's own validation report.

A policy validation plugin, because its violations carry a fix and a severity and can be acknowledged with a reason:

    Validations.of(job).acknowledge(Acknowledgment(id="hpo::range-width-advice", reason="measured: it helps here"))

https://docs.aws.amazon.com/cdk/v2/guide/policy-validation-synthesis.html
"""

from importlib.metadata import version
from typing import Any, Final

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

from ..quotas import state
from ..rules import Finding, Severity, check

# Stands before the two colons of an acknowledgement's id.
PLUGIN_NAME: Final = "hpo"
# Context key in cdk.json: an edition's name, or single quotas with an edition beside them.
QUOTAS_CONTEXT: Final = "hpo:quotas"

# The CDK's words for the severities; it shows others as custom ones.
_SEVERITIES: Final = {
    Severity.ERROR: "error",
    Severity.QUOTA: "error",
    Severity.WARNING: "warning",
    Severity.UNKNOWN: "info",
}

# The construct that remembers an app's plugin; it makes no resource.
_REGISTRAR_ID: Final = "HpoFindings"


def report_findings(construct: Construct, declared: Any) -> None:
    """Has a declaration checked at synthesis and its findings reported under a construct.

    Findings of severity error and quota fail the synthesis, once all findings of all jobs are known. The account's
    quotas come from the context key `hpo:quotas`.

    Raises:
        QuotaError: the context names an unknown edition or quota.
    """
    quotas = construct.node.try_get_context(QUOTAS_CONTEXT)
    # A wrong statement is told here: an exception in a callback of the CDK would lose its class.
    state(quotas)
    root = construct.node.root
    found = root.node.try_find_child(_REGISTRAR_ID)
    registrar = found if isinstance(found, _Registrar) else _Registrar(root, _REGISTRAR_ID)
    registrar.plugin.add(construct, declared, quotas)


@jsii.implements(IPolicyValidationPlugin)
class _FindingsPlugin:
    """Reports the findings of all tuning jobs of an app at once."""

    def __init__(self) -> None:
        # By stack: the jobs of one stack run in one account and region, and are checked together too.
        self._declared: dict[str, list[tuple[str, Any, Any]]] = {}

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

    def add(self, construct: Construct, declared: Any, quotas: Any) -> None:
        in_stack = self._declared.setdefault(Stack.of(construct).node.path, [])
        in_stack.append((construct.node.path, declared, quotas))

    def validate(self, context: IPolicyValidationContext) -> PolicyValidationPluginReport:  # noqa: ARG002 - the CDK's
        failed, violations = False, []
        for in_stack in self._declared.values():
            paths = {declared.name: path for path, declared, _ in reversed(in_stack)}
            for finding in check([declared for _, declared, _ in in_stack], in_stack[0][2]):
                failed = failed or finding.severity.fails
                violations.append(_violation(finding, paths.get(finding.job, in_stack[0][0])))
        return PolicyValidationPluginReport(success=not failed, violations=violations)


class _Registrar(Construct):
    def __init__(self, root: IConstruct, id: str) -> None:
        super().__init__(root, id)  # type: ignore[arg-type] # the root of a tree is a Construct
        self.plugin = _FindingsPlugin()
        Validations.of(root).add_plugins(self.plugin)


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
