"""The page on templates: its examples are clean, its commands exist, and it names every key of a job."""

import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from hpo_constructs.cli.__main__ import app
from hpo_constructs.documents import read_text
from hpo_constructs.documents.nodes import parse
from hpo_constructs.documents.schema import template_schema
from hpo_constructs.documents.template import LOCAL_KEYS, RUN, top_level_keys
from hpo_constructs.rules import check
from hpo_constructs.spec.run import setting_names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/templates.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```yaml(.*)\n((?:.*\n)*?)```$", PAGE, re.MULTILINE)
TEMPLATES = [text for kind, text in BLOCKS if not kind]


@pytest.mark.parametrize("text", TEMPLATES, ids=range(len(TEMPLATES)))
def test_the_templates_are_clean(text: str) -> None:
    assert [finding for finding in check(read_text(text, "page.yaml")) if finding.severity != "unknown"] == []
    validator = jsonschema.Draft202012Validator(template_schema())
    assert [error.message for node in parse(text, "page.yaml") for error in validator.iter_errors(node.plain())] == []


def test_the_clone_says_what_the_page_says() -> None:
    (text,) = (text for text in TEMPLATES if "clone: trees" in text)
    _, two_ways = read_text(text, "page.yaml")
    trees, dropout = two_ways.request["TrainingJobDefinitions"]
    assert dropout["StaticHyperParameters"] == {**trees["StaticHyperParameters"], "booster": "dart"}
    (searched,) = dropout["HyperParameterRanges"]["ContinuousParameterRanges"]
    assert searched["Name"] == "subsample"


def test_every_key_has_its_row() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert rows == {*top_level_keys(), *LOCAL_KEYS, RUN, *setting_names()}


def test_the_hook_is_the_one_that_the_repository_offers() -> None:
    (configuration,) = (yaml.safe_load(text) for kind, text in BLOCKS if kind.strip() == "pre-commit")
    (wanted,) = configuration["repos"][0]["hooks"]
    (offered,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8"))
    assert wanted["id"] == offered["id"]
    assert offered["entry"].split() == ["hpo", "check"]


def test_the_commands_exist() -> None:
    (workflow,) = (text for kind, text in BLOCKS if kind.strip() == "workflow")
    assert yaml.safe_load(workflow)["jobs"]
    help_text = CliRunner().invoke(app, ["check", "--help"], env={"COLUMNS": "200"}).output
    for name in re.findall(r"--format (\w+)", PAGE):
        assert name in help_text
    for command in set(re.findall(r"\bhpo ([a-z]+)\b(?! ?:)", PAGE)):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
