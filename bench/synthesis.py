"""What a tuning job costs at synthesis, beside the same resources written by hand as L1 constructs.

A stack holds 500 resources and a template 1 MB, so that jobs are spread over stacks of 100. The CDK's built-in
validation of templates, which takes the same time for both, is off.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from ._common import ROOT, Aim, Row, figures, in_turns, progress, row_of

_TEMPLATE: Final = ROOT / "examples/single/breast-cancer.yaml"
_JOBS_OF_STACK: Final = 100
# https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
_RESOURCES_OF_STACK: Final = 500
_BYTES_OF_TEMPLATE: Final = 1_000_000

_BEGIN: Final = """\
import json, sys, time
given = json.loads(sys.argv[1])
begin = time.perf_counter()
"""
# The declarations are read before the first construct: reading YAML is the check's matter.
OURS: Final = f"""{_BEGIN}
from dataclasses import replace
from aws_cdk import App, Stack
from hpo_constructs.cdk import TuningJob
from hpo_constructs.documents import read
imported = time.perf_counter()
(declared,) = read(given["template"])
specs = [replace(declared, request={{**declared.request, "HyperParameterTuningJobName": f"job-{{n}}"}})
         for n in range(given["jobs"])]
quotas = {{"instances_total": 10**6, "instances_per_type": 10**6, "concurrent_tuning_jobs": 10**6}}
def build(out, specs):
    app = App(outdir=out, context={{"hpo:quotas": quotas}})
    begin = time.perf_counter()
    for n, spec in enumerate(specs):
        if n % given["of_stack"] == 0:
            stack = Stack(app, f"Bench{{n // given['of_stack']}}", suppress_template_indentation=True)
        TuningJob(stack, f"Job{{n}}", spec=spec)
    app.synth()
    return begin
if given["warm"]:
    build(given["out"] + "-warm", specs[:1])
first = build(given["out"], specs)
print(json.dumps({{"import": imported - begin, "build": time.perf_counter() - first}}))
"""
# The resources of one job as they stand in our own template, with typed L1 constructs: nothing is computed.
BARE: Final = f"""{_BEGIN}
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_iam as iam, aws_stepfunctions as sfn
imported = time.perf_counter()
of_job = json.load(open(given["job"]))
app = App(outdir=given["out"])
first = time.perf_counter()
role = of_job["role"]
for n in range(given["jobs"]):
    if n % given["of_stack"] == 0:
        stack = Stack(app, f"Bench{{n // given['of_stack']}}", suppress_template_indentation=True)
        shared = iam.CfnRole(stack, "Shared", assume_role_policy_document=role["AssumeRolePolicyDocument"])
    training = iam.CfnRole(stack, f"Role{{n}}", assume_role_policy_document=role["AssumeRolePolicyDocument"],
                           description=role.get("Description"), policies=[
        iam.CfnRole.PolicyProperty(policy_name=p["PolicyName"], policy_document=p["PolicyDocument"])
        for p in role["Policies"]])
    text = of_job["definition"].replace("@TrainingRole@", training.attr_arn).replace("@Function@", shared.attr_arn)
    machine = sfn.CfnStateMachine(stack, f"Machine{{n}}", role_arn=shared.attr_arn, definition_string=text)
    CfnOutput(stack, f"Arn{{n}}", value=machine.ref)
    CfnOutput(stack, f"Prefix{{n}}", value=f"/hpo/Bench/job-{{n}}/")
app.synth()
print(json.dumps({{"import": imported - begin, "build": time.perf_counter() - first}}))
"""
# A whole template with as little as the CDK can be asked to do: what the shared part of a stack costs at the least.
PLAIN: Final = f"""{_BEGIN}
from aws_cdk import App, CfnResource, Stack
imported = time.perf_counter()
template = json.load(open(given["plain"]))
app = App(outdir=given["out"])
first = time.perf_counter()
stack = Stack(app, "Bench0", suppress_template_indentation=True)
for name, resource in template["Resources"].items():
    CfnResource(stack, name, type=resource["Type"], properties=resource.get("Properties"))
app.synth()
print(json.dumps({{"import": imported - begin, "build": time.perf_counter() - first}}))
"""


class Assemblies:
    """Runs of the programs, each into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0
        self._given: dict[str, Any] = {"template": str(_TEMPLATE), "of_stack": _JOBS_OF_STACK}

    def ours(self, jobs: int, *, warm: bool = False) -> dict[str, float]:
        """Seconds of `import` and of `build` with our constructs; warm after another app in the same process."""
        return self._run(OURS, jobs, warm=warm)

    def bare(self, jobs: int) -> dict[str, float]:
        """The same with typed L1 constructs."""
        return self._run(BARE, jobs)

    def plain(self, jobs: int) -> dict[str, float]:
        """The same with `CfnResource`, for the template of one job."""
        return self._run(PLAIN, jobs)

    def learn(self) -> None:
        """Take the resources of one job out of our own template, for the alternatives."""
        self.ours(1)
        (template,) = self.templates()
        self._given |= {"plain": str(self._write("plain.json", template))}
        self._given |= {"job": str(self._write("job.json", of_one_job(template)))}

    def templates(self) -> list[dict[str, Any]]:
        """The templates of the latest run."""
        return [json.loads(file.read_text()) for file in self.files()]

    def files(self) -> list[Path]:
        """Their files."""
        return sorted(self._out.glob("*.template.json"))

    @property
    def _out(self) -> Path:
        return self._folder / f"out-{self._made}"

    def _run(self, program: str, jobs: int, *, warm: bool = False) -> dict[str, float]:
        self._made += 1
        given = {**self._given, "jobs": jobs, "out": str(self._out), "warm": warm}
        measured: dict[str, float] = figures(program, json.dumps(given), CDK_VALIDATION="false")
        return measured

    def _write(self, name: str, content: Any) -> Path:
        file = self._folder / name
        file.write_text(json.dumps(content))
        return file


