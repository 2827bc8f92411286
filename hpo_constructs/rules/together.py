"""Examples with several tuning jobs in one template, for the rules that look at all jobs of an app."""

from textwrap import indent
from typing import Any

from .examples import SINGLE
from .registry import Example


def together(*jobs: str, quotas: dict[str, Any] | None = None) -> Example:
    """A fragment that turns the template with one job into one with several.

    Args:
        jobs: What each job has of its own, as YAML flow mappings. The rest of a job is that of the template.
        quotas: Quotas that the app states.
    """
    keys = [line.partition(":")[0] for line in SINGLE.splitlines() if not line.startswith(" ")]
    moved = "".join(f"{key}: null\n" for key in keys)
    shared = indent(SINGLE.partition("\n")[2], "  ")  # all but the name
    listed = "".join(f"  - {job}\n" for job in jobs)
    return Example(f"{moved}defaults:\n{shared}tuning_jobs:\n{listed}", quotas=quotas or {})
