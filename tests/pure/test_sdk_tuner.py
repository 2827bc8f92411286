"""Tuners of the SageMaker Python SDK. The SDK is no dependency: most of these tests run where it is installed.

uv pip install "sagemaker==2.257.7"    # or sagemaker>=3
"""

from importlib.metadata import PackageNotFoundError, version
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.exceptions import EndpointConnectionError

from hpo_constructs.errors import SpecError
from hpo_constructs.spec import TuningJobSpec

try:
    MAJOR = int(version("sagemaker").split(".")[0])
except PackageNotFoundError:
    MAJOR = 0
sdk2 = pytest.mark.skipif(MAJOR != 2, reason="needs version 2 of the SDK")
sdk3 = pytest.mark.skipif(MAJOR != 3, reason="needs version 3 of the SDK")

IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
ROLE = "arn:aws:iam::123456789012:role/tuning"


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials that open nothing, and an endpoint that nobody serves: a request that is sent is an error."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def estimator(**members: Any) -> Any:
    """An estimator of version 2 with everything that reaches a tuning job."""
    from sagemaker import Session
    from sagemaker.estimator import Estimator

    session = Session(boto_session=boto3.Session(region_name="us-east-1"), default_bucket="bucket")
    return Estimator(
        image_uri=IMAGE,
        role=ROLE,
        instance_count=2,
        instance_type="ml.m5.xlarge",
        volume_size=10,
        volume_kms_key="alias/volumes",
        output_path="s3://models/churn/",
        output_kms_key="alias/models",
        max_run=3600,
        use_spot_instances=True,
        max_wait=7200,
        checkpoint_s3_uri="s3://models/checkpoints/",
        subnets=["subnet-0123456789abcdef0"],
        security_group_ids=["sg-0123456789abcdef0"],
        encrypt_inter_container_traffic=True,
        enable_network_isolation=True,
        max_retry_attempts=3,
        environment={"A": "1"},
        tags=[{"Key": "team", "Value": "risk"}],
        hyperparameters={"num_round": 100, "objective": "binary:logistic", "eta": 0.2},
        sagemaker_session=session,
        **members,
    )


@sdk2
def test_a_tuner_with_one_estimator() -> None:
    from sagemaker.inputs import TrainingInput
    from sagemaker.tuner import (
        CategoricalParameter,
        ContinuousParameter,
        HyperparameterTuner,
        IntegerParameter,
        TuningJobCompletionCriteriaConfig,
        WarmStartConfig,
        WarmStartTypes,
    )

    tuner = HyperparameterTuner(
        estimator(),
        "validation:auc",
        {
            "eta": ContinuousParameter(0.1, 0.5, scaling_type="Logarithmic"),
            "max_depth": IntegerParameter(3, 9),
            "booster": CategoricalParameter(["gbtree", "dart"]),
        },
        max_jobs=20,
        max_parallel_jobs=2,
        max_runtime_in_seconds=86400,
        early_stopping_type="Auto",
        random_seed=7,
        completion_criteria_config=TuningJobCompletionCriteriaConfig(target_objective_metric_value=0.99),
        warm_start_config=WarmStartConfig(WarmStartTypes.TRANSFER_LEARNING, {"earlier-job"}),
        tags=[{"Key": "stage", "Value": "dev"}],
    )
    before = {name: repr(value) for name, value in vars(tuner).items()}
    inputs = {"train": TrainingInput("s3://data/train/", content_type="text/csv"), "validation": "s3://data/v/"}
    spec = TuningJobSpec.from_tuner(tuner, inputs, "churn")
    assert {name: repr(value) for name, value in vars(tuner).items()} == before
    request = spec.to_request()
    config, definition = request["HyperParameterTuningJobConfig"], request["TrainingJobDefinition"]
    assert request["HyperParameterTuningJobName"] == "churn"
    assert config["Strategy"] == "Bayesian"
    assert config["RandomSeed"] == 7
    assert config["TrainingJobEarlyStoppingType"] == "Auto"
    assert config["ResourceLimits"] == {
        "MaxNumberOfTrainingJobs": 20,
        "MaxParallelTrainingJobs": 2,
        "MaxRuntimeInSeconds": 86400,
    }
    assert config["TuningJobCompletionCriteria"] == {"TargetObjectiveMetricValue": 0.99}
    assert config["ParameterRanges"]["ContinuousParameterRanges"] == [
        {"Name": "eta", "MinValue": "0.1", "MaxValue": "0.5", "ScalingType": "Logarithmic"}
    ]
    assert config["ParameterRanges"]["CategoricalParameterRanges"] == [
        {"Name": "booster", "Values": ["gbtree", "dart"]}
    ]
    assert request["WarmStartConfig"]["ParentHyperParameterTuningJobs"] == [
        {"HyperParameterTuningJobName": "earlier-job"}
    ]
    assert {tag["Key"] for tag in request["Tags"]} == {"stage", "team"}
    assert definition["AlgorithmSpecification"]["TrainingImage"] == IMAGE
    assert definition["RoleArn"] == ROLE
    assert "eta" not in definition["StaticHyperParameters"]
    assert definition["StaticHyperParameters"]["num_round"] == "100"
    assert [channel["ChannelName"] for channel in definition["InputDataConfig"]] == ["train", "validation"]
    assert definition["InputDataConfig"][0]["ContentType"] == "text/csv"
    assert definition["OutputDataConfig"] == {"S3OutputPath": "s3://models/churn/", "KmsKeyId": "alias/models"}
    assert definition["StoppingCondition"] == {"MaxRuntimeInSeconds": 3600, "MaxWaitTimeInSeconds": 7200}
    assert definition["CheckpointConfig"] == {"S3Uri": "s3://models/checkpoints/"}
    assert definition["VpcConfig"]["Subnets"] == ["subnet-0123456789abcdef0"]
    assert definition["RetryStrategy"] == {"MaximumRetryAttempts": 3}
    assert definition["Environment"] == {"A": "1"}
    assert definition["EnableManagedSpotTraining"] is True
    assert definition["EnableNetworkIsolation"] is True
    assert definition["EnableInterContainerTrafficEncryption"] is True
    assert definition["HyperParameterTuningResourceConfig"] == {
        "InstanceCount": 2,
        "InstanceType": "ml.m5.xlarge",
        "VolumeSizeInGB": 10,
        "VolumeKmsKeyId": "alias/volumes",
    }


