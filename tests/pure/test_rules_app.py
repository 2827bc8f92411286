"""The rules over all jobs of an app and about deployment, over tables of further cases and against brute force."""

import copy
import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_constructs.documents.files import read_text
from hpo_constructs.quotas import state
from hpo_constructs.rules import Finding, check
from hpo_constructs.rules.examples import SEVERAL, SINGLE
from hpo_constructs.rules.job import Job
from hpo_constructs.spec.declaration import Declaration, Form

CONFIG = "HyperParameterTuningJobConfig"
M4, M5 = "ml.m4.xlarge", "ml.m5.xlarge"


def job(name: str, parallel: int, total: int | None, *definitions: dict[str, Any]) -> dict[str, Any]:
    """A request whose definitions have the given resources (and spot flags)."""
    (found,) = read_text(SEVERAL, "example.yaml")
    body = copy.deepcopy(found.request)
    body["HyperParameterTuningJobName"] = name
    body[CONFIG]["Strategy"] = "Random"
    body[CONFIG]["ResourceLimits"] = {"MaxParallelTrainingJobs": parallel}
    if total is not None:
        body[CONFIG]["ResourceLimits"]["MaxNumberOfTrainingJobs"] = total
    base = body["TrainingJobDefinitions"][0]
    del base["ResourceConfig"]
    body["TrainingJobDefinitions"] = [
        base | {"DefinitionName": f"d{number}"} | own for number, own in enumerate(definitions)
    ]
    return body


def app(*bodies: dict[str, Any]) -> list[Declaration]:
    """Jobs that one app deploys: saved requests would stand each for itself."""
    return [Declaration(body, Form.SPEC) for body in bodies]


def plain(instance_type: str, count: int, **more: Any) -> dict[str, Any]:
    return {"ResourceConfig": {"InstanceType": instance_type, "InstanceCount": count, "VolumeSizeInGB": 10}, **more}


def groups(*pairs: tuple[str, int]) -> dict[str, Any]:
    entries = [
        {"InstanceType": name, "InstanceCount": count, "InstanceGroupName": f"g{number}"}
        for number, (name, count) in enumerate(pairs)
    ]
    return {"ResourceConfig": {"InstanceGroups": entries, "VolumeSizeInGB": 10}}


def configs(*pairs: tuple[str, int]) -> dict[str, Any]:
    entries = [{"InstanceType": name, "InstanceCount": count, "VolumeSizeInGB": 10} for name, count in pairs]
    return {"HyperParameterTuningResourceConfig": {"InstanceConfigs": entries}}


def preferences(count: int | None, *pairs: tuple[str, int | None]) -> dict[str, Any]:
    entries = [{"InstanceType": name} | ({} if own is None else {"InstanceCount": own}) for name, own in pairs]
    shared = {} if count is None else {"InstanceCount": count}
    return {"ResourceConfig": {"InstancePreferences": entries, "VolumeSizeInGB": 10, **shared}}


def of(rule: str, findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if found.rule == rule]


def test_the_worked_example_of_the_guide() -> None:
    jobs = app(*(job(f"job-{number}", 20, 100, plain(M4, 1)) for number in range(10)))
    findings = check(jobs)
    assert of("concurrent-tuning-jobs", findings) == of("total-training-jobs", findings) == []
    assert len(of("parallel-training-jobs", findings)) == 10
    assert all('"parallel_training_jobs": 20' in found.fix for found in of("parallel-training-jobs", findings))
    (per_type,) = of("instances-per-type", findings)
    assert "at most 20 instances of ml.m4.xlarge" in per_type.message and "got 200" in per_type.message
    assert '"instances": {"ml.m4.xlarge": 200}' in per_type.fix
    (total,) = of("instances-total", findings)
    assert "at most 20 training instances" in total.message and "got 200" in total.message
    assert '"instances_total": 200' in total.fix
    stated = {"parallel_training_jobs": 20, "instances": {M4: 200}, "instances_total": 200}
    assert [found for found in check(jobs, stated) if found.severity.fails] == []


