"""Editions, what an app states, and the quotas as Service Quotas knows them."""

import json
import re
import shlex
from dataclasses import fields
from importlib import resources
from typing import Any

import pytest

from hpo_constructs.catalog.instances import instance_type_names
from hpo_constructs.errors import QuotaError
from hpo_constructs.quotas import Quotas, edition, edition_names, state
from hpo_constructs.quotas.needs import Pool
from hpo_constructs.quotas.service_quotas import account_values, increase_command, lookup_command, service_quota

DATA = json.loads(
    resources.files("hpo_constructs.quotas").joinpath("data/service-quotas-2026-11.json").read_text(encoding="utf-8")
)
M5, P3 = "ml.m5.xlarge", "ml.p3.2xlarge"


@pytest.mark.parametrize(
    ("name", "quota", "value"),
    [
        ("developer-guide", "hyperparameters", 20),
        ("developer-guide", "training_jobs", 500),
        ("developer-guide", "instances_total", 20),
        ("aws-2026", "hyperparameters", 30),
        ("aws-2026", "training_jobs", 750),
        ("aws-2026", "instances_total", None),
    ],
)
def test_editions(name: str, quota: str, value: int | None) -> None:
    assert getattr(edition(name), quota) == value


def test_what_is_stated_goes_over_the_edition_and_is_remembered() -> None:
    stated = state({"edition": "aws-2026", "parallel_training_jobs": 40, "spot_instances": {M5: 3}})
    assert (stated.training_jobs, stated.parallel_training_jobs, stated.spot_instances) == (750, 40, {M5: 3})
    assert stated.stated == {"parallel_training_jobs", "spot_instances"}
    again = state({"instances_total": None}, stated)
    assert again.parallel_training_jobs == 40
    assert again.instances_total is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"paralel_training_jobs": 3}, "did you mean parallel_training_jobs?"),
        ({"training_jobs": "many"}, "training_jobs must be a whole number of at least 0, got 'many'"),
        ({"training_jobs": -1}, "got -1"),
        ({"training_jobs": True}, "got True"),
        ({"training_jobs": None}, "got None"),
        ({"spot_instances": 3}, "spot_instances must be a mapping"),
        ({"instances": {M5: 1.5}}, f"instances.{M5} must be a whole number"),
        ({"edition": "aws-1999"}, "edition must be one of"),
        (7, "quotas must be an edition's name or a mapping"),
    ],
)
def test_wrong_statements_are_told(values: Any, message: str) -> None:
    with pytest.raises(QuotaError) as raised:
        state(values)
    assert message in str(raised.value)


def test_random_search_has_training_jobs_of_its_own_where_stated() -> None:
    assert state(None).training_jobs_of("Random") == 500
    stated = state({"random_training_jobs": 4000})
    assert (stated.training_jobs_of("Random"), stated.training_jobs_of("Bayesian")) == (4000, 500)


def test_the_rule_of_total_training_jobs_takes_the_quota_of_random_search() -> None:
    from hpo_constructs.documents.files import read_text
    from hpo_constructs.rules import check
    from hpo_constructs.rules.examples import SINGLE

    text = SINGLE.replace("max_number_of_training_jobs: 20", "max_number_of_training_jobs: 4000")
    for strategy, quota, count in (("Random", 4000, 0), ("Random", 3999, 1), ("Bayesian", 4000, 1)):
        declared = read_text(text.replace("Bayesian", strategy), "x.yaml")
        found = [one for one in check(declared, {"random_training_jobs": quota}) if one.rule == "total-training-jobs"]
        assert len(found) == count
        key = "random_training_jobs" if strategy == "Random" else "training_jobs"
        assert all(f'"{key}": 4000' in one.fix for one in found)


