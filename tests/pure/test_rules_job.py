"""The rules about the job as a whole, over tables of further cases."""

from typing import Any

import pytest
import yaml

from hpo_constructs.documents.files import read_text
from hpo_constructs.rules import Finding, Severity, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE, laid_over
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"


def declaration(fragment: str = "{}", base: str = SINGLE) -> Declaration:
    text = yaml.safe_dump(laid_over(yaml.safe_load(base), yaml.safe_load(fragment)), sort_keys=False)
    (found,) = read_text(text, "example.yaml")
    return found


def request(fragment: str = "{}", base: str = SINGLE, form: Form = Form.REQUEST) -> Declaration:
    """The same declaration as an API request."""
    return Declaration(request=declaration(fragment, base).request, form=form)


def failing(findings: list[Finding]) -> list[str]:
    return [found.rule for found in findings if found.severity.fails]


def of(rule: str, findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if found.rule == rule]


@pytest.mark.parametrize("length", [1, 21])
def test_declared_names_up_to_21_characters_are_clean(length: int) -> None:
    assert check(declaration(f"name: {'n' * length}")) == []


@pytest.mark.parametrize(("length", "rule"), [(22, "tuning-job-name-room"), (32, "tuning-job-name-room")])
@pytest.mark.parametrize("form", [Form.TEMPLATE, Form.SPEC])
def test_a_declared_name_needs_room_for_the_run(length: int, rule: str, form: Form) -> None:
    assert failing(check(request(f"name: {'n' * length}", form=form))) == [rule]


@pytest.mark.parametrize("form", [Form.REQUEST, Form.DESCRIBE, Form.ACK])
def test_a_complete_request_may_use_all_32_characters(form: Form) -> None:
    assert check(request(f"name: {'n' * 32}", form=form)) == []


@pytest.mark.parametrize("form", list(Form))
def test_a_name_above_32_characters_is_one_fault(form: Form) -> None:
    assert failing(check(request(f"name: {'n' * 33}", form=form))) == ["tuning-job-name"]


def test_a_name_known_at_deployment_only_is_not_measured() -> None:
    assert failing(check(request("name: '${Token[Name.1]}-and-much-more-of-it'", form=Form.SPEC))) == []


def test_both_forms_of_definitions_are_one_fault() -> None:
    both = declaration().request | {
        "TrainingJobDefinitions": declaration("{}", SEVERAL).request["TrainingJobDefinitions"]
    }
    (finding,) = [found for found in check(both) if found.severity.fails]
    assert finding.rule == "one-definition-form"
    assert finding.path == "TrainingJobDefinitions"


def test_a_misspelled_definition_is_one_fault() -> None:
    fragment = "training_job_definition: null\ntraining_job_defintion: {role_arn: x}"
    assert failing(check(declaration(fragment))) == ["shape"]


def test_a_definition_of_the_wrong_type_is_one_fault() -> None:
    assert failing(check(declaration("training_job_definition: nothing"))) == ["shape"]


@pytest.mark.parametrize(("count", "rules"), [(1, []), (10, []), (11, ["at-least-one-definition"])])
def test_a_list_holds_one_to_ten_definitions(count: int, rules: list[str]) -> None:
    body = declaration("{}", SEVERAL).request
    one = body["TrainingJobDefinitions"][0]
    body["TrainingJobDefinitions"] = [one | {"DefinitionName": f"d{number}"} for number in range(count)]
    assert failing(check(body)) == rules


def test_every_definition_without_a_name_is_reported_where_the_name_would_stand() -> None:
    fragment = "training_job_definitions: [{definition_name: null}, {definition_name: null}]"
    findings = of("definition-name-required", check(request(fragment, SEVERAL)))
    assert [found.path for found in findings] == [f"TrainingJobDefinitions[{i}].DefinitionName" for i in (0, 1)]


