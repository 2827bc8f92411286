"""Rules about warm starts: what may be a parent, and what may change from parent to child.

What a parent was is known only where it is declared beside its child, in the same check: as another job, or as the
answer of DescribeHyperParameterTuningJob.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..spec.declaration import Path
from .builtins import repository_and_tag
from .finding import Severity
from .job import Definition, Job, Structure, is_unknown, parse_number
from .job_rules import NAME_LENGTH, is_tuning_job_name
from .quota_text import quota_fix
from .registry import GUIDE, Problem, app_rule, rule
from .together import together

_WARM_START_PAGE = f"{GUIDE}automatic-model-tuning-warm-start.html"
_MULTI_ALGORITHM_PAGE = f"{GUIDE}multiple-algorithm-hpo-create-tuning-jobs.html"
_IDENTICAL, _TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"
_PARENTS, _NAME = "ParentHyperParameterTuningJobs", "HyperParameterTuningJobName"
_MOST_PARENTS = 5
# What a warm start may change at most of static values, and from searched to static.
_MOST_CHANGES = 10

_EXAMPLE = """\
warm_start_config:
  warm_start_type: IdenticalDataAndAlgorithm
  parent_hyperparameter_tuning_jobs: [{parents}]
"""


_FIRST = "{name: first, training_job_definition: {}}"


def _after(name: str, parent: str, kind: str, more: str = "training_job_definition: {}") -> str:
    """A job of an example that is warm-started from another one."""
    start = f"{{warm_start_type: {kind}, parent_hyperparameter_tuning_jobs: [{parent}]}}"
    return f"{{name: {name}, warm_start_config: {start}, {more}}}"


def _config(job: Job) -> Structure:
    return job.structure("WarmStartConfig")


def _parents(job: Job) -> list[tuple[Path, str]]:
    """The parents' names, with their places."""
    found = [(entry.path(_NAME), entry.text(_NAME)) for entry in _config(job).structures(_PARENTS)]
    return [(path, name) for path, name in found if name is not None]


@rule(
    "warm-start-parents",
    title="a warm start has 1 to 5 parents, each named once, and is not its own",
    severity=Severity.ERROR,
    reason=(
        "the new tuning job loads what its parents have learned; the guide allows five of them. All have to be "
        "finished (Completed, Stopped or Failed) when it starts, and created after 1 October 2018: that is known at "
        "the start only"
    ),
    source=_WARM_START_PAGE,
    passes=_EXAMPLE.format(parents="churn-2024, churn-2025"),
    fails=_EXAMPLE.format(parents="churn-2025, Churn-2025"),
)
def warm_start_parents(job: Job) -> Iterator[Problem]:
    """Count and compare the parents."""
    parents = _config(job).raw.get(_PARENTS)
    spelled, quota = job.spell(_PARENTS), min(job.quotas.warm_start_parents, _MOST_PARENTS)
    if isinstance(parents, list | tuple) and not 1 <= len(parents) <= quota:
        yield Problem(
            _config(job).path(_PARENTS),
            f"{spelled} must name 1 to {quota} tuning jobs, got {len(parents)}",
            f"keep the {quota} parents that matter most" if parents else "name a tuning job, or remove the warm start",
        )
    for entry in _config(job).structures(_PARENTS):
        # A name under an unknown key is the finding of `shape`.
        if not entry.raw:
            yield Problem(
                entry.path(_NAME),
                f"every entry of {spelled} must name a tuning job, got none",
                f"add {job.spell(_NAME)}",
            )
    seen: set[str] = set()
    for path, name in _parents(job):
        if is_unknown(name):
            continue
        if not is_tuning_job_name(name):
            yield Problem(
                path,
                f"a parent's name must be 1 to {NAME_LENGTH} letters, digits and inner hyphens, got {name!r}",
                "write the name of a tuning job, as DescribeHyperParameterTuningJob has it",
            )
            continue
        # Names of tuning jobs are not case sensitive. The runs of a template have names of their own.
        if name.lower() == job.declaration.name.lower() and not job.declaration.role_may_be_absent:
            yield Problem(
                path, f"a tuning job must not be its own parent, got {name!r}", "name a tuning job that has finished"
            )
        elif name.lower() in seen:
            yield Problem(path, f"{spelled} must name each tuning job once, got {name!r} twice", "remove one of them")
        seen.add(name.lower())


