"""`hpo schema`: the JSON Schema of the team template."""

import json

import typer


def schema_command() -> None:
    """Print the JSON Schema of the team template, for an editor's completion.

    `hpo schema > hpo.schema.json`, and as a template's first line: `# yaml-language-server: $schema=hpo.schema.json`
    """
    from ..documents.schema import template_schema

    typer.echo(json.dumps(template_schema(), indent=2, ensure_ascii=False))
