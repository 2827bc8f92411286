"""Requests with one fault each: a right request, what is changed in it, and the rule that has to find it.

Each change is what a person gets wrong: a slip of the pen, a limit, a combination that the documentation forbids.
"""

import copy
from dataclasses import dataclass
from typing import Any

CONFIG = "HyperParameterTuningJobConfig"
LIMITS = f"{CONFIG}.ResourceLimits"
RANGES = f"{CONFIG}.ParameterRanges"
CONTINUOUS, INTEGER = f"{RANGES}.ContinuousParameterRanges", f"{RANGES}.IntegerParameterRanges"
CATEGORICAL = f"{RANGES}.CategoricalParameterRanges"
DEFINITION = "TrainingJobDefinition"
STATIC = f"{DEFINITION}.StaticHyperParameters"
ALGORITHM = f"{DEFINITION}.AlgorithmSpecification"
CHANNELS = f"{DEFINITION}.InputDataConfig"
TRAIN_S3 = f"{CHANNELS}.0.DataSource.S3DataSource"
RESOURCES = f"{DEFINITION}.ResourceConfig"
TIME = f"{DEFINITION}.StoppingCondition"

NOT_IMPROVING = f"{CONFIG}.TuningJobCompletionCriteria.BestObjectiveNotImproving"

MARKETPLACE = "arn:aws:sagemaker:us-east-2:057799348421:algorithm/trees-15423055-57b73412d2e93e9239e4e16f83298b8f"

REMOVED = object()


def channel(name: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://churn-data/{name}/"}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}


def continuous(name: str, low: str, high: str, **more: str) -> dict[str, str]:
    return {"Name": name, "MinValue": low, "MaxValue": high, **more}


def xgboost() -> dict[str, Any]:
    """One built-in algorithm."""
    return {
        "HyperParameterTuningJobName": "churn",
        CONFIG: {
            "Strategy": "Bayesian",
            "HyperParameterTuningJobObjective": {"MetricName": "validation:auc", "Type": "Maximize"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 40, "MaxParallelTrainingJobs": 2},
            "ParameterRanges": {
                "ContinuousParameterRanges": [continuous("eta", "0.1", "0.5")],
                "IntegerParameterRanges": [continuous("max_depth", "3", "9")],
            },
        },
        DEFINITION: {
            "StaticHyperParameters": {"num_round": "100", "objective": "binary:logistic", "eval_metric": "auc"},
            "AlgorithmSpecification": {
                "TrainingImage": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1",
                "TrainingInputMode": "File",
            },
            "RoleArn": "arn:aws:iam::123456789012:role/churn-tuning",
            "InputDataConfig": [channel("train"), channel("validation")],
            "OutputDataConfig": {"S3OutputPath": "s3://churn-models/output/"},
            "ResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        },
    }


def own() -> dict[str, Any]:
    """One container of the user's own."""
    request = xgboost()
    definition = request[DEFINITION]
    definition["AlgorithmSpecification"] = {
        "TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/mine:3",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}, {"Name": "f1", "Regex": "f1=([0-9.]+)"}],
    }
    definition["StaticHyperParameters"] = {"epochs": "20"}
    request[CONFIG]["HyperParameterTuningJobObjective"] = {"MetricName": "loss", "Type": "Minimize"}
    request[CONFIG]["ParameterRanges"] = {"ContinuousParameterRanges": [continuous("rate", "0.1", "0.5")]}
    return request


def grid() -> dict[str, Any]:
    """A grid over an own container."""
    request = own()
    request[CONFIG]["Strategy"] = "Grid"
    request[CONFIG]["ParameterRanges"] = {"CategoricalParameterRanges": [{"Name": "k", "Values": ["a", "b", "c"]}]}
    request[CONFIG]["ResourceLimits"] = {"MaxParallelTrainingJobs": 2}
    return request


def hyperband() -> dict[str, Any]:
    """Hyperband over an own container."""
    request = own()
    request[CONFIG]["Strategy"] = "Hyperband"
    request[CONFIG]["StrategyConfig"] = {"HyperbandStrategyConfig": {"MinResource": 1, "MaxResource": 20}}
    return request


