"""`TuningFragment`: a tuning job in somebody's own state machine."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hpo_constructs.spec import TuningJobSpec
from hpo_constructs.spec.run import RunSettings
from hpo_constructs.workflow import CREATE, FUNCTIONS, POLL, PUBLISH, STOP, states


@pytest.fixture(scope="module")
def chained(synthesized: Any, declare: Any) -> Any:
    """Two tuning jobs between a state before and a state behind, the second one caught."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_stepfunctions as sfn

    from hpo_constructs.cdk import TuningFragment

    stack = Stack(App(), "ml")
    first = TuningFragment(stack, "First", spec=TuningJobSpec.from_request(declare.single("first")))
    second = TuningFragment(
        stack, "Second", spec=TuningJobSpec.from_request(declare.single("second")), result_path="$.second"
    )
    after = sfn.Pass(stack, "After")
    caught = second.to_single_state(output_path="$[0]").add_catch(after, result_path="$.error")
    chain = sfn.Pass(stack, "Before").next(first).next(caught).next(after)
    sfn.StateMachine(stack, "Own", definition_body=sfn.DefinitionBody.from_chainable(chain))
    return synthesized(stack)


def test_fragment_chains_and_keeps_to_its_path(chained: Any) -> None:
    (machine,) = chained.definitions()
    states = machine["States"]
    assert states["Before"]["Next"] == "Tuning request"
    assert states["Best training job"] == {
        "Type": "Pass",
        "InputPath": "$.TuningJob.Best",
        "ResultPath": "$.TuningJob",
        "Next": "Second",
    }
    (branch,) = states["Second"]["Branches"]
    assert branch["StartAt"] == "Second: Tuning request"
    assert branch["States"]["Second: Best training job"]["ResultPath"] == "$.second"


def test_own_state_machine_is_clean(chained: Any, tmp_path: Path) -> None:
    (machine,) = chained.definitions()
    file = tmp_path / "machine.json"
    file.write_text(json.dumps(machine))
    result = subprocess.run([sys.executable, "-m", "statelint", str(file)], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "")


def test_own_role_may_invoke_the_functions(chained: Any) -> None:
    (machine,) = chained.of_type("AWS::StepFunctions::StateMachine")
    role = machine["RoleArn"].removeprefix("${").removesuffix(".Arn}")
    functions = {
        chained.logical_id("AWS::Lambda::Function", Handler=each.handler) for each in (CREATE, POLL, PUBLISH, STOP)
    }
    assert chained.allowed(role)["lambda:InvokeFunction"] >= {f"${{{name}.Arn}}" for name in functions}


def test_the_cdk_s_states_say_what_the_plain_data_says(synthesized: Any, declare: Any) -> None:
    """Retriers and catchers included."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_stepfunctions as sfn

    from hpo_constructs.cdk import TuningFragment

    request = declare.single("first")
    request["TrainingJobDefinition"]["RoleArn"] = "arn:aws:iam::123456789012:role/training"
    request["TrainingJobDefinition"]["StaticHyperParameters"]["looks.like.$"] = "$.a.path"
    for each in request["TrainingJobDefinition"]["InputDataConfig"]:
        each["DataSource"]["S3DataSource"]["S3Uri"] = "s3://data/churn/"
    request["TrainingJobDefinition"]["OutputDataConfig"]["S3OutputPath"] = "s3://models/churn"
    stack = Stack(App(), "ml")
    fragment = TuningFragment(stack, "First", spec=TuningJobSpec.from_request(request))
    sfn.StateMachine(stack, "Own", definition_body=sfn.DefinitionBody.from_chainable(fragment))
    found = synthesized(stack)
    (machine,) = found.definitions()
    functions = {
        each.id: f"${{{found.logical_id('AWS::Lambda::Function', Handler=each.handler)}.Arn}}" for each in FUNCTIONS
    }
    assert machine["States"] == states(
        TuningJobSpec.from_request(request).to_request(),
        output_prefix="/hpo/ml/first/",
        functions=functions,
        result_path="$.TuningJob",
        policy=RunSettings().policy,
        partition="${AWS::Partition}",
    )
