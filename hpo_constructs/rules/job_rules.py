"""Rules about the job as a whole: its name, its definitions and their objectives, its tags."""

import re
from collections.abc import Iterator
from functools import lru_cache

from hpo_handlers.contract import DECLARED_NAME_LENGTH, TUNING_JOB_NAME_LENGTH

from ..spec.declaration import Form, Path
from .finding import Severity
from .job import Definition, Job, is_unknown
from .missing import is_missing
from .registry import API, GUIDE, Example, Problem, rule

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
NAME_LENGTH = TUNING_JOB_NAME_LENGTH

_ONE, _MANY = "TrainingJobDefinition", "TrainingJobDefinitions"
_MOST_DEFINITIONS = 10
_MULTI_ALGORITHM_PAGE = f"{GUIDE}multiple-algorithm-hpo-create-tuning-jobs.html"


def is_tuning_job_name(name: str) -> bool:
    """Whether SageMaker takes a name for a tuning job."""
    return 1 <= len(name) <= NAME_LENGTH and _NAME.fullmatch(name) is not None


def definition_form(job: Job) -> str | None:
    """The member that holds the definitions; None where there is neither or both."""
    # `one-definition-form` reports those.
    forms = [name for name in (_ONE, _MANY) if name in job.raw]
    return forms[0] if len(forms) == 1 else None


@rule(
    "tuning-job-name",
    title="the name has 1 to 32 letters, digits and inner hyphens",
    severity=Severity.ERROR,
    reason="the API's pattern alone lets longer names through; the service does not",
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes="name: churn-2026",
    fails="name: churn_2026",
)
def tuning_job_name(job: Job) -> Iterator[Problem]:
    """Check length and characters."""
    name = job.text("HyperParameterTuningJobName")
    if name is None or is_unknown(name):
        return
    path, spelled = job.path("HyperParameterTuningJobName"), job.spell("HyperParameterTuningJobName")
    if not 1 <= len(name) <= NAME_LENGTH:
        yield Problem(
            path,
            f"{spelled} must have 1 to {NAME_LENGTH} characters, got {len(name)}: {name!r}",
            f"shorten {spelled} to {NAME_LENGTH} characters or fewer" if name else f"give {spelled} a value",
        )
    elif not _NAME.fullmatch(name):
        yield Problem(
            path,
            f"{spelled} must be letters and digits with hyphens between them, got {name!r}",
            f"write {re.sub('[^a-zA-Z0-9]+', '-', name).strip('-') or 'a name such as churn'}",
        )


@rule(
    "tuning-job-name-room",
    title=f"a declared name leaves room for what a run adds: it has at most {DECLARED_NAME_LENGTH} characters",
    severity=Severity.ERROR,
    reason=(
        "the tuning job of a run is named after the declaration, with a hyphen and 10 digits that tell the run: of "
        f"the {NAME_LENGTH} characters that SageMaker allows, {DECLARED_NAME_LENGTH} are left; a complete request "
        "is created under its own name and may use all of them"
    ),
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes="name: a-name-of-21-letters1",
    fails="name: a-name-of-22-letters12",
)
def tuning_job_name_room(job: Job) -> Iterator[Problem]:
    """Check the length of names that run names are made of."""
    name = job.text("HyperParameterTuningJobName")
    if name is None or is_unknown(name) or job.declaration.form not in {Form.TEMPLATE, Form.SPEC}:
        return
    # Names that are too long for SageMaker itself are the finding of tuning-job-name.
    if DECLARED_NAME_LENGTH < len(name) <= NAME_LENGTH:
        spelled = job.spell("HyperParameterTuningJobName")
        yield Problem(
            job.path("HyperParameterTuningJobName"),
            f"{spelled} must have at most {DECLARED_NAME_LENGTH} characters, because every run adds "
            f"{NAME_LENGTH - DECLARED_NAME_LENGTH} of its own, got {len(name)}: {name!r}",
            f"shorten {spelled} to {DECLARED_NAME_LENGTH} characters or fewer",
        )


