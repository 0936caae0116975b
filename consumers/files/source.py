"""Several inputs, one after another, as one source."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consumers.errors import SourceError
from consumers.files.blocks import unreadable
from consumers.files.chunk import ReadSettings
from consumers.files.stream import FileStream, PipeStream
from consumers.ports import Polled, Position
from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from consumers.files.chunk import Chunk
    from consumers.files.stream import Stream

STDIN_NAME = "-"
NO_RECORD_TIME = -1
POLL_BYTES_MAX = 64 << 20
KEPT_OPEN_MAX = 8


class FileSource:
    """Files, and `-` for standard input, in the order given, as a Source.

    A file given twice, under whatever names, is read once, under its first. A poll may span
    files, so that many small ones are committed together. Files have no record time and no keys.
    `field_paths` is the configured field mapping, field name → dotted path.

    Raises: SourceError where an input is missing, a directory or a pipe.
    """

    def __init__(
        self,
        paths: Sequence[str],
        value_bytes_max: int,
        field_paths: Mapping[str, str] | None = None,
        *,
        stdin_fd: int = 0,
    ) -> None:
        settings = ReadSettings(value_bytes_max, field_paths or {})
        self._streams: list[Stream] = [
            PipeStream(stdin_fd, settings)
            if path == STDIN_NAME
            else FileStream(_partition(path), path, settings)
            for path in _distinct(paths)
        ]

    def seek(self, positions: Mapping[Partition, Position]) -> None:
        """Start at these positions; every file is opened once, so that faults come first.

        Raises: SourceError where a file is unreadable, or its consumed records are not the same.
        """
        open_count = 0
        for stream in self._streams:
            stream.start(positions.get(stream.partition, Position(0)))
            open_count += not stream.is_ended
            if open_count > KEPT_OPEN_MAX:
                stream.pause()

    def poll(self, records_max: int) -> Polled:
        """At most `records_max` records, or fewer that hold `POLL_BYTES_MAX`, in order.

        Raises: SourceError where an input turns out to be unreadable.
        """
        taken: list[tuple[Partition, Chunk]] = []
        positions: dict[Partition, Position] = {}
        for stream, chunk in self._chunks(records_max):
            taken.append((stream.partition, chunk))
            positions[stream.partition] = stream.position()
        is_exhausted = all(stream.is_ended for stream in self._streams)
        return Polled(_records(taken), positions, is_exhausted)

    def _chunks(self, records_max: int) -> Iterator[tuple[Stream, Chunk]]:
        room, room_bytes = records_max, POLL_BYTES_MAX
        for stream in self._streams:
            while not stream.is_ended:
                # What is there goes out before a pipe is waited for.
                if room <= 0 or room_bytes <= 0 or (stream.is_live and room < records_max):
                    return
                chunk, held_bytes = stream.read(room)
                if chunk.values:
                    yield stream, chunk
                elif not stream.is_ended:
                    return
                room -= len(chunk.values)
                room_bytes -= held_bytes

    def commit(self, positions: Mapping[Partition, Position]) -> None:
        """Nothing: a file does not know its readers."""

    def end_offsets(self) -> Mapping[Partition, int]:
        """The number of records of Parquet files, and of other inputs once they have been read."""
        return {
            stream.partition: stream.end_offset
            for stream in self._streams
            if stream.end_offset is not None
        }

    @property
    def away(self) -> str | None:
        """Never: a file that cannot be read is an error."""
        return None

    def close(self) -> None:
        """Close the files. May be called twice."""
        for stream in self._streams:
            stream.pause()


def _distinct(paths: Iterable[str]) -> list[str]:
    """The inputs without repetitions: the same file under two names is one."""
    identity = {path: STDIN_NAME if path == STDIN_NAME else _identify(path) for path in paths}
    first = {key: path for path, key in reversed(identity.items())}
    return [path for path, key in identity.items() if first[key] == path]


def _identify(path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise SourceError(unreadable(path, error)) from error
    if stat.S_ISDIR(status.st_mode):
        raise SourceError(f"{path}: is a directory; name the files in it, as in {path}/*.jsonl")
    if not stat.S_ISREG(status.st_mode):
        raise SourceError(f"{path}: is no regular file and cannot be read twice; pipe it into -")
    return status.st_dev, status.st_ino


def _partition(path: str) -> Partition:
    # A name that is no UTF-8 must still fit the store.
    name = os.fsencode(os.path.realpath(path)).decode("utf-8", "backslashreplace")
    return Partition(f"file:{name}")


def _records(taken: Sequence[tuple[Partition, Chunk]]) -> Records:
    partitions = tuple(dict.fromkeys(partition for partition, _ in taken))
    values = [value for _, chunk in taken for value in chunk.values]
    counts = [len(chunk.values) for _, chunk in taken]
    indexes = [partitions.index(partition) for partition, _ in taken]
    no_offsets = np.empty(0, np.int64)
    return Records(
        values=[*values],
        keys=[None] * len(values),
        offsets=np.concatenate([no_offsets, *(chunk.offsets for _, chunk in taken)]),
        timestamps_us=np.full(len(values), NO_RECORD_TIME, np.int64),
        partition_index=np.repeat(np.array(indexes, np.int64), counts),
        partitions=partitions,
    )
