"""A user's program: tune, look at the results, warm start, stop. SageMaker Python SDK v2, nothing else."""

import json
import sys

import boto3
import sagemaker
from sagemaker.analytics import TrainingJobAnalytics
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.parameter import ContinuousParameter
from sagemaker.tuner import HyperparameterTuner

base_name, bucket, role = sys.argv[1:]
session = sagemaker.Session()
image = sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1")
inputs = {
    name: TrainingInput(f"s3://{bucket}/input/{name}/", content_type="text/csv") for name in ("train", "validation")
}


def estimator(rounds: int) -> Estimator:
    made = Estimator(
        image,
        role,
        instance_count=1,
        instance_type="ml.m5.large",
        output_path=f"s3://{bucket}/output",
        sagemaker_session=session,
        max_run=600,
    )
    made.set_hyperparameters(num_round=rounds, objective="binary:logistic")
    return made


def tuner_of(rounds: int, jobs: int) -> HyperparameterTuner:
    return HyperparameterTuner(
        estimator(rounds),
        "validation:auc",
        {"eta": ContinuousParameter(0.1, 0.5)},
        max_jobs=jobs,
        max_parallel_jobs=2,
        objective_type="Maximize",
        base_tuning_job_name=base_name,
    )


tuner = tuner_of(10, 3)
tuner.fit(inputs, wait=True)
frame = tuner.analytics().dataframe()

warm = tuner.identical_dataset_and_algorithm_tuner()
# The SDK's own names tell the minute only.
warm.fit(inputs, wait=True, job_name=f"{base_name}-warm")
transfer = tuner.transfer_learning_tuner(estimator=estimator(10))
transfer.fit(inputs, wait=True, job_name=f"{base_name}-transfer")

stopped = tuner_of(1_000_000, 2)
stopped.fit(inputs, wait=False, job_name=f"{base_name}-stopped")
stopped.stop_tuning_job()
stopped.wait()

single = estimator(5)
single.fit(inputs, logs="All")

metrics = single.training_job_analytics.dataframe()
metrics_of_best = TrainingJobAnalytics(tuner.best_training_job(), ["validation:auc"]).dataframe()

# A JumpStart model as the guide has it, but for the three URIs that the SDK would look up in AWS's own bucket.
cache = "s3://jumpstart-cache-prod-us-east-1"
lightgbm = Estimator(
    sagemaker.image_uris.retrieve(
        "pytorch",
        session.boto_region_name,
        version="2.0.0",
        py_version="py310",
        image_scope="training",
        instance_type="ml.m5.large",
    ),
    role,
    source_dir=f"{cache}/source-directory-tarballs/lightgbm/transfer_learning/classification/v1.0.0/sourcedir.tar.gz",
    model_uri=f"{cache}/lightgbm-training/train-lightgbm-classification-model.tar.gz",
    entry_point="transfer_learning.py",
    instance_count=1,
    instance_type="ml.m5.large",
    output_path=f"s3://{bucket}/output",
    hyperparameters={"num_boost_round": 20, "metric": "auc"},
    sagemaker_session=session,
)
boosted = HyperparameterTuner(
    lightgbm,
    "auc",
    {"learning_rate": ContinuousParameter(0.05, 0.3)},
    [{"Name": "auc", "Regex": "auc: ([0-9\\.]+)"}],
    max_jobs=2,
    max_parallel_jobs=2,
)
boosted.fit(inputs, wait=True, job_name=f"{base_name}-lightgbm")

report = {
    "metrics": metrics.to_dict("records"),
    "metrics_of_best": metrics_of_best.to_dict("records"),
    "boosted": boosted.describe(),
    "tuning_job": tuner.latest_tuning_job.name,
    "best": tuner.best_training_job(),
    "best_model": tuner.best_estimator().model_data,
    "columns": sorted(frame.columns),
    "values": list(frame["FinalObjectiveValue"]),
    # Two training jobs may end equal.
    "best_of_frame": list(frame[frame["FinalObjectiveValue"] == frame["FinalObjectiveValue"].max()]["TrainingJobName"]),
    "ranges": tuner.analytics().tuning_ranges,
    "warm": warm.describe(),
    "transfer": transfer.describe(),
    "stopped": stopped.describe()["HyperParameterTuningJobStatus"],
    "single": boto3.client("sagemaker").describe_training_job(TrainingJobName=single.latest_training_job.name),
    "single_model": single.model_data,
}
print(json.dumps(report, default=str))
