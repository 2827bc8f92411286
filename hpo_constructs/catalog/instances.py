"""Instance types for training: which there are, and what the rules need to know of each family.

The names are those of botocore's service model for SageMaker; GPUs and local storage are EC2's facts
(https://docs.aws.amazon.com/ec2/latest/instancetypes/ac.html).
"""

import re
from dataclasses import dataclass

from ._data import load

_NAME = re.compile(r"ml\.(?P<family>[a-z0-9]+(?:-[a-z0-9]+)*)\.(?P<size>[a-z0-9]+(?:-[a-z0-9]+)*)")
_ACCELERATOR = re.compile(r"(trn|inf)\d")
_GPU = re.compile(r"(p|g|gr)\d")


@dataclass(frozen=True, slots=True)
class InstanceType:
    """An instance type that a training job can name.

    Attributes:
        name: The name with its prefix, such as `ml.m5.xlarge`.
        family: The family, such as `m5`.
        size: The size, such as `xlarge`.
        known: Whether SageMaker's service model lists it for training jobs. A well-formed name that it does not list
            may be newer than the data.
        gpu: Whether it has GPUs; for an unknown family as its letter says.
        accelerator: AWS's own accelerator family, `trn` or `inf`, or None.
        local_storage: Whether it has NVMe instance storage, so that a volume key is refused; None where that is not
            known.
    """

    name: str
    family: str
    size: str
    known: bool
    gpu: bool
    accelerator: str | None
    local_storage: bool | None


def instance_type(name: str) -> InstanceType | None:
    """The facts of an instance type, or None where the name is not formed like one."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        return None
    family, size = parts["family"], parts["size"]
    facts = load("instance-types")["families"].get(family)
    accelerator = _ACCELERATOR.match(family)
    return InstanceType(
        name=name,
        family=family,
        size=size,
        known=facts is not None and size in facts["sizes"],
        gpu=facts["gpu"] if facts is not None else _GPU.match(family) is not None,
        accelerator=accelerator[1] if accelerator else None,
        local_storage=facts["local_storage"] if facts is not None else None,
    )


def instance_type_names() -> tuple[str, ...]:
    """The names of all instance types that SageMaker's service model lists for training jobs."""
    families = load("instance-types")["families"]
    return tuple(f"ml.{family}.{size}" for family, facts in families.items() for size in facts["sizes"])
