"""Rules about what a training job runs on: instances, time, spot capacity, network, keys and role."""

import re
from collections.abc import Iterator

from ..spec.declaration import Path
from .builtins import builtin_of, trainer_of
from .finding import Severity
from .instances import RESOURCE_FORMS, instance_facts, node_count, requests, resource_forms
from .job import Definition, Job, Structure, is_unknown, settled
from .missing import is_missing
from .quota_text import quota_fix
from .registry import API, GUIDE, Problem, rule

INSTANCE_CONFIGS = 6
RETRY_ATTEMPTS = 30
ENVIRONMENT_ENTRIES = 48
ENVIRONMENT_LENGTH = 512
SUBNETS = 16
SECURITY_GROUPS = 5
DAY = 86_400
TRAINING_DAYS = 28
# The guide's limit for built-in and Marketplace algorithms that write no checkpoints.
WAIT_WITHOUT_CHECKPOINTS = 3_600

_ENVIRONMENT_KEY = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_ROLE = re.compile(r"arn:aws[a-z\-]*:iam::(?P<account>\d{12}):role/?(?P<name>[a-zA-Z_0-9+=,.@\-/]+)")
_MARKETPLACE_ALGORITHM = re.compile(r".*:algorithm/.+-[0-9a-f]{32}")
_LIST_TOKEN = "#{Token["  # noqa: S105 - how the CDK writes a list that is known at deployment only


@rule(
    "one-resource-form",
    title="a definition has one of ResourceConfig and HyperParameterTuningResourceConfig, which names its instances",
    severity=Severity.ERROR,
    reason=(
        "the two forms say the same thing in different ways, and without either there is nothing to run on; the API "
        "model calls both optional, because each stands in for the other"
    ),
    source=f"{API}API_HyperParameterTrainingJobDefinition.html",
    passes="""
training_job_definition:
  resource_config: null
  hyperparameter_tuning_resource_config: {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
""",
    fails="""
training_job_definition:
  hyperparameter_tuning_resource_config: {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
""",
)
def one_resource_form(job: Job) -> Iterator[Problem]:
    """Count the forms, and look for an instance type in the one."""
    names = [job.spell(name) for name in RESOURCE_FORMS]
    for definition in job.definitions:
        given = [name for name in RESOURCE_FORMS if name in definition.raw]
        if len(given) > 1:
            yield Problem(
                definition.path(RESOURCE_FORMS[1]),
                f"exactly one of {' and '.join(names)} must be given, got both",
                f"remove {names[0]} or {names[1]}",
            )
        elif not given and all(is_missing(job, definition, name) for name in RESOURCE_FORMS):
            yield Problem(
                definition.path(RESOURCE_FORMS[0]),
                f"exactly one of {' and '.join(names)} must be given, got none",
                f"add {names[0]} with {job.spell('InstanceType')} and {job.spell('InstanceCount')}",
            )
        for resources in resource_forms(definition):
            if not _has_list(resources) and is_missing(job, resources, "InstanceType"):
                spelled = job.spell("InstanceType")
                yield Problem(
                    resources.path("InstanceType"),
                    f"{spelled} is required in {job.spell(str(resources.place[-1]))}, got none",
                    f"add {spelled}, such as ml.m5.xlarge",
                )


def _has_list(resources: Structure) -> bool:
    return any(name in resources.raw for name in ("InstanceGroups", "InstancePreferences", "InstanceConfigs"))


