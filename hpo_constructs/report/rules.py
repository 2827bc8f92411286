"""The catalogue of rules as a page of the documentation."""

import re
import sys
from collections.abc import Iterable

from ..rules import Rule, rules
from ..rules.registry import Example

_HEAD = """\
# Rules

What `hpo check`, `cdk synth` and `hpo_constructs.check` hold a tuning job against. This page is generated: run
`{command}` after a change of a rule.

An `error` is what SageMaker rejects or documents as not allowed. A `quota` finding is above a limit of the account, and
fails until the app states its account's quotas. A `warning` is documented advice, and fails with `--strict` only.
`hpo explain RULE` prints a rule's entry.

Examples are fragments laid over a complete template; for lists by place.
"""
COMMAND = "hpo rules --markdown > docs/rules.md"


def as_markdown() -> str:
    """The page: a table for each section, then every rule with reason, source and examples."""
    parts = [_HEAD.format(command=COMMAND)]
    for title, members in _sections().items():
        parts.append(f"## {title}\n\n{_table(members)}\n")
        parts += [_entry(rule) for rule in members]
    return "\n".join(parts)


def _sections() -> dict[str, list[Rule]]:
    """The rules by the subject of the module that they stand in."""
    sections: dict[str, list[Rule]] = {}
    for rule in rules().values():
        module = sys.modules[(rule.check or rule.check_all).__module__]
        subject = re.match(r"Rules about ([^:,.]+)", module.__doc__ or "")
        title = subject[1] if subject else "the API's own model"
        sections.setdefault(title[0].upper() + title[1:], []).append(rule)
    return sections


def _table(members: Iterable[Rule]) -> str:
    rows = [f"| [`{rule.id}`](#{rule.id}) | {rule.severity} | {_cell(rule.title)} |" for rule in members]
    return "\n".join(["| rule | severity | what holds |", "| --- | --- | --- |", *rows])


def _entry(rule: Rule) -> str:
    return "\n".join(
        [
            f"### {rule.id}",
            "",
            f"{rule.severity}: {_text(rule.title)}",
            "",
            f"Why: {_text(rule.reason)}",
            "",
            f"Source: <{rule.source}>",
            "",
            *_example("Passes", rule.passes),
            *_example("Fails", rule.fails),
        ]
    )


def _example(heading: str, example: Example) -> list[str]:
    quotas = ", ".join(f"`{name}: {value}`" for name, value in example.quotas.items())
    base = " (over the template with two algorithms)" if example.several else ""
    stated = f" (with the quotas {quotas})" if quotas else ""
    return [f"{heading}{base}{stated}:", "", "```yaml", example.text.strip("\n"), "```", ""]


def _text(text: str) -> str:
    """Text in which Markdown reads nothing but text."""
    for character in "\\<*_|":
        text = text.replace(character, f"\\{character}")
    return text.rstrip(".")


def _cell(text: str) -> str:
    return _text(text).replace("\n", " ")
