"""The inbox: what came by HTTP, durable in the same file before it is answered.

Any thread may put; the loop reads it as one more source and deletes rows in the transaction that counts
them. At most one transaction writes at a time: those who put queue among themselves, and only the first
of them competes with the loop, so that many senders delay a commit by one of theirs. Seq and time of
arrival only grow, whatever the clock does: of two events without times of their own the later one wins.
"""

from __future__ import annotations

import hashlib
import time
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import duckdb
import xxhash

from consumers import crash
from consumers.arrow import pa
from consumers.errors import StoreError
from consumers.store import statements as sql
from consumers.store.access import roll_back
from consumers.store.connection import cursor, translated
from consumers.store.tables import Tables
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.store.access import Access
    from consumers.store.memory_limit import MemoryLimit

INBOX = Partition("inbox:")
WAITING_BYTES_MAX = 64 << 20
"""Bytes that may wait for the loop, beyond one request."""
_DAY_US = 24 * 3600 * 1_000_000
_FORGET_EVERY_US = 3600 * 1_000_000


class KeyTaken(Exception):  # noqa: N818 - the name says what happened
    """The key came before, with other events."""


class InboxFull(Exception):  # noqa: N818 - as KeyTaken
    """The loop is behind; later there is room."""


class InboxClosed(Exception):  # noqa: N818 - as KeyTaken
    """The run is about to end and takes nothing more."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The numbers of what was put. `is_repeat`: it was put before, and nothing was added."""

    first_seq: int
    last_seq: int
    is_repeat: bool = False


