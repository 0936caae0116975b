"""What every reader hands out, and the one rule about values that are too large."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol

import numpy as np

from monitor.events import LargeValue

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from consumers.files.fingerprint import Fingerprint

PREFIX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Chunk:
    """Records of one file in order, with their record numbers.

    Shape: (n,) each.
    """

    values: list[bytes | LargeValue]
    offsets: NDArray[np.int64]


NO_RECORDS = Chunk([], np.empty(0, np.int64))


@dataclass(frozen=True, slots=True)
class ReadSettings:
    """How files are read: the size above which a value is kept as a prefix, and mapped fields.

    `field_paths` is the configuration's field mapping, field name → dotted path: it says which
    columns of a CSV file hold JSON or numbers, and that an unusual header is one.
    """

    value_bytes_max: int
    field_paths: Mapping[str, str]


class Reader(Protocol):
    """The records of one opened input, in order.

    `next_offset` names the record after the last one handed out; `end_offset` the one after the
    last in the file, None where only reading tells.
    """

    next_offset: int
    end_offset: int | None
    is_ended: bool

    def read(self, records_max: int) -> Chunk:
        """The next records, at most `records_max`; none at the end, or if there are none yet.

        Reading 0 records may tell that the input is ended.
        """
        ...

    def skip(self, offset: int, fingerprint: Fingerprint) -> None:
        """Consume the records before `offset` into the fingerprint."""
        ...

    def close(self) -> None:
        """Release the file. May be called twice."""
        ...


def bounded(values: Sequence[bytes], bytes_max: int) -> list[bytes | LargeValue]:
    """The values, those above `bytes_max` replaced by their prefix, size and SHA-256."""
    if max(map(len, values), default=0) <= bytes_max:
        return list(values)
    return [value if len(value) <= bytes_max else _as_large(value) for value in values]


def _as_large(value: bytes) -> LargeValue:
    return LargeValue(value[:PREFIX_BYTES], len(value), sha256(value).hexdigest())
