"""What outlives the endpoint: jobs and tags, S3 objects and SSM parameters, in a folder.

``hpo local up --state FOLDER`` begins with what the folder holds and keeps it up to date:

- tuning and training jobs, as the Describe and List operations show them, whenever one of them changes. Jobs that ran
  when the endpoint ended without warning come back as Failed, with that reason;
- the newest version of every S3 object with its metadata, and the buckets' names and regions, before the request that
  changed them is answered;
- the newest version of every SSM parameter with its version number, likewise.

Nothing else is kept. Stacks with their Lambda functions, state machines, roles and log groups need a new
``cdk bootstrap`` and ``cdk deploy``; a stack's bucket then takes over the objects of the bucket that had its name, and
its parameters take the place of those that had theirs. Bucket policies, versioning, older versions and object tags
are not kept, nor are CloudWatch Logs: a training job's log is in the endpoint's work folder. Of a training job's
metrics in CloudWatch the final values come back.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import logging
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from ..errors import LocalError
from .describing import TrainingRecord
from .jobs import cut_off, cut_off_training_job
from .patching import replace

_LOG = logging.getLogger(__name__)

_SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE tuning_jobs (arn TEXT NOT NULL, created REAL NOT NULL, request TEXT NOT NULL, description TEXT NOT NULL,
    deleted INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (arn, created));
CREATE TABLE training_jobs (name TEXT PRIMARY KEY, owner TEXT, owner_created REAL, description TEXT NOT NULL,
    summary TEXT, number INTEGER NOT NULL);
CREATE TABLE tags (arn TEXT PRIMARY KEY, tags TEXT NOT NULL);
CREATE TABLE buckets (name TEXT PRIMARY KEY, region TEXT NOT NULL);
CREATE TABLE objects (bucket TEXT NOT NULL, key TEXT NOT NULL, content TEXT NOT NULL, etag TEXT NOT NULL,
    modified TEXT NOT NULL, metadata TEXT NOT NULL, PRIMARY KEY (bucket, key));
CREATE TABLE parameters (name TEXT NOT NULL, region TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (region, name));
"""
_TIME = "$time"
_PARAMETER_FIELDS = (
    "name",
    "value",
    "parameter_type",
    "description",
    "allowed_pattern",
    "keyid",
    "last_modified_date",
    "version",
    "data_type",
    "tier",
    "policies",
)
_PARAMETER_TYPE = "AWS::SSM::Parameter"
# What moto makes up by itself.
_PUBLIC_PARAMETERS = "/aws/"


@dataclass(frozen=True)
class KeptJob:
    """A tuning job on record."""

    request: dict[str, Any]
    description: dict[str, Any]
    training_jobs: list[TrainingRecord]
    deleted: bool


@dataclass(frozen=True)
class Kept:
    """All jobs on record; ``training_jobs`` are those of no tuning job. ``tags`` are by ARN."""

    tuning_jobs: list[KeptJob] = field(default_factory=list)
    training_jobs: list[TrainingRecord] = field(default_factory=list)
    tags: dict[str, dict[str, str]] = field(default_factory=dict)


