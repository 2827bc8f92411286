"""Answers CloudFormation for custom resources.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref-responses.html
"""

import json
import time
import urllib.request
from collections.abc import Mapping
from typing import Any, Final

from .service import logger

# The service takes 4,096 bytes for a whole answer; the other members are within a quarter of that.
_LARGEST_DATA: Final = 3000
_LARGEST_REASON: Final = 1000
_ATTEMPTS: Final = 5


def answer(
    event: Mapping[str, Any],
    physical_id: str,
    *,
    failure: str | None = None,
    data: Mapping[str, str] | None = None,
) -> None:
    """Tells CloudFormation how a request ended.

    Args:
        event: the request.
        physical_id: the resource's physical id.
        failure: why it failed; a success without it.
        data: the resource's attributes. The longest ones are left empty where they do not fit.

    Raises:
        OSError: CloudFormation's address did not take the answer.
    """
    body = {
        "Status": "SUCCESS" if failure is None else "FAILED",
        "Reason": (failure or "done")[:_LARGEST_REASON],
        "PhysicalResourceId": physical_id,
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
        "Data": _fitting(dict(data or {})),
    }
    content = json.dumps(body).encode()
    # CloudFormation's own presigned address.
    request = urllib.request.Request(  # noqa: S310
        event["ResponseURL"], data=content, method="PUT", headers={"Content-Type": ""}
    )
    for attempt in range(_ATTEMPTS):
        try:
            with urllib.request.urlopen(request, timeout=20):  # noqa: S310
                break
        except OSError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(2**attempt)
    logger.info("answered CloudFormation: %s", body["Status"], extra={"answer": body})


def _fitting(data: dict[str, str]) -> dict[str, str]:
    while len(json.dumps(data)) > _LARGEST_DATA:
        longest = max(data, key=lambda name: len(data[name]))
        logger.warning("attribute %s does not fit into the answer to CloudFormation and is empty", longest)
        data[longest] = ""
    return data
