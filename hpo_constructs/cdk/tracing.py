"""The switch for AWS X-Ray: traces of a run through the state machine and the functions.

Off by default, because traces cost. The context key `hpo:tracing`, set to true in cdk.json or on a stage or stack,
turns it on for all tuning jobs below.
https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
"""

from typing import Final

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from ..errors import SpecError
from .acknowledgements import acknowledge_resources

TRACING_CONTEXT: Final = "hpo:tracing"


def tracing_enabled(scope: Construct) -> bool:
    """Whether the context turns tracing on.

    Raises:
        SpecError: the context is neither true nor false.
    """
    match scope.node.try_get_context(TRACING_CONTEXT):
        case None | False | "false":
            return False
        case True | "true":  # `cdk -c hpo:tracing=true` gives a text
            return True
        case other:
            raise SpecError(f"context {TRACING_CONTEXT} must be true or false, got {other!r}")


def allow_tracing(role: iam.Role) -> None:
    """Lets a function's or state machine's role send traces."""
    role.add_to_policy(
        iam.PolicyStatement(
            actions=[
                "xray:GetSamplingRules",
                "xray:GetSamplingTargets",
                "xray:PutTelemetryRecords",
                "xray:PutTraceSegments",
            ],
            resources=["*"],
        )
    )
    acknowledge_resources(role, Stack.of(role), ["*"], "X-Ray has no resources for traces.")
