"""`hpo render`: the API request of a declaration."""

import json
from pathlib import Path
from typing import Annotated

import typer

from ..documents import read
from ..spec.shapes import in_api_order


def render_command(
    path: Annotated[Path, typer.Argument(help="A declaration in any form.", show_default=False)],
) -> None:
    """Print the CreateHyperParameterTuningJob request of a declaration as JSON; a list when it declares several.

    `aws sagemaker create-hyper-parameter-tuning-job --cli-input-json` takes it, once a template's role_arn is set.
    """
    requests = [in_api_order(declaration.request) for declaration in read(path)]
    typer.echo(json.dumps(requests[0] if len(requests) == 1 else requests, indent=2, ensure_ascii=False))
