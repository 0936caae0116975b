from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain, pairwise, repeat
from typing import TYPE_CHECKING

import numpy as np
import pytest

from consumers.files import FileSource
from monitor.decode import Decoder
from monitor.events import LargeValue, Partition, Records
from monitor.fields import FieldMapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.ports import Position

MIB = 1 << 20


class Pieces:
    """An input that comes in given pieces, with nothing to read (None) in between."""

    @classmethod
    def cut(cls, text, cuts):
        ends = sorted({min(end, len(text)) for end in cuts} | {0, len(text)})
        return cls([text[a:b] for a, b in pairwise(ends)])

    def __init__(self, pieces):
        self._pieces = iter([piece for piece in pieces if piece != b""])

    def read(self):
        return next(self._pieces, b"")

    def close(self):
        """Nothing to close."""


@dataclass
class Read:
    """All that a source handed out, in order."""

    records: list[tuple[str, int, bytes | LargeValue]] = field(default_factory=list)
    fingerprints: dict[tuple[str, int], str | None] = field(default_factory=dict)
    positions: dict[Partition, Position] = field(default_factory=dict)

    @property
    def values(self):
        return [value for _, _, value in self.records]

    @property
    def offsets(self):
        return [offset for _, offset, _ in self.records]


def _read(paths, sizes=(), stored=None, *, records_max=None, **options) -> Read:
    """Read on from the stored positions, polls as large as `sizes` say, then 1,000 each."""
    source = FileSource(
        [str(path) for path in paths], options.pop("value_bytes_max", 8 * MIB), **options
    )
    found = Read()
    try:
        source.seek(stored or {})
        for size in chain(sizes, repeat(1000)):
            polled = source.poll(size)
            batch = polled.records
            assert len(batch) <= size
            assert set(batch.timestamps_us.tolist()) <= {-1}
            assert batch.keys == [None] * len(batch)
            topics = [batch.partitions[i].topic for i in batch.partition_index]
            found.records += zip(topics, batch.offsets.tolist(), batch.values, strict=True)
            found.positions |= polled.positions
            for partition, position in polled.positions.items():
                found.fingerprints[partition.topic, position.next_offset] = position.fingerprint
            if polled.is_exhausted or len(found.records) == records_max:
                return found
    finally:
        source.close()
    raise AssertionError


@pytest.fixture(scope="session")
def read() -> Callable[..., Read]:
    """Read all that a source has to give."""
    return _read


def _reasons(values):
    n = len(values)
    columns = (np.zeros(n, np.int64) for _ in range(3))
    records = Records(values, [None] * n, *columns, (Partition("file:a"),))
    return [rejection.reason for rejection in Decoder(FieldMapping()).decode(records)[1]]


@pytest.fixture(scope="session")
def reasons() -> Callable[..., list[str]]:
    """Why the decoder rejects some of these values."""
    return _reasons


@pytest.fixture(scope="session")
def blocks() -> type[Pieces]:
    """Inputs that come in pieces."""
    return Pieces