def test_every_quota_of_service_quotas_is_one_that_can_be_stated() -> None:
    names = {item.name for item in fields(Quotas)}
    assert DATA["quotas"].keys() - names == {"spot_instances_per_training_job"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", DATA["read"])
    assert all(DATA["sources"].values())


def test_codes_are_codes_and_no_two_quotas_share_one() -> None:
    codes = [facts["code"] for facts in DATA["quotas"].values() if facts.get("code")]
    for facts in DATA["quotas"].values():
        codes += facts.get("codes", {}).values()
    assert len(codes) > 240
    assert all(re.fullmatch(r"L-[0-9A-F]{8}", code) for code in codes)
    assert len(set(codes)) == len(codes)


def test_codes_are_of_instance_types_that_sagemaker_has() -> None:
    known = set(instance_type_names())
    of_types = DATA["quotas"]["instances"]["codes"].keys()
    assert of_types <= known
    assert DATA["quotas"]["spot_instances"]["codes"].keys() == of_types


# Codes that public repositories other than the source of the list name, too.
@pytest.mark.parametrize(
    ("quota", "instance_type", "name", "code"),
    [
        ("instances", "ml.g4dn.xlarge", "ml.g4dn.xlarge for training job usage", "L-3F53BF0F"),
        ("instances", "ml.m5.xlarge", "ml.m5.xlarge for training job usage", "L-CCE2AFA6"),
        ("instances", "ml.g5.xlarge", "ml.g5.xlarge for training job usage", "L-B6D80D9C"),
        ("instances", "ml.g5.2xlarge", "ml.g5.2xlarge for training job usage", "L-2D6DEB3C"),
        ("instances", "ml.p5.48xlarge", "ml.p5.48xlarge for training job usage", "L-82E1C851"),
        ("instances_total", None, "Number of instances across all training jobs", "L-00C91CB5"),
    ],
)
def test_known_codes(quota: str, instance_type: str | None, name: str, code: str) -> None:
    found = service_quota(quota, instance_type)
    assert (found.name, found.code) == (name, code)


def test_a_type_without_a_public_code_has_none_and_a_way_to_look_it_up() -> None:
    found = service_quota("spot_instances", P3)
    assert found.code is None
    assert found.name == "ml.p3.2xlarge for spot training job usage"
    words = shlex.split(lookup_command(found.name, "eu-west-1"))
    assert words[:3] == ["aws", "service-quotas", "list-service-quotas"]
    assert f"Quotas[?QuotaName=='{found.name}'].[QuotaCode, Value]" in words
    assert words[-2:] == ["--region", "eu-west-1"]


def test_defaults_agree_with_the_present_edition() -> None:
    present = edition("aws-2026")
    for quota, facts in DATA["quotas"].items():
        # The longest training job is 28 days by the API's reference and 5 by the default of Service Quotas.
        if facts["default"] is not None and quota not in {"training_job_runtime_in_seconds", "random_training_jobs"}:
            assert facts["default"] == getattr(present, quota)
    assert edition_names() == ("developer-guide", "aws-2026")


def test_the_increase_command_is_one_shell_command() -> None:
    assert increase_command("L-CCE2AFA6", 40) == (
        "aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code L-CCE2AFA6 "
        "--desired-value 40"
    )


def test_an_accounts_values_are_found_by_name_and_later_answers_win() -> None:
    answers = [
        {"QuotaName": "Number of instances across all training jobs", "Value": 4.0},
        {"QuotaName": "number of instances across all training jobs", "Value": 50.0},
        {"QuotaName": "ml.m5.xlarge for training job usage", "Value": 15.0},
        {"QuotaName": "ml.m5.xlarge for spot training job usage", "Value": 0.0},
        {"QuotaName": "ml.m5.2xlarge for training job usage", "Value": 7.0},
        {"QuotaName": "ml.m5.xlarge for processing job usage", "Value": 99.0},
        {"QuotaName": "Longest run time for a training job", "Value": 432000.0},
        {"QuotaName": "Rate of CreateTrainingJob requests"},
    ]
    values = account_values(answers, [Pool(M5, spot=False), Pool(M5, spot=True), Pool(P3, spot=False)])
    assert values == {
        "training_job_runtime_in_seconds": 432000,
        "instances_total": 50,
        "instances": {M5: 15},
        "spot_instances": {M5: 0},
    }
    state(values)
