"""The command behind `scripts/bench`: measure, print one table, keep the figures as JSON.

docs/performance.md explains what is measured, and against what. Nothing here passes or fails: the exit code is 0 when
everything ran, 1 when a part could not be measured, and 2 for wrong use.
"""

from __future__ import annotations

import argparse
import importlib
import json
import re
import sys
import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from ._common import ROOT, BenchError, Row, machine, progress, shown

# Parts of the bench in the order of the table, and the modules that measure them.
PARTS: Final = {
    "check": "check",
    "synthesis": "synthesis",
    "handlers": "handlers",
    "state-machine": "state_machine",
    "local-engine": "local_engine",
    "search-quality": "search_quality",
    "growth": "growth",
}
_RESULTS: Final = ROOT / "bench/results"
_PAGE: Final = ROOT / "docs/performance.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; its exit code."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="more sizes, runs and seeds: 20 minutes instead of 5")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), metavar="PART", help=f"these parts only: {', '.join(PARTS)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures go (bench/results/DATE-TIME.json)")
    parser.add_argument("--compare", type=Path, metavar="OLD.JSON", help="an earlier run to compare with")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: take the figures of an earlier run")
    parser.add_argument("--markdown", action="store_true", help="print the tables as Markdown")
    parser.add_argument("--page", action="store_true", help="write the tables into docs/performance.md")
    try:
        return _run(parser.parse_args(arguments))
    except BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    parts = options.only or list(PARTS)
    old = _read(options.compare) if options.compare else None
    if options.read:
        result, failed = _read(options.read), False
    else:
        facts = {**machine(), "full": options.full}
        file = options.json or _RESULTS / f"{datetime.fromisoformat(facts['when']):%Y-%m-%d-%H%M%S}.json"
        result, failed = _measure(parts, facts, file)
    rows = {part: [Row.from_dict(row) for row in result["rows"].get(part, [])] for part in parts}
    if options.page:
        _PAGE.write_text(on_page(_PAGE.read_text(encoding="utf-8"), rows, result["machine"]), encoding="utf-8")
        progress(f"tables: {_PAGE}")
    if options.markdown:
        print("\n\n".join(markdown(found, result["machine"]) for found in rows.values() if found))
    else:
        _print(rows, result["machine"], old)
    return 1 if failed else 0


def _measure(parts: Iterable[str], facts: Mapping[str, Any], file: Path) -> tuple[dict[str, Any], bool]:
    """The figures, and whether a part could not be measured.

    They are written after every part: those of the others are worth having when one cannot be measured.
    """
    result: dict[str, Any] = {"machine": facts, "rows": {}}
    failed = False
    file.parent.mkdir(parents=True, exist_ok=True)
    for part in parts:
        begin = time.perf_counter()
        print(part, file=sys.stderr, flush=True)
        try:
            rows = importlib.import_module(f"bench.{PARTS[part]}").rows(full=facts["full"])
            result["rows"][part] = [row.as_dict() for row in rows]
        except Exception as error:
            failed = True
            reason = str(error) if isinstance(error, BenchError) else traceback.format_exc()
            print(f"scripts/bench: {part} could not be measured: {reason}", file=sys.stderr)
        file.write_text(json.dumps(result, indent=1), encoding="utf-8")
        progress(f"{part}: {shown(time.perf_counter() - begin, 's')}")
    progress(f"figures: {file}")
    return result, failed


def _read(file: Path) -> dict[str, Any]:
    """The figures of an earlier run.

    Raises:
        BenchError: They are not there, or are something else.
    """
    try:
        result: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        for rows in result["rows"].values():
            for row in rows:
                Row.from_dict(row)
        _facts(result["machine"])
    except OSError as error:
        raise BenchError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BenchError(f"{file} is not a file of figures that scripts/bench --json writes") from None
    return result


def _key(row: Row) -> tuple[str, str, str, str]:
    return row.row, row.case, row.other_name, row.unit


def _print(rows: Mapping[str, Sequence[Row]], facts: Mapping[str, Any], old: Mapping[str, Any] | None) -> None:
    before = {_key(row): row for part in (old or {"rows": {}})["rows"].values() for row in map(Row.from_dict, part)}
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("row", "case"):
        table.add_column(heading)
    if old:
        table.add_column("before", justify="right")
    for heading in ("ours", "other"):
        table.add_column(heading, justify="right")
    table.add_column("alternative")
    if old:
        table.add_column("ratio before", justify="right")
    for heading in ("ratio", "aim"):
        table.add_column(heading, justify="right")
    table.add_column("met")
    for row in (row for found in rows.values() for row in found):
        *cells, note = _cells(row)
        if note:
            cells[1] += f"\n  {note}"
        if old:
            earlier = before.get(_key(row))
            cells.insert(5, _ratio(earlier.ratio) if earlier else "")
            cells.insert(2, shown(earlier.ours, earlier.unit) if earlier else "")
        table.add_row(*cells, style="red" if row.met is False else None)
    # What no terminal shows is not cut to the width of one.
    console = Console(width=None if sys.stdout.isatty() else 200, markup=False, highlight=False)
    console.print(table)
    console.print(_facts(facts))


def _cells(row: Row) -> list[str]:
    met = {True: "yes", False: "no", None: ""}[row.met]
    figures = shown(row.ours, row.unit), shown(row.other, row.unit)
    return [row.row, row.case, *figures, row.other_name, _ratio(row.ratio), row.aim, met, row.note]


def _ratio(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}" if ratio >= 0.095 else f"{ratio:.1g}"


def _facts(facts: Mapping[str, Any]) -> str:
    kind = "full" if facts["full"] else "quick"
    return (
        f"measured on {facts['when'][:10]} ({kind}): {facts['cores']} cores, {facts['system']}, "
        f"Python {facts['python']}, Node {facts['node'].removeprefix('v')}, CDK CLI {facts['cdk']}, "
        f"load {facts['load']:g} at the start"
    )


def markdown(rows: Sequence[Row], facts: Mapping[str, Any]) -> str:
    """A part's table as Markdown, with the machine below."""
    headings = ("case", "ours", "other", "alternative", "ratio", "aim", "met", "note")
    lines = [f"| {' | '.join(headings)} |", "|---|---:|---:|---|---:|---:|---|---|"]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in _cells(row)[1:])} |" for row in rows]
    return "\n".join([*lines, "", f"{_facts(facts)[0].upper()}{_facts(facts)[1:]}."])


def on_page(page: str, rows: Mapping[str, Sequence[Row]], facts: Mapping[str, Any]) -> str:
    """The page with new tables between the marks of the parts that have rows; the other ones stay.

    Raises:
        BenchError: The page has no marks for a part.
    """
    for part, found in rows.items():
        if not found:
            continue
        marks = re.compile(rf"(<!-- bench {part} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not marks.search(page):
            raise BenchError(f"the page has no marks <!-- bench {part} --> and <!-- end -->")
        table = markdown(found, facts)
        page = marks.sub(lambda match, table=table: f"{match[1]}{table}\n{match[2]}", page)  # type: ignore[misc]
    return page


if __name__ == "__main__":
    sys.exit(main())
