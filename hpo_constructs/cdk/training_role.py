"""The role that the training jobs assume, made from the declaration.

Source: "How to use SageMaker AI execution roles", CreateHyperParameterTuningJob API: execution role permissions,
https://docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from aws_cdk import Fn, Reference, Stack, Token, Tokenization
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from constructs import Construct

from ..errors import SpecError
from .acknowledgements import acknowledge_resources
from .permissions import DOCUMENT_SIZE, INLINE_SIZE, MANAGED_POLICIES, MANAGED_SIZE, policy_document, service
from .place import Place, has_token
from .request import definitions, member, members, text

SAGEMAKER: Final = "sagemaker.amazonaws.com"

# https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
_ECR_IMAGE: Final = re.compile(
    r"^(?P<account>[^/]+)\.dkr\.ecr(?:-fips)?\.(?P<region>[^/]+?)\.(?:amazonaws\.|\$\{Token\[)[^/]*/(?P<repository>[^:@]+)"
)
_TRAINING_LOG_GROUP: Final = "/aws/sagemaker/TrainingJobs"

# A statement is cut into several where its resources take more than this.
_PIECE_SIZE: Final = 2_500
# Long for a bucket's name, about right for the ARN of a key or a role.
_TOKEN_SIZE: Final = 80


def common_policy(scope: Construct, id: str, stack: Stack) -> iam.ManagedPolicy:
    """What all training roles of a stack may do: write training logs and metrics, and sign in to ECR."""
    allowed = list(_common(stack))
    policy = iam.ManagedPolicy(
        scope, id, description="Logs, metrics and ECR sign-in of all training jobs", document=_whole_document(allowed)
    )
    _acknowledge(policy, stack, allowed)
    return policy


def training_role(
    scope: Construct, id: str, request: Mapping[str, Any], stack: Stack, *, common: iam.IManagedPolicy
) -> iam.Role:
    """A role for the training jobs of a request: what the declaration names, and no more.

    It reads the channels' S3 prefixes, writes below the output paths, reads and writes the checkpoints, uses the KMS
    keys named, and pulls the training images; with a VPC it also manages the training jobs' network interfaces. A
    bucket of the app that the declaration names by its tokens brings its encryption key: the role may use it as far
    as it may use the bucket.

    The statements are inline, so that the role is one resource; those of a declaration that is too large for that
    are in managed policies beside it.

    Args:
        scope: The construct that holds the role.
        id: The role's construct id.
        request: The request.
        stack: The stack.
        common: What `common_policy` gives for the stack.

    Raises:
        SpecError: the declaration names more than a role's policies can hold.
    """
    allowed = list(_merged(_allowed(stack, request)))
    name = str(request.get("HyperParameterTuningJobName", ""))
    description = f"Training jobs of tuning job {name}"[:1000]
    packed = _packed(allowed, stack, name)
    beside = []
    if len(packed) > 1:
        holder = Construct(scope, f"{id}Policies")
        beside = [
            iam.ManagedPolicy(holder, f"Policy{number}", description=description, document=_document(part))
            for number, part in enumerate(packed, start=1)
        ]
        _acknowledge(holder, stack, allowed)
    role = iam.Role(
        scope,
        id,
        assumed_by=service(SAGEMAKER),
        description=description,
        # A faulty declaration may give none.
        inline_policies={"Training": _whole_document(allowed)} if allowed and not beside else None,
        # Named by the role: it is complete as soon as it exists.
        managed_policies=[common, *beside],
    )
    _acknowledge(role, stack, allowed)
    return role


def _acknowledge(construct: Construct, stack: Stack, allowed: "Iterable[_Allowed]") -> None:
    for each in allowed:
        acknowledge_resources(construct, stack, each.resources, each.reason)


@dataclass(frozen=True, slots=True)
class _Allowed:
    """A statement.

    Attributes:
        actions: The actions.
        resources: Their resources.
        reason: Why the resources have wildcards, for security checkers; empty where they have none.
        conditions: The conditions.
        prefixes: Patterns of S3 keys to which a listing is confined, an alternative condition.
    """

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    reason: str = ""
    conditions: Mapping[str, Any] | None = None
    prefixes: tuple[str, ...] = ()

    def confined(self, values: Iterable[str]) -> "_Allowed":
        """The statement for some of its prefixes, or of its resources where it has none."""
        return replace(self, prefixes=tuple(values)) if self.prefixes else replace(self, resources=tuple(values))

    def as_json(self) -> dict[str, Any]:
        conditions = {"StringLike": {"s3:prefix": list(self.prefixes)}} if self.prefixes else self.conditions
        statement = {"Effect": "Allow", "Action": _one_or_all(self.actions), "Resource": _one_or_all(self.resources)}
        return {**statement, "Condition": dict(conditions)} if conditions else statement


def _one_or_all(values: tuple[str, ...]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)


def _document(allowed: Iterable[_Allowed]) -> iam.PolicyDocument:
    # They are merged already; what was cut for its size must stay so.
    return iam.PolicyDocument(
        statements=[iam.PolicyStatement.from_json(each.as_json()) for each in allowed], minimize=False
    )


def _whole_document(allowed: Iterable[_Allowed]) -> iam.PolicyDocument:
    """The same in one call of the CDK, which may merge it further: nothing was cut."""
    return policy_document(each.as_json() for each in allowed)


def _merged(allowed: Iterable[_Allowed]) -> Iterator[_Allowed]:
    """One statement for all resources of the same actions under the same conditions."""
    together: dict[Any, list[_Allowed]] = {}
    for each in allowed:
        conditions = each.conditions and json.dumps(each.conditions)
        key = (each.actions, conditions, each.reason, each.resources if each.prefixes else ())
        together.setdefault(key, []).append(each)
    for alike in together.values():
        resources = [value for each in alike for value in each.resources]
        prefixes = [value for each in alike for value in each.prefixes]
        yield replace(alike[0], resources=_uncovered(resources), prefixes=_uncovered(prefixes))


def _uncovered(patterns: Iterable[str]) -> tuple[str, ...]:
    """The patterns without repeats and without those that another one, which ends in an asterisk, covers."""
    distinct = tuple(dict.fromkeys(patterns))
    if len(distinct) < 2:
        return distinct
    stems = [pattern[:-1] for pattern in distinct if pattern.endswith("*")]
    return tuple(
        pattern for pattern in distinct if not any(pattern.startswith(stem) and pattern != f"{stem}*" for stem in stems)
    )


def _packed(allowed: Iterable[_Allowed], stack: Stack, name: str) -> list[list[_Allowed]]:
    """The statements of the inline policy, or those of several managed ones.

    Raises:
        SpecError: they do not fit into a role.
    """
    everything = list(allowed)
    whole = json.dumps([each.as_json() for each in everything], separators=(",", ":"))
    if DOCUMENT_SIZE + _length(stack, whole) <= INLINE_SIZE:
        return [everything]
    packed: list[list[_Allowed]] = []
    room: list[int] = []
    for piece in (piece for each in everything for piece in _pieces(stack, each)):
        size = _size(stack, piece)
        place = next((index for index, left in enumerate(room) if size <= left), len(room))
        if place == len(room):
            packed.append([])
            room.append(MANAGED_SIZE - DOCUMENT_SIZE)
        packed[place].append(piece)
        room[place] -= size
    # One is the common policy.
    most = MANAGED_POLICIES - 1
    if len(packed) > most:
        raise SpecError(
            f"the training role of {name} must fit into {most} policies of IAM's size, got {len(packed)}: "
            "put the channels below common prefixes, or name a role of your own in role_arn or training_role"
        )
    return packed


def _pieces(stack: Stack, allowed: _Allowed) -> Iterator[_Allowed]:
    """A statement cut into several of moderate size."""
    values: list[str] = []
    size = 0
    for value in allowed.prefixes or allowed.resources:
        length = _length(stack, value)
        if values and size + length > _PIECE_SIZE:
            yield allowed.confined(values)
            values, size = [], 0
        values.append(value)
        size += length
    yield allowed.confined(values)


def _size(stack: Stack, allowed: _Allowed) -> int:
    """Characters of a statement as IAM counts them, with the comma behind it."""
    return _length(stack, json.dumps(allowed.as_json(), separators=(",", ":"))) + 1


def _length(stack: Stack, value: str) -> int:
    return Place.of(stack).length(value, token=_TOKEN_SIZE)


def _allowed(stack: Stack, request: Mapping[str, Any]) -> Iterator[_Allowed]:
    without_role = [definition for definition in definitions(request) if not text(definition, "RoleArn")]
    yield from _objects(stack, without_role)
    for definition in without_role:
        yield from _file_systems(stack, definition)
        yield from _keys(stack, definition)
        yield from _image(stack, definition)
        yield from _network(stack, definition)


_READ: Final = ("s3:GetObject",)
_WRITTEN: Final = ("s3:AbortMultipartUpload", "s3:PutObject")
_KEPT: Final = ("s3:AbortMultipartUpload", "s3:DeleteObject", "s3:GetObject", "s3:PutObject")
_BELOW: Final = "Objects below the S3 prefixes that the tuning job declares: their keys are known at run time only."


def _objects(stack: Stack, all_definitions: Iterable[Mapping[str, Any]]) -> Iterator[_Allowed]:
    used: dict[tuple[str, ...], list[_S3Location]] = {_READ: [], _WRITTEN: [], _KEPT: []}
    for definition in all_definitions:
        for channel in members(definition, "InputDataConfig"):
            source = member(channel, "DataSource", "S3DataSource")
            if uri := text(source, "S3Uri"):
                location = _S3Location.of(stack, uri)
                # A manifest names objects that are not known at synthesis: any of its bucket.
                manifest = text(source, "S3DataType") in {"ManifestFile", "AugmentedManifestFile"}
                used[_READ].append(location.whole_bucket() if manifest else location)
        # A framework's image reads its script itself; clients write such hyperparameters as JSON.
        script = (text(definition, "StaticHyperParameters", "sagemaker_submit_directory") or "").strip('"')
        if script.startswith("s3://"):
            used[_READ].append(_S3Location.of(stack, script))
        if uri := text(definition, "OutputDataConfig", "S3OutputPath"):
            used[_WRITTEN].append(_S3Location.of(stack, uri).below())
        if uri := text(definition, "CheckpointConfig", "S3Uri"):
            used[_KEPT].append(_S3Location.of(stack, uri).below())
    for actions, locations in used.items():
        for location in locations:
            yield _Allowed(actions, (f"{location.objects}*",), _BELOW)
            if location.key:
                # A multipart upload is put together from parts that are decrypted again.
                of_key = ("kms:Decrypt",) if actions is _READ else ("kms:Decrypt", "kms:GenerateDataKey")
                yield _Allowed(of_key, (location.key,))
    # One statement a bucket, because an inline policy has little room.
    listed: dict[str, list[_S3Location]] = {}
    for location in (*used[_READ], *used[_KEPT]):
        listed.setdefault(location.bucket, []).append(location)
    for bucket, locations in listed.items():
        known = [f"{location.prefix}*" for location in locations if location.prefix]
        yield _Allowed(
            ("s3:ListBucket",),
            (bucket,),
            prefixes=_uncovered(known) if len(known) == len(locations) else (),
        )


def _file_systems(stack: Stack, definition: Mapping[str, Any]) -> Iterator[_Allowed]:
    for channel in members(definition, "InputDataConfig"):
        source = member(channel, "DataSource", "FileSystemDataSource")
        if identifier := text(source, "FileSystemId"):
            service, action = (
                ("fsx", "fsx:DescribeFileSystems")
                if text(source, "FileSystemType") == "FSxLustre"
                else ("elasticfilesystem", "elasticfilesystem:DescribeMountTargets")
            )
            yield _Allowed((action,), (_arn(stack, service, f"file-system/{identifier}"),))


def _keys(stack: Stack, definition: Mapping[str, Any]) -> Iterator[_Allowed]:
    if key := text(definition, "OutputDataConfig", "KmsKeyId"):
        yield _key(stack, key, ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey"))
    volumes = {
        key
        for config in ("ResourceConfig", "HyperParameterTuningResourceConfig")
        if (key := text(definition, config, "VolumeKmsKeyId"))
    }
    for key in sorted(volumes):
        yield _key(stack, key, ("kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext"))
        # The volumes' service uses the key through a grant, which only AWS services may be given.
        yield _key(stack, key, ("kms:CreateGrant",), {"Bool": {"kms:GrantIsForAWSResource": "true"}})


def _key(stack: Stack, key: str, actions: tuple[str, ...], conditions: Mapping[str, Any] | None = None) -> _Allowed:
    alias = key.rpartition(":")[2]
    if alias.startswith("alias/"):
        # A policy cannot name a key by an alias' ARN; the condition does:
        # https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html
        return _Allowed(
            actions,
            (_arn(stack, "kms", "key/*"),),
            "The key is named by an alias, which a condition of the statement states.",
            {**(conditions or {}), "ForAnyValue:StringEquals": {"kms:ResourceAliases": alias}},
        )
    resource = key if key.startswith("arn:") or Token.is_unresolved(key) else _arn(stack, "kms", f"key/{key}")
    return _Allowed(actions, (resource,), conditions=conditions)


def _image(stack: Stack, definition: Mapping[str, Any]) -> Iterator[_Allowed]:
    image = text(definition, "AlgorithmSpecification", "TrainingImage")
    if image is None:
        return
    reason = ""
    if match := _ECR_IMAGE.match(image):
        repository = (
            f"arn:{Place.of(stack).partition}:ecr:{match['region']}:{match['account']}:repository/{match['repository']}"
        )
    elif Token.is_unresolved(image):
        repository = _arn(stack, "ecr", "repository/*")
        reason = "The training image's whole URI is known at deployment only: any repository of the account."
    else:
        return
    pulling = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    yield _Allowed(pulling, (repository,), reason)


def _network(stack: Stack, definition: Mapping[str, Any]) -> Iterator[_Allowed]:
    vpc = member(definition, "VpcConfig")
    if not vpc:
        return
    interfaces = _arn(stack, "ec2", "network-interface/*")
    reason = "The training instances' network interfaces are made, and named, at run time."
    subnets = [_arn(stack, "ec2", f"subnet/{each}") for each in _texts(vpc, "Subnets")]
    groups = [_arn(stack, "ec2", f"security-group/{each}") for each in _texts(vpc, "SecurityGroupIds")]
    yield _Allowed(("ec2:CreateNetworkInterface",), (interfaces, *subnets, *groups), reason)
    yield _Allowed(
        (
            "ec2:CreateNetworkInterfacePermission",
            "ec2:DeleteNetworkInterface",
            "ec2:DeleteNetworkInterfacePermission",
        ),
        (interfaces,),
        reason,
    )
    yield _Allowed(
        (
            "ec2:DescribeDhcpOptions",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
        ),
        ("*",),
        "EC2's Describe actions have no resources.",
    )


def _common(stack: Stack) -> Iterator[_Allowed]:
    yield _Allowed(("ecr:GetAuthorizationToken",), ("*",), "ECR has no resource for authorization tokens.")
    group = _arn(stack, "logs", f"log-group:{_TRAINING_LOG_GROUP}")
    yield _Allowed(
        ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"),
        (group, f"{group}:log-stream:*"),
        "Log streams of SageMaker's one log group for training jobs are named after training jobs to come.",
    )
    yield _Allowed(
        ("cloudwatch:PutMetricData",),
        ("*",),
        "CloudWatch has no resource for metrics: the namespace, which a condition states, is the finest there is.",
        {"StringLike": {"cloudwatch:namespace": ["/aws/sagemaker/*", "aws/sagemaker/*"]}},
    )


@dataclass(frozen=True, slots=True)
class _S3Location:
    """A bucket and a prefix in it.

    Attributes:
        bucket: ARN of the bucket.
        objects: ARN of the prefix: what the ARNs of its objects begin with.
        prefix: What the keys begin with; None where it is known at deployment only.
        key: ARN of the KMS key of a bucket of the app.
    """

    bucket: str
    objects: str
    prefix: str | None
    key: str | None

    @classmethod
    def of(cls, stack: Stack, uri: str) -> "_S3Location":
        """The location of an `s3://` URI, of its https form, or of a token that stands for a whole URI."""
        arn = f"arn:{Place.of(stack).partition}:s3:::"
        encryption_key = _key_of_bucket(stack, uri)
        scheme, separator, rest = uri.partition("://")
        if not separator and Token.is_unresolved(uri):
            # s3: / (nothing) / bucket / key
            bucket = Fn.select(2, Fn.split("/", uri))
            return cls(f"{arn}{bucket}", f"{arn}{Fn.select(1, Fn.split('s3://', uri))}", None, encryption_key)
        host, _, key = rest.partition("/")
        if scheme == "https" and host.startswith("s3"):
            host, _, key = key.partition("/")
        elif scheme == "https":
            host = host.partition(".s3")[0]
        return cls(f"{arn}{host}", f"{arn}{host}/{key}", key, encryption_key)

    def whole_bucket(self) -> "_S3Location":
        return replace(self, objects=f"{self.bucket}/", prefix="")

    def below(self) -> "_S3Location":
        """The location as a folder: SageMaker adds a slash to an output path that has none."""
        if self.prefix is None or self.prefix == "" or self.prefix.endswith("/"):
            return self
        return replace(self, objects=f"{self.objects}/", prefix=f"{self.prefix}/")


def _key_of_bucket(stack: Stack, uri: str) -> str | None:
    """ARN of the key that encrypts the bucket of the app that a URI names by its tokens."""
    settled = Place.of(stack).usual(uri)
    if not has_token(settled):
        return None
    for token in Tokenization.reverse_string(settled).tokens:
        bucket = token.target.node.scope if isinstance(token, Reference) else None
        if isinstance(bucket, s3.Bucket) and bucket.encryption_key:
            return bucket.encryption_key.key_arn
    return None


def _texts(value: Any, name: str) -> list[str]:
    found = member(value, name)
    return [each for each in found if isinstance(each, str)] if isinstance(found, list | tuple) else []


def _arn(stack: Stack, service: str, resource: str) -> str:
    place = Place.of(stack)
    return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{resource}"
