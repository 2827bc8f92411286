"""What runs tuning jobs at deployment: the function behind the custom resource, and the machine that waits for it."""

from aws_cdk import Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..workflow import DEPLOY, waiter_definition
from .acknowledgements import acknowledge
from .guard import UNLOGGED
from .late import plain
from .permissions import allowed_only, service
from .place import Place
from .tracing import allow_tracing


class RunWaiter(Construct):
    """Runs tuning jobs at deployment, once in a stack.

    Attributes:
        function: The function that CloudFormation asks.
    state_machine_arn: What answers CloudFormation when a run has ended.
        role: The function's role, whose policies have to be there before a run is asked for.
    """

    function: lambda_.Function
    state_machine_arn: str
    role: iam.Role

    def __init__(self, scope: Construct, function: lambda_.Function, function_role: iam.Role, *, tracing: bool) -> None:
        super().__init__(scope, "Waiter")
        stack = Stack.of(self)
        self.function = function
        self.role = function_role
        role = iam.Role(
            self,
            "StateMachineRole",
            assumed_by=service("states.amazonaws.com"),
            description="Waits for tuning jobs at deployment",
            inline_policies={"Function": allowed_only(["lambda:InvokeFunction"], [function.function_arn])},
        )
        definition = waiter_definition(
            functions={DEPLOY.id: function.function_arn}, partition=Place.of(stack).partition
        )
        machine = sfn.CfnStateMachine(
            self,
            "StateMachine",
            role_arn=role.role_arn,
            definition_string=stack.to_json_string(plain(definition)),
            tracing_configuration=sfn.CfnStateMachine.TracingConfigurationProperty(enabled=True) if tracing else None,
        )
        if tracing:
            allow_tracing(role)
        acknowledge(machine, stack, UNLOGGED)
        self.state_machine_arn = machine.ref
