"""The exceptions of the library.

    HpoError                    base of all
    ├── SpecError               values that cannot be a tuning job's declaration (also a ValueError)
    ├── CheckError              a declaration with findings of severity error or quota; carries them
    ├── DocumentError           a file that cannot be read as a declaration
    ├── CatalogError            an unknown algorithm, version or region (also a ValueError)
    ├── QuotaError              an unknown edition, quota or value of a quota (also a ValueError)
    ├── AccountError            an account cannot be asked (in hpo_constructs.account)
    ├── ResultError             a tuning job's results do not have what is asked for (in hpo_constructs.report.results;
    │                           also a ValueError)
    └── LocalError              the local endpoint or a local run cannot go on

Messages are one sentence each: what is wrong, with the name and the value, what is allowed, and the fix.
"""

from collections.abc import Sequence
from typing import Any


class HpoError(Exception):
    """Base class of every exception that the library raises on purpose."""


class SpecError(HpoError, ValueError):
    """The values given cannot be a tuning job's declaration; the message lists every fault."""


class CheckError(HpoError):
    """A declaration has findings that forbid to go on.

    Attributes:
        findings: All findings, warnings included, in the order of the declaration.
    """

    def __init__(self, message: str, findings: Sequence[Any]) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class DocumentError(HpoError):
    """A file cannot be read as a declaration of tuning jobs.

    Attributes:
        file: The file's name as it was given.
        line: The line, counted from 1, or None.
        column: The column, counted from 1, or None.
    """

    def __init__(
        self, message: str, *, file: str | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return f"{place}: {self.message}" if place else self.message


class CatalogError(HpoError, ValueError):
    """The catalog has no such algorithm, version or region; the message lists what there is."""


class QuotaError(HpoError, ValueError):
    """A statement of quotas, prices or a budget names something unknown, or a value that is not a right number."""


class LocalError(HpoError):
    """The local endpoint or a run on it cannot go on; the message says why and what to do."""
