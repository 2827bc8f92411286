"""A finding: what a rule has to say about one place of a declaration."""

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a finding means.

    ERROR: SageMaker rejects it, or documents it as not allowed. QUOTA: above a limit of the account; it fails until
    the app states its account's quotas. WARNING: documented advice; it never fails unless asked to. UNKNOWN: not
    checked, because the value is known at deployment only.
    """

    ERROR = "error"
    QUOTA = "quota"
    WARNING = "warning"
    UNKNOWN = "unknown"

    @property
    def fails(self) -> bool:
        """Whether a declaration with such a finding must not be deployed."""
        return self in {Severity.ERROR, Severity.QUOTA}


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    Attributes:
        rule: The rule's id.
        severity: How bad it is.
        path: The place in the input's own spelling, such as `resource_limits.max_parallel_training_jobs`.
        message: What is wrong: the name, the value, what is allowed.
        fix: What to do.
        source: The page that the rule rests on.
        job: The declared name of the tuning job; empty when it has none.
        file: The file, or None.
        line: The line, from 1, or None.
        column: The column, from 1, or None.
    """

    rule: str
    severity: Severity
    path: str
    message: str
    fix: str
    source: str
    job: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The finding as plain data, as `--format json` prints it."""
        return asdict(self)
