"""`hpo rules` and `hpo explain`: the catalogue of rules."""

from difflib import get_close_matches
from typing import Annotated

import typer

from ..errors import HpoError
from ..rules import rules
from .terminal import style


def rules_command(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the catalogue with reasons, sources and examples as Markdown.")
    ] = False,
) -> None:
    """List all rules: id, severity and what holds."""
    if markdown:
        from ..report.rules import as_markdown

        typer.echo(as_markdown(), nl=False)
        return
    colour = style()
    width = max(map(len, rules()))
    for rule in rules().values():
        typer.echo(f"{rule.id:<{width}}  {colour(f'{rule.severity:<7}', rule.severity)}  {rule.title}")


def explain_command(
    rule_id: Annotated[str, typer.Argument(metavar="RULE", help="A rule's id, as findings name it.")],
) -> None:
    """Explain one rule: what holds, why, the source, and an example each that passes and that fails."""
    rule = rules().get(rule_id)
    if rule is None:
        close = get_close_matches(rule_id, rules(), n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "`hpo rules` lists them"
        raise HpoError(f"there is no rule {rule_id!r}; {hint}")
    colour = style()
    typer.echo(f"{colour(rule.id, 'strong')} ({colour(rule.severity, rule.severity)})")
    typer.echo(f"\n{rule.title}\n\nwhy: {rule.reason}\nsee: {rule.source}")
    for heading, example in (("passes", rule.passes), ("fails", rule.fails)):
        typer.echo(f"\n{heading}:\n" + "\n".join(f"  {line}" for line in example.text.strip().splitlines()))
        for name, value in example.quotas.items():
            typer.echo(f"  (with the quota {name}: {value})")
