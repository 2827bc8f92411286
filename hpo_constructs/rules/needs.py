"""What a declared tuning job needs of an account: the input of the planner."""

from weakref import WeakKeyDictionary

from ..quotas.costs import Budget, state_budget
from ..quotas.needs import Cluster, JobNeeds
from .instances import resource_forms
from .job import Definition, Job, Structure, is_unknown
from .strategy import grid_size


def job_needs(job: Job) -> JobNeeds:
    """What a tuning job needs; what it does not state, or states of the wrong type, is not there."""
    if job not in _NEEDS:
        _NEEDS[job] = _needs(job)
    return _NEEDS[job]


# Every rule about all jobs together asks for them.
_NEEDS: WeakKeyDictionary[Job, JobNeeds] = WeakKeyDictionary()


def _needs(job: Job) -> JobNeeds:
    total = job.limits.whole("MaxNumberOfTrainingJobs")
    declaration = job.declaration
    return JobNeeds(
        name=declaration.name,
        quotas=job.quotas,
        clusters=tuple(cluster for definition in job.definitions for cluster in clusters(definition)),
        parallel_training_jobs=job.limits.whole("MaxParallelTrainingJobs"),
        training_jobs=grid_size(job) if total is None else total,
        max_runtime_in_seconds=job.limits.whole("MaxRuntimeInSeconds"),
        strategy=job.strategy,
        budget=own_budget(job),
        overlaps=declaration.run.overlap == "allow",
        turn=declaration.turn,
    )


def own_budget(job: Job) -> Budget:
    """The budget that the declaration states for a run of the job."""
    stated = job.declaration.budget
    return Budget() if stated is None else state_budget(stated)


def clusters(definition: Definition) -> list[Cluster]:
    """The clusters that a training job of a definition may run on."""
    spot = definition.flag("EnableManagedSpotTraining") is True
    seconds = definition.structure("StoppingCondition").whole("MaxRuntimeInSeconds")
    found: list[tuple[tuple[str | None, int], ...]] = []
    for resources in resource_forms(definition):
        groups = resources.structures("InstanceGroups")
        alternatives = resources.structures("InstanceConfigs") + resources.structures("InstancePreferences")
        if groups:
            found.append(tuple(entry for group in groups for entry in _instances(group, None)))
        # Instance preferences may share one count.
        found += [_instances(entry, resources.whole("InstanceCount")) for entry in alternatives]
        if not groups and not alternatives:
            found.append(_instances(resources, None))
    return [Cluster(instances, spot, seconds) for instances in found if instances]


def _instances(entry: Structure, shared_count: int | None) -> tuple[tuple[str | None, int], ...]:
    instance_type, count = entry.text("InstanceType"), entry.whole("InstanceCount")
    count = shared_count if count is None else count
    if instance_type is None or count is None or count <= 0:
        return ()
    return ((None if is_unknown(instance_type) else instance_type, count),)
