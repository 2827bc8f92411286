"""The tuning job's state machine as plain data, what its functions may do, and the facts of its polling schedule."""

from .functions import CREATE, FUNCTIONS, POLL, PUBLISH, STOP, Function, Permission, Target
from .machine import StateName, definition, states
from .schedule import HISTORY_LIMIT, execution_timeout_seconds, history_events, polls, tuning_runtime_seconds

__all__ = [
    "CREATE",
    "FUNCTIONS",
    "HISTORY_LIMIT",
    "POLL",
    "PUBLISH",
    "STOP",
    "Function",
    "Permission",
    "StateName",
    "Target",
    "definition",
    "execution_timeout_seconds",
    "history_events",
    "polls",
    "states",
    "tuning_runtime_seconds",
]
