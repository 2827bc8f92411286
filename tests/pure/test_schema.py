"""The JSON Schema of the template: it accepts every template that there is, and refuses slips of the pen."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from hpo_constructs.documents import find_files
from hpo_constructs.documents.nodes import parse
from hpo_constructs.documents.schema import template_schema
from hpo_constructs.rules import Rule, rules
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.spec.declaration import CONFIG
from hpo_constructs.spec.names import snake_name
from hpo_constructs.spec.shapes import shape_model

ROOT = Path(__file__).parents[2]
SCHEMA = template_schema()
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def faults(text: str) -> list[str]:
    """What the schema says of each document of a template."""
    return [
        f"{error.json_path}: {error.message}"
        for document in parse(text, "template.yaml")
        for error in VALIDATOR.iter_errors(document.plain())
    ]


def changed(base: str, fragment: str) -> str:
    """A template with a fragment laid over it."""
    return yaml.safe_dump(laid_over(yaml.safe_load(base), yaml.safe_load(fragment)), sort_keys=False)


def test_it_is_a_schema_of_the_stated_dialect() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize(
    "path", [path for path in find_files(ROOT / "examples") if path.suffix == ".yaml"], ids=lambda path: path.stem
)
def test_it_accepts_the_examples(path: Path) -> None:
    assert faults(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("rule", rules().values(), ids=rules().keys())
def test_it_accepts_what_passes_a_rule(rule: Rule) -> None:
    base = SEVERAL if rule.passes.several else SINGLE
    assert faults(changed(base, rule.passes.text)) == []


@pytest.mark.parametrize(
    "fragment",
    [
        "resource_limits: {max_paralel_training_jobs: 2}",
        "trategy: Random",
        "strategy: bayesian",
        "training_job_definition: {resource_config: {instance_typ: ml.m5.large}}",
        "training_job_definition: {stopping_condition: {max_runtime_in_seconds: an hour}}",
        "hyperparameter_ranges: {eta: {type: Continous}}",
        "hyperparameter_ranges: {eta: {max_value: null}}",
        "hyperparameter_ranges: {eta: 0.3}",
        "training_job_definition: {input_data_config: {train: {s3_url: 's3://bucket/train/'}}}",
        "quotas: aws-1999",
        "quotas: {parallel_jobs: 10}",
        "local: {date: {}}",
        "local: {commands: [{image: '*'}]}",
        "name: null",
        "tuning_jobs: []",
    ],
)
def test_it_refuses(fragment: str) -> None:
    assert faults(changed(SINGLE, fragment)) != []


@pytest.mark.parametrize(
    "fragment",
    [
        "training_job_definition: {resource_config: {instance_type: ml.m99.xlarge}}",
        "hyperparameter_ranges: {booster: [gbtree, dart], rate: {value_hint: 0.1}}",
        "tags: {team: risk, cost-centre: 4711, empty: null}",
        "tags: [{key: team, value: risk}]",
        "warm_start_config: {warm_start_type: TransferLearning, parent_hyperparameter_tuning_jobs: [one, two]}",
        "training_job_definition: {algorithm_specification: {metric_definitions: {auc: 'auc=([0-9.]+)'}}}",
        "quotas: {edition: aws-2026, parallel_training_jobs: 100, instances: {ml.m5.xlarge: 50}}",
        "quotas: aws-2026",
        "local: {commands: [{image: '*mine*', command: [python, train.py], directory: code}]}",
    ],
)
def test_it_accepts_short_forms(fragment: str) -> None:
    assert faults(changed(SINGLE, fragment)) == []


def test_defaults_clones_and_several_jobs() -> None:
    text = """\
defaults:
  strategy: Random
  resource_limits: {max_parallel_training_jobs: 1, max_number_of_training_jobs: 2}
  training_job_definition: {environment: {A: 1}, role_arn: "arn:aws:iam::123456789012:role/tuning"}
tuning_jobs:
  - name: one
    training_job_definitions:
      - definition_name: a
        enable_network_isolation: true
      - definition_name: b
        clone: a
        environment: null
        enable_network_isolation: null
        hyperparameter_ranges: {eta: null}
  - name: two
"""
    assert faults(text) == []
    assert faults(text.replace("clone: a", "clones: a")) != []
    assert faults(text + "name: three\n") != []


def described(schema: Any, path: str = "") -> list[str]:
    """The places of members without a description."""
    found = []
    if isinstance(schema, dict):
        for key, member in schema.get("properties", {}).items():
            found += [] if "description" in member else [f"{path}.{key}"]
        for key, member in schema.items():
            found += described(member, f"{path}.{key}")
    if isinstance(schema, list):
        for index, member in enumerate(schema):
            found += described(member, f"{path}[{index}]")
    return found


def test_every_member_is_described() -> None:
    assert described(SCHEMA) == []


def test_every_member_of_the_api_is_there() -> None:
    known = {key for schema in SCHEMA["$defs"].values() for key in schema.get("properties", {})}
    short = {"HyperParameterTuningJobName", "HyperParameterTuningJobObjective", CONFIG}
    missing = [
        name
        for shape in shape_model().shapes.values()
        for name in shape.members or {}
        if snake_name(name) not in known and name not in short | {"ParameterRanges"}
    ]
    assert missing == []
