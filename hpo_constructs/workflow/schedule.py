"""How long an execution may take, and how many history events it needs at most."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from hpo_handlers.contract import DEFAULT_MAX_RUNTIME_SECONDS, wait_seconds

# https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
HISTORY_LIMIT: Final = 25_000

# Wait: entered, exited. Poll: entered, scheduled, started, succeeded, exited. Choice: entered, exited.
_EVENTS_PER_POLL: Final = 9
# Execution started and ended, the request's state (2), create (5), the first poll's share is counted by its poll,
# publish (5), its choice (2), the last state (2), and on the way of a failure stop (5).
_EVENTS_BESIDE: Final = 23
# A look at the queue: the wait, the request's state, create and the choice.
_EVENTS_PER_TURN: Final = 11
# A retry: failed, scheduled, started.
_EVENTS_PER_RETRY: Final = 3
# Retries to reckon with over a whole execution, whatever state needs them: four hours without an answer, at the
# longest pause between two attempts of five minutes and twice as many with its jitter.
_RETRIES: Final = 100

# Beyond the tuning job's own limit: stopping its training jobs, uploading their models, retries of publishing.
_SLACK_SECONDS: Final = 2 * 3600


def tuning_runtime_seconds(request: Mapping[str, Any]) -> int:
    """Seconds that the tuning job may run: its `MaxRuntimeInSeconds`, or the service's 30 days without one."""
    match request:
        case {"HyperParameterTuningJobConfig": {"ResourceLimits": {"MaxRuntimeInSeconds": int(seconds)}}}:
            return seconds
    return DEFAULT_MAX_RUNTIME_SECONDS


def execution_timeout_seconds(request: Mapping[str, Any], *, queued: bool = False) -> int:
    """Seconds after which an execution of this request is given up: the tuning job's limit and time to wind up.

    The last look at the tuning job can be one wait late. An execution that queues waits for one other at most.
    """
    runtime = tuning_runtime_seconds(request)
    alone = runtime + wait_seconds(runtime) + _SLACK_SECONDS
    return alone + alone + wait_seconds(alone) if queued else alone


# Most jobs of a stack have the same limits.
@cache
def polls(runtime_seconds: float) -> int:
    """Most looks that a tuning job of this run time takes, when the calls themselves take no time at all."""
    age, count = 0, 0
    while age < runtime_seconds:
        age += wait_seconds(age)
        count += 1
    return count


def history_events(runtime_seconds: float, *, queued: bool = False) -> int:
    """Most history events of an execution whose tuning job runs so long, with an allowance for retried calls.

    An execution that queues may have waited as long as a whole other one takes.

    Step Functions fails an execution at 25,000 events:
    https://docs.aws.amazon.com/step-functions/latest/dg/bp-history-limit.html
    """
    waiting = _EVENTS_PER_TURN * (polls(runtime_seconds + _SLACK_SECONDS) + 1) if queued else 0
    return _EVENTS_BESIDE + waiting + _EVENTS_PER_POLL * polls(runtime_seconds) + _EVENTS_PER_RETRY * _RETRIES
