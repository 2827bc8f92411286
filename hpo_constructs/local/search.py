"""The Search operation over training jobs and tuning jobs.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from .errors import ApiError
from .listing import moment, page

RESOURCES = frozenset(("TrainingJob", "HyperParameterTuningJob"))
"""What is searched here; all other kinds of resources are moto's."""

_DEPTH_OF_METRICS = "Metrics."
_TAGS = "Tags."


def search(resources: Iterable[dict[str, Any]], body: Mapping[str, Any]) -> dict[str, Any]:
    """Answer a request of Search over the given documents.

    Args:
        resources: what to search, each as the resource's own member of a ``SearchRecord``.
        body: the request.

    Raises:
        ApiError: a filter cannot be applied.
    """
    found = [one for one in resources if _holds(one, body.get("SearchExpression", {}))]
    by = body.get("SortBy", "LastModifiedTime")
    having = [one for one in found if _values(one, by)]
    having.sort(key=lambda one: _sortable(_values(one, by)[0]), reverse=body.get("SortOrder") != "Ascending")
    ordered = having + [one for one in found if not _values(one, by)]
    return page("Results", [{body["Resource"]: one} for one in ordered], body, total=True)


def _holds(resource: Mapping[str, Any], expression: Mapping[str, Any]) -> bool:
    verdicts = [
        *(_passes(resource, one) for one in expression.get("Filters", ())),
        *(_nested_holds(resource, one) for one in expression.get("NestedFilters", ())),
        *(_holds(resource, one) for one in expression.get("SubExpressions", ())),
    ]
    return any(verdicts) if verdicts and expression.get("Operator") == "Or" else all(verdicts)


def _nested_holds(resource: Mapping[str, Any], nested: Mapping[str, Any]) -> bool:
    """Tell whether one entry of a list passes all of the filters, whose names begin with the list's."""
    property_name = nested["NestedPropertyName"]
    entries = _values(resource, property_name)
    filters = [{**one, "Name": one["Name"].removeprefix(f"{property_name}.")} for one in nested["Filters"]]
    return any(isinstance(entry, Mapping) and all(_passes(entry, one) for one in filters) for entry in entries)


def _passes(resource: Mapping[str, Any], condition: Mapping[str, Any]) -> bool:
    name, operator, wanted = condition["Name"], condition.get("Operator", "Equals"), condition.get("Value", "")
    values = _values(resource, name)
    if operator == "Exists":
        return bool(values)
    if operator == "NotExists":
        return not values
    test = _TESTS[operator]
    if operator == "NotEquals":
        return all(test(value, wanted, name) for value in values)
    return any(test(value, wanted, name) for value in values)


def _equals(value: Any, wanted: str, name: str) -> bool:
    if isinstance(value, str):
        return value == wanted
    if isinstance(value, bool):
        return str(value).lower() == wanted.lower()
    return bool(value == _like(value, wanted, name))


def _compares(compare: Callable[[Any, Any], bool]) -> Callable[[Any, str, str], bool]:
    return lambda value, wanted, name: compare(*_pair(value, wanted, name))


def _pair(value: Any, wanted: str, name: str) -> tuple[Any, Any]:
    # Hyperparameters are texts that may be numbers.
    if isinstance(value, str):
        try:
            return float(value), float(wanted)
        except ValueError:
            return value, wanted
    return value, _like(value, wanted, name)


def _like(value: Any, wanted: str, name: str) -> Any:
    if isinstance(value, datetime):
        return moment(wanted)
    try:
        return float(wanted)
    except ValueError:
        raise ApiError(
            "ValidationException", f"the Value of the filter {name} must be a number, got {wanted!r}"
        ) from None


_TESTS: Mapping[str, Callable[[Any, str, str], bool]] = {
    "Equals": _equals,
    "NotEquals": lambda value, wanted, name: not _equals(value, wanted, name),
    "GreaterThan": _compares(lambda value, wanted: value > wanted),
    "GreaterThanOrEqualTo": _compares(lambda value, wanted: value >= wanted),
    "LessThan": _compares(lambda value, wanted: value < wanted),
    "LessThanOrEqualTo": _compares(lambda value, wanted: value <= wanted),
    "Contains": lambda value, wanted, _name: wanted.lower() in str(value).lower(),
    "In": lambda value, wanted, name: any(_equals(value, one.strip(), name) for one in wanted.split(",")),
}


def _values(resource: Any, name: str) -> list[Any]:
    """Find what a property's name stands for: a path of members, through every entry of a list on its way."""
    if isinstance(resource, Mapping):
        if name.startswith(_DEPTH_OF_METRICS) and "FinalMetricDataList" in resource:
            wanted = name.removeprefix(_DEPTH_OF_METRICS)
            return [one["Value"] for one in resource["FinalMetricDataList"] if one["MetricName"] == wanted]
        if name.startswith(_TAGS) and "Tags" in resource:
            return [one["Value"] for one in resource["Tags"] if one["Key"] == name.removeprefix(_TAGS)]
        if name in resource:
            value = resource[name]
            return list(value) if isinstance(value, list) else [value]
        # A member's name may hold dots of its own, as hyperparameters' do.
        first, _, rest = name.partition(".")
        return _values(resource[first], rest) if rest and first in resource else []
    if isinstance(resource, list):
        return [value for entry in resource for value in _values(entry, name)]
    return []


def _sortable(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else value
