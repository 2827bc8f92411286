"""`hpo new`: a wizard that writes a team template."""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import HpoError, SpecError
from ..report.findings import finding_text, summary
from ..writing import write_whole
from .account import Profile
from .check import context_budget, stated_quotas
from .terminal import style

if TYPE_CHECKING:
    from ..wizard import Draft, DraftFinding
    from .prompts import Prompts

# Below the folder that rehearsals use, too, and that version control leaves out.
_KEPT = Path(".hpo") / "new.draft.json"
_FOLDER = Path("templates")
_WAYS = "--algorithm NAME, --image URI, --algorithm-arn ARN or --from FILE|JOB"
_START, _ANSWERS, _ELSE = "How to begin", "Answers", "Writing"


def _algorithm_names(incomplete: str) -> list[str]:
    from ..wizard import tunable_algorithms

    return [name for name in tunable_algorithms() if name.startswith(incomplete)]


def _list_algorithms(wanted: bool) -> None:
    if wanted:
        from .asking import algorithm_options

        for option in algorithm_options():
            typer.echo(f"{option.value:<34}{option.help}")
        raise typer.Exit


def new_command(
    *,
    algorithm: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Begin with this built-in algorithm.",
            autocompletion=_algorithm_names,
            show_default=False,
            rich_help_panel=_START,
        ),
    ] = None,
    image: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="Begin with your own container: its training image.",
            show_default=False,
            rich_help_panel=_START,
        ),
    ] = None,
    algorithm_arn: Annotated[
        str | None,
        typer.Option(
            metavar="ARN",
            help="Begin with an algorithm resource, such as one of AWS Marketplace.",
            show_default=False,
            rich_help_panel=_START,
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="FILE|JOB",
            help="Begin with a clone of a template, an API request or a Describe answer, or of a tuning job on the "
            "account.",
            show_default=False,
            rich_help_panel=_START,
        ),
    ] = None,
    job: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which tuning job of the file to clone, where it has several.",
            show_default=False,
            rich_help_panel=_START,
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the draft that an ended wizard has kept.", rich_help_panel=_START),
    ] = False,
    name: Annotated[
        str | None, typer.Option(help="The tuning job's name.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    region: Annotated[
        str | None,
        typer.Option(
            help="The region of the training image, and of the job to clone.",
            show_default="AWS_REGION, or us-east-1",
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(help="Bayesian, Random, Hyperband or Grid.", show_default=False, rich_help_panel=_ANSWERS),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(metavar="METRIC", help="The objective metric.", show_default=False, rich_help_panel=_ANSWERS),
    ] = None,
    direction: Annotated[
        str | None, typer.Option(help="Maximize or Minimize.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    train: Annotated[
        str | None,
        typer.Option(
            metavar="S3_URI", help="The training channel's data.", show_default=False, rich_help_panel=_ANSWERS
        ),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            metavar="S3_URI", help="The validation channel's data.", show_default=False, rich_help_panel=_ANSWERS
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=S3_URI",
            help="Another channel's data; repeatable.",
            show_default=False,
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    output_path: Annotated[
        str | None,
        typer.Option(metavar="S3_URI", help="Where the models go.", show_default=False, rich_help_panel=_ANSWERS),
    ] = None,
    instance_type: Annotated[
        str | None, typer.Option(help="Such as ml.m5.xlarge.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    instance_count: Annotated[
        int | None, typer.Option(help="Instances of each training job.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    max_jobs: Annotated[
        int | None, typer.Option(help="Training jobs in all.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    parallel: Annotated[
        int | None, typer.Option(help="Training jobs at the same time.", show_default=False, rich_help_panel=_ANSWERS)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Any setting by its path in the template, such as hyperparameter_ranges.eta='0.1 to 0.5'; one that "
            "leaves out the definition holds for each of them. Repeatable.",
            show_default=False,
            rich_help_panel=_ANSWERS,
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE|-",
            help="Where to write the template; - is standard output.",
            show_default=f"{_FOLDER}/<name>.yaml",
            rich_help_panel=_ELSE,
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help="Ask nothing: what is not stated takes its default.", rich_help_panel=_ELSE),
    ] = False,
    force: Annotated[
        bool,
        typer.Option("--force", help="Write over an existing file, and with findings, too.", rich_help_panel=_ELSE),
    ] = False,
    profile: Profile = None,
    list_algorithms: Annotated[
        bool,
        typer.Option(
            "--list-algorithms",
            callback=_list_algorithms,
            is_eager=True,
            help="List the built-in algorithms that can be tuned, and exit.",
        ),
    ] = False,
) -> None:
    """Write a team template: a wizard in the terminal, or all at once with flags and --yes.

    Every answer is checked at once by the rules of `hpo check`. Ctrl-C ends the wizard and keeps what was answered.

    Exit code 0: written; 1: not written, because of findings of severity error or quota; 2: answers are missing, or
    wrong use; 130: ended with Ctrl-C.
    """
    del list_algorithms
    begun = {"--algorithm": algorithm, "--image": image, "--algorithm-arn": algorithm_arn, "--from": source}
    given = [*(flag for flag, value in begun.items() if value is not None), *(["--resume"] if resume else [])]
    if len(given) > 1:
        raise HpoError(f"{' and '.join(given)} are ways to begin; choose one")
    asking = not yes and sys.stdin.isatty() and sys.stdout.isatty()
    prompts: Prompts | None = None
    if asking:
        from .prompts import prompts as make_prompts

        prompts = make_prompts()
    draft = (
        _kept()
        if resume
        else _begun(
            algorithm=algorithm,
            image=image,
            algorithm_arn=algorithm_arn,
            source=source,
            job=job,
            region=region,
            profile=profile,
        )
    )
    answers = [
        ("name", name),
        ("strategy", strategy),
        ("objective.metric_name", objective),
        ("objective.type", direction),
        ("output_data_config.s3_output_path", output_path),
        ("resource_config.instance_type", instance_type),
        ("resource_config.instance_count", instance_count),
        ("resource_limits.max_number_of_training_jobs", max_jobs),
        ("resource_limits.max_parallel_training_jobs", parallel),
    ]
    stated = [(path, str(value)) for path, value in answers if value is not None]
    stated += [("input_data_config." + path, value) for path, value in _channels(draft, train, validation, channel)]
    stated += [_pair(item, "--set", "PATH=VALUE") for item in setting or ()]
    if prompts is None:
        if draft is None:
            raise _missing_answers([("how to begin", _WAYS)])
        _without_asking(draft, stated, output, force=force)
        return
    _with_questions(draft, stated, prompts, output, region)


# Beginning


def _begun(
    *,
    algorithm: str | None,
    image: str | None,
    algorithm_arn: str | None,
    source: str | None,
    job: str | None,
    region: str | None,
    profile: str | None,
) -> Draft | None:
    """The draft that the flags begin with; None where they leave that open."""
    from ..wizard import Draft

    where = _region(region)
    if algorithm is not None:
        return Draft.for_builtin(algorithm, region=where)
    if image is not None or algorithm_arn is not None:
        draft = Draft.new(region=where)
        if image is not None:
            draft.use_image(0, image)
        else:
            draft.use_algorithm(0, algorithm_arn or "")
        return draft
    return _clone(source, job, region, profile) if source is not None else None


def _region(stated: str | None) -> str:
    from ..wizard.draft import DEFAULT_REGION

    return stated or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION


def _clone(source: str, job: str | None, region: str | None, profile: str | None) -> Draft:
    """A clone of a file's tuning job, or of one on the account."""
    from ..documents.files import SUFFIXES, text_of
    from ..wizard import Draft

    if Path(source).is_file() or source.endswith(SUFFIXES) or "/" in source:
        return Draft.from_text(text_of(Path(source).expanduser()), source, job=job)
    from ..account import Account, find, ran

    account = Account(region=region, profile=profile)
    answer = account.call(
        "sagemaker",
        "describe_hyper_parameter_tuning_job",
        HyperParameterTuningJobName=ran(find(account, source)),
    )
    return Draft.from_describe(answer)


# Flags


def _pair(text: str, flag: str, form: str) -> tuple[str, str]:
    key, mark, value = text.partition("=")
    if not mark or not key.strip():
        raise HpoError(f"{flag} takes {form}, got {text!r}")
    return key.strip(), value


def _channels(
    draft: Draft | None, train: str | None, validation: str | None, channel: list[str] | None
) -> Iterator[tuple[str, str]]:
    """The channels that the flags state; the algorithm's own name for its training channel counts."""
    facts = draft.facts(0) if draft is not None else None
    names = [item.name for item in facts.channels] if facts is not None else []
    if train is not None:
        yield next((name for name in ("train", "training") if name in names), "train"), train
    if validation is not None:
        yield "validation", validation
    for item in channel or ():
        yield _pair(item, "--channel", "NAME=S3_URI")


def _apply(draft: Draft, stated: list[tuple[str, str]]) -> None:
    """Set what the flags state.

    Raises:
        HpoError: Something cannot be read; the message has all of it.
    """
    faults = []
    for path, value in stated:
        for full in _full_paths(draft, path):
            try:
                draft.set(full, value)
            except SpecError as error:
                faults.append(str(error))
    if faults:
        raise HpoError("\n     ".join(dict.fromkeys(faults)))


def _full_paths(draft: Draft, path: str) -> list[str]:
    """The paths that a stated one means: one that leaves out the definition holds for every definition."""
    inside = [f"{draft.definition_path(index)}.{path}" for index in range(draft.definition_count)]
    for paths in ([path], inside):
        with suppress(SpecError):
            for item in paths:
                draft.locate(item)
            return paths
    return [path]


def _without_asking(draft: Draft, stated: list[tuple[str, str]], output: str | None, *, force: bool) -> None:
    _apply(draft, stated)
    _take_defaults(draft)
    draft.reach("review")
    found = _findings(draft)
    if not force:
        if missing := _missing(draft, found):
            raise _missing_answers(missing)
        failing = [item.finding for item in found if item.finding.severity.fails]
        if failing:
            shown = [finding_text(finding, style()) for finding in (item.finding for item in found)]
            typer.echo("\n\n".join([*shown, summary([item.finding for item in found], 0, 1, style())]), err=True)
            typer.echo("nothing was written; correct the answers, or write it all the same with --force", err=True)
            raise typer.Exit(1)
    if output == "-":
        typer.echo(draft.template(), nl=False)
        return
    if not draft.name and output is None:
        raise _missing_answers([("name", _FLAGS["name"])])
    file = Path(output) if output else _default_file(draft)
    if file.exists() and not force:
        raise HpoError(f"{file} exists; write elsewhere with -o FILE, or over it with --force")
    _write(file, draft.template())
    _next_steps(file, draft)


def _take_defaults(draft: Draft) -> None:
    """Give required settings without a value their suggestion, but for the name, which is the user's."""
    for step in draft.steps():
        for field in step.fields:
            if field.required and field.applies is None and not field.text and field.default and field.path != "name":
                draft.set(field.path, field.default)


_FLAGS = {
    "name": "--name NAME",
    "objective.metric_name": "--objective METRIC",
    "objective.type": "--direction Maximize|Minimize",
    "training_job_definition.output_data_config.s3_output_path": "--output-path S3_URI",
    "training_job_definition.algorithm_specification.training_image": "--image URI",
    "training_job_definition.input_data_config.train.s3_uri": "--train S3_URI",
    "training_job_definition.input_data_config.training.s3_uri": "--train S3_URI",
    "training_job_definition.input_data_config.validation.s3_uri": "--validation S3_URI",
    "resource_limits.max_number_of_training_jobs": "--max-jobs N",
    "resource_limits.max_parallel_training_jobs": "--parallel N",
}


def _missing(draft: Draft, found: list[DraftFinding]) -> list[tuple[str, str]]:
    """What has no answer yet, each with the flag that gives it."""
    paths = dict.fromkeys(item.field or item.finding.path for item in found if item.missing)
    for step in draft.steps():
        for whole in step.fields:
            for field in whole.below():
                if field.required and field.applies is None and not field.text and not field.is_table:
                    paths.setdefault(field.path)
    prefix = "" if draft.several else f"{draft.definition_path(0)}."
    missing = []
    for path in paths:
        flag = _FLAGS.get(path)
        if flag is None and path.startswith(f"{prefix}input_data_config.") and path.endswith(".s3_uri") and prefix:
            flag = f"--channel {path.removesuffix('.s3_uri').rpartition('.')[2]}=S3_URI"
        if flag == "--image URI" and draft.began(0):
            flag = None  # --algorithm has begun already
        short = path.removeprefix(prefix)
        missing.append((short, flag or f"--set {shlex.quote(f'{short}={_example(draft, path)}')}"))
    return missing


def _example(draft: Draft, path: str) -> str:
    with suppress(SpecError):
        example = draft.field(path).example
        return example if example and not draft.field(path).is_table else "VALUE"
    return "VALUE"


def _missing_answers(missing: list[tuple[str, str]]) -> typer.Exit:
    """Tell what is missing, all at once; the exit to raise."""
    width = max(len(what) for what, _ in missing)
    count = "1 answer is" if len(missing) == 1 else f"{len(missing)} answers are"
    lines = [f"  {what:<{width}}  {flag}" for what, flag in missing]
    typer.echo("\n".join([f"hpo: {count} missing; give them with:", *lines]), err=True)
    return typer.Exit(2)


# The wizard


def _with_questions(
    draft: Draft | None, stated: list[tuple[str, str]], prompts: Prompts, output: str | None, region: str | None
) -> None:
    from .asking import Session
    from .prompts import say

    say("A new tuning job. Enter takes what is shown, < goes back, ? tells more, Ctrl-C ends and keeps the draft.")
    typer.echo()
    session: Session | None = None
    try:
        if draft is None:
            draft = _choose_beginning(prompts, region)
        _apply(draft, stated)
        if draft.origin:
            for step in draft.steps():
                draft.reach(step.key)  # a clone has its answers, but for its name
        session = Session(draft, prompts, _keep, _findings)
        if draft.algorithm(0).kind == "" and not draft.began(0):
            session.choose_algorithm(0)
        _keep(draft)
        session.run()
        file = _ask_file(prompts, session.draft, output)
    except (KeyboardInterrupt, EOFError):
        typer.echo()
        if session is not None:
            _keep(session.draft)
            typer.echo(f"the draft is kept in {_KEPT}; go on with `hpo new --resume`")
        raise typer.Exit(130) from None
    if file is None:
        typer.echo(session.draft.template(), nl=False)
    else:
        _write(file, session.draft.template())
        _next_steps(file, session.draft)
    _KEPT.unlink(missing_ok=True)


def _choose_beginning(prompts: Prompts, region: str | None) -> Draft:
    from ..wizard import Draft
    from .prompts import Option

    options = [
        Option("new", "With an algorithm", "built-in, your own container, AWS Marketplace"),
        Option("file", "With a clone of a file", "a template, an API request or a Describe answer"),
        Option("job", "With a clone of a tuning job on the account"),
    ]
    if _KEPT.is_file():
        kept = _kept().name or "without a name yet"
        options.insert(0, Option("kept", f"With the draft that was kept: {kept}"))
    while True:
        chosen = prompts.choose("Begin", options, options[0].value)
        if chosen == "new":
            return Draft.new(region=_region(region))
        if chosen == "kept":
            return _kept()
        source = prompts.text("File" if chosen == "file" else "Tuning job", "").strip()
        if not source or source == "<":
            continue
        try:
            return _clone(f"./{source}" if chosen == "file" and "/" not in source else source, None, region, None)
        except HpoError as error:
            typer.echo(f"  {error}")


def _ask_file(prompts: Prompts, draft: Draft, output: str | None) -> Path | None:
    """Where to write; None for standard output."""
    if output == "-":
        return None
    file = Path(output) if output else _default_file(draft)
    while True:
        answer = prompts.text("Write to", str(file)).strip()
        if not answer or answer == "<":
            continue
        file = Path(answer)
        if file.is_dir():
            typer.echo(f"  {file} is a folder; name a file in it")
            continue
        if not file.exists():
            return file
        from .prompts import Option

        options = [Option("no", "No, elsewhere"), Option("yes", "Yes, write over it")]
        if prompts.choose(f"{file} exists; write over it", options, "no") == "yes":
            return file


def _findings(draft: Draft) -> list[DraftFinding]:
    return draft.findings(stated_quotas(None), budget=context_budget())


# Files


def _default_file(draft: Draft) -> Path:
    return _FOLDER / f"{draft.name or 'tuning-job'}.yaml"


def _keep(draft: Draft) -> None:
    """Keep the draft, so that nothing that was typed is lost."""
    _write(_KEPT, json.dumps(draft.to_dict(), indent=1))


def _kept() -> Draft:
    from ..wizard import Draft

    try:
        data = json.loads(_KEPT.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise HpoError(f"no draft is kept in this folder ({_KEPT}); begin a new one with `hpo new`") from None
    except (OSError, ValueError) as error:
        raise HpoError(f"{_KEPT} cannot be read: {error}; delete it and begin a new one with `hpo new`") from None
    return Draft.from_dict(data if isinstance(data, dict) else {})


def _write(file: Path, text: str) -> None:
    """Write a file that is there whole or not at all."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A template that is written over keeps its permissions.
        write_whole(file, text, mode=file.stat().st_mode & 0o777 if file.exists() else None)
    except OSError as error:
        raise HpoError(f"{file} cannot be written: {error.strerror or error}") from None


def _next_steps(file: Path, draft: Draft) -> None:
    shown = shlex.quote(str(file))
    steps = [
        (f"hpo check {shown}", "every documented limit, in milliseconds"),
        (f"hpo run {shown}", "a rehearsal on this machine"),
        (f"cdk deploy --app 'python -m hpo_constructs.stacks {shlex.quote(str(file.parent))}'", ""),
        (f"hpo start {draft.name or 'NAME'} --wait", "a run on the account"),
    ]
    typer.echo(f"wrote {style()(str(file), 'strong')}; next:")
    for command, what in steps:
        typer.echo(f"  {command}{f'    # {what}' if what else ''}")