@rule(
    "instance-configs",
    title="instance configurations stand alone, 1 to 6, and an allocation strategy goes with them",
    severity=Severity.ERROR,
    reason=(
        "with a list of configurations the service takes type, count and volume from the one that it chooses; the same "
        "members beside the list are not allowed, and an order of preference needs a list"
    ),
    source=f"{API}API_HyperParameterTuningResourceConfig.html",
    passes="""
training_job_definition:
  resource_config: null
  hyperparameter_tuning_resource_config:
    allocation_strategy: Prioritized
    instance_configs:
      - {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
      - {instance_type: ml.m5.2xlarge, instance_count: 2, volume_size_in_gb: 10}
""",
    fails="""
training_job_definition:
  resource_config: null
  hyperparameter_tuning_resource_config:
    instance_type: ml.m5.xlarge
    instance_configs:
      - {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
      - {instance_type: ml.m5.2xlarge, instance_count: 2, volume_size_in_gb: 10}
""",
)
def instance_configs(job: Job) -> Iterator[Problem]:
    """Look at what stands beside the list, and at its size."""
    spelled = job.spell("InstanceConfigs")
    for definition in job.definitions:
        resources = definition.structure("HyperParameterTuningResourceConfig")
        configs = resources.raw.get("InstanceConfigs")
        if isinstance(configs, list | tuple):
            if not 1 <= len(configs) <= INSTANCE_CONFIGS:
                yield Problem(
                    resources.path("InstanceConfigs"),
                    f"{spelled} must have 1 to {INSTANCE_CONFIGS} entries, got {len(configs)}",
                    f"remove {spelled}" if not configs else f"keep the best {INSTANCE_CONFIGS}",
                )
            beside = [name for name in ("InstanceType", "InstanceCount", "VolumeSizeInGB") if name in resources]
            if beside:
                names = " and ".join(job.spell(name) for name in beside)
                yield Problem(
                    resources.path(beside[0]),
                    f"{names} must not stand beside {spelled}, got both",
                    f"move {names} into an entry of {spelled}, or remove {spelled}",
                )
        elif "AllocationStrategy" in resources and is_missing(job, resources, "InstanceConfigs"):
            strategy = job.spell("AllocationStrategy")
            yield Problem(
                resources.path("AllocationStrategy"),
                f"{strategy} goes with {spelled}, got no {spelled}",
                f"add {spelled}, or remove {strategy}",
            )


@rule(
    "keep-alive-not-for-tuning",
    title="KeepAlivePeriodInSeconds is not for tuning jobs",
    severity=Severity.ERROR,
    reason=(
        "tuning jobs reuse their instances between training jobs by themselves, and their own resource configuration "
        "has no such member (API text); where ResourceConfig carries it the service drops it without a word (seen by "
        "the ACK controller's authors), so the request would not do what it says"
    ),
    source=f"{API}API_HyperParameterTuningResourceConfig.html",
    passes="training_job_definition: {resource_config: {keep_alive_period_in_seconds: 0}}",
    fails="training_job_definition: {resource_config: {keep_alive_period_in_seconds: 600}}",
)
def keep_alive_not_for_tuning(job: Job) -> Iterator[Problem]:
    """Look for a period above 0."""
    for definition in job.definitions:
        resources = definition.structure("ResourceConfig")
        if resources.whole("KeepAlivePeriodInSeconds"):
            spelled = job.spell("KeepAlivePeriodInSeconds")
            yield Problem(
                resources.path("KeepAlivePeriodInSeconds"),
                f"{spelled} is not supported in a tuning job, got {resources.whole('KeepAlivePeriodInSeconds')}",
                f"remove {spelled}; a tuning job keeps its instances warm between training jobs by itself",
            )


@rule(
    "instance-count-positive",
    title="a definition runs on at least one instance with at least 1 GB of storage",
    severity=Severity.ERROR,
    reason=(
        "the API's model allows 0, for requests that state instance groups; a training job needs an instance. The size "
        "of the volume has to be stated for instance types without storage of their own (checked: API text of "
        "VolumeSizeInGB)"
    ),
    source=f"{API}API_ResourceConfig.html",
    passes="training_job_definition: {resource_config: {instance_count: 1}}",
    fails="training_job_definition: {resource_config: {instance_count: 0}}",
)
def instance_count_positive(job: Job) -> Iterator[Problem]:
    """Look at every count and size."""
    count, size = job.spell("InstanceCount"), job.spell("VolumeSizeInGB")
    for definition in job.definitions:
        for request in requests(definition):
            if request.count == 0:
                yield Problem(
                    (*request.place, "InstanceCount"), f"{count} must be at least 1, got 0", f"set {count} to 1 or more"
                )
        for resources in resource_forms(definition):
            shape = str(resources.place[-1])
            if _has_list(resources) or "InstanceType" not in resources:
                continue
            if is_missing(job, resources, "InstanceCount"):
                yield Problem(
                    resources.path("InstanceCount"),
                    f"{count} is required in {job.spell(shape)}, got none",
                    f"add {count}: 1",
                )
            facts = instance_facts(resources.text("InstanceType"))
            own_storage = facts is None or facts.local_storage is not False
            if resources.whole("VolumeSizeInGB") == 0 and not own_storage:
                yield Problem(
                    resources.path("VolumeSizeInGB"), f"{size} must be at least 1, got 0", f"set {size} to 1 or more"
                )
            elif shape == "ResourceConfig" and not own_storage and is_missing(job, resources, "VolumeSizeInGB"):
                yield Problem(
                    resources.path("VolumeSizeInGB"),
                    f"{size} should be stated for {resources.text('InstanceType')}, which has no storage of its own, "
                    "got none",
                    f"add {size}, such as 30",
                    Severity.WARNING,
                )


