"""Findings as text for people and as JSON for programs."""

import json
from collections.abc import Callable, Iterable, Sequence

from ..errors import DocumentError
from ..rules import Finding, Severity

Style = Callable[[str, str], str]  # a text and the name of its role: error, quota, warning, unknown, dim, strong


def plain(text: str, _role: str) -> str:
    """The text without colour."""
    return text


def finding_text(finding: Finding, style: Style = plain) -> str:
    """One finding in the frame of the command line, the pre-commit hook and the CDK's report.

    HEADLINE is rule, severity, place and path; below it stand the message, the fix and the source.
    """
    place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
    subject = finding.path or finding.job
    headline = "  ".join(part for part in (style(place, "strong"), subject) if part)
    return "\n".join(
        [
            f"{finding.rule} {style(finding.severity, finding.severity)}  {headline}",
            f"  {finding.message}",
            f"  fix: {finding.fix}",
            f"  {style(f'see: {finding.source}', 'dim')}",
        ]
    )


def as_text(
    findings: Sequence[Finding],
    unreadable: Iterable[DocumentError],
    checked: int,
    *,
    show_unknown: bool = False,
    style: Style = plain,
) -> str:
    """All findings with a closing line that counts them."""
    shown = [finding for finding in findings if show_unknown or finding.severity is not Severity.UNKNOWN]
    parts = [finding_text(finding, style) for finding in shown]
    unreadable = list(unreadable)
    parts += [
        f"{style('unreadable', 'error')}  {style(_place(error), 'strong')}\n  {error.message}" for error in unreadable
    ]
    parts.append(summary(findings, len(unreadable), checked, style))
    return "\n\n".join(parts)


def summary(findings: Sequence[Finding], unreadable: int, checked: int, style: Style = plain) -> str:
    """How many tuning jobs were checked, with what result."""
    counts = [
        style(_count(sum(finding.severity is severity for finding in findings), noun), severity)
        for severity, noun in (
            (Severity.ERROR, "error"),
            (Severity.QUOTA, "quota finding"),
            (Severity.WARNING, "warning"),
        )
        if any(finding.severity is severity for finding in findings)
    ]
    unknown = sum(finding.severity is Severity.UNKNOWN for finding in findings)
    if unknown:
        counts.append(f"{_count(unknown, 'value')} not checked (known at deployment only)")
    if unreadable:
        counts.append(style(_count(unreadable, "unreadable file"), "error"))
    return f"{_count(checked, 'tuning job')} checked: {', '.join(counts) or 'no findings'}"


def as_json(findings: Sequence[Finding], unreadable: Iterable[DocumentError], checked: int) -> str:
    """The findings as one JSON object: `checked`, `findings`, and `unreadable` files."""
    body = {
        "checked": checked,
        "findings": [finding.as_dict() for finding in findings],
        "unreadable": [
            {"file": error.file, "line": error.line, "column": error.column, "message": error.message}
            for error in unreadable
        ],
    }
    return json.dumps(body, indent=2, ensure_ascii=False)


def _place(error: DocumentError) -> str:
    return ":".join(str(part) for part in (error.file, error.line, error.column) if part is not None)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
