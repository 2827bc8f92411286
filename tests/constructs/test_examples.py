"""Every example: it has no errors, synthesizes, and gives security checkers and linters nothing to say."""

import json
import runpy
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]
from cfnlint.core import get_rules  # type: ignore[import-untyped]

from hpo_constructs import check
from hpo_constructs.documents import read

EXAMPLES = Path(__file__).parents[2] / "examples"
TEMPLATES = sorted(path for path in EXAMPLES.glob("*/*.yaml"))
# Scenarios that a team looks for.
FOLDERS = {
    "gitops",
    "grid",
    "hyperband",
    "lightgbm",
    "marketplace",
    "multi",
    "own-container",
    "single",
    "spot",
    "vpc",
    "warm-start",
}


@dataclass(frozen=True)
class Assembly:
    """A synthesized app.

    Attributes:
        templates: The stacks' templates by file name.
        findings: What the validation plugins report, as plugin, rule and construct paths.
    """

    templates: dict[str, dict[str, Any]]
    findings: list[tuple[str, str, str, tuple[str, ...]]]


def assembled(app: Any, folder: Path) -> Assembly:
    """An app's assembly, cdk-nag's pack for AWS solutions asked as well."""
    from aws_cdk import Validations
    from cdk_nag import AwsSolutionsChecks

    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    try:
        app.synth()
    except RuntimeError as error:
        assert "ValidationFailed" in str(error), error
    report = json.loads((folder / "validation-report.json").read_text())
    return Assembly(
        {
            str(file.relative_to(folder)): json.loads(file.read_text())
            for file in sorted(folder.rglob("*.template.json"))
        },
        [
            (
                each["pluginName"],
                found["ruleName"],
                found["severity"],
                tuple(c["constructPath"] for c in found["violatingConstructs"]),
            )
            for each in report["pluginReports"]
            for found in each["violations"]
        ],
    )


@pytest.fixture(scope="module")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Assembly]]:
    """One app with a stack for each template, and the example apps as they are."""
    from aws_cdk import App

    from hpo_constructs.stacks import TuningStack

    folder = tmp_path_factory.mktemp("templates")
    # All examples at once, which nobody's account has to hold.
    app = App(outdir=str(folder), context={"hpo:quotas": {"instances_total": 100, "instances_per_type": 100}})
    for path in TEMPLATES:
        # Its own app states the values of this one.
        if path.parent.name != "vpc":
            TuningStack(app, f"{path.parent.name}-{path.stem}", templates=path)
    found = {"templates": assembled(app, folder)}
    with pytest.MonkeyPatch.context() as patch:
        for program in sorted(EXAMPLES.glob("*/app.py")):
            folder = tmp_path_factory.mktemp(program.parent.name)
            context = json.loads(file.read_text())["context"] if (file := program.parent / "cdk.json").exists() else {}
            with patch.context() as during:
                during.setattr("aws_cdk.App", partial(App, outdir=str(folder), context=context))
                during.setattr(App, "synth", lambda self: None)
                app = runpy.run_path(str(program))["app"]
            found[program.parent.name] = assembled(app, folder)
    yield found


def test_every_scenario_has_an_example() -> None:
    assert {path.name for path in EXAMPLES.iterdir() if list(path.rglob("*.yaml"))} == FOLDERS


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_templates_have_no_errors(path: Path) -> None:
    """Nor warnings, but for the one about instances, which a small example has reason for."""
    findings = [finding for finding in check(read(path)) if finding.severity != "unknown"]
    assert {finding.rule for finding in findings} <= {"parallel-within-nodes"}
    assert not [finding for finding in findings if finding.severity.fails]


def test_all_examples_synthesize(assemblies: dict[str, Assembly]) -> None:
    assert set(assemblies) == {"templates", "gitops", "vpc"}
    assert len(assemblies["templates"].templates) == len(TEMPLATES) - 1
    # Two environments, two teams.
    assert len(assemblies["gitops"].templates) == 4
    machines = [
        resource["Type"] == "AWS::StepFunctions::StateMachine"
        for assembly in assemblies.values()
        for template in assembly.templates.values()
        for resource in template["Resources"].values()
    ]
    assert sum(machines) >= len(TEMPLATES) + 6


def test_rules_have_nothing_that_fails(assemblies: dict[str, Assembly]) -> None:
    for assembly in assemblies.values():
        assert [each for each in assembly.findings if each[0] == "hpo" and each[2] == "error"] == []


