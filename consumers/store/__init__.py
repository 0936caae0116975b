"""The store: one DuckDB file that holds facts, state, flags, dead letters and offsets.

One batch is one transaction, so after a crash all of them are as of one commit. State in memory is a
cache of it: when a commit fails the process ends, and the next one starts from the file.
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from consumers import crash
from consumers.errors import UsageError
from consumers.ports import Position
from consumers.store import load, rows
from consumers.store import statements as sql
from consumers.store.connection import connect, translated
from consumers.store.lock import Lock, Mark
from consumers.store.migrate import migrate
from monitor.events import Partition, Records

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from monitor.ledger import Rows
    from monitor.pipeline import Limits, State, Step

CHECKPOINT_BYTES = 32 << 20
SHAPE_DEFAULTS: dict[str, Any] = {
    "classes": None,
    "collision": "cleanlab",
    "fields": {},
    "tombstone_key": "example_id",
}
"""Settings that shape state, and what they are where nobody says. Recorded in the store."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """The records of one batch: their positions afterwards, and whether they were dead letters before."""

    records: Records
    positions: Mapping[Partition, Position]
    is_redrive: bool = False


class Store:
    """A database held by this process. Use `Store.open`, then `load` once, then `commit` for each batch."""

    def __init__(self, path: Path, lock: Lock, memory_limit: str) -> None:
        self.path = path
        self._lock = lock
        self._db = connect(path, memory_limit)
        with translated(path):
            migrate(self._db)
            crash.point("store.migrated")
            self._settings = load.settings(self._db)
            row = self._db.execute(sql.LAST_TXN).fetchone()
        assert row is not None
        self.txn_id = int(row[0])
        self.counters: dict[str, int] = {}
        self._mark = Mark(path)

    @staticmethod
    def open(path: Path, command: str, *, memory_limit: str = "512MB") -> Store:
        """Take the lock, open or create the database, bring its schema up to date.

        Raises: StoreLocked, StoreError.
        """
        lock = Lock(path, command)
        try:
            return Store(path, lock, memory_limit)
        except BaseException:
            lock.release()
            raise

    def shape(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], bool]:
        """The settings that shape state: as given, else as stored, else the default; and whether they changed.

        Raises: UsageError where a given one differs from the stored one and the store has events.
        """
        stored = self._settings.get("shape", {})
        shape = {
            name: default if (value := given.get(name)) is None else value
            for name, default in (SHAPE_DEFAULTS | stored).items()
        }
        changed = [name for name in stored if shape[name] != stored[name]]
        if changed and self._has_events():
            name = changed[0]
            raise UsageError(
                f"{name}: {self.path} was built with {json.dumps(stored[name])}, not "
                f"{json.dumps(shape[name])}; leave the setting out, run `labelwatch rebuild` with the new "
                "value, or use another --store"
            )
        return shape, bool(changed)

    def load(self, shape: dict[str, Any], limits: Limits) -> State:
        """The state as of the last commit. Raises: StoreError where facts and state disagree."""
        with translated(self.path):
            if shape != self._settings.get("shape"):
                self._reshape(shape)
            state = load.empty_state(self._db, shape, limits)
            flags = load.fill(self._db, state)
            load.check(self._db, state, flags)
            self.counters = dict(self._db.execute(sql.COUNTERS).fetchall())
        self._mark.check(self._settings["store_id"], self.txn_id)
        self._remember(state, class_count=len(load.column(self._db, sql.CLASSES)))
        return state

    def positions(self, state: State) -> dict[Partition, Position]:
        """Where each partition goes on."""
        return {
            state.partitions[source]: Position(offset, fingerprint)
            for source, offset, fingerprint in self._db.execute(sql.POSITIONS).fetchall()
        }

    def dead_letters(self) -> Records:
        """The dead letters that were kept whole, as records with their original coordinates."""
        found = self._db.execute(sql.DEAD_LETTERS).fetchall()
        places = [Partition(topic, number) for topic, number, *_ in found]
        partitions = tuple(dict.fromkeys(places))
        return Records(
            [row[5] for row in found],
            [row[3] for row in found],
            np.array([row[2] for row in found], np.int64),
            np.array([row[4] for row in found], np.int64),
            np.array([partitions.index(place) for place in places], np.int64),
            partitions,
        )

    def commit(self, step: Step, state: State, arrival: Arrival) -> None:
        """Write everything a step changed, and the positions after it, in one transaction.

        Raises: StoreError; then this process must end, its state is ahead of the store.
        """
        with translated(self.path):
            self._db.execute("BEGIN")
            txn_id = self.txn_id + 1
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
            self._db.execute("INSERT INTO store.txn VALUES (?, ?)", [txn_id, now])
            self._write_names(state)
            self._write_facts(step, state, txn_id)
            self._write_flags(step, state, txn_id)
            self._write_arrival(step, state, arrival, txn_id)
            crash.point("store.inserted")
            self._db.execute("COMMIT")
            crash.point("store.committed")
        self.txn_id = txn_id
        self._mark.write(self._settings["store_id"], txn_id)
        crash.point("store.marked")
        self._remember(state, class_count=len(state.classes))

    def checkpoint(self, above_bytes: int = CHECKPOINT_BYTES) -> None:
        """Fold the write-ahead log into the file when it is larger than this."""
        wal = self.path.with_name(self.path.name + ".wal")
        if wal.exists() and wal.stat().st_size > above_bytes:
            with translated(self.path):
                self._db.execute("CHECKPOINT")
            crash.point("store.checkpointed")

    def parity(self, collision: str) -> int:
        """Cells of joint and thresholds that a recount from the facts gives differently: 0 when all is well."""
        with translated(self.path):
            row = self._db.execute(sql.PARITY, {"collision": collision}).fetchone()
        assert row is not None
        return int(row[0])

    def close(self) -> None:
        """Checkpoint and let go of the file."""
        self.checkpoint(above_bytes=0)
        self.abandon()

    def abandon(self) -> None:
        """Let go of the file as it is, after a fault."""
        self._db.close()
        self._mark.close()
        self._lock.release()

    def _has_events(self) -> bool:
        row = self._db.execute(sql.HAS_EVENTS).fetchone()
        return bool(row and row[0])

    def _reshape(self, shape: dict[str, Any]) -> None:
        """Record the shape of a store without events; the class list starts anew."""
        self._settings["shape"] = shape
        self._settings.setdefault("store_id", uuid.uuid4().hex)
        self._db.execute("BEGIN")
        self._db.execute("DELETE FROM store.class")
        for name in (load.AUTHORITY, load.ALIGNMENT):
            self._settings.pop(name, None)
        self._db.execute("DELETE FROM store.setting")
        self._write_settings(self._settings)
        self._db.execute("COMMIT")

    def _remember(self, state: State, *, class_count: int) -> None:
        """What the store holds now, so that the next commit writes only what is new."""
        self._stored = _Stored(
            class_count,
            len(state.annotators),
            len(state.model_versions),
            len(state.partitions),
            {
                number: (each.statistics, each.issue_count, each.joint)
                for number, each in state.label_issues.strata.items()
            },
        )

    def _insert(self, table: str, batch: pa.Table) -> None:
        if len(batch):
            self._db.register("batch", batch)
            self._db.execute(f"INSERT INTO store.{table} SELECT * FROM batch")  # noqa: S608 - our own names
            self._db.unregister("batch")

    def _delete(self, statement: str, batch: pa.Table | Rows, *parameters: str) -> None:
        if len(batch):
            table = batch if isinstance(batch, pa.Table) else pa.table({"value": batch})
            self._db.register("batch", table)
            self._db.execute(statement, list(parameters))
            self._db.unregister("batch")

    def _replace(self, table: str, statement: str, batch: pa.Table) -> None:
        self._delete(statement, batch)
        self._insert(table, batch)

    def _write_names(self, state: State) -> None:
        stored = self._stored
        for table, names, known in (
            ("class", state.classes.names, stored.class_count),
            ("annotator", state.annotators.names, stored.annotator_count),
            ("model_version", state.model_versions.names, stored.model_version_count),
        ):
            numbers = pa.array(range(known, len(names)), pa.int32())
            self._insert(table, pa.table({"number": numbers, "name": pa.array(names[known:], pa.string())}))
        new = state.partitions[stored.partition_count :]
        self._insert(
            "partition",
            pa.table(
                {
                    "source": pa.array(range(stored.partition_count, len(state.partitions)), pa.int32()),
                    "topic": pa.array([each.topic for each in new], pa.string()),
                    "number": pa.array([each.number for each in new], pa.int32()),
                }
            ),
        )
        found = {load.AUTHORITY: str(state.classes.authority), load.ALIGNMENT: state.classes.alignment}
        changed = {name: value for name, value in found.items() if self._settings.get(name) != value}
        self._write_settings(changed)

    def _write_settings(self, settings: Mapping[str, Any]) -> None:
        self._settings |= settings
        batch = pa.table(
            {
                "name": pa.array(list(settings), pa.string()),
                "value": pa.array([json.dumps(value) for value in settings.values()], pa.string()),
            }
        )
        self._replace("setting", sql.DELETE_SETTINGS, batch)

    def _write_facts(self, step: Step, state: State, txn_id: int) -> None:
        annotations = rows.annotation_table(step, state, txn_id)
        written = step.annotations.annotation[step.outcome.annotation_wins]
        self._delete(sql.DELETE_ANNOTATIONS, written[written < step.annotation_start])
        self._insert("annotation", annotations)
        examples, old = rows.example_table(step, state, txn_id)
        self._delete(sql.DELETE_EXAMPLES, old)
        self._insert("example", examples)
        self._insert("prediction_key", rows.prediction_key_table(step))
        self._insert("marker", rows.marker_table(step))
        marked, retracted = rows.retracted_tables(step, state.ledger)
        self._delete(sql.DELETE_RETRACTED, marked)
        self._insert("retracted", pa.table({"annotation": retracted}))
        reviews = rows.review_table(step, txn_id)
        if reviews is not None:
            self._insert("review", reviews)

    def _write_flags(self, step: Step, state: State, txn_id: int) -> None:
        goes, comes = rows.verdict_tables(state.label_issues)
        self._delete(sql.DELETE_VERDICTS, goes)
        self._insert("verdict", comes)
        for flags in step.flags:
            goes, comes = rows.flag_tables(flags, txn_id)
            self._delete(sql.DELETE_FLAGS, goes, str(flags.kind))
            self._insert("flag", comes)
            self._insert("finding", rows.finding_table(flags, txn_id))
        for number in state.label_issues.verdicts.strata:
            self._write_stratum(number, state)

    def _write_stratum(self, number: int, state: State) -> None:
        """The classes and cells of a stratum that differ from what is stored."""
        stratum = state.label_issues.strata[number]
        count, total = stratum.statistics.count, stratum.statistics.self_confidence_sum
        cells = stratum.joint.count
        known = self._stored.strata.get(number)
        if known is None or known[1].size < count.size:
            classes, changed = np.arange(count.size), np.flatnonzero(cells)
            if known is not None:
                changed = np.arange(cells.size)
        else:
            statistics, issue_count, joint = known
            is_other = (statistics.count != count) | (statistics.self_confidence_sum != total)
            classes = np.flatnonzero(is_other | (issue_count != stratum.issue_count))
            changed = np.flatnonzero((joint.count != cells).reshape(-1))
        self._replace(
            "class_statistics",
            sql.DELETE_STATISTICS,
            rows.class_statistics_table(number, stratum, classes),
        )
        self._replace("joint", sql.DELETE_JOINT, rows.joint_table(number, stratum, changed))

    def _write_arrival(self, step: Step, state: State, arrival: Arrival, txn_id: int) -> None:
        sources = np.array([state.partitions.index(each) for each in arrival.records.partitions], np.int32)
        if arrival.is_redrive:
            self._delete(sql.DELETE_DEAD_LETTERS, _coordinates(arrival.records, sources))
        letters = rows.dead_letter_table(arrival.records, step.rejections, sources, txn_id)
        self._insert("dead_letter", letters)
        self._replace("position", sql.DELETE_POSITIONS, _position_table(arrival.positions, state))
        outcome = step.outcome
        more = {
            "accepted": len(step.batch),
            "rejected": len(step.rejections),
            "redelivered": outcome.redelivery_count,
            "stale": outcome.stale_count,
            "predictions_dropped": step.dropped_prediction_count,
        }
        changed = {name: self.counters.get(name, 0) + n for name, n in more.items() if n}
        self.counters |= changed
        self._replace(
            "counter",
            sql.DELETE_COUNTERS,
            pa.table(
                {
                    "name": pa.array(list(changed), pa.string()),
                    "value": pa.array(list(changed.values()), pa.int64()),
                }
            ),
        )


@dataclass(frozen=True, slots=True)
class _Stored:
    """How far names and strata are in the database."""

    class_count: int
    annotator_count: int
    model_version_count: int
    partition_count: int
    strata: dict[int, Any]


def _coordinates(records: Records, sources: NDArray[np.int32]) -> pa.Table:
    return pa.table({"source": sources[records.partition_index], "position": records.offsets})


def _position_table(positions: Mapping[Partition, Position], state: State) -> pa.Table:
    return pa.table(
        {
            "source": pa.array([state.partitions.index(each) for each in positions], pa.int32()),
            "next_offset": pa.array([each.next_offset for each in positions.values()], pa.int64()),
            "fingerprint": pa.array([each.fingerprint for each in positions.values()], pa.string()),
        }
    )
