"""What a training job finds and leaves: SageMaker's container contract, below a folder instead of ``/opt/ml``.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html,
https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-output.html and
https://github.com/aws/sagemaker-training-toolkit/blob/master/ENVIRONMENT_VARIABLES.md
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from .telemetry import LogEvent

if TYPE_CHECKING:
    from .engine.backend import Order

HOST = "algo-1"
CONTAINER_ROOT = "/opt/ml"
DEFAULT_CHECKPOINTS = f"{CONTAINER_ROOT}/checkpoints"
PROGRAM = "sagemaker_program"
SUBMIT_DIRECTORY = "sagemaker_submit_directory"
FAILURE_REASON_LENGTH = 1024
OBJECTIVE_METRIC = "ObjectiveMetric"
"""The name under which the service reports the objective metric a second time."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_CUSTOMER_ERROR = re.compile(r"\s*Customer Error:\s*")
_LOG_TAIL_BYTES = 8192
_SMALL_BYTES = 1 << 20
_GROUP = "homogeneousCluster"
_INFO = "20"


class TrainingError(Exception):
    """A training job cannot go on; the text is its FailureReason."""


@dataclass(frozen=True)
class MetricDefinition:
    """A metric's name and the regular expression whose first group is its value in a line of the output.

    ``contains`` is a text that each line which the expression matches has in it, when one is known: most lines and
    most of a built-in algorithm's metrics are told apart by it at once.
    """

    name: str
    regex: str
    contains: str = ""


