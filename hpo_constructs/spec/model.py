"""The declaration of a tuning job: `TuningJobSpec` and the values it is made of.

Names are those of SageMaker's API in snake_case. Every field that the API knows is here; a test compares them with
botocore's service model. Lengths, patterns, limits and cross-field rules are not checked here but by
`hpo_constructs.check`, which reports all faults at once.

Source: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateHyperParameterTuningJob.html
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr, Strict, ValidationError

from ..errors import SpecError
from ._base import AS_IT_STANDS, SpecModel, text_of
from .ranges import HyperparameterRanges
from .shapes import shape_model

Strategy = Literal["Bayesian", "Random", "Hyperband", "Grid"]
InputMode = Literal["Pipe", "File", "FastFile"]
Text = Annotated[str, BeforeValidator(text_of)]
# Text and fractions are not taken for whole numbers, nor 1 for true: the API does not either.
Integer = Annotated[int, Strict()]
Boolean = Annotated[bool, Strict()]


class Objective(SpecModel):
    """The metric that the tuning job improves.

    Attributes:
        metric_name: Name of a metric of the algorithm, or of one of the `metric_definitions`.
        type: Maximize or Minimize.
    """

    metric_name: str
    type: Literal["Maximize", "Minimize"]


class ResourceLimits(SpecModel):
    """How much a tuning job may run.

    Attributes:
        max_parallel_training_jobs: Training jobs at the same time.
        max_number_of_training_jobs: Training jobs in all. Needed unless the strategy is Grid, where it is the
            number of combinations, or autotune is on.
        max_runtime_in_seconds: Longest run of the whole tuning job, in seconds, from 120. Without it the tuning job
            may run for SageMaker's limit of 30 days.
    """

    max_parallel_training_jobs: Integer
    max_number_of_training_jobs: Integer | None = None
    max_runtime_in_seconds: Integer | None = None


class HyperbandStrategyConfig(SpecModel):
    """Hyperband's bounds for a training job's iterations.

    Attributes:
        min_resource: Iterations that a training job runs at least before it can be stopped.
        max_resource: Iterations that a training job runs at most. Without it the service infers it from a static
            hyperparameter such as `epochs`.
    """

    min_resource: Integer | None = None
    max_resource: Integer | None = None


class StrategyConfig(SpecModel):
    """Settings of the strategy; only Hyperband has any."""

    hyperband_strategy_config: HyperbandStrategyConfig | None = None


class BestObjectiveNotImproving(SpecModel):
    """Ends the tuning job when the best objective has not improved.

    Attributes:
        max_number_of_training_jobs_not_improving: Training jobs without a better objective, at least 3.
    """

    max_number_of_training_jobs_not_improving: Integer | None = None


class ConvergenceDetected(SpecModel):
    """Ends the tuning job when the service sees that the search has converged."""

    complete_on_convergence: Literal["Enabled", "Disabled"] | None = None


class TuningJobCompletionCriteria(SpecModel):
    """When a tuning job ends before its resource limits.

    Attributes:
        target_objective_metric_value: The value of the objective metric that is good enough.
        best_objective_not_improving: Ends the job when nothing better comes.
        convergence_detected: Ends the job when the search has converged.
    """

    target_objective_metric_value: Annotated[float, Strict()] | None = None
    best_objective_not_improving: BestObjectiveNotImproving | None = None
    convergence_detected: ConvergenceDetected | None = None


class MetricDefinition(SpecModel):
    """A metric read from the training job's log.

    Attributes:
        name: The metric's name.
        regex: Regular expression whose one group captures the value.
    """

    name: str
    regex: str


class AlgorithmSpecification(SpecModel):
    """The algorithm: an image of a registry, or an algorithm resource.

    Attributes:
        training_image: Image URI; this or `algorithm_name`.
        algorithm_name: Name or ARN of an algorithm resource, such as one of the Marketplace.
        training_input_mode: File, Pipe or FastFile; File when it is left out.
        metric_definitions: Metrics of an own container. Built-in algorithms bring theirs.
    """

    training_input_mode: InputMode | None = "File"
    training_image: str | None = None
    algorithm_name: str | None = None
    metric_definitions: tuple[MetricDefinition, ...] | None = None


class HubAccessConfig(SpecModel):
    """Access to content of a hub."""

    hub_content_arn: str


class ModelAccessConfig(SpecModel):
    """Consent to a gated model's licence."""

    accept_eula: Boolean


