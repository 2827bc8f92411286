"""A user's program: two algorithms in one tuning job, and a script of one's own. SageMaker Python SDK v2."""

import json
import sys
from pathlib import Path

import sagemaker
from sagemaker.estimator import Estimator
from sagemaker.inputs import TrainingInput
from sagemaker.parameter import ContinuousParameter, IntegerParameter
from sagemaker.sklearn import SKLearn
from sagemaker.tuner import HyperparameterTuner

base_name, bucket, role, source = sys.argv[1:]
session = sagemaker.Session()
where = {"instance_count": 1, "instance_type": "ml.m5.large", "sagemaker_session": session, "max_run": 600}


def channels(*names: str) -> dict:
    return {name: TrainingInput(f"s3://{bucket}/input/{name}/", content_type="text/csv") for name in names}


xgboost = Estimator(
    sagemaker.image_uris.retrieve("xgboost", session.boto_region_name, version="1.7-1"),
    role,
    output_path=f"s3://{bucket}/output",
    **where,
)
xgboost.set_hyperparameters(num_round=10, objective="binary:logistic")
linear = Estimator(
    sagemaker.image_uris.retrieve("linear-learner", session.boto_region_name),
    role,
    output_path=f"s3://{bucket}/output",
    **where,
)
linear.set_hyperparameters(predictor_type="binary_classifier", epochs=2)
several = HyperparameterTuner.create(
    estimator_dict={"xgboost": xgboost, "linear": linear},
    objective_metric_name_dict={"xgboost": "validation:auc", "linear": "test:binary_classification_accuracy"},
    hyperparameter_ranges_dict={
        "xgboost": {"eta": ContinuousParameter(0.1, 0.5), "max_depth": IntegerParameter(2, 6)},
        "linear": {"learning_rate": ContinuousParameter(0.01, 0.2)},
    },
    strategy="Bayesian",
    objective_type="Maximize",
    max_jobs=4,
    max_parallel_jobs=2,
    base_tuning_job_name=base_name,
)
several.fit(
    inputs={"xgboost": channels("train", "validation"), "linear": channels("train", "validation", "test")},
    include_cls_metadata={},
)
several.wait()

script = SKLearn(
    entry_point="train.py",
    source_dir=str(Path(source)),
    framework_version="1.2-1",
    role=role,
    code_location=f"s3://{bucket}/code",
    output_path=f"s3://{bucket}/output",
    hyperparameters={"note": "two words"},
    **where,
)
own = HyperparameterTuner(
    script,
    "validation:accuracy",
    {"max-depth": IntegerParameter(1, 5)},
    metric_definitions=[{"Name": "validation:accuracy", "Regex": r"accuracy=([0-9.]+);"}],
    strategy="Random",
    objective_type="Maximize",
    max_jobs=2,
    max_parallel_jobs=1,
    base_tuning_job_name=f"{base_name}-own",
)
own.fit(channels("train", "validation"), wait=True)

report = {
    "several": several.describe(),
    "best": several.best_training_job(),
    "definitions": list(several.analytics().dataframe()["TrainingJobDefinitionName"]),
    "own": own.describe(),
    "own_best": own.best_training_job(),
    "own_values": list(own.analytics().dataframe()["FinalObjectiveValue"]),
}
print(json.dumps(report, default=str))
