"""The API's names in snake_case, as Python and templates spell them.

`MaxParallelTrainingJobs` is `max_parallel_training_jobs`. SageMaker writes both `HyperParameter` and `Hyperparameter`;
here it is one word, as in the SageMaker Python SDK: `static_hyperparameters`.
"""

import re
from functools import cache

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

# Members that the declaration names more briefly than the API, because it has no HyperParameterTuningJobConfig
# around them.
SHORT_NAMES = {
    "HyperParameterTuningJobName": "name",
    "HyperParameterTuningJobObjective": "objective",
    "ParameterRanges": "hyperparameter_ranges",
}


@cache
def snake_name(api_name: str) -> str:
    """The snake_case form of a name of the API.

    >>> snake_name("VolumeSizeInGB"), snake_name("S3DataSource"), snake_name("StaticHyperParameters")
    ('volume_size_in_gb', 's3_data_source', 'static_hyperparameters')
    """
    return _WORDS.sub("_", api_name.replace("HyperParameter", "Hyperparameter")).lower()


@cache
def declared_name(api_name: str) -> str:
    """The name that a declaration uses for a member of the request: short where the API's is long-winded."""
    return SHORT_NAMES.get(api_name) or snake_name(api_name)