@pytest.mark.parametrize(("count", "quota", "findings"), [(2, 2, 0), (3, 2, 1), (1, 0, 1)])
def test_concurrent_tuning_jobs(count: int, quota: int, findings: int) -> None:
    jobs = app(*(job(f"job-{number}", 1, 5, plain(M5, 1)) for number in range(count)))
    found = of("concurrent-tuning-jobs", check(jobs, {"concurrent_tuning_jobs": quota}))
    assert len(found) == findings
    assert all(one.job == f"job-{quota}" and f"got {count}" in one.message for one in found)


def needs(*bodies: dict[str, Any]) -> tuple[dict[str, int], int]:
    from hpo_constructs.rules.needs import job_needs

    jobs = [job_needs(Job(Declaration(body, Form.REQUEST), state(None))) for body in bodies]
    by_type: Counter[str] = Counter()
    for one in jobs:
        by_type.update({str(pool): count for pool, count in one.pools().items()})
    return dict(by_type), sum(max(one.instances(spot=False), one.instances(spot=True)) for one in jobs)


@pytest.mark.parametrize(
    ("body", "by_type", "total"),
    [
        (job("a", 4, 20, plain(M5, 2)), {M5: 8}, 8),
        # No more training jobs run than there are in all.
        (job("a", 4, 3, plain(M5, 2)), {M5: 6}, 6),
        (job("a", 4, None, plain(M5, 2)), {M5: 8}, 8),
        # Of several definitions the one that needs most may be all that runs.
        (job("a", 4, 20, plain(M5, 2), plain(M5, 3)), {M5: 12}, 12),
        (job("a", 4, 20, plain(M5, 2), plain(M4, 3)), {M5: 8, M4: 12}, 12),
        # Groups of a cluster run together, also two of a type; of alternatives one is taken.
        (job("a", 2, 20, groups((M5, 2), (M4, 1), (M5, 1))), {M5: 6, M4: 2}, 8),
        (job("a", 2, 20, configs((M5, 2), (M4, 5))), {M5: 4, M4: 10}, 10),
        (job("a", 2, 20, preferences(None, (M5, 2), (M4, 5))), {M5: 4, M4: 10}, 10),
        (job("a", 2, 20, preferences(3, (M5, None), (M4, None))), {M5: 6, M4: 6}, 6),
        # Spot instances have a quota of their own.
        (
            job("a", 2, 20, plain(M5, 2, EnableManagedSpotTraining=True), plain(M5, 3)),
            {M5: 6, f"{M5} spot": 4},
            6,
        ),
        # What is not stated counts as none.
        (job("a", 2, 20, {}), {}, 0),
        # Of a type that the deployment knows, the number counts.
        (job("a", 2, 20, plain("${Token[Type.1]}", 2)), {}, 4),
    ],
)
def test_the_worst_mix_of_a_job(body: dict[str, Any], by_type: dict[str, int], total: int) -> None:
    assert needs(body) == (by_type, total)


resources = st.one_of(
    st.tuples(st.sampled_from([M4, M5]), st.integers(1, 3)).map(lambda pair: (plain(*pair), [dict([pair])])),
    st.lists(st.tuples(st.sampled_from([M4, M5]), st.integers(1, 3)), min_size=1, max_size=3).map(
        lambda pairs: (configs(*pairs), [dict([pair]) for pair in pairs])
    ),
    st.tuples(st.integers(1, 3), st.integers(1, 3)).map(
        lambda counts: (groups((M4, counts[0]), (M5, counts[1])), [{M4: counts[0], M5: counts[1]}])
    ),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(resources, min_size=1, max_size=3), st.integers(1, 3), st.integers(1, 4))