def of_one_job(template: Mapping[str, Any]) -> dict[str, Any]:
    """The training role and the state machine's definition of the first job, without references."""
    resources = template["Resources"]

    def one(kind: str) -> dict[str, Any]:
        found = [each["Properties"] for name, each in resources.items() if name[:4] == "Job0" and each["Type"] == kind]
        (properties,) = found
        return dict(properties)

    def text(value: Any) -> str:
        match value:
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(text(part) for part in parts)
            case {"Fn::FindInMap": [mapping, top, second]}:
                return text(template["Mappings"][mapping][top][second])
            case {"Fn::GetAtt": [name, _]}:
                return "@TrainingRole@" if name.startswith("Job0") else "@Function@"
            case {"Ref": name}:
                return f"${{{name}}}"
            case str():
                return value
        raise ValueError(f"{value!r} in the state machine's definition is not known to the bench")

    return {
        "role": one("AWS::IAM::Role"),
        "definition": text(one("AWS::StepFunctions::StateMachine")["DefinitionString"]),
    }


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about synthesis."""
    with tempfile.TemporaryDirectory() as name:
        assemblies = Assemblies(Path(name))
        assemblies.learn()
        yield from _times(assemblies, full=full)
        yield from _sizes(assemblies)


def _times(assemblies: Assemblies, *, full: bool) -> Iterator[Row]:
    sizes, rounds = ((1, 10, 100, 300), 5) if full else ((1, 10, 100), 3)
    found: dict[tuple[str, int], dict[str, float]] = {}
    for jobs in sizes:
        progress(f"{jobs} jobs, in turns with L1 constructs")
        runs: dict[str, Callable[[], dict[str, float]]] = {
            "ours": partial(assemblies.ours, jobs),
            "bare": partial(assemblies.bare, jobs),
        }
        if jobs == 1:
            runs["plain"] = partial(assemblies.plain, jobs)
        for name, measured in in_turns(runs, rounds).items():
            found[name, jobs] = {kind: min(run[kind] for run in measured) for kind in measured[0]}

    def row(case: str, of: Callable[[str], float], other: str, **more: Any) -> Row:
        label = {"bare": "L1 constructs", "plain": "CfnResource"}[other]
        return row_of("synthesis", case, of("ours"), "s", other=of(other), other_name=label, **more)

    yield row(
        "import", lambda name: found[name, 1]["import"], "bare", note="aws_cdk with the two modules that it needs"
    )
    yield row(
        "first job",
        lambda name: found[name, 1]["build"],
        "plain",
        note="the whole stack's resources, given; nothing is checked or computed",
    )
    for jobs in sizes[1:]:

        def marginal(name: str, jobs: int = jobs) -> float:
            return (found[name, jobs]["build"] - found[name, 1]["build"]) / (jobs - 1)

        yield row(f"a further job, {jobs} jobs", marginal, "bare", aim=Aim("ratio", "<=", 1.5))


def _sizes(assemblies: Assemblies) -> Iterator[Row]:
    progress(f"sizes of {_JOBS_OF_STACK} jobs")
    assemblies.ours(1)
    (one,) = assemblies.templates()
    assemblies.ours(_JOBS_OF_STACK)
    (many,), (file,) = assemblies.templates(), assemblies.files()
    ours, size = len(many["Resources"]), file.stat().st_size
    further = (ours - len(one["Resources"])) / (_JOBS_OF_STACK - 1)
    assemblies.bare(_JOBS_OF_STACK)
    (bare_file,) = assemblies.files()
    yield row_of("synthesis", "resources of a further job", further, "resources", other=2, other_name="L1 constructs")
    yield row_of(
        "synthesis",
        f"resources of {_JOBS_OF_STACK} jobs",
        ours,
        "resources",
        other=_RESOURCES_OF_STACK,
        other_name="CloudFormation's limit",
        aim=Aim("ratio", "<=", 1),
    )
    yield row_of(
        "synthesis",
        f"bytes of a template of {_JOBS_OF_STACK} jobs",
        size,
        "B",
        other=_BYTES_OF_TEMPLATE,
        other_name="CloudFormation's limit",
        aim=Aim("ratio", "<=", 1),
        note="not indented",
    )
    yield row_of(
        "synthesis",
        f"bytes of a template of {_JOBS_OF_STACK} jobs",
        size,
        "B",
        other=bare_file.stat().st_size,
        other_name="L1 constructs",
        note="which leave out the functions' permissions",
    )
