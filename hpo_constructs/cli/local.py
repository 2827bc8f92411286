"""`hpo local`: the local AWS endpoint by itself."""

from __future__ import annotations

import os
import shlex
import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from ..errors import LocalError
from .check import stated_quotas
from .run import image_file_entries

app = typer.Typer(
    no_args_is_help=True, help="The local AWS endpoint: stacks, Lambda code and training on this machine."
)

DEFAULT_PORT = 4510


@app.command("up")
def up_command(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = DEFAULT_PORT,
    region: Annotated[str, typer.Option(help="The region that the endpoint plays.")] = "us-east-1",
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Local commands for training images, as `hpo run --images`.", show_default=False
        ),
    ] = None,
    work_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Where training jobs run and the log is kept.", show_default="a temporary one"
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep jobs, S3 objects and SSM parameters here, and begin with those that are here; stacks are not "
            "kept.",
            show_default="nothing is kept",
        ),
    ] = None,
    quotas: Annotated[
        str | None,
        typer.Option(
            metavar="EDITION|FILE",
            help="Refuse requests beyond these quotas, as `hpo check --quotas`.",
            show_default="no quotas",
        ),
    ] = None,
) -> None:
    """Keep a local AWS endpoint running until Ctrl-C, and print the environment variables to use it.

    `source` what it prints (or copy it) in another terminal; then the CDK CLI, the AWS CLI and boto3 work there:

    cdk bootstrap; cdk deploy; aws stepfunctions start-execution; aws ssm get-parameters-by-path
    """
    try:
        from ..local import LocalEndpoint
    except ImportError as error:
        raise LocalError(f"{error.name} is not installed: pip install 'hpo-constructs[local]'") from None
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    endpoint = LocalEndpoint(
        port=port,
        region=region,
        images=image_file_entries(images),
        work_dir=work_dir,
        state=state,
        quotas=None if quotas is None else stated_quotas(quotas),
    )
    with endpoint:
        for name in sorted(name for name in os.environ if name.startswith("AWS_")):
            # A service's own endpoint or a web identity would be stronger than what follows.
            if name not in endpoint.environment:
                typer.echo(f"unset {name}")
        for name, value in endpoint.environment.items():
            typer.echo(f"export {name}={shlex.quote(value)}")
        typer.echo(f"# ready at {endpoint.url}, account {endpoint.account_id}; log {endpoint.log_file}; Ctrl-C ends it")
        while not ended.wait(1):
            if not endpoint.is_running:
                raise LocalError(f"the endpoint has ended by itself; its log is {endpoint.log_file}")
    typer.echo("# ended; nothing is left running", err=True)
