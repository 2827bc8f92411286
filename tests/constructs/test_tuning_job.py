"""`TuningJob`: what one job brings into a stack."""

import json
from pathlib import Path
from typing import Any

import pytest
from cfnlint.api import lint  # type: ignore[import-untyped]

from hpo_constructs.spec import TuningJobSpec
from hpo_constructs.spec.run import RunSettings
from hpo_constructs.workflow import FUNCTIONS, definition

ACCOUNT = "${AWS::Region}:${AWS::AccountId}"
SAGEMAKER = f"arn:${{AWS::Partition}}:sagemaker:{ACCOUNT}"


def stack_of(*requests: dict[str, Any], quotas: dict[str, int] | None = None) -> Any:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob

    stack = Stack(App(context={"hpo:quotas": quotas} if quotas else None), "ml")
    for request in requests:
        job = request["HyperParameterTuningJobName"]
        TuningJob(stack, job.title().replace("-", ""), spec=TuningJobSpec.from_request(request))
    return stack


@pytest.fixture(scope="module")
def two(synthesized: Any, declare: Any) -> Any:
    """A stack of two jobs: one of a single algorithm, and one of two with a name in capitals."""
    return synthesized(stack_of(declare.single(), declare.several("Upper", declare.definition(), declare.definition())))


def test_cfn_lint_finds_nothing(two: Any) -> None:
    assert [str(match) for match in lint(json.dumps(two.template))] == []


def test_a_further_job_adds_its_state_machine_and_its_training_role(two: Any, synthesized: Any, declare: Any) -> None:
    one = synthesized(stack_of(declare.single()))
    added = sorted(each["Type"] for name, each in two.resources.items() if name not in one.resources)
    assert added == ["AWS::IAM::Role", "AWS::StepFunctions::StateMachine"]
    assert len(one.of_type("AWS::Lambda::Function")) == len(FUNCTIONS)
    assert len(two.of_type("AWS::Lambda::Function")) == len(FUNCTIONS)
    assert len(two.of_type("AWS::Logs::LogGroup")) == 1


def test_deployed_state_machine_is_the_workflow_s(two: Any, declare: Any) -> None:
    role = two.training_role("churn")
    request = declare.single()
    request["TrainingJobDefinition"]["RoleArn"] = f"${{{role}.Arn}}"
    functions = {
        function.id: f"${{{two.logical_id('AWS::Lambda::Function', Handler=function.handler)}.Arn}}"
        for function in FUNCTIONS
    }
    wanted = definition(
        request,
        output_prefix="/hpo/ml/churn/",
        functions=functions,
        policy=RunSettings().policy,
        overlap=RunSettings().overlap,
    )
    deployed = next(
        machine
        for machine in two.definitions()
        if "churn/" in machine["States"]["Publish outputs"]["Parameters"]["Payload"]["OutputPrefix"]
    )
    assert json.loads(json.dumps(deployed).replace("arn:${AWS::Partition}:states", "arn:aws:states")) == wanted


def test_outputs_have_stable_names(two: Any) -> None:
    assert sorted(two.outputs) == [
        "ChurnOutputPrefix",
        "ChurnStateMachineArn",
        "UpperOutputPrefix",
        "UpperStateMachineArn",
    ]
    assert two.outputs["ChurnOutputPrefix"]["Value"] == "/hpo/ml/churn/"
    assert two.outputs["ChurnStateMachineArn"]["Value"].startswith("${ChurnStateMachine")


def test_functions_run_on_arm_with_one_log_group_as_json(two: Any) -> None:
    (group,) = [name for name, each in two.resources.items() if each["Type"] == "AWS::Logs::LogGroup"]
    for function in two.of_type("AWS::Lambda::Function"):
        assert function["Architectures"] == ["arm64"]
        assert function["Runtime"] == "python3.14"
        assert function["LoggingConfig"] == {"LogFormat": "JSON", "LogGroup": f"${{{group}}}"}


