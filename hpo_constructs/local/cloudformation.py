"""Deploys stacks on the local endpoint: CloudFormation's order, events and answers over moto's resources.

moto creates resources in whatever order they refer to each other, answers a change set's execution when all is
done, keeps no outputs of a change set, invokes custom resources without waiting for their answer and never again
for an update or a deletion, and leaves a failed deployment as it stands. Here a deployment runs in the background
as the service's does: resources in the order of their references and ``DependsOn``, an event for each, roll-back
when one fails. What a resource *is* stays moto's, except for the types in ``_HANDLERS``, whose classes in moto
ignore properties or cannot be updated.

A type that moto does not know deploys as a placeholder with an event that says so: the rest of the stack can be
rehearsed.
"""

from __future__ import annotations

import copy
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

from moto.cloudformation import parsing
from moto.cloudformation.exceptions import AlreadyExistsException, ValidationError
from moto.cloudformation.models import ChangeSet, CloudFormationBackend, Event, Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.cloudformation.utils import generate_stack_id, random_suffix
from moto.core.common_models import CloudFormationModel
from moto.core.responses import ActionResult, EmptyResult

from .custom_resources import Callbacks, CustomResource, DeploymentError, Placeholder, reason_of
from .patching import replace
from .resource_types import MOTO_TYPE, TYPES, Place
from .stack_resources import DeployedResources

log = logging.getLogger(__name__)

#: A call that starts a deployment answers after this many seconds at the latest; most local deployments are done
#: by then, and clients that look every five seconds need not look twice.
ANSWER_AFTER = 4.0
_CUSTOM_TYPE = "AWS::CloudFormation::CustomResource"
#: Types that do nothing in AWS either: no note about them.
_WITHOUT_EFFECT = {"AWS::CDK::Metadata"}


def _model(resource_type: str) -> type[CloudFormationModel] | None:
    if resource_type in parsing.NULL_MODELS:
        return None
    return parsing.get_model_map().get(resource_type)


def _is_custom(resource_type: str) -> bool:
    return resource_type.startswith("Custom::") or resource_type == _CUSTOM_TYPE


def _name_property(resource_type: str) -> str | None:
    return (
        TYPES.get(resource_type, MOTO_TYPE).name_property
        or parsing.resource_name_property_from_type(resource_type)
        or None
    )


def _generated_name(resource_type: str, stack_name: str, logical_id: str) -> str:
    name = parsing.generate_resource_name(resource_type, stack_name, logical_id)
    limit = TYPES.get(resource_type, MOTO_TYPE).max_name
    if len(name) <= limit:
        return str(name)
    suffix = random_suffix()
    return f"{stack_name}-{logical_id}"[: limit - len(suffix) - 1].rstrip("-") + "-" + suffix


def _physical_id(resource: Any) -> str:
    return str(getattr(resource, "physical_resource_id", "") or "")


# Deployments


