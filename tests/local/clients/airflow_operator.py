"""A task of a DAG, run as Airflow's worker runs it: SageMakerTuningOperator with the request of the test."""

import json
import sys

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTuningOperator

operator = SageMakerTuningOperator(
    task_id="tune",
    config=json.loads(sys.argv[1]),
    aws_conn_id=None,
    region_name=sys.argv[2],
    wait_for_completion=True,
    check_interval=1,
)
print(json.dumps(operator.execute({}), default=str))
