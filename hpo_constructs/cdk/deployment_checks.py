"""Findings that need the state machine: what Step Functions, CloudFormation and SSM allow a run."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from hpo_handlers.contract import DEPLOY_WAIT_SECONDS, Overlap, wait_seconds

from ..rules import Finding, Severity
from ..workflow import HISTORY_LIMIT, history_events, tuning_runtime_seconds
from .request import definitions, member, members

_HISTORY_PAGE: Final = "https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html"
_CUSTOM_RESOURCE_PAGE: Final = (
    "https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-cloudformation-customresource.html"
)
_PARAMETER_PAGE: Final = (
    "https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html"
)
_LIMIT_PATH: Final = "resource_limits.max_runtime_in_seconds"
# An execution is never planned to the last event: a redrive appends to the same history.
_MOST_EVENTS: Final = int(0.9 * HISTORY_LIMIT)
_LARGEST_PARAMETER: Final = 8 * 1024
# What the document `best` holds beside the hyperparameters, and the longest text of a number.
_OTHER_FACTS: Final = 3000
_NUMBER: Final = 25


def run_findings(request: Mapping[str, Any], overlap: Overlap) -> Iterator[Finding]:
    """What stands against any run of a request."""
    name = str(request.get("HyperParameterTuningJobName", ""))
    seconds = tuning_runtime_seconds(request)
    events = history_events(seconds, queued=overlap is Overlap.QUEUE)
    if events > _MOST_EVENTS:
        queue = " and waited for another run before" if overlap is Overlap.QUEUE else ""
        yield Finding(
            rule="poll-history-budget",
            severity=Severity.ERROR,
            path=_LIMIT_PATH,
            message=(
                f"a run of {seconds} seconds that is looked at{queue} needs up to {events} history events, an "
                f"execution may have {HISTORY_LIMIT} and should plan with {_MOST_EVENTS}"
            ),
            fix=f"lower {_LIMIT_PATH}, or write overlap: allow in the run block",
            source=_HISTORY_PAGE,
            job=name,
        )
    size = _OTHER_FACTS + max((_hyperparameters(request, each) for each in definitions(request)), default=0)
    if size > _LARGEST_PARAMETER:
        yield Finding(
            rule="ssm-size",
            severity=Severity.WARNING,
            path="hyperparameter_ranges",
            message=(
                f"the best training job's facts can take {size} bytes, a parameter holds {_LARGEST_PARAMETER}: the "
                "hyperparameters would be left out of the outputs"
            ),
            fix="shorten the values of the categorical hyperparameters, or search fewer",
            source=_PARAMETER_PAGE,
            job=name,
        )


def deploy_wait_findings(request: Mapping[str, Any]) -> Iterator[Finding]:
    """What stands against a deployment that waits for a run."""
    seconds = tuning_runtime_seconds(request)
    longest = seconds + wait_seconds(seconds)
    if longest > DEPLOY_WAIT_SECONDS:
        yield Finding(
            rule="deploy-wait",
            severity=Severity.ERROR,
            path=_LIMIT_PATH,
            message=(
                f"a run that the deployment waits for must be seen to end within {DEPLOY_WAIT_SECONDS} seconds, "
                f"because CloudFormation gives a custom resource one hour, got up to {longest}"
            ),
            fix=f"set {_LIMIT_PATH} to {int(DEPLOY_WAIT_SECONDS / 1.04)} or less, or deploy with wait=False",
            source=_CUSTOM_RESOURCE_PAGE,
            job=str(request.get("HyperParameterTuningJobName", "")),
        )


def _hyperparameters(request: Mapping[str, Any], definition: Mapping[str, Any]) -> int:
    """Most bytes of a training job's tuned hyperparameters as JSON."""
    ranges = member(definition, "HyperParameterRanges") or member(
        request, "HyperParameterTuningJobConfig", "ParameterRanges"
    )
    tuned: dict[str, str] = {}
    for kind in ("ContinuousParameterRanges", "IntegerParameterRanges", "AutoParameters"):
        tuned |= {str(each.get("Name")): "0" * _NUMBER for each in members(ranges, kind)}
    for each in members(ranges, "CategoricalParameterRanges"):
        values = each.get("Values")
        texts = [str(value) for value in values] if isinstance(values, list | tuple) else []
        tuned[str(each.get("Name"))] = max(texts, key=len, default="")
    return len(json.dumps(tuned).encode())