def test_the_worst_mix_against_brute_force(definitions: list[Any], parallel: int, total: int) -> None:
    """Every way to fill the places of the training jobs that run, tried one by one."""
    clusters = [cluster for _, alternatives in definitions for cluster in alternatives]
    running = min(parallel, total)
    worst: Counter[str] = Counter()
    worst_total = 0
    for mix in itertools.product(clusters, repeat=running):
        used = sum((Counter(cluster) for cluster in mix), Counter[str]())
        worst |= used
        worst_total = max(worst_total, used.total())
    body = job("a", parallel, total, *(own for own, _ in definitions))
    assert needs(body) == (dict(worst), worst_total)


def test_instances_are_added_up_over_jobs_and_reported_once_for_a_type() -> None:
    jobs = app(job("small", 2, 20, plain(M5, 1)), job("large", 3, 20, plain(M5, 2)), job("other", 1, 5, plain(M4, 1)))
    assert of("instances-per-type", check(jobs, {"instances_per_type": 8})) == []
    (finding,) = of("instances-per-type", check(jobs, {"instances_per_type": 7}))
    assert finding.job == "large"
    assert "large 6, small 2" in finding.message
    assert '{"instances": {"ml.m5.xlarge": 8}}' in finding.fix
    assert of("instances-total", check(jobs, {"instances_total": 9})) == []
    assert len(of("instances-total", check(jobs, {"instances_total": 8}))) == 1


def test_stated_instances_of_a_type_go_before_the_general_quota() -> None:
    body = job("a", 5, 20, plain(M5, 2))
    assert of("instances-per-type", check(body, {"instances": {M5: 10}, "instances_per_type": 1})) == []
    (finding,) = of("instances-per-type", check(body, {"instances": {M5: 9, M4: 1}}))
    assert '{"instances": {"ml.m5.xlarge": 10, "ml.m4.xlarge": 1}}' in finding.fix


def test_an_edition_without_instance_quotas_has_nothing_to_compare() -> None:
    body = job("a", 10, 100, plain(M5, 50))
    assert not {"instances-per-type", "instances-total"} & {found.rule for found in check(body, "aws-2026")}


@pytest.mark.parametrize(
    ("stated", "total", "quota"),
    [
        # What one file states holds for the account; of several statements the largest.
        ([None, None], 21, 20),
        ([{"instances_total": 4}, None], 5, 4),
        ([{"instances_total": 4}, {"instances_total": 6}], 7, 6),
        ([None, "aws-2026"], 1000, None),
    ],
)
def test_files_that_state_quotas_of_their_own(stated: list[Any], total: int, quota: int | None) -> None:
    roomy = {"parallel_training_jobs": 10_000}
    for count in (total, total - 1):
        bodies = [job("one", 1, 20_000, plain(M5, 1)), job("two", count - 1, 20_000, plain(M5, 1))]
        declared = [Declaration(body, Form.TEMPLATE, quotas=own) for body, own in zip(bodies, stated, strict=True)]
        found = of("instances-total", check(declared, roomy))
        assert len(found) == (1 if quota is not None and count > quota else 0)
        assert all(f"at most {quota} " in one.message for one in found)


def test_what_is_stated_in_a_fix_is_accepted_and_enough() -> None:
    jobs = app(*(job(f"job-{number}", 5, 50, plain(M5, 3), plain(M4, 2)) for number in range(3)))
    stated: dict[str, Any] = {}
    for found in check(jobs):
        if found.severity.fails:
            text = found.fix.partition('"hpo:quotas": ')[2].partition(" in cdk.json")[0]
            for name, value in json.loads(text).items():
                stated[name] = {**stated.get(name, {}), **value} if isinstance(value, dict) else value
    assert stated
    assert [found for found in check(jobs, stated) if found.severity.fails] == []


