"""One input being read: it opens late, closes at its end, and goes on after a stored position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from consumers.errors import SourceError
from consumers.files.blocks import PipeBlocks
from consumers.files.fingerprint import Fingerprint
from consumers.files.jsonl import JsonlReader
from consumers.files.lines import WholeLines
from consumers.files.opening import open_reader
from consumers.ports import Position
from monitor.events import Partition

if TYPE_CHECKING:
    from consumers.files.chunk import Chunk, Reader, ReadSettings

STDIN = Partition("stdin:")


class Stream(Protocol):
    """The records of one partition.

    `is_live` is a stream that may have nothing yet; `end_offset` is None while it is unknown.
    """

    partition: Partition
    is_live: bool
    is_ended: bool
    end_offset: int | None

    def start(self, position: Position) -> None:
        """Go on at this position. Raises: SourceError where the input is not what it was."""
        ...

    def read(self, records_max: int) -> tuple[Chunk, int]:
        """The next records, and the bytes they hold; none at the end, or if there are none yet."""
        ...

    def position(self) -> Position:
        """Where reading goes on."""
        ...

    def pause(self) -> None:
        """Let go of file and memory; the next read opens the file again."""
        ...


class FileStream:
    """A file as a partition. Reading goes on later, if the records consumed are the same."""

    is_live = False

    def __init__(self, partition: Partition, path: str, settings: ReadSettings) -> None:
        self.partition = partition
        self._path = path
        self._settings = settings
        self._reader: Reader | None = None
        self._fingerprint = Fingerprint()
        self._position = Position(0)
        self.is_ended = False
        self.end_offset: int | None = None

    def start(self, position: Position) -> None:
        """Go on at this position.

        Raises: SourceError where the file is unreadable, shrank, or its consumed records changed.
        """
        self._position = position
        reader = self._open()
        if position.next_offset:
            # A file read to its end last time is then not opened and hashed once more.
            reader.read(0)
            self._note_end(reader)

    def read(self, records_max: int) -> tuple[Chunk, int]:
        """The next records, and the bytes they hold; none at the end."""
        reader = self._reader or self._open()
        chunk = reader.read(records_max)
        held_bytes = self._fingerprint.add(chunk.values)
        self._position = Position(reader.next_offset, self._fingerprint.digest())
        self._note_end(reader)
        return chunk, held_bytes

    def position(self) -> Position:
        """Where reading goes on, with the fingerprint of what was read."""
        return self._position

    def pause(self) -> None:
        """Close the file. The next read compares the consumed records once more."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> Reader:
        reader = self._reader = open_reader(self._path, self._settings)
        self._fingerprint = Fingerprint()
        reader.skip(self._position.next_offset, self._fingerprint)
        self._compare(reader)
        self.end_offset = reader.end_offset
        return reader

    def _compare(self, reader: Reader) -> None:
        """What was skipped is what was consumed before."""
        count, stored = self._position.next_offset, self._position.fingerprint
        if reader.next_offset != count:
            self._refuse(f"has no longer the {count} records read last time")
        if stored is not None and self._fingerprint.digest() != stored:
            self._refuse(f"the first {count} records are not those read last time")

    def _refuse(self, what: str) -> None:
        self.pause()
        raise SourceError(
            f"{self._path}: {what}; restore the file, or give the new one another name or --store"
        )

    def _note_end(self, reader: Reader) -> None:
        self.is_ended = reader.is_ended
        if reader.is_ended:
            self.end_offset = self._position.next_offset
            self.pause()


class PipeStream:
    """Standard input as JSONL. Its offsets go on from those stored; it never resumes."""

    partition = STDIN
    is_live = True
    end_offset: int | None = None

    def __init__(self, fd: int, settings: ReadSettings) -> None:
        self._lines = WholeLines(PipeBlocks(fd), settings.value_bytes_max)
        self._value_bytes_max = settings.value_bytes_max
        self._reader = JsonlReader(self._lines, self._value_bytes_max)
        self.is_ended = False

    def start(self, position: Position) -> None:
        """Number the records from this position on; nothing is read again."""
        self._reader = JsonlReader(self._lines, self._value_bytes_max, position.next_offset)

    def read(self, records_max: int) -> tuple[Chunk, int]:
        """What is there, after at most a moment's wait."""
        chunk = self._reader.read(records_max)
        self.is_ended = self._reader.is_ended
        if self.is_ended:
            self.end_offset = self._reader.next_offset
        return chunk, 0

    def position(self) -> Position:
        """The next record's number; there is no fingerprint, since nothing can be compared."""
        return Position(self._reader.next_offset)

    def pause(self) -> None:
        """Nothing: a pipe cannot be opened again."""