@sdk2
def test_a_tuner_with_several_estimators() -> None:
    from sagemaker.tuner import ContinuousParameter, HyperparameterTuner, IntegerParameter

    tuner = HyperparameterTuner.create(
        {"one": estimator(), "two": estimator()},
        {"one": "validation:auc", "two": "validation:auc"},
        {"one": {"eta": ContinuousParameter(0.1, 0.5)}, "two": {"max_depth": IntegerParameter(3, 9)}},
        base_tuning_job_name="both",
        max_jobs=10,
        max_parallel_jobs=2,
    )
    spec = TuningJobSpec.from_tuner(tuner, {"one": {"train": "s3://data/train/"}, "two": {"train": "s3://data/train/"}})
    assert spec.name == "both"
    assert spec.training_job_definitions is not None
    assert [item.definition_name for item in spec.training_job_definitions] == ["one", "two"]
    ranges = [item.hyperparameter_ranges for item in spec.training_job_definitions]
    assert [item.names for item in ranges if item is not None] == [("eta",), ("max_depth",)]
    assert spec.resource_limits.max_number_of_training_jobs == 10


@sdk2
def test_the_name_without_one_has_no_time() -> None:
    from sagemaker.tuner import HyperparameterTuner, IntegerParameter

    tuner = HyperparameterTuner(estimator(), "validation:auc", {"max_depth": IntegerParameter(3, 9)})
    assert TuningJobSpec.from_tuner(tuner).name == "sagemaker-xgboost"


@sdk2
def test_a_session_that_sends_nothing() -> None:
    from sagemaker.tuner import HyperparameterTuner, IntegerParameter
    from sagemaker.workflow.pipeline_context import PipelineSession

    pipeline = PipelineSession(boto_session=boto3.Session(region_name="us-east-1"), default_bucket="bucket")
    one = estimator()
    one.sagemaker_session = pipeline
    tuner = HyperparameterTuner(one, "validation:auc", {"max_depth": IntegerParameter(3, 9)})
    with pytest.raises(ValueError, match="ordinary sagemaker Session instead of a PipelineSession"):
        TuningJobSpec.from_tuner(tuner, {"train": "s3://data/train/"})


