"""Resource types whose class in moto ignores properties, or cannot be updated."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from moto.awslambda.models import LambdaFunction, lambda_backends
from moto.iam.models import Role, iam_backends
from moto.s3.models import s3_backends
from moto.ssm.models import ssm_backends
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from .custom_resources import DeploymentError


class Place(NamedTuple):
    """Where a stack is."""

    account_id: str
    region: str


def _lambda_spec(name: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A function's template properties as CreateFunction takes them."""
    spec = {**properties, "FunctionName": name, "Code": dict(properties["Code"])}
    if "Tags" in spec:
        spec["Tags"] = {tag["Key"]: tag["Value"] for tag in spec["Tags"]}
    if "ZipFile" in spec["Code"]:
        archive = LambdaFunction._create_zipfile_from_plaintext_code(spec["Code"]["ZipFile"])
        spec["Code"]["ZipFile"] = base64.b64encode(archive)
    for number in ("Timeout", "MemorySize"):
        if number in spec:
            spec[number] = int(spec[number])
    return spec


def _create_function(name: str, properties: dict[str, Any], at: Place) -> Any:
    return lambda_backends[at.account_id][at.region].create_function(_lambda_spec(name, properties))


def _update_function(function: Any, properties: dict[str, Any], at: Place) -> Any:  # noqa: ARG001
    spec = _lambda_spec(function.function_name, properties)
    defaults = {
        "Description": "",
        "MemorySize": 128,
        "Timeout": 3,
        "Environment": {},
        "Layers": [],
        "LoggingConfig": {},
    }
    configuration = {**defaults, **{key: value for key, value in spec.items() if key != "Code"}}
    configuration["Environment"] = {"Variables": configuration["Environment"].get("Variables", {})}
    function.update_configuration(configuration)
    function.update_function_code(spec["Code"])
    function.architectures = spec.get("Architectures", ["x86_64"])
    function.tags = spec.get("Tags", {})
    return function


def _state_machine_arguments(properties: Mapping[str, Any], at: Place) -> dict[str, Any]:
    if "DefinitionString" in properties:
        definition = properties["DefinitionString"]
    elif "Definition" in properties:
        definition = json.dumps(properties["Definition"])
    else:
        place = properties["DefinitionS3Location"]
        key = s3_backends[at.account_id]["aws"].get_object(place["Bucket"], place["Key"])
        if key is None:
            raise DeploymentError(f"s3://{place['Bucket']}/{place['Key']} does not exist")
        definition = key.value.decode()
    for name, value in properties.get("DefinitionSubstitutions", {}).items():
        definition = definition.replace("${" + name + "}", str(value))
    return {
        "definition": definition,
        "logging": _camel(properties.get("LoggingConfiguration")),
        "tracing": _camel(properties.get("TracingConfiguration")),
        "encryption": _camel(properties.get("EncryptionConfiguration")),
        "tags": [{"key": tag["Key"], "value": tag["Value"]} for tag in properties.get("Tags", [])],
    }


def _camel(value: Any) -> Any:
    """A template's keys as the Step Functions API spells them."""
    if isinstance(value, dict):
        return {key[0].lower() + key[1:]: _camel(item) for key, item in value.items()}
    return [_camel(item) for item in value] if isinstance(value, list) else value


def _create_state_machine(name: str, properties: dict[str, Any], at: Place) -> Any:
    given = _state_machine_arguments(properties, at)
    machine = stepfunctions_parser_backends[at.account_id][at.region].create_state_machine(
        name=name,
        definition=given["definition"],
        roleArn=properties["RoleArn"],
        tags=given["tags"],
        loggingConfiguration=given["logging"],
        tracingConfiguration=given["tracing"],
        encryptionConfiguration=given["encryption"],
        sm_type=properties.get("StateMachineType"),
    )
    machine.sm_type = machine.type
    return machine


def _update_state_machine(machine: Any, properties: dict[str, Any], at: Place) -> Any:
    given = _state_machine_arguments(properties, at)
    backend: Any = stepfunctions_parser_backends[at.account_id][at.region]
    backend.update_state_machine(
        machine.arn,
        definition=given["definition"],
        role_arn=properties["RoleArn"],
        logging_configuration=given["logging"] or {"level": "OFF"},
        tracing_configuration=given["tracing"] or {"enabled": False},
    )
    backend.tagger.delete_all_tags_for_resource(machine.arn)
    backend.tagger.tag_resource(machine.arn, given["tags"])
    return machine


