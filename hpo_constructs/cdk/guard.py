"""Nothing runs unwatched: what stops the tuning jobs of executions that were aborted, failed or timed out.

A rule sends the ends of executions to a state machine of its own, which stops what they left and tries for hours. A
custom resource does the same when the stack is deleted and the guard with it.

https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from aws_cdk import CustomResource, Stack, Token
from aws_cdk import aws_events as events
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from hpo_handlers.contract import Key

from ..workflow import CLEAN_UP, STOP, guard_definition, tuning_job_entries
from .acknowledgements import acknowledge
from .late import plain
from .permissions import allowed_only, service
from .place import Place
from .references import References

# An event pattern has 2,048 characters at most, the ARN of a state machine 142.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html
_MACHINES_PER_RULE: Final = 12
# For security checkers, as for the tuning jobs' own state machines.
UNLOGGED: Final = {
    "SF1": "The function logs what it does; Step Functions keeps an execution's history for 90 days.",
    "SF2": "X-Ray is a switch, because traces cost: the context hpo:tracing turns it on.",
}
_UNWATCHED_ENDS: Final = ("ABORTED", "FAILED", "TIMED_OUT")


class RunGuard(Construct):
    """Watches the state machines of a stack.

    Attributes:
        runs: The custom resource whose deletion stops what runs.
    """

    runs: CustomResource

    def __init__(
        self, scope: Construct, stack: Stack, functions: Mapping[str, str], role_arn: str, *, tracing: bool
    ) -> None:
        """Watches nothing yet.

        Args:
            scope: The construct that holds this one.
            stack: Its stack.
            functions: ARN of each function by its id.
            role_arn: The role of the guard's state machine.
            tracing: Whether the guard is traced with X-Ray.
        """
        super().__init__(scope, "Guard")
        self._machines: dict[str, list[str]] = {}
        self._rules = 0
        self._references = References.of(stack)
        self._stop = functions[STOP.id]
        self._partition = Place.of(stack).partition
        state_machine = sfn.CfnStateMachine(
            self,
            "StateMachine",
            role_arn=role_arn,
            definition_string=Token.as_string(self._references.late(self._definition)),
            tracing_configuration=sfn.CfnStateMachine.TracingConfigurationProperty(enabled=True) if tracing else None,
        )
        acknowledge(state_machine, stack, UNLOGGED)
        self._arn = state_machine.ref
        events_role = iam.Role(
            self,
            "EventsRole",
            assumed_by=service("events.amazonaws.com"),
            description="Starts the guard of tuning jobs",
            inline_policies={"Start": allowed_only(["states:StartExecution"], [self._arn])},
        )
        self._events_role_arn = events_role.role_arn
        self.runs = CustomResource(
            self,
            "Runs",
            service_token=functions[CLEAN_UP.id],
            resource_type="Custom::HyperparameterTuningRuns",
            properties={str(Key.TUNING_JOBS): self._references.late(self._entries)},
        )

    def watch(self, state_machine_arn: str, declared_name: str) -> None:
        """Watches a state machine that runs a tuning job of this declared name."""
        names = self._machines.setdefault(state_machine_arn, [])
        if declared_name not in names:
            names.append(declared_name)
        if len(self._machines) > self._rules * _MACHINES_PER_RULE:
            self._add_rule()

    def _add_rule(self) -> None:
        first = self._rules * _MACHINES_PER_RULE

        def machines(references: References) -> list[Any]:
            return [references.function(arn) for arn in list(self._machines)[first : first + _MACHINES_PER_RULE]]

        self._rules += 1
        events.CfnRule(
            self,
            f"Rule{self._rules}",
            description="Ends of executions that may leave a tuning job running",
            event_pattern={
                "source": ["aws.states"],
                "detail-type": ["Step Functions Execution Status Change"],
                "detail": {"status": list(_UNWATCHED_ENDS), "stateMachineArn": self._references.late(machines)},
            },
            # EventBridge tries for a day to start the guard, which then has its own retries.
            targets=[
                events.CfnRule.TargetProperty(
                    id="Guard",
                    arn=self._arn,
                    role_arn=self._events_role_arn,
                    input_transformer=events.CfnRule.InputTransformerProperty(
                        input_paths_map={"execution": "$.detail.executionArn", "machine": "$.detail.stateMachineArn"},
                        input_template=(
                            f'{{"{Key.EXECUTION_ARN}": <execution>, "{Key.STATE_MACHINE_ARN}": <machine>}}'
                        ),
                    ),
                )
            ],
        )

    def _definition(self, references: References) -> Any:
        definition = guard_definition(
            tuning_job_entries(self._machines), functions={STOP.id: self._stop}, partition=self._partition
        )
        return references.substituted(json.dumps(definition, separators=(",", ":")))

    def _entries(self, references: References) -> Any:
        return [
            {**each, str(Key.STATE_MACHINE_ARN): references.function(each[Key.STATE_MACHINE_ARN])}
            for each in plain(tuning_job_entries(self._machines))
        ]
