"""The outside forms of a declaration: team template, API request, Describe answer, ACK manifest."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SpecError
from .files import NoDeclarationError, find_files, read, read_text

if TYPE_CHECKING:
    from ..spec import TuningJobSpec

__all__ = ["NoDeclarationError", "find_files", "load", "read", "read_text"]


def load(path: str | Path) -> list[TuningJobSpec]:
    """The tuning jobs that a file declares, in any of the forms.

    The specs remember where they were read from, so that findings name file and line. Rules are not applied: that is
    `check`'s task.

    Raises:
        DocumentError: The file is missing, cannot be read, or declares no tuning job.
        SpecError: A member is unknown, missing or of the wrong type; the message lists all such faults. `check` says
            more of them, with lines: give it what `read` returns.
    """
    from ..spec import TuningJobSpec

    specs = []
    for declaration in read(path):
        if declaration.faults:
            listed = "\n  ".join(
                f"{declaration.file}:{fault.origin.line}:{fault.origin.column} {fault.origin.path}: {fault.message}"
                for fault in declaration.faults
            )
            raise SpecError(f"not a tuning job's declaration:\n  {listed}")
        spec = TuningJobSpec.from_request(declaration.request)
        spec._origin = declaration
        specs.append(spec)
    return specs
