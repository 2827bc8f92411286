"""The catalog: built-in algorithms, their training images, and instance types.

Dated data files (`data/`) and their loader. Each file is read on first use; nothing here imports a model, the CDK or
an AWS client.
"""

from .algorithms import (
    Algorithm,
    Channel,
    Hyperparameter,
    Requirement,
    TunableHyperparameter,
    builtin,
    builtin_names,
    edition,
)
from .images import (
    AlgorithmReference,
    RecognisedImage,
    image_uri,
    image_versions,
    recognise,
    recognise_algorithm_name,
)
from .instances import InstanceType, instance_type, instance_type_names
from .selection import BuiltInAlgorithm

__all__ = [
    "Algorithm",
    "AlgorithmReference",
    "BuiltInAlgorithm",
    "Channel",
    "Hyperparameter",
    "InstanceType",
    "RecognisedImage",
    "Requirement",
    "TunableHyperparameter",
    "builtin",
    "builtin_names",
    "edition",
    "image_uri",
    "image_versions",
    "instance_type",
    "instance_type_names",
    "recognise",
    "recognise_algorithm_name",
]