def test_create_may_create_tag_and_pass_the_training_roles_to_sagemaker_only(two: Any) -> None:
    role = two.function_role("hpo_handlers.create.handler")
    jobs = {f"{SAGEMAKER}:hyper-parameter-tuning-job/{name}-*" for name in ("churn", "Upper", "upper")}
    roles = {f"${{{two.training_role(job)}.Arn}}" for job in ("churn", "Upper")}
    queue = {f"arn:${{AWS::Partition}}:ssm:{ACCOUNT}:parameter/hpo/ml/*/latest-execution"}
    allowed = without_logs(two, role)
    executions = {two.executions(job) for job in ("Churn", "Upper")}
    assert allowed == {
        "states:DescribeExecution": executions,
        "sagemaker:AddTags": jobs,
        "sagemaker:CreateHyperParameterTuningJob": jobs,
        "sagemaker:DescribeHyperParameterTuningJob": jobs,
        "sagemaker:StopHyperParameterTuningJob": jobs,
        "iam:PassRole": roles,
        "ssm:GetParameterHistory": queue,
        "ssm:PutParameter": queue,
    }
    (passing,) = [each for each in two.statements(role) if each["Action"] == ["iam:PassRole"]]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}


@pytest.mark.parametrize(
    ("handler", "actions"),
    [
        (
            "poll",
            {
                "sagemaker:DescribeHyperParameterTuningJob": "hyper-parameter-tuning-job",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob": "hyper-parameter-tuning-job",
                "sagemaker:StopHyperParameterTuningJob": "hyper-parameter-tuning-job",
            },
        ),
        (
            "stop",
            {
                "sagemaker:DescribeHyperParameterTuningJob": "hyper-parameter-tuning-job",
                "sagemaker:StopHyperParameterTuningJob": "hyper-parameter-tuning-job",
            },
        ),
        (
            "publish",
            {
                "sagemaker:DescribeHyperParameterTuningJob": "hyper-parameter-tuning-job",
                "sagemaker:ListTrainingJobsForHyperParameterTuningJob": "hyper-parameter-tuning-job",
                "sagemaker:DescribeTrainingJob": "training-job",
            },
        ),
    ],
)
def test_functions_may_do_their_own_part_only(two: Any, handler: str, actions: dict[str, str]) -> None:
    wanted = {
        action: {f"{SAGEMAKER}:{kind}/{name}-*" for name in ("churn", "Upper", "upper")}
        for action, kind in actions.items()
    }
    if handler == "publish":
        parameters = f"arn:${{AWS::Partition}}:ssm:{ACCOUNT}:parameter/hpo/ml"
        wanted["ssm:PutParameter"] = {f"{parameters}/*"}
        wanted["ssm:GetParameter"] = {f"{parameters}/*/best"}
    assert without_logs(two, two.function_role(f"hpo_handlers.{handler}.handler")) == wanted


def test_state_machines_may_invoke_the_functions_only(two: Any) -> None:
    (role_arn,) = {each["RoleArn"] for each in two.of_type("AWS::StepFunctions::StateMachine")}
    functions = {
        f"${{{name}.Arn}}"
        for name, each in two.resources.items()
        if each["Type"] == "AWS::Lambda::Function" and each["Properties"]["Handler"] != "hpo_handlers.cleanup.handler"
    }
    assert len(functions) == 4
    assert two.allowed(role_arn.removeprefix("${").removesuffix(".Arn}")) == {"lambda:InvokeFunction": functions}


def test_nothing_but_the_training_roles_unavoidable_actions_has_every_resource(two: Any) -> None:
    wide = {
        action
        for name, each in two.resources.items()
        if each["Type"] == "AWS::IAM::Role"
        for action, resources in two.allowed(name).items()
        if "*" in resources
    }
    assert wide == {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}


def test_time_out_follows_the_declared_limit(two: Any) -> None:
    alone = 7200 + 216 + 7200
    assert {machine["TimeoutSeconds"] for machine in two.definitions()} == {2 * alone + 438}


