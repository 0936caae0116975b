"""What output topics do not have yet.

Findings and dead letters are durable with the transaction that made them, so they are their own
outbox: what is kept besides is how far each stream has come. Rows are ordered by transaction, and
none is ever inserted before one that is there: a dead letter that is read again keeps its
transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from consumers import crash
from consumers.arrow import pa
from consumers.ports import Stream
from consumers.store import statements as sql
from consumers.store.access import roll_back
from consumers.store.connection import translated
from consumers.store.letters import Wanted, letters_after
from consumers.store.messages import finding_message, letter_message

if TYPE_CHECKING:
    from collections.abc import Iterable

    import duckdb

    from consumers.ports import Message
    from consumers.store.access import Access
    from consumers.store.tables import Tables

    Cursor = tuple[Any, ...]

ROWS_MAX = 5_000
BYTES_MAX = 16 << 20
RANGE = 1 << 18
"""Examples that are ranked at a time, because to rank all at once would need memory for all."""
_NO_END = 2**63 - 1

_TABLES = {Stream.FINDINGS: "published_finding", Stream.DEAD_LETTERS: "published_dead_letter"}
"""What goes on from a cursor. What to label next does not: it is what it is now."""
_BEFORE: dict[Stream, Cursor] = {Stream.FINDINGS: ("", -1), Stream.DEAD_LETTERS: (-1, -1)}
_COLUMNS = {
    Stream.FINDINGS: (("txn_id", pa.int64()), ("kind", pa.string()), ("annotation", pa.int32())),
    Stream.DEAD_LETTERS: (
        ("txn_id", pa.int64()), ("source", pa.int32()), ("position", pa.int64()),
    ),
}  # fmt: skip


class Outbox:
    """Reads each stream page by page from a cursor, and stores the cursors that moved."""

    def __init__(self, db: duckdb.DuckDBPyConnection, tables: Tables, access: Access) -> None:
        self._db = db
        self._tables = tables
        self._access = access
        self._cursors: dict[Stream, Cursor] = {}
        self._ends: dict[Stream, Cursor] = {}
        self._moved: set[Stream] = set()

    def begin(self, streams: Iterable[Stream], next_txn_id: int) -> None:
        """Publish these streams: from where it was left, else from the transaction that comes next on.

        Raises: StoreError.
        """
        with translated(self._access.path):
            for stream in streams:
                stored = self._stored(stream)
                self._cursors[stream] = stored or (next_txn_id, *_BEFORE[stream])
                if stored is None:
                    self._moved.add(stream)
        self.save()

    def page(self, stream: Stream) -> list[Message]:
        """The messages after the cursor, the same ones until `advance`; none where all are published.

        Raises: StoreError.
        """
        read = self._findings if stream is Stream.FINDINGS else self._letters
        messages, end = self._access.first(lambda: read(self._cursors[stream]))
        self._ends[stream] = end
        return messages

    def ranking(self, rows_max: int) -> tuple[list[dict[str, Any]], int]:
        """The first rows of the view `next_labels`, and the transaction that they are as of.

        Raises: StoreError.
        """
        return self._access.first(lambda: self._ranking(rows_max))

    def advance(self, stream: Stream) -> None:
        """The page that was read last is published."""
        self._cursors[stream] = self._ends.pop(stream)
        self._moved.add(stream)

    def write(self) -> None:
        """Store the cursors that moved, inside a transaction of the caller."""
        for stream in self._moved:
            row = zip(_COLUMNS[stream], self._cursors[stream], strict=True)
            self._db.execute(f"DELETE FROM store.{_TABLES[stream]}")  # noqa: S608 - our own table names
            batch = pa.table({name: pa.array([value], kind) for (name, kind), value in row})
            self._tables.insert(_TABLES[stream], batch)
        self._moved.clear()

    def save(self) -> None:
        """Store the cursors that moved now, where the next commit is not at hand. Raises: StoreError."""
        if self._moved:
            with self._access.held():
                self._access.write(self._save, self._was_saved)
            crash.point("publish.saved")

    def _save(self) -> None:
        self._db.execute("BEGIN")
        self.write()
        self._db.execute("COMMIT")

    def _was_saved(self) -> bool:
        # To save the same again does no harm.
        roll_back(self._db)
        self.unsaved()
        return False

    def unsaved(self) -> None:
        """What `write` wrote was taken back."""
        self._moved.update(self._cursors)

    def _stored(self, stream: Stream) -> Cursor | None:
        names = ", ".join(name for name, _ in _COLUMNS[stream])
        return self._db.execute(f"SELECT {names} FROM store.{_TABLES[stream]}").fetchone()  # noqa: S608 - names of ours

    def _findings(self, cursor: Cursor) -> tuple[list[Message], Cursor]:
        found = self._db.execute(
            sql.FINDINGS,
            dict(zip(("txn_id", "kind", "annotation"), cursor, strict=True))
            | {"last": _NO_END, "rows_max": ROWS_MAX},
        )
        columns = [column[0] for column in found.description or []]
        rows = [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
        if rows:
            cursor = tuple(rows[-1][name] for name in ("txn_id", "kind", "annotation"))
        return [finding_message(row) for row in rows], cursor

    def _ranking(self, rows_max: int) -> tuple[list[dict[str, Any]], int]:
        ((last, txn_id),) = self._db.execute(sql.NEXT_ENDS).fetchall()
        rows: list[dict[str, Any]] = []
        for first in range(0, last + 1, RANGE):
            found = self._db.execute(sql.NEXT, [first, first + RANGE - 1, rows_max])
            columns = [column[0] for column in found.description or []]
            rows += [dict(zip(columns, row, strict=True)) for row in found.fetchall()]
            rows.sort(key=lambda row: (row["active_learning_score"], row["example_id"].encode()))
            del rows[rows_max:]
        return rows, txn_id

    def _letters(self, cursor: Cursor) -> tuple[list[Message], Cursor]:
        txn_id, source, position = cursor
        wanted = Wanted(ROWS_MAX, BYTES_MAX)
        letters = letters_after(self._db, (txn_id, source, position), wanted)
        if letters:
            cursor = letters[-1].place
        return [letter_message(letter) for letter in letters], cursor
