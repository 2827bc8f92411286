"""The command `hpo`."""

import os
import sys
from typing import Annotated

import typer

from ..errors import HpoError
from . import catalogue, check, importing, local, quotas, render, run, schema

app = typer.Typer(
    name="hpo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Infrastructure as code for SageMaker hyperparameter tuning.

    A tuning job is declared in a team template (YAML) or in Python, checked in milliseconds, rehearsed on this machine
    with real training, and deployed with the AWS CDK.

    First steps:  hpo check TEMPLATE  then  hpo run TEMPLATE  then  cdk deploy
    """,
)

app.command("check")(check.check_command)
app.command("run")(run.run_command)
app.add_typer(local.app, name="local")
app.command("render")(render.render_command)
app.command("quotas")(quotas.quotas_command)
app.command("import")(importing.import_command)
app.command("schema")(schema.schema_command)
app.command("rules")(catalogue.rules_command)
app.command("explain")(catalogue.explain_command)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"hpo-constructs {version('hpo-constructs')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run the command; a mistake of the user's is one sentence and exit code 2, never a traceback."""
    try:
        app()
    except HpoError as error:
        typer.echo(f"hpo: {error}", err=True)
        sys.exit(2)
    except BrokenPipeError:
        # The reader (head, less) has gone; Python must not complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except KeyboardInterrupt:
        typer.echo("hpo: interrupted", err=True)
        sys.exit(130)


if __name__ == "__main__":
    main()