def test_asset_is_the_handlers_package_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compiled files beside the sources change nothing: the asset's hash names the functions' code."""
    import hpo_handlers
    from hpo_constructs.cdk import runtime

    package = Path(hpo_handlers.__path__[0])
    copied = tmp_path / "hpo_handlers"
    copied.mkdir()
    for source in package.glob("*.py"):
        (copied / source.name).write_bytes(source.read_bytes())
    (copied / "__pycache__").mkdir()
    (copied / "__pycache__" / "create.cpython-399.pyc").write_bytes(b"\0")
    (tmp_path / "neighbour.py").write_text("")
    monkeypatch.setattr(hpo_handlers, "__path__", [str(copied)])
    runtime._asset_folder.cache_clear()
    try:
        folder = runtime._asset_folder()
    finally:
        runtime._asset_folder.cache_clear()
    found = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    assert found == sorted(f"hpo_handlers/{source.name}" for source in package.glob("*.py"))


def test_tokens_and_objects_of_the_cdk(synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_iam as iam
    from aws_cdk import aws_s3 as s3

    from hpo_constructs.cdk import TuningJob

    stack = Stack(App(), "ml")
    bucket = s3.Bucket(stack, "Data")
    role = iam.Role(stack, "Own", assumed_by=iam.ServicePrincipal("sagemaker.amazonaws.com"))
    reader = iam.Role(stack, "Reader", assumed_by=iam.AccountRootPrincipal())
    request = declare.single(OutputDataConfig={"S3OutputPath": f"s3://{bucket.bucket_name}/models/"})
    job = TuningJob(
        stack,
        "Churn",
        spec=TuningJobSpec.from_request(request),
        training_role=role,
        run=RunSettings(output_prefix="/teams/growth/churn"),
    )
    assert job.training_role is role
    job.grant_start(reader)
    job.grant_read_outputs(reader)
    found = synthesized(stack)
    bucket_id = found.logical_id("AWS::S3::Bucket")
    (machine,) = found.definitions()
    sent = machine["States"]["Tuning request"]["Result"]["Request"]["TrainingJobDefinition"]
    assert sent["OutputDataConfig"] == {"S3OutputPath": f"s3://${{{bucket_id}}}/models/"}
    assert sent["RoleArn"].startswith("${Own")
    assert found.outputs["ChurnOutputPrefix"]["Value"] == job.output_prefix == "/teams/growth/churn/"
    assert job.parameter_name("model-artifacts") == "/teams/growth/churn/model-artifacts"
    parameters = f"arn:${{AWS::Partition}}:ssm:{ACCOUNT}:parameter/teams/growth/churn"
    allowed = found.allowed(next(name for name in found.resources if name.startswith("Reader")))
    assert allowed == {
        "states:StartExecution": {found.outputs["ChurnStateMachineArn"]["Value"]},
        "ssm:GetParameter": {parameters, f"{parameters}/*"},
        "ssm:GetParameters": {parameters, f"{parameters}/*"},
        "ssm:GetParametersByPath": {parameters, f"{parameters}/*"},
    }


def test_definitions_that_name_their_role_need_none(synthesized: Any, declare: Any) -> None:
    own = "arn:aws:iam::123456789012:role/trainer"
    found = synthesized(stack_of(declare.single(RoleArn=own)))
    assert not [role for role in found.of_type("AWS::IAM::Role") if "Training" in role["Description"]]
    create = found.function_role("hpo_handlers.create.handler")
    assert found.allowed(create)["iam:PassRole"] == {own}


def test_mistakes_in_the_arguments(declare: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk import TuningJob
    from hpo_constructs.errors import QuotaError, SpecError

    spec = TuningJobSpec.from_request(declare.single())
    stack = Stack(App(), "ml")
    with pytest.raises(SpecError, match="model-artifacts"):
        TuningJob(stack, "B", spec=spec).parameter_name("model")
    with pytest.raises(QuotaError):
        TuningJob(Stack(App(context={"hpo:quotas": "aws-1999"}), "ml"), "C", spec=spec)


def test_many_jobs_fit_into_the_functions_roles(synthesized: Any, declare: Any) -> None:
    """IAM's limits: 10,240 characters of inline policy a role, 6,144 a managed policy, 10 managed policies."""
    count = 100
    requests = [declare.single(f"a-rather-long-name-{number}") for number in range(count)]
    found = synthesized(stack_of(*requests, quotas={"instances_per_type": count, "instances_total": count}))
    for handler in ("create", "poll", "publish", "stop", "cleanup"):
        role = found.function_role(f"hpo_handlers.{handler}.handler")
        jobs = set().union(*found.allowed(role).values())
        assert sum(":hyper-parameter-tuning-job/" in each for each in jobs) == count
        inline = [p for p in found.of_type("AWS::IAM::Policy") if f"${{{role}}}" in p.get("Roles", [])]
        assert sum(len(rendered(policy)) for policy in inline) <= 10_240
        managed = [p for p in found.of_type("AWS::IAM::ManagedPolicy") if f"${{{role}}}" in p.get("Roles", [])]
        assert len(managed) <= 10
        assert all(len(rendered(policy)) <= 6_144 for policy in managed)