@sdk3
def test_a_tuner_of_a_model_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    from sagemaker.core.helper.session_helper import Session
    from sagemaker.core.parameter import CategoricalParameter, ContinuousParameter
    from sagemaker.core.shapes import OutputDataConfig, StoppingCondition
    from sagemaker.core.training.configs import Compute, InputData
    from sagemaker.train.defaults import TrainDefaults
    from sagemaker.train.model_trainer import ModelTrainer
    from sagemaker.train.tuner import HyperparameterTuner

    # A model trainer asks IAM what its role may do as soon as it is made.
    monkeypatch.setattr(TrainDefaults, "get_role", staticmethod(lambda role, *_args, **_more: role))
    trainer = ModelTrainer(
        training_image=IMAGE,
        role=ROLE,
        compute=Compute(instance_type="ml.m5.xlarge", instance_count=2, volume_size_in_gb=10),
        output_data_config=OutputDataConfig(s3_output_path="s3://models/churn/"),
        stopping_condition=StoppingCondition(max_runtime_in_seconds=3600),
        hyperparameters={"num_round": 100, "objective": "binary:logistic", "eta": 0.2},
        environment={"A": "1"},
        sagemaker_session=Session(boto_session=boto3.Session(region_name="us-east-1"), default_bucket="bucket"),
    )
    tuner = HyperparameterTuner(
        trainer,
        "validation:auc",
        {"eta": ContinuousParameter(0.1, 0.5), "booster": CategoricalParameter(["gbtree", "dart"])},
        max_jobs=20,
        max_parallel_jobs=2,
        tags=[{"Key": "team", "Value": "risk"}],
    )
    before = {name: repr(value) for name, value in vars(tuner).items()}
    inputs = [InputData(channel_name="train", data_source="s3://data/train/", content_type="text/csv")]
    spec = TuningJobSpec.from_tuner(tuner, inputs, "churn")
    assert {name: repr(value) for name, value in vars(tuner).items()} == before
    assert spec.name == "churn"
    assert spec.hyperparameter_ranges is not None
    assert spec.hyperparameter_ranges.names == ("eta", "booster")
    assert spec.resource_limits.max_number_of_training_jobs == 20
    definition = spec.training_job_definition
    assert definition is not None
    assert definition.static_hyperparameters == {"num_round": "100", "objective": "binary:logistic"}
    assert definition.resource_config is not None
    assert definition.resource_config.instance_count == 2
    assert definition.input_data_config is not None
    assert definition.input_data_config[0].content_type == "text/csv"
    assert definition.environment == {"A": "1"}


class Tuner:
    """A tuner in the SDK's manner, on a real AWS client."""

    estimator = object()
    base_tuning_job_name = None

    def __init__(self, answer: Exception | None = None) -> None:
        self.tags: list[str] | None = []
        self.answer = answer
        client = boto3.Session(region_name="us-east-1").client("sagemaker")
        self.sagemaker_session = SimpleNamespace(sagemaker_client=client)

    def fit(self, inputs: Any, *, job_name: str | None, wait: bool) -> None:
        """Send the request."""
        assert not wait
        assert self.tags is not None
        self.tags.append("changed")
        if self.answer:
            raise self.answer
        self.sagemaker_session.sagemaker_client.create_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=job_name or "image-261121-0816",
            HyperParameterTuningJobConfig={"Strategy": "Grid", "ResourceLimits": {"MaxParallelTrainingJobs": inputs}},
        )


def test_the_request_is_taken_from_the_client_and_not_sent() -> None:
    tuner = Tuner()
    spec = TuningJobSpec.from_tuner(tuner, 3, "churn")
    assert (spec.name, spec.strategy, spec.resource_limits.max_parallel_training_jobs) == ("churn", "Grid", 3)
    assert TuningJobSpec.from_tuner(tuner, 3).name == "image"
    assert tuner.tags == []
    # Afterwards the client sends again.
    with pytest.raises(EndpointConnectionError):
        tuner.fit(3, job_name="churn", wait=False)


def test_what_the_sdk_refuses() -> None:
    with pytest.raises(SpecError, match="cannot build the request of this tuner: KeyError: 'role'"):
        TuningJobSpec.from_tuner(Tuner(KeyError("role")), 3)


def test_something_else() -> None:
    with pytest.raises(ValueError, match="takes a HyperparameterTuner of the SageMaker Python SDK, got a dict"):
        TuningJobSpec.from_tuner({})