class Inbox:
    """The inbox of an open store.

    `counted` is what the loop has committed: the next seq to count, and the transaction.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, access: Access, memory: MemoryLimit) -> None:
        self.key_days = 7.0
        self.fault: StoreError | None = None
        self._access, self._memory = access, memory
        self._db, self._reads = cursor(db), cursor(db)
        self._tables = Tables(self._db, memory)
        self._putting = Lock()
        self._is_closed = False
        found = self._db.execute(sql.INBOX_ENDS, [INBOX.topic]).fetchall()[0]
        position, next_seq, self._received_us, waiting_bytes, txn_id = found
        self.next_seq: int = next_seq
        self.counted: tuple[int, int] = (position, txn_id)
        self._forgotten_us = 0
        self._put_bytes: int = waiting_bytes
        self._counted_bytes = 0
        self._puts = deque([(next_seq, self._put_bytes)])
        memory.keep(self.waiting_bytes)

    @property
    def waiting_bytes(self) -> int:
        """Bytes that the loop has not counted yet."""
        return self._put_bytes - self._counted_bytes

    def put(self, values: Sequence[bytes], key: str | None) -> Receipt:
        """Store these events; they are durable when it returns. A key that came before adds nothing.

        Raises: KeyTaken, InboxFull, InboxClosed, StoreError; then nothing is stored.
        """
        assert values, "a request holds an event"
        request = _digest(values)
        size = sum(map(len, values))
        with self._putting:
            if self._is_closed:
                raise InboxClosed
            if key is not None and (found := self._find(key)):
                if found[0] != request:
                    raise KeyTaken
                return Receipt(found[1], found[2], is_repeat=True)
            if self.waiting_bytes and self.waiting_bytes + size > WAITING_BYTES_MAX:
                raise InboxFull
            with self._access.held():
                if self._is_closed:  # meanwhile
                    raise InboxClosed
                if self.fault:
                    raise self.fault
                return self._put(values, key, request, size)

    def read(self, first: int, count: int) -> list[tuple[int, bytes, int]]:
        """Seq, value and time of arrival of what waits, in order. Called by the loop alone."""
        if self.fault:
            raise self.fault
        return sorted(
            self._access.first(
                lambda: self._reads.execute(sql.INBOX, [first, first + count]).fetchall()
            )
        )

    def has_counted(self, next_seq: int, txn_id: int) -> None:
        """Told by the loop, which holds the store, after it has committed what is before `next_seq`."""
        self.counted = (next_seq, txn_id)
        while self._puts and self._puts[0][0] <= next_seq:
            self._counted_bytes = self._puts.popleft()[1]
        self._memory.keep(self.waiting_bytes)

    def txn_of(self, seq: int) -> int | None:
        """A transaction with which it is counted, None while it waits."""
        next_seq, txn_id = self.counted
        return txn_id if next_seq > seq else None

    def close(self) -> None:
        """Take nothing more; what was acknowledged stays. May be called twice."""
        with self._access.held():
            self._is_closed = True

    def release(self) -> None:
        """Close it, and let go of the database."""
        self.close()
        with self._putting:
            self._db.close()
            self._reads.close()

    def _find(self, key: str) -> tuple[str, int, int] | None:
        asked = [xxhash.xxh3_64_intdigest(key.encode()), key, self._oldest_us()]
        found: tuple[str, int, int] | None = self._access.first(
            lambda: self._db.execute(sql.INBOX_KEY, asked).fetchone()
        )
        return found

    def _put(self, values: Sequence[bytes], key: str | None, request: str, size: int) -> Receipt:
        receipt = Receipt(self.next_seq, self.next_seq + len(values) - 1)
        received_us = max(self._received_us, _now_us())

        def work() -> None:
            self._db.execute("BEGIN")
            self._write(values, receipt, received_us)
            if key is not None:
                self._write_key(key, request, receipt, received_us)
            crash.point("inbox.inserted")
            self._db.execute("COMMIT")

        try:
            with translated(self._access.path):
                self._memory.keep(self.waiting_bytes + size)
                self._access.write(work, self._was_put)
        except StoreError as error:
            self._give_up(error)
            raise
        crash.point("inbox.stored")
        self._received_us = received_us
        self._put_bytes += size
        self._puts.append((receipt.last_seq + 1, self._put_bytes))
        self.next_seq = receipt.last_seq + 1
        return receipt

    def _write(self, values: Sequence[bytes], receipt: Receipt, received_us: int) -> None:
        batch = pa.table(
            {
                "seq": pa.array(range(receipt.first_seq, receipt.last_seq + 1), pa.int64()),
                "value": pa.array(values, pa.binary()),
                "size": pa.array(map(len, values), pa.int64()),
                "received_us": pa.array([received_us] * len(values), pa.int64()),
            }
        )
        self._tables.insert("inbox", batch)

    def _write_key(self, key: str, request: str, receipt: Receipt, received_us: int) -> None:
        if received_us - self._forgotten_us > _FORGET_EVERY_US:
            self._db.execute(sql.FORGET_KEYS, [self._oldest_us()])
            self._forgotten_us = received_us
        row = {
            "key_hash": (xxhash.xxh3_64_intdigest(key.encode()), pa.uint64()),
            "key": (key, pa.string()),
            "request": (request, pa.string()),
            "first_seq": (receipt.first_seq, pa.int64()),
            "last_seq": (receipt.last_seq, pa.int64()),
            "received_us": (received_us, pa.int64()),
        }
        batch = pa.table({name: pa.array([value], kind) for name, (value, kind) in row.items()})
        self._tables.insert("inbox_key", batch)

    def _was_put(self) -> bool:
        roll_back(self._db)
        next_seq: int = self._db.execute(sql.INBOX_ENDS, [INBOX.topic]).fetchall()[0][1]
        return next_seq > self.next_seq

    def _give_up(self, error: StoreError) -> None:
        """Undo a put; where that fails nobody knows what the file holds, and the loop has to end."""
        try:
            self._db.execute("ROLLBACK")
        except duckdb.Error:
            self.fault = error

    def _oldest_us(self) -> int:
        return _now_us() - round(self.key_days * _DAY_US)


def _digest(values: Sequence[bytes]) -> str:
    """A hash of a request's events, one after the other."""
    found = hashlib.sha256()
    for value in values:
        found.update(len(value).to_bytes(8, "little"))
        found.update(value)
    return found.hexdigest()


def _now_us() -> int:
    return time.time_ns() // 1_000