@rule(
    "instance-groups-exclusive",
    title="instance groups, instance preferences and a single instance type exclude each other",
    severity=Severity.ERROR,
    reason=(
        "each of them says what the training job runs on; preferences exclude spot training and placement, too, and "
        "the selected instances are the service's answer, not accepted in a request"
    ),
    source=f"{API}API_ResourceConfig.html",
    passes="""
training_job_definition:
  resource_config:
    instance_type: null
    instance_count: null
    instance_groups: [{instance_group_name: workers, instance_type: ml.m5.xlarge, instance_count: 2}]
""",
    fails="""
training_job_definition:
  resource_config:
    instance_groups: [{instance_group_name: workers, instance_type: ml.m5.xlarge, instance_count: 2}]
""",
)
def instance_groups_exclusive(job: Job) -> Iterator[Problem]:
    """Look at what stands beside the groups and the preferences."""
    for definition in job.definitions:
        resources = definition.structure("ResourceConfig")
        for holder in ("InstanceGroups", "InstancePreferences"):
            if not resources.raw.get(holder):
                continue
            excluded = ["InstanceType", "InstanceCount"]
            if holder == "InstancePreferences":
                excluded += ["InstanceGroups", "InstancePlacementConfig"]
            beside = " and ".join(job.spell(name) for name in excluded if name in resources)
            if beside:
                yield Problem(
                    resources.path(holder),
                    f"{job.spell(holder)} must not stand beside {beside}, got both",
                    f"remove {beside}, or {job.spell(holder)}",
                )
        if resources.raw.get("InstancePreferences") and definition.flag("EnableManagedSpotTraining"):
            spot = job.spell("EnableManagedSpotTraining")
            yield Problem(
                definition.path("EnableManagedSpotTraining"),
                f"{spot} must not be true with {job.spell('InstancePreferences')}, got true",
                f"remove {spot}, or name a single instance type",
            )
        for name in ("SelectedInstanceType", "SelectedInstanceCount"):
            if name in resources:
                yield Problem(
                    resources.path(name),
                    f"{job.spell(name)} is set by the service and not accepted in a request, "
                    f"got {resources.raw[name]!r}",
                    f"remove {job.spell(name)}",
                )


@rule(
    "distributed-support",
    title="a built-in algorithm runs on instances that it can use",
    severity=Severity.WARNING,
    reason=(
        "some built-in algorithms train on one instance only, so the others cost money and do nothing, and some need a "
        "GPU; where several instances train, the objective counts that the last of them reports"
    ),
    source=f"{GUIDE}common-info-all-im-models.html",
    passes="training_job_definition: {resource_config: {instance_count: 4}}",
    fails="""
objective: {metric_name: "validation:accuracy"}
hyperparameter_ranges: {eta: null, max_depth: null, mini_batch_size: {type: Integer, min_value: 8, max_value: 64}}
training_job_definition:
  algorithm_specification:
    training_image: 811284229777.dkr.ecr.us-east-1.amazonaws.com/image-classification:1
  static_hyperparameters:
    {num_round: null, objective: null, eval_metric: null, num_classes: 2, num_training_samples: 1000, epochs: 10}
  input_data_config:
    train: {content_type: application/x-recordio}
    validation: {content_type: application/x-recordio}
""",
)
def distributed_support(job: Job) -> Iterator[Problem]:
    """Compare the instances with the catalog's facts of the algorithm."""
    count_name, type_name = job.spell("InstanceCount"), job.spell("InstanceType")
    for definition in job.definitions:
        trainer = trainer_of(definition)
        algorithm = trainer.builtin
        if algorithm is None or trainer.script_mode:
            continue
        for request in requests(definition):
            if algorithm.single_instance and request.count is not None and request.count > 1:
                yield Problem(
                    (*request.place, "InstanceCount"),
                    f"{count_name} should be 1, because {algorithm.title} trains on one instance only, "
                    f"got {request.count}",
                    f"set {count_name} to 1",
                )
            facts = instance_facts(request.name)
            if facts is not None and algorithm.gpu and not algorithm.cpu and not facts.gpu:
                yield Problem(
                    (*request.place, "InstanceType"),
                    f"{type_name} should have a GPU, because {algorithm.title} trains on GPUs only, got {request.name}",
                    "choose a type with a GPU, such as ml.g4dn.xlarge",
                )