def _document(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _update_role(role: Any, properties: dict[str, Any], at: Place) -> Any:
    backend: Any = iam_backends[at.account_id]["aws"]
    role.assume_role_policy_document = _document(properties["AssumeRolePolicyDocument"])
    role.description = properties.get("Description", "")
    role.max_session_duration = properties.get("MaxSessionDuration", 3600)
    inline = {policy["PolicyName"]: _document(policy["PolicyDocument"]) for policy in properties.get("Policies", [])}
    # Policies that AWS::IAM::Policy resources put on the role are not the role's own.
    own: set[str] = getattr(role, "hpo_own_policies", set())
    for name in own - set(inline):
        role.policies.pop(name, None)
    role.policies.update(inline)
    role.hpo_own_policies = set(inline)
    wanted = set(properties.get("ManagedPolicyArns", []))
    for arn in getattr(role, "hpo_own_managed", set()) - wanted:
        backend.detach_role_policy(role_name=role.name, policy_arn=arn)
    for arn in wanted - set(role.managed_policies):
        if arn in backend.managed_policies:
            backend.attach_role_policy(role_name=role.name, policy_arn=arn)
        elif not arn.startswith("arn:aws:iam::aws:"):
            # moto's copy of the AWS managed policies may be older than a policy; nothing is authorised here.
            raise DeploymentError(f"Policy {arn} does not exist or is not attachable")
    role.hpo_own_managed = wanted
    return role


def _create_role(name: str, properties: dict[str, Any], at: Place) -> Any:
    definition = {"Properties": {**properties, "RoleName": name}}
    role = Role.create_from_cloudformation_json(name, definition, at.account_id, at.region)
    return _update_role(role, properties, at)


def _put_parameter(name: str, properties: dict[str, Any], at: Place, *, overwrite: bool) -> Any:
    backend: Any = ssm_backends[at.account_id][at.region]
    parameter = backend.put_parameter(
        name=name,
        description=properties.get("Description"),
        value=properties["Value"],
        parameter_type=properties["Type"],
        allowed_pattern=properties.get("AllowedPattern"),
        keyid=None,
        overwrite=overwrite,
        tags=None,
        data_type=properties.get("DataType", "text"),
        tier=properties.get("Tier"),
        policies=properties.get("Policies"),
    )
    present = backend.list_tags_for_resource("Parameter", name)
    backend.remove_tags_from_resource("Parameter", name, list(present))
    # This type's tags are an object, not a list.
    backend.add_tags_to_resource("Parameter", name, dict(properties.get("Tags", {})))
    return parameter


def _create_parameter(name: str, properties: dict[str, Any], at: Place) -> Any:
    return _put_parameter(name, properties, at, overwrite=False)


def _update_parameter(parameter: Any, properties: dict[str, Any], at: Place) -> Any:
    return _put_parameter(parameter.name, properties, at, overwrite=True)


def _update_log_group(group: Any, properties: dict[str, Any], at: Place) -> Any:  # noqa: ARG001
    group.retention_in_days = properties.get("RetentionInDays")
    return group


def _delete_managed_policy(policy: Any, properties: dict[str, Any], at: Place) -> None:  # noqa: ARG001
    backend: Any = iam_backends[at.account_id]["aws"]
    for holder in (*backend.roles.values(), *backend.users.values(), *backend.groups.values()):
        holder.managed_policies.pop(policy.arn, None)
    backend.managed_policies.pop(policy.arn, None)


def _delete_role(role: Any, properties: dict[str, Any], at: Place) -> None:
    # CloudFormation takes off the managed policies that it put on; moto refuses to delete a role that has any.
    _update_role(role, {**properties, "ManagedPolicyArns": []}, at)
    Role.delete_from_cloudformation_json(role.name, {"Properties": properties}, at.account_id, at.region)


@dataclass(frozen=True)
class ResourceType:
    """How a type is handled here; what is None is left to moto's class."""

    create: Callable[[str, dict[str, Any], Place], Any] | None = None
    #: Changes the resource in place.
    update: Callable[[Any, dict[str, Any], Place], Any] | None = None
    delete: Callable[[Any, dict[str, Any], Place], None] | None = None
    #: The property that names a resource, where moto's class says something else.
    name_property: str | None = None
    #: Properties whose change replaces the resource, besides its name.
    replacing: frozenset[str] = field(default=frozenset())
    #: The longest name: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html and the
    #: services' API references. A longer generated one is cut, as CloudFormation cuts it.
    max_name: int = 128


MOTO_TYPE = ResourceType()

TYPES: Mapping[str, ResourceType] = {
    "AWS::IAM::ManagedPolicy": ResourceType(delete=_delete_managed_policy, name_property="ManagedPolicyName"),
    "AWS::IAM::Role": ResourceType(create=_create_role, update=_update_role, delete=_delete_role, max_name=64),
    "AWS::Lambda::Function": ResourceType(
        create=_create_function, update=_update_function, replacing=frozenset({"PackageType"}), max_name=64
    ),
    "AWS::Logs::LogGroup": ResourceType(update=_update_log_group),
    "AWS::SSM::Parameter": ResourceType(
        create=_create_parameter, update=_update_parameter, replacing=frozenset({"Type"})
    ),
    "AWS::StepFunctions::StateMachine": ResourceType(
        create=_create_state_machine,
        update=_update_state_machine,
        name_property="StateMachineName",
        replacing=frozenset({"StateMachineType"}),
        max_name=80,
    ),
}
