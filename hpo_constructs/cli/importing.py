"""`hpo import`: any form of a declaration as a team template."""

from pathlib import Path
from typing import Annotated

import typer


def import_command(
    path: Annotated[
        Path,
        typer.Argument(
            help="An API request or Describe answer (JSON or YAML), an ACK manifest, or a template.",
            show_default=False,
        ),
    ],
) -> None:
    """Print a declaration as a team template, in its short forms.

    `hpo render` of the template gives the same request again. Comments of a YAML file are kept; the defaults and
    clones of a template are written out. An answer of `aws sagemaker describe-hyper-parameter-tuning-job` loses what
    the service has added, so that a job can be cloned.
    """
    from ..documents.export import import_file

    typer.echo(import_file(path), nl=False)
