"""Which algorithm a training job definition trains with, as far as its request tells."""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from ..catalog import Algorithm, RecognisedImage, builtin, recognise
from .job import Definition


class Source(StrEnum):
    """Where a definition's algorithm comes from.

    BUILT_IN: an image that AWS publishes for a built-in algorithm. FRAMEWORK: AWS's image of a framework, which runs
    the user's script. OWN: any other image. RESOURCE: an algorithm resource, such as one of the Marketplace.
    UNKNOWN: known at deployment only, or not stated once.
    """

    BUILT_IN = "built-in"
    FRAMEWORK = "framework"
    OWN = "own"
    RESOURCE = "resource"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Trainer:
    """What a definition trains with.

    Attributes:
        source: Where the algorithm comes from.
        image: What is known of the image; None without one, or for an image that AWS does not publish.
        builtin: The built-in algorithm's facts; None for any other source.
        script_mode: Whether the image of a built-in algorithm runs the user's script: its static hyperparameters are
            then the script's, and the metrics are still the algorithm's.
    """

    source: Source
    image: RecognisedImage | None = None
    builtin: Algorithm | None = None
    script_mode: bool = False


_UNKNOWN = Trainer(Source.UNKNOWN)
_SCRIPT = ("sagemaker_program", "sagemaker_submit_directory")


@lru_cache(maxsize=256)  # a dozen rules ask for that of one definition
def trainer_of(definition: Definition) -> Trainer:
    """What a definition trains with, told by its image or algorithm name."""
    algorithm = definition.algorithm
    image = algorithm.text("TrainingImage")
    if "AlgorithmName" in algorithm:
        return _UNKNOWN if image else Trainer(Source.RESOURCE)
    if not image:
        return _UNKNOWN
    script_mode = any(name in definition.static for name in _SCRIPT)
    return _trainer(image, bool(algorithm.structures("MetricDefinitions")), script_mode)


def builtin_of(definition: Definition) -> Algorithm | None:
    """The built-in algorithm that a definition trains, or None: another algorithm, or one that is not known."""
    return trainer_of(definition).builtin


def repository_and_tag(image: str) -> tuple[str, str, str]:
    """The last segment of an image's repository, its tag and its digest; each is empty where it is not stated."""
    name, _, digest = image.rpartition("/")[2].partition("@")
    repository, _, tag = name.partition(":")
    return repository, tag, digest


@lru_cache(maxsize=1024)
def _trainer(image: str, has_metrics: bool, script_mode: bool) -> Trainer:
    # The account's own registry is not one of AWS's, whatever its number.
    found = recognise(image.replace("${AWS::AccountId}", "000000000000"))
    if found is None:
        return _UNKNOWN if "${" in repository_and_tag(image)[0] else Trainer(Source.OWN)
    if found.kind == "framework":
        return Trainer(Source.FRAMEWORK, found)
    if not found.account_known:
        if found.account is not None:
            # SageMaker knows its algorithms by the registry: a mirror is a container like any other.
            return Trainer(Source.OWN, found)
        if has_metrics:
            # A registry that is not known yet, and metrics as only an own container has them.
            return _UNKNOWN
    return Trainer(Source.BUILT_IN, found, builtin(found.name), script_mode)