@rule(
    "stopping-condition",
    title="a training job may run up to 28 days, and says how long",
    severity=Severity.ERROR,
    reason=(
        "the API requires a stopping condition; where it leaves the time out the service takes one day, which costs "
        "when a training job hangs, so that is a warning; the documented maximum is 28 days (older pages say 5)"
    ),
    source=f"{API}API_StoppingCondition.html",
    passes="training_job_definition: {stopping_condition: {max_runtime_in_seconds: 86400}}",
    fails="training_job_definition: {stopping_condition: null}",
)
def stopping_condition(job: Job) -> Iterator[Problem]:
    """Look for the time and compare it with the limits."""
    holder, spelled = job.spell("StoppingCondition"), job.spell("MaxRuntimeInSeconds")
    longest, quota = TRAINING_DAYS * DAY, job.quotas.training_job_runtime_in_seconds
    for definition in job.definitions:
        condition = definition.structure("StoppingCondition")
        if is_missing(job, definition, "StoppingCondition"):
            yield Problem(
                condition.place, f"{holder} is required, got none", f"add {holder} with {spelled}, such as 3600"
            )
        if not condition.present:
            continue
        path = condition.path("MaxRuntimeInSeconds")
        seconds = condition.whole("MaxRuntimeInSeconds")
        if is_missing(job, condition, "MaxRuntimeInSeconds"):
            yield Problem(
                path,
                f"{spelled} should be stated in {holder}, got none, which is one day",
                f"add {spelled}, such as 3600",
                Severity.WARNING,
            )
        elif seconds is not None and seconds > longest:
            yield Problem(
                path,
                f"{spelled} of a training job must be at most {longest:,} ({TRAINING_DAYS} days), got {seconds:,}",
                f"lower {spelled} to {longest} or less",
            )
        elif seconds is not None and seconds > quota:
            fix = f"lower {spelled} to {quota} or less"
            yield Problem(
                path,
                f"{spelled} of a training job must be at most {quota:,} by the account's quota, got {seconds:,}",
                quota_fix(fix, "training_job_runtime_in_seconds", seconds),
                Severity.QUOTA,
            )


@rule(
    "run-times-nest",
    title="a training job may not run longer than the tuning job",
    severity=Severity.WARNING,
    reason="the tuning job's end stops its training jobs, so a longer limit of theirs is never reached",
    source=f"{API}API_ResourceLimits.html",
    passes="resource_limits: {max_runtime_in_seconds: 7200}",
    fails="resource_limits: {max_runtime_in_seconds: 1800}",
)
def run_times_nest(job: Job) -> Iterator[Problem]:
    """Compare the two limits."""
    whole = job.limits.whole("MaxRuntimeInSeconds")
    for definition in job.definitions:
        condition = definition.structure("StoppingCondition")
        single = condition.whole("MaxRuntimeInSeconds")
        if whole is not None and single is not None and single > whole:
            spelled = job.spell("MaxRuntimeInSeconds")
            yield Problem(
                condition.path("MaxRuntimeInSeconds"),
                f"{spelled} of a training job should be <= that of the tuning job, got {single:,} > {whole:,}",
                f"lower {spelled} of {job.spell('StoppingCondition')} to {whole} or less",
            )


