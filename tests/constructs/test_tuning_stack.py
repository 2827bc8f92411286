"""`TuningStack`: a team's templates in, a stack out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_constructs.errors import DocumentError, SpecError

# A request, unlike a template, names its role.
ROLE = "arn:aws:iam::123456789012:role/trainer"


def runs(found: Any) -> list[dict[str, Any]]:
    """The state machines that run tuning jobs: a stack has one more that watches them."""
    return [machine for machine in found.definitions() if "Tuning request" in machine["States"]]


def stack_of(templates: Any) -> Any:
    from aws_cdk import App

    from hpo_constructs.stacks import TuningStack

    return TuningStack(App(), "Team", templates=templates)


@pytest.fixture
def folder(tmp_path: Path, declare: Any) -> Path:
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(declare.single("churn-xgboost", RoleArn=ROLE)))
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.yml").write_text(
        yaml.safe_dump_all([declare.single("churn", RoleArn=ROLE), declare.single("fraud-2", RoleArn=ROLE)])
    )
    return tmp_path


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("churn", "Churn"),
        ("churn-xgboost", "ChurnXgboost"),
        ("fraud-2", "Fraud2"),
        ("camelCase", "CamelCase"),
        ("", "TuningJob"),
        ("--", "TuningJob"),
    ],
)
def test_construct_ids(name: str, wanted: str) -> None:
    from hpo_constructs.stacks.tuning_stack import construct_id

    assert construct_id(name) == wanted


def test_every_declaration_of_a_folder_becomes_a_job(folder: Path, synthesized: Any) -> None:
    stack = stack_of(folder)
    assert sorted(stack.jobs) == ["churn", "churn-xgboost", "fraud-2"]
    assert stack.jobs["fraud-2"].node.path == "Team/Fraud2"
    found = synthesized(stack)
    assert len(runs(found)) == 3
    assert found.outputs["Fraud2OutputPrefix"]["Value"] == "/hpo/Team/fraud-2/"


def test_files_and_folders_are_named_together(folder: Path) -> None:
    stack = stack_of([folder / "b.yaml", str(folder / "below")])
    assert list(stack.jobs) == ["churn-xgboost", "churn", "fraud-2"]


def test_a_job_keeps_its_resources_when_others_come(folder: Path, synthesized: Any) -> None:
    alone = synthesized(stack_of(folder / "b.yaml"))
    together = synthesized(stack_of(folder))
    assert set(alone.resources) < set(together.resources)


def test_jobs_of_one_name_do_not_hide_the_findings(folder: Path, declare: Any) -> None:
    (folder / "again.yaml").write_text(yaml.safe_dump(declare.single("Churn-XGBoost")))
    (folder / "and-again.yaml").write_text(yaml.safe_dump(declare.single("churn-xgboost", RoleArn=ROLE)))
    paths = {child.node.id for child in stack_of(folder).node.children}
    assert {"ChurnXgboost", "ChurnXgboost2", "ChurnXGBoost"} <= paths


def test_a_file_that_declares_nothing_is_left_out_loudly(folder: Path) -> None:
    from aws_cdk.assertions import Annotations, Match

    (folder / "images.json").write_text('{"image": "own"}')
    stack = stack_of(folder)
    assert len(stack.jobs) == 3
    found = Annotations.from_stack(stack).find_warning("*", Match.string_like_regexp("left out .*images.json"))
    assert len(found) == 1


def test_a_folder_without_templates(tmp_path: Path) -> None:
    with pytest.raises(DocumentError, match="no file in the folder declares"):
        stack_of(tmp_path)


def test_context_names_the_templates_of_the_app(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.mktemp("out")
    # With the CDK's own validation of the whole template, for once.
    environment = {"CDK_OUTDIR": str(out), "CDK_VALIDATION": "true"}
    result = run_app({**environment, "CDK_CONTEXT_JSON": json.dumps({"hpo:templates": str(folder)})})
    assert result.returncode == 0, result.stderr
    assert (out / "HpoTuning.template.json").exists()


def test_no_template_named() -> None:
    result = run_app({"CDK_CONTEXT_JSON": "{}"})
    assert result.returncode == 2
    assert "hpo:templates" in result.stderr


VALUES = {"DataBucket": "data-dev", "KeyId": "alias/dev"}


@pytest.fixture
def for_environments(tmp_path: Path, declare: Any) -> Path:
    """A template with values of the environment, and texts that only look like ones."""
    request = declare.single(
        InputDataConfig=[declare.channel("train", "s3://${DataBucket}-${AWS::Region}/train/")],
        OutputDataConfig={"S3OutputPath": "s3://${DataBucket}/models/", "KmsKeyId": "${KeyId}"},
        Environment={"CACHE": "${HOME}/cache"},
        RoleArn=ROLE,
    )
    request["Tags"] = [{"Key": "team", "Value": "own"}]
    (tmp_path / "churn.yaml").write_text(yaml.safe_dump(request))
    return tmp_path


def deployed(found: Any) -> dict[str, Any]:
    (machine,) = runs(found)
    return dict(machine["States"]["Tuning request"]["Result"]["Request"])


def test_values_of_the_environment(for_environments: Path, synthesized: Any) -> None:
    from aws_cdk import App, Stage

    from hpo_constructs.stacks import TuningStack

    app = App(context={"hpo:values": {"DataBucket": "data-of-all", "KeyId": "alias/all"}})
    stage = Stage(app, "Dev")
    stage.node.set_context("hpo:values", VALUES)
    stacks = [TuningStack(each, "Team", templates=for_environments) for each in (app, stage)]
    of_app, of_stage = (deployed(synthesized(stack))["TrainingJobDefinition"] for stack in stacks)
    assert of_app["OutputDataConfig"] == {"S3OutputPath": "s3://data-of-all/models/", "KmsKeyId": "alias/all"}
    assert of_stage["OutputDataConfig"] == {"S3OutputPath": "s3://data-dev/models/", "KmsKeyId": "alias/dev"}
    (channel,) = of_stage["InputDataConfig"]
    assert channel["DataSource"]["S3DataSource"]["S3Uri"] == "s3://data-dev-${AWS::Region}/train/"
    assert of_stage["Environment"] == {"CACHE": "${HOME}/cache"}


def test_values_may_be_tokens_and_go_before_the_context_s(for_environments: Path, synthesized: Any) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_s3 as s3

    from hpo_constructs.stacks import TuningStack

    app = App(context={"hpo:values": VALUES, "@aws-cdk/core:defaultCrossStackReferences": "strong"})
    bucket = s3.Bucket(Stack(app, "Base"), "Bucket")
    stack = TuningStack(app, "Team", templates=for_environments, values={"DataBucket": bucket.bucket_name})
    output = deployed(synthesized(stack))["TrainingJobDefinition"]["OutputDataConfig"]
    assert "${import Base:" in output["S3OutputPath"]
    assert output["KmsKeyId"] == "alias/dev"


def test_names_without_a_value_are_errors_of_the_synthesis(for_environments: Path) -> None:
    from aws_cdk import App
    from aws_cdk.assertions import Annotations, Match

    from hpo_constructs.stacks import TuningStack

    stack = TuningStack(App(), "Team", templates=for_environments, values={"KeyId": "alias/dev"})
    wanted = r"churn\.yaml: \$\{DataBucket\} must have a value; state it under the context hpo:values"
    found = Annotations.from_stack(stack).find_error("/Team/Churn", Match.string_like_regexp(wanted))
    assert len(found) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [({"Port": 80}, "Port of values must be a text, got 80"), ({"data-bucket": "x"}, "'data-bucket'")],
)
def test_values_are_texts_by_name(for_environments: Path, values: Any, message: str) -> None:
    from aws_cdk import App

    from hpo_constructs.stacks import TuningStack

    with pytest.raises(SpecError, match=message):
        TuningStack(App(), "Team", templates=for_environments, values=values)


def test_tags_protection_and_removal_policy(for_environments: Path, tmp_path_factory: Any) -> None:
    """Tags reach the tuning jobs too: SageMaker puts them on the training jobs, where the costs arise."""
    from aws_cdk import App, RemovalPolicy

    from hpo_constructs.stacks import TuningStack

    out = tmp_path_factory.mktemp("out")
    app = App(outdir=str(out))
    TuningStack(
        app,
        "Team",
        templates=for_environments,
        values=VALUES,
        tags={"team": "growth", "cost-center": "7"},
        termination_protection=True,
        removal_policy=RemovalPolicy.RETAIN,
    )
    artifact = app.synth().get_stack_by_name("Team")
    assert artifact.termination_protection
    assert artifact.tags == {"team": "growth", "cost-center": "7"}
    resources = artifact.template["Resources"].values()
    retained = [each["Type"] for each in resources if each.get("DeletionPolicy") == "Retain"]
    assert retained == ["AWS::Logs::LogGroup"]
    (machine,) = [
        e["Properties"] for e in resources if "cost-center" in json.dumps(e["Properties"].get("DefinitionString", ""))
    ]
    text = json.dumps(machine["DefinitionString"]).replace("\\", "")
    assert '"Tags":[{"Key":"team","Value":"own"},{"Key":"cost-center","Value":"7"}]' in text


def run_app(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpo_constructs.stacks"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
