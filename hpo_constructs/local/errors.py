"""The errors that SageMaker's operations answer with on the local endpoint."""

from __future__ import annotations


class ApiError(Exception):
    """An error that the API answers with.

    Args:
        code: the error code, e.g. ``ResourceNotFound``.
        message: what is wrong.
        status: the HTTP status.
    """

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
