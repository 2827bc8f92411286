"""How the runs of a tuning job begin and what they publish: settings beside the declaration."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from ..errors import SpecError

_PREFIX = re.compile(r"^/[a-zA-Z0-9_.\-/]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """How the runs of a tuning job begin and what they publish.

    Attributes:
        on_stopped: What becomes of a tuning job that was stopped before it completed: `fail`, the default, publishes
            nothing and fails the run, `accept_best` treats the best training job so far as a completed run's.
        min_completed_training_jobs: A run in which fewer training jobs completed fails and publishes nothing. Any
            number will do without it.
        required_objective_value: A run whose best objective value is worse (lower for Maximize, higher for Minimize)
            fails and publishes nothing. Any value will do without it.
        replace_best_by: A new best training job replaces the published one only if it is better by this much, 0 for
            any improvement; otherwise the run succeeds and the published one stays. Every run replaces it without.
        stop_at_instance_hours: A tuning job is stopped when its training jobs have used so many instance-hours, and
            its best training job so far is published; the reason stands in the document `best`. Looked at whenever
            the tuning job is polled, so a run may use some per cent more. No bound without it.
        overlap: What a run does while another one of the job is running: `queue`, the default, waits for it, and of
            several that wait the latest alone goes on; `skip` ends at once; `allow` runs at the same time. A run at
            deployment is never skipped. A fragment in your own state machine always allows.
        run_id: A text whose change makes the next deployment run an unchanged declaration again.
        output_prefix: Path of the SSM parameters; `/hpo/<stack name>/<declared name>/` without it.

    Raises:
        SpecError: A value is not allowed.
    """

    on_stopped: Literal["fail", "accept_best"] = "fail"
    min_completed_training_jobs: int | None = None
    required_objective_value: float | None = None
    replace_best_by: float | None = None
    stop_at_instance_hours: float | None = None
    overlap: Literal["queue", "skip", "allow"] = "queue"
    run_id: str | None = None
    output_prefix: str | None = None

    def __post_init__(self) -> None:
        _one_of("on_stopped", self.on_stopped, ("fail", "accept_best"))
        _one_of("overlap", self.overlap, ("queue", "skip", "allow"))
        _number("min_completed_training_jobs", self.min_completed_training_jobs, kind=int, least=1)
        _number("required_objective_value", self.required_objective_value, kind=float)
        _number("replace_best_by", self.replace_best_by, kind=float, least=0)
        _number("stop_at_instance_hours", self.stop_at_instance_hours, kind=float, least=0)
        if self.run_id is not None and (not isinstance(self.run_id, str) or not self.run_id):
            raise SpecError(f"run_id must be a text that is not empty, got {self.run_id!r}")
        prefix = self.output_prefix
        if prefix is not None and (not isinstance(prefix, str) or not _is_path(prefix)):
            raise SpecError(
                f"output_prefix must be a path of letters, digits and . - _ that begins with a slash, got {prefix!r}; "
                f"write '/{str(prefix).strip('/')}/'"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "RunSettings":
        """The settings of a template's `run` block.

        Raises:
            SpecError: There is no such setting, or its value is not allowed.
        """
        known = setting_names()
        for name in values:
            if name not in known:
                raise SpecError(f"run has no setting {name}; allowed: {', '.join(known)}")
        return cls(**values)

    @property
    def policy(self) -> dict[str, Any]:
        """What the function that publishes has to know; settings that are not stated are left out."""
        names = (
            "on_stopped",
            "min_completed_training_jobs",
            "required_objective_value",
            "replace_best_by",
            "stop_at_instance_hours",
        )
        return {name: value for name in names if (value := getattr(self, name)) is not None}


def setting_names() -> tuple[str, ...]:
    """The names of the settings."""
    return tuple(field.name for field in fields(RunSettings))


def setting_choices(name: str) -> tuple[str, ...]:
    """The texts that a setting chooses from; none for one that does not."""
    annotation = next(field.type for field in fields(RunSettings) if field.name == name)
    return get_args(annotation) if getattr(annotation, "__origin__", None) is Literal else ()


def _one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise SpecError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")


def _number(name: str, value: Any, *, kind: type, least: float | None = None) -> None:
    if value is None:
        return
    right = isinstance(value, int if kind is int else int | float) and not isinstance(value, bool)
    # The CDK's tokens for numbers are known at deployment only.
    if not right or not math.isfinite(value) or (least is not None and value < least) or value < -1e280:
        what = "a whole number" if kind is int else "a number"
        bound = f" of at least {least}" if least is not None else ""
        raise SpecError(f"{name} must be {what}{bound}, got {value!r}")


def _is_path(prefix: str) -> bool:
    return "${Token" in prefix or _PREFIX.match(prefix) is not None