def several() -> dict[str, Any]:
    """Two algorithms."""
    single = xgboost()
    config = single[CONFIG]
    objective = config.pop("HyperParameterTuningJobObjective")
    config.pop("ParameterRanges")
    first = single.pop(DEFINITION)
    first |= {
        "DefinitionName": "first",
        "TuningObjective": objective,
        "HyperParameterRanges": {"ContinuousParameterRanges": [continuous("eta", "0.1", "0.5")]},
    }
    second = copy.deepcopy(first) | {
        "DefinitionName": "second",
        "HyperParameterRanges": {"IntegerParameterRanges": [continuous("max_depth", "3", "9")]},
    }
    return {**single, "TrainingJobDefinitions": [first, second]}


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        rule: The rule that finds it.
        base: The right request that it is made in.
        changes: Places, as dotted paths, with their new values.
        fails: Whether it must not be deployed.
    """

    rule: str
    base: Any
    changes: dict[str, Any]
    fails: bool = True

    def request(self) -> dict[str, Any]:
        """The request with the fault in it."""
        request: dict[str, Any] = self.base()
        for path, value in self.changes.items():
            *holders, last = (int(step) if step.isdigit() else step for step in path.split("."))
            place: Any = request
            for step in holders:
                place = place[step] if isinstance(step, int) else place.setdefault(step, {})
            if value is REMOVED:
                del place[last]
            else:
                place[last] = copy.deepcopy(value)
        return request


def _warned(rule: str, base: Any, changes: dict[str, Any]) -> Fault:
    return Fault(rule, base, changes, fails=False)


_METRICS = [{"Name": "loss", "Regex": "loss=([0-9.]+)"}, *({"Name": f"m{i}", "Regex": f"m{i}=(.*)"} for i in range(20))]
_WARM = {
    "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "old"}],
    "WarmStartType": "TransferLearning",
}

FAULTS = [
    # shape
    Fault("shape", xgboost, {f"{LIMITS}.MaxParallelTrainingJob": 2, f"{LIMITS}.MaxParallelTrainingJobs": REMOVED}),
    Fault("shape", xgboost, {f"{CONFIG}.Strategy": "bayesian"}),
    Fault("shape", xgboost, {f"{CONFIG}.Strategy": REMOVED}),
    Fault("shape", xgboost, {f"{CONFIG}.TrainingJobEarlyStoppingType": "OFF"}),
    Fault("shape", xgboost, {f"{LIMITS}.MaxNumberOfTrainingJobs": "40"}),
    Fault("shape", xgboost, {f"{LIMITS}.MaxParallelTrainingJobs": 0}),
    Fault("shape", xgboost, {f"{STATIC}.num_round": 100}),
    Fault("shape", xgboost, {f"{ALGORITHM}.TrainingInputMode": "file"}),
    Fault("shape", xgboost, {f"{DEFINITION}.EnableNetworkIsolation": "true"}),
    Fault("shape", xgboost, {f"{DEFINITION}.RoleArn": REMOVED}),
    Fault("shape", xgboost, {f"{CHANNELS}.0.CompressionType": "gzip"}),
    Fault("instance-type-known", xgboost, {f"{RESOURCES}.InstanceType": "m5.xlarge"}),
    _warned("instance-type-known", xgboost, {f"{RESOURCES}.InstanceType": "ml.m99.xlarge"}),
    # job
    Fault("tuning-job-name", xgboost, {"HyperParameterTuningJobName": "churn_2026"}),
    Fault("tuning-job-name", xgboost, {"HyperParameterTuningJobName": "a" * 33}),
    Fault("one-definition-form", xgboost, {DEFINITION: REMOVED}),
    Fault("at-least-one-definition", several, {"TrainingJobDefinitions": []}),
    Fault("definition-name-required", several, {"TrainingJobDefinitions.1.DefinitionName": REMOVED}),
    Fault("definition-name-unique", several, {"TrainingJobDefinitions.1.DefinitionName": "first"}),
    Fault("objective-per-definition", several, {"TrainingJobDefinitions.1.TuningObjective": REMOVED}),
    Fault("objective-in-config", xgboost, {f"{CONFIG}.HyperParameterTuningJobObjective": REMOVED}),
    Fault("tags-unique", xgboost, {"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}),
    Fault("tags-unique", xgboost, {"Tags": [{"Key": "aws:team", "Value": "1"}]}),
    _warned("hyperparameters-hold-no-secrets", own, {f"{STATIC}.aws_secret_access_key": "x"}),
    # strategy and limits
    Fault("parallel-at-most-total", xgboost, {f"{LIMITS}.MaxNumberOfTrainingJobs": 1}),
    Fault(
        "parallel-training-jobs", xgboost, {f"{LIMITS}.MaxParallelTrainingJobs": 11, f"{RESOURCES}.InstanceCount": 1}
    ),
    Fault("total-training-jobs", xgboost, {f"{LIMITS}.MaxNumberOfTrainingJobs": 501}),
    Fault("tuning-run-time", xgboost, {f"{LIMITS}.MaxRuntimeInSeconds": 2_592_001}),
    Fault("total-jobs-stated", xgboost, {f"{LIMITS}.MaxNumberOfTrainingJobs": REMOVED}),
    _warned("parallel-within-nodes", xgboost, {f"{LIMITS}.MaxParallelTrainingJobs": 3}),
    Fault("enough-combinations", xgboost, {CONTINUOUS: []}),
    Fault("early-stopping-single", several, {f"{CONFIG}.TrainingJobEarlyStoppingType": "Auto"}),
    Fault("warm-start-single", several, {"WarmStartConfig": _WARM}),
    Fault("hyperband-early-stopping-off", hyperband, {f"{CONFIG}.TrainingJobEarlyStoppingType": "Auto"}),
    Fault("hyperband-config-only", own, {f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig": {"MinResource": 1}}),
    Fault("hyperband-resources", hyperband, {f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig.MinResource": 20}),
    Fault("hyperband-resources", hyperband, {f"{CONFIG}.StrategyConfig.HyperbandStrategyConfig.MaxResource": 20_001}),
    Fault("hyperband-max-inferable", hyperband, {f"{CONFIG}.StrategyConfig": REMOVED, STATIC: {"depth": "3"}}),
    Fault("grid-categorical", grid, {CONTINUOUS: [continuous("rate", "0.1", "0.5")]}),
    Fault("grid-count", grid, {f"{LIMITS}.MaxNumberOfTrainingJobs": 4}),
    Fault(
        "grid-total",
        grid,
        {
            CATEGORICAL: [{"Name": name, "Values": ["1", "2", "3", "4", "5"]} for name in "abcd"],
            f"{LIMITS}.MaxParallelTrainingJobs": 1,
        },
    ),
    Fault("random-seed-range", xgboost, {f"{CONFIG}.RandomSeed": 2**32}),
    Fault("completion-not-improving", xgboost, {NOT_IMPROVING: {"MaxNumberOfTrainingJobsNotImproving": 2}}),
    _warned("completion-not-improving", xgboost, {NOT_IMPROVING: {"MaxNumberOfTrainingJobsNotImproving": 40}}),
    _warned(
        "completion-target-direction",
        xgboost,
        {f"{CONFIG}.TuningJobCompletionCriteria.TargetObjectiveMetricValue": 95.0},
    ),
    Fault("autotune-mode", own, {f"{RANGES}.AutoParameters": [{"Name": "depth", "ValueHint": "3"}]}),
    # hyperparameters
    Fault("searched-hyperparameters", own, {CONTINUOUS: [continuous(f"x{i}", "0.1", "0.5") for i in range(21)]}),
    Fault("ranges-present", own, {CONTINUOUS: []}),
    Fault("range-order", xgboost, {f"{CONTINUOUS}.0.MinValue": "0.9"}),
    Fault("range-order", xgboost, {f"{INTEGER}.0.MinValue": "9"}),
    Fault("range-number", xgboost, {f"{CONTINUOUS}.0.MinValue": "low"}),
    Fault("range-number", xgboost, {f"{INTEGER}.0.MinValue": "3.5"}),
    Fault("log-scaling-positive", own, {f"{CONTINUOUS}.0": continuous("rate", "0", "1", ScalingType="Logarithmic")}),
    Fault(
        "reverse-log-range",
        own,
        {f"{CONTINUOUS}.0": continuous("rate", "0.5", "1.5", ScalingType="ReverseLogarithmic")},
    ),
    Fault("reverse-log-range", xgboost, {f"{INTEGER}.0.ScalingType": "ReverseLogarithmic"}),
    _warned("linear-over-decades", own, {f"{CONTINUOUS}.0": continuous("rate", "0.0001", "1", ScalingType="Linear")}),
    Fault("categorical-values", own, {CATEGORICAL: [{"Name": "k", "Values": ["a", "a"]}]}),
    Fault("hyperparameter-once", own, {INTEGER: [continuous("rate", "1", "5")]}),
    Fault("static-not-searched", xgboost, {f"{STATIC}.eta": "0.2"}),
    Fault("static-count", own, {f"{STATIC}.long": "x" * 2501}),
    Fault("reserved-names", own, {f"{CONTINUOUS}.0.Name": "_tuning_objective_metric"}),
    _warned("reserved-names", own, {f"{STATIC}._mine": "1"}),
    # algorithm
    Fault("one-algorithm-source", xgboost, {f"{ALGORITHM}.TrainingImage": REMOVED}),
    Fault("one-algorithm-source", own, {f"{ALGORITHM}.AlgorithmName": "mine"}),
    Fault(
        "marketplace-isolated",
        own,
        {ALGORITHM: {"AlgorithmName": MARKETPLACE, "TrainingInputMode": "File"}},
    ),
    Fault("metric-definitions-count", own, {f"{ALGORITHM}.MetricDefinitions": _METRICS}),
    Fault("metric-definitions-own", own, {f"{ALGORITHM}.MetricDefinitions": REMOVED}),
    Fault("objective-defined", own, {f"{CONFIG}.HyperParameterTuningJobObjective.MetricName": "accuracy"}),
    Fault("objective-defined", xgboost, {f"{CONFIG}.HyperParameterTuningJobObjective.MetricName": "validation:auk"}),
    _warned("objective-direction", xgboost, {f"{CONFIG}.HyperParameterTuningJobObjective.Type": "Minimize"}),
    Fault("metric-regex", own, {f"{ALGORITHM}.MetricDefinitions.1.Regex": "f1=([0-9.]+"}),
    Fault("builtin-hyperparameter", xgboost, {f"{CONTINUOUS}.0.Name": "etaa"}),
    Fault("builtin-hyperparameter", xgboost, {f"{STATIC}.num_round": REMOVED}),
    Fault(
        "image-region",
        xgboost,
        {f"{ALGORITHM}.TrainingImage": "683313688378.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-xgboost:1.7-1"},
    ),
    # data
    Fault("channels", xgboost, {f"{CHANNELS}.1.ChannelName": "train"}),
    Fault("channels", own, {f"{CHANNELS}.1.ChannelName": "data/validation"}),
    Fault("channels", own, {CHANNELS: []}),
    Fault("channels", own, {CHANNELS: [channel(f"c{i}") for i in range(21)]}),
    Fault("channel-source", own, {f"{CHANNELS}.0.DataSource": {}}),
    Fault(
        "channel-source",
        own,
        {
            f"{CHANNELS}.0.DataSource.DatasetSource": {
                "DatasetArn": "arn:aws:sagemaker:us-east-1:123456789012:hub-content/hub/DataSet/flowers"
            }
        },
    ),
    _warned("channels-needed", xgboost, {f"{CHANNELS}.1.ChannelName": "validate"}),
    Fault("s3-uri", xgboost, {f"{TRAIN_S3}.S3Uri": "churn-data/train/"}),
    Fault("s3-uri", xgboost, {f"{TRAIN_S3}.S3Uri": "s3:/churn-data/train/"}),
    Fault("s3-uri", xgboost, {f"{DEFINITION}.OutputDataConfig.S3OutputPath": "s3://churn models/output/"}),
    Fault(
        "file-system-needs-vpc",
        own,
        {
            f"{CHANNELS}.0.DataSource": {
                "FileSystemDataSource": {
                    "FileSystemId": "fs-0123456789abcdef0",
                    "FileSystemType": "EFS",
                    "FileSystemAccessMode": "ro",
                    "DirectoryPath": "/data",
                }
            }
        },
    ),
    Fault(
        "augmented-manifest",
        own,
        {f"{TRAIN_S3}.S3DataType": "AugmentedManifestFile", f"{TRAIN_S3}.AttributeNames": ["a"]},
    ),
    Fault(
        "augmented-manifest",
        own,
        {f"{TRAIN_S3}.S3DataType": "AugmentedManifestFile", f"{CHANNELS}.0.InputMode": "Pipe"},
    ),
    _warned(
        "sharding-single-node",
        own,
        {
            f"{TRAIN_S3}.S3DataDistributionType": "ShardedByS3Key",
            f"{RESOURCES}.InstanceCount": 1,
            f"{LIMITS}.MaxParallelTrainingJobs": 1,
        },
    ),
    Fault("output-path", xgboost, {f"{DEFINITION}.OutputDataConfig.S3OutputPath": REMOVED}),
    Fault("output-path", xgboost, {f"{DEFINITION}.OutputDataConfig.KmsKeyId": "my-key"}),
    _warned("checkpoint-path", own, {f"{DEFINITION}.CheckpointConfig.S3Uri": "s3://churn-models/output/checkpoints"}),
    # resources and security
    Fault("one-resource-form", xgboost, {RESOURCES: REMOVED}),
    Fault(
        "one-resource-form",
        xgboost,
        {f"{DEFINITION}.HyperParameterTuningResourceConfig": {"InstanceType": "ml.m5.xlarge", "InstanceCount": 2}},
    ),
    Fault(
        "instance-configs",
        own,
        {
            RESOURCES: REMOVED,
            f"{DEFINITION}.HyperParameterTuningResourceConfig": {
                "InstanceCount": 2,
                "InstanceConfigs": [{"InstanceType": "ml.m5.xlarge", "InstanceCount": 2, "VolumeSizeInGB": 5}],
            },
        },
    ),
    Fault("keep-alive-not-for-tuning", xgboost, {f"{RESOURCES}.KeepAlivePeriodInSeconds": 600}),
    Fault("instance-count-positive", xgboost, {f"{RESOURCES}.InstanceCount": 0}),
    Fault(
        "instance-groups-exclusive",
        own,
        {
            f"{RESOURCES}.InstanceGroups": [
                {"InstanceGroupName": "g", "InstanceType": "ml.m5.xlarge", "InstanceCount": 2}
            ]
        },
    ),
    Fault("stopping-condition", xgboost, {TIME: REMOVED}),
    Fault("stopping-condition", xgboost, {f"{TIME}.MaxRuntimeInSeconds": 28 * 86_400 + 1}),
    _warned("stopping-condition", xgboost, {f"{TIME}.MaxRuntimeInSeconds": REMOVED}),
    _warned("run-times-nest", xgboost, {f"{LIMITS}.MaxRuntimeInSeconds": 1800}),
    Fault(
        "spot-wait",
        xgboost,
        {
            f"{DEFINITION}.EnableManagedSpotTraining": True,
            f"{DEFINITION}.CheckpointConfig.S3Uri": "s3://churn-checkpoints/",
        },
    ),
    Fault("spot-wait", xgboost, {f"{TIME}.MaxWaitTimeInSeconds": 7200}),
    _warned(
        "spot-checkpoint", own, {f"{DEFINITION}.EnableManagedSpotTraining": True, f"{TIME}.MaxWaitTimeInSeconds": 7200}
    ),
    Fault("retry-attempts", xgboost, {f"{DEFINITION}.RetryStrategy.MaximumRetryAttempts": 31}),
    Fault("environment", own, {f"{DEFINITION}.Environment": {f"K{i}": "x" for i in range(49)}}),
    Fault("environment", own, {f"{DEFINITION}.Environment": {"LOG-LEVEL": "x"}}),
    Fault("vpc", xgboost, {f"{DEFINITION}.VpcConfig": {"Subnets": ["subnet-0123456789abcdef0"]}}),
    Fault(
        "vpc",
        xgboost,
        {
            f"{DEFINITION}.VpcConfig": {
                "Subnets": [f"subnet-0123456789abcde{i:02}" for i in range(17)],
                "SecurityGroupIds": ["sg-0123456789abcdef0"],
            }
        },
    ),
    _warned(
        "inter-container-single",
        xgboost,
        {
            f"{DEFINITION}.EnableInterContainerTrafficEncryption": True,
            f"{RESOURCES}.InstanceCount": 1,
            f"{LIMITS}.MaxParallelTrainingJobs": 1,
        },
    ),
    Fault("role", xgboost, {f"{DEFINITION}.RoleArn": "churn-tuning"}),
    Fault("role", several, {"TrainingJobDefinitions.1.RoleArn": "arn:aws:iam::999999999999:role/churn-tuning"}),
    Fault(
        "kms-local-storage",
        own,
        {
            f"{RESOURCES}.InstanceType": "ml.g4dn.xlarge",
            f"{RESOURCES}.VolumeKmsKeyId": "1234abcd-12ab-34cd-56ef-1234567890ab",
        },
    ),
    _warned(
        "full-access-role",
        xgboost,
        {f"{DEFINITION}.RoleArn": "arn:aws:iam::123456789012:role/service-role/AmazonSageMaker-ExecutionRole-20260101"},
    ),
    # warm start
    Fault(
        "warm-start-parents",
        xgboost,
        {"WarmStartConfig": {**_WARM, "ParentHyperParameterTuningJobs": [{"HyperParameterTuningJobName": "old"}] * 2}},
    ),
    Fault("warm-start-parents", xgboost, {"WarmStartConfig": {**_WARM, "ParentHyperParameterTuningJobs": []}}),
]
