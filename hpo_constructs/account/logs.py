"""The logs of training jobs in CloudWatch Logs.

Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .access import Account, MissingError

GROUP = "/aws/sagemaker/TrainingJobs"
# The most events that GetLogEvents gives at once.
_LARGEST_PAGE = 10_000


@dataclass(frozen=True)
class Line:
    """A line of a log.

    Attributes:
        timestamp: When it was written, in milliseconds since 1970.
        instance: Which of the training job's instances wrote it, such as `algo-1`.
        message: The line.
    """

    timestamp: int
    instance: str
    message: str


class TrainingLog:
    """The log of one training job, a stream for each instance, read from where the last reading ended.

    Args:
        account: The account.
        training_job: The training job's name.
    """

    def __init__(self, account: Account, training_job: str) -> None:
        self._account = account
        self._training_job = training_job
        self._tokens: dict[str, str | None] = {}

    @property
    def instances(self) -> int:
        """How many streams were found so far."""
        return len(self._tokens)

    def read(self, tail: int | None = None) -> Iterator[Line]:
        """The lines since the last reading, in the order of their times.

        Args:
            tail: At the first reading the last so many lines only.

        Raises:
            AccountError: The account cannot be asked.
        """
        for stream in self._streams():
            self._tokens.setdefault(stream, None)
        if tail is None:
            return heapq.merge(
                *(self._forward(stream) for stream in list(self._tokens)), key=lambda line: line.timestamp
            )
        last = [line for stream in list(self._tokens) for line in self._last(stream, tail)]
        last.sort(key=lambda line: line.timestamp)
        return iter(last[max(0, len(last) - tail) :])

    def _streams(self) -> list[str]:
        """The training job's streams, without those of jobs whose names begin alike."""
        try:
            found = self._account.pages(
                "logs",
                "describe_log_streams",
                "logStreams",
                logGroupName=GROUP,
                logStreamNamePrefix=f"{self._training_job}/",
            )
            return sorted(each["logStreamName"] for each in found)
        except MissingError:
            return []

    def _forward(self, stream: str) -> Iterator[Line]:
        while True:
            token = self._tokens[stream]
            page = self._page(stream, startFromHead=True, **({"nextToken": token} if token else {}))
            self._tokens[stream] = page["nextForwardToken"]
            yield from self._lines(stream, page)
            # The end answers the token that was given.
            if page["nextForwardToken"] == token:
                return

    def _last(self, stream: str, count: int) -> list[Line]:
        page = self._page(stream, startFromHead=False, limit=max(1, min(count, _LARGEST_PAGE)))
        self._tokens[stream] = page["nextForwardToken"]
        lines = list(self._lines(stream, page))
        while len(lines) < count:
            token = page["nextBackwardToken"]
            page = self._page(stream, startFromHead=False, nextToken=token, limit=_LARGEST_PAGE)
            if page["nextBackwardToken"] == token or not page["events"]:
                break
            lines = [*self._lines(stream, page), *lines]
        return lines

    def _page(self, stream: str, **arguments: Any) -> dict[str, Any]:
        return self._account.call("logs", "get_log_events", logGroupName=GROUP, logStreamName=stream, **arguments)

    def _lines(self, stream: str, page: dict[str, Any]) -> Iterator[Line]:
        instance = stream.removeprefix(f"{self._training_job}/").rpartition("-")[0] or stream
        for event in page["events"]:
            yield Line(event["timestamp"], instance, event["message"].rstrip("\n"))
