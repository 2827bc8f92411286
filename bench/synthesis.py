"""What a tuning job costs at synthesis, beside the same resources written by hand as L1 constructs.

A template has 200 outputs at most, two for each job, so that jobs are spread over stacks of 100. The CDK's built-in
validation of templates, which takes the same time for both, is off.
"""

from __future__ import annotations

import json
import re
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
# The first job, all that is defined after it, the synthesis.
_END: Final = """\
times.append(time.perf_counter())
first, others, synthesis = (after - before for before, after in zip(times, times[1:]))
print(json.dumps({"import": imported - begin, "first": first, "others": others, "synthesis": synthesis}))
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
    times = [time.perf_counter()]
    for n, spec in enumerate(specs):
        if n % given["of_stack"] == 0:
            stack = Stack(app, f"Bench{{n // given['of_stack']}}", suppress_template_indentation=True)
        TuningJob(stack, f"Job{{n}}", spec=spec)
        if n == 0:
            times.append(time.perf_counter())
    times.append(time.perf_counter())
    app.synth()
    return times
if given["warm"]:
    build(given["out"] + "-warm", specs[:1])
times = build(given["out"], specs)
{_END}"""
# The same resources with typed L1 constructs: nothing is computed.
BARE: Final = f"""{_BEGIN}
from aws_cdk import App, Aws, CfnOutput, CfnResource, Fn, Stack
from aws_cdk import aws_events as events, aws_iam as iam, aws_stepfunctions as sfn
imported = time.perf_counter()
same = json.load(open(given["same"]))
app = App(outdir=given["out"])
role, definition = same["role"], same["definition"]
for name, token in {{"AccountId": Aws.ACCOUNT_ID, "Partition": Aws.PARTITION, "Region": Aws.REGION}}.items():
    definition = definition.replace(f"${{{{AWS::{{name}}}}}}", token)
def grown(stack, growing):
    for name, resource in growing.items():
        kind, properties = resource["Type"], resource["Properties"]
        if kind == "AWS::Events::Rule":
            (rule,) = properties["Targets"]
            target = events.CfnRule.TargetProperty(id=rule["Id"], arn=Fn.ref(rule["Arn"]["Ref"]))
            events.CfnRule(stack, name, event_pattern=properties["EventPattern"], targets=[target])
        elif kind == "AWS::IAM::ManagedPolicy":
            iam.CfnManagedPolicy(stack, name, policy_document=properties["PolicyDocument"],
                                 description=properties["Description"], roles=[Fn.ref(properties["Roles"][0]["Ref"])])
        elif kind == "AWS::StepFunctions::StateMachine":
            text = Fn.sub(properties["DefinitionString"]["Fn::Sub"])
            sfn.CfnStateMachine(stack, name, role_arn=Fn.get_att(*properties["RoleArn"]["Fn::GetAtt"]).to_string(),
                                definition_string=text)
        elif kind == "AWS::IAM::Policy":
            iam.CfnPolicy(stack, name, policy_document=properties["PolicyDocument"],
                          policy_name=properties["PolicyName"], roles=[Fn.ref(properties["Roles"][0]["Ref"])])
        else:
            CfnResource(stack, name, type=kind, properties=properties)
times = [time.perf_counter()]
for n in range(given["jobs"]):
    if n % given["of_stack"] == 0:
        stack = Stack(app, f"Bench{{n // given['of_stack']}}", suppress_template_indentation=True)
        shared = iam.CfnRole(stack, "Shared", assume_role_policy_document=role["AssumeRolePolicyDocument"])
        common = iam.CfnManagedPolicy(stack, "Common", policy_document=same["common"]).ref
        for name, resource in same["shared"].items():
            CfnResource(stack, name, type=resource["Type"], properties=resource.get("Properties"))
    training = iam.CfnRole(stack, f"Role{{n}}", assume_role_policy_document=role["AssumeRolePolicyDocument"],
                           description=role.get("Description"), managed_policy_arns=[common], policies=[
        iam.CfnRole.PolicyProperty(policy_name=p["PolicyName"], policy_document=p["PolicyDocument"])
        for p in role["Policies"]])
    text = definition.replace("@TrainingRole@", training.attr_arn).replace("@Function@", shared.attr_arn)
    machine = sfn.CfnStateMachine(stack, f"Machine{{n}}", role_arn=shared.attr_arn, definition_string=text)
    CfnOutput(stack, f"Arn{{n}}", value=machine.ref)
    CfnOutput(stack, f"Prefix{{n}}", value=f"/hpo/Bench/job-{{n}}/")
    if n == 0:
        times.append(time.perf_counter())
    if (n + 1) % given["of_stack"] == 0 or n + 1 == given["jobs"]:
        grown(stack, same["growing"][n // given["of_stack"]])
times.append(time.perf_counter())
app.synth()
{_END}"""
# A whole template with as little as the CDK can be asked to do: what the shared part of a stack costs at the least.
PLAIN: Final = f"""{_BEGIN}
from aws_cdk import App, CfnResource, Stack
imported = time.perf_counter()
template = json.load(open(given["plain"]))
app = App(outdir=given["out"])
times = [time.perf_counter()]
stack = Stack(app, "Bench0", suppress_template_indentation=True)
for name, resource in template["Resources"].items():
    CfnResource(stack, name, type=resource["Type"], properties=resource.get("Properties"))
times += [time.perf_counter()] * 2
app.synth()
{_END}"""


