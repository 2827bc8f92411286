"""What a wizard asks: steps and their fields, with the help that stands beside a question and in the template."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

GUIDE = "https://docs.aws.amazon.com/sagemaker/latest/dg/"
API = "https://docs.aws.amazon.com/sagemaker/latest/APIReference/"


class Kind(StrEnum):
    """How a field is asked.

    TEXT, INTEGER, NUMBER, BOOLEAN: one value. CHOICE: one of `choices`, or another text where the field is `open`.
    LIST: several texts. RANGE: a searched hyperparameter, such as `0.1 to 0.5`. VALUES: names with one text each
    (hyperparameters, tags, metrics). RANGES, CHANNELS: names with a row of fields each.
    """

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    LIST = "list"
    RANGE = "range"
    VALUES = "values"
    RANGES = "ranges"
    CHANNELS = "channels"


@dataclass(frozen=True, slots=True)
class Choice:
    """A value that a field can take, or a name that a table can have a row of.

    Attributes:
        value: The value, or the row's name.
        help: What it means, in a few words; may be empty.
        start: What a new row of this name begins with, as `Draft.set` takes it; None for a plain choice.
    """

    value: str
    help: str = ""
    start: Any = None


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a table.

    Attributes:
        name: The user's name: a hyperparameter, a channel, a tag's key.
        path: The row's path; setting it to None takes the row away.
        fields: Its fields; a row of VALUES has one.
    """

    name: str
    path: str
    fields: "tuple[Field, ...]"