@rule(
    "transfer-learning-parents",
    title="a transfer-learning warm start has one parent in the console, up to five in the API",
    severity=Severity.WARNING,
    reason=(
        "the guide's page on the console lets one choose a single parent for transfer learning, its page on warm "
        "starts up to five: a tuning job with more can be made, and not be cloned in the console"
    ),
    source=_MULTI_ALGORITHM_PAGE,
    passes="""\
warm_start_config:
  warm_start_type: TransferLearning
  parent_hyperparameter_tuning_jobs: [churn-2025]
""",
    fails="""\
warm_start_config:
  warm_start_type: TransferLearning
  parent_hyperparameter_tuning_jobs: [churn-2024, churn-2025]
""",
)
def transfer_learning_parents(job: Job) -> Iterator[Problem]:
    """Count the parents of a transfer-learning warm start."""
    parents = _config(job).structures(_PARENTS)
    if _config(job).text("WarmStartType") == _TRANSFER and 1 < len(parents) <= job.quotas.warm_start_parents:
        yield Problem(
            _config(job).path(_PARENTS),
            f"{job.spell(_PARENTS)} has {len(parents)} tuning jobs; the console takes one for {_TRANSFER}",
            "keep the most similar parent, if the tuning job is to be cloned in the console",
        )


def _known(jobs: Iterable[Job]) -> dict[str, Job]:
    """The checked jobs by name, in lower case; of two with a name, none is known to be the parent."""
    by_name: dict[str, list[Job]] = {}
    for job in jobs:
        if job.declaration.name:
            by_name.setdefault(job.declaration.name.lower(), []).append(job)
    return {name: found[0] for name, found in by_name.items() if len(found) == 1}


def _pairs(jobs: list[Job]) -> Iterator[tuple[Job, Job, Path]]:
    """Every warm-started job with each parent that is known, and the place that names it."""
    children = [job for job in jobs if _config(job).present]
    known = _known(jobs) if children else {}
    for child in children:
        for path, name in _parents(child):
            parent = known.get(name.lower())
            if parent is not None and parent is not child:
                yield child, parent, path


def _single_pairs(jobs: list[Job]) -> Iterator[tuple[Job, Definition, Job, Definition, Path]]:
    """As `_pairs`, for jobs of one algorithm, with their definitions; several are the finding of warm-start-single."""
    for child, parent, path in _pairs(jobs):
        if len(child.definitions) == len(parent.definitions) == 1:
            yield child, child.definitions[0], parent, parent.definitions[0], path


