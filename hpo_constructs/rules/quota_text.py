"""What the fix of a quota finding says: lower the number, or state what the account allows."""

import json
from typing import Any


def or_state(**needed: Any) -> str:
    """The half of a fix that tells the line to write when the account allows more.

    Args:
        needed: The quota's name in `hpo:quotas` with the value that the declaration needs.
    """
    return f'or state your account\'s quota: "hpo:quotas": {json.dumps(needed)} in cdk.json (hpo check: --quotas FILE)'


def quota_fix(action: str, quota: str, needed: Any, raisable_to: int | None = None) -> str:
    """The fix of a quota finding.

    Args:
        action: What to change in the declaration, such as `lower max_parallel_training_jobs to 10 or less`.
        quota: The name of the quota in `hpo:quotas`.
        needed: The value that the declaration needs, in the form in which the quota is stated.
        raisable_to: What AWS raises the quota to at most; None where the pages name no such bound. Nobody can state
            more.
    """
    if raisable_to is not None and isinstance(needed, int) and needed > raisable_to:
        return f"{action}; AWS raises this quota to {raisable_to:,} at most"
    return f"{action}, {or_state(**{quota: needed})}"
