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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from .engine.backend import Order

HOST = "algo-1"
FAILURE_REASON_LENGTH = 1024
OBJECTIVE_METRIC = "ObjectiveMetric"
"""The name under which the service reports the objective metric a second time."""

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_CUSTOMER_ERROR = re.compile(r"\s*Customer Error:\s*")
_LOG_TAIL_BYTES = 8192


class TrainingError(Exception):
    """A training job cannot go on; the text is its FailureReason."""


@dataclass(frozen=True)
class MetricDefinition:
    """A metric's name and the regular expression whose first group is its value in a line of the output."""

    name: str
    regex: str


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
                "hosts": [HOST],
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
    order: Order, folder: MlFolder, *, threads: int, endpoint_url: str, region: str, base: Mapping[str, str]
) -> dict[str, str]:
    """Give all environment variables of a training process.

    AWS clients in it reach the local endpoint: what the base environment says of AWS accounts is left out.
    """
    definition = order.definition.request
    channels = [channel["ChannelName"] for channel in definition.get("InputDataConfig", ())]
    values = {name: _decoded(value) for name, value in order.hyperparameters.items() if not name.startswith("_")}
    return {
        **{name: value for name, value in base.items() if not name.startswith("AWS_")},
        "PYTHONUNBUFFERED": "1",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "HPO_LOCAL_ML_ROOT": str(folder.root),
        "TRAINING_JOB_NAME": order.name,
        "SM_HPS": json.dumps(values),
        **{f"SM_HP_{name.upper()}": order.hyperparameters[name] for name in values},
        "SM_CHANNELS": json.dumps(sorted(channels)),
        **{f"SM_CHANNEL_{name.upper()}": str(folder.data / name) for name in channels},
        "SM_MODEL_DIR": str(folder.model),
        "SM_INPUT_DIR": str(folder.root / "input"),
        "SM_INPUT_CONFIG_DIR": str(folder.config),
        "SM_OUTPUT_DIR": str(folder.output),
        "SM_OUTPUT_DATA_DIR": str(folder.output / "data"),
        "SM_HOSTS": json.dumps([HOST]),
        "SM_CURRENT_HOST": HOST,
        "SM_NUM_CPUS": str(threads),
        "SM_NUM_GPUS": "0",
        **dict.fromkeys(_THREAD_VARIABLES, str(threads)),
        **definition.get("Environment", {}),
    }


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
    for definition in definitions:
        expression = re.compile(definition.regex)
        # Within a line, an expression that begins with anything matches at its start or not at all.
        match_line = expression.match if definition.regex.startswith(".*") else expression.search
        for line in reversed(lines):
            match = match_line(line)
            if match is not None and (value := _float(match)) is not None:
                found[definition.name] = value
                break
    return found


class S3Object(NamedTuple):
    """One object of a channel and the path that it has in the channel's folder."""

    bucket: str
    key: str
    etag: str
    path: str


class S3:
    """S3 as training jobs use it: channels in, artifacts out. Thread-safe.

    A channel is downloaded once for a tuning job, and again only when its objects changed; each training job gets
    hard links to the one copy.
    """

    def __init__(self, endpoint_url: str, region: str) -> None:
        self._endpoint_url = endpoint_url
        self._region = region
        self._lock = threading.Lock()
        self._downloads: dict[Path, threading.Lock] = {}
        self._client: Any = None

    def fetch(self, channel: Mapping[str, Any], cache: Path, target: Path) -> None:
        """Put a channel's objects into the target folder.

        Raises:
            TrainingError: there are none, or they cannot be read.
        """
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
        for item in objects:
            link = target / item.path
            link.parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(copy / item.path, link)
        target.mkdir(parents=True, exist_ok=True)

    def upload(self, file: Path, uri: str) -> None:
        """Upload a file.

        Raises:
            TrainingError: S3 refuses it.
        """
        import botocore.exceptions

        bucket, key = split_s3_uri(uri)
        try:
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
            manifest = json.loads(self._s3().get_object(Bucket=bucket, Key=key)["Body"].read())
            prefix = manifest[0]["prefix"]
            for relative in manifest[1:]:
                one_bucket, one_key = split_s3_uri(prefix + relative)
                etag = self._s3().head_object(Bucket=one_bucket, Key=one_key)["ETag"]
                yield S3Object(one_bucket, one_key, etag, _inside(relative))
            return
        for page in self._s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
            for item in page.get("Contents", ()):
                if not item["Key"].endswith("/"):
                    yield S3Object(bucket, item["Key"], item["ETag"], _path_below(item["Key"], key))

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


class LogStream:
    """A training job's output as a stream of CloudWatch Logs.

    A log that cannot be sent never harms the training job: after the first failure nothing more is sent.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
    """

    GROUP = "/aws/sagemaker/TrainingJobs"
    _BATCH = 1000
    _LINE_BYTES = 16_000

    def __init__(self, client: Any, stream: str) -> None:
        self._client = client
        self._stream = stream
        self._created = False
        self._working = True
        self._offset = 0

    def send_new(self, log: Path, at_milliseconds: int, *, last: bool) -> None:
        """Send the lines that came since the last call; a line without its end only when it is the last."""
        if not self._working or not log.exists():
            return
        with log.open("rb") as file:
            file.seek(self._offset)
            text = file.read()
        if not last:
            text = text[: text.rfind(b"\n") + 1]
        self._offset += len(text)
        lines = [line[: self._LINE_BYTES] for line in text.decode(errors="replace").splitlines() if line.strip()]
        try:
            for start in range(0, len(lines), self._BATCH):
                self._create()
                self._client.put_log_events(
                    logGroupName=self.GROUP,
                    logStreamName=self._stream,
                    logEvents=[
                        {"timestamp": at_milliseconds, "message": line} for line in lines[start : start + self._BATCH]
                    ],
                )
        except Exception:
            self._working = False

    def _create(self) -> None:
        if not self._created:
            try:
                self._client.create_log_stream(logGroupName=self.GROUP, logStreamName=self._stream)
            except self._client.exceptions.ResourceNotFoundException:
                # Another training job may make the group at the same moment.
                with contextlib.suppress(self._client.exceptions.ResourceAlreadyExistsException):
                    self._client.create_log_group(logGroupName=self.GROUP)
                self._client.create_log_stream(logGroupName=self.GROUP, logStreamName=self._stream)
            self._created = True


def _channel_config(channel: Mapping[str, Any], definition: Mapping[str, Any]) -> dict[str, str]:
    source = channel["DataSource"]["S3DataSource"]
    config = {
        "TrainingInputMode": channel.get("InputMode", definition["AlgorithmSpecification"]["TrainingInputMode"]),
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": channel.get("RecordWrapperType", "None"),
    }
    return config | ({"ContentType": channel["ContentType"]} if "ContentType" in channel else {})


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


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
