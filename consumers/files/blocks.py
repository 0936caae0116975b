"""Bytes as they come: from a file, a gzip file, or a pipe that may have none yet."""

from __future__ import annotations

import contextlib
import gzip
import os
import select
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from consumers.errors import SourceError

if TYPE_CHECKING:
    import io

if sys.platform != "win32":
    import fcntl

# Measured: lines come twice as fast out of blocks of up to 512 KiB as out of blocks of a MiB.
BLOCK_BYTES = 1 << 18
PIPE_BYTES = 1 << 20  # what Linux grants without privileges
PIPE_WAIT_S = 0.1
GZIP_MAGIC = b"\x1f\x8b"


class Blocks(Protocol):
    """A run of bytes in pieces of any length."""

    def read(self) -> bytes | None:
        """The next bytes; empty at the end; None when there are none yet.

        Raises: SourceError where the bytes cannot be read.
        """
        ...

    def close(self) -> None:
        """Release the file. May be called twice."""
        ...


class FileBlocks:
    """A regular file, unpacked where it is gzip."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _open(path)

    def read(self) -> bytes:
        """The next block; empty at the end.

        Raises: SourceError where the disk or the packing fails.
        """
        try:
            return self._file.read(BLOCK_BYTES)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise SourceError(
                f"{self._path}: the gzip data is damaged or ends early ({error}); copy it again"
            ) from error
        except OSError as error:
            raise SourceError(unreadable(self._path, error)) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PipeBlocks:
    """Standard input: what is there, as soon as it is there."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._is_ended = False
        self._widen()

    def read(self) -> bytes | None:
        """All that waits in the pipe, up to `PIPE_BYTES`; None after `PIPE_WAIT_S` without a byte.

        Raises: SourceError where standard input is closed or cannot be read.
        """
        pieces: list[bytes] = []
        wait_s = PIPE_WAIT_S
        while not self._is_ended and sum(map(len, pieces)) < PIPE_BYTES:
            if not self._is_ready(wait_s):
                break
            pieces.append(self._read_once())
            self._is_ended = not pieces[-1]
            wait_s = 0.0
        return b"".join(pieces) if pieces or self._is_ended else None

    def close(self) -> None:
        """Nothing: the process that opened standard input closes it."""

    def _is_ready(self, wait_s: float) -> bool:
        try:
            return bool(select.select([self._fd], [], [], wait_s)[0])
        except (OSError, ValueError) as error:
            raise SourceError(f"standard input cannot be read: {error}; pipe a file in") from error

    def _read_once(self) -> bytes:
        try:
            return os.read(self._fd, PIPE_BYTES)
        except OSError as error:
            raise SourceError(
                f"standard input cannot be read: {error.strerror}; pipe a file in"
            ) from error

    def _widen(self) -> None:
        # A pipe holds 64 KiB by default, 300 records: each commit would be that small.
        if sys.platform == "linux":
            with contextlib.suppress(OSError):
                fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, PIPE_BYTES)


def head(path: str, size: int) -> bytes:
    """The first bytes of a file, packed as they are.

    Raises: SourceError where the file cannot be opened.
    """
    try:
        with Path(path).open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise SourceError(unreadable(path, error)) from error


def unreadable(path: str, error: OSError) -> str:
    """One line: the file, what the system said, and what to do."""
    return f"{path}: {error.strerror or error}; check the path and its permissions"


def _open(path: str) -> io.FileIO | gzip.GzipFile:
    is_packed = head(path, len(GZIP_MAGIC)) == GZIP_MAGIC
    try:
        return gzip.open(path, "rb") if is_packed else Path(path).open("rb", buffering=0)
    except OSError as error:
        raise SourceError(unreadable(path, error)) from error
