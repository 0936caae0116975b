"""The store: one DuckDB file that holds facts, state, flags, dead letters and offsets.

One batch is one transaction, so after a crash all of them are as of one commit. State in memory is
a cache of it: when a commit fails the process ends, and the next one starts from the file.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from consumers import crash
from consumers.ports import Position
from consumers.store import load
from consumers.store import statements as sql
from consumers.store.access import Access, roll_back
from consumers.store.commit import Arrival, Committer
from consumers.store.connection import connect, let_go, lock_down, translated
from consumers.store.gate import Gate
from consumers.store.gate import Limits as QueryLimits
from consumers.store.inbox import INBOX, Inbox
from consumers.store.letters import BEFORE_ALL, Letter, LetterPlace, Wanted, letters_after
from consumers.store.lock import Lock, Mark
from consumers.store.memory_limit import Files, MemoryLimit
from consumers.store.migrate import create, migrate
from consumers.store.outbox import Outbox
from consumers.store.parity import wrong_cells
from consumers.store.reshape import check_classes, recompute, renumber, write_shape
from consumers.store.rows import transaction_table
from consumers.store.shape import refused_change, shape_of
from consumers.store.snapshot import Snapshots, working_files
from consumers.store.tables import Tables
from monitor.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from monitor.annotators import Ratings
    from monitor.columns import Grow
    from monitor.events import Partition
    from monitor.opinions import Opinions
    from monitor.pipeline import Step
    from monitor.state import Limits, State
    from monitor.statistics.model_weight import Weights

CHECKPOINT_BYTES = 40 << 20

__all__ = ["BEFORE_ALL", "INBOX", "Arrival", "Store", "Wanted"]


class Store:
    """A database held by this process. Use `Store.open`, then `load` once, then `commit` for each batch."""

    def __init__(
        self, path: Path, lock: Lock, *, memory_limit: str | None, checkpoint_bytes: int
    ) -> None:
        self.path = path
        self._lock = lock
        self._checkpoint_bytes = checkpoint_bytes
        if not path.exists():
            create(path)
        files = Files.of(path)
        self._db = connect(path, memory_limit or f"{files.needed_bytes}B")
        try:
            with translated(path):
                migrate(self._db)
                lock_down(self._db, working_files(path.resolve()))
                crash.point("store.migrated")
                self._settings = load.settings(self._db)
                self.txn_id = self._value(sql.LAST_TXN)
                counters = dict(self._db.execute(sql.COUNTERS).fetchall())
                positions = load.positions(self._db)
                self._mark = Mark(path)
                self._mark.check(self._settings["store_id"], self.txn_id)
        except BaseException:
            self._db.close()
            raise
        self._memory = MemoryLimit(self._db, files, is_fixed=memory_limit is not None)
        self._tables = Tables(self._db, self._memory)
        self._committer = Committer(self._tables, self._settings, counters, positions)
        self._access = Access(path)
        self.outbox = Outbox(self._db, self._tables, self._access)
        self.snapshots = Snapshots(self._db.cursor(), path, self._memory)
        with translated(path):
            self.inbox = Inbox(self._db, self._access, self._memory)

    @staticmethod
    def open(
        path: Path,
        command: str,
        *,
        memory_limit: str | None = None,
        checkpoint_bytes: int = CHECKPOINT_BYTES,
    ) -> Store:
        """Take the lock, open or create the database, bring its schema up to date.

        Raises: StoreLocked, StoreError.
        """
        lock = Lock(path, command)
        try:
            return Store(path, lock, memory_limit=memory_limit, checkpoint_bytes=checkpoint_bytes)
        except BaseException:
            lock.release()
            raise

    def shape(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that shape state: as given, else as stored, else the default."""
        return shape_of(self._settings.get("shape", {}), given)

    @property
    def must_redrive(self) -> bool:
        """Whether the shape has changed and the dead letters were not all read again since."""
        return bool(self._settings.get("must_redrive"))

    def has_redriven(self) -> None:
        """Remember that the dead letters were read again."""
        if not self.must_redrive:
            return
        with translated(self.path):
            self._db.execute("BEGIN")
            self._committer.write_settings({"must_redrive": False})
            self._db.execute("COMMIT")

    def refuse_change(self, shape: Mapping[str, Any]) -> None:
        """Raises: UsageError where the store has events and was built with another shape."""
        refused = refused_change(self.path, self._settings.get("shape", shape), shape)
        if refused and self._value(sql.HAS_EVENTS):
            raise refused

    def load(self, shape: dict[str, Any], limits: Limits, grow: Grow | None = None) -> State:
        """The state as of the last commit. Raises: StoreError where facts and state disagree."""
        with translated(self.path):
            if shape != self._settings.get("shape"):
                # Only a store without events gets here: its class list starts anew.
                self._db.execute("BEGIN")
                self._db.execute("DELETE FROM store.class")
                write_shape(self._committer, shape)
                self._db.execute("COMMIT")
            state = load.empty_state(self._db, shape, limits, Ledger(grow))
            flags = *load.fill(self._db, state), load.fill_opinions(self._db, state)
            load.check(self._db, state, flags)
            class_count = len(load.column(self._db, sql.CLASSES))
        self._committer.remember(state, class_count=class_count)
        self._memory.fit(self._committer.large)
        return state

    def rebuild(self, shape: dict[str, Any], limits: Limits, grow: Grow | None = None) -> State:
        """Compute all state anew from the facts, for this shape, in one transaction.

        Raises: UsageError where a class that annotations use is missing from a new class list.
        """
        with translated(self.path):
            check_classes(self._db, shape["classes"])
            # In one transaction any row may be written anew.
            self._memory.rewrite(self.path.stat().st_size)
            txn_id = self._begin()
            renumber(self._db, shape["classes"])
            write_shape(self._committer, shape)
            state = load.empty_state(self._db, shape, limits, Ledger(grow))
            flags = load.fill(self._db, state)
            recompute(self._db, self._tables, state, flags, txn_id)
            self._committer.remember(state, class_count=len(load.column(self._db, sql.CLASSES)))
            self._committer.write_names(state)
            self._db.execute("COMMIT")
            self._has_committed()
        self._committer.remember(state, class_count=len(state.classes))
        return state

    def positions(self, state: State) -> dict[Partition, Position]:
        """Where each partition goes on."""
        return {
            state.partitions[source]: Position(offset, fingerprint)
            for source, (offset, fingerprint) in load.positions(self._db).items()
        }

    def dead_letters(self, place: LetterPlace, wanted: Wanted) -> list[Letter]:
        """The dead letters after this place, as many as are wanted."""
        with translated(self.path):
            return letters_after(self._db, place, wanted)

    def letters_in_part(self, reason: str | None) -> int:
        """How many dead letters cannot be read again, because only their beginning is kept."""
        with translated(self.path):
            return self._value(sql.LETTERS_IN_PART, {"reason": reason})

    def commit(self, step: Step, state: State, arrival: Arrival) -> None:
        """Write everything a step changed, and the positions after it, in one transaction.

        Raises: StoreError; then this process must end, its state is ahead of the store.
        """
        counted = arrival.positions.get(INBOX)
        with self._access.held():
            self._access.write(lambda: self._write(step, state, arrival), self._was_written)
            self._has_committed()
            if counted:
                self.inbox.has_counted(counted.next_offset, self.txn_id)
        self._committer.remember(state, class_count=len(state.classes))

    def publish(self, opinions: Opinions, state: State) -> None:
        """Write what a sweep says anew, in a transaction of its own. Raises: StoreError, as `commit` does."""
        if len(opinions):
            self._commit_apart(lambda txn_id: self._committer.publish(opinions, state, txn_id))

    def rate(self, ratings: Ratings, weights: Weights) -> None:
        """Write how good annotators and model are. Raises: StoreError, as `commit` does."""
        self._commit_apart(lambda _: self._committer.rate(ratings, weights))

    def _commit_apart(self, write: Callable[[int], None]) -> None:
        def transaction() -> None:
            txn_id = self._begin()
            write(txn_id)
            crash.point("store.inserted")
            self._db.execute("COMMIT")

        with self._access.held():
            self._access.write(transaction, self._was_written)
            self._has_committed()

    def gate(self, limits: QueryLimits, queries: int) -> Gate:
        """Answers queries from other threads until `close`, so many at a time. The state is loaded."""
        gate = Gate(self._db, self.path, limits, queries=queries, memory=self._memory)
        self._access.gate = gate
        return gate

    def checkpoint(self, above_bytes: int | None = None) -> bool:
        """Fold the write-ahead log into the file when it is larger than this, or than the setting.

        Whether it was.
        """
        limit = self._checkpoint_bytes if above_bytes is None else above_bytes
        wal = self.path.with_name(self.path.name + ".wal")
        if not wal.exists() or wal.stat().st_size <= limit:
            return False
        with self._access.held():
            self._access.first(lambda: self._db.execute("CHECKPOINT"))
            self._memory.release()
        crash.point("store.checkpointed")
        return True

    def parity(self, collision: str) -> int:
        """How many cells of joint and thresholds a recount from the facts gives differently."""
        return self._access.first(lambda: wrong_cells(self._db, collision))

    def labels(self) -> list[tuple[Any, ...]]:
        """Every live annotation: example, annotator, given and suggested label, score, if it is flagged."""
        return self._access.first(lambda: self._db.execute(sql.LABELS).fetchall())

    def tell_url(self, url: str) -> None:
        """Say in the lock file where this process answers questions."""
        self._lock.tell_url(url)

    def close(self) -> None:
        """Let go of the file as it is."""
        if self._access.gate:
            self._access.gate.end()
        self.snapshots.close()
        self.inbox.release()
        self._memory.close()
        let_go(self._db)
        self._mark.close()
        self._lock.release()

    def _was_written(self) -> bool:
        roll_back(self._db)
        if self._value(sql.LAST_TXN) > self.txn_id:
            return True
        self._committer.undo()
        self.outbox.unsaved()
        return False

    def _write(self, step: Step, state: State, arrival: Arrival) -> None:
        txn_id = self._begin()
        self._committer.write(step, state, arrival, txn_id)
        if INBOX in arrival.positions:
            self._db.execute(sql.DELETE_COUNTED, [arrival.positions[INBOX].next_offset])
        self.outbox.write()
        crash.point("store.inserted")
        self._db.execute("COMMIT")

    def _begin(self) -> int:
        txn_id = self.txn_id + 1
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        self._db.execute("BEGIN")
        self._tables.insert("txn", transaction_table(txn_id, now))
        return txn_id

    def _has_committed(self) -> None:
        crash.point("store.committed")
        self.txn_id += 1
        self._mark.write(self._settings["store_id"], self.txn_id)
        crash.point("store.marked")
        self._memory.fit(self._committer.large)

    def _value(self, statement: str, parameters: dict[str, Any] | None = None) -> int:
        row = self._db.execute(statement, parameters or {}).fetchone()
        assert row is not None, "an aggregate has one row"
        return int(row[0])
