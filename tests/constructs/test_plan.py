"""The plan over all tuning jobs of an app: findings on the app, and the file in the cloud assembly."""

import json
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.spec.declaration import Declaration, Form


class Synthesis:
    """An app of tuning jobs, its report and its plan."""

    def __init__(self, folder: Path, **context: Any) -> None:
        from aws_cdk import App

        self.folder = folder
        self.app = App(outdir=str(folder), context={f"hpo:{key}": value for key, value in context.items()})

    def stack(self, name: str, *requests: dict[str, Any], env: tuple[str, str] | None = None) -> list[Any]:
        from aws_cdk import Environment, Stack

        from hpo_constructs.cdk import TuningJob

        environment = Environment(account=env[0], region=env[1]) if env else None
        stack = Stack(self.app, name, env=environment)
        return [
            TuningJob(stack, f"Job{number}", spec=Declaration(request=request, form=Form.TEMPLATE))
            for number, request in enumerate(requests)
        ]

    def synth(self) -> tuple[bool, list[dict[str, Any]], list[dict[str, Any]]]:
        """Whether it succeeds, the violations, and the plan's environments."""
        try:
            self.app.synth()
            succeeded = True
        except RuntimeError as error:
            assert "ValidationFailed" in str(error)
            succeeded = False
        report = json.loads((self.folder / "validation-report.json").read_text())
        plan = json.loads((self.folder / "hpo-plan.json").read_text())
        return (
            succeeded,
            [found for each in report["pluginReports"] for found in each["violations"]],
            plan["environments"],
        )


def needed(environment: dict[str, Any]) -> dict[str, tuple[int, int | None]]:
    return {one["title"]: (one["needed"], one["allowed"]) for one in environment["requirements"]}


def test_jobs_of_all_stacks_of_an_environment_are_planned_together(tmp_path: Path, declare: Any) -> None:
    synthesis = Synthesis(tmp_path, quotas={"instances_total": 3})
    synthesis.stack("one", declare.single("a"), declare.single("b"))
    synthesis.stack("two", declare.single("a"), declare.single("c"))
    succeeded, violations, environments = synthesis.synth()
    assert not succeeded
    (violation,) = violations
    assert violation["ruleName"] == "instances-total"
    assert violation["ruleMetadata"] == {"severity": "quota"}
    assert [each["constructPath"] for each in violation["violatingConstructs"]] == [""]
    assert (
        "at most 3 training instances, the account's quota, got 4: a 1, b 1, a 1 and 1 more"
        in (violation["description"])
    )
    (environment,) = environments
    assert environment["stacks"] == ["one", "two"]
    assert needed(environment)["training instances"] == (4, 3)
    assert environment["fits"] is False
    assert environment["costs"]["all"]["instance_hours"] == pytest.approx(4 * 2)


def test_environments_have_quotas_of_their_own(tmp_path: Path, declare: Any) -> None:
    synthesis = Synthesis(tmp_path, quotas={"instances_total": 1})
    synthesis.stack("us", declare.single("a"), env=("111111111111", "us-east-1"))
    synthesis.stack("eu", declare.single("a"), env=("111111111111", "eu-west-1"))
    synthesis.stack("other", declare.single("a"), env=("222222222222", "us-east-1"))
    _, violations, environments = synthesis.synth()
    assert [each for each in violations if each["ruleName"] == "instances-total"] == []
    assert {(each["account"], each["region"]) for each in environments} == {
        ("111111111111", "us-east-1"),
        ("111111111111", "eu-west-1"),
        ("222222222222", "us-east-1"),
    }
    assert all(each["jobs"] == 1 for each in environments)


def test_a_finding_of_the_app_is_acknowledged_on_the_app(tmp_path: Path, declare: Any) -> None:
    from aws_cdk import Acknowledgment, Validations

    synthesis = Synthesis(tmp_path, quotas={"instances_total": 1})
    synthesis.stack("one", declare.single("a"), declare.single("b"))
    Validations.of(synthesis.app).acknowledge(Acknowledgment(id="hpo::instances-total", reason="started by hand"))
    succeeded, _, environments = synthesis.synth()
    assert succeeded
    assert environments[0]["fits"] is False


def test_jobs_in_turn_count_as_the_largest(tmp_path: Path, declare: Any) -> None:
    from hpo_constructs.cdk.plan import TuningPlan

    synthesis = Synthesis(tmp_path, quotas={"instances_total": 2})
    jobs = synthesis.stack("one", *(declare.single(name) for name in "abc"))
    TuningPlan.of(jobs[0]).in_turn(jobs[0], jobs[2])
    succeeded, _, environments = synthesis.synth()
    assert succeeded
    assert needed(environments[0])["training instances"] == (2, 2)
    assert needed(environments[0])["tuning jobs at once"] == (2, 100)


def test_the_apps_budget_comes_from_the_context(tmp_path: Path, declare: Any) -> None:
    # Each job: one at once for two hours.
    for hours, fits in ((4, True), (3.5, False)):
        folder = tmp_path / str(hours)
        synthesis = Synthesis(folder, budget={"max_instance_hours": hours})
        synthesis.stack("one", declare.single("a"), declare.single("b"))
        succeeded, violations, _ = synthesis.synth()
        assert succeeded is fits
        assert [each["ruleName"] for each in violations] == ([] if fits else ["budget-instance-hours"])


def test_a_wrong_budget_keeps_its_class(tmp_path: Path, declare: Any) -> None:
    from hpo_constructs.errors import QuotaError

    synthesis = Synthesis(tmp_path, budget={"max_hours": 4})
    with pytest.raises(QuotaError, match="budget has no key 'max_hours'"):
        synthesis.stack("one", declare.single("a"))


def test_an_app_without_tuning_jobs_has_no_plan(tmp_path: Path) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk.plan import TuningPlan

    app = App(outdir=str(tmp_path))
    TuningPlan.of(Stack(app, "empty"))
    app.synth()
    assert not (tmp_path / "hpo-plan.json").exists()
