"""Logs of records as sources, and stores fed from them in this process."""

from __future__ import annotations

from itertools import chain, repeat

import numpy as np

from consumers.config import Settings
from consumers.loop import Breaker, run
from consumers.ports import Polled, Position
from consumers.store.parity import wrong_cells
from consumers.wiring import open_line
from monitor.events import Partition, Records
from tests.consumers.stored import opened
from tests.consumers.streams import as_json

CLASSES = ["a", "b", "c"]


class Log:
    """Records by partition: (offset, key, value, time), in order of their offsets."""

    def __init__(self, parts):
        self.parts = parts

    @classmethod
    def of(cls, sents):
        """The records of a stream by tests/strategies.py, each once."""
        parts = {}
        for sent in sents:
            record = (sent.offset, None, as_json(sent.event), sent.timestamp_us)
            part = parts.setdefault(sent.partition, [])
            if not part or part[-1][0] < sent.offset:
                part.append(record)
        return cls(parts)

    @classmethod
    def lines(cls, values, topic="lines"):
        """These values as one partition without record times."""
        values = [v if isinstance(v, bytes | None) else as_json(v) for v in values]
        return cls({Partition(topic): [(i, None, value, -1) for i, value in enumerate(values)]})


class LogSource:
    """A log, read in order: partition after partition, polls as large as `sizes` say, then whole."""

    def __init__(self, log, sizes=()):
        self._parts = log.parts
        self._sizes = chain(sizes, repeat(10**6))
        self.next = {}

    def seek(self, positions):
        self.next = {place: positions.get(place, Position(0)).next_offset for place in self._parts}

    def poll(self, records_max):
        return self.take(self._left()[: min(next(self._sizes), records_max)])

    def take(self, found):
        """Hand out these records, each with its partition."""
        for place, record in found:
            self.next[place] = record[0] + 1
        partitions = tuple(dict.fromkeys(place for place, _ in found))
        columns = [list(column) for column in zip(*(record for _, record in found), strict=True)]
        offsets, keys, values, times = columns or ([], [], [], [])
        records = Records(
            values,
            keys,
            np.array(offsets, np.int64),
            np.array(times, np.int64),
            np.array([partitions.index(place) for place, _ in found], np.int64),
            partitions,
        )
        positions = {place: Position(self.next[place]) for place in partitions}
        return Polled(records, positions, not self._left())

    def _left(self):
        return [
            (place, record)
            for place, records in self._parts.items()
            for record in records
            if record[0] >= self.next[place]
        ]

    def commit(self, positions):
        """A log does not know its readers."""

    def end_offsets(self):
        return {place: records[-1][0] + 1 for place, records in self._parts.items() if records}

    def close(self):
        """Nothing to close."""


def feed(path, source, *, is_armed=False, batches=None, **settings):
    """Run the line over a source, or over its first batches; what it counted."""
    left = repeat(None) if batches is None else iter(range(batches))
    with open_line(Settings(store=str(path), **settings), "test") as line:
        return run(
            line,
            source,
            Breaker(is_armed=is_armed),
            lambda: next(left, "over") == "over",
            lambda _: None,
        )


def parity(path, collision="cleanlab"):
    """Cells that differ from a recount."""
    with opened(path, read_only=True) as db:
        return wrong_cells(db, collision)