class S3DataSource(SpecModel):
    """Data in S3.

    Attributes:
        s3_uri: Prefix, manifest or augmented manifest, by `s3_data_type`.
        s3_data_type: S3Prefix when it is left out.
        s3_data_distribution_type: FullyReplicated (the service's default) or ShardedByS3Key.
        attribute_names: Attributes of an augmented manifest.
        instance_group_names: Instance groups that get the data; all without it.
    """

    s3_uri: str
    s3_data_type: Literal["ManifestFile", "S3Prefix", "AugmentedManifestFile", "Converse"] | None = "S3Prefix"
    s3_data_distribution_type: Literal["FullyReplicated", "ShardedByS3Key"] | None = None
    attribute_names: tuple[str, ...] | None = None
    instance_group_names: tuple[str, ...] | None = None
    model_access_config: ModelAccessConfig | None = None
    hub_access_config: HubAccessConfig | None = None


class FileSystemDataSource(SpecModel):
    """Data on EFS or FSx for Lustre; needs a `vpc_config`."""

    file_system_id: str
    file_system_access_mode: Literal["rw", "ro"]
    file_system_type: Literal["EFS", "FSxLustre"]
    directory_path: str


class DatasetSource(SpecModel):
    """A data set of a SageMaker hub."""

    dataset_arn: str


class DataSource(SpecModel):
    """Where a channel's data is; exactly one of the sources."""

    s3_data_source: S3DataSource | None = None
    file_system_data_source: FileSystemDataSource | None = None
    dataset_source: DatasetSource | None = None


class ShuffleConfig(SpecModel):
    """Shuffles the S3 keys of a channel before each epoch."""

    seed: Integer


class Channel(SpecModel):
    """A named input of the training job.

    Attributes:
        channel_name: The name by which the algorithm finds it, such as train or validation.
        data_source: Where the data is.
        content_type: MIME type, such as text/csv.
        compression_type: None (the service's default) or Gzip.
        record_wrapper_type: None (the service's default) or RecordIO.
        input_mode: Overrides the algorithm's `training_input_mode` for this channel.
        shuffle_config: Shuffles the data's order with a seed.
    """

    channel_name: str
    data_source: DataSource
    content_type: str | None = None
    compression_type: Literal["None", "Gzip"] | None = None
    record_wrapper_type: Literal["None", "RecordIO"] | None = None
    input_mode: InputMode | None = None
    shuffle_config: ShuffleConfig | None = None

    @classmethod
    def from_s3(cls, channel_name: str, s3_uri: str, **fields: Any) -> Self:
        """A channel that reads an S3 prefix; `fields` are further fields of the channel, such as `content_type`."""
        source = DataSource(s3_data_source=S3DataSource(s3_uri=s3_uri))
        return cls(channel_name=channel_name, data_source=source, **fields)


class VpcConfig(SpecModel):
    """The network of the training instances: 1 to 16 subnets, 1 to 5 security groups."""

    security_group_ids: tuple[str, ...]
    subnets: tuple[str, ...]


class OutputDataConfig(SpecModel):
    """Where the models go.

    Attributes:
        s3_output_path: S3 prefix; each training job writes below it.
        kms_key_id: Key id, ARN or alias that encrypts the output; the account's S3 key without it.
        compression_type: GZIP (the service's default) or NONE.
    """

    s3_output_path: str
    kms_key_id: str | None = None
    compression_type: Literal["GZIP", "NONE"] | None = None


class InstanceGroup(SpecModel):
    """One group of a heterogeneous cluster."""

    instance_type: str
    instance_count: Integer
    instance_group_name: str


class PlacementSpecification(SpecModel):
    """Instances on one UltraServer."""

    instance_count: Integer
    ultra_server_id: str | None = None


class InstancePlacementConfig(SpecModel):
    """Placement of instances on UltraServers."""

    enable_multiple_jobs: Boolean | None = None
    placement_specifications: tuple[PlacementSpecification, ...] | None = None


class InstancePreference(SpecModel):
    """One of several instance types that a training job may get."""

    instance_type: str
    instance_count: Integer | None = None
    training_plan_arns: tuple[str, ...] | None = None


class ResourceConfig(SpecModel):
    """The instances of each training job.

    Attributes:
        instance_type: Such as ml.m5.xlarge.
        instance_count: Number of instances of each training job.
        volume_size_in_gb: Storage of each instance, in GB.
        volume_kms_key_id: Key that encrypts the storage; not for instance types with local storage.
    """

    instance_type: str | None = None
    instance_count: Integer | None = None
    volume_size_in_gb: Integer | None = None
    volume_kms_key_id: str | None = None
    keep_alive_period_in_seconds: Integer | None = None
    instance_groups: tuple[InstanceGroup, ...] | None = None
    training_plan_arn: str | None = None
    instance_placement_config: InstancePlacementConfig | None = None
    instance_preferences: tuple[InstancePreference, ...] | None = None
    selected_instance_type: str | None = None
    selected_instance_count: Integer | None = None


class InstanceConfig(SpecModel):
    """One of the instance configurations that the service may choose, in the order given."""

    instance_type: str
    instance_count: Integer
    volume_size_in_gb: Integer


