"""References in permissions, rules and the guard, which are written into the template as plain data."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from hpo_constructs.spec import TuningJobSpec


def referred(value: Any) -> Iterator[str]:
    """The names that a template refers to, pseudo parameters and variables of `Fn::Sub` left out."""
    match value:
        case {"Ref": str(name)}:
            yield from () if name.startswith("AWS::") else (name,)
        case {"Fn::GetAtt": [str(name), _]}:
            yield name
        case {"Fn::Sub": str(text)}:
            yield from referred({"Fn::Sub": [text, {}]})
        case {"Fn::Sub": [str(text), dict(variables)]}:
            names = {found.partition(".")[0] for found in re.findall(r"\$\{([^!}][^}]*)\}", text)}
            yield from (name for name in names - variables.keys() if not name.startswith("AWS::"))
            yield from referred(list(variables.values()))
        case dict():
            for each in value.values():
                yield from referred(each)
        case list():
            for each in value:
                yield from referred(each)


def assert_closed(template: dict[str, Any]) -> None:
    """All that is referred to is there."""
    missing = set(referred(template["Resources"])) - {*template["Resources"], *template.get("Parameters", {})}
    assert missing == set()


def test_an_unknown_name_is_found() -> None:
    resources = {"A": {"Properties": {"X": {"Fn::Sub": "${B.Arn} ${AWS::Region} ${!C}"}, "Y": {"Ref": "A"}}}}
    with pytest.raises(AssertionError, match="'B'"):
        assert_closed({"Resources": resources})


@pytest.fixture(scope="module")
def renamed(synthesized: Any, declare: Any) -> Any:
    """A job whose resources' ids are overridden, one at once and one by an aspect at synthesis."""
    import jsii
    from aws_cdk import App, Aspects, CfnResource, IAspect, Stack
    from constructs import IConstruct

    from hpo_constructs.cdk import TuningJob

    @jsii.implements(IAspect)
    class Rename:
        def visit(self, node: IConstruct) -> None:
            if isinstance(node, CfnResource) and node.node.path == "ml/Churn/TrainingRole/Resource":
                node.override_logical_id("ChurnTrains")

    stack = Stack(App(), "ml")
    job = TuningJob(stack, "Churn", spec=TuningJobSpec.from_request(declare.single("churn")))
    child = job.state_machine.node.default_child
    assert isinstance(child, CfnResource)
    child.override_logical_id("ChurnRuns")
    Aspects.of(stack).add(Rename())
    return synthesized(stack)


def test_overridden_ids_are_followed_everywhere(renamed: Any) -> None:
    assert_closed(renamed.template)
    create = renamed.allowed(renamed.function_role("hpo_handlers.create.handler"))
    assert create["iam:PassRole"] == {"${ChurnTrains.Arn}"}
    assert {each.rpartition(":execution:")[2] for each in create["states:DescribeExecution"]} == {"${ChurnRuns.Name}:*"}
    (runs,) = renamed.of_type("Custom::HyperparameterTuningRuns")
    assert [each["StateMachineArn"] for each in runs["TuningJobs"]] == ["${ChurnRuns}"]
    (rule,) = renamed.of_type("AWS::Events::Rule")
    assert rule["EventPattern"]["detail"]["stateMachineArn"] == ["${ChurnRuns}"]


@pytest.fixture(scope="module", params=["same", "other"])
def guarded(request: pytest.FixtureRequest, synthesized: Any, declare: Any) -> Any:
    """A fragment whose state machine stands in the same stack or in another one, beside a job."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_stepfunctions as sfn

    from hpo_constructs.cdk import TuningFragment, TuningJob

    app = App()
    stack = Stack(app, "ml")
    TuningJob(stack, "Churn", spec=TuningJobSpec.from_request(declare.single("churn")))
    fragment = TuningFragment(stack, "Own", spec=TuningJobSpec.from_request(declare.single("own")))
    other = stack if request.param == "same" else Stack(app, "machines")
    states = fragment if other is stack else sfn.Pass(other, "Pass")
    fragment.guard(sfn.StateMachine(other, "Machine", definition_body=sfn.DefinitionBody.from_chainable(states)))
    return synthesized(stack)


def test_a_guarded_state_machine_of_anybody_is_referred_to(guarded: Any) -> None:
    assert_closed(guarded.template)
    (runs,) = guarded.of_type("Custom::HyperparameterTuningRuns")
    churn, own = runs["TuningJobs"]
    assert [churn["DeclaredNames"], own["DeclaredNames"]] == [["churn"], ["own"]]
    assert churn["StateMachineArn"] == guarded.outputs["ChurnStateMachineArn"]["Value"]
    # A reference, or the import of another stack's export.
    assert re.fullmatch(r"\$\{(import machines:\w+)?Machine\w+\}", own["StateMachineArn"])

    allowed = guarded.allowed(guarded.function_role("hpo_handlers.cleanup.handler"))["states:StopExecution"]
    pattern = f"{own['StateMachineArn']} with :execution: for :stateMachine::*"
    assert pattern in allowed
    (guard,) = [name for name in guarded.resources if name.startswith("HpoRuntimeGuardStateMachine")]
    stop = json.loads(guarded.definition_text(guard))["States"]["Stop tuning jobs"]["Parameters"]
    assert [each["DeclaredNames"] for each in stop["Payload"]["TuningJobs"]] == [["churn"], ["own"]]
    assert own["StateMachineArn"] == stop["Payload"]["TuningJobs"][1]["StateMachineArn"]
