"""Two small files beside the database: who holds it, and how far it had come.

`<store>.lock` is held with flock while a process writes. DuckDB's own lock is a POSIX one, which
any close() of the file in this process would drop; this one is the real fence. `<store>.mark`
names the last transaction known to be durable. A database that opens with an older one has lost
its write-ahead log, which DuckDB cannot tell.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from pathlib import Path

from consumers.errors import StoreError, StoreLocked


class Lock:
    """Exclusive hold of a database file by this process, until `release` or the process ends."""

    def __init__(self, store: Path, command: str) -> None:
        path = Path(f"{store}.lock")
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{path}: {error.strerror}; check the folder and its permissions"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = holder_of(store)
            os.close(self._fd)
            raise StoreLocked(str(store), holder or "another process") from None
        self._known: dict[str, object] = {"pid": os.getpid(), "command": command}
        self._tell()

    def announce(self, url: str) -> None:
        """Say where this process answers questions, so that commands which read find it."""
        self._known["url"] = url
        self._tell()

    def _tell(self) -> None:
        os.truncate(self._fd, 0)
        # Only for messages: a full disk may leave it empty.
        with contextlib.suppress(OSError):
            os.pwrite(self._fd, json.dumps(self._known).encode(), 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two different files."""
        os.truncate(self._fd, 0)
        os.close(self._fd)


def holder_of(store: Path) -> str | None:
    """Who holds the database, as `pid 12 (labelwatch run)`; None where the lock file does not tell."""
    try:
        held = json.loads(Path(f"{store}.lock").read_bytes())
        return f"pid {held['pid']} ({held['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return None


def url_of(store: Path) -> str | None:
    """Where the process that holds the database answers questions; None where it does not, or not yet."""
    try:
        url = json.loads(Path(f"{store}.lock").read_bytes())["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return url if isinstance(url, str) else None


class Mark:
    """The high-water mark of a database: its identity and the last durable transaction."""

    _WIDTH = 64

    def __init__(self, store: Path) -> None:
        self.path = Path(f"{store}.mark")
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}; check the folder and its permissions"
            ) from error

    def check(self, store_id: str, txn_id: int) -> None:
        """Raises: StoreError when the database is older than it was."""
        text = os.pread(self._fd, self._WIDTH, 0).decode("ascii", "replace")
        if lost := lost_log(self.path, text, store_id, txn_id):
            raise lost
        self.write(store_id, txn_id)

    def write(self, store_id: str, txn_id: int) -> None:
        """Remember a durable transaction. Not synced: a mark that is too low does no harm.

        Raises: StoreError.
        """
        try:
            os.pwrite(self._fd, f"{store_id} {txn_id}".ljust(self._WIDTH).encode(), 0)
        except OSError as error:
            raise StoreError(
                f"{self.path}: {error.strerror}. Nothing is lost: make room and start again"
            ) from error

    def close(self) -> None:
        """Release the file."""
        os.close(self._fd)


def lost_log(mark: Path, text: str, store_id: str, txn_id: int) -> StoreError | None:
    """What a mark with this text says of a database that ends at `txn_id`; None where all is well."""
    known_id, _, known = text.partition(" ")
    if known_id != store_id or not known.strip().isdecimal() or int(known) <= txn_id:
        return None
    return StoreError(
        f"the database ends at transaction {txn_id}, but {mark} says that {int(known)} was "
        "durable: its .wal file is missing or an old copy was put back. Restore the .wal file; "
        f"or, to go on from the older state and read the rest again, delete {mark}"
    )