@rule(
    "one-definition-form",
    title="a tuning job has either one training job definition or a list of them",
    severity=Severity.ERROR,
    reason=(
        "the two forms exclude each other: with one definition the objective and the ranges stand in the tuning "
        "job's configuration, with a list they stand in each definition"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes="training_job_definition: {retry_strategy: {maximum_retry_attempts: 2}}",
    fails="training_job_definition: null",
)
def one_definition_form(job: Job) -> Iterator[Problem]:
    """Check that exactly one of the two forms is there."""
    one, many = job.spell(_ONE), job.spell(_MANY)
    if _ONE in job.raw and _MANY in job.raw:
        yield Problem(
            job.path(_MANY),
            f"a tuning job must have either {one} or {many}, got both",
            f"keep {one} for one algorithm, or move it into {many}",
        )
    elif is_missing(job, job, _ONE) and is_missing(job, job, _MANY):
        yield Problem(
            job.path(_ONE),
            f"a tuning job must have either {one} or {many}, got neither",
            f"add {one}, or {many} for several algorithms",
        )


@rule(
    "at-least-one-definition",
    title=f"a list of training job definitions holds 1 to {_MOST_DEFINITIONS}",
    severity=Severity.ERROR,
    reason="a tuning job tunes at least one algorithm, and SageMaker takes ten at most",
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes=Example("training_job_definitions: [{definition_name: a}, {definition_name: b}]", several=True),
    fails="""\
training_job_definition: null
training_job_definitions: []
objective: null
hyperparameter_ranges: null
""",
)
def at_least_one_definition(job: Job) -> Iterator[Problem]:
    """Check the length of the list."""
    definitions = job.raw.get(_MANY)
    if not isinstance(definitions, list | tuple) or 1 <= len(definitions) <= _MOST_DEFINITIONS:
        return
    spelled = job.spell(_MANY)
    yield Problem(
        job.path(_MANY),
        f"{spelled} must hold 1 to {_MOST_DEFINITIONS} definitions, got {len(definitions)}",
        f"leave {_MOST_DEFINITIONS} definitions, and give the others a tuning job of their own"
        if definitions
        else f"add a definition to {spelled}",
    )


@rule(
    "definition-name-required",
    title="every definition of a list has a name",
    severity=Severity.ERROR,
    reason="training jobs and the best one tell which definition they come from by its name",
    source=_MULTI_ALGORITHM_PAGE,
    passes=Example("training_job_definitions: [{definition_name: a}, {definition_name: b}]", several=True),
    fails=Example("training_job_definitions: [{definition_name: null}]", several=True),
)
def definition_name_required(job: Job) -> Iterator[Problem]:
    """Look for definitions without a name."""
    if definition_form(job) != _MANY:
        return
    spelled = job.spell("DefinitionName")
    for definition in job.definitions:
        if is_missing(job, definition, "DefinitionName"):
            yield Problem(
                definition.path("DefinitionName"),
                f"{spelled} is required in every definition of {job.spell(_MANY)}, got none for {definition.label}",
                f"add {spelled}",
            )


# What a definition of a list has of its own, by what a single definition has in the configuration.
_OWN = {"HyperParameterTuningJobObjective": "TuningObjective", "ParameterRanges": "HyperParameterRanges"}


@rule(
    "objective-per-definition",
    title="every definition of a list has its own objective and ranges, and the configuration has none",
    severity=Severity.ERROR,
    reason=(
        "with several algorithms each has metrics and hyperparameters of its own; an objective or ranges beside the "
        "list belong to none of them"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes=Example(
        "training_job_definitions: [{tuning_objective: {metric_name: 'validation:auc', type: Maximize}}]",
        several=True,
    ),
    fails=Example("training_job_definitions: [{tuning_objective: null}]", several=True),
)
def objective_per_definition(job: Job) -> Iterator[Problem]:
    """Look for definitions without objective or ranges, and for those that stand beside the list."""
    if definition_form(job) != _MANY:
        return
    many = job.spell(_MANY)
    for in_config, own in _OWN.items():
        missing = [found for found in job.definitions if is_missing(job, found, own)]
        misplaced = in_config in job.config
        if misplaced:
            yield Problem(
                job.config.path(in_config),
                f"{job.spell(in_config)} must not stand beside {many}: every definition has its own",
                f"move it into the definitions, as {job.spell(own)}" if missing else "remove it",
            )
        # With one beside the list and none in it, it was only put in the wrong place; with autotune, SageMaker
        # may choose the ranges.
        if (misplaced and len(missing) == len(job.definitions)) or (own == "HyperParameterRanges" and job.autotune):
            continue
        for definition in missing:
            yield Problem(
                definition.path(own),
                f"{job.spell(own)} is required in every definition of {many}, got none for {definition.label}",
                f"add {job.spell(own)} to {definition.label}",
            )


@rule(
    "objective-in-config",
    title="with one definition the objective and the ranges stand in the tuning job's configuration",
    severity=Severity.ERROR,
    reason=(
        "AWS's pages show objective, ranges and name within a definition for lists of definitions only; beside a "
        "single definition the configuration's are searched and compared, so those in the definition are refused or, "
        "like its name, have no effect"
    ),
    source=f"{GUIDE}automatic-model-tuning-ex-tuning-job.html",
    passes="objective: {metric_name: 'validation:auc', type: Maximize}",
    fails="objective: null",
)
def objective_in_config(job: Job) -> Iterator[Problem]:
    """Look for a missing objective, and for what belongs into the configuration but stands in the definition."""
    if definition_form(job) != _ONE or not job.definitions:
        return
    definition = job.definitions[0]
    for in_config, member in _OWN.items():
        if member in definition:
            place = f"beside {job.spell(_ONE)}, as {job.spell(in_config)}"
            there = in_config in job.config
            yield Problem(
                definition.path(member),
                f"{job.spell(member)} must not stand in {job.spell(_ONE)}: it belongs {place}",
                f"remove it; {job.spell(in_config)} has what holds" if there else f"move it {place}",
            )
    objective = "HyperParameterTuningJobObjective"
    if "TuningObjective" not in definition and is_missing(job, job.config, objective):
        yield Problem(
            job.config.path(objective),
            f"{job.spell(objective)} is required with {job.spell(_ONE)}, got none",
            f"add {job.spell(objective)} with {job.spell('MetricName')} and {job.spell('Type')}",
        )
    if "DefinitionName" in definition:
        yield Problem(
            definition.path("DefinitionName"),
            f"{job.spell('DefinitionName')} has no effect in {job.spell(_ONE)}: it tells the definitions of a list "
            "apart",
            "remove it",
            Severity.WARNING,
        )


@rule(
    "objective-comparable",
    title="the objectives of all definitions have the same direction",
    severity=Severity.WARNING,
    reason=(
        "SageMaker names one best training job over all definitions and compares their objective values as they are. "
        "The guide's own example mixes two metrics, both maximized; values that are to be large and values that are "
        "to be small have no common best"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes=Example(
        "training_job_definitions: [{}, {tuning_objective: {metric_name: 'validation:f1', type: Maximize}}]",
        several=True,
    ),
    fails=Example(
        "training_job_definitions: [{}, {tuning_objective: {metric_name: 'validation:logloss', type: Minimize}}]",
        several=True,
    ),
)
def objective_comparable(job: Job) -> Iterator[Problem]:
    """Compare the directions of the objectives."""
    if definition_form(job) != _MANY:
        return
    typed = [(found, kind) for found in job.definitions if (kind := found.objective.text("Type")) is not None]
    if not typed or not {kind for _, kind in typed} <= {"Maximize", "Minimize"}:
        return
    first, first_kind = typed[0]
    for definition, kind in typed[1:]:
        if kind != first_kind:
            yield Problem(
                definition.objective.path("Type"),
                f"the objective of {definition.label} is to {kind.lower()}, that of {first.label} to "
                f"{first_kind.lower()}: their values have no common best",
                f"choose metrics to {first_kind.lower()} for all definitions, or make two tuning jobs",
            )
            return


@rule(
    "tags-unique",
    title="no tag key stands twice, and none begins with aws:",
    severity=Severity.ERROR,
    reason="a key has one value on a resource, and keys with the prefix aws: belong to AWS; an empty value is allowed",
    source=f"{API}API_Tag.html",
    passes='tags: {team: churn, reviewed: ""}',
    fails="tags: [{key: team, value: churn}, {key: team, value: growth}]",
)
def tags_unique(job: Job) -> Iterator[Problem]:
    """Compare the keys of the tags."""
    seen: set[str] = set()
    for tag in job.structures("Tags"):
        key = tag.text("Key")
        if key is None or is_unknown(key):
            continue
        if key in seen:
            yield Problem(
                tag.path("Key"),
                f"the keys of {job.spell('Tags')} must be unique, got {key!r} twice",
                "remove one of the two",
            )
        elif key.lower().startswith("aws:"):
            yield Problem(
                tag.path("Key"),
                f"a tag's {job.spell('Key')} must not begin with aws:, which AWS keeps for itself, got {key!r}",
                "choose a key without that prefix",
            )
        seen.add(key)


# Forms that credentials have and hyperparameters do not.
_SECRET_VALUES = (
    (re.compile(r"(?:AKIA|ASIA)[A-Z0-9]{16}"), "an AWS access key id"),
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"), "a private key"),
    (re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36,}"), "a GitHub token"),
    (re.compile(r"\bgithub_pat_[A-Za-z0-9_]{36,}"), "a GitHub token"),
    (re.compile(r"\bhf_[A-Za-z0-9]{30,}"), "a Hugging Face token"),
    (re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"), "a Slack token"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\."), "a JSON web token"),
    (re.compile(r"://[^/\s:@]+:[^/\s:@]+@"), "a URL with a password"),
)
# One look for all: nearly every value is harmless.
_ANY_SECRET_VALUE = re.compile("|".join(pattern.pattern for pattern, _ in _SECRET_VALUES))
_SECRET_NAME = re.compile(
    r"(?:^|[_\-.])(?:password|passwd|passphrase|secret|credentials?|api[_\-]?key|access[_\-]?key|secret[_\-]?key|"
    r"private[_\-]?key|auth[_\-]?token|access[_\-]?token|session[_\-]?token|api[_\-]?token)(?:$|[_\-.])",
    re.IGNORECASE,
)
# What a hyperparameter of such a name may harmlessly be: a switch, a number, nothing.
_HARMLESS = re.compile(r"\s*(?:true|false|yes|no|on|off|none|null|[-+]?[0-9.]*(?:[eE][-+]?[0-9]+)?)\s*", re.IGNORECASE)


@rule(
    "hyperparameters-hold-no-secrets",
    title="no hyperparameter looks like a credential",
    severity=Severity.WARNING,
    reason=(
        "hyperparameters are shown to everybody who may describe the training job, and SageMaker refuses requests in "
        "which it detects access keys, secrets or tokens"
    ),
    source=f"{API}API_CreateHyperParameterTuningJob.html",
    passes="training_job_definition: {static_hyperparameters: {csv_weights: 1}}",
    fails="training_job_definition: {static_hyperparameters: {csv_weights: AKIAIOSFODNN7EXAMPLE}}",
)
def hyperparameters_hold_no_secrets(job: Job) -> Iterator[Problem]:
    """Look for credentials in names and values; a value is never shown in the message."""
    for definition in job.definitions:
        for name, path, values in _hyperparameter_texts(definition):
            found = next((text for value in values if (text := _secret(name, value))), None)
            if found:
                yield Problem(
                    path,
                    f"the hyperparameter {name} looks like it holds {found}; SageMaker refuses credentials there",
                    "give the training job's role access to the secret, and let the training code read it",
                )


def _hyperparameter_texts(definition: Definition) -> Iterator[tuple[str, Path, tuple[str, ...]]]:
    for name, value in definition.static.items():
        yield name, definition.path("StaticHyperParameters", name), (value,)
    for searched in definition.ranges:
        yield searched.name, searched.place, searched.values


@lru_cache(maxsize=4096)  # those of one job stand in many others
def _secret(name: str, value: str) -> str | None:
    """What a value looks like, in words; None for one that is harmless or known at deployment only."""
    if is_unknown(value) or _HARMLESS.fullmatch(value):
        return None
    if _ANY_SECRET_VALUE.search(value):
        return next(words for pattern, words in _SECRET_VALUES if pattern.search(value))
    return "a secret, by its name" if _SECRET_NAME.search(name) else None


@rule(
    "definition-name-unique",
    title="no two definitions of a job share a name",
    severity=Severity.ERROR,
    reason="results and training jobs name their definition; with two of a name nobody knows which won",
    source=f"{GUIDE}multiple-algorithm-hpo-create-tuning-jobs.html",
    passes=Example("training_job_definitions: [{definition_name: a}, {definition_name: b}]", several=True),
    fails=Example("training_job_definitions: [{definition_name: a}, {definition_name: a}]", several=True),
)
def definition_name_unique(job: Job) -> Iterator[Problem]:
    """Compare the names of the definitions."""
    seen: dict[str, int] = {}
    for index, definition in enumerate(job.definitions):
        name = definition.text("DefinitionName")
        if name is None or is_unknown(name):
            continue
        if name in seen:
            spelled = job.spell("DefinitionName")
            yield Problem(
                definition.path("DefinitionName"),
                f"{spelled} must be unique in the tuning job, got {name!r} for definitions {seen[name] + 1} "
                f"and {index + 1}",
                f"give definition {index + 1} another {spelled}",
            )
        seen.setdefault(name, index)
