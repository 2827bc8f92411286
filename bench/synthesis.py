"""What a tuning job costs at synthesis and in the deployed functions.

    .venv/bin/python bench/synthesis.py

Synthesis: the time of a further job, beside the same resources written by hand as L1 constructs, and the size of a
stack of 100 jobs. Functions: a cold import with its clients, beside importing boto3 and making the same clients.
Every program starts in its own process, and the quickest of several runs counts: what else the machine does makes runs
slower, never quicker.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hpo_constructs.documents import read

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / "examples/single/breast-cancer.yaml"
JOBS = 100
RUNS = 3
# The services that each function calls.
CLIENTS = {
    "create": ("sagemaker", "ssm", "stepfunctions"),
    "poll": ("sagemaker",),
    "publish": ("sagemaker", "ssm"),
    "stop": ("sagemaker",),
    "cleanup": ("sagemaker", "stepfunctions"),
    "deploy": ("sagemaker", "ssm", "stepfunctions"),
}

# Both programs print the seconds from the first construct to the end of the synthesis.
OURS = """\
import json, sys, time
from dataclasses import replace
from aws_cdk import App, Stack
from hpo_constructs.cdk import TuningJob
from hpo_constructs.documents import read
(declared,) = read(sys.argv[1])
specs = [replace(declared, request={**declared.request, "HyperParameterTuningJobName": f"job-{n}"})
         for n in range(int(sys.argv[2]))]
app = App(outdir=sys.argv[3], context={"hpo:quotas": {"instances_total": 10**6, "instances_per_type": 10**6,
                                                      "concurrent_tuning_jobs": 10**6}})
begin = time.perf_counter()
stack = Stack(app, "Bench", suppress_template_indentation=True)
for n, spec in enumerate(specs):
    TuningJob(stack, f"Job{n}", spec=spec)
app.synth()
print(time.perf_counter() - begin)
"""
# The resources of one job as they stand in our own template, written with typed L1 constructs: nothing is computed.
BARE = """\
import json, sys, time
from aws_cdk import App, CfnOutput, Stack
from aws_cdk import aws_iam as iam, aws_stepfunctions as sfn
of_job = json.load(open(sys.argv[1]))
app = App(outdir=sys.argv[3])
begin = time.perf_counter()
stack = Stack(app, "Bench", suppress_template_indentation=True)
shared = iam.CfnRole(stack, "Shared", assume_role_policy_document=of_job["role"]["AssumeRolePolicyDocument"])
for n in range(int(sys.argv[2])):
    role = of_job["role"]
    training = iam.CfnRole(stack, f"Role{n}", assume_role_policy_document=role["AssumeRolePolicyDocument"],
                           description=role["Description"], policies=[
        iam.CfnRole.PolicyProperty(policy_name=p["PolicyName"], policy_document=p["PolicyDocument"])
        for p in role["Policies"]])
    text = of_job["definition"].replace("@TrainingRole@", training.attr_arn).replace("@Function@", shared.attr_arn)
    machine = sfn.CfnStateMachine(stack, f"Machine{n}", role_arn=shared.attr_arn, definition_string=text)
    CfnOutput(stack, f"Arn{n}", value=machine.ref)
    CfnOutput(stack, f"Prefix{n}", value=f"/hpo/Bench/job-{n}/")
app.synth()
print(time.perf_counter() - begin)
"""
COLD = """\
import sys, time
begin = time.perf_counter()
{imports}
for service in {services!r}:
    {make}
print(time.perf_counter() - begin)
"""


def seconds(program: str, *arguments: str) -> float:
    """What a program prints, at its quickest."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(ROOT / "lambda"),
        "CDK_VALIDATION": "false",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    return min(
        float(
            subprocess.run(
                [sys.executable, "-c", program, *arguments],
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout.splitlines()[-1]
        )
        for _ in range(RUNS)
    )


def of_one_job(template: dict[str, Any]) -> dict[str, Any]:
    """The training role and the state machine's definition of the first job, without references."""
    resources = template["Resources"].values()
    role = next(each["Properties"] for each in resources if "job-0" in str(each["Properties"].get("Description")))
    machine = next(
        each["Properties"]
        for each in resources
        if each["Type"] == "AWS::StepFunctions::StateMachine" and "job-0/" in json.dumps(each["Properties"])
    )

    def text(value: Any) -> str:
        match value:
            case {"Fn::Join": [separator, parts]}:
                return str(separator).join(text(part) for part in parts)
            case {"Fn::FindInMap": [mapping, top, second]}:
                return str(template["Mappings"][mapping][top][second])
            case {"Fn::GetAtt": [name, _]}:
                return "@TrainingRole@" if "TrainingRole" in name else "@Function@"
            case {"Ref": name}:
                return f"${{{name}}}"
        return str(value)

    return {"role": role, "definition": text(machine["DefinitionString"])}


def synthesis(folder: Path, table: Table) -> None:
    """The rows about synthesis."""
    outs = {jobs: folder / f"ours-{jobs}" for jobs in (1, JOBS + 1)}
    ours = {jobs: seconds(OURS, str(TEMPLATE), str(jobs), str(out)) for jobs, out in outs.items()}
    seconds(OURS, str(TEMPLATE), str(JOBS), str(folder / "hundred"))
    file = folder / "hundred/Bench.template.json"
    template = json.loads(file.read_text())
    (folder / "job.json").write_text(json.dumps(of_one_job(template)))
    bare = {jobs: seconds(BARE, str(folder / "job.json"), str(jobs), str(folder / f"bare-{jobs}")) for jobs in ours}
    of_ours, of_bare = ((times[JOBS + 1] - times[1]) / JOBS * 1000 for times in (ours, bare))
    table.add_row("a further job at synthesis", f"{of_ours:.1f} ms")
    table.add_row("the same resources as L1 constructs", f"{of_bare:.1f} ms")
    table.add_row("ratio", f"{of_ours / of_bare:.2f}")
    one = json.loads((outs[1] / "Bench.template.json").read_text())
    count, first = len(template["Resources"]), len(one["Resources"])
    table.add_row(
        f"resources of {JOBS} jobs", f"{count} (500 allowed), {(count - first) / (JOBS - 1):.2f} a further job"
    )
    size = file.stat().st_size
    table.add_row(
        f"template of {JOBS} jobs, not indented",
        f"{size / 1000:.0f} KB (1,000 allowed), {size / JOBS / 1000:.1f} KB a job",
    )


def functions(table: Table) -> None:
    """The rows about the functions."""
    for name, services in CLIENTS.items():
        bare = seconds(COLD.format(imports="import boto3", services=services, make="boto3.client(service)"))
        ours = seconds(
            COLD.format(
                imports=f"import hpo_handlers.{name}\nfrom hpo_handlers.service import client",
                services=services,
                make="client(service)",
            )
        )
        table.add_row(
            f"cold import of {name}, beside boto3 with the same clients",
            f"{ours * 1000:.0f} ms, {bare * 1000:.0f} ms: {(ours / bare - 1) * 100:+.1f} %",
        )


def main() -> None:
    """Measure, and print the table."""
    assert len(read(TEMPLATE)) == 1
    table = Table("what", "measured")
    with tempfile.TemporaryDirectory() as name:
        synthesis(Path(name), table)
    functions(table)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
