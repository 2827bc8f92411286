"""What the console's pages look at: an account, and the folder for templates."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from flask import current_app, request

from ..account import Account, AccountError, DeclaredJob, declared_jobs
from ..account.runs import AT_ONCE, described
from ..errors import HpoError
from ..report.tuning_jobs import CHANGING
from .plots import Plots

# How many tuning jobs that no longer change are remembered.
_REMEMBERED = 2000
# How long the account is not asked for its number again when it did not tell.
_IDENTITY_SECONDS = 60.0
# How long a refreshing page goes without looking at the stacks, which change with a deployment only.
_STACKS_SECONDS = 30.0


class Site:
    """The account that pages show, asked no more than needed although pages refresh.

    Args:
        account: The account.
        templates: The folder into which the wizard may write, or None.
    """

    def __init__(self, account: Account, templates: Path | None) -> None:
        self.account = account
        self.templates = templates
        self.plots = Plots()
        self._identity, self._identify_at = "", 0.0
        self._ended: OrderedDict[tuple[str, Any], dict[str, Any] | None] = OrderedDict()
        self._lock = threading.Lock()
        self._declared: tuple[float, list[DeclaredJob]] = (-_STACKS_SECONDS, [])

    @property
    def place(self) -> str:
        """Where calls go: the account's number, once it is known, and the region or the endpoint's address."""
        return " · ".join(part for part in (self._identity, self.account.place) if part)

    def identify(self) -> None:
        """Learn the account's number, so that nobody stops a job on the wrong account; failing that, do without."""
        if not self._identity and time.monotonic() >= self._identify_at:
            self._identify_at = time.monotonic() + _IDENTITY_SECONDS
            try:
                self._identity = f"account {self.account.call('sts', 'get_caller_identity')['Account']}"
            except AccountError:
                return

    def declared(self, *, fresh: bool) -> list[DeclaredJob]:
        """The jobs that stacks declare; a page that refreshes by itself is given what was read a moment ago.

        Raises:
            AccountError: The account cannot be asked.
        """
        read_at, found = self._declared
        now = time.monotonic()
        if fresh or now - read_at > _STACKS_SECONDS:
            found = declared_jobs(self.account)
            self._declared = (now, found)
        return found

    def bests(self, summaries: Iterable[Mapping[str, Any]]) -> list[dict[str, Any] | None]:
        """The best training jobs of tuning jobs, asked for again only while a job changes.

        Raises:
            AccountError: The account cannot be asked.
        """
        self.account.client("sagemaker")  # made before the threads want it
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return list(pool.map(self._best, summaries))

    def _best(self, summary: Mapping[str, Any]) -> dict[str, Any] | None:
        name = str(summary["HyperParameterTuningJobName"])
        key = (name, summary.get("LastModifiedTime"))
        with self._lock:
            if key in self._ended:
                self._ended.move_to_end(key)
                return self._ended[key]
        found = described(self.account, name) or {}
        best: dict[str, Any] | None = found.get("BestTrainingJob")
        if found.get("HyperParameterTuningJobStatus", "InProgress") not in CHANGING:
            with self._lock:
                self._ended[key] = best
                while len(self._ended) > _REMEMBERED:
                    self._ended.popitem(last=False)
        return best


def site() -> Site:
    """The site of the request's application."""
    found: Site = current_app.extensions["hpo_site"]
    return found


def number(name: str, default: int) -> int:
    """A number from 1 on in the request's address.

    Raises:
        HpoError: It is not one.
    """
    text = request.args.get(name, str(default))
    if not text.isascii() or not text.isdecimal() or len(text) > 7 or not 1 <= int(text) <= 1_000_000:
        raise HpoError(f"{name} must be a number from 1 to 1,000,000, got {text[:40]!r}")
    return int(text)
