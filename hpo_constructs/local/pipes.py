"""Pipe mode: a channel as named pipes ``<channel>_<epoch>``, fed for as long as the training process reads.

Sources: https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-training-algo-running-container.html,
https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_Channel.html and
https://docs.aws.amazon.com/sagemaker/latest/dg/augmented-manifest-stream.html
"""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import random
import select
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, cast

_CHUNK = 1 << 16
_LOOK_SECONDS = 0.02
_RECORD_MAGIC = 0xCED7230A
_RECORD_LENGTH_BITS = 29


class Feeder:
    """Feeds one channel's pipes from a thread of its own.

    The pipe of the next epoch is there before the present one ends. A reader that closes a pipe early goes on with the
    next epoch's.

    Args:
        path: the channel's path without the epoch.
        records: the files and texts of which the stream is made, in their order.
        gzipped: whether files are unpacked on the way.
        record_io: whether each file or text is wrapped as one RecordIO record.
        shuffle_seed: the order is another one in each epoch, the same for the same seed; None keeps the order.
    """

    def __init__(
        self,
        path: Path,
        records: Sequence[Path | bytes],
        *,
        gzipped: bool = False,
        record_io: bool = False,
        shuffle_seed: int | None = None,
    ) -> None:
        self._path = path
        self._records = records
        self._gzipped = gzipped
        self._record_io = record_io
        self._shuffle_seed = shuffle_seed
        self._ended = threading.Event()
        self._make(0)
        self._thread = threading.Thread(target=self._run, name=f"pipe-{path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Feed no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        epoch = 0
        while (pipe := self._open(epoch)) is not None:
            self._make(epoch + 1)
            try:
                self._feed(pipe, epoch)
            finally:
                os.close(pipe)
            epoch += 1

    def _make(self, epoch: int) -> None:
        os.mkfifo(self._name(epoch))

    def _name(self, epoch: int) -> Path:
        return self._path.with_name(f"{self._path.name}_{epoch}")

    def _open(self, epoch: int) -> int | None:
        """Wait for a reader; None when there is nobody to wait for any more."""
        while not self._ended.wait(_LOOK_SECONDS):
            try:
                return os.open(self._name(epoch), os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # Nobody reads yet.
                    return None
        return None

    def _feed(self, pipe: int, epoch: int) -> None:
        records = list(self._records)
        if self._shuffle_seed is not None:
            random.Random(f"{self._shuffle_seed}/{epoch}").shuffle(records)  # noqa: S311 - an order, no secret
        for record in records:
            for chunk in self._chunks(record):
                if not self._write(pipe, chunk):
                    return

    def _chunks(self, record: Path | bytes) -> Iterator[bytes]:
        if self._record_io:
            yield from as_record(record if isinstance(record, bytes) else b"".join(self._read(record)))
        elif isinstance(record, bytes):
            yield record
        else:
            yield from self._read(record)

    def _read(self, file: Path) -> Iterator[bytes]:
        with open_binary(file, gzipped=self._gzipped) as opened:
            while chunk := opened.read(_CHUNK):
                yield chunk

    def _write(self, pipe: int, chunk: bytes) -> bool:
        """Write all of a chunk; False when the reader has gone or the training process has ended."""
        rest = memoryview(chunk)
        while rest:
            if self._ended.is_set():
                return False
            _, ready, _ = select.select([], [pipe], [], _LOOK_SECONDS)
            if not ready:
                continue
            try:
                rest = rest[os.write(pipe, rest) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                return False
        return True


def open_binary(file: Path, *, gzipped: bool) -> IO[bytes]:
    """Open a file to read what it holds, unpacked when it is gzipped."""
    return cast(IO[bytes], gzip.open(file)) if gzipped else file.open("rb")


def as_record(content: bytes) -> Iterator[bytes]:
    """Wrap a content as one RecordIO record: magic number, length, content, padding to four bytes.

    Raises:
        ValueError: the content is longer than a record can be (512 MB).
    """
    if len(content) >> _RECORD_LENGTH_BITS:
        raise ValueError(f"a RecordIO record holds less than 512 MB, got {len(content)} bytes")
    yield struct.pack("<II", _RECORD_MAGIC, len(content))
    yield content
    yield bytes(-len(content) % 4)


def close_all(feeders: Sequence[Feeder]) -> None:
    """Feed no more, into none of the pipes."""
    for feeder in feeders:
        with contextlib.suppress(OSError):
            feeder.close()