class MlFolder:
    """The folders of one training job, laid out like a container's ``/opt/ml``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.config = root / "input" / "config"
        self.data = root / "input" / "data"
        self.model = root / "model"
        self.output = root / "output"
        self.code = root / "code"

    def create(self) -> None:
        """Make the folders."""
        for folder in (self.config, self.data, self.model, self.output / "data", self.code):
            folder.mkdir(parents=True, exist_ok=True)

    def checkpoints(self, local_path: str) -> Path:
        """Give the folder that stands for ``CheckpointConfig.LocalPath``; the root stands for ``/opt/ml``."""
        path = PurePosixPath(local_path)
        inside = path.relative_to(CONTAINER_ROOT) if path.is_relative_to(CONTAINER_ROOT) else path.relative_to("/")
        return self.root / _inside(str(inside))

    def write_config(self, order: Order) -> None:
        """Write what the training process reads about its job."""
        definition = order.definition.request
        resources = definition.get("ResourceConfig", {})
        documents: dict[str, Any] = {
            "hyperparameters.json": dict(order.hyperparameters),
            "inputdataconfig.json": {
                channel["ChannelName"]: _channel_config(channel, definition)
                for channel in definition.get("InputDataConfig", ())
            },
            "resourceconfig.json": {
                "current_host": HOST,
                "current_instance_type": resources.get("InstanceType", "local"),
                "current_group_name": _GROUP,
                "hosts": [HOST],
                "instance_groups": [
                    {
                        "instance_group_name": _GROUP,
                        "instance_type": resources.get("InstanceType", "local"),
                        "hosts": [HOST],
                    }
                ],
                "network_interface_name": "lo",
            },
        }
        for name, document in documents.items():
            (self.config / name).write_text(json.dumps(document))

    def failure(self) -> str | None:
        """Give the text of the failure file, None without one."""
        try:
            text = (self.output / "failure").read_text(errors="replace").strip()
        except OSError:
            return None
        return text or None


def environment(
    order: Order,
    folder: MlFolder,
    *,
    threads: int,
    endpoint_url: str,
    region: str,
    account_id: str,
    base: Mapping[str, str],
) -> dict[str, str]:
    """Give all environment variables of a training process.

    AWS clients in it reach the local endpoint: what the base environment says of AWS accounts is left out.
    """
    definition = order.definition.request
    channels = [channel["ChannelName"] for channel in definition.get("InputDataConfig", ())]
    decoded = {name: decode(value) for name, value in order.hyperparameters.items()}
    values = {name: value for name, value in decoded.items() if not is_services_own(name)}
    framework = {name: value for name, value in decoded.items() if name.startswith("sagemaker_")}
    documents = {
        name: json.loads((folder.config / f"{name}.json").read_text()) for name in ("inputdataconfig", "resourceconfig")
    }
    facts: dict[str, Any] = {
        "hps": values,
        "user_args": command_arguments(values),
        "channels": sorted(channels),
        "model_dir": str(folder.model),
        "input_dir": str(folder.root / "input"),
        "input_config_dir": str(folder.config),
        "output_dir": str(folder.output),
        "output_data_dir": str(folder.output / "data"),
        "output_intermediate_dir": str(folder.output / "intermediate"),
        "hosts": [HOST],
        "current_host": HOST,
        "current_instance_type": documents["resourceconfig"]["current_instance_type"],
        "current_instance_group": _GROUP,
        "current_instance_group_hosts": [HOST],
        "network_interface_name": "lo",
        "num_cpus": threads,
        "num_gpus": 0,
        "num_neurons": 0,
        "log_level": int(_INFO),
        "input_data_config": documents["inputdataconfig"],
        "resource_config": documents["resourceconfig"],
        "framework_params": framework,
    }
    if PROGRAM in framework:
        program = str(framework[PROGRAM])
        facts |= {
            "user_entry_point": program,
            "module_name": program.removesuffix(".py"),
            "module_dir": str(framework.get(SUBMIT_DIRECTORY, folder.code)),
        }
    if (checkpoints := definition.get("CheckpointConfig")) is not None:
        facts["checkpoint_dir"] = str(folder.checkpoints(checkpoints.get("LocalPath", DEFAULT_CHECKPOINTS)))
    training_env = {
        **{name: value for name, value in facts.items() if name not in ("hps", "user_args", "channels")},
        "hyperparameters": values,
        "channel_input_dirs": {name: str(folder.data / name) for name in channels},
        "job_name": order.name,
    }
    return {
        **{name: value for name, value in base.items() if not name.startswith("AWS_")},
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "HPO_LOCAL_ML_ROOT": str(folder.root),
        # The training toolkit's own name for it, so that programs that import the toolkit work too.
        "SAGEMAKER_BASE_DIR": str(folder.root),
        "TRAINING_JOB_NAME": order.name,
        "TRAINING_JOB_ARN": f"arn:aws:sagemaker:{region}:{account_id}:training-job/{order.name}",
        **{f"SM_{name.upper()}": _encoded(value) for name, value in facts.items()},
        **{f"SM_HP_{name.upper()}": _encoded(value) for name, value in values.items()},
        **{f"SM_CHANNEL_{name.upper()}": str(folder.data / name) for name in channels},
        "SM_TRAINING_ENV": json.dumps(training_env),
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        **definition.get("Environment", {}),
    }


def decode(value: str) -> Any:
    """Read a hyperparameter as the training toolkit does: as JSON where it is JSON, else as the text that it is."""
    try:
        return json.loads(value)
    except ValueError:
        return value


def is_services_own(name: str) -> bool:
    """Tell whether a hyperparameter is the service's or its toolkit's own, not the user's program's."""
    return name.startswith(("_", "sagemaker_"))


def command_arguments(values: Mapping[str, Any]) -> list[str]:
    """Give hyperparameters as the arguments that the training toolkit calls a user's script with."""
    arguments = []
    for name in sorted(values):
        value = values[name]
        text = ",".join(f"{key}={value[key]}" for key in sorted(value)) if isinstance(value, dict) else str(value)
        arguments += [f"--{name}" if len(name) > 1 else f"-{name}", "" if value is None else text]
    return arguments


