"""What the List operations share: filters, order and pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from .errors import ApiError

_PAGE = 10
_TIMES = ("CreationTime", "LastModifiedTime")


def chosen(
    summaries: Iterable[dict[str, Any]], body: Mapping[str, Any], *, name: str, status: str
) -> list[dict[str, Any]]:
    """Keep the summaries that pass the request's filters.

    Args:
        summaries: the items.
        body: the request: ``NameContains``, ``StatusEquals``, ``CreationTimeAfter`` and the like. A moment itself is
            neither before nor after it.
        name: the member of a summary that has the name. Names are compared without regard to case.
        status: the member that has the status.
    """
    contains = body.get("NameContains", "").lower()
    after = {time: moment(body[f"{time}After"]) for time in _TIMES if f"{time}After" in body}
    before = {time: moment(body[f"{time}Before"]) for time in _TIMES if f"{time}Before" in body}
    return [
        one
        for one in summaries
        if contains in one[name].lower()
        and body.get("StatusEquals", one[status]) == one[status]
        and all(one[time] > limit for time, limit in after.items())
        and all(one[time] < limit for time, limit in before.items())
    ]


def ordered(
    summaries: list[dict[str, Any]],
    body: Mapping[str, Any],
    fields: Mapping[str, str],
    *,
    by: str,
    order: str = "Ascending",
) -> list[dict[str, Any]]:
    """Sort summaries by ``SortBy`` and ``SortOrder``; ``by`` and ``order`` where the request has none.

    Jobs of one moment, or one status, come in the order of their creation in either direction.
    """
    field = fields[body.get("SortBy", by)]
    return sorted(summaries, key=lambda one: one[field], reverse=body.get("SortOrder", order) == "Descending")


def page(
    member: str, items: Sequence[Any], body: Mapping[str, Any], *, size: int = _PAGE, total: bool = False
) -> dict[str, Any]:
    """Give the page of an answer that ``NextToken`` and ``MaxResults`` ask for.

    Args:
        member: the name of the list in the answer.
        items: all items.
        body: the request.
        size: how many items a page has without ``MaxResults``, 10 by default.
        total: whether the answer tells how many items there are.

    Raises:
        ApiError: the token is not one of this service.
    """
    size = body.get("MaxResults", size)
    start = 0
    if token := body.get("NextToken"):
        try:
            start = int(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError):
            raise ApiError(
                "ValidationException", f"NextToken must be one that this operation gave, got {token!r}"
            ) from None
    answer: dict[str, Any] = {member: list(items[start : start + size])}
    if start + size < len(items):
        answer["NextToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    if total:
        answer["TotalHits"] = {"Value": len(items), "Relation": "EqualTo"}
    return answer


def moment(value: Any) -> datetime:
    """Read a time as the API's protocol carries it: seconds since 1970, or text.

    Raises:
        ApiError: it is no time.
    """
    from botocore.utils import parse_timestamp

    try:
        read: datetime = value if isinstance(value, datetime) else parse_timestamp(value)
    except ValueError:
        raise ApiError("ValidationException", f"a time must be given in ISO 8601 form, got {value!r}") from None
    return read if read.tzinfo is not None else read.replace(tzinfo=UTC)
