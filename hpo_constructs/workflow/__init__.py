"""The tuning job's state machine as plain data, what its functions may do, and the facts of its polling schedule."""

from .functions import CLEAN_UP, CREATE, DEPLOY, FUNCTIONS, POLL, PUBLISH, STOP, Function, Permission, Target
from .machine import (
    GuardState,
    StateName,
    WaiterState,
    definition,
    guard_definition,
    states,
    tuning_job_entries,
    waiter_definition,
)
from .schedule import HISTORY_LIMIT, execution_timeout_seconds, history_events, polls, tuning_runtime_seconds

__all__ = [
    "CLEAN_UP",
    "CREATE",
    "DEPLOY",
    "FUNCTIONS",
    "HISTORY_LIMIT",
    "POLL",
    "PUBLISH",
    "STOP",
    "Function",
    "GuardState",
    "Permission",
    "StateName",
    "Target",
    "WaiterState",
    "definition",
    "execution_timeout_seconds",
    "guard_definition",
    "history_events",
    "polls",
    "states",
    "tuning_job_entries",
    "tuning_runtime_seconds",
    "waiter_definition",
]