@rule(
    "spot-wait",
    title="spot training states how long to wait, at least as long as the run; other training states no wait",
    severity=Severity.ERROR,
    reason=(
        'the wait includes the run; the service answers "Invalid MaxWaitTimeInSeconds. It is only supported when '
        'EnableManagedSpotTraining is set to true" (seen in amazon-sagemaker-examples issue 869)'
    ),
    source=f"{GUIDE}model-managed-spot-training.html",
    passes="""
training_job_definition:
  enable_managed_spot_training: true
  stopping_condition: {max_runtime_in_seconds: 3600, max_wait_time_in_seconds: 7200}
""",
    fails="""
training_job_definition:
  enable_managed_spot_training: true
  checkpoint_config: {s3_uri: s3://example-checkpoints/churn/}
  stopping_condition: {max_runtime_in_seconds: 3600, max_wait_time_in_seconds: 1800}
""",
)
def spot_wait(job: Job) -> Iterator[Problem]:
    """Compare the wait with the run."""
    wait_name, run_name = job.spell("MaxWaitTimeInSeconds"), job.spell("MaxRuntimeInSeconds")
    spot_name = job.spell("EnableManagedSpotTraining")
    for definition in job.definitions:
        condition = definition.structure("StoppingCondition")
        spot = definition.raw.get("EnableManagedSpotTraining", False)
        if not condition.present or not isinstance(spot, bool):
            continue
        path = condition.path("MaxWaitTimeInSeconds")
        wait = condition.whole("MaxWaitTimeInSeconds")
        run = condition.whole("MaxRuntimeInSeconds")
        if run is None and "MaxRuntimeInSeconds" not in condition.raw:
            run = DAY
        if spot and is_missing(job, condition, "MaxWaitTimeInSeconds"):
            yield Problem(
                path,
                f"{wait_name} is required with {spot_name}, got none",
                f"add {wait_name} of at least {run_name}, such as {2 * (run or DAY)}",
            )
        elif spot and wait is not None and run is not None and wait < run:
            yield Problem(
                path,
                f"{wait_name} must be >= {run_name}, got {wait:,} < {run:,}",
                f"raise {wait_name} to {run} or more",
            )
        elif (
            not spot
            and wait is not None
            and (
                "EnableManagedSpotTraining" in definition.raw
                or is_missing(job, definition, "EnableManagedSpotTraining")
            )
        ):
            yield Problem(
                path,
                f"{wait_name} is for spot training only, got {wait:,} without {spot_name}",
                f"remove {wait_name}, or add {spot_name}: true",
            )


@rule(
    "spot-checkpoint",
    title="spot training keeps checkpoints",
    severity=Severity.WARNING,
    reason=(
        "an interrupted spot training job begins again from its last checkpoint, or from nothing; built-in and "
        "Marketplace algorithms that write none may wait 3,600 seconds at most"
    ),
    source=f"{GUIDE}model-managed-spot-training.html",
    passes="""
training_job_definition:
  enable_managed_spot_training: true
  checkpoint_config: {s3_uri: s3://example-checkpoints/churn/}
  stopping_condition: {max_runtime_in_seconds: 3600, max_wait_time_in_seconds: 7200}
""",
    fails="""
training_job_definition:
  enable_managed_spot_training: true
  stopping_condition: {max_runtime_in_seconds: 3600, max_wait_time_in_seconds: 7200}
""",
)
def spot_checkpoint(job: Job) -> Iterator[Problem]:
    """Look for checkpoints, where the algorithm writes any."""
    for definition in job.definitions:
        if definition.flag("EnableManagedSpotTraining") is not True:
            continue
        condition = definition.structure("StoppingCondition")
        wait = condition.whole("MaxWaitTimeInSeconds")
        algorithm = builtin_of(definition)
        name = algorithm.title if algorithm is not None else _marketplace_name(definition)
        writes_none = algorithm is not None and algorithm.checkpoints is False
        if writes_none or (algorithm is None and name and "CheckpointConfig" not in definition.raw):
            if wait is not None and wait > WAIT_WITHOUT_CHECKPOINTS:
                spelled = job.spell("MaxWaitTimeInSeconds")
                yield Problem(
                    condition.path("MaxWaitTimeInSeconds"),
                    f"{spelled} should be at most {WAIT_WITHOUT_CHECKPOINTS:,} for an algorithm that writes no "
                    f"checkpoints ({name}), got {wait:,}",
                    f"lower {spelled} to {WAIT_WITHOUT_CHECKPOINTS}",
                )
        elif not writes_none and is_missing(job, definition, "CheckpointConfig"):
            spelled = job.spell("CheckpointConfig")
            yield Problem(
                definition.path("CheckpointConfig"),
                f"{spelled} should be given with {job.spell('EnableManagedSpotTraining')}, because an interruption "
                "loses the work since the last checkpoint, got none",
                f"add {spelled} with {job.spell('S3Uri')}",
            )


def _marketplace_name(definition: Definition) -> str:
    name = definition.algorithm.text("AlgorithmName") or ""
    return name.rpartition("/")[2] if _MARKETPLACE_ALGORITHM.fullmatch(settled(name)) else ""