class HyperparameterTuningResourceConfig(SpecModel):
    """Instances with alternatives: the service takes the first configuration that has capacity."""

    instance_type: str | None = None
    instance_count: Integer | None = None
    volume_size_in_gb: Integer | None = None
    volume_kms_key_id: str | None = None
    allocation_strategy: Literal["Prioritized"] | None = None
    instance_configs: tuple[InstanceConfig, ...] | None = None


class StoppingCondition(SpecModel):
    """How long each training job may run.

    Attributes:
        max_runtime_in_seconds: Longest training time, in seconds. The service takes one day without it.
        max_wait_time_in_seconds: With spot training: longest time from the start to the end, waiting included, in
            seconds; at least `max_runtime_in_seconds`.
        max_pending_time_in_seconds: Longest wait for capacity, in seconds.
    """

    max_runtime_in_seconds: Integer | None = None
    max_wait_time_in_seconds: Integer | None = None
    max_pending_time_in_seconds: Integer | None = None


class CheckpointConfig(SpecModel):
    """Where checkpoints are kept.

    Attributes:
        s3_uri: S3 prefix.
        local_path: Folder in the container; /opt/ml/checkpoints/ without it.
    """

    s3_uri: str
    local_path: str | None = None


class RetryStrategy(SpecModel):
    """How often the service tries a training job again after an internal error.

    Attributes:
        maximum_retry_attempts: 1 to 30.
    """

    maximum_retry_attempts: Integer


class TrainingJobDefinition(SpecModel):
    """One algorithm of a tuning job with all that its training jobs need.

    Attributes:
        algorithm_specification: The algorithm and its metrics.
        output_data_config: Where the models go.
        stopping_condition: How long each training job may run.
        role_arn: Role of the training jobs. Without it the `TuningJob` construct makes one from the declaration.
        definition_name: The definition's name; needed when there are several.
        tuning_objective: The metric to improve, where the job has `training_job_definitions`.
        hyperparameter_ranges: What is searched, where the job has `training_job_definitions`.
        static_hyperparameters: Values that are the same for all training jobs.
        input_data_config: The channels, 1 to 20.
        resource_config: The instances; this or `hyperparameter_tuning_resource_config`.
    """

    algorithm_specification: AlgorithmSpecification
    output_data_config: OutputDataConfig
    stopping_condition: StoppingCondition
    role_arn: str | None = None
    definition_name: str | None = None
    tuning_objective: Objective | None = None
    hyperparameter_ranges: HyperparameterRanges | None = Field(default=None, alias="HyperParameterRanges")
    static_hyperparameters: dict[str, Text] | None = None
    input_data_config: tuple[Channel, ...] | None = None
    vpc_config: VpcConfig | None = None
    resource_config: ResourceConfig | None = None
    hyperparameter_tuning_resource_config: HyperparameterTuningResourceConfig | None = None
    enable_network_isolation: Boolean | None = None
    enable_inter_container_traffic_encryption: Boolean | None = None
    enable_managed_spot_training: Boolean | None = None
    checkpoint_config: CheckpointConfig | None = None
    retry_strategy: RetryStrategy | None = None
    environment: dict[str, Text] | None = None


class ParentHyperparameterTuningJob(SpecModel):
    """A finished tuning job whose knowledge a warm start uses."""

    hyperparameter_tuning_job_name: str | None = None


class WarmStartConfig(SpecModel):
    """Starts the search with what earlier tuning jobs have found.

    Attributes:
        parent_hyperparameter_tuning_jobs: 1 to 5 finished tuning jobs.
        warm_start_type: IdenticalDataAndAlgorithm or TransferLearning.
    """

    parent_hyperparameter_tuning_jobs: tuple[ParentHyperparameterTuningJob, ...]
    warm_start_type: Literal["IdenticalDataAndAlgorithm", "TransferLearning"]


class Autotune(SpecModel):
    """Lets SageMaker choose ranges and settings that are left out."""

    mode: Literal["Enabled"] | None = "Enabled"


class Tag(SpecModel):
    """A tag of the tuning job; the service hands it on to the training jobs."""

    key: str
    value: Text | None = ""


_CONFIG = "HyperParameterTuningJobConfig"