def failure_reason(failure: str | None, exit_code: int | None, log: Path) -> str:
    """Word a FailureReason as the service does.

    Args:
        failure: the text of the failure file; without one the last line of the output stands in for it.
        exit_code: how the process ended, negative for a signal; None when that is not known.
        log: the output.
    """
    if exit_code is None:
        return "InternalServerError: the training process was lost"
    kind = "AlgorithmError"
    text = failure or _last_line(log) or "the training process gave no reason"
    if _CUSTOMER_ERROR.match(text):
        kind, text = "ClientError", _CUSTOMER_ERROR.sub("", text, count=1)
    if exit_code < 0:
        ending = f", ended by signal {-exit_code}, exit code: {128 - exit_code}"
    else:
        ending = f", exit code: {exit_code}"
    return f"{kind}: {text[: FAILURE_REASON_LENGTH - len(kind) - len(ending) - 2]}{ending}"


def read_metrics(lines: Sequence[str], definitions: Iterable[MetricDefinition]) -> dict[str, float]:
    """Read the final value of each metric out of a training job's output: the last line that matches counts.

    A metric that no line matches, or whose value is no number, is left out.
    """
    found: dict[str, float] = {}
    whole = "\n".join(lines)
    for definition in definitions:
        if definition.contains not in whole:
            continue
        expression = re.compile(definition.regex)
        # Within a line, an expression that begins with anything matches at its start or not at all.
        match_line = expression.match if definition.regex.startswith(".*") else expression.search
        for line in reversed(lines):
            match = match_line(line)
            if match is not None and (value := _float(match)) is not None:
                found[definition.name] = value
                break
    return found


def read_values(lines: Iterable[str], definitions: Iterable[MetricDefinition]) -> list[float]:
    """Read all values of metrics, in the order of the output."""
    expressions = [re.compile(definition.regex) for definition in definitions]
    matches = (expression.search(line) for line in lines for expression in expressions)
    values = (None if match is None else _float(match) for match in matches)
    return [value for value in values if value is not None]


class S3Object(NamedTuple):
    """One object of a channel and the path that it has in the channel's folder."""

    bucket: str
    key: str
    etag: str
    path: str


Listing = Callable[[str, str], Sequence[tuple[str, str]] | None]
"""Gives key and ETag of each object of a bucket below a prefix, in the order of the keys; None for a bucket that it
does not know."""


def list_in_process(account_id: str) -> Listing:
    """List an account's objects in the server's own process.

    Every training job asks what is in its channels, which seldom changes. As a request to the process that asks, that
    takes the cores more time than all else around a short training job.
    """

    def objects(bucket_name: str, prefix: str) -> list[tuple[str, str]] | None:
        from moto.s3.models import FakeDeleteMarker, s3_backends

        bucket = s3_backends[account_id]["aws"].buckets.get(bucket_name)
        if bucket is None:
            return None
        # Other training jobs put their models there at the same time: the keys are copied at once.
        names = sorted(name for name in list(bucket.keys) if name.startswith(prefix))
        keys = ((name, bucket.keys.get(name)) for name in names)
        return [(name, key.etag) for name, key in keys if key is not None and not isinstance(key, FakeDeleteMarker)]

    return objects


