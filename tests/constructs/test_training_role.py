"""The training role: what the declaration names, and no more."""

import json
from typing import Any

import pytest

from hpo_constructs.errors import SpecError

OWN = "${AWS::Region}:${AWS::AccountId}"
S3 = "arn:${AWS::Partition}:s3:::"


@pytest.fixture
def role_of(synthesized: Any) -> Any:
    """The statements of the role made for a request."""

    def statements(request: dict[str, Any]) -> list[dict[str, Any]]:
        from aws_cdk import App, Stack

        from hpo_constructs.cdk.request import placeholders_replaced
        from hpo_constructs.cdk.training_role import common_policy, training_role

        stack = Stack(App(), "ml")
        common = common_policy(stack, "Common", stack)
        training_role(stack, "TrainingRole", placeholders_replaced(request, stack), stack, common=common)
        found = synthesized(stack)
        return found.statements(found.training_role("churn"))  # type: ignore[no-any-return]

    return statements


def of_action(statements: list[dict[str, Any]], action: str) -> list[dict[str, Any]]:
    found = []
    for statement in statements:
        actions = statement["Action"]
        if action in (actions if isinstance(actions, list) else [actions]):
            resources = statement["Resource"]
            found.append({**statement, "Resource": resources if isinstance(resources, list) else [resources]})
    return found


def resources(statements: list[dict[str, Any]], action: str) -> set[str]:
    return {resource for statement in of_action(statements, action) for resource in statement["Resource"]}


def test_reads_the_channels_and_writes_the_output(role_of: Any, declare: Any) -> None:
    statements = role_of(declare.single())
    data = f"{S3}data-${{AWS::AccountId}}"
    assert resources(statements, "s3:GetObject") == {f"{data}/churn/train/*", f"{data}/churn/validation/*"}
    assert resources(statements, "s3:PutObject") == {f"{S3}models-${{AWS::Region}}/churn/*"}
    assert resources(statements, "s3:DeleteObject") == set()
    (listing,) = of_action(statements, "s3:ListBucket")
    assert listing["Resource"] == [data]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["churn/train/*", "churn/validation/*"]}}


def test_without_vpc_keys_and_checkpoints_nothing_of_them(role_of: Any, declare: Any) -> None:
    services = {
        action.partition(":")[0]
        for statement in role_of(declare.single())
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    assert services == {"s3", "ecr", "logs", "cloudwatch"}


@pytest.mark.parametrize(
    ("uri", "objects", "condition"),
    [
        ("s3://data", f"{S3}data/*", None),
        ("s3://data/", f"{S3}data/*", None),
        ("s3://data/part", f"{S3}data/part*", {"StringLike": {"s3:prefix": ["part*"]}}),
        (
            "https://s3.eu-west-1.amazonaws.com/data/part/",
            f"{S3}data/part/*",
            {"StringLike": {"s3:prefix": ["part/*"]}},
        ),
        (
            "https://data.s3.eu-west-1.amazonaws.com/part/",
            f"{S3}data/part/*",
            {"StringLike": {"s3:prefix": ["part/*"]}},
        ),
    ],
)
def test_forms_of_locations(role_of: Any, declare: Any, uri: str, objects: str, condition: Any) -> None:
    statements = role_of(declare.single(InputDataConfig=[declare.channel("train", uri)]))
    assert resources(statements, "s3:GetObject") == {objects}
    (listing,) = of_action(statements, "s3:ListBucket")
    assert (listing["Resource"], listing.get("Condition")) == ([f"{S3}data"], condition)


def test_a_manifest_s_objects_are_anywhere_in_its_bucket(role_of: Any, declare: Any) -> None:
    statements = role_of(
        declare.single(InputDataConfig=[declare.channel("train", "s3://data/lists/one.manifest", "ManifestFile")])
    )
    assert resources(statements, "s3:GetObject") == {f"{S3}data/*"}
    assert "Condition" not in of_action(statements, "s3:ListBucket")[0]


def test_a_location_that_is_one_token(role_of: Any, declare: Any) -> None:
    from aws_cdk import Fn

    statements = role_of(declare.single(InputDataConfig=[declare.channel("train", Fn.import_value("TrainUri"))]))
    (reading,) = of_action(statements, "s3:GetObject")
    (listing,) = of_action(statements, "s3:ListBucket")
    assert reading["Resource"][0].startswith(S3)
    assert "{'Fn::Select': [1, {'Fn::Split': ['s3://'," in reading["Resource"][0]
    assert "{'Fn::Select': [2, {'Fn::Split': ['/'," in listing["Resource"][0]


@pytest.mark.parametrize("written", ["s3://code/job/source.tar.gz", '"s3://code/job/source.tar.gz"'])
def test_a_script_is_read(role_of: Any, declare: Any, written: str) -> None:
    values = {"sagemaker_program": "train.py", "sagemaker_submit_directory": written}
    statements = role_of(declare.single(StaticHyperParameters=values))
    assert f"{S3}code/job/source.tar.gz*" in resources(statements, "s3:GetObject")
    inside = {**values, "sagemaker_submit_directory": "/opt/ml/code"}
    statements = role_of(declare.single(StaticHyperParameters=inside))
    assert not any("code" in resource for resource in resources(statements, "s3:GetObject"))


def test_checkpoints_are_read_written_and_removed(role_of: Any, declare: Any) -> None:
    statements = role_of(declare.single(CheckpointConfig={"S3Uri": "s3://checkpoints/churn"}))
    for action in ("s3:DeleteObject", "s3:PutObject", "s3:GetObject"):
        assert f"{S3}checkpoints/churn/*" in resources(statements, action)
    assert resources(statements, "s3:DeleteObject") == {f"{S3}checkpoints/churn/*"}


KEY = "0a0a0a0a-1b1b-2c2c-3d3d-4e4e4e4e4e4e"
KEY_ARN = f"arn:aws:kms:eu-west-1:123456789012:key/{KEY}"
ALIASED = {"ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/ml"}}