@dataclass(frozen=True, slots=True)
class Field:
    """One question.

    Attributes:
        path: Where the answer stands in the template, in its own spelling; stable, and what `Draft.set` takes.
        title: A short name for people.
        help: One sentence: what the setting does.
        source: The page of the documentation.
        kind: How it is asked.
        value: The present value as plain data; None where there is none.
        text: The present value as `Draft.set` takes it from a person; empty where there is none.
        default: What to suggest where there is no value, as text; empty without a suggestion.
        choices: The values to choose from; of a table, the names that rows can be added with.
        open: Whether values beside the choices are allowed.
        required: Whether a tuning job cannot do without an answer.
        applies: Why the field does not apply now; None where it does. A value that is there all the same may be
            taken away.
        section: The part of its step that it belongs to.
        advanced: Whether most jobs leave it as it is.
        rows: A table's rows.
        columns: The fields of a new row, with the row's name still to be put for `*` in their paths.
        example: What an answer looks like.
    """

    path: str
    title: str
    help: str
    source: str
    kind: Kind = Kind.TEXT
    value: Any = None
    text: str = ""
    default: str = ""
    choices: tuple[Choice, ...] = ()
    open: bool = False
    required: bool = False
    applies: str | None = None
    section: str = ""
    advanced: bool = False
    rows: tuple[Row, ...] = ()
    columns: "tuple[Field, ...]" = ()
    example: str = ""

    @property
    def is_table(self) -> bool:
        """Whether the field holds rows."""
        return self.kind in {Kind.VALUES, Kind.RANGES, Kind.CHANNELS}

    def below(self) -> "Iterator[Field]":
        """The field itself and the fields of its rows."""
        yield self
        for row in self.rows:
            for inner in row.fields:
                yield from inner.below()


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the wizard.

    Attributes:
        key: `job`, `definition-0` and so on, `limits`, `review`.
        title: Its title.
        help: One sentence.
        fields: Its questions in order; the review has none.
        definition: The number of the definition that it is about, from 0; None for other steps.
        reached: Whether the user has been there: only then its findings are shown.
    """

    key: str
    title: str
    help: str
    fields: tuple[Field, ...] = ()
    definition: int | None = None
    reached: bool = False


@dataclass(frozen=True, slots=True)
class Topic:
    """What is known of a setting whatever a draft holds: the one place of titles, help and comments.

    Attributes:
        path: Its path; in a definition, from the definition on.
        title: A short name.
        help: One sentence.
        page: The page of the documentation.
        kind: How it is asked.
        comment: What a template says beside it, with the values allowed; none where empty.
        choices: The values with their meaning.
        section: The part of the step.
        advanced: Whether most jobs leave it as it is.
        required: Whether a job cannot do without it.
        default: A suggestion.
        example: What an answer looks like.
        open: Whether values beside the choices are allowed.
    """

    path: str
    title: str
    help: str
    page: str
    kind: Kind = Kind.TEXT
    comment: str = ""
    choices: tuple[Choice, ...] = ()
    section: str = ""
    advanced: bool = False
    required: bool = False
    default: str = ""
    example: str = ""
    open: bool = False

    def field(self, path: str, **known: Any) -> Field:
        """The topic as a field of a draft."""
        facts: dict[str, Any] = {
            "kind": self.kind,
            "choices": self.choices,
            "section": self.section,
            "advanced": self.advanced,
            "required": self.required,
            "default": self.default,
            "example": self.example,
            "open": self.open,
            "source": self.page,
        }
        return Field(path, self.title, self.help, **{**facts, **known})


_RANGES_PAGE = f"{GUIDE}automatic-model-tuning-define-ranges.html"
_WARM_START = f"{GUIDE}automatic-model-tuning-warm-start.html"
_STRATEGY = f"{GUIDE}automatic-model-tuning-how-it-works.html"
_COMPLETION = f"{GUIDE}automatic-model-tuning-progress.html"
_SPOT = f"{GUIDE}model-managed-spot-training.html"
_CHECKPOINTS = f"{GUIDE}model-checkpoints.html"

_DIRECTIONS = (Choice("Maximize", "larger is better"), Choice("Minimize", "smaller is better"))
_SECONDS = "in seconds: 3600 is an hour, 86400 a day"

JOB: tuple[Topic, ...] = (
    Topic(
        "name",
        "Name",
        "The tuning job's name: up to 21 letters, digits and inner hyphens, because each run adds 11 characters.",
        f"{API}API_CreateHyperParameterTuningJob.html",
        comment="up to 21 letters, digits and inner hyphens; a run adds 11",
        section="Name",
        required=True,
        example="churn",
    ),
    Topic(
        "strategy",
        "Strategy",
        "How the search chooses the hyperparameters of the next training job.",
        _STRATEGY,
        Kind.CHOICE,
        comment="Bayesian, Random, Hyperband or Grid",
        choices=(
            Choice("Bayesian", "learns from the training jobs so far"),
            Choice("Random", "independent choices; any number of jobs in parallel"),
            Choice("Hyperband", "stops weak training jobs early; iterative algorithms only"),
            Choice("Grid", "every combination; categorical ranges only"),
        ),
        section="Strategy",
        required=True,
        default="Bayesian",
    ),
    Topic(
        "strategy_config.hyperband_strategy_config.min_resource",
        "Hyperband: least iterations",
        "The iterations (such as epochs) that a training job runs at least before Hyperband may stop it.",
        f"{API}API_HyperbandStrategyConfig.html",
        Kind.INTEGER,
        comment="iterations before a training job may be stopped",
        section="Strategy",
        example="1",
    ),
    Topic(
        "strategy_config.hyperband_strategy_config.max_resource",
        "Hyperband: most iterations",
        "The iterations (such as epochs) that a training job runs at most; without it inferred from a static "
        "hyperparameter such as epochs.",
        f"{API}API_HyperbandStrategyConfig.html",
        Kind.INTEGER,
        comment="iterations at most, up to 20000",
        section="Strategy",
        example="30",
    ),
    Topic(
        "objective.metric_name",
        "Objective metric",
        "The metric that the tuning job improves: one that the algorithm reports.",
        f"{GUIDE}automatic-model-tuning-define-metrics-variables.html",
        section="Objective",
        required=True,
        example="validation:auc",
    ),
    Topic(
        "objective.type",
        "Direction",
        "Whether the objective metric is better when it is larger or smaller.",
        f"{API}API_HyperParameterTuningJobObjective.html",
        Kind.CHOICE,
        choices=_DIRECTIONS,
        section="Objective",
        required=True,
    ),
    Topic(
        "training_job_early_stopping_type",
        "Early stopping",
        "Auto stops training jobs that are not going to be better than the best ones so far.",
        f"{GUIDE}automatic-model-tuning-early-stopping.html",
        Kind.CHOICE,
        comment="Off or Auto; Hyperband stops by itself and needs Off",
        choices=(Choice("Off", "every training job runs to its end"), Choice("Auto", "weak training jobs are stopped")),
        section="Early stopping",
        advanced=True,
    ),
    Topic(
        "warm_start_config.warm_start_type",
        "Warm start",
        "Begins with what earlier tuning jobs have found.",
        _WARM_START,
        Kind.CHOICE,
        comment="IdenticalDataAndAlgorithm or TransferLearning",
        choices=(
            Choice("IdenticalDataAndAlgorithm", "same data, image and objective; other ranges or limits"),
            Choice("TransferLearning", "data or algorithm may have changed"),
        ),
        section="Warm start",
        advanced=True,
    ),
    Topic(
        "warm_start_config.parent_hyperparameter_tuning_jobs",
        "Parent tuning jobs",
        "The names of 1 to 5 finished tuning jobs to learn from.",
        _WARM_START,
        Kind.LIST,
        comment="1 to 5 finished tuning jobs, by their own names (`hpo jobs` lists them)",
        section="Warm start",
        advanced=True,
        example="churn-1f0c2a9b7d, churn-5e81d33a60",
    ),
    Topic(
        "random_seed",
        "Random seed",
        "A whole number that makes Random and Hyperband searches repeatable, and Bayesian ones to a part.",
        f"{GUIDE}automatic-model-tuning-considerations.html",
        Kind.INTEGER,
        comment="0 to 4294967295; makes a search repeatable",
        section="Random seed",
        advanced=True,
        example="7",
    ),
    Topic(
        "autotune.mode",
        "Autotune",
        "Enabled lets SageMaker choose ranges, strategy and limits that are left out.",
        f"{API}API_Autotune.html",
        Kind.CHOICE,
        comment="Enabled lets SageMaker choose what is left out",
        choices=(Choice("Enabled", "SageMaker chooses what is left out"),),
        section="Autotune",
        advanced=True,
    ),
    Topic(
        "tags",
        "Tags",
        "Tags of the tuning job and of its training jobs, for cost allocation and access control.",
        f"{API}API_Tag.html",
        Kind.VALUES,
        section="Tags",
        advanced=True,
        example="team=risk",
    ),
)

DEFINITION: tuple[Topic, ...] = (
    Topic(
        "definition_name",
        "Definition name",
        "The definition's name, by which results tell the algorithms apart.",
        f"{API}API_HyperParameterTrainingJobDefinition.html",
        section="Algorithm",
        required=True,
        example="xgboost",
    ),
    Topic(
        "algorithm_specification.training_image",
        "Training image",
        "The registry path of the training image: a built-in algorithm's, or your own container's.",
        f"{API}API_HyperParameterAlgorithmSpecification.html",
        section="Algorithm",
        example="123456789012.dkr.ecr.us-east-1.amazonaws.com/my-algorithm:1.0",
    ),
    Topic(
        "algorithm_specification.algorithm_name",
        "Algorithm ARN",
        "The name or ARN of an algorithm resource, such as an AWS Marketplace subscription, instead of an image.",
        f"{API}API_HyperParameterAlgorithmSpecification.html",
        comment="an algorithm resource, such as one of AWS Marketplace, instead of training_image",
        section="Algorithm",
        example="arn:aws:sagemaker:us-east-1:123456789012:algorithm/my-algorithm",
    ),
    Topic(
        "algorithm_specification.training_input_mode",
        "Input mode",
        "How data reaches the container: File copies it first, FastFile and Pipe stream it from S3.",
        f"{GUIDE}model-access-training-data.html",
        Kind.CHOICE,
        comment="File, FastFile or Pipe",
        choices=(
            Choice("File", "copied before training starts"),
            Choice("FastFile", "streamed, read like files"),
            Choice("Pipe", "streamed through a pipe"),
        ),
        section="Algorithm",
        advanced=True,
        default="File",
    ),
    Topic(
        "algorithm_specification.metric_definitions",
        "Metrics",
        "The metrics of your own container: a name, and a regular expression whose one group captures the value in "
        "the training log.",
        f"{GUIDE}automatic-model-tuning-define-metrics-variables.html",
        Kind.VALUES,
        comment="By name: a regular expression whose one group captures the value in the training log.",
        section="Algorithm",
        example="validation:accuracy=accuracy=([0-9.]+)",
    ),
    Topic(
        "tuning_objective.metric_name",
        "Objective metric",
        "The metric that this definition's training jobs improve: one that the algorithm reports.",
        f"{GUIDE}automatic-model-tuning-define-metrics-variables.html",
        section="Objective",
        required=True,
        example="validation:auc",
    ),
    Topic(
        "tuning_objective.type",
        "Direction",
        "Whether the objective metric is better when it is larger or smaller.",
        f"{API}API_HyperParameterTuningJobObjective.html",
        Kind.CHOICE,
        choices=_DIRECTIONS,
        section="Objective",
        required=True,
    ),
    Topic(
        "static_hyperparameters",
        "Static hyperparameters",
        "Hyperparameters that have the same value in every training job.",
        f"{API}API_HyperParameterTrainingJobDefinition.html",
        Kind.VALUES,
        comment="The same in every training job.",
        section="Hyperparameters",
        example="num_round=100",
    ),
    Topic(
        "hyperparameter_ranges",
        "Searched hyperparameters",
        "The hyperparameters that the search varies, each with a range or a list of values.",
        _RANGES_PAGE,
        Kind.RANGES,
        comment="What the search varies: type Continuous or Integer with min_value and max_value, or a list of values. "
        "scaling_type is Auto (the default), Linear, Logarithmic or ReverseLogarithmic.",
        section="Hyperparameters",
        required=True,
        example="eta=0.1 to 0.5",
    ),
    Topic(
        "input_data_config",
        "Input channels",
        "The data of each training job, 1 to 20 channels by name.",
        f"{API}API_Channel.html",
        Kind.CHANNELS,
        comment="Channels by name. ${AWS::AccountId} and ${AWS::Region} stand for the deployment's own.",
        section="Data",
        example="train=s3://my-bucket/train/",
    ),
    Topic(
        "output_data_config.s3_output_path",
        "Output path",
        "The S3 prefix below which each training job writes its model.",
        f"{API}API_OutputDataConfig.html",
        section="Output",
        required=True,
        example="s3://my-bucket/models/",
    ),
    Topic(
        "output_data_config.kms_key_id",
        "Output encryption key",
        "The KMS key (id, ARN or alias) that encrypts the models; the account's S3 key without it.",
        f"{API}API_OutputDataConfig.html",
        section="Output",
        advanced=True,
        example="alias/models",
    ),
    Topic(
        "output_data_config.compression_type",
        "Output compression",
        "GZIP packs the model as model.tar.gz; NONE leaves its files as they are.",
        f"{API}API_OutputDataConfig.html",
        Kind.CHOICE,
        comment="GZIP or NONE",
        choices=(Choice("GZIP", "model.tar.gz"), Choice("NONE", "files as they are")),
        section="Output",
        advanced=True,
    ),
    Topic(
        "resource_config.instance_type",
        "Instance type",
        "The machine that each training job runs on.",
        f"{GUIDE}common-info-all-im-models.html",
        Kind.CHOICE,
        section="Resources",
        required=True,
        open=True,
        example="ml.m5.xlarge",
    ),
    Topic(
        "resource_config.instance_count",
        "Instances",
        "The number of instances of each training job.",
        f"{API}API_ResourceConfig.html",
        Kind.INTEGER,
        comment="instances of each training job",
        section="Resources",
        required=True,
        default="1",
        example="1",
    ),
    Topic(
        "resource_config.volume_size_in_gb",
        "Volume size",
        "The storage of each instance in GB; it holds the data in File mode.",
        f"{API}API_ResourceConfig.html",
        Kind.INTEGER,
        comment="storage of each instance, in GB",
        section="Resources",
        required=True,
        default="30",
        example="30",
    ),
    Topic(
        "resource_config.volume_kms_key_id",
        "Volume encryption key",
        "The KMS key that encrypts the instances' storage; not for instance types with local storage.",
        f"{API}API_ResourceConfig.html",
        section="Resources",
        advanced=True,
        example="alias/training",
    ),
    Topic(
        "enable_managed_spot_training",
        "Spot training",
        "Trains on spare capacity: cheaper, but training jobs may be interrupted and wait.",
        _SPOT,
        Kind.BOOLEAN,
        comment="cheaper instances that may be taken away; needs max_wait_time_in_seconds",
        section="Spot and checkpoints",
        advanced=True,
    ),
    Topic(
        "checkpoint_config.s3_uri",
        "Checkpoint path",
        "The S3 prefix of checkpoints, from which an interrupted training job goes on.",
        _CHECKPOINTS,
        comment="a prefix of its own; an interrupted training job goes on from here",
        section="Spot and checkpoints",
        advanced=True,
        example="s3://my-bucket/checkpoints/",
    ),
    Topic(
        "checkpoint_config.local_path",
        "Checkpoint folder",
        "The container's folder for checkpoints; /opt/ml/checkpoints/ without it.",
        _CHECKPOINTS,
        section="Spot and checkpoints",
        advanced=True,
        example="/opt/ml/checkpoints/",
    ),
    Topic(
        "stopping_condition.max_runtime_in_seconds",
        "Longest training job",
        f"How long each training job may run, {_SECONDS}.",
        f"{API}API_StoppingCondition.html",
        Kind.INTEGER,
        comment="longest training job; 3600 is an hour",
        section="Stopping",
        required=True,
        default="3600",
        example="3600",
    ),
    Topic(
        "stopping_condition.max_wait_time_in_seconds",
        "Longest wait for spot",
        f"How long a spot training job may take with its waiting, {_SECONDS}; at least the longest training job.",
        _SPOT,
        Kind.INTEGER,
        comment="run and waiting for spot capacity together",
        section="Stopping",
        required=True,
        example="7200",
    ),
    Topic(
        "retry_strategy.maximum_retry_attempts",
        "Retries",
        "How often SageMaker tries a training job again after an internal error, 1 to 30.",
        f"{API}API_RetryStrategy.html",
        Kind.INTEGER,
        comment="after an internal error, 1 to 30",
        section="Stopping",
        advanced=True,
        example="3",
    ),
    Topic(
        "vpc_config.subnets",
        "Subnets",
        "The 1 to 16 subnets that the training instances stand in.",
        f"{GUIDE}train-vpc.html",
        Kind.LIST,
        section="Network",
        advanced=True,
        example="subnet-0123456789abcdef0",
    ),
    Topic(
        "vpc_config.security_group_ids",
        "Security groups",
        "The 1 to 5 security groups of the training instances.",
        f"{GUIDE}train-vpc.html",
        Kind.LIST,
        section="Network",
        advanced=True,
        example="sg-0123456789abcdef0",
    ),
    Topic(
        "enable_network_isolation",
        "Network isolation",
        "Cuts the containers off from the network; AWS Marketplace algorithms need it.",
        f"{GUIDE}mkt-algo-model-internet-free.html",
        Kind.BOOLEAN,
        comment="containers without network; AWS Marketplace algorithms need it",
        section="Network",
        advanced=True,
    ),
    Topic(
        "enable_inter_container_traffic_encryption",
        "Encrypted traffic",
        "Encrypts the traffic between the instances of a training job.",
        f"{GUIDE}train-encrypt.html",
        Kind.BOOLEAN,
        comment="between the instances of a training job",
        section="Network",
        advanced=True,
    ),
    Topic(
        "environment",
        "Environment variables",
        "Environment variables of the training containers, at most 48 over all definitions.",
        f"{API}API_HyperParameterTrainingJobDefinition.html",
        Kind.VALUES,
        section="Network",
        advanced=True,
        example="LOG_LEVEL=info",
    ),
    Topic(
        "role_arn",
        "Role",
        "The role of the training jobs; without it the stack makes one from exactly what the template names.",
        f"{GUIDE}sagemaker-roles.html",
        comment="without it the stack makes a role from exactly what the template names",
        section="Network",
        advanced=True,
        example="arn:aws:iam::123456789012:role/training",
    ),
)

LIMITS: tuple[Topic, ...] = (
    Topic(
        "resource_limits.max_number_of_training_jobs",
        "Training jobs in all",
        "How many training jobs the tuning job runs; a grid search runs one for each combination.",
        f"{API}API_ResourceLimits.html",
        Kind.INTEGER,
        comment="training jobs in all",
        section="Limits",
        required=True,
        example="20",
    ),
    Topic(
        "resource_limits.max_parallel_training_jobs",
        "Training jobs at the same time",
        "How many training jobs run at once; a Bayesian search learns more with fewer, and the guide advises no more "
        "than the instances of all definitions.",
        f"{API}API_ResourceLimits.html",
        Kind.INTEGER,
        comment="at the same time",
        section="Limits",
        required=True,
        example="2",
    ),
    Topic(
        "resource_limits.max_runtime_in_seconds",
        "Longest tuning job",
        f"How long the whole tuning job may run, {_SECONDS}; 30 days without it.",
        f"{API}API_ResourceLimits.html",
        Kind.INTEGER,
        comment="the whole tuning job; 86400 is a day",
        section="Limits",
        advanced=True,
        example="86400",
    ),
    Topic(
        "tuning_job_completion_criteria.target_objective_metric_value",
        "Target value",
        "Ends the tuning job when a training job reaches this value of the objective metric.",
        _COMPLETION,
        Kind.NUMBER,
        comment="good enough: ends the tuning job",
        section="Completion criteria",
        advanced=True,
        example="0.95",
    ),
    Topic(
        "tuning_job_completion_criteria.best_objective_not_improving.max_number_of_training_jobs_not_improving",
        "Training jobs without improvement",
        "Ends the tuning job after this many training jobs without a better objective, at least 3.",
        _COMPLETION,
        Kind.INTEGER,
        comment="at least 3",
        section="Completion criteria",
        advanced=True,
        example="5",
    ),
    Topic(
        "tuning_job_completion_criteria.convergence_detected.complete_on_convergence",
        "End on convergence",
        "Ends the tuning job when SageMaker sees that the search has converged.",
        _COMPLETION,
        Kind.CHOICE,
        comment="Enabled or Disabled",
        choices=(Choice("Enabled", "ends when converged"), Choice("Disabled", "goes on to the limits")),
        section="Completion criteria",
        advanced=True,
    ),
)

# Of a channel, from its row on.
CHANNEL: tuple[Topic, ...] = (
    Topic("s3_uri", "S3 URI", "The S3 prefix of the data, or a manifest.", f"{API}API_S3DataSource.html", required=True,
          example="s3://my-bucket/train/"),
    Topic("content_type", "Content type", "The MIME type of the data, such as text/csv.", f"{API}API_Channel.html",
          Kind.CHOICE, open=True, example="text/csv"),
    Topic("input_mode", "Input mode", "How this channel's data reaches the container; the algorithm's input mode "
          "without it.", f"{API}API_Channel.html", Kind.CHOICE, advanced=True,
          choices=(Choice("File"), Choice("FastFile"), Choice("Pipe"))),
    Topic("s3_data_type", "S3 data type", "Whether the URI is a prefix or a manifest.", f"{API}API_S3DataSource.html",
          Kind.CHOICE, advanced=True,
          choices=(Choice("S3Prefix"), Choice("ManifestFile"), Choice("AugmentedManifestFile"))),
    Topic("s3_data_distribution_type", "Distribution", "Whether each instance gets all data or a share of it.",
          f"{API}API_S3DataSource.html", Kind.CHOICE, advanced=True,
          choices=(Choice("FullyReplicated"), Choice("ShardedByS3Key"))),
    Topic("compression_type", "Compression", "How the data is compressed.", f"{API}API_Channel.html", Kind.CHOICE,
          advanced=True, choices=(Choice("None"), Choice("Gzip"))),
)  # fmt: skip

# Comments of whole blocks, by path; in a definition, from the definition on.
BLOCK_COMMENTS = {
    "objective": "What the search improves: a metric that the algorithm reports. type is Maximize or Minimize.",
    "tuning_objective": "What the search improves. type is Maximize or Minimize.",
    "output_data_config": "Each training job writes its model below this prefix.",
    "resource_config": "The machines of each training job.",
    "tags": "Of the tuning job and its training jobs.",
    "tuning_job_completion_criteria": "The tuning job ends earlier when one of these is met.",
    "training_job_definition": "The algorithm, its data and its machines.",
    "training_job_definitions": "The algorithms, which share the training jobs of the tuning job.",
    "strategy_config": "Hyperband's bounds for the iterations of a training job.",
    "run": "How runs begin and what they publish; SageMaker never sees it.",
    "quotas": "What the account allows; checks count with it.",
    "budget": "What one run may use at most.",
    "local": "Read by `hpo run` only. Paths are seen from this file's folder.",
}
