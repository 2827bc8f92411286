"""A declared tuning job as its request, with what is known of where each value came from.

Every door (template, API request, Describe output, ACK manifest, Python) ends here; rules start here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any

from .names import declared_name, snake_name
from .run import RunSettings

CONFIG = "HyperParameterTuningJobConfig"

# A place in the request: member names, list indices and map keys.
Path = tuple[str | int, ...]


class Form(StrEnum):
    """The outside form that a declaration was read from; it decides how paths and names are spelled."""

    TEMPLATE = "template"
    SPEC = "spec"
    REQUEST = "request"
    DESCRIBE = "describe"
    ACK = "ack"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value stands: its path in the input's own spelling, its line and column (from 1; 0 when unknown)."""

    path: str
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the input that its form does not allow, found while it was read."""

    origin: Origin
    message: str
    fix: str


@dataclass(frozen=True)
class Declaration:
    """One declared tuning job.

    Attributes:
        request: The request of CreateHyperParameterTuningJob. Unknown keys of the input are kept in it under their
            own names, for the rules to report.
        form: The form of the input.
        file: The file's name as it was given; None without one.
        origins: Where the values of the request stand in the input, as far as known.
        faults: What the form of the input does not allow; the rule `shape` reports it.
        quotas: The quotas that the input states for its jobs: an edition's name or single values; None without.
        local: What the input says for local runs only; empty unless it is a template with a `local` block.
        budget: What a run of each job may use at most, as the input states it; None without.
        turn: Jobs with the same one never run at the same time; None for a job that runs whenever it is started.
        run: How runs begin and what they publish; a template's `run` block states it.
    """

    request: dict[str, Any]
    form: Form = Form.SPEC
    file: str | None = None
    origins: Mapping[Path, Origin] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    quotas: Mapping[str, Any] | str | None = None
    local: Mapping[str, Any] = field(default_factory=dict)
    run: RunSettings = field(default_factory=RunSettings)
    budget: Mapping[str, Any] | None = None
    turn: str | None = None

    @property
    def name(self) -> str:
        """The job's declared name, or an empty text when it has none."""
        name = self.request.get("HyperParameterTuningJobName")
        return name if isinstance(name, str) else ""

    @property
    def role_may_be_absent(self) -> bool:
        """Whether `RoleArn` may be left out, because the construct makes the role."""
        return self.form in {Form.TEMPLATE, Form.SPEC}

    def spell(self, member: str) -> str:
        """A member's name as this input spells it."""
        match self.form:
            case Form.TEMPLATE | Form.SPEC:
                return declared_name(member)
            case Form.ACK:
                return ack_name(member)
            case _:
                return member

    def origin(self, path: Path) -> Origin:
        """Where a value of the request stands in the input; for an absent one, where it would stand."""
        known = len(path)
        while known and path[:known] not in self.origins:
            known -= 1
        base = self.origins.get(path[:known], Origin(""))
        text = base.path
        for step, part in enumerate(path[known:], start=known):
            if isinstance(part, int):
                text += f"[{part}]"
                continue
            if part == CONFIG and self.form in {Form.TEMPLATE, Form.SPEC}:
                continue
            inside_map = step > 0 and path[step - 1] in {"StaticHyperParameters", "Environment"}
            text += ("." if text else "") + (part if inside_map else self.spell(part))
        return Origin(text, base.line, base.column)


@cache
def ack_name(member: str) -> str:
    """A member's name in an ACK manifest: `s3OutputPath`, `vpcConfig`, `kmsKeyID`.

    ACK lower-cases the first word and writes the initialisms ID, ARN, URI in capitals.
    Source: the CRD of sagemaker.services.k8s.aws/v1alpha1.
    """
    if member == "Type":
        return "type_"  # ACK avoids the Go keyword
    words = snake_name(member).replace("hyperparameter", "hyper_parameter").split("_")
    initialisms = {"id": "ID", "arn": "ARN", "uri": "URI", "gb": "GB", "kms": "KMS", "vpc": "VPC", "ids": "IDs"}
    initialisms |= {"arns": "ARNs"}
    rest = [initialisms.get(word, word.capitalize()) for word in words[1:]]
    return "".join([words[0], *rest])
