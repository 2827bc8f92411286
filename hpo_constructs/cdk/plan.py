"""The plan over all tuning jobs of an app: what they need of each account and region that they run in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aws_cdk import Stage
from constructs import Construct, IConstruct

from ..quotas.planner import plan
from ..rules import Finding, Scope, check, read_jobs
from ..rules.needs import job_needs
from ..spec.declaration import Declaration
from .place import Place

# The plan's file in the cloud assembly.
PLAN_FILE: Final = "hpo-plan.json"

# The construct that remembers an app's plan; it makes no resource.
_PLAN_ID: Final = "HpoPlan"


@dataclass(frozen=True, slots=True)
class _Planned:
    """A tuning job of the app, with what the context states where it is defined."""

    path: str
    stack: str
    account: str | None
    region: str | None
    declared: Any
    quotas: Any
    budget: Any


class TuningPlan(Construct):
    """What all tuning jobs of an app need of their accounts.

    Stacks of the same account and region share its quotas; so do all environment-agnostic ones. The findings are
    reported for the app, and the whole plan is the file `hpo-plan.json` of the cloud assembly.
    """

    @classmethod
    def of(cls, scope: IConstruct) -> "TuningPlan":
        """The plan of a construct's app."""
        root = scope.node.root
        found = root.node.try_find_child(_PLAN_ID)
        return found if isinstance(found, cls) else cls(root, _PLAN_ID)

    def __init__(self, scope: IConstruct, id: str) -> None:
        """Starts an empty plan; use `TuningPlan.of`.

        Args:
            scope: The root of the construct tree.
            id: The construct's id.
        """
        super().__init__(scope, id)  # type: ignore[arg-type] # the root of a tree is a Construct
        self._jobs: list[_Planned] = []
        self._turns: list[tuple[str, str]] = []

    def in_turn(self, *constructs: IConstruct) -> None:
        """States that tuning jobs never run together, such as those that one state machine runs one after another.

        Of their needs the largest is counted instead of the sum.

        Args:
            constructs: The tuning jobs or fragments, or constructs that hold them.
        """
        turn = f"turn {len({turn for _, turn in self._turns}) + 1}"
        self._turns += [(construct.node.path, turn) for construct in constructs]

    def add(self, path: str, place: Place, declared: Any, quotas: Any, budget: Any) -> None:
        """Takes a tuning job into the plan.

        Args:
            path: Path of the construct that declares it.
            place: Where its stack is deployed.
            declared: What is declared: a `TuningJobSpec` or a declaration.
            quotas: What the context states of the account's quotas.
            budget: What the context states of the budget of all jobs.
        """
        self._jobs.append(
            _Planned(
                path=path,
                stack=place.path,
                account=_known(place.account),
                region=_known(place.region),
                declared=declared,
                quotas=quotas,
                budget=budget,
            )
        )

    def findings(self) -> Iterator[Finding]:
        """What is above a quota of an account, or above the app's budget."""
        for jobs in self._by_environment():
            yield from check(self._declarations(jobs), jobs[0].quotas, budget=jobs[0].budget, scope=Scope.ACCOUNT)

    def as_dict(self) -> dict[str, Any]:
        """The plan of each account and region as plain data."""
        return {
            "environments": [
                {
                    "account": jobs[0].account,
                    "region": jobs[0].region,
                    "stacks": list(dict.fromkeys(job.stack for job in jobs)),
                    **plan([job_needs(job) for job in read_jobs(self._declarations(jobs), jobs[0].quotas)]).as_dict(),
                }
                for jobs in self._by_environment()
            ]
        }

    def write(self) -> None:
        """Writes the plan into the app's cloud assembly, where there is something to plan."""
        stage = Stage.of(self)
        if stage is not None and self._jobs:
            text = json.dumps(self.as_dict(), indent=2, ensure_ascii=False)
            (Path(stage.outdir) / PLAN_FILE).write_text(f"{text}\n", encoding="utf-8")

    def _by_environment(self) -> list[list[_Planned]]:
        found: dict[tuple[str | None, str | None], list[_Planned]] = {}
        for job in self._jobs:
            found.setdefault((job.account, job.region), []).append(job)
        return list(found.values())

    def _declarations(self, jobs: list[_Planned]) -> list[Declaration]:
        return [replace(read_jobs(job.declared)[0].declaration, turn=self._turn(job.path)) for job in jobs]

    def _turn(self, path: str) -> str | None:
        return next((turn for held, turn in self._turns if f"{path}/".startswith(f"{held}/")), None)


def _known(value: str) -> str | None:
    return None if "${Token[" in value else value
