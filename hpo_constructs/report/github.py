"""Findings as workflow commands of GitHub Actions, which shows them beside the lines of a pull request.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from collections.abc import Iterable, Sequence

from ..errors import DocumentError
from ..rules import Finding, Severity
from .findings import summary

_COMMANDS = {
    Severity.ERROR: "error",
    Severity.QUOTA: "error",
    Severity.WARNING: "warning",
    Severity.UNKNOWN: "notice",
}


def as_github(
    findings: Sequence[Finding], unreadable: Iterable[DocumentError], checked: int, *, show_unknown: bool = False
) -> str:
    """One command a finding and a file that could not be read, and the closing line for the log."""
    shown = [finding for finding in findings if show_unknown or finding.severity is not Severity.UNKNOWN]
    lines = [
        _command(
            _COMMANDS[finding.severity],
            finding,
            f"{finding.rule} {finding.path}".rstrip(),
            f"{finding.message}\nfix: {finding.fix}\nsee: {finding.source}",
        )
        for finding in shown
    ]
    unreadable = list(unreadable)
    lines += [_command("error", error, "unreadable", error.message) for error in unreadable]
    return "\n".join([*lines, summary(findings, len(unreadable), checked)])


def _command(command: str, place: Finding | DocumentError, title: str, message: str) -> str:
    properties = {"file": place.file, "line": place.line, "col": place.column, "title": title}
    stated = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items() if value is not None)
    return f"::{command} {stated}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