@app_rule(
    "warm-start-identical",
    title="a warm start on identical data and algorithm has its parents' input data and image",
    severity=Severity.ERROR,
    reason=(
        "IdenticalDataAndAlgorithm compares the new training jobs with the parents', which holds for the same data "
        "and image only; a new version of the image is allowed where its changes do not affect the algorithm, so "
        "another tag is warned about. Checked against parents that are declared in the same check"
    ),
    source=_WARM_START_PAGE,
    passes=together(
        _FIRST,
        _after("second", "first", _IDENTICAL),
    ),
    fails=together(
        _FIRST,
        _after(
            "second",
            "first",
            _IDENTICAL,
            "training_job_definition: {input_data_config: {train: {s3_uri: 's3://example-data/churn/2026/'}}}",
        ),
    ),
)
def warm_start_identical(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Compare data and images with the parents'."""
    for child, mine, parent, theirs, _ in _single_pairs(jobs):
        if _config(child).text("WarmStartType") != _IDENTICAL:
            continue
        fix = f"take over what {parent.declaration.name} has, or write {child.spell('WarmStartType')}: {_TRANSFER}"
        for member in ("TrainingImage", "AlgorithmName"):
            own, other = mine.algorithm.text(member), theirs.algorithm.text(member)
            if own is None or other is None or own == other or is_unknown(own) or is_unknown(other):
                continue
            same_image = member == "TrainingImage" and repository_and_tag(own)[0] == repository_and_tag(other)[0]
            yield (
                child,
                Problem(
                    mine.algorithm.path(member),
                    f"{child.spell(member)} {'should' if same_image else 'must'} be that of the parent "
                    f"{parent.declaration.name}, {other}, got {own}",
                    fix,
                    Severity.WARNING if same_image else None,
                ),
            )
        own_data, other_data = _channels(mine), _channels(theirs)
        if own_data.keys() != other_data.keys():
            names = " and ".join(sorted(own_data.keys() ^ other_data.keys()))
            yield (
                child,
                Problem(
                    mine.path("InputDataConfig"),
                    f"{child.spell('InputDataConfig')} must have the channels of the parent "
                    f"{parent.declaration.name}, which differ in {names}",
                    fix,
                ),
            )
            continue
        for name, (path, source) in own_data.items():
            other_source = other_data[name][1]
            if source != other_source and not _holds_unknown(source) and not _holds_unknown(other_source):
                yield (
                    child,
                    Problem(
                        path,
                        f"channel {name} must have the data of the parent {parent.declaration.name}, "
                        f"{_shown(other_source)}, got {_shown(source)}",
                        fix,
                    ),
                )


def _channels(definition: Definition) -> dict[str, tuple[Path, dict[str, Any]]]:
    """The data of each channel by its name, as far as it says what the data are."""
    found = {}
    for channel in definition.structures("InputDataConfig"):
        source = channel.structure("DataSource")
        kind = next((name for name in source.raw if source.structure(name).present), "")
        facts = {
            name: value.rstrip("/") if isinstance(value, str) else value
            for name, value in source.structure(kind).raw.items()
            if name in {"S3Uri", "FileSystemId", "DirectoryPath", "DatasetArn"}
        }
        found[channel.text("ChannelName") or ""] = (source.path(kind) if kind else source.place, facts)
    return found


def _holds_unknown(facts: Mapping[str, Any]) -> bool:
    return any(is_unknown(value) for value in facts.values())


def _shown(facts: Mapping[str, Any]) -> str:
    return " ".join(str(value) for value in facts.values()) or "none"


@app_rule(
    "warm-start-objective",
    title="a warm start keeps its parents' objective, hyperparameters and their types",
    severity=Severity.ERROR,
    reason=(
        "both types of warm start ask for the parents' objective metric, for the same number of static and searched "
        f"hyperparameters, for unchanged types, and for at most {_MOST_CHANGES} changes of static values and from "
        "searched to static, each value of a categorical one counted. Parents that are not declared in the same "
        "check cannot be compared: that is said once for each warm start"
    ),
    source=_WARM_START_PAGE,
    passes=together(
        _FIRST,
        _after("second", "first", _TRANSFER),
    ),
    fails=together(
        _FIRST,
        _after(
            "second",
            "first",
            _TRANSFER,
            "training_job_definition: {}, objective: {metric_name: 'validation:error', type: Minimize}",
        ),
    ),
)
def warm_start_objective(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Compare objectives and hyperparameters with the parents'."""
    for child, mine, parent, theirs, path in _single_pairs(jobs):
        yield from ((child, problem) for problem in _objective_changes(child, mine, parent, theirs))
        yield from ((child, problem) for problem in _hyperparameter_changes(mine, parent, theirs, path))
    known = _known(jobs)
    for job in jobs:
        unseen = [name for _, name in _parents(job) if name.lower() not in known]
        # With several algorithms there is no warm start, which warm-start-single says.
        if unseen and not job.several:
            yield (
                job,
                Problem(
                    _config(job).path(_PARENTS),
                    f"the parents of the warm start are known at deployment only and were not compared: "
                    f"{', '.join(unseen)}",
                    "nothing to do; to compare them, check their descriptions together with this declaration",
                    Severity.UNKNOWN,
                ),
            )


def _objective_changes(child: Job, mine: Definition, parent: Job, theirs: Definition) -> Iterator[Problem]:
    for member in ("MetricName", "Type"):
        own, other = mine.objective.text(member), theirs.objective.text(member)
        if own is None or other is None or own == other or is_unknown(own) or is_unknown(other):
            continue
        yield Problem(
            mine.objective.path(member),
            f"{child.spell(member)} of the objective must be that of the parent {parent.declaration.name}, {other}, "
            f"got {own}",
            f"write {child.spell(member)}: {other}, or remove the warm start",
        )
        return


def _hyperparameter_changes(mine: Definition, parent: Job, theirs: Definition, path: Path) -> Iterator[Problem]:
    name = parent.declaration.name
    kinds, old_kinds = ({found.name: found.kind for found in one.ranges} for one in (mine, theirs))
    for searched in mine.ranges:
        old = old_kinds.get(searched.name)
        # Autotune turns its parameters into ranges of a kind that only the service knows.
        if old is not None and "Auto" not in {old, searched.kind} and old != searched.kind:
            yield Problem(
                searched.place,
                f"{searched.name} must be of its type in the parent {name}, {old}, got {searched.kind}",
                f"declare the range of {searched.name} as {old}",
            )
    count, old_count = len(kinds.keys() | mine.static.keys()), len(old_kinds.keys() | theirs.static.keys())
    if count != old_count:
        yield Problem(
            path,
            f"static and searched hyperparameters together must be as many as in the parent {name}, {old_count}, "
            f"got {count}",
            "declare the same hyperparameters as the parent, as a range or as a static value",
        )
    changes = _count_changes(mine, theirs)
    if changes > _MOST_CHANGES:
        yield Problem(
            path,
            f"at most {_MOST_CHANGES} changes of static values and from searched to static are allowed from the "
            f"parent {name}, got {changes}, each value of a categorical hyperparameter counted",
            "keep more of the parent's static values and ranges",
        )


def _count_changes(mine: Definition, theirs: Definition) -> int:
    """The changes that the guide limits: those from searched to static, and those of static values."""
    from_searched = sum(
        max(1, len(found.values)) if found.kind == "Categorical" else 1
        for found in theirs.ranges
        if found.name in mine.static
    )
    of_values = 0
    for name, value in mine.static.items():
        old = theirs.static.get(name)
        if old is not None and old != value and not is_unknown(old) and not is_unknown(value):
            number, old_number = parse_number(value), parse_number(old)
            # From `red` to `blue` are two values of a categorical hyperparameter; a number is one change.
            if number is None or old_number is None:
                of_values += 2
            elif number != old_number:
                of_values += 1
    return from_searched + of_values


@app_rule(
    "warm-start-not-recursive",
    title="a warm start names its parents' parents, too, where it is to learn from them",
    severity=Severity.WARNING,
    reason=(
        "a warm start is not recursive: what a parent took from its own parents is not used unless they are named "
        "as well. Checked against parents that are declared in the same check"
    ),
    source=_WARM_START_PAGE,
    passes=together(
        _FIRST,
        _after("second", "first", _TRANSFER),
    ),
    fails=together(
        _FIRST,
        _after("second", "first", _TRANSFER),
        _after("third", "second", _TRANSFER),
    ),
)
def warm_start_not_recursive(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Look for parents of parents that are not named."""
    for child, parent, path in _pairs(jobs):
        named = {name.lower() for _, name in _parents(child)} | {child.declaration.name.lower()}
        unnamed = [name for _, name in _parents(parent) if name.lower() not in named]
        if unnamed:
            names = ", ".join(unnamed)
            yield (
                child,
                Problem(
                    path,
                    f"what {parent.declaration.name} took from {names} is not used: a warm start is not recursive",
                    f"add {names} to {child.spell(_PARENTS)}",
                ),
            )


@app_rule(
    "warm-start-counts",
    title="the training jobs of a warm start and of all its parents are within the quota",
    severity=Severity.QUOTA,
    reason=(
        "the training jobs that the parents have launched count against the new tuning job's limit of training jobs. "
        "Of a parent that is declared in the same check, the number that it may launch is taken"
    ),
    source=_WARM_START_PAGE,
    passes=together(
        _FIRST,
        _after("second", "first", _TRANSFER),
        quotas={"training_jobs": 40},
    ),
    fails=together(
        _FIRST,
        _after("second", "first", _TRANSFER),
        quotas={"training_jobs": 39},
    ),
)
def warm_start_counts(jobs: list[Job]) -> Iterator[tuple[Job, Problem]]:
    """Add up the training jobs of parents and child."""
    of_parents: dict[int, int] = {}
    children: dict[int, Job] = {}
    for child, parent, _ in _pairs(jobs):
        children[id(child)] = child
        of_parents[id(child)] = of_parents.get(id(child), 0) + (parent.limits.whole("MaxNumberOfTrainingJobs") or 0)
    for key, child in children.items():
        own, quota = child.limits.whole("MaxNumberOfTrainingJobs"), child.quotas.training_jobs
        # A number above the quota by itself is the finding of total-training-jobs.
        if own is None or own > quota or own + of_parents[key] <= quota:
            continue
        spelled = child.spell("MaxNumberOfTrainingJobs")
        total = own + of_parents[key]
        room = quota - of_parents[key]
        action = f"lower {spelled} to {room} or less" if room >= 1 else "name fewer parents"
        yield (
            child,
            Problem(
                child.limits.path("MaxNumberOfTrainingJobs"),
                f"{spelled} and the training jobs of the parents must be at most {quota:,} together, the account's "
                f"quota, got {own:,} + {of_parents[key]:,} = {total:,}",
                quota_fix(action, "training_jobs", total),
            ),
        )