class TuningJobSpec(SpecModel):
    """A SageMaker hyperparameter tuning job, declared.

    The members of the API's HyperParameterTuningJobConfig stand at the top. A job has either one
    `training_job_definition`, with `objective` and `hyperparameter_ranges` beside it, or several
    `training_job_definitions`, each with a `tuning_objective` and `hyperparameter_ranges` of its own.

    Attributes:
        name: The job's name, up to 32 characters; 21 where runs derive their names from it.
        strategy: Bayesian, Random, Hyperband or Grid.
        resource_limits: Training jobs in parallel and in all, and the longest run.
        objective: The metric to improve.
        hyperparameter_ranges: What is searched.
        training_job_definition: The algorithm, where there is one.
        training_job_definitions: The algorithms, 1 to 10.
        training_job_early_stopping_type: Auto stops training jobs that do not promise to be better; Off is the
            service's default. With one algorithm only.
        tuning_job_completion_criteria: When the job ends before its limits.
        random_seed: Makes a search repeatable, as far as training is.
        warm_start_config: Earlier jobs to learn from.
        autotune: Lets the service choose ranges.
        tags: Up to 50.
    """

    name: str = Field(alias="HyperParameterTuningJobName")
    strategy: Strategy
    resource_limits: ResourceLimits
    strategy_config: StrategyConfig | None = None
    objective: Objective | None = Field(default=None, alias="HyperParameterTuningJobObjective")
    hyperparameter_ranges: HyperparameterRanges | None = Field(default=None, alias="ParameterRanges")
    training_job_early_stopping_type: Literal["Off", "Auto"] | None = None
    tuning_job_completion_criteria: TuningJobCompletionCriteria | None = None
    random_seed: Integer | None = None
    training_job_definition: TrainingJobDefinition | None = None
    training_job_definitions: tuple[TrainingJobDefinition, ...] | None = None
    warm_start_config: WarmStartConfig | None = None
    autotune: Autotune | None = None
    tags: tuple[Tag, ...] | None = None

    # Where the declaration was read from, so that findings can name file and line.
    _origin: Any = PrivateAttr(default=None)

    @classmethod
    def from_request(cls, request: Mapping[str, Any]) -> Self:
        """Read the request of CreateHyperParameterTuningJob, as boto3 takes it.

        Nothing is added, dropped or changed: `to_request()` gives an equal request. Values that break a rule are
        kept, and so is the lack of a member that the declaration has a default for; `check` reports them.

        Raises:
            SpecError: A member is unknown, missing or of the wrong type; the message lists all such faults.
        """
        if not isinstance(request, Mapping):
            raise SpecError(f"a tuning job's request must be a structure, got {request!r:.80}")
        members = dict(request)
        config = members.pop(_CONFIG, None)
        if not isinstance(config, Mapping):
            raise SpecError(f"{_CONFIG} must be a structure, got {config!r:.80}")
        # The declaration has the members of both at its top; in a request each has its place.
        misplaced = [name for name in members if name in _config_members()]
        misplaced += [f"{_CONFIG}.{name}" for name in config if name in _root_members()]
        if misplaced:
            raise SpecError(f"not a tuning job's request: {', '.join(misplaced)} does not belong there")
        try:
            return cls.model_validate({**members, **config}, context=AS_IT_STANDS)
        except ValidationError as error:
            raise SpecError(_faults(error)) from None

    @classmethod
    def from_tuner(cls, tuner: Any, inputs: Any = None, name: str | None = None) -> Self:
        """Read a `HyperparameterTuner` of the SageMaker Python SDK, version 2 or 3.

        The SDK builds the request as for a start, and nothing is sent. An estimator with a local `source_dir` has it
        uploaded to S3 by the SDK, as a start would: the request names the archive.

        Args:
            tuner: The tuner; in version 2 also one of `HyperparameterTuner.create`, with several estimators.
            inputs: The training data, as the tuner's `fit` or `tune` takes it.
            name: The job's declared name. Without it the tuner's `base_tuning_job_name`, else the SDK's own name for
                the image without the time.

        Raises:
            SpecError: The object is no tuner, or the SDK cannot build a request of it.
        """
        from .sdk import request_of_tuner

        return cls.from_request(request_of_tuner(tuner, inputs, name))

    def to_request(self) -> dict[str, Any]:
        """The request of CreateHyperParameterTuningJob, as boto3 takes it, without members that are not set.

        It has no `RoleArn` where the declaration has no `role_arn`: the `TuningJob` construct fills it in.
        """
        members = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        config = {name: members.pop(name) for name in _config_members() if name in members}
        return {
            "HyperParameterTuningJobName": members.pop("HyperParameterTuningJobName"),
            _CONFIG: config,
            **members,
        }


def _root_members() -> frozenset[str]:
    return frozenset(shape_model().root.members or ())


def _config_members() -> tuple[str, ...]:
    model = shape_model()
    config = model.member(model.root, _CONFIG)
    return tuple(config.members or ()) if config else ()


def _faults(error: ValidationError) -> str:
    lines = []
    for fault in error.errors(include_url=False):
        path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]).lstrip(".")
        lines.append(f"{path}: {fault['msg']}, got {fault['input']!r:.80}")
    return "not a tuning job's request:\n  " + "\n  ".join(lines)


__all__ = [name for name, item in list(globals().items()) if isinstance(item, type) and item.__module__ == __name__]
