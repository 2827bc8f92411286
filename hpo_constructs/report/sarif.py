"""Findings as SARIF 2.1.0, which code-scanning services take.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import DocumentError
from ..rules import Finding, Rule, Severity, rules

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.QUOTA: "error", Severity.WARNING: "warning", Severity.UNKNOWN: "note"}


def as_sarif(findings: Sequence[Finding], unreadable: Iterable[DocumentError], *, show_unknown: bool = False) -> str:
    """One SARIF log with a result for each finding and a notification for each file that could not be read."""
    shown = [finding for finding in findings if show_unknown or finding.severity is not Severity.UNKNOWN]
    fired = [rule for rule in rules().values() if any(finding.rule == rule.id for finding in shown)]
    index = {rule.id: number for number, rule in enumerate(fired)}
    notifications = [
        {"level": "error", "message": {"text": error.message}, "locations": [_location(error)]} for error in unreadable
    ]
    run = {
        "tool": {
            "driver": {
                "name": "hpo check",
                "version": version("hpo-constructs"),
                "rules": [_rule(rule) for rule in fired],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": not notifications, "toolExecutionNotifications": notifications}],
        "results": [_result(finding, index) for finding in shown],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.reason},
        "helpUri": rule.source,
        "help": {"text": f"{rule.title}\n\n{rule.reason}\n\nhpo explain {rule.id}"},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": [rule.severity.value]},
    }


def _result(finding: Finding, index: Mapping[str, int]) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "ruleIndex": index[finding.rule],
        "level": _LEVELS[finding.severity],
        "message": {"text": f"{finding.message}\nfix: {finding.fix}"},
        "locations": [_location(finding)],
    }


def _location(place: Finding | DocumentError) -> dict[str, Any]:
    location: dict[str, Any] = {}
    if place.file is not None:
        physical: dict[str, Any] = {"artifactLocation": {"uri": _uri(place.file)}}
        if place.line is not None:
            physical["region"] = {"startLine": place.line, "startColumn": place.column or 1}
        location["physicalLocation"] = physical
    if isinstance(place, Finding) and place.path:
        location["logicalLocations"] = [{"fullyQualifiedName": place.path}]
    return location


def _uri(file: str) -> str:
    """A relative file as a relative reference, below the folder where the command ran."""
    path = Path(file)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix())
