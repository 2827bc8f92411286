"""What stands in front of moto: the endpoint's own paths, SageMaker's tuning calls, and errors as AWS gives them."""

from __future__ import annotations

import datetime
import decimal
import io
import json
import logging
import re
import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Protocol
from xml.sax.saxutils import escape

from .account_quotas import TARGET as QUOTAS_TARGET
from .account_quotas import ServiceQuotasHandler

log = logging.getLogger(__name__)

HEALTH_PATH = "/_hpo/health"
_JSON_TYPE = "application/x-amz-json-1.1"
_CREDENTIAL = re.compile(r"Credential=[^/]+/\d+/[^/]+/([^/]+)/")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
WsgiApp = Callable[[Environ, StartResponse], Iterable[bytes]]


class SageMakerHandler(Protocol):
    """What the middleware needs of ``SageMakerApi``."""

    def answers(self, operation: str, body: dict[str, Any]) -> bool: ...

    def handle(self, operation: str, body: dict[str, Any]) -> dict[str, Any]: ...


class CallbackReceiver(Protocol):
    """Takes the answers that custom resources send; see ``cloudformation.Callbacks``."""

    PATH: str

    def answer(self, token: str, body: bytes) -> bool: ...


class Services:
    """What is behind the middleware; it is loaded while the server already listens.

    ``keep`` is called after a request that may have changed what outlives the endpoint, before its answer goes out.
    """

    def __init__(
        self,
        *,
        moto: WsgiApp,
        callbacks: CallbackReceiver,
        sagemaker: SageMakerHandler,
        operations: Collection[str],
        api_error: type[Exception],
        service_quotas: ServiceQuotasHandler | None = None,
        keep: Callable[[], None] | None = None,
    ) -> None:
        self.moto = moto
        self.callbacks = callbacks
        self.sagemaker = sagemaker
        self.operations = operations
        self.api_error = api_error
        self.service_quotas = service_quotas
        self.keep = keep


class Middleware:
    """The endpoint's WSGI application.

    ``info`` is what ``GET /_hpo/health`` answers besides the status, which is ``starting`` until :meth:`serve` is
    called. Requests to services wait until then.
    """

    def __init__(self, info: Mapping[str, Any]) -> None:
        self._info = dict(info)
        self._loaded = threading.Event()
        self._services: Services | None = None

    def serve(self, services: Services) -> None:
        self._services = services
        self._loaded.set()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        request_id = str(uuid.uuid4())
        try:
            if environ.get("PATH_INFO") == HEALTH_PATH:
                status = "ok" if self._services else "starting"
                return _answer(start_response, 200, {"status": status, **self._info}, request_id)
            self._loaded.wait()
            assert self._services is not None  # noqa: S101 - set before the event
            return self._dispatch(self._services, environ, start_response, request_id)
        except NotImplementedError as exc:
            # moto raises it for an action that it does not have; werkzeug would answer a bare error page.
            message = f"the local endpoint does not offer this call: {exc or 'not implemented'}"
            log.warning("%s", message)
            return _error_answer(environ, start_response, 501, ("NotImplemented", message), request_id)
        except Exception as exc:
            log.exception("%s %s failed", environ.get("REQUEST_METHOD"), environ.get("PATH_INFO"))
            message = f"the local endpoint failed: {type(exc).__name__}: {exc}"
            return _error_answer(environ, start_response, 500, ("InternalFailure", message), request_id)

    def _dispatch(
        self, services: Services, environ: Environ, start_response: StartResponse, request_id: str
    ) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path.startswith(services.callbacks.PATH):
            known = services.callbacks.answer(path.removeprefix(services.callbacks.PATH), _body(environ))
            return _answer(start_response, 200 if known else 404, {}, request_id)
        service, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")
        if service == "SageMaker" and operation in services.operations:
            content = _body(environ)
            answer = self._sagemaker(
                services, operation, content, environ=environ, start_response=start_response, request_id=request_id
            )
            if answer is not None:
                return answer
            # Of another resource than ours: moto reads the body anew.
            environ["wsgi.input"] = io.BytesIO(content)
        if service == QUOTAS_TARGET and services.service_quotas is not None:
            content = _body(environ)
            quotas = services.service_quotas(operation, json.loads(content or b"{}"))
            if quotas is not None:
                return _answer(start_response, 200, quotas, request_id)
            environ["wsgi.input"] = io.BytesIO(content)
        answer = services.moto(environ, start_response)
        if services.keep is not None and changes_state(environ, _service(environ)):
            services.keep()
        return answer

    def _sagemaker(
        self,
        services: Services,
        operation: str,
        content: bytes,
        *,
        environ: Environ,
        start_response: StartResponse,
        request_id: str,
    ) -> Iterable[bytes] | None:
        """Answer an operation; None when it is about a resource that is moto's."""
        try:
            body = json.loads(content or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            return _error_answer(
                environ, start_response, 400, ("SerializationException", "the body is not a JSON object"), request_id
            )
        if not services.sagemaker.answers(operation, body):
            return None
        try:
            result = services.sagemaker.handle(operation, body)
        except services.api_error as exc:
            error: Any = exc
            return _error_answer(
                environ, start_response, getattr(error, "status", 400), (error.code, error.message), request_id
            )
        return _answer(start_response, 200, result, request_id)


def changes_state(environ: Environ, service: str) -> bool:
    """Tell whether a request may change S3 objects or SSM parameters, which can outlive the endpoint."""
    if service == "ssm":
        action: str = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2]
        return action.startswith(("Put", "Delete", "Label", "Unlabel"))
    # A presigned or anonymous request names no service; S3 knows such ones.
    return service in ("s3", "") and environ.get("REQUEST_METHOD") not in ("GET", "HEAD", "OPTIONS")


def _service(environ: Environ) -> str:
    """The service that a request's signature names; empty without one."""
    credential = _CREDENTIAL.search(environ.get("HTTP_AUTHORIZATION", ""))
    return credential[1] if credential else ""


def _body(environ: Environ) -> bytes:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    return bytes(environ["wsgi.input"].read(length)) if length else b""


def _encode(value: Any) -> Any:
    """Timestamps as the JSON protocol has them: seconds since 1970."""
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, decimal.Decimal):
        return float(value)
    raise TypeError(f"cannot serialise {type(value).__name__}")


_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 500: "Internal Server Error", 501: "Not Implemented"}


def _send(
    start_response: StartResponse, status: int, content: bytes, headers: list[tuple[str, str]], request_id: str
) -> Iterable[bytes]:
    headers = [*headers, ("Content-Length", str(len(content))), ("x-amzn-RequestId", request_id)]
    start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
    return [content]


def _answer(start_response: StartResponse, status: int, body: Mapping[str, Any], request_id: str) -> Iterable[bytes]:
    content = json.dumps(body, default=_encode).encode()
    return _send(start_response, status, content, [("Content-Type", _JSON_TYPE)], request_id)


def _error_answer(
    environ: Environ, start_response: StartResponse, status: int, error: tuple[str, str], request_id: str
) -> Iterable[bytes]:
    """An error in the protocol of the service that was called, so that every client shows its message."""
    code, message = error
    service = _service(environ)
    element = f"<Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message></Error>"
    if service == "s3":
        content, kind = element, "application/xml"
    elif environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        content = f"<ErrorResponse>{element}<RequestId>{request_id}</RequestId></ErrorResponse>"
        kind = "text/xml"
    else:
        content, kind = json.dumps({"__type": code, "message": message}), _JSON_TYPE
    headers = [("Content-Type", kind), ("x-amzn-ErrorType", code)]
    return _send(start_response, status, content.encode(), headers, request_id)