def test_every_finding_of_cdk_nag_is_acknowledged_with_its_reason(assemblies: dict[str, Assembly]) -> None:
    # The network and bucket of the example for VPCs are not of this library.
    own = [
        (rule, path)
        for assembly in assemblies.values()
        for plugin, rule, _, paths in assembly.findings
        for path in paths
        if plugin == "AwsSolutions" and not path.startswith("MlBase/")
    ]
    assert own == []


def test_what_only_the_deployment_knows_is_acknowledged_as_well(tmp_path: Path, declare: Any) -> None:
    """A prefix that a parameter gives, and a state machine of one's own."""
    from aws_cdk import App, CfnParameter, Stack
    from aws_cdk import aws_stepfunctions as sfn

    from hpo_constructs.cdk import TuningFragment, TuningJob
    from hpo_constructs.spec import TuningJobSpec
    from hpo_constructs.spec.run import RunSettings

    app = App(outdir=str(tmp_path))
    stack = Stack(app, "S")
    team = CfnParameter(stack, "Team").value_as_string
    run = RunSettings(output_prefix=f"/{team}/churn")
    TuningJob(stack, "Churn", spec=TuningJobSpec.from_request(declare.single("churn")), run=run)
    fragment = TuningFragment(stack, "Own", spec=TuningJobSpec.from_request(declare.single("own")))
    fragment.guard(sfn.StateMachine(stack, "Machine", definition_body=sfn.DefinitionBody.from_chainable(fragment)))
    findings = [(rule, *paths) for plugin, rule, _, paths in assembled(app, tmp_path).findings if plugin != "hpo"]
    # The state machine is not of this library.
    assert [each for each in findings if "S/Machine" not in each[1]] == []


def test_cdk_nag_does_look(tmp_path: Path) -> None:
    """Without an acknowledgement the same checks do find something."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_iam as iam

    app = App(outdir=str(tmp_path))
    role = iam.Role(Stack(app, "S"), "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    role.add_to_policy(iam.PolicyStatement(actions=["s3:GetObject"], resources=["arn:aws:s3:::data/*"]))
    rules = [rule for _, rule, _, _ in assembled(app, tmp_path).findings]
    assert rules == ["AwsSolutions-IAM5[Resource::arn:aws:s3:::data/*]"]


def test_cfn_lint_finds_nothing(assemblies: dict[str, Assembly]) -> None:
    rules = get_rules([], [], [])
    for assembly in assemblies.values():
        for name, template in assembly.templates.items():
            if "assembly-Dev" not in name:  # it has less than Prod
                assert [str(match) for match in lint(json.dumps(template), rules=rules)] == [], name


def test_statelint_finds_nothing(assemblies: dict[str, Assembly], tmp_path: Path, synthesized: Any) -> None:
    from .conftest import plain

    files = []
    for example, assembly in assemblies.items():
        for number, template in enumerate(assembly.templates.values()):
            for name, resource in template["Resources"].items():
                if resource["Type"] == "AWS::StepFunctions::StateMachine":
                    file = tmp_path / f"{example}-{number}-{name}.json"
                    file.write_text(plain(resource["Properties"]["DefinitionString"]))
                    files.append(str(file))
    assert files
    result = subprocess.run([sys.executable, "-m", "statelint", *files], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_values_of_the_environment_reach_the_jobs(assemblies: dict[str, Assembly]) -> None:
    """And stages keep theirs apart."""
    for stage, bucket in {"Dev": "example-ml-data-dev", "Prod": "example-ml-data"}.items():
        (template,) = [
            json.dumps(template)
            for name, template in assemblies["gitops"].templates.items()
            if stage in name and "Growth" in name
        ]
        assert f"s3://{bucket}/churn/train/" in template
        assert "DataBucket" not in template


def test_the_bucket_s_key_reaches_the_training_role(assemblies: dict[str, Assembly]) -> None:
    (template,) = [each for name, each in assemblies["vpc"].templates.items() if name.startswith("Tuning")]
    (role,) = [
        each["Properties"]
        for each in template["Resources"].values()
        if each["Type"] == "AWS::IAM::Role" and "Training jobs" in str(each["Properties"].get("Description"))
    ]
    statements = role["Policies"][0]["PolicyDocument"]["Statement"]
    (reading,) = [each for each in statements if each["Action"] == "kms:Decrypt"]
    assert "Key" in json.dumps(reading["Resource"])
