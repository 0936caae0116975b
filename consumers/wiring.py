"""Builds the real objects from settings: the only file that knows them all."""

from __future__ import annotations

import contextlib
import gc
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.loop import Line, redrive
from consumers.scratch import grower
from consumers.store import Store
from monitor.decode import Decoder
from monitor.fields import FieldMapping
from monitor.state import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.config import Settings

GC_THRESHOLDS = (200_000, 50, 1_000)


@contextlib.contextmanager
def open_line(settings: Settings, command: str) -> Iterator[Line]:
    """The line over a locked store, its state as of the last commit.

    Dead letters of a store without events are read again when its settings changed. After a fault
    the file is left as it is; otherwise it is checkpointed. Raises: StoreError, UsageError.
    """
    store = Store.open(
        Path(settings.store),
        command,
        memory_limit=settings.memory_limit,
        checkpoint_bytes=settings.checkpoint_bytes,
    )
    # A batch is tens of thousands of short-lived lists without cycles: looking for cycles among them
    # at the default rate costs as much as all the rest.
    gc.set_threshold(*GC_THRESHOLDS)
    try:
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
        gc.collect()
        gc.freeze()
        yield line
        store.checkpoint(above_bytes=0)
    finally:
        # What is frozen when the interpreter ends is taken for a leak, and reported.
        gc.unfreeze()
        store.close()
