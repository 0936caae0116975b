"""From stored facts back to the state that a run without interruption would have.

Facts come in chunks, and are settled in chunks: what a chunk needs besides is small next to the state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.detectors.protocol import Action, Flags
from monitor.order import compare, source_ranks
from monitor.tables import keys_of, set_keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from monitor.identity import Ids
    from monitor.ledger import Ledger
    from monitor.markers import Key
    from monitor.order import OrderKeys
    from monitor.state import State
    from monitor.tables import Rows
    from monitor.units import Units


@dataclass(frozen=True, slots=True)
class AnnotationFacts:
    """Stored annotations. Shape: (n,); ids (n, 2)."""

    annotation: Rows
    ids: Ids
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    keys: OrderKeys


@dataclass(frozen=True, slots=True)
class ContentFacts:
    """Annotations that have content, ascending, and the ids of it. Shape: (n,); ids (n, 2)."""

    annotation: Rows
    ids: Ids


@dataclass(frozen=True, slots=True)
class ExampleFacts:
    """Stored examples. Shape: (n,); ids (n, 2), units (n, K)."""

    example: Rows
    ids: Ids
    stratum: Rows
    units: Units
    is_truncated: NDArray[np.bool_]
    keys: OrderKeys


def fill_examples(state: State, count: int, chunks: Iterable[ExampleFacts]) -> None:
    """Fill a fresh state with its examples, in any order: every row number once."""
    ledger, table = state.ledger, state.ledger.examples
    ledger.example_ids.fill(count)
    ledger.grow(len(state.classes))
    filled = _Filled(count)
    for facts in chunks:
        rows = filled.with_rows(facts.example)
        ledger.example_ids.put(rows, facts.ids)
        set_keys(table, rows, facts.keys)
        table.stratum[rows] = facts.stratum
        table.is_truncated[rows] = facts.is_truncated
        ledger.units.data[rows, : facts.units.shape[1]] = facts.units
    filled.check()
    ledger.example_ids.index()
    ledger.predicted_count = int((table.stratum[:count] >= 0).sum())


def fill_annotations(
    state: State, count: int, chunks: Iterable[AnnotationFacts], content: ContentFacts
) -> None:
    """Fill the state with its annotations, in any order: every row number once."""
    ledger, table = state.ledger, state.ledger.annotations
    ledger.annotation_ids.fill(count)
    ledger.grow(len(state.classes))
    filled = _Filled(count)
    for facts in chunks:
        rows = filled.with_rows(facts.annotation)
        ledger.annotation_ids.put(rows, facts.ids)
        set_keys(table, rows, facts.keys)
        table.example[rows] = facts.example
        table.annotator[rows] = facts.annotator
        table.given[rows] = facts.given
    filled.check()
    ledger.annotation_ids.index()
    table.content[content.annotation] = ledger.content_ids.intern(content.ids)


def settle(
    state: State, markers: dict[tuple[int, int], Key], chunk_size: int = 1 << 18
) -> tuple[Flags, ...]:
    """Let the detectors see what was filled in; the flags that stand, one of each kind."""
    ledger = state.ledger
    ledger.ranks = source_ranks(state.partitions)
    for (example, annotator), key in markers.items():
        ledger.markers.keys[example, annotator] = key
        ledger.examples.has_marker[example] = True
    changed: list[Flags] = []
    count = ledger.annotations.size
    # An empty store has one empty chunk, so that every detector has seen something.
    for start in range(0, max(count, 1), chunk_size):
        changes = ledger.settle(start, min(start + chunk_size, count))
        for detector in state.detectors:
            changed += detector.update(ledger, changes)
        state.consensus.learn(ledger, changes, len(state.annotators))
    return tuple(
        _standing([flags for flags in changed if flags.kind is kind])
        for kind in dict.fromkeys(flags.kind for flags in changed)
    )


def advance_prediction_keys(ledger: Ledger, example: Rows, keys: OrderKeys) -> None:
    """Writes that only repeated a prediction: its key is the newest of them, where newer than its own."""
    order = np.lexsort((keys.offset, ledger.ranks[keys.source], keys.time_us, keys.revision))
    # The newest of each example comes last, and the last assignment stays.
    newest = np.full(ledger.examples.size, -1, np.int64)
    newest[example[order]] = order
    rows = np.flatnonzero(newest >= 0).astype(np.int32)
    keys = keys.take(newest[rows])
    is_newer = compare(keys, keys_of(ledger.examples, rows), ledger.ranks) > 0
    set_keys(ledger.examples, rows[is_newer], keys.take(np.flatnonzero(is_newer)))


class _Filled:
    """Asserts that every row comes once."""

    def __init__(self, count: int) -> None:
        self._seen = np.zeros(count, np.bool_)
        self._count = 0

    def with_rows(self, rows: Rows) -> Rows:
        self._seen[rows] = True
        self._count += rows.size
        return rows

    def check(self) -> None:
        assert self._count == self._seen.size == self._seen.sum(), "stored rows have no gaps"


def _standing(changes: list[Flags]) -> Flags:
    """The flags that stand after changes that came one after the other."""
    if len(changes) == 1:
        return changes[0]
    names = ("annotations", "action", "cause", "score", "set_number")
    columns = {name: np.concatenate([getattr(each, name) for each in changes]) for name in names}
    rows = columns["annotations"]
    # Of each annotation the last change counts: read backwards it is the first.
    last = rows.size - 1 - np.unique(rows[::-1], return_index=True)[1]
    last = last[columns["action"][last] != Action.CLEARED]
    columns = {name: column[last] for name, column in columns.items()}
    columns["action"] = np.full(last.size, Action.RAISED, np.int8)
    return Flags(changes[0].kind, **columns)