@rule(
    "retry-attempts",
    title="a training job is tried again 1 to 30 times",
    severity=Severity.ERROR,
    reason="the API takes 1 to 30 attempts; without a retry strategy there are none",
    source=f"{API}API_RetryStrategy.html",
    passes="training_job_definition: {retry_strategy: {maximum_retry_attempts: 3}}",
    fails="training_job_definition: {retry_strategy: {maximum_retry_attempts: 31}}",
)
def retry_attempts(job: Job) -> Iterator[Problem]:
    """Compare the number with its bounds."""
    for definition in job.definitions:
        strategy = definition.structure("RetryStrategy")
        attempts = strategy.whole("MaximumRetryAttempts")
        if attempts is not None and not 1 <= attempts <= RETRY_ATTEMPTS:
            spelled = job.spell("MaximumRetryAttempts")
            yield Problem(
                strategy.path("MaximumRetryAttempts"),
                f"{spelled} must be 1 to {RETRY_ATTEMPTS}, got {attempts}",
                f"set {spelled} to {RETRY_ATTEMPTS} or less"
                if attempts > 0
                else f"remove {job.spell('RetryStrategy')}",
            )


@rule(
    "environment",
    title="all definitions together have at most 48 environment variables with valid names",
    severity=Severity.ERROR,
    reason=(
        "the limit of 48 holds for a definition and for the sum over all of them (API text of Environment); names are "
        "letters, digits and underscores, and names and values have at most 512 characters"
    ),
    source=f"{API}API_HyperParameterTrainingJobDefinition.html",
    passes="training_job_definition: {environment: {LOG_LEVEL: debug}}",
    fails="training_job_definition: {environment: {LOG-LEVEL: debug}}",
)
def environment(job: Job) -> Iterator[Problem]:
    """Count the variables and check their names and lengths."""
    spelled, total, reported = job.spell("Environment"), 0, False
    for definition in job.definitions:
        raw = definition.structure("Environment").raw
        total += len(raw)
        if total > ENVIRONMENT_ENTRIES and not reported:
            reported = True
            count = sum(len(other.structure("Environment").raw) for other in job.definitions)
            yield Problem(
                definition.path("Environment"),
                f"{spelled} must have at most {ENVIRONMENT_ENTRIES} entries over all definitions together, got {count}",
                "put what belongs together into one variable",
            )
        for key, value in raw.items():
            key = str(key)
            path = definition.path("Environment", key)
            if not is_unknown(key) and (len(key) > ENVIRONMENT_LENGTH or not _ENVIRONMENT_KEY.fullmatch(key)):
                name = re.sub("[^a-zA-Z0-9_]+", "_", key)[:40].lstrip("0123456789") or "a name such as LOG_LEVEL"
                yield Problem(
                    path,
                    f"a name in {spelled} must be letters, digits and underscores, not beginning with a digit, up to "
                    f"{ENVIRONMENT_LENGTH} characters, got {key[:80]!r}",
                    f"write {name}",
                )
            elif isinstance(value, str) and not is_unknown(value) and len(value) > ENVIRONMENT_LENGTH:
                yield Problem(
                    path,
                    f"{key} must have at most {ENVIRONMENT_LENGTH} characters, got {len(value)}",
                    f"shorten {key}, or put it into a channel",
                )


@rule(
    "vpc",
    title="a VPC has 1 to 16 subnets and 1 to 5 security groups",
    severity=Severity.ERROR,
    reason="the training instances get a network interface in one of the subnets, with all of the security groups",
    source=f"{API}API_VpcConfig.html",
    passes="""
training_job_definition:
  vpc_config: {subnets: [subnet-0123456789abcdef0], security_group_ids: [sg-0123456789abcdef0]}
""",
    fails="training_job_definition: {vpc_config: {subnets: [subnet-0123456789abcdef0]}}",
)
def vpc(job: Job) -> Iterator[Problem]:
    """Count the subnets and security groups, and look at their ids."""
    for definition in job.definitions:
        config = definition.structure("VpcConfig")
        if not config.present:
            continue
        for member, prefix, most in (("Subnets", "subnet-", SUBNETS), ("SecurityGroupIds", "sg-", SECURITY_GROUPS)):
            spelled, raw = job.spell(member), config.raw.get(member)
            if is_missing(job, config, member):
                yield Problem(
                    config.path(member),
                    f"{spelled} is required in {job.spell('VpcConfig')}, got none",
                    f"add {spelled}, such as [{prefix}0123456789abcdef0]",
                )
            elif isinstance(raw, list | tuple) and not 1 <= len(raw) <= most:
                yield Problem(
                    config.path(member),
                    f"{spelled} must have 1 to {most} entries, got {len(raw)}",
                    f"give {spelled} at least one entry" if not raw else f"keep {most} of them",
                )
            for path, value in config.texts(member):
                if _LIST_TOKEN in value or is_unknown(value):
                    continue
                if not re.fullmatch(rf"{prefix}[0-9a-zA-Z\-]{{1,25}}", value):
                    yield Problem(
                        path,
                        f"{spelled} must be ids such as {prefix}0123456789abcdef0, got {value!r}",
                        f"write an id that begins with {prefix}",
                    )