def sized(kilobytes: int, text: str = "x") -> dict[str, Any]:
    """A request of about a size, with values as long as the API allows."""
    body = job("a", 1, 5, *(plain(M5, 1) for _ in range(4)))
    value = text * 1024
    left = kilobytes
    for number, definition in itertools.product(range(40), body["TrainingJobDefinitions"]):
        held = dict(definition["StaticHyperParameters"])
        step = len(value.encode()) // 1024
        if left >= step:
            held[f"p{number:02}"] = value
            left -= step
        definition["StaticHyperParameters"] = held
    return body


@pytest.mark.parametrize(("kilobytes", "text", "count"), [(130, "x", 0), (145, "語", 0), (4 * 40, "x", 0)])
def test_requests_that_pass_through_a_state_machine(kilobytes: int, text: str, count: int) -> None:
    assert len(of("request-size", check(Declaration(sized(kilobytes, text), Form.SPEC)))) == count


@pytest.mark.parametrize("form", list(Form))
def test_a_request_is_measured_in_bytes_where_the_state_machine_carries_it(form: Form) -> None:
    body = sized(3 * 100, "語")
    assert len(json.dumps(body, ensure_ascii=False)) < 216 * 1024 < len(json.dumps(body, ensure_ascii=False).encode())
    found = of("request-size", check(Declaration(body, form)))
    assert len(found) == (1 if form in {Form.TEMPLATE, Form.SPEC} else 0)


def named(name: str, file: str | None = None, form: Form = Form.TEMPLATE) -> Declaration:
    (found,) = read_text(SINGLE.replace("name: churn", f"name: {name}", 1), "example.yaml")
    return Declaration(found.request, form, file)


@pytest.mark.parametrize(
    ("declarations", "count"),
    [
        ([named("a"), named("b")], 0),
        ([named("a"), named("a")], 1),
        ([named("a", "team/x.yaml"), named("a", "team/y.yaml")], 1),
        ([named("a", "x.yaml"), named("a", "./y.yaml")], 1),
        # The templates of another folder make another stack.
        ([named("a", "one/x.yaml"), named("a", "two/x.yaml")], 0),
        # Names of SSM parameters are case sensitive, those of tuning jobs not; runs have names of their own.
        ([named("a"), named("A")], 0),
        ([named("a", form=Form.REQUEST), named("A", form=Form.REQUEST)], 1),
        ([named("a", form=Form.REQUEST), named("A", form=Form.ACK)], 1),
        ([named("a", form=Form.REQUEST), named("a", form=Form.SPEC)], 0),
        # A description is of a tuning job that exists.
        ([named("a", form=Form.DESCRIBE), named("a", form=Form.DESCRIBE)], 0),
        ([named("a", form=Form.DESCRIBE), named("a", form=Form.REQUEST)], 0),
        ([named("${Token[Name.1]}", form=Form.SPEC), named("${Token[Name.1]}", form=Form.SPEC)], 0),
    ],
)
def test_names_that_collide(declarations: list[Declaration], count: int) -> None:
    assert len(of("output-path-unique", check(declarations))) == count


def test_the_message_names_the_other_file() -> None:
    first, second = (str(Path("team") / name) for name in ("x.yaml", "y.yaml"))
    (finding,) = of("output-path-unique", check([named("a", first), named("a", second)]))
    assert finding.file == second
    assert first in finding.message


def test_malformed_jobs_crash_no_rule() -> None:
    broken: list[Any] = [None, 1, "x", [], {}]
    bodies = [
        job("a", 1, 5, plain(M5, 1)) | {member: value}
        for member in (CONFIG, "TrainingJobDefinitions", "WarmStartConfig")
        for value in broken
    ]
    bodies += [job("a", 1, 5, {"ResourceConfig": value}) for value in broken]
    bodies += [job("a", 1, 5, {"ResourceConfig": {"InstanceGroups": value}}) for value in [*broken, [None], [{}]]]
    assert not [found for found in check(bodies) if "failed on this declaration" in found.message]
    assert check([]) == []
