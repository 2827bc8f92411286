"""Calls of AWS's APIs with boto3's own configuration, and their errors as one sentence with the next step.

AccountError (an HpoError)  the account cannot be asked
├── DeniedError             a permission is missing
└── MissingError            there is no such thing
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import HpoError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/CommonErrors.html and the services' own
_CREDENTIAL_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_DENIED_CODES = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"})
_THROTTLING_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_MISSING_CODES = frozenset(
    {
        "ExecutionDoesNotExist",
        "NoSuchBucket",
        "NoSuchKey",
        "ParameterNotFound",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
        "404",
    }
)
# Services that have no exception of their own say so in the message of a ValidationException or ValidationError.
_MISSING_TEXTS = ("could not find", "does not exist")


class AccountError(HpoError):
    """The account cannot be asked, or does not have what is asked for; the message says what to do."""


class DeniedError(AccountError):
    """The credentials may not do this."""


class MissingError(AccountError):
    """There is no such thing on the account."""


class Account:
    """An account and region, as boto3's default chain finds them: environment, profiles, roles, `AWS_ENDPOINT_URL`.

    Nothing is asked before the first call. Calls may come from several threads.

    Args:
        region: The region; the AWS configuration's without it.
        profile: The profile of the AWS configuration; its default one, or `AWS_PROFILE`, without it.
        session: A boto3 session that says all of this; then neither region nor profile.

    Raises:
        AccountError: There is no such profile, or a session stands beside a region or a profile.
    """

    def __init__(self, *, region: str | None = None, profile: str | None = None, session: Any = None) -> None:
        import boto3

        self._clients: dict[str, Any] = {}
        if session is not None and (region or profile):
            raise AccountError("a session has its own region and profile; give either a session or these")
        with self._translated("reading the AWS configuration"):
            # AWS_REGION is what the AWS CLI and the other SDKs read; boto3 does not.
            region = region or os.environ.get("AWS_REGION") or None
            self._session = session or boto3.session.Session(region_name=region, profile_name=profile)

    @property
    def place(self) -> str:
        """Where calls go, for messages: the region, or the endpoint's address."""
        clients = list(self._clients.values())
        if clients and "amazonaws." not in (url := str(clients[0].meta.endpoint_url)):
            return url
        return f"region {self._session.region_name or 'unknown'}"

    def client(self, service: str) -> Any:
        """The boto3 client of a service, made once.

        Raises:
            AccountError: No region is configured, or the credentials are incomplete.
        """
        if service not in self._clients:
            from botocore.config import Config

            with self._translated(f"preparing to ask {service}"):
                # Retries are the configuration's (AWS_RETRY_MODE, AWS_MAX_ATTEMPTS).
                config = Config(connect_timeout=10, read_timeout=60)
                self._clients[service] = self._session.client(service, config=config)
        return self._clients[service]

    def call(self, service: str, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Call an operation, named as boto3's method; its answer without the metadata of the response.

        Raises:
            MissingError: There is no such thing.
            DeniedError: A permission is missing.
            AccountError: Credentials, region, network, throttling, or the service's own refusal.
        """
        client = self.client(service)
        with self._translated(_spoken(service, operation)):
            answer: dict[str, Any] = getattr(client, operation)(**arguments)
        answer.pop("ResponseMetadata", None)
        return answer

    def pages(self, service: str, operation: str, member: str, /, **arguments: Any) -> Iterator[dict[str, Any]]:
        """The items of a List or Describe operation, from page to page as they are needed.

        Args:
            service: The service.
            operation: The operation, named as boto3's method.
            member: The list in each page.
            arguments: The operation's arguments.

        Raises:
            AccountError: As from :meth:`call`.
        """
        client = self.client(service)
        with self._translated(_spoken(service, operation)):
            for page in client.get_paginator(operation).paginate(**arguments):
                # S3 leaves out an empty list.
                yield from page.get(member, ())

    def download(self, bucket: str, key: str, file: str) -> None:
        """Download an object of S3 to a file, which is there whole or not at all.

        Raises:
            AccountError: As from :meth:`call`.
        """
        client = self.client("s3")
        with self._translated(f"downloading s3://{bucket}/{key}"):
            client.download_file(bucket, key, file)

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            yield
        except ClientError as error:
            raise _of_service(error, doing) from None
        except (BotoCoreError, Boto3Error) as error:
            raise _of_client(error, doing) from None


def _spoken(service: str, operation: str) -> str:
    return f"{service}:{''.join(part.capitalize() for part in operation.split('_'))}"


def _of_service(error: Any, doing: str) -> AccountError:
    """An error that a service has answered."""
    details = error.response.get("Error", {})
    code, text = str(details.get("Code", "")), " ".join(str(details.get("Message", "")).split()).rstrip(".")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING_CODES or any(part in text.lower() for part in _MISSING_TEXTS):
        return MissingError(f"{doing}: there is no such thing: {text or code}")
    if code in _CREDENTIAL_CODES:
        return AccountError(
            f"the AWS credentials are not accepted ({code}: {text}); renew them, for example with `aws sso login`, or "
            "choose others with AWS_PROFILE or --profile; `aws sts get-caller-identity` tests them"
        )
    if code in _DENIED_CODES:
        return DeniedError(
            f"the AWS credentials do not allow {doing} ({text or code}); ask for that permission, or choose other "
            "credentials with AWS_PROFILE or --profile"
        )
    if code in _THROTTLING_CODES or status == 429:
        return AccountError(
            f"{doing} is throttled ({code}), still after the retries; try again in a minute, or set AWS_MAX_ATTEMPTS=10"
        )
    if status >= 500:
        return AccountError(f"{doing} failed on the service's side ({code}: {text}); try again in a minute")
    return AccountError(f"{doing} was refused: {code}: {text}")


def _of_client(error: Exception, doing: str) -> AccountError:
    """An error that botocore has found by itself: configuration or network."""
    from botocore import exceptions

    text = " ".join(str(error).split()).rstrip(".")
    match error:
        case exceptions.NoRegionError():
            return AccountError("no AWS region is configured; set AWS_REGION, or state --region")
        case exceptions.ProfileNotFound():
            return AccountError(
                f"{text[:1].lower()}{text[1:]}; `aws configure list-profiles` lists those that there are"
            )
        case exceptions.SSOError() | exceptions.TokenRetrievalError():
            return AccountError(f"the sign-in to AWS is over or missing ({text}); run `aws sso login`")
        case (
            exceptions.NoCredentialsError()
            | exceptions.PartialCredentialsError()
            | exceptions.CredentialRetrievalError()
        ):
            return AccountError(
                f"no AWS credentials are found ({text}); run `aws sso login` or `aws configure`, or set AWS_PROFILE; "
                "for the local endpoint take the variables that `hpo local up` prints"
            )
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            return AccountError(
                f"{doing} got no answer ({text}); check the network and the region, or, with AWS_ENDPOINT_URL set, "
                "whether the local endpoint still runs (`hpo local up`)"
            )
        case _:
            return AccountError(f"{doing} failed: {text}")