@rule(
    "isolation-and-vpc",
    title="an isolated container has no network, not even that of its VPC",
    severity=Severity.WARNING,
    reason=(
        "with both, the service moves data and models through the VPC, and the container itself reaches nothing: right "
        "for a container that needs nothing, a surprise for one that calls out (API text of EnableNetworkIsolation)"
    ),
    source=f"{GUIDE}mkt-algo-model-internet-free.html",
    passes="training_job_definition: {enable_network_isolation: true}",
    fails="""
training_job_definition:
  enable_network_isolation: true
  vpc_config: {subnets: [subnet-0123456789abcdef0], security_group_ids: [sg-0123456789abcdef0]}
""",
)
def isolation_and_vpc(job: Job) -> Iterator[Problem]:
    """Look for both."""
    for definition in job.definitions:
        if definition.flag("EnableNetworkIsolation") and definition.structure("VpcConfig").present:
            spelled = job.spell("EnableNetworkIsolation")
            yield Problem(
                definition.path("EnableNetworkIsolation"),
                f"{spelled} leaves the container without the network of {job.spell('VpcConfig')}, got both",
                f"nothing to do if the container needs no network; else remove {spelled}",
            )


@rule(
    "inter-container-single",
    title="traffic between containers needs several instances",
    severity=Severity.WARNING,
    reason=(
        "one instance has nobody to talk to, so there is nothing to encrypt; with several, encryption costs training "
        "time, and the console cannot set it"
    ),
    source=f"{GUIDE}train-encrypt.html",
    passes="training_job_definition: {enable_inter_container_traffic_encryption: true}",
    fails="""
training_job_definition:
  enable_inter_container_traffic_encryption: true
  resource_config: {instance_count: 1}
""",
)
def inter_container_single(job: Job) -> Iterator[Problem]:
    """Compare the flag with the number of instances."""
    for definition in job.definitions:
        if definition.flag("EnableInterContainerTrafficEncryption") and node_count(definition) == 1:
            spelled = job.spell("EnableInterContainerTrafficEncryption")
            yield Problem(
                definition.path("EnableInterContainerTrafficEncryption"),
                f"{spelled} has no effect with {job.spell('InstanceCount')} 1",
                f"remove {spelled}, or raise {job.spell('InstanceCount')}",
            )


@rule(
    "role",
    title="the role is a role's ARN, of one account for all definitions",
    severity=Severity.ERROR,
    reason=(
        "the service assumes the role for the training jobs and has to be passed it, which works inside the job's own "
        "account only; a user's or a policy's ARN is refused"
    ),
    source=f"{GUIDE}sagemaker-roles.html",
    passes="training_job_definition: {role_arn: arn:aws:iam::123456789012:role/teams/churn/tuning}",
    fails="training_job_definition: {role_arn: arn:aws:iam::123456789012:user/tuning}",
)
def role(job: Job) -> Iterator[Problem]:
    """Check the form of each role and compare their accounts."""
    spelled = job.spell("RoleArn")
    first: tuple[str, str] | None = None
    for definition in job.definitions:
        arn = definition.text("RoleArn")
        if arn is None or is_unknown(arn):
            continue
        path: Path = definition.path("RoleArn")
        found = _ROLE.fullmatch(settled(arn))
        if found is None:
            yield Problem(
                path,
                f"{spelled} must be a role's ARN such as arn:aws:iam::123456789012:role/tuning, got {arn!r}",
                f"write the role's ARN, or leave {spelled} out for a role made by the construct"
                if job.declaration.role_may_be_absent
                else "write the role's ARN, as IAM shows it",
            )
        elif "${AWS::AccountId}" in arn:
            continue  # the stack's own account, whichever that is
        elif first is None:
            first = (found["account"], definition.label)
        elif found["account"] != first[0]:
            yield Problem(
                path,
                f"{spelled} must be of the tuning job's account, got account {found['account']} here and {first[0]} "
                f"in {first[1]}",
                "use roles of the account that runs the tuning job",
            )


