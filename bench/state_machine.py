"""What a run costs in Step Functions and Lambda, and how late its end is seen.

Nothing is timed: the real definition (`hpo_constructs.workflow.definition`) is walked state by state with the real
polling schedule (`hpo_handlers.contract.wait_seconds`) on a clock that jumps, and so are the alternatives' definitions.
AWS's documentation gives no figure for how soon `.sync` or an event tells of the end; their delay is left out.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hpo_constructs.spec.run import RunSettings
from hpo_constructs.workflow import CREATE, FUNCTIONS, HISTORY_LIMIT, POLL, PUBLISH, definition
from hpo_handlers.contract import Key, TuningJobStatus, Turn, tuning_job_name, wait_seconds

from ._common import Aim, Row, row_of, shown

# List prices of US East (N. Virginia), looked up in 2026, beyond what is free each month: Standard workflows,
# https://aws.amazon.com/step-functions/pricing/, and functions on Arm, https://aws.amazon.com/lambda/pricing/. Events
# of AWS services cost nothing on EventBridge's default bus, https://aws.amazon.com/eventbridge/pricing/.
PRICE_PER_TRANSITION: Final = 0.025 / 1000
PRICE_PER_INVOCATION: Final = 0.20 / 1_000_000
PRICE_PER_GB_SECOND: Final = 0.0000133334
# The functions' memory (hpo_constructs.cdk.runtime), and seconds billed for an invocation: a cold start with a seventh
# of a virtual CPU, which is too much for those that come while the function is warm.
FUNCTION_GB: Final = 0.25
BILLED_SECONDS: Final = 3.0

RUN_TIMES: Final = {"10 minutes": 600, "1 hour": 3600, "1 day": 86_400, "30 days": 30 * 86_400}
FIXED_WAIT: Final = 60
# When the first training job ends, in seconds, or after a third of a shorter run.
FIRST_TRAINING_JOB: Final = 300
# A run's end may fall anywhere between two looks: run times this close to the named one, evenly spread, and so many
# that their distance is no part of a fixed wait.
_NEAR: Final = 0.1
_ENDS: Final = 62
_EXECUTION: Final = "arn:aws:states:us-east-1:123456789012:execution:churn:run"
# Lambda functions and integrations of the alternatives, which a team would write itself.
_EVENT_FUNCTION: Final = "Event"
_SYNC: Final = "arn:aws:states:::sagemaker:createHyperParameterTuningJob.sync"
_TOKEN: Final = "arn:aws:states:::lambda:invoke.waitForTaskToken"  # noqa: S105 - an integration's name


class HistoryFull(Exception):
    """The execution has reached Step Functions' limit of history events and fails."""

    def __init__(self, walk: Walk) -> None:
        super().__init__(f"the history is full after {walk.clock:.0f} s")
        self.walk = walk


@dataclass
class Walk:
    """An execution, as far as it has come.

    Attributes:
        clock: Seconds since its start.
        transitions: What Step Functions charges for: every state that is entered.
        events: Entries of its history.
        invocations: Invocations of Lambda functions by the function's id.
        seen: The clock when the end of the tuning job was seen.
    """

    clock: float = 0.0
    transitions: int = 0
    events: int = 0
    invocations: Counter[str] = field(default_factory=Counter)
    seen: float | None = None

    @property
    def price(self) -> float:
        """USD: transitions, invocations and their seconds."""
        calls = self.invocations.total()
        return (
            self.transitions * PRICE_PER_TRANSITION
            + calls * PRICE_PER_INVOCATION
            + calls * BILLED_SECONDS * FUNCTION_GB * PRICE_PER_GB_SECOND
        )


Answer = Callable[[str, Mapping[str, Any], Walk], dict[str, Any]]


def walk(machine: Mapping[str, Any], answer: Answer, *, history_limit: int = HISTORY_LIMIT) -> Walk:
    """Run a state machine on a clock that jumps.

    Args:
        machine: The definition, JSONPath, of the states that the state machines of this bench have.
        answer: What a task answers: gets the function's name (or the integration's), its payload and the walk.
        history_limit: History events at which the execution fails.

    Raises:
        HistoryFull: It reached that limit.
        ValueError: The definition has a state or a field that this walk does not know; it would count wrong.
    """
    run = Walk(events=1)  # ExecutionStarted
    state: Any = {}
    name = machine["StartAt"]
    while name is not None:
        step = machine["States"][name]
        run.transitions += 1
        run.events += 1  # ...StateEntered
        kind = step["Type"]
        match kind:
            case "Pass":
                value = step["Result"] if "Result" in step else _at(state, step.get("InputPath", "$"))
                state = _put(state, step.get("ResultPath", "$"), value)
            case "Wait":
                run.clock += float(_at(state, step["SecondsPath"]) if "SecondsPath" in step else step["Seconds"])
            case "Task":
                state = _task(step, state, answer, run)
            case "Choice" | "Succeed" | "Fail":
                pass
            case _:
                raise ValueError(f"state {name!r} has Type {kind!r}, which this walk does not know")
        # A Fail state is not exited.
        run.events += kind != "Fail"
        name = _chosen(step, state) if kind == "Choice" else step.get("Next")
        if run.events >= history_limit:
            raise HistoryFull(run)
    run.events += 1  # ExecutionSucceeded, or ExecutionFailed
    return run


