"""What a tuning job needs around its states, whatever state machine they stand in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aws_cdk import aws_iam as iam
from constructs import Construct

from hpo_handlers.contract import QUEUE, Output, Overlap

from ..errors import SpecError
from ..spec.declaration import Declaration
from ..spec.run import RunSettings
from ..workflow import Target, execution_timeout_seconds
from .deployment_checks import run_findings
from .findings import report_finding, report_findings
from .place import Surroundings
from .request import definitions, placeholders_replaced, text, with_training_role
from .runtime import TuningRuntime
from .training_role import training_role as made_training_role

if TYPE_CHECKING:
    from ..spec import TuningJobSpec


class DeclaredRun:
    """The runs of a declaration: their training role, permissions and findings.

    Attributes:
        stack: The stack.
        path: The owner's construct path.
        spec: What was declared.
        settings: How the runs begin and what they publish.
        name: The declared name.
        declared_request: The declared request with tokens for what only the deployment knows.
        request: The same with the training role.
        output_prefix: Path of the SSM parameters, with a slash at its end.
        overlap: What a run does while another one is running.
        runtime: The shared part of the stack.
        training_role: The role of the training jobs, made or given; None when every definition names its own.
        training_role_arn: Its ARN.
    """

    def __init__(
        self,
        owner: Construct,
        scope: Construct,
        id: str,
        *,
        spec: "TuningJobSpec | Declaration",
        training_role: iam.IRole | None,
        run: RunSettings | None,
        overlap: Overlap | None = None,
    ) -> None:
        """Makes the role, gives the permissions and has the declaration checked.

        Args:
            owner: The construct that holds the training role, and under which findings are listed.
            scope: The construct that holds the owner.
            id: The owner's id.
            spec: What is declared.
            training_role: The role of definitions that name none; one is made without it.
            run: The run settings; the declaration's own without them.
            overlap: What a run does while another one is running; what the settings say without it.
        """
        surroundings = Surroundings.of(scope)
        self.stack = surroundings.stack
        self.path = surroundings.path_of(id)
        self._place = surroundings.place
        self.spec = spec
        self.settings = run or (spec.run if isinstance(spec, Declaration) else RunSettings())
        self.overlap = Overlap(self.settings.overlap) if overlap is None else overlap
        self.declared_request: Mapping[str, Any] = placeholders_replaced(
            spec.request if isinstance(spec, Declaration) else spec.to_request(), self.stack
        )
        self.request = self.declared_request
        self.name = str(self.request.get("HyperParameterTuningJobName", ""))
        self._own_path = f"/hpo/{self._place.stack_name}"
        self.output_prefix = f"{(self.settings.output_prefix or f'{self._own_path}/{self.name}').rstrip('/')}/"
        self.runtime = TuningRuntime.of_stack(self.stack)
        self.training_role: iam.IRole | None = None
        self.training_role_arn: str | None = None
        if not all(text(definition, "RoleArn") for definition in definitions(self.request)):
            self.training_role = training_role or made_training_role(
                owner, "TrainingRole", self.request, self.stack, common=self.runtime.training_policy()
            )
            self.training_role_arn = self.training_role.role_arn
            if training_role is None:
                self.runtime.references.add(self.training_role_arn)
            self.request = with_training_role(self.request, self.training_role_arn)
        self._allow()
        report_findings(self.path, spec, surroundings)
        for finding in run_findings(self.request, self.overlap):
            report_finding(self.path, self.stack, finding)

    @property
    def timeout_seconds(self) -> int:
        """How long a run can take, in seconds."""
        return execution_timeout_seconds(self.request, queued=self.overlap is Overlap.QUEUE)

    def guard(self, state_machine_arn: str) -> None:
        """Has the tuning job stopped when an execution of a state machine ends without its own doing."""
        self.runtime.watch(state_machine_arn, self.name)

    def _allow(self) -> None:
        sagemaker = f"arn:{self._place.partition}:sagemaker:{self._place.region}:{self._place.account}"
        # SageMaker writes names in ARNs in lower case, whatever the job is called.
        names = sorted({self.name, self.name.lower()})
        allow = self.runtime.allow
        allow(Target.TUNING_JOBS, [f"{sagemaker}:hyper-parameter-tuning-job/{each}-*" for each in names])
        allow(Target.TRAINING_JOBS, [f"{sagemaker}:training-job/{each}-*" for each in names])
        roles = [role for definition in definitions(self.request) if (role := text(definition, "RoleArn"))]
        allow(Target.TRAINING_ROLES, list(dict.fromkeys(roles)))
        # Below the stack's own path one resource stands for all jobs: a role has little room.
        own = self.settings.output_prefix is None
        outputs = f"{self._own_path}/*" if own else self.output_prefix.rstrip("/")
        allow(Target.OUTPUTS, [self.parameters_arn(outputs if own else f"{outputs}/*")])
        allow(Target.BEST, [self.parameters_arn(f"{outputs}/{Output.BEST}")])
        if self.overlap is not Overlap.ALLOW:
            allow(Target.QUEUE, [self.parameters_arn(f"{outputs}/{QUEUE}")])

    def parameters_arn(self, path: str) -> str:
        """ARN of the SSM parameters of a path."""
        return f"arn:{self._place.partition}:ssm:{self._place.region}:{self._place.account}:parameter{path}"


class Declared:
    """What constructs tell of the declaration that they run."""

    _run: DeclaredRun

    @property
    def spec(self) -> "TuningJobSpec | Declaration":
        """What was declared."""
        return self._run.spec

    @property
    def request(self) -> Mapping[str, Any]:
        """The declared request, with tokens for what only the deployment knows, and without a role made for it."""
        return self._run.declared_request

    @property
    def run_settings(self) -> RunSettings:
        """How the runs begin and what they publish."""
        return self._run.settings

    @property
    def training_role(self) -> iam.IRole | None:
        """The role of the training jobs, made or given; None when every definition names its own."""
        return self._run.training_role

    @property
    def grant_principal(self) -> iam.IPrincipal:
        """The training role, so that `key.grant_decrypt(job)` and its like let the training jobs do more.

        Raises:
            SpecError: every definition names its own role, so there is none to grant to. The CDK's `grant` methods
                turn it into a RuntimeError of the same text.
        """
        if self.training_role is None:
            raise SpecError(f"every definition of {self.spec.name} names its own role; grant to these roles instead")
        return self.training_role

    @property
    def output_prefix(self) -> str:
        """Path of the SSM parameters, with a slash at its end."""
        return self._run.output_prefix

    def parameter_name(self, output: str) -> str:
        """Name of the SSM parameter of an output, such as `model-artifacts`.

        Raises:
            SpecError: there is no such output.
        """
        if output not in set(Output):
            raise SpecError(f"unknown output {output!r}; outputs are {', '.join(Output)}")
        return f"{self.output_prefix}{output}"

    def grant_read_outputs(self, grantee: iam.IGrantable) -> iam.Grant:
        """Lets a principal read the SSM parameters."""
        return iam.Grant.add_to_principal(
            grantee=grantee,
            actions=["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath"],
            # A query by path is about the path itself.
            resource_arns=[
                self._run.parameters_arn(self.output_prefix.rstrip("/")),
                self._run.parameters_arn(f"{self.output_prefix}*"),
            ],
        )