class Deployment:
    """One operation on a stack, run in a thread of its own."""

    def __init__(self, backend: Any, stack: Any, callbacks: Callbacks) -> None:
        self._backend = backend
        self._stack = stack
        self._callbacks = callbacks
        self._resources: DeployedResources = stack.resource_map
        self._place = Place(stack.account_id, stack.region_name)
        self._thread: threading.Thread | None = None

    def _start(self, status: str, work: Callable[[], None]) -> None:
        stack = self._stack
        if stack.status.endswith("_IN_PROGRESS") and stack.status != "REVIEW_IN_PROGRESS":
            raise ValidationError(message=f"Stack:{stack.stack_id} is in {stack.status} state and can not be updated.")
        self._set_status(status, "User Initiated")
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def wait(self, seconds: float | None = None) -> None:
        if self._thread is not None:
            self._thread.join(seconds)

    # The three operations

    def create(self) -> None:
        self._start("CREATE_IN_PROGRESS", self._create)

    def update(self, template: str, parameters: dict[str, Any], tags: dict[str, str] | None) -> None:
        self._start("UPDATE_IN_PROGRESS", lambda: self._update(template, parameters, tags))

    def delete(self) -> None:
        self._start("DELETE_IN_PROGRESS", self._delete)

    def _create(self) -> None:
        try:
            self._deploy()
            self._publish_outputs()
        except Exception as exc:
            self._report(exc)
            self._set_status("ROLLBACK_IN_PROGRESS", f"The following resource(s) failed to create: {reason_of(exc)}")
            failed = self._remove(reversed(self._resources.logical_ids()), retained={"Retain"})
            self._set_status("ROLLBACK_FAILED" if failed else "ROLLBACK_COMPLETE", failed)
        else:
            self._set_status("CREATE_COMPLETE")

    def _update(self, template: str, parameters: dict[str, Any], tags: dict[str, str] | None) -> None:
        stack = self._stack
        former = (stack.template, stack.template_dict, stack.parameters, stack.tags)
        try:
            self._take(template, parameters)
            if tags is not None:
                stack.tags = tags
            self._deploy()
            self._publish_outputs()
        except Exception as exc:
            self._report(exc)
            self._set_status("UPDATE_ROLLBACK_IN_PROGRESS", f"The update failed: {reason_of(exc)}")
            stack.template, stack.template_dict, stack.parameters, stack.tags = former
            try:
                self._resources.use(copy.deepcopy(stack.template_dict), stack.parameters)
                self._deploy()
            except Exception as second:
                self._report(second)
                self._set_status("UPDATE_ROLLBACK_FAILED", reason_of(second))
                return
            self._clean_up()
            self._set_status("UPDATE_ROLLBACK_COMPLETE")
        else:
            self._set_status("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
            self._clean_up()
            self._set_status("UPDATE_COMPLETE")

    def _delete(self) -> None:
        failed = self._remove(reversed(self._resources.logical_ids()))
        if failed:
            self._set_status("DELETE_FAILED", failed)
            return
        stack = self._stack
        self._drop_exports()
        self._backend.stacks.pop(stack.stack_id, None)
        self._backend.deleted_stacks[stack.stack_id] = stack
        self._set_status("DELETE_COMPLETE")

    # Their parts

    def _take(self, template: str, parameters: dict[str, Any]) -> None:
        stack = self._stack
        stack.template = template
        stack._parse_template()
        stack.description = stack.template_dict.get("Description")
        stack.parameters = parameters
        self._resources.use(copy.deepcopy(stack.template_dict), parameters)

    def _deploy(self) -> None:
        for logical_id in self._resources.wanted():
            definition = self._resolve(logical_id)
            former = self._resources.deployed.get(logical_id)
            if former == definition:
                continue
            kind = "CREATE" if former is None else "UPDATE"
            present = self._resources[logical_id] if former is not None else None
            self._event(logical_id, definition["Type"], f"{kind}_IN_PROGRESS", _physical_id(present))
            try:
                if former is None:
                    resource = self._create_resource(logical_id, definition)
                else:
                    resource = self._update_resource(logical_id, present, former, definition)
            except Exception as exc:
                self._event(logical_id, definition["Type"], f"{kind}_FAILED", _physical_id(present), reason_of(exc))
                raise
            self._resources.keep(logical_id, resource, definition)
            note = None
            if isinstance(resource, Placeholder) and definition["Type"] not in _WITHOUT_EFFECT:
                note = f"{definition['Type']} is not available on the local endpoint: it has no effect here"
                log.warning("%s: %s", logical_id, note)
            self._event(logical_id, definition["Type"], f"{kind}_COMPLETE", _physical_id(resource), note)

    def _resolve(self, logical_id: str) -> dict[str, Any]:
        try:
            return self._resources.resolve(logical_id)
        except Exception as exc:
            block = self._resources._resource_json_map[logical_id]
            self._event(logical_id, block["Type"], "CREATE_FAILED", "", reason_of(exc))
            raise

    def _create_resource(self, logical_id: str, definition: dict[str, Any]) -> Any:
        resource_type = definition["Type"]
        account, region = self._place
        if _is_custom(resource_type):
            custom = CustomResource(region, logical_id, resource_type, self._stack.stack_id)
            custom.request("Create", definition["Properties"], self._callbacks)
            return custom
        # Creators may change what they are given.
        properties = copy.deepcopy(definition["Properties"])
        name_property = _name_property(resource_type)
        name = _generated_name(resource_type, self._stack.name, logical_id)
        if name_property:
            name = str(properties.setdefault(name_property, name))
        create = TYPES.get(resource_type, MOTO_TYPE).create
        if create is not None:
            return create(name, properties, self._place)
        model = _model(resource_type)
        if model is None:
            return Placeholder(resource_type, name)
        resource = model.create_from_cloudformation_json(
            name,
            {"Type": resource_type, "Properties": properties},
            account,
            region,
            LogicalId=logical_id,
            StackId=self._stack.stack_id,
            ResourceType=resource_type,
        )
        if isinstance(resource, Stack):
            _wait_for_nested(resource)
        return resource

    def _update_resource(
        self, logical_id: str, present: Any, former: dict[str, Any], definition: dict[str, Any]
    ) -> Any:
        resource_type = definition["Type"]
        account, region = self._place
        if isinstance(present, CustomResource) and former["Type"] == resource_type:
            updated = copy.copy(present)
            updated.request("Update", definition["Properties"], self._callbacks)
            if updated.physical_resource_id != present.physical_resource_id:
                # Another physical id is a replacement: the former one is deleted.
                self._delete_resource(present, former)
            return updated
        name_property = _name_property(resource_type)
        given = definition["Properties"].get(name_property) if name_property else None
        changed = {
            key
            for key in {*former["Properties"], *definition["Properties"]}
            if former["Properties"].get(key) != definition["Properties"].get(key)
        }
        special = TYPES.get(resource_type, MOTO_TYPE)
        renamed = name_property in changed and given is not None
        replaced = former["Type"] != resource_type or renamed or changed & special.replacing
        if not replaced and special.update is not None:
            return special.update(present, copy.deepcopy(definition["Properties"]), self._place)
        model = _model(resource_type)
        can_update = model is not None and not hasattr(model.update_from_cloudformation_json, "__isabstractmethod__")
        if not replaced and model is not None and can_update:
            properties = copy.deepcopy(definition["Properties"])
            name = str(getattr(present, "name", "") or _physical_id(present))
            if name_property:
                properties.setdefault(name_property, name)
            return (
                model.update_from_cloudformation_json(
                    original_resource=present,
                    new_resource_name=name,
                    cloudformation_json={"Type": resource_type, "Properties": properties},
                    account_id=account,
                    region_name=region,
                )
                or present
            )
        # A replacement under another name can be made before the former one goes, as the service does it.
        if replaced and (renamed or given is None):
            resource = self._create_resource(logical_id, definition)
            self._delete_resource(present, former)
            return resource
        self._delete_resource(present, former)
        return self._create_resource(logical_id, definition)

    def _clean_up(self) -> None:
        """Delete what the present template does not have any more."""
        wanted = set(self._resources.wanted())
        self._remove([name for name in reversed(self._resources.logical_ids()) if name not in wanted])

    def _remove(
        self, logical_ids: Iterable[str], *, retained: Collection[str] = ("Retain", "RetainExceptOnCreate")
    ) -> str | None:
        """Delete resources; the reason for what could not be deleted."""
        failed = {}
        for logical_id in list(logical_ids):
            resource, definition = self._resources[logical_id], self._resources.deployed[logical_id]
            block = self._resources._resource_json_map.get(logical_id, {})
            if block.get("DeletionPolicy") in retained:
                self._event(logical_id, definition["Type"], "DELETE_SKIPPED", _physical_id(resource))
            else:
                self._event(logical_id, definition["Type"], "DELETE_IN_PROGRESS", _physical_id(resource))
                try:
                    self._delete_resource(resource, definition)
                except Exception as exc:
                    self._report(exc)
                    failed[logical_id] = reason_of(exc)
                    self._event(
                        logical_id, definition["Type"], "DELETE_FAILED", _physical_id(resource), failed[logical_id]
                    )
                    continue
                self._event(logical_id, definition["Type"], "DELETE_COMPLETE", _physical_id(resource))
            self._resources.forget(logical_id)
        if failed:
            return "The following resource(s) failed to delete: " + "; ".join(
                f"{name}: {reason}" for name, reason in failed.items()
            )
        return None

    def _delete_resource(self, resource: Any, definition: dict[str, Any]) -> None:
        if isinstance(resource, Placeholder):
            return
        if isinstance(resource, CustomResource):
            resource.request("Delete", definition["Properties"], self._callbacks)
            return
        delete = TYPES.get(definition["Type"], MOTO_TYPE).delete
        if delete is not None:
            delete(resource, copy.deepcopy(definition["Properties"]), self._place)
            return
        self._resources._delete_resource(resource, copy.deepcopy(definition))
        if isinstance(resource, Stack):
            _wait_for_nested(resource)

    def _publish_outputs(self) -> None:
        stack = self._stack
        output_map = stack._create_output_map()
        exports = output_map.exports
        for export in exports:
            other = self._backend.exports.get(export.name)
            if other is not None and other.exporting_stack_id != stack.stack_id:
                raise DeploymentError(
                    f"Export with name {export.name} is already exported by stack {other.exporting_stack_id}"
                )
        names = {export.value: export.name for export in exports}
        # Resolved once and now: a failure fails the deployment, and a description touches no resource.
        outputs = [
            {
                "OutputKey": output.key,
                "OutputValue": output.value,
                "Description": output.description,
                "ExportName": names.get(output.value),
            }
            for output in output_map.values()
            if output
        ]
        self._drop_exports()
        self._backend.exports.update({export.name: export for export in exports})
        stack.output_map = output_map
        stack.hpo_outputs = outputs

    def _drop_exports(self) -> None:
        for name, export in list(self._backend.exports.items()):
            if export.exporting_stack_id == self._stack.stack_id:
                del self._backend.exports[name]

    def _set_status(self, status: str, reason: str | None = None) -> None:
        # The event comes first: who sees the status finds its event.
        self._stack._add_stack_event(status, resource_status_reason=reason)
        self._stack.stack_status_reason = reason
        self._stack.status = status

    def _event(
        self, logical_id: str, resource_type: str, status: str, physical_id: str, reason: str | None = None
    ) -> None:
        event = Event(
            stack_id=self._stack.stack_id,
            stack_name=self._stack.name,
            logical_resource_id=logical_id,
            physical_resource_id=physical_id,
            resource_type=resource_type,
            resource_status=status,
            resource_status_reason=reason,
            resource_properties=None,
        )
        self._stack.events.append(event)

    def _report(self, exc: Exception) -> None:
        # What the template's author did wrong is in the events; a failure inside moto needs its traceback.
        known = isinstance(exc, DeploymentError) or getattr(exc, "message", None)
        log.warning("%s: %s", self._stack.name, reason_of(exc), exc_info=None if known else exc)


def _wait_for_nested(stack: Stack) -> None:
    while stack.status.endswith("_IN_PROGRESS"):
        time.sleep(0.05)
    if stack.status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"}:
        raise DeploymentError(f"the nested stack {stack.name} is in {stack.status}")


# Fitting it into moto


def install(callbacks: Callbacks) -> None:
    """Replace moto's stack operations with deployments."""
    _install_creation(callbacks)
    _install_changes(callbacks)
    _install_stacks()
    _install_change_sets()


def _install_creation(callbacks: Callbacks) -> None:
    # moto's classes leave abstract methods open, which a type checker would not let be called.
    stack_class: Any = Stack

    def create_stack(
        self: Any,
        name: str,
        template: str,
        parameters: dict[str, Any],
        *,
        notification_arns: list[str] | None = None,
        tags: dict[str, str] | None = None,
        role_arn: str | None = None,
        enable_termination_protection: bool | None = False,
        timeout_in_mins: int | None = None,
        stack_policy_body: str | None = None,
    ) -> Any:
        if any(stack.name == name for stack in self.stacks.values()):
            raise AlreadyExistsException(f"Stack [{name}] already exists")
        stack: Any = stack_class(
            stack_id=generate_stack_id(name, self.region_name, self.account_id),
            name=name,
            template=template,
            parameters=parameters,
            account_id=self.account_id,
            region_name=self.region_name,
            notification_arns=notification_arns,
            tags=tags,
            role_arn=role_arn,
            cross_stack_resources=self.exports,
            enable_termination_protection=enable_termination_protection,
            timeout_in_mins=timeout_in_mins,
            stack_policy_body=stack_policy_body,
        )
        self.stacks[stack.stack_id] = stack
        deployment = Deployment(self, stack, callbacks)
        deployment.create()
        deployment.wait(ANSWER_AFTER)
        return stack

    replace(CloudFormationBackend, "create_stack", create_stack)


def _install_changes(callbacks: Callbacks) -> None:
    def update_stack(
        self: Any,
        name: str,
        template: str,
        *,
        role_arn: str | None,
        parameters: list[dict[str, Any]],
        tags: dict[str, str] | None,
    ) -> Any:
        stack = self.get_stack(name)
        former = stack.stack_parameters
        resolved = {
            given["ParameterKey"]: former.get(given["ParameterKey"])
            if given.get("UsePreviousValue")
            else given["ParameterValue"]
            for given in parameters
        }
        if stack.has_template(template) and stack.has_parameters(resolved) and tags in (None, stack.tags):
            raise ValidationError(message="No updates are to be performed.")
        _check_template(self, stack, template, resolved)
        deployment = Deployment(self, stack, callbacks)
        deployment.update(template, resolved, tags)
        deployment.wait(ANSWER_AFTER)
        if role_arn:
            stack.role_arn = role_arn
        return stack

    def execute_change_set(self: Any, change_set_name: str, stack_name: str | None = None) -> None:
        change_set = self.change_sets.get(change_set_name) or self.describe_change_set(change_set_name)
        stack = self.stacks.get(change_set.stack_id)
        if stack is None:
            raise ValidationError(stack_name)
        deployment = Deployment(self, stack, callbacks)
        if stack.status == "REVIEW_IN_PROGRESS":
            # moto made the stack without a template and without the exports of other stacks.
            stack.cross_stack_resources = self.exports
            deployment._resources.cross_stack_resources = self.exports
            stack.tags = change_set.tags or {}
            deployment._take(change_set.template, change_set.parameters)
            deployment.create()
        else:
            _check_template(self, stack, change_set.template, change_set.parameters)
            deployment.update(change_set.template, change_set.parameters, change_set.tags)
        change_set.execution_status = "EXECUTE_COMPLETE"
        # An executed change set is gone, as in the service: its name can be used again.
        self.change_sets.pop(change_set.change_set_id, None)
        deployment.wait(ANSWER_AFTER)

    def delete_stack(self: Any, name_or_stack_id: str) -> None:
        stack = next((each for each in self.stacks.values() if name_or_stack_id in (each.name, each.stack_id)), None)
        if stack is None:
            return
        if stack.enable_termination_protection:
            raise ValidationError(
                message=f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled"
            )
        deployment = Deployment(self, stack, callbacks)
        deployment.delete()
        deployment.wait(ANSWER_AFTER)

    replace(CloudFormationBackend, "update_stack", update_stack)
    replace(CloudFormationBackend, "execute_change_set", execute_change_set)
    replace(CloudFormationBackend, "delete_stack", delete_stack)


def _install_stacks() -> None:
    def create_resource_map(self: Any) -> DeployedResources:
        resources = DeployedResources(
            self.stack_id,
            self.name,
            self.parameters,
            self.tags,
            account_id=self.account_id,
            region_name=self.region_name,
            template=copy.deepcopy(self.template_dict),
            cross_stack_resources=self.cross_stack_resources,
        )
        resources.load()
        return resources

    def stack_resources(self: Any) -> list[Any]:
        return [self.resource_map[name] for name in self.resource_map.logical_ids()]

    def stack_parameters(self: Any) -> dict[str, Any]:
        # moto gives resolved values, which a later change set would take for an SSM parameter's name.
        declared = self.template_dict.get("Parameters", {})
        defaults = {name: slot["Default"] for name, slot in declared.items() if "Default" in slot}
        return {**defaults, **self.parameters}

    def has_parameters(self: Any, other: dict[str, Any]) -> bool:
        return {**stack_parameters(self), **other} == stack_parameters(self)

    def outputs(self: Any) -> list[dict[str, Any]] | None:
        # moto resolves them at each description, and those of a change set never.
        return getattr(self, "hpo_outputs", None) or None

    replace(Stack, "_create_resource_map", create_resource_map)
    replace(Stack, "stack_resources", property(stack_resources))
    replace(Stack, "stack_parameters", property(stack_parameters))
    replace(Stack, "has_parameters", has_parameters)
    replace(Stack, "outputs", property(outputs))


def _check_template(backend: Any, stack: Any, template: str, parameters: dict[str, Any]) -> None:
    """Refuse a template or parameters that cannot be used, before the stack is touched."""
    resources = DeployedResources(
        stack.stack_id,
        stack.name,
        parameters,
        stack.tags,
        account_id=stack.account_id,
        region_name=stack.region_name,
        template=Stack.parse_template(template),
        cross_stack_resources=backend.exports,
    )
    resources.load()


def _install_change_sets() -> None:
    """Look change sets up by name and stack; moto takes the last one of any stack that has the name."""

    def find(response: CloudFormationResponse) -> str | None:
        name, stack_name = response._get_param("ChangeSetName"), response._get_param("StackName")
        change_sets: dict[str, ChangeSet] = response.cloudformation_backend.change_sets
        if name in change_sets:
            return str(name)
        for identifier, change_set in change_sets.items():
            if change_set.change_set_name == name and stack_name in (
                None,
                change_set.stack_name,
                change_set.stack_id,
            ):
                return identifier
        return None

    def change_set_id(response: CloudFormationResponse) -> str:
        identifier = find(response)
        if identifier is None:
            raise _ChangeSetNotFound(message=f"ChangeSet [{response._get_param('ChangeSetName')}] does not exist")
        return identifier

    def describe_change_set(self: CloudFormationResponse) -> ActionResult:
        return ActionResult(self.cloudformation_backend.describe_change_set(change_set_id(self)))

    def execute_change_set(self: CloudFormationResponse) -> EmptyResult:
        self.cloudformation_backend.execute_change_set(change_set_id(self), self._get_param("StackName"))
        return EmptyResult()

    def delete_change_set(self: CloudFormationResponse) -> EmptyResult:
        # One that is not there is no error, as in the service.
        self.cloudformation_backend.change_sets.pop(find(self) or "", None)
        return EmptyResult()

    replace(CloudFormationResponse, "describe_change_set", describe_change_set)
    replace(CloudFormationResponse, "execute_change_set", execute_change_set)
    replace(CloudFormationResponse, "delete_change_set", delete_change_set)


class _ChangeSetNotFound(ValidationError):
    code = "ChangeSetNotFound"
