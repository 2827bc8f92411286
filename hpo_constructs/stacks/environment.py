"""What differs between the environments that one set of templates is deployed to."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from ..errors import SpecError
from ..spec.declaration import Declaration

# Context key in cdk.json, or of a stage: values of the environment by name.
VALUES_CONTEXT: Final = "hpo:values"

# Not `${AWS::Region}` and its like, nor the CDK's tokens.
_PLACEHOLDER: Final = re.compile(r"\$\{([A-Za-z][A-Za-z0-9]*)\}")
# Texts that belong to the training program: `${HOME}` means something else there.
_VERBATIM: Final = frozenset({"StaticHyperParameters", "Environment", "MetricDefinitions"})


def stated_values(given: Mapping[str, str] | None, context: Any) -> dict[str, str]:
    """The values of an environment: those of the context, and over them those that are given.

    Raises:
        SpecError: the values are not texts by name.
    """
    values: dict[str, str] = {}
    for source, where in ((context, f"context {VALUES_CONTEXT}"), (given, "values")):
        if source is None:
            continue
        if not isinstance(source, Mapping):
            raise SpecError(f"{where} must be a mapping from names to texts, got {source!r}")
        for name, value in source.items():
            if not _PLACEHOLDER.fullmatch(f"${{{name}}}"):
                raise SpecError(f"a name of {where} must be a letter and then letters and digits, got {name!r}")
            if not isinstance(value, str):
                raise SpecError(f"{name} of {where} must be a text, got {value!r}; write {str(value)!r}")
            values[name] = value
    return values


def with_values(declaration: Declaration, values: Mapping[str, str]) -> tuple[Declaration, list[str]]:
    """The declaration with `${Name}` in its texts replaced, and the names that have no value.

    Hyperparameters, environment variables and metric definitions stay as they are.
    """
    missing: dict[str, None] = {}

    def value_of(found: re.Match[str]) -> str:
        if found[1] not in values:
            missing[found[1]] = None
        return values.get(found[1], found[0])

    request: dict[str, Any] = _texts_mapped(declaration.request, lambda text: _PLACEHOLDER.sub(value_of, text))
    return replace(declaration, request=request), list(missing)


def with_tags(declaration: Declaration, tags: Mapping[str, str]) -> Declaration:
    """The declaration with tags that it does not have itself; SageMaker puts them on the training jobs too."""
    own = declaration.request.get("Tags", [])
    # A faulty list of tags is left for the rules to report.
    if not tags or not isinstance(own, list) or not all(isinstance(tag, Mapping) for tag in own):
        return declaration
    present = {tag.get("Key") for tag in own}
    added = [{"Key": key, "Value": value} for key, value in tags.items() if key not in present]
    return replace(declaration, request={**declaration.request, "Tags": [*own, *added]})


def _texts_mapped(value: Any, change: Callable[[str], str]) -> Any:
    match value:
        case str():
            return change(value)
        case Mapping():
            return {key: each if key in _VERBATIM else _texts_mapped(each, change) for key, each in value.items()}
        case list():
            return [_texts_mapped(each, change) for each in value]
    return value
