"""What a store says of itself. It is only read, and held open for no longer than that takes."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consumers.ports import Position
from consumers.store import statements as sql
from consumers.store.lock import lost_log
from consumers.store.migrate import migrations
from consumers.store.read import Reader
from monitor.events import Partition

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Look:
    """A store as of its last commit. `samples` are values rejected for the most frequent reason."""

    schema: int
    schema_known: int
    txn_id: int
    committed_at: dt.datetime | None
    shape: Mapping[str, Any]
    positions: Mapping[Partition, Position]
    accepted_count: int
    reasons: Counter[str]
    samples: Sequence[bytes]


def look(path: Path) -> Look:
    """Look into a store. Raises: StoreLocked, StoreError, also where it has lost its log."""
    with Reader(path) as reader:
        settings = {name: json.loads(value) for name, value in reader.query(sql.SETTINGS).rows}
        txn_id = reader.query(sql.LAST_TXN).rows[0][0]
        check_mark(path, settings["store_id"], txn_id)
        reasons = Counter(dict(reader.query(sql.REASONS).rows))
        top = [reason for reason, _ in reasons.most_common(1)]
        return Look(
            schema=reader.query(sql.SCHEMA_VERSION).rows[0][0],
            schema_known=migrations()[-1][0],
            txn_id=txn_id,
            committed_at=reader.query(sql.LAST_COMMIT).rows[0][0],
            shape=settings.get("shape", {}),
            positions={
                Partition(topic, number): Position(offset, fingerprint)
                for topic, number, offset, fingerprint in reader.query(sql.PLACES).rows
            },
            accepted_count=dict(reader.query(sql.COUNTERS).rows).get("accepted", 0),
            reasons=reasons,
            samples=[row[0] for row in reader.query(sql.LETTER_SAMPLES, top).rows] if top else [],
        )


def check_mark(path: Path, store_id: str, txn_id: int) -> None:
    """Raises: StoreError where the mark beside a database says that it has lost its log."""
    mark = path.with_name(f"{path.name}.mark")
    text = mark.read_text("ascii", "replace") if mark.exists() else ""
    if lost := lost_log(mark, text, store_id, txn_id):
        raise lost