def rendered(policy: dict[str, Any]) -> str:
    """The policy as IAM counts it, with references as long as an account's values."""
    text = json.dumps(policy["PolicyDocument"], separators=(",", ":"))
    return (
        text.replace("${AWS::AccountId}", "1" * 12)
        .replace("${AWS::Region}", "ap-southeast-2")
        .replace("${AWS::Partition}", "aws")
    )


def test_more_jobs_than_a_template_has_outputs_for_are_refused(declare: Any) -> None:
    """https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html: 200."""
    from hpo_constructs.errors import SpecError

    with pytest.raises(SpecError, match="no room for Job100StateMachineArn: declare some of its tuning jobs"):
        stack_of(*(declare.single(f"job-{number}") for number in range(101)))


def test_more_than_the_functions_roles_can_hold_is_refused() -> None:
    from aws_cdk import App, Stack
    from aws_cdk import aws_iam as iam

    from hpo_constructs.cdk.permissions import GrowingPermissions
    from hpo_constructs.errors import SpecError

    stack = Stack(App(), "ml")
    role = iam.Role(stack, "Role", assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    permissions = GrowingPermissions(role, stack, "description")
    with pytest.raises(SpecError, match=r"ml/Role must fit into 10 managed .*declare some of them in another stack"):
        permissions.allow(("ssm:PutParameter",), [f"arn:aws:ssm:::parameter/{number:080}" for number in range(700)])


def without_logs(found: Any, role: str) -> dict[str, set[str]]:
    """What a function's role allows, once its own log group is seen to be all that it may write logs to."""
    allowed = found.allowed(role)
    (group,) = [name for name, each in found.resources.items() if each["Type"] == "AWS::Logs::LogGroup"]
    for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
        assert allowed.pop(action) == {f"${{{group}.Arn}}"}
    return dict(allowed)


def test_jobs_of_a_large_stack_share_the_text_of_their_definitions(synthesized: Any, declare: Any) -> None:
    """What is deployed is what a stack of a few jobs deploys, whatever stands in the requests."""
    from hpo_constructs.cdk.definitions import WHOLE_DEFINITIONS

    hostile = {
        "home": "${HOME} ${!x} ${AWS::Nothing}",
        "looks.like.$": "$.a.path",
        "quotes": 'a "b" \\ c\\nd',
        "letters": "käse \u4e16\u754c",
        "Fn::Sub": "${x}",
        "request": "\0request",
    }
    requests = [
        declare.single(
            f"job-{number}", StaticHyperParameters={**declare.definition()["StaticHyperParameters"], **hostile}
        )
        for number in range(WHOLE_DEFINITIONS + 2)
    ]
    many = synthesized(stack_of(*requests))
    # Below and above the number at which a template changes its form.
    few = [synthesized(stack_of(*part)) for part in (requests[:1], requests[1:2], requests[-1:])]
    assert "Mappings" not in few[0].template
    (texts,) = many.template["Mappings"]["HpoStateMachines"].values()
    assert 3 < len(texts) < 12

    def by_name(found: Any) -> dict[str, dict[str, Any]]:
        every = [machine["States"]["Tuning request"]["Result"]["Request"] for machine in found.definitions()]
        return dict(zip([each["HyperParameterTuningJobName"] for each in every], found.definitions(), strict=True))

    for found in few:
        ((name, machine),) = by_name(found).items()
        assert by_name(many)[name] == machine
        static = machine["States"]["Tuning request"]["Result"]["Request"]["TrainingJobDefinition"]
        assert static["StaticHyperParameters"].items() >= hostile.items()


def test_a_further_job_of_a_large_stack_takes_little_of_the_template(synthesized: Any, declare: Any) -> None:
    """A hundred jobs fit into the 1 MB of a template."""
    from hpo_constructs.cdk.definitions import WHOLE_DEFINITIONS

    counts = (2 * WHOLE_DEFINITIONS, 2 * WHOLE_DEFINITIONS + 5)
    quotas = {"instances_per_type": counts[1], "instances_total": counts[1]}
    small, large = (
        synthesized(stack_of(*(declare.single(f"job-{n}") for n in range(count)), quotas=quotas)).template
        for count in counts
    )
    more = len(json.dumps(large, separators=(",", ":"))) - len(json.dumps(small, separators=(",", ":")))
    assert more / 5 < 7_500
    assert [str(match) for match in lint(json.dumps(large))] == []
