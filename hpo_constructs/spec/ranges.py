"""Hyperparameter ranges: what a tuning job searches.

`ContinuousParameter`, `IntegerParameter` and `CategoricalParameter` are what people write, and check themselves;
`HyperparameterRanges` holds them in the API's lists, by name, as they stand.

Source of the facts: https://docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-define-ranges.html
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args

from pydantic import BeforeValidator, model_validator

from ._base import SpecModel, is_numeric_token, plain_text, text_of

ScalingType = Literal["Auto", "Linear", "Logarithmic", "ReverseLogarithmic"]
Number = int | float | str

ParameterText = Annotated[str, BeforeValidator(text_of)]


@dataclass(frozen=True, slots=True)
class ContinuousParameter:
    """A range of real numbers: `ContinuousParameter(0.1, 0.3, scaling_type="Logarithmic")`.

    Attributes:
        min_value: Smallest value to try. Text is kept in the caller's own spelling.
        max_value: Largest value to try; greater than `min_value`.
        scaling_type: How the search spreads over the range: Auto, Linear, Logarithmic (values above 0) or, for
            continuous ranges within 0 <= x < 1, ReverseLogarithmic. SageMaker takes Auto without it.

    Raises:
        ValueError: `min < max` does not hold, a bound is not a finite number, or the scaling does not fit.
    """

    min_value: Number
    max_value: Number
    scaling_type: ScalingType | None = None

    def __post_init__(self) -> None:
        low, high = _bounds(self.min_value, self.max_value)
        _check_scaling(self.scaling_type, low)
        if self.scaling_type == "ReverseLogarithmic" and not 0 <= low < high < 1:
            raise ValueError(
                "`0 <= min < max < 1` must hold with scaling_type ReverseLogarithmic, "
                f"got min={self.min_value}, max={self.max_value}"
            )


@dataclass(frozen=True, slots=True)
class IntegerParameter:
    """A range of whole numbers: `IntegerParameter(3, 10)`.

    Attributes:
        min_value: Smallest value to try. Text is kept in the caller's own spelling.
        max_value: Largest value to try; greater than `min_value`.
        scaling_type: Auto, Linear or Logarithmic (values above 0). SageMaker takes Auto without it.

    Raises:
        ValueError: `min < max` does not hold, a bound is not a whole number, or the scaling does not fit.
    """

    min_value: Number
    max_value: Number
    scaling_type: ScalingType | None = None

    def __post_init__(self) -> None:
        low, high = _bounds(self.min_value, self.max_value)
        for name, value in (("min", low), ("max", high)):
            if not value.is_integer():
                raise ValueError(f"`{name}` of an integer parameter must be a whole number, got {value}")
        _check_scaling(self.scaling_type, low)
        if self.scaling_type == "ReverseLogarithmic":
            raise ValueError(
                "scaling_type ReverseLogarithmic is for continuous parameters only; "
                "allowed here: Auto, Linear, Logarithmic"
            )


@dataclass(frozen=True, slots=True)
class CategoricalParameter:
    """A set of values: `CategoricalParameter(["gbtree", "dart"])`.

    Attributes:
        values: The values to try, 1 to 30. Numbers and booleans are written as text.

    Raises:
        ValueError: There is no value, or one stands there twice.
    """

    values: Sequence[str | int | float | bool]

    def __post_init__(self) -> None:
        if isinstance(self.values, str):
            raise ValueError(f"values must be a list of values, got the text {self.values!r}: write [{self.values!r}]")
        if not self.values:
            raise ValueError("a categorical parameter needs at least one value, got none")
        texts = [plain_text(value) for value in self.values]
        twice = sorted({text for text in texts if texts.count(text) > 1})
        if twice:
            raise ValueError(f"the values of a categorical parameter must be distinct, got {', '.join(twice)} twice")


Parameter = ContinuousParameter | IntegerParameter | CategoricalParameter


class ContinuousParameterRange(SpecModel):
    """A continuous parameter with its name, as the API lists it."""

    name: str
    min_value: ParameterText
    max_value: ParameterText
    scaling_type: ScalingType | None = None


class IntegerParameterRange(SpecModel):
    """An integer parameter with its name, as the API lists it."""

    name: str
    min_value: ParameterText
    max_value: ParameterText
    scaling_type: ScalingType | None = None


class CategoricalParameterRange(SpecModel):
    """A categorical parameter with its name, as the API lists it."""

    name: str
    values: tuple[ParameterText, ...]


class AutoParameter(SpecModel):
    """A hyperparameter whose range SageMaker chooses (needs `autotune`).

    Attributes:
        name: The hyperparameter.
        value_hint: A value of the range's kind, from which the service guesses the range.
    """

    name: str
    value_hint: ParameterText


class HyperparameterRanges(SpecModel):
    """The hyperparameters that a tuning job searches.

    Wherever one is expected, a mapping from names to parameters is taken too:
    `{"eta": ContinuousParameter(0.1, 0.3), "max_depth": IntegerParameter(3, 10)}`.
    """

    continuous_parameter_ranges: tuple[ContinuousParameterRange, ...] | None = None
    integer_parameter_ranges: tuple[IntegerParameterRange, ...] | None = None
    categorical_parameter_ranges: tuple[CategoricalParameterRange, ...] | None = None
    auto_parameters: tuple[AutoParameter, ...] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_mapping(cls, value: Any) -> Any:
        if not isinstance(value, Mapping) or not any(isinstance(item, Parameter) for item in value.values()):
            return value
        lists: dict[str, list[Any]] = {}
        for name, parameter in value.items():
            match parameter:
                case ContinuousParameter(low, high, scaling):
                    continuous = ContinuousParameterRange(
                        name=name,
                        min_value=plain_text(low),
                        max_value=plain_text(high),
                        scaling_type=scaling,
                    )
                    lists.setdefault("continuous_parameter_ranges", []).append(continuous)
                case IntegerParameter(low, high, scaling):
                    integer = IntegerParameterRange(
                        name=name,
                        min_value=plain_text(low),
                        max_value=plain_text(high),
                        scaling_type=scaling,
                    )
                    lists.setdefault("integer_parameter_ranges", []).append(integer)
                case CategoricalParameter(values):
                    categorical = CategoricalParameterRange(name=name, values=tuple(map(plain_text, values)))
                    lists.setdefault("categorical_parameter_ranges", []).append(categorical)
                case _:
                    raise ValueError(
                        f"{name} must be a ContinuousParameter, IntegerParameter or CategoricalParameter "
                        f"like the other entries, got {parameter!r}"
                    )
        return lists

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all searched hyperparameters, by kind, in the order of the declaration."""
        lists = (
            self.continuous_parameter_ranges,
            self.integer_parameter_ranges,
            self.categorical_parameter_ranges,
            self.auto_parameters,
        )
        return tuple(item.name for items in lists for item in items or ())


def _bounds(low: Number, high: Number) -> tuple[float, float]:
    numbers = tuple(_number(name, value) for name, value in (("min", low), ("max", high)))
    if not numbers[0] < numbers[1]:
        raise ValueError(f"`min < max` must hold, got min={low}, max={high}")
    return numbers[0], numbers[1]


def _number(name: str, value: Number) -> float:
    if is_numeric_token(value):
        raise ValueError(f"`{name}` is a numeric CDK token; numbers must be known at synthesis: give a plain number")
    try:
        # Python alone reads 1_000 as a number.
        number = math.nan if isinstance(value, bool) or "_" in str(value) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"`{name}` must be a finite number, got {value!r}")
    return number


def _check_scaling(scaling_type: str | None, low: float) -> None:
    allowed = get_args(ScalingType)
    if scaling_type is not None and scaling_type not in allowed:
        raise ValueError(f"scaling_type must be one of {', '.join(allowed)}, got {scaling_type!r}")
    if scaling_type == "Logarithmic" and low <= 0:
        raise ValueError(f"`min > 0` must hold with scaling_type Logarithmic, got min={low:g}")
