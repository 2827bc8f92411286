"""The plan of an account as text for people, as JSON for programs, and as commands that ask for more."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from ..quotas.costs import Envelope, total
from ..quotas.planner import CONCURRENCY, Plan, Requirement
from ..quotas.service_quotas import increase_command, lookup_command
from .findings import Style, plain

if TYPE_CHECKING:
    from rich.table import Table

# Jobs in the table of costs; the rest is one line.
_LARGEST = 20


def plan_table(plan: Plan) -> Table:
    """What is needed and allowed of each quota, by which jobs, and what to do."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("quota")
    table.add_column("needed", justify="right")
    table.add_column("allowed", justify="right")
    table.add_column("what to do")
    table.add_column("by", overflow="fold")
    styles = {True: "green", False: "bold magenta", None: "cyan"}
    for found in plan.requirements:
        allowed = "?" if found.allowed is None else f"{found.allowed:,}"
        action = f"[{styles[found.fits]}]{escape(found.action)}[/]"
        table.add_row(escape(found.title), f"{found.needed:,}", allowed, action, escape(shares_text(found)))
    return table


def costs_table(plan: Plan) -> Table:
    """What one run of each job uses at most, the most expensive first, and all of them together."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("one run at most")
    table.add_column("instance-hours", justify="right")
    table.add_column("spot")
    if plan.currency:
        table.add_column(plan.currency, justify="right")
    ranked = sorted(plan.envelopes, key=lambda part: -(part.instance_hours or 0))
    rows: list[tuple[Envelope, str | None]] = [(part, None) for part in ranked[:_LARGEST]]
    if len(ranked) > _LARGEST:
        rest = total(ranked[_LARGEST:])
        rows.append((replace(rest, job=f"{len(ranked) - _LARGEST:,} more"), "dim"))
    for part, style in [*rows, (plan.total, "bold")]:
        hours = "not bounded" if part.instance_hours is None else f"{part.instance_hours:,.1f}"
        cells = [escape(part.job), hours, part.spot]
        if plan.currency:
            cells.append(f"no price of {', '.join(part.unpriced)}" if part.cost is None else f"{part.cost:,.2f}")
        table.add_row(*cells, style=style)
    return table


def shares_text(found: Requirement) -> str:
    """Which jobs need it, the largest first: three of them and how many more."""
    shares = [f"{share.name} {share.needed:,}" if found.adds_up else share.name for share in found.shares[:3]]
    if found.quota == "concurrent_tuning_jobs":
        shares = [share.name for share in found.shares[:3]]
    more = f" and {len(found.shares) - 3:,} more" if len(found.shares) > 3 else ""
    return ", ".join(shares) + more


def plan_notes(plan: Plan) -> list[str]:
    """How the plan counts."""
    notes = [f"concurrency: {CONCURRENCY}"]
    if plan.overlapping:
        notes.append(f"may run several times at once (overlap: allow), counted once: {', '.join(plan.overlapping)}")
    return notes


def plan_summary(plan: Plan, style: Style = plain) -> str:
    """One line: whether everything fits."""
    above = sum(found.fits is False for found in plan.requirements)
    unknown = sum(found.fits is None for found in plan.requirements)
    jobs = f"{plan.jobs:,} tuning job{'' if plan.jobs == 1 else 's'}"
    verdict = style(f"{above} above what the account allows", "quota") if above else style("all fits", "good")
    return f"{jobs} planned: {verdict}" + (f", {unknown} not known" if unknown else "")


def plan_json(plan: Plan) -> str:
    """The plan as one JSON object."""
    return json.dumps(plan.as_dict(), indent=2, ensure_ascii=False)


def request_lines(plan: Plan, region: str | None = None) -> list[str]:
    """The AWS CLI commands that ask for the increases that the plan needs; what cannot be asked for is a comment."""
    lines: list[str] = []
    for found in plan.requirements:
        if found.fits is not False:
            continue
        known = found.service_quota
        lines.append(f"# {known.name or found.title}: {found.needed:,} needed, {found.allowed:,} allowed")
        if found.by_default or not found.reachable:
            lines.append(f"# {found.action}")
        elif known.code:
            lines.append(increase_command(known.code, found.needed, region))
        elif known.name:
            lines.append("# its code is not in the library's data; this looks it up:")
            lines.append(lookup_command(known.name, region))
            lines.append(f"# then: {increase_command('CODE', found.needed, region)}")
    return lines
