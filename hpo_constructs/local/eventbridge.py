"""EventBridge on the local endpoint: rules that start functions and state machines, and Step Functions' own events.

moto matches events with rules and knows neither of these targets; it sends no event when an execution ends.

Sources: https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html and
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

from __future__ import annotations

import copy
import json
import logging
import re
import threading
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .patching import replace

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_ENDED = frozenset({"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"})


def install(invoke: Callable[[str, Any], str | None]) -> None:
    """Deliver events to functions and state machines.

    Args:
        invoke: Calls a function by its ARN with an event; its error, or None.
    """
    from moto.events.models import Rule

    original = Rule.send_to_targets

    def send_to_targets(self: Any, original_event: Any, transform_input: bool = True) -> None:
        # moto asks disabled rules too, and takes a schedule's missing pattern for one that matches everything.
        pattern = self.event_pattern
        if self.state != "ENABLED" or not pattern.get_pattern() or not pattern.matches_event(original_event):
            return
        others = []
        for target in self.targets:
            kind = target["Arn"].split(":")[2]
            if kind in {"lambda", "states"}:
                given = target_input(target, original_event)
                threading.Thread(target=_deliver, args=(kind, target["Arn"], given, self, invoke), daemon=True).start()
            else:
                others.append(target)
        if others:
            rest = copy.copy(self)
            rest.targets = others
            original(rest, original_event, transform_input)

    replace(Rule, "send_to_targets", send_to_targets)
    _send_ends_of_executions()


def target_input(target: Mapping[str, Any], event: Any) -> Any:
    """What a target gets of an event: a constant, a part of it, a transformed text, or all of it."""
    if "Input" in target:
        return json.loads(target["Input"])
    if "InputPath" in target:
        return _at(event, target["InputPath"])
    transformer = target.get("InputTransformer")
    if transformer is None:
        return event
    values = {name: _at(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    template = transformer["InputTemplate"]

    def replaced(match: re.Match[str]) -> str:
        if match[1] not in values:
            return match[0]
        value = values[match[1]]
        # Between quotes a text goes without quotes of its own.
        quoted = template[: match.start()].count('"') % 2 == 1
        return json.dumps(value)[1:-1] if quoted and isinstance(value, str) else json.dumps(value)

    text = _PLACEHOLDER.sub(replaced, template)
    try:
        return json.loads(text)
    except ValueError:
        return text


def _at(event: Any, path: str) -> Any:
    """The value at a JSONPath of member names; None where there is none."""
    value = event
    for name in path.removeprefix("$").split(".")[1:]:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _deliver(kind: str, arn: str, given: Any, rule: Any, invoke: Callable[[str, Any], str | None]) -> None:
    try:
        if kind == "lambda":
            if error := invoke(arn, given):
                log.warning("the rule %s called %s, which failed: %s", rule.name, arn, error)
            return
        from moto.stepfunctions.parser.models import stepfunctions_parser_backends

        backend: Any = stepfunctions_parser_backends[rule.account_id][rule.region_name]
        backend.start_execution(arn, str(uuid.uuid4()), execution_input=json.dumps(given, default=str))
    except Exception:
        log.exception("the rule %s cannot reach its target %s", rule.name, arn)


def _send_ends_of_executions() -> None:
    from moto.stepfunctions.parser.backend.execution import BaseExecutionWorkerCommunication, Execution

    reflect: Any = BaseExecutionWorkerCommunication._reflect_execution_status
    stop = Execution.stop

    def reflected(self: Any) -> None:
        # An execution that was stopped stays so, however the task ended that ran at that moment.
        if self.execution.exec_status not in _ENDED:
            reflect(self)
        _send_end(self.execution)

    def stopped(self: Any, *args: Any, **kwargs: Any) -> None:
        stop(self, *args, **kwargs)
        _send_end(self)

    replace(BaseExecutionWorkerCommunication, "_reflect_execution_status", reflected)
    replace(Execution, "stop", stopped)


def _send_end(execution: Any) -> None:
    """Send the event of an execution's end, once."""
    if execution.exec_status not in _ENDED or getattr(execution, "hpo_end_sent", False):
        return
    execution.hpo_end_sent = True
    event: Any = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": "Step Functions Execution Status Change",
        "source": "aws.states",
        "account": execution.account_id,
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": execution.region_name,
        "resources": [execution.exec_arn],
        "detail": _detail(execution),
    }
    try:
        from moto.events.models import events_backends

        rules = events_backends[execution.account_id][execution.region_name].event_buses["default"].rules
        for rule in list(rules.values()):
            rule.send_to_targets(event)
    except Exception:
        # The execution has ended, whatever becomes of the event.
        log.exception("cannot send the end of %s", execution.exec_arn)


def _detail(execution: Any) -> dict[str, Any]:
    described: Mapping[str, Any] = execution.to_describe_output()
    detail: dict[str, Any] = {"input": None, "output": None, "error": None, "cause": None}
    detail |= {name: value for name, value in described.items() if name not in {"inputDetails", "outputDetails"}}
    for name in ("startDate", "stopDate"):
        if isinstance(detail.get(name), datetime):
            detail[name] = int(detail[name].timestamp() * 1000)
    detail["status"] = str(getattr(detail["status"], "value", detail["status"]))
    detail.pop("traceHeader", None)
    return {**detail, "inputDetails": {"included": True}, "outputDetails": {"included": True}}