@rule(
    "kms-local-storage",
    title="a volume key is for instance types without local storage",
    severity=Severity.ERROR,
    reason=(
        "instances with local NVMe storage encrypt it in hardware, and the API refuses a key for it (API text of "
        "VolumeKmsKeyId)"
    ),
    source=f"{API}API_ResourceConfig.html",
    passes="training_job_definition: {resource_config: {volume_kms_key_id: 1234abcd-12ab-34cd-56ef-1234567890ab}}",
    fails="""
training_job_definition:
  resource_config: {instance_type: ml.g4dn.xlarge, volume_kms_key_id: 1234abcd-12ab-34cd-56ef-1234567890ab}
""",
)
def kms_local_storage(job: Job) -> Iterator[Problem]:
    """Look for types with local storage beside a key."""
    for definition in job.definitions:
        for resources in resource_forms(definition):
            if not resources.text("VolumeKmsKeyId"):
                continue
            local = sorted(
                {
                    request.name
                    for request in requests(definition)
                    if request.name is not None
                    and request.place[: len(resources.place)] == resources.place
                    and (facts := instance_facts(request.name)) is not None
                    and facts.local_storage
                }
            )
            if local:
                spelled = job.spell("VolumeKmsKeyId")
                yield Problem(
                    resources.path("VolumeKmsKeyId"),
                    f"{spelled} is refused for instance types with local storage, got {', '.join(local)}",
                    f"remove {spelled} (local storage is encrypted in hardware), or choose a type without it",
                )


@rule(
    "full-access-role",
    title="the role is made for tuning jobs",
    severity=Severity.WARNING,
    reason=(
        "the console's execution role and roles with AmazonSageMakerFullAccess reach every model, endpoint and "
        "notebook of the account; a tuning job needs its data, its output and its logs"
    ),
    source=f"{GUIDE}sagemaker-roles.html",
    passes="training_job_definition: {role_arn: arn:aws:iam::123456789012:role/churn-tuning}",
    fails="""
training_job_definition:
  role_arn: arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-20260101T000000
""",
)
def full_access_role(job: Job) -> Iterator[Problem]:
    """Look at the role's name."""
    for definition in job.definitions:
        arn = definition.text("RoleArn") or ""
        name = arn.rpartition("/")[2]
        if name.startswith("AmazonSageMaker-ExecutionRole") or "fullaccess" in name.lower():
            spelled = job.spell("RoleArn")
            yield Problem(
                definition.path("RoleArn"),
                f"{spelled} should be a role with what a tuning job needs only, got {name}",
                f"leave {spelled} out for a role made by the construct"
                if job.declaration.role_may_be_absent
                else "make a role for tuning jobs",
            )


INSTANCE_TYPE_SOURCE = f"{API}API_ResourceConfig.html"


@rule(
    "instance-type-known",
    title="the instance type is one that SageMaker trains on",
    severity=Severity.ERROR,
    reason=(
        "the service refuses a type that it does not have; a well-formed name that the data does not list is a "
        "warning, because it may be newer than the data"
    ),
    source=INSTANCE_TYPE_SOURCE,
    passes="training_job_definition: {resource_config: {instance_type: ml.c5.2xlarge}}",
    fails="training_job_definition: {resource_config: {instance_type: m5.xlarge}}",
)
def instance_type_known(job: Job) -> Iterator[Problem]:
    """Look every instance type up."""
    spelled = job.spell("InstanceType")
    for definition in job.definitions:
        for request in requests(definition):
            name = request.name
            if name is None or is_unknown(name):
                continue
            facts, path = instance_facts(name), (*request.place, "InstanceType")
            if facts is None:
                guess = f"ml.{name}" if instance_facts(f"ml.{name}") is not None else "a type such as ml.m5.xlarge"
                yield Problem(
                    path,
                    f"{spelled} must be a training instance type such as ml.m5.xlarge, got {name!r}",
                    f"write {guess}",
                )
            elif not facts.known:
                yield Problem(
                    path,
                    f"{spelled} {name} is not among the training instance types of the library's data",
                    f"correct {spelled}, unless the type is newer than the data",
                    Severity.WARNING,
                )
