"""The plan over all tuning jobs of an app: what they need of each account and region that they run in."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from aws_cdk import Stage
from constructs import Construct, IConstruct

from ..quotas.costs import state_budget
from ..quotas.planner import plan
from ..rules import Finding, Job, Scope, check_jobs, read_jobs
from ..rules.needs import job_needs
from .place import Place, has_token

# The plan's file in the cloud assembly.
PLAN_FILE: Final = "hpo-plan.json"

# The construct that remembers an app's plan; it makes no resource.
_PLAN_ID: Final = "HpoPlan"


@dataclass(frozen=True, slots=True)
class Planned:
    """A tuning job of the app, with what the context states where it is defined.

    Attributes:
        path: Path of the construct that declares it.
        stack: Path of its stack.
        account: The account; None where only the deployment knows it.
        region: The region; None where only the deployment knows it.
        declared: What is declared: a `TuningJobSpec` or a declaration.
        quotas: What the context states of the account's quotas.
        budget: What the context states of the budget of all jobs.
    """

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
        self._jobs: list[Planned] = []
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
            Planned(
                path=path,
                stack=place.path,
                account=_known(place.account),
                region=_known(place.region),
                declared=declared,
                quotas=quotas,
                budget=budget,
            )
        )

    def read(self) -> list[tuple[Planned, Job]]:
        """The tuning jobs as rules and the planner look at them: read once for all that is asked of them.

        Raises:
            QuotaError: the context names an unknown edition or quota.
        """
        found = []
        for planned in self._jobs:
            (job,) = read_jobs(planned.declared, planned.quotas)
            if (turn := self._turn(planned.path)) is not None:
                job = Job(replace(job.declaration, turn=turn), job.quotas)
            found.append((planned, job))
        return found

    @staticmethod
    def findings(jobs: list[tuple[Planned, Job]]) -> Iterator[Finding]:
        """What is above a quota of an account, or above the app's budget."""
        for together in _by_environment(jobs):
            budget = state_budget(together[0][0].budget)
            yield from check_jobs([job for _, job in together], budget, scope=Scope.ACCOUNT)

    def write(self, jobs: list[tuple[Planned, Job]]) -> None:
        """Writes the plan into the app's cloud assembly, where there is something to plan."""
        stage = Stage.of(self)
        if stage is not None and jobs:
            # Not indented: Python's quick encoder does not do that.
            found = {"environments": [_environment(each) for each in _by_environment(jobs)]}
            text = json.dumps(found, ensure_ascii=False)
            (Path(stage.outdir) / PLAN_FILE).write_text(f"{text}\n", encoding="utf-8")

    def _turn(self, path: str) -> str | None:
        return next((turn for held, turn in self._turns if f"{path}/".startswith(f"{held}/")), None)


def _by_environment(jobs: list[tuple[Planned, Job]]) -> list[list[tuple[Planned, Job]]]:
    found: dict[tuple[str | None, str | None], list[tuple[Planned, Job]]] = {}
    for planned, job in jobs:
        found.setdefault((planned.account, planned.region), []).append((planned, job))
    return list(found.values())


def _environment(jobs: list[tuple[Planned, Job]]) -> dict[str, Any]:
    """The plan of an account and region as plain data."""
    first = jobs[0][0]
    return {
        "account": first.account,
        "region": first.region,
        "stacks": list(dict.fromkeys(planned.stack for planned, _ in jobs)),
        **plan([job_needs(job) for _, job in jobs]).as_dict(),
    }


def _known(value: str) -> str | None:
    return None if has_token(value) else value