def _task(step: Mapping[str, Any], state: Any, answer: Answer, run: Walk) -> Any:
    parameters = _filled(step.get("Parameters", {}), state)
    # Scheduled, started, succeeded; what is waited for is submitted, too.
    run.events += 3 + step["Resource"].endswith((".sync", ".waitForTaskToken"))
    if ":lambda:invoke" in step["Resource"]:
        function = parameters["FunctionName"]
        run.invocations[function] += 1
        result: Any = {"Payload": answer(function, parameters.get("Payload", {}), run)}
    else:
        result = answer(step["Resource"], parameters, run)
    return _put(state, step.get("ResultPath", "$"), _filled(step.get("ResultSelector", {"$.$": "$"}), result))


def _at(data: Any, path: str) -> Any:
    """The value at a reference path."""
    for part in path.removeprefix("$").split("."):
        data = data[part] if part else data
    return data


def _put(data: Any, path: str, value: Any) -> Any:
    if path == "$":
        return value
    head, _, rest = path.removeprefix("$.").partition(".")
    return {**data, head: _put(data.get(head, {}), f"$.{rest}" if rest else "$", value)}


def _filled(template: Any, data: Any) -> Any:
    """A payload template with its paths replaced."""
    if not isinstance(template, Mapping):
        return template
    if "$.$" in template:
        return data
    context = {"Execution": {"Id": _EXECUTION, "StartTime": "2026-01-01T00:00:00Z"}, "Task": {"Token": "token"}}
    filled = {}
    for key, value in template.items():
        if key.endswith(".$"):
            filled[key[:-2]] = _at(context, value[1:]) if value.startswith("$$") else _at(data, value)
        else:
            filled[key] = _filled(value, data)
    return filled


def _chosen(step: Mapping[str, Any], state: Any) -> str:
    for choice in step["Choices"]:
        (comparison,) = choice.keys() - {"Variable", "Next"}
        if comparison not in {"StringEquals", "BooleanEquals"}:
            raise ValueError(f"comparison {comparison!r} is not one that this walk knows")
        if _at(state, choice["Variable"]) == choice[comparison]:
            return str(choice["Next"])
    return str(step["Default"])


# Ours, and the same state machine with a fixed wait


def request(run_time: int) -> dict[str, Any]:
    """A tuning job that may run a little longer than it does."""
    limits = {"MaxNumberOfTrainingJobs": 100, "MaxParallelTrainingJobs": 10, "MaxRuntimeInSeconds": 2 * run_time}
    return {
        "HyperParameterTuningJobName": "churn",
        "HyperParameterTuningJobConfig": {"Strategy": "Bayesian", "ResourceLimits": limits},
    }


def deployed_wait(age: float, end: float) -> int:
    """The wait that the deployed function answers for a tuning job of this age that runs for `end` seconds."""
    return wait_seconds(age, end_is_far=0 < age < min(FIRST_TRAINING_JOB, end / 3))


def polled(end: float, wait: Callable[[float, float], int] = deployed_wait) -> Walk:
    """Walk the real definition, as the constructs make it by default, around a tuning job that runs for `end` seconds.

    The calls take no time, which gives the most looks; the wait after each is what `wait` says for age and end.
    """
    machine = definition(
        request(int(end)),
        output_prefix="/hpo/stack/churn/",
        functions={function.id: function.id for function in FUNCTIONS},
        overlap=RunSettings().overlap,
    )

    def answer(function: str, payload: Mapping[str, Any], run: Walk) -> dict[str, Any]:
        if function == CREATE.id:
            declared = payload[Key.REQUEST]["HyperParameterTuningJobName"]
            name = tuning_job_name(declared, payload[Key.EXECUTION_ARN])
            return {Key.NAME: name, Key.WAIT_SECONDS: wait(0, end), Key.TURN: Turn.NOW, Key.REASON: ""}
        if function == POLL.id:
            ended = run.clock >= end
            run.seen = run.clock if ended else None
            return {
                Key.NAME: payload[Key.NAME],
                Key.STATUS: TuningJobStatus.COMPLETED if ended else TuningJobStatus.IN_PROGRESS,
                Key.COUNTERS: {},
                Key.WAIT_SECONDS: wait(run.clock, end),
                Key.ENDED: ended,
            }
        if function == PUBLISH.id:
            status = TuningJobStatus.COMPLETED
            best: dict[str, Any] = {Key.SUCCEEDED: True, Key.BEST: {}, Key.ERROR: "", Key.CAUSE: ""}
            return {Key.NAME: payload[Key.NAME], Key.STATUS: status, **best}
        raise ValueError(f"a run that goes well does not invoke {function}")

    return walk(machine, answer)