class Assemblies:
    """Runs of the programs, each into a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made = 0

    def ours(self, jobs: int, *, warm: bool = False) -> dict[str, float]:
        """Seconds of `import`, of the `first` job, of the `others` and of `synthesis` with our constructs.

        Args:
            jobs: How many jobs.
            warm: Whether to measure after another app in the same process.
        """
        return self._run(OURS, jobs, warm=warm)

    def bare(self, jobs: int) -> dict[str, float]:
        """The same resources with typed L1 constructs; `learn` comes before."""
        return self._run(BARE, jobs, same=str(self._folder / f"same-{jobs}.json"))

    def plain(self, jobs: int) -> dict[str, float]:
        """The resources of one job's template with `CfnResource`."""
        return self._run(PLAIN, jobs, plain=str(self._folder / "plain.json"))

    def learn(self, *sizes: int) -> None:
        """Take the resources of so many jobs out of our own templates, for the alternatives."""
        for jobs in (1, *sizes):
            self.ours(jobs)
            templates = self.templates()
            same = {
                **of_one_job(templates[0]),
                "shared": shared_resources(templates[0]),
                "growing": [growing_resources(template) for template in templates],
            }
            self._write(f"same-{jobs}.json", same)
            if jobs == 1:
                self._write("plain.json", templates[0])

    def templates(self) -> list[dict[str, Any]]:
        """The templates of the latest run."""
        return [json.loads(file.read_text()) for file in self.files()]

    def files(self) -> list[Path]:
        """Their files."""
        return sorted(self._out.glob("*.template.json"))

    @property
    def _out(self) -> Path:
        return self._folder / f"out-{self._made}"

    def _run(self, program: str, jobs: int, **more: Any) -> dict[str, float]:
        self._made += 1
        given = {"template": str(_TEMPLATE), "of_stack": _JOBS_OF_STACK, "jobs": jobs, "out": str(self._out), **more}
        measured: dict[str, float] = figures(program, json.dumps(given), CDK_VALIDATION="false")
        return measured

    def _write(self, name: str, content: Any) -> None:
        (self._folder / name).write_text(json.dumps(content))


def of_one_job(template: Mapping[str, Any]) -> dict[str, Any]:
    """The training role, its common policy and the state machine's definition of the first job."""
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
            case {"Ref": name} if name.startswith("AWS::"):
                return f"${{{name}}}"
            case str():
                return value
        raise ValueError(f"{value!r} in the state machine's definition is not known to the bench")

    role = one("AWS::IAM::Role")
    (common,) = [arn["Ref"] for arn in role["ManagedPolicyArns"]]
    return {
        "role": role,
        "common": resources[common]["Properties"]["PolicyDocument"],
        "definition": text(one("AWS::StepFunctions::StateMachine")["DefinitionString"]),
    }


