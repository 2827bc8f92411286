"""The role that the training jobs assume, made from the declaration.

Source: "How to use SageMaker AI execution roles", CreateHyperParameterTuningJob API: execution role permissions,
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aws_cdk import Fn, Stack, Token
from aws_cdk import aws_iam as iam
from constructs import Construct

from .request import definitions, member, members, text

SAGEMAKER: Final = "sagemaker.amazonaws.com"

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR_IMAGE: Final = re.compile(
    r"^(?P<account>[^/]+)\.dkr\.ecr(?:-fips)?\.(?P<region>[^/]+?)\.(?:amazonaws\.|\$\{Token\[)[^/]*/(?P<repository>[^:@]+)"
)
_TRAINING_LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"


def training_role(scope: Construct, id: str, request: Mapping[str, Any]) -> iam.Role:
    """A role for the training jobs of a request: what the declaration names, and no more.

    It reads the channels' S3 prefixes, writes below the output paths, reads and writes the checkpoints, uses the KMS
    keys named, pulls the training images, and writes training logs and metrics; with a VPC it also manages the
    training jobs' network interfaces. All statements are inline, so that the role is one resource.
    """
    return iam.Role(
        scope,
        id,
        assumed_by=iam.ServicePrincipal(SAGEMAKER),
        description=f"Training jobs of tuning job {request.get('HyperParameterTuningJobName', '')}"[:1000],
        inline_policies={
            "Training": iam.PolicyDocument(statements=list(_statements(Stack.of(scope), request)), minimize=True)
        },
    )


def _statements(stack: Stack, request: Mapping[str, Any]) -> Iterable[iam.PolicyStatement]:
    without_role = [definition for definition in definitions(request) if not text(definition, "RoleArn")]
    yield from _objects(stack, without_role)
    for definition in without_role:
        yield from _file_systems(stack, definition)
        yield from _keys(stack, definition)
        yield from _image(stack, definition)
        yield from _network(stack, definition)
    yield from _observability(stack)


def _objects(stack: Stack, all_definitions: Iterable[Mapping[str, Any]]) -> Iterable[iam.PolicyStatement]:
    read, written, kept = [], [], []
    for definition in all_definitions:
        for channel in members(definition, "InputDataConfig"):
            source = member(channel, "DataSource", "S3DataSource")
            if uri := text(source, "S3Uri"):
                location = _S3Location.of(stack, uri)
                # A manifest names objects that are not known at synthesis: any of its bucket.
                manifest = text(source, "S3DataType") in {"ManifestFile", "AugmentedManifestFile"}
                read.append(location.whole_bucket() if manifest else location)
        if uri := text(definition, "OutputDataConfig", "S3OutputPath"):
            written.append(_S3Location.of(stack, uri).below())
        if uri := text(definition, "CheckpointConfig", "S3Uri"):
            kept.append(_S3Location.of(stack, uri).below())
    for locations, actions in (
        (read, ["s3:GetObject"]),
        (written, ["s3:AbortMultipartUpload", "s3:PutObject"]),
        (kept, ["s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject"]),
    ):
        if locations:
            resources = dict.fromkeys(f"{location.objects}*" for location in locations)
            yield iam.PolicyStatement(actions=actions, resources=list(resources))
    # One statement a bucket, because an inline policy has little room.
    prefixes: dict[str, list[str | None]] = {}
    for location in (*read, *kept):
        prefixes.setdefault(location.bucket, []).append(location.prefix)
    for bucket, of_bucket in prefixes.items():
        known = [f"{prefix}*" for prefix in dict.fromkeys(of_bucket) if prefix]
        yield iam.PolicyStatement(
            actions=["s3:ListBucket"],
            resources=[bucket],
            conditions={"StringLike": {"s3:prefix": known}} if all(of_bucket) else None,
        )


def _file_systems(stack: Stack, definition: Mapping[str, Any]) -> Iterable[iam.PolicyStatement]:
    for channel in members(definition, "InputDataConfig"):
        source = member(channel, "DataSource", "FileSystemDataSource")
        if identifier := text(source, "FileSystemId"):
            yield _file_system(stack, identifier, text(source, "FileSystemType"))


def _file_system(stack: Stack, identifier: str, kind: str | None) -> iam.PolicyStatement:
    service, action = (
        ("fsx", "fsx:DescribeFileSystems")
        if kind == "FSxLustre"
        else ("elasticfilesystem", "elasticfilesystem:DescribeMountTargets")
    )
    return iam.PolicyStatement(actions=[action], resources=[_arn(stack, service, f"file-system/{identifier}")])


def _keys(stack: Stack, definition: Mapping[str, Any]) -> Iterable[iam.PolicyStatement]:
    if key := text(definition, "OutputDataConfig", "KmsKeyId"):
        yield _key_statement(stack, key, ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"])
    volumes = {
        key
        for config in ("ResourceConfig", "HyperParameterTuningResourceConfig")
        if (key := text(definition, config, "VolumeKmsKeyId"))
    }
    for key in sorted(volumes):
        yield _key_statement(stack, key, ["kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"])
        # The volumes' service uses the key through a grant, which only AWS services may be given.
        yield _key_statement(
            stack, key, ["kms:CreateGrant"], conditions={"Bool": {"kms:GrantIsForAWSResource": "true"}}
        )


def _key_statement(
    stack: Stack, key: str, actions: list[str], conditions: dict[str, Any] | None = None
) -> iam.PolicyStatement:
    conditions = dict(conditions or {})
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        # A policy cannot name a key by an alias' ARN; the condition does:
        # https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
        conditions["ForAnyValue:StringEquals"] = {"kms:ResourceAliases": alias}
        resource = _arn(stack, "kms", "key/*")
    else:
        resource = key if key.startswith("arn:") or Token.is_unresolved(key) else _arn(stack, "kms", f"key/{key}")
    return iam.PolicyStatement(actions=actions, resources=[resource], conditions=conditions or None)


def _image(stack: Stack, definition: Mapping[str, Any]) -> Iterable[iam.PolicyStatement]:
    image = text(definition, "AlgorithmSpecification", "TrainingImage")
    if image is None:
        return
    if match := _ECR_IMAGE.match(image):
        repository = f"arn:{stack.partition}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
    elif Token.is_unresolved(image):
        # The whole URI is known at deployment only: any repository of the account.
        repository = _arn(stack, "ecr", "repository/*")
    else:
        return
    yield iam.PolicyStatement(
        actions=["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
        resources=[repository],
    )
    # The service has no resource for authorization tokens.
    yield iam.PolicyStatement(actions=["ecr:GetAuthorizationToken"], resources=["*"])


def _network(stack: Stack, definition: Mapping[str, Any]) -> Iterable[iam.PolicyStatement]:
    vpc = member(definition, "VpcConfig")
    if not vpc:
        return
    interfaces = _arn(stack, "ec2", "network-interface/*")
    subnets = [_arn(stack, "ec2", f"subnet/{each}") for each in _texts(vpc, "Subnets")]
    groups = [_arn(stack, "ec2", f"security-group/{each}") for each in _texts(vpc, "SecurityGroupIds")]
    yield iam.PolicyStatement(actions=["ec2:CreateNetworkInterface"], resources=[interfaces, *subnets, *groups])
    yield iam.PolicyStatement(
        actions=[
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
        ],
        resources=[interfaces],
    )
    # EC2's Describe actions have no resources.
    yield iam.PolicyStatement(
        actions=[
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ],
        resources=["*"],
    )


def _observability(stack: Stack) -> Iterable[iam.PolicyStatement]:
    group = _arn(stack, "logs", f"log-group:{_TRAINING_LOG_GROUP}")
    yield iam.PolicyStatement(
        actions=["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"],
        resources=[group, f"{group}:log-stream:*"],
    )
    # CloudWatch has no resource for metrics; the namespace is the finest there is.
    yield iam.PolicyStatement(
        actions=["cloudwatch:PutMetricData"],
        resources=["*"],
        conditions={"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
    )


@dataclass(frozen=True, slots=True)
class _S3Location:
    """A bucket and a prefix in it.

    Attributes:
        bucket: ARN of the bucket.
        objects: ARN of the prefix: what the ARNs of its objects begin with.
        prefix: What the keys begin with; None where it is known at deployment only.
    """

    bucket: str
    objects: str
    prefix: str | None

    @classmethod
    def of(cls, stack: Stack, uri: str) -> "_S3Location":
        """The location of an `s3://` URI, of its https form, or of a token that stands for a whole URI."""
        arn = f"arn:{stack.partition}:s3:::"
        scheme, separator, rest = uri.partition("://")
        if not separator and Token.is_unresolved(uri):
            # s3: / (nothing) / bucket / key
            bucket = Fn.select(2, Fn.split("/", uri))
            return cls(f"{arn}{bucket}", f"{arn}{Fn.select(1, Fn.split('s3://', uri))}", None)
        host, _, key = rest.partition("/")
        if scheme == "https" and host.startswith("s3"):
            host, _, key = key.partition("/")
        elif scheme == "https":
            host = host.partition(".s3")[0]
        return cls(f"{arn}{host}", f"{arn}{host}/{key}", key)

    def whole_bucket(self) -> "_S3Location":
        return _S3Location(self.bucket, f"{self.bucket}/", "")

    def below(self) -> "_S3Location":
        """The location as a folder: SageMaker adds a slash to an output path that has none."""
        if self.prefix is None or self.prefix == "" or self.prefix.endswith("/"):
            return self
        return _S3Location(self.bucket, f"{self.objects}/", f"{self.prefix}/")


def _texts(value: Any, name: str) -> list[str]:
    found = member(value, name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list | tuple) else []


def _arn(stack: Stack, service: str, resource: str) -> str:
    return f"arn:{stack.partition}:{service}:{stack.region}:{stack.account}:{resource}"
