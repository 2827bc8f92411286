"""`hpo quotas`: what all tuning jobs together need of an account."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import HpoError, QuotaError
from ..quotas import state
from ..quotas.costs import Prices, read_prices
from ..quotas.needs import JobNeeds, Pool
from ..quotas.planner import Plan, plan
from ..quotas.service_quotas import SERVICE_CODE, account_values
from ..report.quotas import costs_table, plan_json, plan_notes, plan_summary, plan_table, request_lines
from ..rules import read_jobs
from ..rules.needs import job_needs
from .check import QUOTA_CONTEXT, plain_file, read_all, stated_quotas
from .terminal import style


def quotas_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files, or folders that are searched for *.yaml, *.yml and *.json, in any of the forms that hpo check "
            "takes. All tuning jobs that they declare are planned together.",
            show_default=False,
        ),
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
    requests: Annotated[
        bool,
        typer.Option(
            "--requests",
            help="Print the AWS CLI commands that ask for the increases that the plan needs, nothing else.",
        ),
    ] = False,
    quotas: Annotated[
        str | None,
        typer.Option(
            metavar="EDITION|FILE",
            help="The account's quotas, as for hpo check.",
            show_default=False,
        ),
    ] = None,
    account: Annotated[
        bool,
        typer.Option(
            "--account",
            help="Read the account's quotas through the Service Quotas API, with the credentials and the region of the "
            "AWS configuration; they go before everything that is stated.",
        ),
    ] = False,
    write: Annotated[
        Path | None,
        typer.Option(
            metavar="CDK.JSON",
            help=f"With --account: write the values that were read to the context {QUOTA_CONTEXT} of this file.",
            show_default=False,
        ),
    ] = None,
    prices: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A price list in YAML or JSON: currency, instances and spot_instances, the last two from instance "
            "types to the price of an hour. The worst case of every job is then shown in money, too.",
            show_default=False,
        ),
    ] = None,
    in_turn: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME,NAME",
            help="Tuning jobs that never run together, such as those that one state machine runs one after another: "
            "the largest of them is counted. Can be given several times.",
            show_default=False,
        ),
    ] = None,
    region: Annotated[
        str | None, typer.Option(help="The region for --account and --requests.", show_default=False)
    ] = None,
) -> None:
    """Plan the account: what all tuning jobs together need of its quotas, and what a run of each uses at most.

    Every job is taken to run at the same time as every other. Exit code 0: all that is known fits; 1: something is
    above what the account allows; 2: a file that cannot be read, or wrong use.
    """
    if write is not None and not account:
        raise QuotaError("--write needs --account: it writes what the account answers")
    declarations, unreadable, _ = read_all(paths)
    for error in unreadable:
        typer.echo(f"hpo: {error}", err=True)
    if unreadable:
        raise typer.Exit(2)
    needs = _in_turn([job_needs(job) for job in read_jobs(declarations, stated_quotas(quotas))], in_turn or [])
    if account:
        values = _account_values({pool for job in needs for pool in job.pools()}, region)
        needs = [replace(job, quotas=state(values, job.quotas)) for job in needs]
        if write is not None:
            _write(write, values)
    found = plan(needs, _prices(prices) if prices else None)
    if as_json:
        typer.echo(plan_json(found))
    elif requests:
        for line in request_lines(found, region):
            typer.echo(line)
    else:
        _print(found)
    if not found.fits:
        raise typer.Exit(1)


def _print(found: Plan) -> None:
    from rich.console import Console

    # What no terminal shows is not cut to the width of one.
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(plan_table(found))
    console.print()
    console.print(costs_table(found))
    console.print()
    for note in plan_notes(found):
        console.print(note, style="dim", markup=False, highlight=False)
    typer.echo(plan_summary(found, style()))


def _in_turn(jobs: Sequence[JobNeeds], groups: Iterable[str]) -> list[JobNeeds]:
    """The jobs, with the names of each group taking turns.

    Raises:
        HpoError: A name is no declared job's, or a job is in two groups.
    """
    turns: dict[str, str] = {}
    for group in groups:
        for name in filter(None, (part.strip() for part in group.split(","))):
            if not any(job.name == name for job in jobs):
                known = ", ".join(sorted({job.name for job in jobs})[:10])
                raise HpoError(f"--in-turn names {name!r}, which no file declares; declared: {known}")
            if turns.setdefault(name, group) != group:
                raise HpoError(f"--in-turn names {name!r} in two groups: {turns[name]!r} and {group!r}")
    return [replace(job, turn=turns.get(job.name, job.turn)) for job in jobs]


def _prices(file: Path) -> Prices:
    if not file.is_file():
        raise QuotaError(f"--prices must be a file, got {str(file)!r}: no such file")
    try:
        return read_prices(plain_file(file))
    except QuotaError as error:
        raise QuotaError(f"{file}: {error}") from None


def _account_values(pools: set[Pool], region: str | None) -> dict[str, Any]:
    """What the account allows.

    Raises:
        HpoError: The Service Quotas API cannot be asked, or it knows no quota of SageMaker.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client = boto3.client("service-quotas", region_name=region)
        endpoint = client.meta.endpoint_url
        # Quotas that were never raised are in the list of defaults only.
        answers = [
            quota
            for operation in ("list_aws_default_service_quotas", "list_service_quotas")
            for page in client.get_paginator(operation).paginate(ServiceCode=SERVICE_CODE)
            for quota in page["Quotas"]
        ]
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code == "NoSuchResourceException" or status in {404, 500, 501}:
            raise HpoError(
                f"{endpoint} does not serve the Service Quotas of SageMaker (it answered {code or status}); without "
                "--account the plan takes the quotas that are stated"
            ) from None
        raise HpoError(f"reading the account's quotas failed: {error}") from None
    except BotoCoreError as error:
        raise HpoError(f"reading the account's quotas failed: {error}") from None
    values = account_values(answers, sorted(pools, key=str))
    if not values:
        raise HpoError(f"{endpoint} answered no quota of SageMaker that tuning jobs touch")
    return values


def _write(file: Path, values: Mapping[str, Any]) -> None:
    """Write quotas to a cdk.json, over those that it states already."""
    from .cdk_json import write_context

    content = plain_file(file) if file.is_file() else None
    context = content.get("context") if isinstance(content, dict) else None
    stated = context.get(QUOTA_CONTEXT) if isinstance(context, dict) else None
    merged: dict[str, Any] = {"edition": stated} if isinstance(stated, str) else dict(stated or {})
    for name, value in values.items():
        merged[name] = {**(merged.get(name) or {}), **value} if isinstance(value, dict) else value
    write_context(file, QUOTA_CONTEXT, merged)
    typer.echo(f"{QUOTA_CONTEXT} written to {file}", err=True)
