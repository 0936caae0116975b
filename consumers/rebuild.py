"""Computes the state of a store anew from its facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from consumers.errors import UsageError
from consumers.loop import Line, Totals, redrive
from consumers.scratch import grower
from consumers.store import Store
from monitor.decode import Decoder
from monitor.fields import FieldMapping
from monitor.state import Limits

if TYPE_CHECKING:
    from consumers.config import Settings


def rebuild(settings: Settings) -> str:
    """Rebuild, with changed settings where given; then read the dead letters again if any changed.

    Returns what was done, in a sentence. Raises: StoreError, UsageError.
    """
    path = Path(settings.store)
    if not path.exists():
        raise UsageError(f"{path} does not exist; name the database with --store")
    store = Store.open(
        path,
        "labelwatch rebuild",
        memory_limit=settings.memory_limit,
        checkpoint_bytes=settings.checkpoint_bytes,
    )
    try:
        shape = store.shape(settings.shape())
        limits = Limits(settings.pending_max, settings.unlabelled_max)
        grow = grower(path.parent, settings.mirror_bytes_max)
        state = store.rebuild(shape, limits, grow)
        decoder = Decoder(
            FieldMapping(shape["fields"]), shape["tombstone_key"], settings.value_bytes_max
        )
        line = Line(store, state, decoder, settings.batch_size_max)
        totals = redrive(line) if store.must_redrive else Totals()
        store.checkpoint(above_bytes=0)
    finally:
        store.close()
    live = sum(int(each.statistics.count.sum()) for each in state.label_issues.strata.values())
    read_again = totals.records - totals.rejected
    return f"rebuilt from {live:,} live annotations; {read_again:,} dead letters became readable"
