"""Builds the real objects from settings: the only file that knows them all."""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from consumers import memory
from consumers.loop import Line, redrive
from consumers.scratch import grower
from consumers.store import Store
from monitor.decode import Decoder
from monitor.fields import FieldMapping
from monitor.state import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.config import Settings

log = logging.getLogger(__name__)


@contextlib.contextmanager
def open_line(settings: Settings, command: str) -> Iterator[Line]:
    """The line over a locked store, its state as of the last commit.

    Dead letters of a store without events are read again when its settings changed. After a fault
    the file is left as it is; otherwise it is checkpointed. Raises: StoreError, UsageError.
    """
    began_at = time.monotonic()
    store = Store.open(
        Path(settings.store),
        command,
        memory_limit=settings.memory_limit,
        checkpoint_bytes=settings.checkpoint_bytes,
    )
    with contextlib.closing(store), memory.tuned():
        store.inbox.key_days = settings.http.inbox_key_days
        shape = store.shape(settings.shape())
        store.refuse_change(shape)
        limits = Limits(settings.pending_max, settings.unlabelled_max)
        grow = grower(Path(settings.store).parent, settings.mirror_bytes_max)
        state = store.load(shape, limits, grow)
        fields = FieldMapping(shape["fields"])
        decoder = Decoder(fields, shape["tombstone_key"], settings.value_bytes_max)
        line = Line(store, state, decoder, settings.batch_size_max)
        if store.must_redrive:
            redrive(line)
        memory.settle()
        _tell_loaded(line, time.monotonic() - began_at)
        yield line
        store.checkpoint(above_bytes=0)


def _tell_loaded(line: Line, took_s: float) -> None:
    strata = line.state.label_issues.strata.values()
    fields = {
        "store": str(line.store.path),
        "txn_id": line.store.txn_id,
        "annotations": sum(int(each.statistics.count.sum()) for each in strata),
        "label_issues": sum(int(each.issue_count.sum()) for each in strata),
        "took_s": round(took_s, 3),
    }
    log.info("store loaded", extra=fields)