@pytest.mark.parametrize(
    ("key", "resource", "condition"),
    [
        (KEY_ARN, KEY_ARN, {}),
        (KEY, f"arn:${{AWS::Partition}}:kms:{OWN}:key/{KEY}", {}),
        ("alias/ml", f"arn:${{AWS::Partition}}:kms:{OWN}:key/*", ALIASED),
        ("arn:aws:kms:eu-west-1:123456789012:alias/ml", f"arn:${{AWS::Partition}}:kms:{OWN}:key/*", ALIASED),
    ],
)
def test_keys(role_of: Any, declare: Any, key: str, resource: str, condition: dict[str, Any]) -> None:
    config = {"InstanceType": "ml.m5.xlarge", "InstanceCount": 1, "VolumeSizeInGB": 10, "VolumeKmsKeyId": key}
    output = {"S3OutputPath": "s3://models/churn", "KmsKeyId": key}
    statements = role_of(declare.single(ResourceConfig=config, OutputDataConfig=output))
    (data,) = of_action(statements, "kms:GenerateDataKey")
    (grant,) = of_action(statements, "kms:CreateGrant")
    assert (data["Resource"], data.get("Condition", {})) == ([resource], condition)
    assert grant["Resource"] == [resource]
    assert grant["Condition"] == {"Bool": {"kms:GrantIsForAWSResource": "true"}, **condition}