class S3:
    """S3 as training jobs use it: channels in, artifacts out. Thread-safe.

    A channel is downloaded once for a tuning job, and again only when its objects changed; each training job gets
    hard links to the one copy.

    Args:
        endpoint_url: the endpoint that has it.
        region: the region of the requests.
        listing: a way to list objects that is quicker than a request; without it, and for buckets that it does not
            know, a request lists them.
    """

    def __init__(self, endpoint_url: str, region: str, *, listing: Listing | None = None) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._listing = listing
        self._lock = threading.Lock()
        self._downloads: dict[Path, threading.Lock] = {}
        self._client: Any = None

    def fetch(self, channel: Mapping[str, Any], cache: Path, target: Path) -> None:
        """Put a channel's objects into the target folder.

        Raises:
            TrainingError: there are none, or they cannot be read.
        """
        copy, objects = self._copy(channel, cache)
        for item in objects:
            link = target / item.path
            link.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(copy / item.path, link)
        target.mkdir(parents=True, exist_ok=True)

    def records(self, channel: Mapping[str, Any], cache: Path) -> list[Path | bytes]:
        """Give what a channel streams in Pipe mode, in order: its objects' files.

        For an augmented manifest these are, line by line, the values of the channel's attributes; an attribute whose
        name ends in ``-ref`` stands for the object that it names.

        Raises:
            TrainingError: there are none, or they cannot be read.
        """
        copy, objects = self._copy(channel, cache)
        source = channel["DataSource"]["S3DataSource"]
        if source["S3DataType"] != "AugmentedManifestFile":
            return [copy / item.path for item in objects]
        manifest, *referred = objects
        files = {f"s3://{item.bucket}/{item.key}": copy / item.path for item in referred}
        records: list[Path | bytes] = []
        for line in _json_lines((copy / manifest.path).read_bytes(), source["S3Uri"]):
            for name in source["AttributeNames"]:
                value = line[name]
                if name.endswith("-ref"):
                    records.append(files[value])
                else:
                    records.append((value if isinstance(value, str) else json.dumps(value)).encode())
        return records

    def fetch_object(self, uri: str, file: Path) -> None:
        """Download one object.

        Raises:
            TrainingError: it cannot be read.
        """
        import botocore.exceptions

        bucket, key = split_s3_uri(uri)
        try:
            self._s3().download_file(bucket, key, str(file))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise TrainingError(f'ClientError: Data download failed: S3 URL "{uri}": {error}') from error

    def fetch_prefix(self, uri: str, target: Path) -> None:
        """Download all objects below a prefix, of which there may be none.

        Raises:
            TrainingError: they cannot be read.
        """
        import botocore.exceptions

        try:
            for item in self._list({"S3DataType": "S3Prefix", "S3Uri": uri.rstrip("/") + "/"}):
                file = target / item.path
                file.parent.mkdir(parents=True, exist_ok=True)
                self._s3().download_file(item.bucket, item.key, str(file))
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise TrainingError(f'ClientError: Data download failed: S3 URL "{uri}": {error}') from error

    def _copy(self, channel: Mapping[str, Any], cache: Path) -> tuple[Path, list[S3Object]]:
        """Have one copy of a channel's objects in the cache."""
        import botocore.exceptions

        uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
        try:
            objects = list(self._list(channel["DataSource"]["S3DataSource"]))
            if not objects:
                raise TrainingError(
                    f'ClientError: Data download failed: No S3 objects found under S3 URL "{uri}" given in input data '
                    f"source {channel['ChannelName']!r}. Please ensure that the bucket exists in the selected region "
                    f"({self._region}) and that objects exist under that S3 prefix."
                )
            listing = json.dumps([*map(list, objects)])
            copy = cache / hashlib.sha256(listing.encode()).hexdigest()[:24]
            with self._lock:
                lock = self._downloads.setdefault(copy, threading.Lock())
            with lock:
                if not copy.exists():
                    self._download(objects, copy)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise TrainingError(f'ClientError: Data download failed: S3 URL "{uri}": {error}') from error
        return copy, objects

    def upload(self, file: Path, uri: str) -> None:
        """Upload a file.

        Raises:
            TrainingError: S3 refuses it.
        """
        import botocore.exceptions

        bucket, key = split_s3_uri(uri)
        try:
            if file.stat().st_size <= _SMALL_BYTES:
                # An open file is announced first, which costs a round trip of its own.
                self._s3().put_object(Bucket=bucket, Key=key, Body=file.read_bytes())
            else:
                with file.open("rb") as body:
                    self._s3().put_object(Bucket=bucket, Key=key, Body=body)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise TrainingError(f'ClientError: Artifact upload failed: S3 URL "{uri}": {error}') from error

    def _s3(self) -> Any:
        with self._lock:
            if self._client is None:
                self._client = endpoint_client("s3", self._endpoint_url, self._region)
            return self._client

    def _list(self, source: Mapping[str, Any]) -> Iterator[S3Object]:
        bucket, key = split_s3_uri(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            manifest = _read_manifest(self._s3().get_object(Bucket=bucket, Key=key)["Body"].read(), source["S3Uri"])
            prefix = manifest[0]["prefix"]
            for relative in manifest[1:]:
                yield self._object(prefix + relative, _inside(relative))
            return
        if source["S3DataType"] == "AugmentedManifestFile":
            manifest_object = self._object(source["S3Uri"], "manifest")
            yield manifest_object
            lines = _json_lines(self._s3().get_object(Bucket=bucket, Key=key)["Body"].read(), source["S3Uri"])
            referred = set()
            for line in lines:
                for name in source["AttributeNames"]:
                    if name not in line:
                        raise TrainingError(
                            f"ClientError: Data download failed: a line of the augmented manifest {source['S3Uri']} "
                            f"has no attribute {name!r}"
                        )
                    if name.endswith("-ref"):
                        referred.add(line[name])
            for uri in sorted(referred):
                yield self._object(uri, f"objects/{_inside('/'.join(split_s3_uri(uri)))}")
            return
        for name, etag in self._objects(bucket, key):
            if not name.endswith("/"):
                yield S3Object(bucket, name, etag, _path_below(name, key))

    def _objects(self, bucket: str, prefix: str) -> Iterable[tuple[str, str]]:
        if self._listing is not None and (found := self._listing(bucket, prefix)) is not None:
            return found
        pages = self._s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        return ((item["Key"], item["ETag"]) for page in pages for item in page.get("Contents", ()))

    def _object(self, uri: str, path: str) -> S3Object:
        bucket, key = split_s3_uri(uri)
        return S3Object(bucket, key, self._s3().head_object(Bucket=bucket, Key=key)["ETag"], path)

    def _download(self, objects: Sequence[S3Object], copy: Path) -> None:
        partial = copy.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        for item in objects:
            file = partial / item.path
            file.parent.mkdir(parents=True, exist_ok=True)
            self._s3().download_file(item.bucket, item.key, str(file))
            # All training jobs share the one copy.
            file.chmod(0o444)
        partial.rename(copy)


def endpoint_client(service: str, endpoint_url: str, region: str) -> Any:
    """Make a boto3 client for the local endpoint, whatever credentials the machine has."""
    import boto3
    from botocore.config import Config

    return boto3.session.Session().client(
        service,
        endpoint_url=endpoint_url,
        region_name=region,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - the endpoint asks for none
        config=Config(
            s3={"addressing_style": "path"},
            connect_timeout=5,
            read_timeout=60,
            retries={"mode": "standard", "total_max_attempts": 3},
            max_pool_connections=32,
        ),
    )


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Split ``s3://bucket/key`` into bucket and key; the key may be empty."""
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def pack(folder: Path, archive: Path) -> None:
    """Pack what is in a folder as a gzipped tar file."""
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for file in sorted(folder.iterdir()):
            tar.add(file, arcname=file.name)


def has_files(folder: Path) -> bool:
    """Tell whether a folder has a file in it, at any depth."""
    return any(path.is_file() for path in folder.rglob("*"))


class LogTail:
    """Reads a growing file by whole lines, a piece at a time."""

    _PIECE = 1 << 20

    def __init__(self, file: Path) -> None:
        self._file = file
        self._offset = 0

    def new_lines(self, *, last: bool) -> Iterator[list[str]]:
        """Give the lines that came since the last call; a line without its end only when it is the last."""
        try:
            opened = self._file.open("rb")
        except FileNotFoundError:
            return
        with opened:
            opened.seek(self._offset)
            while piece := opened.read(self._PIECE):
                if not last or len(piece) == self._PIECE:
                    # A line that is longer than a piece is cut.
                    end = piece.rfind(b"\n") + 1
                    if end == 0 and len(piece) < self._PIECE:
                        return
                    piece = piece[: end or len(piece)]
                self._offset += len(piece)
                opened.seek(self._offset)
                yield piece.decode(errors="replace").splitlines()


class LogStream:
    """A training job's output as a stream of CloudWatch Logs.

    A log that cannot be written never harms the training job: after the first failure nothing more is written. The
    endpoint keeps logs in memory, so that only the first 256 KB of a training job's output are written; a last event
    names the file that has all of it.

    Args:
        write: appends events to a stream.
        stream: the stream's name.
        whole: the file with all of the output.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """

    LIMIT_BYTES = 256 * 1024
    _LINE_BYTES = 16_000

    def __init__(self, write: Callable[[str, list[LogEvent]], None], stream: str, whole: Path) -> None:
        self._write = write
        self._stream = stream
        self._whole = whole
        self._working = True
        self._room = self.LIMIT_BYTES

    def add(self, lines: Iterable[str], at_milliseconds: int) -> None:
        """Write lines."""
        events: list[LogEvent] = []
        for line in lines:
            if not line.strip() or self._room <= 0:
                continue
            line = line[: self._LINE_BYTES]
            self._room -= len(line) + 1
            events.append((at_milliseconds, line))
            if self._room <= 0:
                events.append((at_milliseconds, f"the rest of this log is in {self._whole}"))
        if events and self._working:
            try:
                self._write(self._stream, events)
            except Exception:
                self._working = False


class MetricStream:
    """A training job's metrics as CloudWatch has them while it trains.

    A value of each metric goes there once a second at first, then less often, so that a training job of an hour has
    some 500 values of each: hundreds of training jobs take little memory. The last values always go there.

    Args:
        write: adds one value of each metric.
    """

    _FIRST_SECONDS = 1.0
    _PART_OF_AGE = 0.01

    def __init__(self, write: Callable[[Mapping[str, float], datetime], None]) -> None:
        self._write = write
        self._began_at = self._due_at = time.monotonic()
        self._waiting: dict[str, float] = {}

    def add(self, values: Mapping[str, float], at: datetime) -> None:
        """Take new values; they are written when they are due."""
        self._waiting |= values
        if self._waiting and time.monotonic() >= self._due_at:
            self.flush(at)

    def flush(self, at: datetime) -> None:
        """Write what has not been written."""
        if not self._waiting:
            return
        now = time.monotonic()
        self._due_at = now + max(self._FIRST_SECONDS, self._PART_OF_AGE * (now - self._began_at))
        values, self._waiting = self._waiting, {}
        # Metrics that cannot be written never harm the training job.
        with contextlib.suppress(Exception):
            self._write(values, at)


def _channel_config(channel: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode", definition["AlgorithmSpecification"]["TrainingInputMode"]),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return config | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})


def _encoded(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, separators=(",", ":"))


def _read_manifest(content: bytes, uri: str) -> list[Any]:
    try:
        manifest = json.loads(content)
        if isinstance(manifest[0]["prefix"], str) and all(isinstance(one, str) for one in manifest[1:]):
            return list(manifest)
    except (ValueError, LookupError, TypeError):
        pass
    raise TrainingError(
        f"ClientError: Data download failed: the manifest {uri} must be a JSON list of an object with a prefix and of "
        "the keys below it"
    )


def _json_lines(content: bytes, uri: str) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in content.splitlines() if line.strip()]
    except ValueError:
        lines = [None]
    if not all(isinstance(line, dict) for line in lines):
        raise TrainingError(f"ClientError: Data download failed: each line of the manifest {uri} must be a JSON object")
    return lines


def _float(match: re.Match[str]) -> float | None:
    try:
        return float(match.group(1))
    except (IndexError, TypeError, ValueError):
        return None


def _last_line(log: Path) -> str | None:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return next((line.strip() for line in reversed(lines) if line.strip()), None)


def _path_below(key: str, prefix: str) -> str:
    if key.startswith(prefix.rstrip("/") + "/"):
        return _inside(key[len(prefix.rstrip("/")) :])
    # A prefix that ends within a name: the path below the prefix's own folder.
    return _inside(key[prefix.rfind("/") + 1 :])


def _inside(path: str) -> str:
    parts = [part for part in PurePosixPath(path).parts if part not in ("/", ".", "..")]
    return str(PurePosixPath(*parts))


def _link_or_copy(source: Path, link: Path) -> None:
    try:
        os.link(source, link)
    except OSError:  # Another file system, or one without hard links.
        shutil.copyfile(source, link)
