"""`TuningStack`: a team's templates in, a stack out."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from hpo_constructs.errors import DocumentError

# A request, unlike a template, names its role.
ROLE = "arn:aws:iam::123456789012:role/trainer"


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
    assert len(found.definitions()) == 3
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


def run_app(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hpo_constructs.stacks"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