def test_network_interfaces_in_the_declared_vpc_only(role_of: Any, declare: Any) -> None:
    vpc = {"Subnets": ["subnet-1", "subnet-2"], "SecurityGroupIds": ["sg-1"]}
    statements = role_of(declare.single(VpcConfig=vpc))
    ec2 = f"arn:${{AWS::Partition}}:ec2:{OWN}"
    assert resources(statements, "ec2:CreateNetworkInterface") == {
        f"{ec2}:network-interface/*",
        f"{ec2}:subnet/subnet-1",
        f"{ec2}:subnet/subnet-2",
        f"{ec2}:security-group/sg-1",
    }
    assert resources(statements, "ec2:DeleteNetworkInterface") == {f"{ec2}:network-interface/*"}
    assert resources(statements, "ec2:DescribeSubnets") == {"*"}


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        (
            "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
            "arn:${AWS::Partition}:ecr:us-east-1:683313688378:repository/sagemaker-xgboost",
        ),
        (
            "1.dkr.ecr.cn-north-1.amazonaws.com.cn/team/own@sha256:0123",
            "arn:${AWS::Partition}:ecr:cn-north-1:1:repository/team/own",
        ),
        (
            "${AWS::AccountId}.dkr.ecr.${AWS::Region}.${AWS::URLSuffix}/own:1",
            f"arn:${{AWS::Partition}}:ecr:{OWN}:repository/own",
        ),
    ],
)
def test_images(role_of: Any, declare: Any, image: str, repository: str) -> None:
    algorithm = {"TrainingImage": image, "TrainingInputMode": "File"}
    statements = role_of(declare.single(AlgorithmSpecification=algorithm))
    assert resources(statements, "ecr:BatchGetImage") == {repository}
    assert resources(statements, "ecr:GetAuthorizationToken") == {"*"}


def test_an_image_of_another_registry_needs_no_repository_of_ecr(role_of: Any, declare: Any) -> None:
    algorithm = {"TrainingImage": "registry.example.com/team/own:1", "TrainingInputMode": "File"}
    assert not of_action(role_of(declare.single(AlgorithmSpecification=algorithm)), "ecr:BatchGetImage")


def test_logs_and_metrics_of_training_jobs(role_of: Any, declare: Any) -> None:
    statements = role_of(declare.single())
    group = f"arn:${{AWS::Partition}}:logs:{OWN}:log-group:/aws/sagemaker/TrainingJobs"
    assert resources(statements, "logs:PutLogEvents") == {group, f"{group}:log-stream:*"}
    (metrics,) = of_action(statements, "cloudwatch:PutMetricData")
    assert metrics["Condition"] == {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}}


@pytest.mark.parametrize(
    ("kind", "action", "service"),
    [
        ("EFS", "elasticfilesystem:DescribeMountTargets", "elasticfilesystem"),
        ("FSxLustre", "fsx:DescribeFileSystems", "fsx"),
    ],
)
def test_file_systems(role_of: Any, declare: Any, kind: str, action: str, service: str) -> None:
    source = {"FileSystemId": "fs-0123", "FileSystemType": kind, "FileSystemAccessMode": "ro", "DirectoryPath": "/a"}
    channel = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": source}}
    statements = role_of(declare.single(InputDataConfig=[channel]))
    assert resources(statements, action) == {f"arn:${{AWS::Partition}}:{service}:{OWN}:file-system/fs-0123"}


def test_definitions_with_a_role_of_their_own_give_this_one_nothing(role_of: Any, declare: Any) -> None:
    foreign = declare.definition(
        RoleArn="arn:aws:iam::123456789012:role/own",
        InputDataConfig=[declare.channel("train", "s3://foreign/data/")],
        OutputDataConfig={"S3OutputPath": "s3://foreign/models/"},
    )
    statements = role_of(declare.several("churn", declare.definition(), foreign))
    assert "foreign" not in str(statements)
    assert resources(statements, "s3:PutObject") == {f"{S3}models-${{AWS::Region}}/churn/*"}


def test_a_bucket_of_the_app_brings_its_key(synthesized: Any, declare: Any) -> None:
    """Reading needs the key's decryption, writing its data keys as well; a bucket without a key of its own nothing."""
    from aws_cdk import App, Stack
    from aws_cdk import aws_kms as kms
    from aws_cdk import aws_s3 as s3

    from hpo_constructs.cdk.training_role import common_policy, training_role

    stack = Stack(App(), "ml")
    read_key, written_key = kms.Key(stack, "ReadKey"), kms.Key(stack, "WrittenKey")
    data = s3.Bucket(stack, "Data", encryption_key=read_key)
    models = s3.Bucket(stack, "Models", encryption_key=written_key)
    plain = s3.Bucket(stack, "Plain")
    training_role(
        stack,
        "TrainingRole",
        declare.single(
            InputDataConfig=[
                declare.channel("train", data.s3_url_for_object("churn/train/")),
                declare.channel("validation", plain.s3_url_for_object("churn/validation/")),
            ],
            OutputDataConfig={"S3OutputPath": f"s3://{models.bucket_name}/churn/"},
        ),
        stack,
        common=common_policy(stack, "Common", stack),
    )
    found = synthesized(stack)
    statements = found.statements(found.training_role("churn"))
    keys = {kind: next(name for name in found.resources if name.startswith(kind)) for kind in ("Read", "Written")}
    read_arn, written_arn = (f"${{{key}.Arn}}" for key in keys.values())
    assert resources(statements, "kms:Decrypt") == {read_arn, written_arn}
    assert resources(statements, "kms:GenerateDataKey") == {written_arn}


