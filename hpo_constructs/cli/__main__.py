"""The command `hpo`."""

import os
import sys
from typing import Annotated

import typer

from ..errors import HpoError
from . import (
    best,
    catalogue,
    check,
    console,
    importing,
    jobs,
    local,
    logs,
    new,
    quotas,
    render,
    report,
    run,
    schema,
    show,
    start,
)

app = typer.Typer(
    name="hpo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Infrastructure as code for SageMaker hyperparameter tuning.

    A tuning job is declared in a team template (YAML) or in Python, checked, rehearsed on this machine with real \
training, deployed with the AWS CDK, and run.

    First steps:  hpo new, hpo check TEMPLATE, hpo run TEMPLATE, cdk deploy, hpo start JOB --wait
    """,
)

_DECLARE = "Declare and check"
_REHEARSE = "Rehearse on this machine"
_OPERATE = "Operate, on AWS or on the local endpoint"

app.command("new", short_help="Write a template with a wizard.", rich_help_panel=_DECLARE)(new.new_command)
app.command("check", short_help="Check declarations against every documented limit.", rich_help_panel=_DECLARE)(
    check.check_command
)
app.command("render", short_help="Print the API request of a declaration as JSON.", rich_help_panel=_DECLARE)(
    render.render_command
)
app.command("import", short_help="Print a declaration in any form as a team template.", rich_help_panel=_DECLARE)(
    importing.import_command
)
app.command("quotas", short_help="Plan the account: what all jobs need of its quotas.", rich_help_panel=_DECLARE)(
    quotas.quotas_command
)
app.command("schema", short_help="Print the JSON Schema of the team template.", rich_help_panel=_DECLARE)(
    schema.schema_command
)
app.command("rules", short_help="List all rules.", rich_help_panel=_DECLARE)(catalogue.rules_command)
app.command("explain", short_help="Explain one rule, with an example each way.", rich_help_panel=_DECLARE)(
    catalogue.explain_command
)
app.command("run", short_help="Run a declared job here, with real training.", rich_help_panel=_REHEARSE)(
    run.run_command
)
app.add_typer(local.app, name="local", short_help="The local AWS endpoint by itself.", rich_help_panel=_REHEARSE)
app.command("start", short_help="Start a run of a declared job; --wait shows it.", rich_help_panel=_OPERATE)(
    start.start_command
)
app.command("jobs", short_help="List the tuning jobs that run and ran.", rich_help_panel=_OPERATE)(jobs.jobs_command)
app.command("show", short_help="Show a tuning job with its training jobs.", rich_help_panel=_OPERATE)(show.show_command)
app.command("logs", short_help="Print the log of a training job.", rich_help_panel=_OPERATE)(logs.logs_command)
app.command("best", short_help="Print the published best training job.", rich_help_panel=_OPERATE)(best.best_command)
app.command("report", short_help="Write a tuning job's results as one HTML file.", rich_help_panel=_OPERATE)(
    report.report_command
)
app.command("stop", short_help="Stop the runs of a job.", rich_help_panel=_OPERATE)(start.stop_command)
app.command("console", short_help="All of this and the wizard in a browser.", rich_help_panel=_OPERATE)(
    console.console_command
)


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
