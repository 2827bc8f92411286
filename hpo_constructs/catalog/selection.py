"""A built-in algorithm as a user of the Python API names it."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import CatalogError
from ._data import suggestion
from .algorithms import Algorithm, Direction, Requirement, known_builtin
from .images import check_version, image_uri

if TYPE_CHECKING:
    from ..spec.ranges import Parameter


@dataclass(frozen=True, slots=True)
class BuiltInAlgorithm:
    """A built-in algorithm in a version, for a training job definition.

    Attributes:
        name: The name that the SageMaker Python SDK gives it, such as `xgboost`.
        version: The version of its image, such as `1.7-1`. Without one: the newest in the catalog.
        algorithm: The catalog's facts.

    Raises:
        CatalogError: The algorithm or the version is unknown.
    """

    name: str
    version: str | None = None
    algorithm: Algorithm = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Look the algorithm and its version up."""
        object.__setattr__(self, "algorithm", known_builtin(self.name))
        if self.version is not None and self.algorithm.own_image:
            check_version(self.name, self.version)

    def image_uri(self, region: str) -> str:
        """The URI of the training image in a region.

        Raises:
            CatalogError: The region has no such image, or the algorithm has no image of its own.
        """
        if not self.algorithm.own_image:
            raise CatalogError(
                f"{self.name} has no image of its own: SageMaker JumpStart trains it in a framework container; "
                "give the training image and the source that JumpStart names for the model"
            )
        return image_uri(self.name, region, self.version)

    @property
    def metrics(self) -> dict[str, Direction]:
        """The metrics that a tuning job can optimize, each with its direction."""
        return dict(self.algorithm.objective_metrics)

    @property
    def required_hyperparameters(self) -> tuple[str, ...]:
        """The hyperparameters that are always required."""
        return self.algorithm.required

    @property
    def required_when(self) -> tuple[Requirement, ...]:
        """The hyperparameters that are required when another has certain values."""
        return self.algorithm.required_when

    def hyperparameter_ranges(
        self, names: Iterable[str] | None = None, *, without: Iterable[str] = ()
    ) -> "dict[str, Parameter]":
        """The ranges that the guide recommends, as a declaration's `hyperparameter_ranges` takes them.

        A start, to be changed as a job needs it: `{**xgboost.hyperparameter_ranges(without=["alpha"]), "max_depth":
        IntegerParameter(3, 9)}` leaves alpha to the static hyperparameters and narrows one range.

        Args:
            names: The hyperparameters to search, in this order. Without names: all that the guide calls tunable.
            without: Those to leave out, because they are static or keep their default.

        Raises:
            CatalogError: A name is not one that the guide calls tunable.
        """
        from ..spec.ranges import CategoricalParameter, ContinuousParameter, IntegerParameter

        left_out = {entry["name"] for entry in self.default_ranges(without)}
        ranges: dict[str, Parameter] = {}
        for entry in self.default_ranges(names):
            scaling = None if entry.get("scaling") == "Auto" else entry.get("scaling")
            match entry["type"]:
                case _ if entry["name"] in left_out:
                    continue
                case "Categorical":
                    ranges[entry["name"]] = CategoricalParameter(entry["values"])
                case "Integer":
                    ranges[entry["name"]] = IntegerParameter(int(entry["min"]), int(entry["max"]), scaling)
                case _:
                    ranges[entry["name"]] = ContinuousParameter(entry["min"], entry["max"], scaling)
        return ranges

    def default_ranges(self, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The ranges that the guide recommends: a start, to be changed as a job needs it.

        Args:
            names: The hyperparameters to search, in this order. Without names: all that the guide calls tunable,
                which for seq2seq is more than the default quota of searched hyperparameters.

        Returns:
            For each a dict with `name` and `type`, and either `min`, `max` and `scaling` (`Auto` where the guide names
            none) or, for a categorical one, `values`.

        Raises:
            CatalogError: A name is not one that the guide calls tunable.
        """
        tunable = self.algorithm.tunable
        ranges: list[dict[str, Any]] = []
        for name in tunable if names is None else names:
            if (found := tunable.get(name)) is None:
                raise CatalogError(
                    f"{self.name} documents no range for {name!r}{suggestion(name, tunable)} "
                    f"(allowed: {', '.join(tunable) or 'none'})"
                )
            if found.type == "Categorical":
                ranges.append({"name": name, "type": found.type, "values": list(found.values)})
            else:
                scaling = found.scaling or "Auto"
                ranges.append(
                    {"name": name, "type": found.type, "min": found.min, "max": found.max, "scaling": scaling}
                )
        return ranges