def fixed(end: float) -> Walk:
    """The same state machine with a wait of a minute, whatever the age."""
    return polled(end, lambda age, end: FIXED_WAIT)  # noqa: ARG005 - the schedule's signature


# The alternatives that do not poll


def synced(end: float) -> Walk:
    """AWS's own integration, then one function that reads the best training job and publishes it."""
    machine = {
        "StartAt": "Tune",
        "States": {
            "Tune": {"Type": "Task", "Resource": _SYNC, "Parameters": request(int(end)), "Next": "Publish"},
            "Publish": _invoke(PUBLISH.id),
        },
    }
    return walk(machine, _waiting(end))


def by_event(end: float) -> Walk:
    """A function creates the tuning job with the task's token; a rule's function sends the token back at its end.

    The rule takes the events of ended tuning jobs alone.
    """
    create = {"FunctionName": CREATE.id, "Payload": {"TaskToken.$": "$$.Task.Token"}}
    machine = {
        "StartAt": "Tune",
        "States": {
            "Tune": {"Type": "Task", "Resource": _TOKEN, "Parameters": create, "Next": "Publish"},
            "Publish": _invoke(PUBLISH.id),
        },
    }
    run = walk(machine, _waiting(end))
    run.invocations[_EVENT_FUNCTION] += 1
    return run


def _invoke(function: str) -> dict[str, Any]:
    parameters = {"FunctionName": function, "Payload.$": "$"}
    return {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Parameters": parameters, "End": True}


def _waiting(end: float) -> Answer:
    def answer(task: str, payload: Mapping[str, Any], run: Walk) -> dict[str, Any]:  # noqa: ARG001
        if task != PUBLISH.id:
            run.clock += end
        return {}

    return answer


# The rows


@dataclass(frozen=True, slots=True)
class Delay:
    """The time between a run's end and the look that sees it: seconds, and its share of the run time."""

    seconds: float
    share: float


def delays(run_time: float, run: Callable[[float], Walk] = polled) -> dict[str, Delay]:
    """The mean and the worst delay over run times around one, whose ends fall everywhere between two looks."""
    ends = [run_time * (1 - _NEAR + 2 * _NEAR * number / (_ENDS - 1)) for number in range(_ENDS)]
    late = [(run(end).seen or 0.0) - end for end in ends]
    shares = [each / end for each, end in zip(late, ends, strict=True)]
    return {"mean": Delay(statistics.mean(late), statistics.mean(shares)), "worst": Delay(max(late), max(shares))}


def looks(run_time: float) -> int:
    """Invocations of the function that describes the tuning job."""
    return polled(run_time).invocations[POLL.id]


def rows(*, full: bool) -> Iterator[Row]:  # noqa: ARG001 - it takes no time
    """The rows about the state machine."""
    for label, run_time in RUN_TIMES.items():
        yield from _of_run_time(label, run_time)
    yield row_of(
        "state machine",
        "looks at the tuning job, 1 day",
        looks(86_400),
        "looks",
        aim=Aim("ours", "<", 200),
    )
    longest = polled(RUN_TIMES["30 days"])
    yield row_of(
        "state machine",
        "history events, 30 days, beside what an execution may have",
        longest.events,
        "events",
        other=HISTORY_LIMIT,
        other_name="Step Functions' limit",
        aim=Aim("ratio", "<", 1),
    )


def _of_run_time(label: str, run_time: int) -> Iterator[Row]:
    ours, note = polled(run_time), ""
    try:
        of_fixed: Walk | None = fixed(run_time)
    except HistoryFull as full:
        of_fixed, note = None, f"the execution fails after {full.walk.clock / 3600:.0f} h, its history is full"
    name = "a look a minute"
    counted: tuple[tuple[str, str, Callable[[Walk], float]], ...] = (
        ("transitions", "transitions", lambda run: run.transitions),
        ("history events", "events", lambda run: run.events),
        ("Lambda invocations", "calls", lambda run: run.invocations.total()),
        ("price", "USD", lambda run: run.price),
    )
    for what, unit, figure in counted:
        other = figure(of_fixed) if of_fixed else None
        yield row_of("state machine", f"{what}, {label}", figure(ours), unit, other=other, other_name=name, note=note)
    for alternative, run in ((".sync integration", synced), ("EventBridge and a task token", by_event)):
        found = run(run_time)
        note = f"{found.transitions} transitions, {found.invocations.total()} invocations"
        yield row_of(
            "state machine", f"price, {label}", ours.price, "USD", other=found.price, other_name=alternative, note=note
        )
    of_minute = delays(run_time, fixed) if of_fixed else {}
    for what, late in delays(run_time).items():
        yield row_of(
            "state machine",
            f"delay in seeing the end, {what}, {label}",
            100 * late.share,
            "% of the run",
            other=100 * of_minute[what].share if of_minute else None,
            other_name=name,
            # From 500 seconds on 3 % of the run time are more than 15 seconds.
            aim=Aim("ours", "<=", 3),
            note=shown(late.seconds, "s"),
        )
