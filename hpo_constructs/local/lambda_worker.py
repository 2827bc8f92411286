"""Runs one Lambda function's handler: the program of a worker process.

It is started as a script with the standard library alone, so that the function sees its own code first and pays
for its own imports only. It speaks JSON lines on two inherited file descriptors: requests in, answers out.
Standard output and error belong to the function; after each answer a marker line on standard output tells the
runner that all the output of that invocation has been seen.

What a handler finds follows https://docs.aws.amazon.com/lambda/latest/dg/python-context.html and
https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html.
"""

import datetime
import importlib
import json
import logging
import os
import queue
import resource
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

#: Begins the line on standard output that ends an invocation's output.
END_MARKER = "\x00end "

_current = threading.local()


class Context:
    """The context object that a handler gets, with Lambda's own attribute names."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.aws_request_id: str = request["request_id"]
        self.invoked_function_arn: str = request["invoked_function_arn"]
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
        self.log_group_name = os.environ["AWS_LAMBDA_LOG_GROUP_NAME"]
        self.log_stream_name = os.environ["AWS_LAMBDA_LOG_STREAM_NAME"]
        self.identity = None
        self.client_context = request["client_context"]
        self._deadline = request["deadline"]

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int((self._deadline - time.time()) * 1000))


class _RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = getattr(_current, "request_id", "")
        return True


class _JsonFormatter(logging.Formatter):
    """One JSON object per record, as functions with ``LogFormat: JSON`` write them."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, Any] = {
            "timestamp": datetime.datetime.fromtimestamp(record.created, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "requestId": getattr(_current, "request_id", ""),
        }
        if record.exc_info and record.exc_info[1] is not None:
            entry["errorType"] = type(record.exc_info[1]).__name__
            entry["errorMessage"] = str(record.exc_info[1])
            entry["stackTrace"] = traceback.format_tb(record.exc_info[2])
        return json.dumps(entry, default=str)


def _set_up_logging() -> None:
    handler = logging.StreamHandler(sys.stdout)
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        handler.setFormatter(_JsonFormatter())
        logging.getLogger().setLevel(os.environ.get("AWS_LAMBDA_LOG_LEVEL", "INFO"))
    else:
        handler.setFormatter(
            logging.Formatter(
                "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
            )
        )
        logging.Formatter.converter = time.gmtime
    handler.addFilter(_RequestIdFilter())
    logging.getLogger().addHandler(handler)


def _error(error_type: str, message: str, request_id: str, stack: list[str] | None = None) -> dict[str, Any]:
    return {"errorMessage": message, "errorType": error_type, "requestId": request_id, "stackTrace": stack or []}


def _exception(exc: BaseException, request_id: str) -> dict[str, Any]:
    # The first frame is this program's own.
    frames = traceback.extract_tb(exc.__traceback__)[1:]
    return _error(type(exc).__name__, str(exc), request_id, traceback.format_list(frames))


def _load(handler: str) -> Callable[[Any, Context], Any] | dict[str, Any]:
    """The handler's function, or the error that Lambda gives for a handler that cannot be loaded."""
    module_name, dot, function_name = handler.rpartition(".")
    if not dot:
        return _error("Runtime.MalformedHandlerName", f"Bad handler '{handler}': not enough values to unpack", "")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as exc:
        traceback.print_exc(file=sys.stdout)
        return _error("Runtime.ImportModuleError", f"Unable to import module '{module_name}': {exc}", "")
    except SyntaxError as exc:
        return _error("Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {exc}", "")
    except Exception as exc:
        traceback.print_exc(file=sys.stdout)
        return _exception(exc, "")
    function = getattr(module, function_name, None)
    if not callable(function):
        return _error("Runtime.HandlerNotFound", f"Handler '{function_name}' missing on module '{module_name}'", "")
    return function  # type: ignore[no-any-return]


def _print_error(error: dict[str, Any]) -> None:
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT") == "JSON":
        print(json.dumps({"level": "ERROR", **error}))
    else:
        trace = "".join(["\nTraceback (most recent call last):\n", *error["stackTrace"]])
        print(f"[ERROR] {error['errorType']}: {error['errorMessage']}{trace if error['stackTrace'] else ''}")


def _invoke(function: Callable[[Any, Context], Any], request: dict[str, Any]) -> tuple[bool, str]:
    """Whether the call succeeded, and its answer as JSON."""
    _current.request_id = request["request_id"]
    try:
        result = function(request["event"], Context(request))
    except Exception as exc:
        error = _exception(exc, request["request_id"])
    else:
        try:
            return True, json.dumps(result)
        except (TypeError, ValueError) as exc:
            error = _error("Runtime.MarshalError", f"Unable to marshal response: {exc}", request["request_id"])
    _print_error(error)
    return False, json.dumps(error)


def _peak_memory() -> int:
    """The most memory that this process has used, in megabytes."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:  # noqa: PTH123 - pathlib would cost its import
            # getrusage would count the peak of the process that started this one.
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // (1024 * 1024 if sys.platform == "darwin" else 1024)


def main(argv: list[str]) -> None:
    requests_fd, answers_fd = int(argv[1]), int(argv[2])
    os.set_inheritable(requests_fd, False)
    os.set_inheritable(answers_fd, False)
    requests: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        with os.fdopen(requests_fd, encoding="utf-8") as lines:
            for line in lines:
                requests.put(line)
        # The runner is gone: nobody waits for an answer, also not for one that is being worked on.
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    answers = os.fdopen(answers_fd, "w", encoding="utf-8")

    def answer(token: str, **content: Any) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(1, f"{END_MARKER}{token}\n".encode())
        content["memory"] = _peak_memory()
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    sys.path[:0] = [
        os.environ["LAMBDA_TASK_ROOT"],
        *filter(None, os.environ.pop("HPO_LOCAL_LAYERS", "").split(os.pathsep)),
    ]
    _set_up_logging()
    function = _load(os.environ["_HANDLER"])
    if isinstance(function, dict):
        _print_error(function)
        answer("init", ok=False, payload=json.dumps(function))
        return
    answer("init", ok=True, payload="")
    while True:
        request = json.loads(requests.get())
        ok, payload = _invoke(function, request)
        answer(request["request_id"], ok=ok, payload=payload)


if __name__ == "__main__":
    main(sys.argv)
