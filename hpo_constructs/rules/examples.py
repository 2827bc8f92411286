"""The complete templates that the rules' examples are laid over, for `hpo explain` and the tests."""

from typing import Any

# Both pass every rule without a finding.
SINGLE = """\
name: churn
strategy: Bayesian
objective: {metric_name: "validation:auc", type: Maximize}
resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 20}
hyperparameter_ranges:
  eta: {type: Continuous, min_value: 0.1, max_value: 0.5}
  max_depth: {type: Integer, min_value: 3, max_value: 9}
training_job_definition:
  algorithm_specification:
    training_image: 683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
  role_arn: arn:aws:iam::123456789012:role/tuning
  static_hyperparameters: {num_round: 100, objective: "binary:logistic", eval_metric: auc}
  input_data_config:
    train: {s3_uri: s3://example-data/churn/train/, content_type: text/csv}
    validation: {s3_uri: s3://example-data/churn/validation/, content_type: text/csv}
  output_data_config: {s3_output_path: s3://example-models/churn/}
  resource_config: {instance_type: ml.m5.xlarge, instance_count: 2, volume_size_in_gb: 10}
  stopping_condition: {max_runtime_in_seconds: 3600}
"""

SEVERAL = """\
name: churn
strategy: Bayesian
resource_limits: {max_parallel_training_jobs: 2, max_number_of_training_jobs: 20}
training_job_definitions:
  - &xgboost
    definition_name: xgboost
    tuning_objective: {metric_name: "validation:auc", type: Maximize}
    hyperparameter_ranges:
      eta: {type: Continuous, min_value: 0.1, max_value: 0.5}
    algorithm_specification:
      training_image: 683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1
    role_arn: arn:aws:iam::123456789012:role/tuning
    static_hyperparameters: {num_round: 100, objective: "binary:logistic", eval_metric: auc}
    input_data_config:
      train: {s3_uri: s3://example-data/churn/train/, content_type: text/csv}
      validation: {s3_uri: s3://example-data/churn/validation/, content_type: text/csv}
    output_data_config: {s3_output_path: s3://example-models/churn/}
    resource_config: {instance_type: ml.m5.xlarge, instance_count: 1, volume_size_in_gb: 10}
    stopping_condition: {max_runtime_in_seconds: 3600}
  - <<: *xgboost
    definition_name: deep
    hyperparameter_ranges:
      max_depth: {type: Integer, min_value: 6, max_value: 9}
"""


def laid_over(base: Any, fragment: Any) -> Any:
    """The base with a fragment over it: mappings by key, lists by place, null takes an entry away."""
    if isinstance(base, dict) and isinstance(fragment, dict):
        merged = {**base, **{key: laid_over(base.get(key), value) for key, value in fragment.items()}}
        return {key: value for key, value in merged.items() if not (key in fragment and fragment[key] is None)}
    if isinstance(base, list) and isinstance(fragment, list):
        longest = range(max(len(base), len(fragment)))
        return [
            laid_over(base[i], fragment[i])
            if i < min(len(base), len(fragment))
            else (base + fragment)[i]
            if i < len(base)
            else fragment[i]
            for i in longest
        ]
    return fragment
