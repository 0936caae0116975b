"""From stored facts back to the state that a run without interruption would have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.order import compare, source_ranks
from monitor.tables import keys_of, set_keys

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.detectors.protocol import Flags
    from monitor.identity import Ids, IdTable
    from monitor.ledger import Ledger
    from monitor.markers import Key
    from monitor.order import OrderKeys
    from monitor.state import State
    from monitor.tables import Rows
    from monitor.units import Units


@dataclass(frozen=True, slots=True)
class AnnotationFacts:
    """Stored annotations, in any order: every row number once. Shape: (n,); ids (n, 2).

    `content` are ids of what the annotations `with_content`, ascending, were made of.
    """

    annotation: Rows
    ids: Ids
    example: Rows
    annotator: Rows
    given: NDArray[np.int16]
    keys: OrderKeys
    with_content: Rows
    content: Ids


@dataclass(frozen=True, slots=True)
class ExampleFacts:
    """Stored examples, in any order: every row number once. Shape: (n,); ids (n, 2), units (n, K)."""

    example: Rows
    ids: Ids
    stratum: Rows
    units: Units
    is_truncated: NDArray[np.bool_]
    keys: OrderKeys


def restore(
    state: State,
    annotations: AnnotationFacts,
    examples: ExampleFacts,
    markers: dict[tuple[int, int], Key],
) -> tuple[Flags, ...]:
    """Fill a fresh state from facts; the flags that stand. The state's names are already there."""
    ledger = state.ledger
    ledger.ranks = source_ranks(state.partitions)
    _number(ledger.example_ids, examples.example, examples.ids)
    _number(ledger.annotation_ids, annotations.annotation, annotations.ids)
    ledger.grow(len(state.classes))
    _fill_examples(ledger, examples)
    _fill_annotations(ledger, annotations)
    for (example, annotator), key in markers.items():
        ledger.markers.keys[example, annotator] = key
        ledger.examples.has_marker[example] = True
    everything = ledger.settle()
    return tuple(
        flags for detector in state.detectors for flags in detector.update(ledger, everything)
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


def _fill_examples(ledger: Ledger, facts: ExampleFacts) -> None:
    table, rows = ledger.examples, facts.example
    set_keys(table, rows, facts.keys)
    table.stratum[rows] = facts.stratum
    table.is_truncated[rows] = facts.is_truncated
    ledger.units.data[rows, : facts.units.shape[1]] = facts.units


def _fill_annotations(ledger: Ledger, facts: AnnotationFacts) -> None:
    table, rows = ledger.annotations, facts.annotation
    set_keys(table, rows, facts.keys)
    table.example[rows] = facts.example
    table.annotator[rows] = facts.annotator
    table.given[rows] = facts.given
    table.content[facts.with_content] = ledger.content_ids.intern(facts.content)


def _number(table: IdTable, rows: Rows, ids: Ids) -> None:
    ordered = np.empty_like(ids)
    ordered[rows] = ids
    numbers = table.intern(ordered)
    assert (numbers == np.arange(len(ids))).all(), "stored rows are numbered without gaps"
