"""The planner: the guide's example, concurrency, costs, and the rules that stand on it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hpo_constructs.documents.files import read_text
from hpo_constructs.quotas import edition, state
from hpo_constructs.quotas.costs import Budget, Prices, envelope, read_prices, state_budget, total
from hpo_constructs.quotas.needs import Cluster, JobNeeds, Pool
from hpo_constructs.quotas.planner import Requirement, plan, shared_quotas
from hpo_constructs.report.quotas import request_lines
from hpo_constructs.rules import Scope, Severity, check, read_jobs, rules
from hpo_constructs.rules.examples import SINGLE
from hpo_constructs.rules.needs import job_needs
from hpo_constructs.spec.declaration import Declaration, Form

M4, M5, G5 = "ml.m4.xlarge", "ml.m5.xlarge", "ml.g5.2xlarge"
GUIDE = edition("developer-guide")


def job(name: str = "a", *clusters: Cluster, **more: Any) -> JobNeeds:
    settings_ = {"parallel_training_jobs": 2, "training_jobs": 20, "quotas": GUIDE, "strategy": "Bayesian"} | more
    return JobNeeds(name=name, clusters=clusters or (Cluster(((M5, 1),)),), **settings_)


def answers(*jobs: JobNeeds) -> dict[str, tuple[int, int | None, str]]:
    found = plan(jobs).requirements
    titles = {requirement.title: (requirement.needed, requirement.allowed, requirement.action) for requirement in found}
    assert len(titles) == len(found)
    return titles


def of(jobs: list[JobNeeds], title: str) -> Requirement:
    (found,) = [requirement for requirement in plan(jobs).requirements if requirement.title == title]
    return found


def test_the_guides_example_has_its_five_answers() -> None:
    """10 tuning jobs at once, each 100 training jobs, 20 at a time, each on one ml.m4.xlarge."""
    jobs = [job(f"job-{n}", Cluster(((M4, 1),)), parallel_training_jobs=20, training_jobs=100) for n in range(10)]
    assert answers(*jobs) == {
        "tuning jobs at once": (10, 100, "no increase"),
        "training jobs of a tuning job": (100, 500, "no increase"),
        "training jobs at once of a tuning job": (20, 10, "request 20"),
        f"instances of {M4}": (200, 20, "request 200"),
        "training instances": (200, 20, "request 200"),
    }
    assert [line for line in request_lines(plan(jobs)) if not line.startswith("#")] == [
        f"aws service-quotas request-service-quota-increase --service-code sagemaker --quota-code {code} "
        f"--desired-value {value}"
        for code, value in (("L-11294128", 20), ("L-A373146E", 200), ("L-00C91CB5", 200))
    ]


def test_stated_quotas_make_the_guides_example_fit() -> None:
    stated = state({"parallel_training_jobs": 20, "instances": {M4: 200}, "instances_total": 200})
    jobs = [
        job(f"job-{n}", Cluster(((M4, 1),)), parallel_training_jobs=20, training_jobs=100, quotas=stated)
        for n in range(10)
    ]
    assert plan(jobs).fits
    jobs.append(job("one-more", Cluster(((M4, 1),)), parallel_training_jobs=1, quotas=stated))
    assert not plan(jobs).fits
    assert of(jobs, f"instances of {M4}").needed == 201


def test_spot_instances_have_quotas_of_their_own() -> None:
    jobs = [
        job("plain", Cluster(((M5, 2),))),
        job("spot", Cluster(((M5, 3),), spot=True)),
        job("mixed", Cluster(((M5, 1),)), Cluster(((M5, 5),), spot=True)),
    ]
    found = {title: needed for title, (needed, _, _) in answers(*jobs).items()}
    assert found[f"instances of {M5}"] == 4 + 2
    assert found[f"instances of {M5} spot"] == 6 + 10
    assert found["training instances"] == 4 + 2
    assert found["spot training instances"] == 6 + 10
    stated = state({"instances": {M5: 6}, "spot_instances": {M5: 15}, "instances_total": 6, "spot_instances_total": 16})
    above = [one for one in plan([replace(each, quotas=stated) for each in jobs]).requirements if one.fits is False]
    assert [(one.quota, one.instance_type, one.allowed) for one in above] == [("spot_instances", M5, 15)]


@settings(max_examples=80, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 9), st.integers(1, 4), st.sampled_from([None, "t1", "t2"]), st.sampled_from([M4, M5])),
        min_size=1,
        max_size=8,
    )
)
def test_turns_against_brute_force(drawn: list[tuple[int, int, str | None, str]]) -> None:
    """The worst moment: of every group that takes turns any one job runs."""
    jobs = [
        job(f"job-{n}", Cluster(((kind, count),)), parallel_training_jobs=parallel, turn=turn)
        for n, (parallel, count, turn, kind) in enumerate(drawn)
    ]
    groups: dict[str, list[JobNeeds]] = {}
    for n, each in enumerate(jobs):
        groups.setdefault(each.turn or f"alone-{n}", []).append(each)
    for kind in {kind for *_, kind in drawn}:
        worst = sum(max(each.pools().get(Pool(kind, False), 0) for each in group) for group in groups.values())
        assert of(jobs, f"instances of {kind}").needed == worst
    assert of(jobs, "tuning jobs at once").needed == len(groups)
    assert of(jobs, "training instances").needed == sum(
        max(each.instances(spot=False) for each in group) for group in groups.values()
    )


def test_shares_add_up_and_the_largest_come_first() -> None:
    jobs = [job("small"), job("large", Cluster(((M5, 4),))), job("middle", Cluster(((M5, 2),)))]
    found = of(jobs, f"instances of {M5}")
    assert [(share.name, share.needed) for share in found.shares] == [("large", 8), ("middle", 4), ("small", 2)]
    assert sum(share.needed for share in found.shares) == found.needed


def test_a_quota_of_each_job_names_the_job_furthest_above_its_own() -> None:
    jobs = [
        job("roomy", parallel_training_jobs=90, training_jobs=100, quotas=state({"parallel_training_jobs": 100})),
        job("above", parallel_training_jobs=12, training_jobs=100),
        job("further", parallel_training_jobs=15, training_jobs=100),
    ]
    found = of(jobs, "training jobs at once of a tuning job")
    assert (found.needed, found.allowed) == (15, 10)
    assert [share.name for share in found.shares] == ["further", "above"]


@pytest.mark.parametrize(
    ("more", "title", "action"),
    [
        ({"parallel_training_jobs": 100}, "training jobs at once of a tuning job", "request 100"),
        (
            {"parallel_training_jobs": 101, "training_jobs": 200},
            "training jobs at once of a tuning job",
            "need less: AWS raises it to 100 at most",
        ),
        (
            {"training_jobs": 700},
            "training jobs of a tuning job",
            "state the account's quota: AWS's present default is 750",
        ),
        ({"training_jobs": 800}, "training jobs of a tuning job", "need less: AWS does not raise it"),
        ({"training_jobs": 10_000, "strategy": "Random"}, "training jobs of a random search", "request 10,000"),
        (
            {"training_jobs": 10_001, "strategy": "Random"},
            "training jobs of a random search",
            "need less: AWS raises it to 10,000 at most",
        ),
        (
            {"max_runtime_in_seconds": 2_592_001},
            "longest tuning job, in seconds",
            "need less: AWS does not raise it",
        ),
    ],
)
def test_what_to_do(more: dict[str, Any], title: str, action: str) -> None:
    assert of([job(**more)], title).action == action


def test_an_unknown_quota_neither_fits_nor_fails() -> None:
    found = plan([job(quotas=edition("aws-2026"), parallel_training_jobs=10)])
    unknown = [one.title for one in found.requirements if one.fits is None]
    assert unknown == [f"instances of {M5}", "training instances"]
    assert found.fits


def test_other_training_quotas_that_a_job_touches() -> None:
    found = answers(job("a", Cluster(((M5, 3),), max_runtime_in_seconds=3600), Cluster(((M5, 21), (M4, 1)), spot=True)))
    assert found["instances of a training job"][:2] == (3, 20)
    assert found["instances of a spot training job"][:2] == (22, 20)
    assert found["longest training job, in seconds"][:2] == (3600, 2_419_200)
    assert "longest tuning job, in seconds" not in found


def test_shared_quotas_are_the_most_that_a_job_states() -> None:
    shared = shared_quotas(
        [
            GUIDE,
            state({"instances_total": 4, "instances": {M4: 1, M5: 9}}),
            state({"instances_total": 6, "instances": {M5: 2}, "concurrent_tuning_jobs": 3}),
        ]
    )
    assert shared.instances_total == 6
    assert shared.concurrent_tuning_jobs == 3
    assert shared.instances == {M4: 1, M5: 9}
    assert shared.instances_per_type == 20
    assert shared_quotas([GUIDE, edition("aws-2026")]).instances_total is None


# Costs.


@pytest.mark.parametrize(
    ("needs", "hours"),
    [
        # Training jobs x instances x run time.
        (job("a", Cluster(((M5, 2),), max_runtime_in_seconds=1800)), 20 * 2 * 0.5),
        # The tuning job ends first: parallel x instances x its own run time.
        (job("a", Cluster(((M5, 2),), max_runtime_in_seconds=7200), max_runtime_in_seconds=3600), 2 * 2 * 1),
        # Without a time a training job may run a day.
        (job("a", Cluster(((M5, 1),)), training_jobs=1), 24),
        # The largest of the definitions' clusters may be all that runs.
        (
            job(
                "a",
                Cluster(((M5, 1),), max_runtime_in_seconds=7200),
                Cluster(((M5, 3), (M4, 1)), max_runtime_in_seconds=1800),
            ),
            20 * max(1 * 2, 4 * 0.5),
        ),
        # No number of training jobs: the quota of 30 days bounds it.
        (job("a", Cluster(((M5, 1),)), training_jobs=None), 2 * 30 * 24),
        (job("a", Cluster(((M5, 1),)), training_jobs=None, parallel_training_jobs=None), None),
        (JobNeeds("a", GUIDE), None),
        # The number counts where only the type is unknown.
        (job("a", Cluster(((None, 2),), max_runtime_in_seconds=3600)), 40),
    ],
)
def test_worst_case_instance_hours(needs: JobNeeds, hours: float | None) -> None:
    assert envelope(needs).instance_hours == (None if hours is None else pytest.approx(hours))


def test_money_by_a_price_list() -> None:
    prices = read_prices({"currency": "EUR", "instances": {M5: 0.5, M4: 1}, "spot_instances": {M5: 0.1}})
    hour = {"max_runtime_in_seconds": 3600}
    assert envelope(job("a", Cluster(((M5, 2),), **hour)), prices).cost == pytest.approx(20 * 2 * 0.5)
    assert envelope(job("a", Cluster(((M5, 2),), spot=True, **hour)), prices).cost == pytest.approx(20 * 2 * 0.1)
    # Without a spot price the other one is the bound.
    assert envelope(job("a", Cluster(((M4, 1),), spot=True, **hour)), prices).cost == pytest.approx(20)
    # The dearest cluster is not the largest.
    mixed = envelope(job("a", Cluster(((M5, 3),), spot=True, **hour), Cluster(((M4, 1),), **hour)), prices)
    assert (mixed.cost, mixed.instance_hours, mixed.spot) == (pytest.approx(20), pytest.approx(60), "in part")
    unpriced = envelope(job("a", Cluster(((G5, 1), (None, 1)), **hour)), prices)
    assert unpriced.cost is None
    assert unpriced.unpriced == (G5, "a type known at deployment only")
    whole = total([mixed, unpriced])
    assert whole.instance_hours == pytest.approx(60 + 40)
    assert whole.cost is None


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(60, 5000)), min_size=1, max_size=3),
    st.integers(1, 3),
    st.integers(1, 8),
    st.integers(120, 9000),
    st.randoms(use_true_random=False),
)
def test_no_run_uses_more_than_its_worst_case(
    clusters: list[tuple[int, int]], parallel: int, jobs: int, seconds: int, random: Any
) -> None:
    """Runs with arbitrary choices of cluster and duration, simulated slot by slot."""
    needs = job(
        "a",
        *(Cluster(((M5, count),), max_runtime_in_seconds=longest) for count, longest in clusters),
        parallel_training_jobs=parallel,
        training_jobs=jobs,
        max_runtime_in_seconds=seconds,
    )
    slots, used = [0.0] * parallel, 0.0
    for _ in range(jobs):
        slot = slots.index(min(slots))
        count, longest = random.choice(clusters)
        duration = min(random.choice([longest, random.uniform(0, longest)]), seconds - slots[slot])
        used += count * duration / 3600
        slots[slot] += duration
    hours = envelope(needs).instance_hours
    assert hours is not None
    assert used <= hours + 1e-9


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_hours": 3}, "budget has no key 'max_hours'"),
        ({"max_cost": -1}, "max_cost of the budget must be a number of at least 0, got -1"),
        ({"max_cost": True}, "got True"),
        ({"max_instance_hours": float("nan")}, "got nan"),
        ({"prices": {"instances": {M5: "cheap"}}}, f"price of {M5} must be a number"),
        ({"prices": {"instances": [1]}}, "instances of prices must be a mapping"),
        ({"prices": {"currency": 3}}, "currency of prices must be a text"),
        ([1], "budget must be a mapping"),
    ],
)
def test_a_wrong_budget_is_told(values: Any, message: str) -> None:
    from hpo_constructs.errors import QuotaError

    with pytest.raises(QuotaError) as raised:
        state_budget(values)
    assert message in str(raised.value)


def test_a_budget_from_plain_data() -> None:
    assert state_budget(None) == Budget()
    assert state_budget({"max_cost": 5, "prices": {"instances": {M5: 1}}}) == Budget(
        max_cost=5, prices=Prices(instances={M5: 1})
    )


# Rules that stand on the planner.


def template(name: str, text: str = "", file: str | None = None) -> list[Declaration]:
    return read_text(SINGLE.replace("name: churn", f"name: {name}", 1) + text, file or f"{name}.yaml")


def found_by(rule: str, *declared: Declaration, quotas: Any = None, **more: Any) -> list[Any]:
    return [one for one in check(list(declared), quotas, **more) if one.rule == rule]


def test_hundreds_of_templates_give_one_finding_per_quota() -> None:
    declared = [each for n in range(300) for each in template(f"job-{n}")]
    findings = [one for one in check(declared) if one.severity is Severity.QUOTA]
    assert sorted(one.rule for one in findings) == ["concurrent-tuning-jobs", "instances-per-type", "instances-total"]
    assert all("1,200" in one.message for one in findings if "instances" in one.rule)
    assert all("and 297 more" in one.message for one in findings if "instances" in one.rule)


@pytest.mark.parametrize("form", [Form.REQUEST, Form.DESCRIBE, Form.ACK])
def test_saved_requests_stand_each_for_itself(form: Form) -> None:
    declared = [replace(each, form=form) for n in range(110) for each in template(f"job-{n}")]
    assert [one for one in check(declared) if one.severity is Severity.QUOTA] == []
    together = [replace(each, form=Form.SPEC) for each in declared]
    assert len([one for one in check(together) if one.severity is Severity.QUOTA]) == 3
    # What one request alone needs still counts.
    (single,) = template("large", "\n")
    request = {**single.request, "TrainingJobDefinition": {**single.request["TrainingJobDefinition"]}}
    request["TrainingJobDefinition"]["ResourceConfig"] = {"InstanceType": M5, "InstanceCount": 11, "VolumeSizeInGB": 1}
    assert len(found_by("instances-per-type", Declaration(request, form))) == 1


def test_a_templates_budget_is_for_each_of_its_jobs() -> None:
    # 20 training jobs x 2 instances x 1 hour.
    for hours, count in ((40, 0), (39.5, 1)):
        declared = template("a", f"budget: {{max_instance_hours: {hours}}}\n")
        found = found_by("budget-instance-hours", *declared, *template("b"))
        assert [one.job for one in found] == ["a"] * count
        assert all("at most 39.5 instance-hours by its budget, but may come to 40" in one.message for one in found)
        assert all(one.severity is Severity.ERROR for one in found)


def test_the_apps_budget_is_for_all_jobs_together() -> None:
    declared = [*template("a"), *template("b"), *template("c")]
    assert found_by("budget-instance-hours", *declared, budget={"max_instance_hours": 120}) == []
    (finding,) = found_by("budget-instance-hours", *declared, budget={"max_instance_hours": 119})
    assert "but may come to 120: a 40, b 40, c 40" in finding.message
    prices = {"instances": {M5: 0.5}}
    assert found_by("budget-cost", *declared, budget={"max_cost": 60, "prices": prices}) == []
    assert len(found_by("budget-cost", *declared, budget={"max_cost": 59, "prices": prices})) == 1


def test_a_cost_without_prices_is_a_warning() -> None:
    (finding,) = found_by("budget-cost", *template("a", "budget: {max_cost: 1}\n"))
    assert finding.severity is Severity.WARNING
    assert f"not checked: no price of {M5}" in finding.message


def test_a_wrong_budget_in_a_template_is_told_with_its_line() -> None:
    from hpo_constructs.errors import DocumentError

    with pytest.raises(DocumentError) as raised:
        template("a", "budget: {max_hours: 4}\n")
    assert raised.value.line == len(SINGLE.splitlines()) + 1
    assert "budget has no key 'max_hours'" in str(raised.value)


def test_scopes_divide_the_rules() -> None:
    declared = [each for n in range(6) for each in template(f"job-{n}")]
    declared += template("job-0", file="other.yaml")
    both, stack, account = (
        [(one.rule, one.job) for one in check(declared, scope=scope)]
        for scope in (Scope.ALL, Scope.STACK, Scope.ACCOUNT)
    )
    assert {rule for rule, _ in account} == {"instances-per-type", "instances-total"}
    assert {rule for rule, _ in stack} == {"output-path-unique"}
    assert sorted(both) == sorted(stack + account)


def test_a_grid_says_how_many_training_jobs_it_has() -> None:
    text = SINGLE.replace("strategy: Bayesian", "strategy: Grid").replace(", max_number_of_training_jobs: 20", "")
    text = text.replace("{type: Continuous, min_value: 0.1, max_value: 0.5}", "[a, b, c]")
    text = text.replace("{type: Integer, min_value: 3, max_value: 9}", "[d, e]")
    (read,) = read_jobs(read_text(text, "x.yaml"))
    needs = job_needs(read)
    assert needs.training_jobs == 6
    assert envelope(needs).instance_hours == pytest.approx(6 * 2 * 1)


def test_runs_that_may_overlap_are_named() -> None:
    found = plan([job_needs(one) for one in read_jobs(template("a", "run: {overlap: allow}\n") + template("b"))])
    assert found.overlapping == ("a",)


def test_rules_come_in_the_order_of_the_catalogue_whatever_was_imported_first(tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "import hpo_constructs.rules.strategy, hpo_constructs.rules.app\n"
        "from hpo_constructs.rules import rules; print(*rules())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == list(rules())
    assert result.stdout.split()[0] == "shape"


def test_equal_faults_of_jobs_without_lines_stay_apart() -> None:
    (single,) = template("same")
    request = {name: value for name, value in single.request.items() if name != "TrainingJobDefinition"}
    found = found_by("one-definition-form", *(Declaration(request, Form.REQUEST) for _ in range(3)))
    assert len(found) == 3
