"""A stack of all tuning jobs that a team has declared in its templates."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from aws_cdk import Environment, RemovalPolicies, RemovalPolicy, Stack, Validations
from constructs import Construct

from ..cdk import TuningJob
from ..documents import NoDeclarationError, find_files, read
from ..errors import DocumentError
from ..spec.declaration import Declaration
from .environment import VALUES_CONTEXT, stated_values, with_tags, with_values


class TuningStack(Stack):
    """One `TuningJob` for every tuning job that the templates declare.

    A job's construct id is its name in PascalCase (`churn-xgboost` is `ChurnXgboost`), so that its resources stay
    when a template is renamed or another job is added.

    One set of templates serves several environments: `${Name}` in a template stands for a value of the environment,
    which `values` or the context `hpo:values` (of cdk.json, or set on a `Stage`) states. A name without a value is
    an error at synthesis. Hyperparameters, environment variables and metric definitions are taken as they stand.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        *,
        templates: str | Path | Sequence[str | Path],
        env: Environment | None = None,
        stack_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str] | None = None,
        termination_protection: bool | None = None,
        values: Mapping[str, str] | None = None,
        removal_policy: RemovalPolicy | None = None,
    ) -> None:
        """Reads the templates and defines their tuning jobs.

        Args:
            scope: The app or stage.
            id: The stack's id.
            templates: Template files, and folders in and below which every YAML and JSON file is read. A file of a
                folder that declares no tuning job is left out with a warning.
            env: Account and region; agnostic of both without it.
            stack_name: The stack's name; made from the id without it. It is part of the SSM parameters' path.
            description: The stack's description.
            tags: Tags of the stack, its resources, and the tuning jobs with their training jobs, so that costs are
                told apart. A tag that a template states itself stays.
            termination_protection: Whether the stack is protected from deletion; it is not by default.
            values: Values of the environment by name, texts or CDK tokens such as a bucket's name; they go before
                those of the context `hpo:values`.
            removal_policy: What becomes of the functions' log group when the stack is deleted; it is deleted by
                default. SSM parameters and models are made by the runs and stay in either case.

        Raises:
            DocumentError: a template is missing or unreadable, or a folder has none.
            SpecError: a value is not a text, or its name not letters and digits.
            QuotaError: the context `hpo:quotas` names an unknown edition or quota.
        """
        super().__init__(
            scope,
            id,
            env=env,
            stack_name=stack_name,
            description=description,
            tags=tags,
            termination_protection=termination_protection,
            # A third of a template of many jobs, of which CloudFormation takes 1 MB.
            suppress_template_indentation=True,
        )
        self._values = stated_values(values, self.node.try_get_context(VALUES_CONTEXT))
        paths = [templates] if isinstance(templates, str | Path) else templates
        self._jobs: dict[str, TuningJob] = {}
        for path in paths:
            for declaration in self._declarations(Path(path)):
                job = self._job(with_tags(declaration, tags or {}))
                self._jobs.setdefault(declaration.name, job)
        if removal_policy:
            RemovalPolicies.of(self).apply(removal_policy, apply_to_resource_types=["AWS::Logs::LogGroup"])

    @property
    def jobs(self) -> Mapping[str, TuningJob]:
        """The tuning jobs by declared name."""
        return self._jobs

    def _job(self, declaration: Declaration) -> TuningJob:
        settled, missing = with_values(declaration, self._values)
        job = TuningJob(self, self._free_id(declaration.name), spec=settled)
        if missing:
            names = ", ".join(f"${{{name}}}" for name in missing)
            Validations.of(job).add_error(
                "hpo:unstated-values",
                f"{declaration.file}: {names} must have a value; state it under the context {VALUES_CONTEXT} of "
                "cdk.json or in the stack's values",
            )
        return job

    def _declarations(self, path: Path) -> Iterator[Declaration]:
        if not path.is_dir():
            yield from read(path)
            return
        found = 0
        for file in find_files(path):
            try:
                declarations = read(file)
            except NoDeclarationError as error:
                Validations.of(self).add_warning(f"hpo:left-out:{file}", f"left out of the stack: {error}")
                continue
            found += len(declarations)
            yield from declarations
        if not found:
            raise DocumentError("no file in the folder declares a tuning job", file=str(path))

    def _free_id(self, name: str) -> str:
        wanted = construct_id(name)
        # Only names that a rule refuses can collide; they must not hide the other findings.
        taken = {child.node.id for child in self.node.children}
        number = 2
        free = wanted
        while free in taken:
            free, number = f"{wanted}{number}", number + 1
        return free


def construct_id(name: str) -> str:
    """The construct id of a declared name: `churn-xgboost` is `ChurnXgboost`."""
    words = re.findall(r"[A-Za-z0-9]+", name)
    return "".join(word[0].upper() + word[1:] for word in words) or "TuningJob"
