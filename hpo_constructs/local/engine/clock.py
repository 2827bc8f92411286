"""Time as an object, so that hours of tuning replay in milliseconds in tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time. All times are aware and in UTC."""

    def now(self) -> datetime:
        """Give the present moment."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """Give the present moment in UTC."""
        return datetime.now(UTC)


class SimulatedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start

    def now(self) -> datetime:
        """Give the moment that the clock was last moved to."""
        return self._now

    def move_to(self, moment: datetime) -> None:
        """Move the clock forward. A moment in the past leaves it where it is."""
        self._now = max(self._now, moment)
