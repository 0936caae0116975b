"""The health strip: what the loop says of itself, without asking the store."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.http.probes import unready

if TYPE_CHECKING:
    from consumers.http.context import Context


@dataclass(frozen=True, slots=True)
class Status:
    """How the run is. `parity`: whether SQL counts what the loop counted, None before they were compared."""

    phase: str
    reasons: dict[str, str]
    txn_id: int
    lag_records: int
    parity: bool | None
    newest_at: dt.datetime | None


def status_of(context: Context) -> Status:
    """The status now."""
    board, metrics = context.board, context.metrics
    newest = metrics.newest_event_s if metrics else None
    return Status(
        phase=str(board.phase),
        reasons=unready(context),
        txn_id=board.txn_id,
        lag_records=sum(board.lag.values()),
        parity=metrics.is_equal if metrics else None,
        newest_at=None if newest is None else _time(newest),
    )


def _time(seconds: float) -> dt.datetime | None:
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (OverflowError, ValueError):  # events may say any time
        return None
