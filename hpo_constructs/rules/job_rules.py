"""Rules about the job as a whole: its name, its definitions and their objectives, its tags."""

import re
from collections.abc import Iterator

from .finding import Severity
from .job import Job, is_unknown
from .registry import API, GUIDE, Example, Problem, rule

_NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*")
NAME_LENGTH = 32


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
