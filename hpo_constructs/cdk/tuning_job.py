"""A declared tuning job as a state machine of its own."""

import re
from typing import TYPE_CHECKING

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from ..spec.declaration import Declaration
from .fragment import TuningFragment
from .runtime import TuningRuntime

if TYPE_CHECKING:
    from ..spec import TuningJobSpec


class TuningJob(Construct):
    """A declared SageMaker hyperparameter tuning job.

    Every execution of its state machine runs the tuning job once and publishes the best training job's facts to SSM
    parameters below `output_prefix`. The Lambda functions behind it are shared by all tuning jobs of the stack; a
    further job adds its state machine and its training role.

    The stack has two outputs for it, `<Id>StateMachineArn` and `<Id>OutputPrefix`.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        spec: "TuningJobSpec | Declaration",
        training_role: iam.IRole | None = None,
        output_prefix: str | None = None,
    ) -> None:
        """Defines the state machine, its roles and outputs.

        Args:
            scope: The construct that holds this one.
            id: The construct's id; renaming it replaces the resources.
            spec: What is declared: a `TuningJobSpec`, or a declaration that `hpo_constructs.documents.read` gives.
                Strings may hold CDK tokens and `${AWS::AccountId}`, `${AWS::Region}`, `${AWS::Partition}`.
                Findings of its check are reported at synthesis.
            training_role: The role of training job definitions that name none. Without it a role is made that may
                use exactly what the declaration names.
            output_prefix: Path of the SSM parameters; `/hpo/<stack name>/<declared name>/` without it.

        Raises:
            SpecError: `output_prefix` is not an absolute path.
            QuotaError: the context `hpo:quotas` names an unknown edition or quota.
        """
        super().__init__(scope, id)
        # The state is the fragment's alone: an execution's output is the best training job.
        self._run = _Run(
            self, "Run", spec=spec, training_role=training_role, output_prefix=output_prefix, result_path="$"
        )
        self._state_machine = sfn.StateMachine(
            self,
            "StateMachine",
            definition_body=sfn.DefinitionBody.from_chainable(self._run),
            role=TuningRuntime.of(self).state_machine_role,
            timeout=self._run.timeout,
        )
        output_id = re.sub(r"[^A-Za-z0-9]", "", self.node.path.removeprefix(Stack.of(self).node.path))
        for name, value in (
            ("StateMachineArn", self._state_machine.state_machine_arn),
            ("OutputPrefix", self.output_prefix),
        ):
            CfnOutput(self, name, value=value).override_logical_id(f"{output_id}{name}")

    @property
    def spec(self) -> "TuningJobSpec | Declaration":
        """What was declared."""
        return self._run.spec

    @property
    def state_machine(self) -> sfn.StateMachine:
        """The state machine; an execution needs no input."""
        return self._state_machine

    @property
    def training_role(self) -> iam.IRole | None:
        """The role of the training jobs, made or given; None when every definition names its own."""
        return self._run.training_role

    @property
    def output_prefix(self) -> str:
        """Path of the SSM parameters, with a slash at its end."""
        return self._run.output_prefix

    def parameter_name(self, output: str) -> str:
        """Name of the SSM parameter of an output, such as `model-artifacts`.

        Raises:
            SpecError: there is no such output.
        """
        return self._run.parameter_name(output)

    def grant_start(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets a principal start executions."""
        return self._state_machine.grant_start_execution(grantee)

    def grant_read_outputs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets a principal read the SSM parameters."""
        return self._run.grant_read_outputs(grantee)


class _Run(TuningFragment):
    """The fragment of a job: its findings are listed under the job."""

    def _reported_on(self) -> Construct:
        job = self.node.scope
        assert isinstance(job, Construct)  # noqa: S101 - for the type checker: a job makes its run
        return job