@pytest.mark.parametrize(
    ("fragment", "base", "expected"),
    [
        # A member of a list's definition that is missing.
        (
            "training_job_definitions: [{}, {tuning_objective: null}]",
            SEVERAL,
            ["training_job_definitions[1].tuning_objective"],
        ),
        (
            "training_job_definitions: [{hyperparameter_ranges: null}]",
            SEVERAL,
            ["training_job_definitions[0].hyperparameter_ranges"],
        ),
        # One that stands beside the list: one fault, whether or not the definitions have their own.
        ("objective: {metric_name: 'validation:auc', type: Maximize}", SEVERAL, ["objective"]),
        (
            "objective: {metric_name: 'validation:auc', type: Maximize}\n"
            "training_job_definitions: [{tuning_objective: null}, {tuning_objective: null}]",
            SEVERAL,
            ["objective"],
        ),
        (
            "hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.1, max_value: 0.2}}\n"
            "training_job_definitions: [{hyperparameter_ranges: null}, {hyperparameter_ranges: null}]",
            SEVERAL,
            ["hyperparameter_ranges"],
        ),
        # One that is missing beside a single definition, misspelled there, or stands in it.
        ("objective: null", SINGLE, ["objective"]),
        (
            "objective: null\n"
            "training_job_definition: {tuning_objective: {metric_name: 'validation:auc', type: Maximize}}",
            SINGLE,
            ["training_job_definition.tuning_objective"],
        ),
        (
            "hyperparameter_ranges: null\n"
            "training_job_definition: "
            "{hyperparameter_ranges: {eta: {type: Continuous, min_value: 0.1, max_value: 0.2}}}",
            SINGLE,
            ["training_job_definition.hyperparameter_ranges"],
        ),
    ],
)
def test_a_misplaced_objective_or_range_is_one_fault(fragment: str, base: str, expected: list[str]) -> None:
    findings = [found for found in check(declaration(fragment, base)) if found.severity.fails]
    assert [found.path for found in findings] == expected, findings
    assert {found.rule for found in findings} <= {"objective-per-definition", "objective-in-config"}


def test_a_misspelled_objective_is_one_fault() -> None:
    assert failing(check(declaration("objective: null\nobjectve: {metric_name: m, type: Maximize}"))) == ["shape"]


def test_ranges_may_be_left_to_autotune() -> None:
    fragment = "autotune: {mode: Enabled}\ntraining_job_definitions: [{hyperparameter_ranges: null}]"
    assert of("objective-per-definition", check(declaration(fragment, SEVERAL))) == []


def test_a_name_within_a_single_definition_is_a_warning() -> None:
    (finding,) = of("objective-in-config", check(declaration("training_job_definition: {definition_name: only}")))
    assert finding.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("second", "count"),
    [
        ("{metric_name: 'validation:f1', type: Maximize}", 0),
        ("{metric_name: 'validation:auc', type: Minimize}", 1),
        ("{metric_name: 'validation:auc', type: Largest}", 0),
    ],
)
def test_directions_are_compared(second: str, count: int) -> None:
    fragment = f"training_job_definitions: [{{}}, {{tuning_objective: {second}}}]"
    assert len(of("objective-comparable", check(declaration(fragment, SEVERAL)))) == count


@pytest.mark.parametrize(
    ("tags", "count"),
    [
        ([("team", "a"), ("Team", "b")], 0),
        ([("team", "")], 0),
        ([("team", "a"), ("team", "a"), ("team", "b")], 2),
        ([("aws:team", "a")], 1),
        ([("AWS:team", "a")], 1),
        ([("awsteam", "a")], 0),
        ([("${Token[Key.1]}", "a"), ("${Token[Key.1]}", "b")], 0),
    ],
)
def test_tag_keys(tags: list[tuple[str, str]], count: int) -> None:
    body = declaration().request | {"Tags": [{"Key": key, "Value": value} for key, value in tags]}
    assert len(of("tags-unique", check(body))) == count


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("db_password", "hunter2", 1),
        ("API-KEY", "0123abcd", 1),
        ("aws_secret_access_key", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY", 1),
        ("weights", "AKIAIOSFODNN7EXAMPLE", 1),
        ("hub", "hf_" + "a" * 34, 1),
        ("url", "postgres://user:pass@host/db", 1),
        # What hyperparameters are really called.
        ("max_tokens", "512", 0),
        ("pad_token", "[PAD]", 0),
        ("token_embedding_storage_type", "dense", 0),
        ("num_token", "100000000000000000000", 0),
        ("use_secret", "false", 0),
        ("secretary", "ann", 0),
        ("data", "s3://bucket/prefix@2/x:y", 0),
        ("api_key", "${Token[Key.1]}", 0),
    ],
)
def test_credentials_are_found_and_never_shown(name: str, value: str, count: int) -> None:
    body: dict[str, Any] = declaration().request
    body["TrainingJobDefinition"]["StaticHyperParameters"] |= {name: value}
    findings = of("hyperparameters-hold-no-secrets", check(body))
    assert len(findings) == count
    assert all(value not in found.message + found.fix for found in findings)
    assert all(found.path.endswith(name) for found in findings)


@pytest.mark.parametrize("broken", [None, 1, "text", [], {}, [None], [1], {"a": None}])
@pytest.mark.parametrize(
    "member",
    [
        "HyperParameterTuningJobName",
        CONFIG,
        "TrainingJobDefinition",
        "TrainingJobDefinitions",
        "WarmStartConfig",
        "Tags",
        "Autotune",
    ],
)
def test_no_rule_crashes_on_what_is_malformed(member: str, broken: Any) -> None:
    for base in (SINGLE, SEVERAL):
        findings = check([declaration("{}", base).request | {member: broken}, declaration().request])
        assert not [found for found in findings if "failed on this declaration" in found.message]
