"""How the handlers talk to AWS: clients, made once per container, and errors that Step Functions can tell apart."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ConnectionError, HTTPClientError

# Lambda renders the extra fields of a record as JSON members where the function logs as JSON.
logger = logging.getLogger("hpo")
logger.setLevel(logging.INFO)

# A call and its retries end well before the function's own time-out; the state machine retries what is left.
_CONFIG: Final = Config(connect_timeout=5, read_timeout=15, retries={"mode": "standard", "total_max_attempts": 3})

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html and the services' own
_TEMPORARY_CODES: Final = frozenset(
    {
        "InternalFailure",
        "InternalServerError",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
        "TooManyUpdates",
    }
)
_PERMISSION_CODES: Final = frozenset({"AccessDenied", "AccessDeniedException"})


class TemporaryServiceError(Exception):
    """The service throttled, failed or did not answer: the same call may succeed later."""


class PermissionNotEffective(Exception):
    """A permission is missing. Just after a deployment IAM may not have spread it yet."""


class ServiceRequestRejected(Exception):
    """The service refused the request, and would refuse it again."""


@cache
def client(service: str) -> Any:
    """The container's client of a service; retries and time-outs are set."""
    return boto3.client(service, config=_CONFIG)


def error_code(error: ClientError) -> str:
    """The service's error code."""
    return str(error.response.get("Error", {}).get("Code", ""))


def error_text(error: ClientError) -> str:
    """The service's own message."""
    return str(error.response.get("Error", {}).get("Message", ""))


def is_not_found(error: ClientError) -> bool:
    """Whether the service says that there is no such job (it has two ways of saying so)."""
    code, text = error_code(error), error_text(error).lower()
    return code == "ResourceNotFound" or (code == "ValidationException" and "could not find" in text)


def is_denied(error: ClientError) -> bool:
    """Whether a permission is missing."""
    return error_code(error) in _PERMISSION_CODES


@contextmanager
def errors_named(doing: str) -> Iterator[None]:
    """Turns botocore's errors into the three kinds that the state machine's retriers tell apart.

    Args:
        doing: what is being done, for the message: "creating tuning job churn-0123456789".
    """
    try:
        yield
    except ClientError as error:
        code, text = error_code(error), error_text(error)
        message = f"{doing}: {code}: {text}"
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if code in _TEMPORARY_CODES or status == 429 or status >= 500:
            raise TemporaryServiceError(message) from error
        if code in _PERMISSION_CODES or (code == "ValidationException" and "could not assume role" in text.lower()):
            raise PermissionNotEffective(message) from error
        raise ServiceRequestRejected(message) from error
    except (ConnectionError, HTTPClientError) as error:
        raise TemporaryServiceError(f"{doing}: {error}") from error
    except BotoCoreError as error:
        # Above all parameters that the runtime's boto3 does not know.
        raise ServiceRequestRejected(f"{doing}: {error}") from error