def growing_resources(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What every further job of a stack adds to: permissions, the guard, and what stops the runs at the end.

    Its references to jobs have the names of the L1 program.
    """
    growing = {name: resource for name, resource in template["Resources"].items() if _grows(name, resource)}
    text = json.dumps(growing)
    for ours, theirs in (
        (r"Job(\d+)StateMachine[0-9A-F]{8}", r"Machine\1"),
        (r"Job(\d+)TrainingRole[0-9A-F]{8}", r"Role\1"),
    ):
        text = re.sub(ours, theirs, text)
    renamed: dict[str, dict[str, Any]] = json.loads(text)
    return renamed


def shared_resources(template: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What the jobs of a stack share besides: the functions, their log group and the roles.

    The training roles' common policy, the one managed policy among them, is of `of_one_job`.
    """
    return {
        name: resource
        for name, resource in template["Resources"].items()
        if not name.startswith("Job") and not _grows(name, resource) and resource["Type"] != "AWS::IAM::ManagedPolicy"
    }


def _grows(name: str, resource: Mapping[str, Any]) -> bool:
    match resource["Type"]:
        case "AWS::Events::Rule" | "Custom::HyperparameterTuningRuns":
            return True
        case "AWS::IAM::ManagedPolicy" | "AWS::IAM::Policy":
            # The training roles' common policy names no role.
            return bool(resource["Properties"].get("Roles"))
        case "AWS::StepFunctions::StateMachine":
            return not name.startswith("Job")
    return False


def rows(*, full: bool) -> Iterator[Row]:
    """The rows about synthesis."""
    with tempfile.TemporaryDirectory() as name:
        assemblies = Assemblies(Path(name))
        yield from _times(assemblies, full=full)
        yield from _sizes(assemblies)


def _times(assemblies: Assemblies, *, full: bool) -> Iterator[Row]:
    # The fewer the jobs, the more the noise of a run counts in what one of them takes.
    rounds = {1: 25, 10: 25, 100: 9, 300: 9} if full else {1: 9, 10: 9, 100: 5}
    sizes = tuple(rounds)
    assemblies.learn(*sizes[1:])
    found: dict[tuple[str, int], dict[str, float]] = {}
    for jobs in sizes:
        progress(f"{jobs} jobs, in turns with L1 constructs")
        runs: dict[str, Callable[[], dict[str, float]]] = {
            "ours": partial(assemblies.ours, jobs),
            "bare": partial(assemblies.bare, jobs),
        }
        if jobs == 1:
            runs["plain"] = partial(assemblies.plain, jobs)
        for name, measured in in_turns(runs, rounds[jobs]).items():
            found[name, jobs] = {kind: min(run[kind] for run in measured) for kind in measured[0]}

    def row(case: str, of: Callable[[str], float], other: str, **more: Any) -> Row:
        label = {"bare": "L1 constructs", "plain": "CfnResource"}[other]
        return row_of("synthesis", case, of("ours"), "s", other=of(other), other_name=label, **more)

    yield row(
        "import", lambda name: found[name, 1]["import"], "bare", note="aws_cdk with the three modules that it needs"
    )
    yield row(
        "first job",
        lambda name: found[name, 1]["first"] + found[name, 1]["synthesis"],
        "plain",
        note="the whole stack's resources, given; nothing is checked or computed",
    )
    for jobs in sizes[1:]:

        def marginal(name: str, jobs: int = jobs) -> float:
            more, one = found[name, jobs], found[name, 1]
            return sum(more[part] - one[part] for part in ("others", "synthesis")) / (jobs - 1)

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
    yield row_of(
        "synthesis",
        "resources of a further job",
        further,
        "resources",
        other=2,
        other_name="its role and machine",
        note="the rest is its share of the functions' policies and of the guard's rules",
    )
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
        note="each with its whole definition",
    )
