"""What all models of the declaration share."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationInfo, model_validator

from .names import snake_name
from .shapes import shape_model

# The CDK encodes a numeric token as a float near -1.9e289; every comparison with it goes wrong silently.
_NUMERIC_TOKENS_BELOW = -1e288
_REFUSED = (
    "a numeric CDK token; numbers must be known at synthesis, because no limit can be checked on a token: "
    "give a plain number"
)

# The validation context of `TuningJobSpec.from_request`: nothing is added and nothing converted.
AS_IT_STANDS = {"as_it_stands": True}


def is_numeric_token(value: Any) -> bool:
    """Whether a value is a number that stands for one known only at deployment."""
    return isinstance(value, float) and value < _NUMERIC_TOKENS_BELOW


def _api_names() -> dict[str, str]:
    return {snake_name(member): member for shape in shape_model().shapes.values() for member in shape.members or ()}


_API_NAMES = _api_names()


class SpecModel(BaseModel):
    """Base of the models: frozen, no unknown fields, the API's names as aliases."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        populate_by_name=True,
        alias_generator=lambda field: _API_NAMES.get(field, field),
        ser_json_inf_nan="constants",
    )

    @model_validator(mode="before")
    @classmethod
    def _no_numeric_tokens(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, Mapping):
            for name, item in value.items():
                if is_numeric_token(item):
                    raise ValueError(f"{name} is {_REFUSED}")
            if info.context is AS_IT_STANDS:
                return cls._as_it_stands(value)
        return value

    @classmethod
    def _as_it_stands(cls, value: Mapping[str, Any]) -> dict[str, Any]:
        """A structure of a request, for which no default steps in and only the API's names count."""
        wrong = [name for name in value if name in cls.model_fields]
        if wrong:
            raise ValueError(f"{wrong[0]} is not the API's name of a member; write {cls.model_fields[wrong[0]].alias}")
        absent = {
            field.alias or name: None
            for name, field in cls.model_fields.items()
            if field.default is not None and not field.is_required()
        }
        return {**absent, **value}


def plain_text(value: Any) -> Any:
    """Numbers and booleans as SageMaker's text form of hyperparameters; anything else as it is.

    Raises:
        ValueError: The value is a numeric CDK token.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_numeric_token(value):
        raise ValueError(f"the value is {_REFUSED}")
    if isinstance(value, int | float):
        return repr(value)
    return value


def text_of(value: Any, info: ValidationInfo) -> Any:
    """`plain_text` of what a person declares; a request has to have text already."""
    return value if info.context is AS_IT_STANDS else plain_text(value)
