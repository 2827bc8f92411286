"""What a check costs, beside what people do today: synthesize and lint, or validate the request with botocore."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from hpo_constructs.documents import read
from hpo_constructs.rules.examples import SINGLE

from ._common import BIN, Aim, Row, Sample, in_turns, progress, row_of, seconds

_JOBS: Final = 1000
# `cdk synth` gets as many as a stack holds.
_JOBS_OF_STACK: Final = 100
_BOTOCORE: Final = """\
import json, sys, botocore.session
from botocore.validate import ParamValidator
model = botocore.session.get_session().get_service_model("sagemaker")
shape = model.operation_model("CreateHyperParameterTuningJob").input_shape
for request in json.load(open(sys.argv[1])):
    assert not ParamValidator().validate(request, shape).has_errors()
"""


def write_templates(folder: Path, jobs: int) -> None:
    """Write templates without a finding, given the quotas of `write_quotas`."""
    folder.mkdir()
    for number in range(jobs):
        job = SINGLE.replace("name: churn", f"name: churn-{number}")
        job = job.replace("max_parallel_training_jobs: 2", "max_parallel_training_jobs: 1")
        (folder / f"{number:04}.yaml").write_text(job, encoding="utf-8")


def quotas(jobs: int) -> dict[str, int]:
    """What so many of these templates need of an account together."""
    return {"concurrent_tuning_jobs": jobs, "instances_per_type": 2 * jobs, "instances_total": 2 * jobs}


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about checking."""
    with tempfile.TemporaryDirectory() as name:
        yield from _measured(Path(name), full=full)


def _measured(folder: Path, *, full: bool) -> Iterator[Row]:
    template, request = folder / "churn.yaml", folder / "request.json"
    template.write_text(SINGLE, encoding="utf-8")
    request.write_text(json.dumps([read(template)[0].request]), encoding="utf-8")
    hpo, cdk, lint = (str(BIN / program) for program in ("hpo", "cdk", "cfn-lint"))
    python = str(BIN / "python")
    _synthesize(cdk, python, template, folder)
    (stack,) = (folder / "cdk.out").glob("*.template.json")

    progress("one template, in turns with cdk synth, cfn-lint and botocore")
    cold: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds([hpo, "check", str(template)], cwd=folder),
        "cdk synth -q": lambda: _synthesize(cdk, python, template, folder),
        "cfn-lint": lambda: seconds([lint, str(stack)], cwd=folder),
        "botocore": lambda: seconds([python, "-c", _BOTOCORE, str(request)], cwd=folder),
    }
    measured = {name: Sample(tuple(runs)) for name, runs in in_turns(cold, 7 if full else 3).items()}
    names = {
        "cdk synth -q": ("cdk synth -q", "runs the same rules, and makes the stack"),
        "cfn-lint": ("cfn-lint of the stack", "knows the stack, not the tuning job in it"),
        "botocore": ("botocore's validator", "knows types and required members only"),
    }
    for other, (label, note) in names.items():
        aim = Aim("ratio", "<=", 0.1) if other == "cdk synth -q" else None
        yield row_of(
            "check",
            "one template, cold",
            measured["ours"].best,
            "s",
            other=measured[other].best,
            other_name=label,
            aim=aim,
            note=note,
        )

    progress(f"{_JOBS:,} templates, in turns with botocore")
    write_templates(folder / "many", _JOBS)
    (folder / "quotas.json").write_text(json.dumps(quotas(_JOBS)))
    many = [document.request for file in sorted((folder / "many").iterdir()) for document in read(file)]
    (folder / "requests.json").write_text(json.dumps(many))
    check_many = [hpo, "check", "--quotas", str(folder / "quotas.json")]
    warm: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds([*check_many, str(folder / "many")], cwd=folder),
        "botocore": lambda: seconds([python, "-c", _BOTOCORE, str(folder / "requests.json")], cwd=folder),
    }
    measured = {name: Sample(tuple(runs)) for name, runs in in_turns(warm, 5 if full else 2).items()}
    yield row_of(
        "check",
        f"{_JOBS:,} templates in one call",
        measured["ours"].best,
        "s",
        other=measured["botocore"].best,
        other_name="botocore's validator",
        aim=Aim("ours", "<=", 2.0),
        note="reads JSON where the check reads YAML",
    )
    progress(f"{_JOBS_OF_STACK} templates, in turns with cdk synth and cfn-lint")
    write_templates(folder / "stack", _JOBS_OF_STACK)
    (folder / "cdk.json").write_text(json.dumps({"context": {"hpo:quotas": quotas(_JOBS)}}))
    of_stack: dict[str, Callable[[], float]] = {
        "ours": lambda: seconds([*check_many, str(folder / "stack")], cwd=folder),
        "cdk synth -q": lambda: _synthesize(cdk, python, folder / "stack", folder),
        "cfn-lint": lambda: seconds([lint, str(stack)], cwd=folder),
    }
    # The stack is there from the first round on: synthesis comes before the lint.
    measured = {name: Sample(tuple(runs)) for name, runs in in_turns(of_stack, 3 if full else 1).items()}
    for other in ("cdk synth -q", "cfn-lint"):
        label, note = names[other]
        yield row_of(
            "check",
            f"{_JOBS_OF_STACK} templates in one call",
            measured["ours"].best,
            "s",
            other=measured[other].best,
            other_name=label,
            aim=Aim("ratio", "<=", 0.1) if other == "cdk synth -q" else None,
            note=note,
        )


def _synthesize(cdk: str, python: str, templates: Path, folder: Path) -> float:
    """Seconds of `cdk synth -q` of a template or a folder of them; nothing goes to the network."""
    app = f"{python} -m hpo_constructs.stacks {templates}"
    command = [cdk, "synth", "-q", "--no-notices", "--no-version-reporting", "--app", app]
    return seconds(command, cwd=folder, CDK_DISABLE_CLI_TELEMETRY="true")