class State:
    """The folder that an endpoint's state is kept in. Thread-safe; one endpoint at a time uses a folder.

    Args:
        folder: the folder; it is made when it is not there.
        account_id: the account whose S3 objects and parameters are kept.

    Raises:
        LocalError: another endpoint uses the folder, or it holds something else.
    """

    def __init__(self, folder: Path, account_id: str) -> None:
        self._account_id = account_id
        self._contents = folder / "objects"
        try:
            self._contents.mkdir(parents=True, exist_ok=True)
            self._claim = (folder / "lock").open("w")
        except OSError as error:
            raise LocalError(f"the state folder {folder} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(self._claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._claim.close()
            raise LocalError(
                f"the state folder {folder} is in use by another endpoint; end that or name another"
            ) from None
        self._lock = threading.RLock()
        # Serializes snapshots; what they write takes the other lock.
        self._snapshot_lock = threading.Lock()
        self._objects: dict[tuple[str, str], tuple[int, str]] = {}
        self._buckets: dict[str, str] = {}
        self._parameters: dict[tuple[str, str], tuple[int, datetime]] = {}
        self._ready = False
        self._closed = False
        try:
            self._database = self._open(folder / "state.sqlite")
        except (sqlite3.Error, LocalError) as error:
            self._claim.close()
            raise LocalError(f"the state folder {folder} cannot be read: {error}; name another one") from None

    @staticmethod
    def _open(file: Path) -> sqlite3.Connection:
        database = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        # With a log ahead of the file a killed process loses nothing that was committed.
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version == 0:
            database.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {_SCHEMA_VERSION}; COMMIT;")
        elif version != _SCHEMA_VERSION:
            raise LocalError(f"it was written by another release (format {version}, this one has {_SCHEMA_VERSION})")
        return database

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            if self._closed:
                raise LocalError("the state is closed")
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Take a last snapshot and close the folder."""
        self.snapshot()
        with self._lock:
            self._closed = True
            self._database.close()
            self._claim.close()

    # Jobs

    def load(self, now: datetime) -> Kept:
        """Give all jobs on record. Those that were cut off are marked as failed, at the moment ``now``."""
        kept = Kept()
        cut_owners: dict[tuple[str, float], list[TrainingRecord]] = {}
        with self._writing() as database:
            for name, owner, created, description, summary in database.execute(
                "SELECT name, owner, owner_created, description, summary FROM training_jobs ORDER BY number"
            ).fetchall():
                before = TrainingRecord(_decode(description), None if summary is None else _decode(summary))
                record = cut_off_training_job(before, now)
                if record is not before:
                    self._write_training_job(record, name)
                if owner is None:
                    kept.training_jobs.append(record)
                else:
                    cut_owners.setdefault((owner, created), []).append(record)
            for arn, created, request, text, deleted in database.execute(
                "SELECT arn, created, request, description, deleted FROM tuning_jobs ORDER BY created"
            ).fetchall():
                description, training_jobs = cut_off(_decode(text), cut_owners.get((arn, created), []), now)
                encoded = _encode(description)
                if encoded != text:
                    database.execute(
                        "UPDATE tuning_jobs SET description = ? WHERE arn = ? AND created = ?", (encoded, arn, created)
                    )
                kept.tuning_jobs.append(KeptJob(_decode(request), description, training_jobs, bool(deleted)))
            for arn, tags in database.execute("SELECT arn, tags FROM tags").fetchall():
                kept.tags[arn] = json.loads(tags)
        return kept

    def save_jobs(
        self,
        owner: Mapping[str, Any] | None,
        training_jobs: Sequence[TrainingRecord],
        request: Mapping[str, Any] | None = None,
    ) -> None:
        """Keep a tuning job's description, None for training jobs of none, and training jobs that have changed.

        What has ended is on record only after its artifacts in S3 are. After ``close`` nothing more is kept.
        """
        if any(record.ended for record in training_jobs):
            self.snapshot()
        with self._lock:
            if self._closed:
                return
            try:
                self._write_jobs(owner, training_jobs, request or {})
            except sqlite3.Error:
                # Training goes on; what is not kept now is kept with the next change of the same job.
                _LOG.exception("the endpoint's state could not be kept")

    def _write_jobs(
        self, owner: Mapping[str, Any] | None, training_jobs: Sequence[TrainingRecord], request: Mapping[str, Any]
    ) -> None:
        with self._writing() as database:
            arn = created = None
            if owner is not None:
                arn, created = owner["HyperParameterTuningJobArn"], owner["CreationTime"].timestamp()
                database.execute(
                    "INSERT INTO tuning_jobs (arn, created, request, description) VALUES (?, ?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET description = excluded.description",
                    (arn, created, _encode(request), _encode(owner)),
                )
            for record in training_jobs:
                database.execute(
                    "INSERT INTO training_jobs (name, owner, owner_created, description, summary, number) "
                    "VALUES (?, ?, ?, '', NULL, (SELECT COUNT(*) FROM training_jobs)) ON CONFLICT DO NOTHING",
                    (record.name, arn, created),
                )
                self._write_training_job(record, record.name)

    def _write_training_job(self, record: TrainingRecord, name: str) -> None:
        summary = None if record.summary is None else _encode(record.summary)
        self._database.execute(
            "UPDATE training_jobs SET description = ?, summary = ? WHERE name = ?",
            (_encode(record.description), summary, name),
        )

    def delete_tuning_job(self, arn: str) -> None:
        """Keep a tuning job as deleted: its training jobs stay."""
        with self._writing() as database:
            database.execute("UPDATE tuning_jobs SET deleted = 1 WHERE arn = ?", (arn,))

    def delete_training_job(self, name: str) -> None:
        """Forget a training job."""
        with self._writing() as database:
            database.execute("DELETE FROM training_jobs WHERE name = ?", (name,))

    def save_tags(self, arn: str, tags: Mapping[str, str] | None) -> None:
        """Keep a resource's tags; None forgets them."""
        with self._writing() as database:
            if tags is None:
                database.execute("DELETE FROM tags WHERE arn = ?", (arn,))
            else:
                database.execute("INSERT OR REPLACE INTO tags VALUES (?, ?)", (arn, json.dumps(tags)))

    # S3 and SSM, out of and into moto

    def restore(self) -> None:
        """Put the buckets, objects and parameters on record into moto, which has none yet."""
        from moto.s3.models import FakeKey, s3_backends
        from moto.ssm.models import Parameter, ssm_backends

        backend = s3_backends[self._account_id]["aws"]
        parameter_class: Any = Parameter
        with self._lock:
            for name, region in self._database.execute("SELECT name, region FROM buckets").fetchall():
                backend.create_bucket(name, region)
                self._buckets[name] = region
            rows = self._database.execute(
                "SELECT bucket, key, content, etag, modified, metadata FROM objects"
            ).fetchall()
            for bucket, key, content, etag, modified, metadata in rows:
                if bucket not in self._buckets:
                    continue
                value = (self._contents / content).read_bytes()
                restored: Any = FakeKey(
                    key, value, self._account_id, self._buckets[bucket], etag=etag, bucket_name=bucket
                )
                restored.last_modified = datetime.fromisoformat(modified)
                restored._metadata.update(json.loads(metadata))
                backend.buckets[bucket].keys[key] = restored
                self._objects[bucket, key] = (id(restored), modified)
            for region, facts in self._database.execute("SELECT region, facts FROM parameters").fetchall():
                parameter: Any = parameter_class(account_id=self._account_id, **_decode(facts))
                # What it is given is encrypted text already.
                parameter.value = _decode(facts)["value"]
                ssm_backends[self._account_id][region]._parameters[parameter.name].append(parameter)
                self._parameters[region, parameter.name] = (parameter.version, parameter.last_modified_date)
            self._remove_contents_of_nothing({row[2] for row in rows})
        _adopt_on_creation(self._account_id, set(self._buckets), set(self._parameters))
        self._ready = True

    def _remove_contents_of_nothing(self, known: set[str]) -> None:
        for file in self._contents.iterdir():
            if file.name not in known:
                file.unlink()

    def snapshot(self) -> None:
        """Keep what has changed in S3 and SSM since the last time."""
        if not self._ready:
            return
        with self._snapshot_lock:
            try:
                changes = [*self._changed_buckets(), *self._changed_objects(), *self._changed_parameters()]
                if changes:
                    with self._writing() as database:
                        for statement, values in changes:
                            database.execute(statement, values)
            except (OSError, sqlite3.Error, LocalError):
                _LOG.exception("the endpoint's state could not be kept")
                # Nothing is known to be kept: the next time all is written again.
                self._buckets, self._objects, self._parameters = {}, {}, {}

    def _changed_buckets(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        from moto.s3.models import s3_backends

        present = {name: bucket.region_name for name, bucket in list(_s3(s3_backends, self._account_id).items())}
        for name in present.keys() - self._buckets.keys():
            yield "INSERT OR REPLACE INTO buckets VALUES (?, ?)", (name, present[name])
        for name in self._buckets.keys() - present.keys():
            yield "DELETE FROM buckets WHERE name = ?", (name,)
        self._buckets = present

    def _changed_objects(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        from moto.s3.models import s3_backends

        present: dict[tuple[str, str], tuple[int, str]] = {}
        for bucket_name, bucket in list(_s3(s3_backends, self._account_id).items()):
            for key_name, key in list(bucket.keys.items()):
                # A deleted object of a bucket with versions is a marker that has no content.
                if not hasattr(key, "contentsize"):
                    continue
                modified = key.last_modified.isoformat()
                place = (bucket_name, key_name)
                present[place] = (id(key), modified)
                if self._objects.get(place) == present[place]:
                    continue
                content = self._write_content(key.value)
                metadata = json.dumps(dict(key.metadata), default=str)
                yield (
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                    (*place, content, key.etag.strip('"'), modified, metadata),
                )
        for place in self._objects.keys() - present.keys():
            yield "DELETE FROM objects WHERE bucket = ? AND key = ?", place
        self._objects = present

    def _write_content(self, value: bytes) -> str:
        name = hashlib.sha256(value).hexdigest()
        file = self._contents / name
        if not file.exists():
            partial = self._contents / f"{name}.partial"
            partial.write_bytes(value)
            partial.rename(file)
        return name

    def _changed_parameters(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        from moto.ssm.models import ssm_backends

        present: dict[tuple[str, str], tuple[int, datetime]] = {}
        for region, backend in list(ssm_backends[self._account_id].items()):
            for name, versions in list(backend._parameters.items()):
                if not versions or name.startswith(_PUBLIC_PARAMETERS):
                    continue
                newest = versions[-1]
                place = (region, name)
                present[place] = (newest.version, newest.last_modified_date)
                if self._parameters.get(place) != present[place]:
                    facts = {field: getattr(newest, field) for field in _PARAMETER_FIELDS}
                    yield "INSERT OR REPLACE INTO parameters VALUES (?, ?, ?)", (name, region, _encode(facts))
        for region, name in self._parameters.keys() - present.keys():
            yield "DELETE FROM parameters WHERE region = ? AND name = ?", (region, name)
        self._parameters = present


def _s3(backends: Any, account_id: str) -> dict[str, Any]:
    buckets: dict[str, Any] = backends[account_id]["aws"].buckets
    return buckets


def _adopt_on_creation(account_id: str, buckets: set[str], parameters: set[tuple[str, str]]) -> None:
    """Let a stack create the buckets and parameters that are there from an earlier run.

    Stacks are not kept. When one is deployed again, its bucket takes over the objects of the bucket that has its name,
    and its parameter takes the place of the one that has its name.
    """
    from moto.s3.models import FakeBucket, s3_backends
    from moto.ssm.models import ssm_backends

    from . import resource_types

    create_bucket = FakeBucket.create_from_cloudformation_json.__func__  # type: ignore[attr-defined]
    parameter_type = resource_types.TYPES[_PARAMETER_TYPE]

    def bucket_from_cloudformation(
        cls: Any, /, resource_name: str, cloudformation_json: Any, *args: Any, **kwargs: Any
    ) -> Any:
        there = _s3(s3_backends, account_id)
        kept = there.get(resource_name) if resource_name in buckets else None
        if kept is not None:
            there.pop(resource_name)
            s3_backends.bucket_accounts.pop(resource_name, None)
        buckets.discard(resource_name)
        bucket = create_bucket(cls, resource_name, cloudformation_json, *args, **kwargs)
        if kept is not None:
            bucket.keys = kept.keys
        return bucket

    def create_parameter(name: str, properties: dict[str, Any], at: Any) -> Any:
        if (at.region, name) in parameters:
            parameters.discard((at.region, name))
            ssm_backends[account_id][at.region]._parameters.pop(name, None)
        assert parameter_type.create is not None  # noqa: S101 - the table has one
        return parameter_type.create(name, properties, at)

    replace(FakeBucket, "create_from_cloudformation_json", classmethod(bucket_from_cloudformation))
    types = cast("dict[str, resource_types.ResourceType]", resource_types.TYPES)
    types[_PARAMETER_TYPE] = dataclasses.replace(parameter_type, create=create_parameter)


def _encode(document: Any) -> str:
    def default(value: Any) -> Any:
        if isinstance(value, datetime):
            return {_TIME: value.isoformat()}
        raise TypeError(f"cannot keep {type(value).__name__}")

    return json.dumps(document, default=default)


def _decode(text: str) -> Any:
    def hook(value: dict[str, Any]) -> Any:
        return datetime.fromisoformat(value[_TIME]) if value.keys() == {_TIME} else value

    return json.loads(text, object_hook=hook)
