"""Identity of examples, annotations and contents: 128 bits of xxh3, and a table from them to rows.

A Python dict of ids costs 140 bytes a row; this table costs 16 for the id and about 8 for its
slot. All operations take whole batches. Rows are numbered by first arrival, so numbering does not
depend on where poll() cut the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from xxhash import xxh3_128_digest

from monitor.columns import Columns

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    Ids = NDArray[np.uint64]
    Rows = NDArray[np.int32]

_SLOTS_MIN = 1_024
_LOAD_MAX = 0.6
_CHUNK = 1 << 18
_SEPARATOR = "\x1f"
_ESCAPE = "\x1e"
_ESCAPED = str.maketrans({_SEPARATOR: _ESCAPE + _SEPARATOR, _ESCAPE: _ESCAPE * 2})


def identify(texts: Iterable[str]) -> Ids:
    """128-bit ids of texts. Shape: (n, 2)."""
    return identify_bytes(map(str.encode, texts))


def identify_bytes(values: Iterable[bytes]) -> Ids:
    """128-bit ids of byte strings. Shape: (n, 2). Source: xxh3-128, seed 0."""
    return np.frombuffer(b"".join(map(xxh3_128_digest, values)), np.uint64).reshape(-1, 2)


def default_annotation_id(example_id: str, annotator: str) -> str:
    r"""The id of the one annotation that an annotator has for an example, where none is given.

    Injective: separators inside a part are escaped.

    >>> default_annotation_id("x1", "ann")
    'x1\x1fann'
    """
    text = f"{example_id}{_SEPARATOR}{annotator}"
    if is_unescaped(text):
        return text
    return f"{example_id.translate(_ESCAPED)}{_SEPARATOR}{annotator.translate(_ESCAPED)}"


def default_annotation_ids(example_ids: Sequence[str], annotators: Sequence[str]) -> list[str]:
    """`default_annotation_id` of each pair."""
    pairs = zip(example_ids, annotators, strict=True)
    texts = [f"{example_id}{_SEPARATOR}{annotator}" for example_id, annotator in pairs]
    if is_unescaped("".join(texts), len(texts)):
        return texts
    return list(map(default_annotation_id, example_ids, annotators))


def is_unescaped(text: str, pair_count: int = 1) -> bool:
    """Whether this is nothing but so many pairs of example and annotator, each with its separator."""
    return text.count(_SEPARATOR) == pair_count and _ESCAPE not in text


class _Keys(Columns):
    layout = (("low", np.uint64, 0), ("high", np.uint64, 0))
    low: NDArray[np.uint64]
    high: NDArray[np.uint64]


class IdTable:
    """A map from 128-bit ids to dense row numbers: open addressing, linear probing, batches only.

    >>> table = IdTable()
    >>> table.intern(identify(["b", "a", "b"])).tolist(), table.find(identify(["a", "c"])).tolist()
    ([0, 1, 0], [1, -1])
    """

    def __init__(self) -> None:
        self._slots: Rows = np.full(_SLOTS_MIN, -1, np.int32)
        self._keys = _Keys()

    def __len__(self) -> int:
        return self._keys.size

    def ids(self, rows: Sequence[int] | NDArray[np.integer] | slice) -> Ids:
        """The ids of rows. Shape: (n, 2)."""
        return np.column_stack(
            (self._keys.low[: len(self)][rows], self._keys.high[: len(self)][rows])
        )

    def find(self, ids: Ids) -> Rows:
        """The row of each id, -1 for an id never seen. Shape: (n,)."""
        return self._probe(ids)[0]

    def intern(self, ids: Ids) -> Rows:
        """The row of each id; ids never seen get new rows in order of arrival. Shape: (n,)."""
        rows, slot = self._probe(ids)
        missing = np.flatnonzero(rows < 0)
        if missing.size:
            firsts, which = _distinct_by_arrival(ids[missing])
            rows[missing] = (len(self) + which).astype(np.int32)
            newcomers = missing[firsts]
            self._append(ids[newcomers], slot[newcomers])
        return rows

    def _probe(self, ids: Ids) -> tuple[Rows, NDArray[np.int64]]:
        """The row of each id, and the slot that holds it, or the free one where it belongs."""
        low, high = ids[:, 0], ids[:, 1]
        mask = self._slots.size - 1
        slot = self._home(low)
        rows = self._slots[slot]
        probing = np.flatnonzero(rows >= 0)
        while probing.size:
            held = rows[probing]
            is_other = self._keys.low[held] != low[probing]
            # Half an id is nearly always enough to tell two apart.
            alike = np.flatnonzero(~is_other)
            is_other[alike] = self._keys.high[held[alike]] != high[probing[alike]]
            probing = probing[is_other]
            following = (slot[probing] + 1) & mask
            slot[probing] = following
            rows[probing] = held = self._slots[following]
            probing = probing[held >= 0]
        return rows, slot

    def _home(self, low: NDArray[np.uint64]) -> NDArray[np.int64]:
        return (low & np.uint64(self._slots.size - 1)).astype(np.int64)

    def fill(self, count: int) -> None:
        """Make `count` rows in an empty table, for `put`; `index` them before anything is asked."""
        assert not len(self)
        self._keys.grow_to(count)

    def put(self, rows: Rows, ids: Ids) -> None:
        """Give rows their ids, each once."""
        self._keys.low[rows] = ids[:, 0]
        self._keys.high[rows] = ids[:, 1]

    def index(self) -> None:
        """Make all rows findable; their ids are distinct."""
        self._grow_slots()
        for start in range(0, len(self), _CHUNK):
            rows = np.arange(start, min(start + _CHUNK, len(self)), dtype=np.int32)
            self._claim(rows, self._home(self._keys.low[rows]))

    def _append(self, ids: Ids, slot: NDArray[np.int64]) -> None:
        start = len(self)
        self._keys.grow_to(start + len(ids))
        self._keys.low[start : len(self)] = ids[:, 0]
        self._keys.high[start : len(self)] = ids[:, 1]
        if len(self) > _LOAD_MAX * self._slots.size:
            self.index()
        else:
            self._claim(np.arange(start, len(self), dtype=np.int32), slot)

    def _grow_slots(self) -> None:
        size = self._slots.size
        while len(self) > _LOAD_MAX * size:
            size *= 2
        self._slots = np.full(size, -1, np.int32)

    def _claim(self, rows: Rows, slot: NDArray[np.int64]) -> None:
        """Give each row (distinct ids, not in the table) a slot, this or a later one.

        Of two that want the same the last writer has it.
        """
        mask = self._slots.size - 1
        while rows.size:
            is_free = self._slots[slot] < 0
            self._slots[slot[is_free]] = rows[is_free]
            is_lost = self._slots[slot] != rows
            rows, slot = rows[is_lost], (slot[is_lost] + 1) & mask


def _distinct_by_arrival(ids: Ids) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of the first of each distinct id, in order of arrival, and each id's number among them."""
    ascending = np.sort(ids[:, 0])
    if (ascending[1:] != ascending[:-1]).all():
        everyone = np.arange(len(ids))
        return everyone, everyone
    order = np.argsort(ids[:, 0], kind="stable")
    low, high = ids[order, 0], ids[order, 1]
    if ((low[1:] == low[:-1]) & (high[1:] != high[:-1])).any():
        order = np.lexsort((ids[:, 1], ids[:, 0]))
        low, high = ids[order, 0], ids[order, 1]
    is_start = np.ones(len(ids), np.bool_)
    is_start[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    firsts = order[is_start]
    by_arrival = np.argsort(firsts)
    number = np.empty(firsts.size, np.int64)
    number[by_arrival] = np.arange(firsts.size)
    which = np.empty(len(ids), np.int64)
    which[order] = number[np.cumsum(is_start) - 1]
    return firsts[by_arrival], which
