"""What a tuning job needs of an account, as plain numbers: the planner's input."""

from dataclasses import dataclass

from . import Quotas
from .costs import Budget

_NO_BUDGET = Budget()


@dataclass(frozen=True, slots=True)
class Pool:
    """A kind of instance that has a quota of its own: SageMaker counts spot instances apart."""

    instance_type: str
    spot: bool

    def __str__(self) -> str:
        return f"{self.instance_type} spot" if self.spot else self.instance_type


@dataclass(frozen=True, slots=True)
class Cluster:
    """The instances that one training job may run on.

    Attributes:
        instances: Instance types with their numbers; the type is None where it is known at deployment only.
        spot: Whether they are spot instances.
        max_runtime_in_seconds: The longest run of the training job; None where it is not stated.
    """

    instances: tuple[tuple[str | None, int], ...]
    spot: bool = False
    max_runtime_in_seconds: int | None = None

    @property
    def size(self) -> int:
        """How many instances it has."""
        return sum(count for _, count in self.instances)

    def pools(self) -> dict[Pool, int]:
        """The instances by kind; those of an unknown type are left out."""
        found: dict[Pool, int] = {}
        for instance_type, count in self.instances:
            if instance_type is not None:
                pool = Pool(instance_type, self.spot)
                found[pool] = found.get(pool, 0) + count
        return found


@dataclass(frozen=True, slots=True)
class JobNeeds:
    """What a tuning job asks for.

    Attributes:
        name: Its declared name; may be empty.
        quotas: The quotas that hold for it.
        clusters: What its training jobs may run on: of every definition each alternative.
        parallel_training_jobs: Training jobs at the same time; None where it is not stated.
        training_jobs: Training jobs in all; None where nothing says how many.
        max_runtime_in_seconds: The longest run of the tuning job; None where it is not stated.
        strategy: The search strategy as it is written.
        budget: What a run of the job may use at most.
        overlaps: Whether several runs of the job can be under way at the same time; one is counted.
        turn: Jobs with the same one run one after another, never together; None for a job that runs whenever it is
            started.
    """

    name: str
    quotas: Quotas
    clusters: tuple[Cluster, ...] = ()
    parallel_training_jobs: int | None = None
    training_jobs: int | None = None
    max_runtime_in_seconds: int | None = None
    strategy: str | None = None
    budget: Budget = _NO_BUDGET
    overlaps: bool = False
    turn: str | None = None

    @property
    def label(self) -> str:
        """How messages name the job."""
        return self.name or "a job without a name"

    @property
    def at_once(self) -> int:
        """The most training jobs of one run that are under way at the same time; 0 where it is not stated."""
        parallel, total = self.parallel_training_jobs or 0, self.training_jobs
        return max(0, parallel if total is None else min(parallel, total))

    def pools(self) -> dict[Pool, int]:
        """The most instances of each kind that one run uses at the same time.

        Every training job under way may be of the definition, and use the one of the alternative types, that needs
        most of a kind.
        """
        found: dict[Pool, int] = {}
        for cluster in self.clusters:
            for pool, count in cluster.pools().items():
                found[pool] = max(found.get(pool, 0), self.at_once * count)
        return found

    def instances(self, *, spot: bool) -> int:
        """The most instances of all types that one run uses at the same time, spot ones or the others."""
        return self.at_once * max((cluster.size for cluster in self.clusters if cluster.spot is spot), default=0)