def largest(declare: Any, prefix: int) -> dict[str, Any]:
    """Ten definitions with twenty channels each, all below prefixes of their own."""
    definitions = [
        declare.definition(
            InputDataConfig=[
                declare.channel(f"c{c}", f"s3://data-${{AWS::AccountId}}/team-{d:02}/{c:02}-{'x' * prefix}/")
                for c in range(20)
            ],
            OutputDataConfig={"S3OutputPath": f"s3://models-{d}/churn/", "KmsKeyId": f"{KEY[:-2]}{d:02}"},
            CheckpointConfig={"S3Uri": f"s3://checkpoints-{d}/churn/"},
            VpcConfig={"Subnets": [f"subnet-{d:017}"], "SecurityGroupIds": [f"sg-{d:017}"]},
        )
        for d in range(10)
    ]
    request: dict[str, Any] = declare.several("churn", *definitions)
    return request


def test_the_largest_declaration_is_within_iam_s_sizes(synthesized: Any, declare: Any) -> None:
    from aws_cdk import App, Stack

    from hpo_constructs.cdk.request import placeholders_replaced
    from hpo_constructs.cdk.training_role import common_policy, training_role

    stack = Stack(App(), "ml")
    common = common_policy(stack, "Common", stack)
    training_role(stack, "TrainingRole", placeholders_replaced(largest(declare, 40), stack), stack, common=common)
    found = synthesized(stack)
    role = found.training_role("churn")
    properties = found.resources[role]["Properties"]
    policies = found.of_type("AWS::IAM::ManagedPolicy")
    assert "Policies" not in properties
    assert len(properties["ManagedPolicyArns"]) == len(policies) <= 10
    # As IAM counts them, with references as long as an account's values.
    texts = [json.dumps(policy["PolicyDocument"], separators=(",", ":")) for policy in policies]
    for name, value in {"AccountId": "1" * 12, "Region": "ap-southeast-2", "Partition": "aws"}.items():
        texts = [text.replace(f"${{AWS::{name}}}", value) for text in texts]
    assert sum(map(len, texts)) > 10_240, "the declaration is not large enough for this test"
    assert max(map(len, texts)) <= 6_144
    statements = [each for policy in policies for each in policy["PolicyDocument"]["Statement"]]
    wanted = {f"{S3}data-${{AWS::AccountId}}/team-{d:02}/{c:02}-{'x' * 40}/*" for d in range(10) for c in range(20)}
    assert wanted <= resources(statements, "s3:GetObject")
    assert {f"team-{d:02}/{c:02}-{'x' * 40}/*" for d in range(10) for c in range(20)} == {
        prefix
        for listing in of_action(statements, "s3:ListBucket")
        if listing["Resource"] == [f"{S3}data-${{AWS::AccountId}}"]
        for prefix in listing["Condition"]["StringLike"]["s3:prefix"]
    }


def test_more_than_a_role_can_hold_is_refused(role_of: Any, declare: Any) -> None:
    with pytest.raises(SpecError, match="must fit into 9 policies"):
        role_of(largest(declare, 800))


def test_a_prefix_that_another_covers_is_not_repeated(role_of: Any, declare: Any) -> None:
    channels = [
        declare.channel("all", "s3://data/churn/"),
        declare.channel("part", "s3://data/churn/part/"),
        declare.channel("other", "s3://data/churn-2/"),
    ]
    statements = role_of(declare.single(InputDataConfig=channels))
    assert resources(statements, "s3:GetObject") == {f"{S3}data/churn/*", f"{S3}data/churn-2/*"}
