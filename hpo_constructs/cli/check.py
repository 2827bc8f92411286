"""`hpo check`: declarations against every documented rule."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..documents import NoDeclarationError, find_files, read
from ..errors import DocumentError, QuotaError
from ..quotas import Quotas, edition_names, state
from ..quotas.costs import Budget, state_budget
from ..report.findings import as_json, as_text
from ..rules import Severity, check
from ..spec.declaration import Declaration
from .terminal import style

QUOTA_CONTEXT = "hpo:quotas"
BUDGET_CONTEXT = "hpo:budget"
_CDK_JSON = Path("cdk.json")


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def check_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="PATH...",
            help="Files, or folders that are searched for *.yaml, *.yml and *.json. The form is told by the content: "
            "team template, API request, Describe output or ACK manifest.",
            show_default=False,
        ),
    ],
    output: Annotated[Format, typer.Option("--format", help="How to print the findings.")] = Format.TEXT,
    quotas: Annotated[
        str | None,
        typer.Option(
            metavar="EDITION|FILE",
            help="The account's quotas: an edition's name, or a YAML or JSON file that states single values. Without "
            f"it the context {QUOTA_CONTEXT} of the cdk.json in this folder, else the edition developer-guide.",
            show_default=False,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Let warnings fail, too.")] = False,
    show_unknown: Annotated[
        bool, typer.Option("--show-unknown", help="List the values that are known at deployment only.")
    ] = False,
) -> None:
    """Check declarations against every documented limit, without an AWS account.

    All findings of all files are printed at once. Exit code 0: clean; 1: findings of severity error or quota (with
    --strict: warnings, too); 2: a file that cannot be read, or wrong use.
    """
    allowed = stated_quotas(quotas)
    declarations, unreadable, skipped = read_all(paths)
    findings = check(declarations, quotas=allowed, budget=context_budget())
    match output:
        case Format.JSON:
            typer.echo(as_json(findings, unreadable, len(declarations)))
        case Format.SARIF:
            from ..report.sarif import as_sarif

            typer.echo(as_sarif(findings, unreadable, show_unknown=show_unknown))
        case Format.GITHUB:
            from ..report.github import as_github

            typer.echo(as_github(findings, unreadable, len(declarations), show_unknown=show_unknown))
        case Format.TEXT:
            typer.echo(as_text(findings, unreadable, len(declarations), show_unknown=show_unknown, style=style()))
            if skipped:
                typer.echo(f"files in folders that declare no tuning job and were left out: {skipped}", err=True)
    if unreadable:
        raise typer.Exit(2)
    if any(finding.severity.fails or (strict and finding.severity is Severity.WARNING) for finding in findings):
        raise typer.Exit(1)


def read_all(paths: list[Path]) -> tuple[list[Declaration], list[DocumentError], int]:
    """Read files and folders: the declarations, what could not be read, and how many files of folders had none."""
    declarations: list[Declaration] = []
    unreadable: list[DocumentError] = []
    skipped = 0
    for path in paths:
        in_folder = path.is_dir()
        try:
            files = list(find_files(path)) if in_folder else [path]
        except DocumentError as error:
            unreadable.append(error)
            continue
        if in_folder and not files:
            unreadable.append(DocumentError("holds no *.yaml, *.yml or *.json file", file=str(path)))
        for file in files:
            try:
                declarations += read(file)
            except NoDeclarationError as error:
                if in_folder:
                    skipped += 1
                else:
                    unreadable.append(error)
            except DocumentError as error:
                unreadable.append(error)
    return declarations, unreadable, skipped


def stated_quotas(option: str | None) -> Quotas:
    """The quotas that the option names, or those of the folder's cdk.json.

    Raises:
        QuotaError: There is no such edition or file, or it states something unknown.
    """
    if option is None:
        return _context_quotas()
    if option in edition_names():
        return state(option)
    file = Path(option)
    if not file.is_file():
        raise QuotaError(
            f"--quotas must be an edition ({', '.join(edition_names())}) or a file, got {option!r}: no such file"
        )
    values = plain_file(file)
    # A cdk.json serves as it is.
    if isinstance(values, dict) and isinstance(values.get("context"), dict):
        values = values["context"].get(QUOTA_CONTEXT)
    try:
        return state(values)
    except QuotaError as error:
        raise QuotaError(f"{file}: {error}") from None


def _context_quotas() -> Quotas:
    try:
        return state(_context(QUOTA_CONTEXT))
    except QuotaError as error:
        raise QuotaError(f"{_CDK_JSON}, context {QUOTA_CONTEXT}: {error}") from None


def context_budget() -> Budget:
    """The budget that this folder's cdk.json states; without bounds where it states none.

    Raises:
        QuotaError: It states something unknown.
    """
    try:
        return state_budget(_context(BUDGET_CONTEXT))
    except QuotaError as error:
        raise QuotaError(f"{_CDK_JSON}, context {BUDGET_CONTEXT}: {error}") from None


def _context(key: str) -> Any:
    """A context value of this folder's cdk.json; None without one."""
    values = plain_file(_CDK_JSON) if _CDK_JSON.is_file() else None
    context = values.get("context") if isinstance(values, dict) else None
    return context.get(key) if isinstance(context, dict) else None


def plain_file(file: Path) -> Any:
    """The content of a YAML or JSON file, of its first document; None when it is empty.

    Raises:
        DocumentError: It cannot be read, or is neither.
    """
    from ..documents.nodes import parse

    try:
        nodes = parse(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"cannot be read: {error}", file=str(file)) from None
    return nodes[0].plain() if nodes else None
