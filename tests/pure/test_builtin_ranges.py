"""The recommended ranges of built-in algorithms in a declaration."""

import pytest

from hpo_constructs import BuiltInAlgorithm, ContinuousParameter, IntegerParameter
from hpo_constructs.catalog import builtin_names
from hpo_constructs.errors import CatalogError
from hpo_constructs.spec import HyperparameterRanges


@pytest.mark.parametrize("name", builtin_names())
def test_the_recommended_ranges_are_ranges(name: str) -> None:
    algorithm = BuiltInAlgorithm(name)
    ranges = algorithm.hyperparameter_ranges()
    assert list(ranges) == [entry["name"] for entry in algorithm.default_ranges()]
    if ranges:
        declared = HyperparameterRanges.model_validate(ranges)
        assert sorted(declared.names) == sorted(ranges)


def test_ranges_are_changed_left_out_and_chosen() -> None:
    xgboost = BuiltInAlgorithm("xgboost", version="1.7-1")
    ranges = {**xgboost.hyperparameter_ranges(without=["alpha"]), "max_depth": IntegerParameter(3, 9)}
    assert "alpha" not in ranges
    assert ranges["max_depth"] == IntegerParameter(3, 9)
    assert isinstance(ranges["eta"], ContinuousParameter)
    assert list(xgboost.hyperparameter_ranges(["eta", "alpha"])) == ["eta", "alpha"]


@pytest.mark.parametrize("names", [{"names": ["etta"]}, {"without": ["etta"]}], ids=str)
def test_an_unknown_name(names: dict[str, list[str]]) -> None:
    with pytest.raises(CatalogError, match=r"documents no range for 'etta', did you mean eta\?"):
        BuiltInAlgorithm("xgboost").hyperparameter_ranges(**names)  # type: ignore[arg-type]
