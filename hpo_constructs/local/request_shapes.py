"""Checks requests against botocore's model of the service, as the service checks them before anything else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .errors import ApiError

if TYPE_CHECKING:
    from botocore.model import ServiceModel, Shape


class RequestShapes:
    """The input shapes of SageMaker's operations. Thread-safe; the model is loaded on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: ServiceModel | None = None

    def check(self, operation: str, body: Mapping[str, Any]) -> None:
        """Check a request.

        Raises:
            ApiError: a ValidationException that names every member that is wrong.
        """
        from botocore.validate import ParamValidator

        shape = self._service_model().operation_model(operation).input_shape
        if shape is None:
            return
        report = ParamValidator().validate(body, shape)
        if report.has_errors():
            raise ApiError("ValidationException", f"{operation}: {report.generate_report()}")
        if violations := list(_violations(body, shape, "")):
            raise ApiError(
                "ValidationException",
                f"{len(violations)} validation error{'s' if len(violations) > 1 else ''} detected: "
                + "; ".join(violations),
            )

    def _service_model(self) -> ServiceModel:
        with self._lock:
            if self._model is None:
                import botocore.session

                self._model = botocore.session.get_session().get_service_model("sagemaker")
            return self._model


def _violations(value: Any, shape: Shape, path: str) -> Iterable[str]:
    """Tell what the service's model forbids and botocore's own validator lets through."""
    match shape.type_name:
        case "structure":
            for name, member in shape.members.items():
                if value.get(name) is not None:
                    yield from _violations(value[name], member, f"{path}.{name}".lstrip("."))
        case "list":
            yield from _size_violations(len(value), shape, path, "length")
            for index, item in enumerate(value):
                yield from _violations(item, shape.member, f"{path}[{index}]")
        case "map":
            yield from _size_violations(len(value), shape, path, "size")
            for key, item in value.items():
                yield from _violations(key, shape.key, f"{path} (key {key!r})")
                yield from _violations(item, shape.value, f"{path}.{key}")
        case "string":
            yield from _size_violations(len(value), shape, path, "length")
            allowed = shape.metadata.get("enum")
            if allowed and value not in allowed:
                known = ", ".join(allowed[:12]) + (", ..." if len(allowed) > 12 else "")
                yield f"value {value!r} at {path!r} must be one of {known}"
            pattern = shape.metadata.get("pattern")
            if pattern and not _matches(pattern, value):
                yield f"value {value!r} at {path!r} must match the pattern {pattern}"
        case "integer" | "long" | "float" | "double":
            yield from _size_violations(value, shape, path, "value")


def _size_violations(size: float, shape: Shape, path: str, what: str) -> Iterable[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and size < low:
        yield f"{what} {size} at {path!r} must be >= {low}"
    if high is not None and size > high:
        yield f"{what} {size} at {path!r} must be <= {high}"


def _matches(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # One of Java's own character classes.
        return True
