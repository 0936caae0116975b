"""What is thought of annotations and annotators, written: opinions, flags with their findings, ratings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consumers.arrow import pa
from monitor.changes import Cause
from monitor.detectors.protocol import Action
from monitor.distinct import distinct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from consumers.store.tables import Tables
    from monitor.annotators import Ratings
    from monitor.detectors.protocol import Flags
    from monitor.opinions import Opinions
    from monitor.state import State
    from monitor.statistics.model_weight import Weights
    from monitor.tables import Rows

BLOCK_EXAMPLES = 8
"""Opinions on so many examples stand in one row: a table that loses rows here and there costs memory."""
_ACTIONS = pa.array([action.name.lower() for action in Action])
_CAUSES = pa.array([cause.name.lower() for cause in Cause])


def write_opinions(tables: Tables, opinions: Opinions, state: State) -> None:
    """What is said of annotations and was not before, with all that is said of their neighbours."""
    blocks = distinct(opinions.examples // BLOCK_EXAMPLES)
    tables.delete("opinion", blocks)
    tables.insert("opinion", opinion_table(blocks, state))


def write_flags(tables: Tables, changed: Iterable[Flags], txn_id: int) -> None:
    """Flags that come and go, and the findings that say so."""
    for flags in filter(len, changed):
        goes, comes = flag_tables(flags, txn_id)
        tables.delete("flag", goes, str(flags.kind))
        tables.insert("flag", comes)
        tables.insert("finding", finding_table(flags, txn_id))


def write_ratings(tables: Tables, ratings: Ratings, weights: Weights) -> None:
    """How good each annotator is, and how often the model counts: all anew."""
    tables.replace_all("annotator_rating", rating_table(ratings))
    classes = np.arange(weights.size, dtype=np.int16)
    tables.replace_all("class_weight", pa.table({"class": classes, "model_weight": weights}))


def opinion_table(blocks: Rows, state: State) -> pa.Table:
    """What is said of all annotations of these distinct ascending blocks of examples: a row for each."""
    examples = (blocks[:, None] * BLOCK_EXAMPLES + np.arange(BLOCK_EXAMPLES)).reshape(-1)
    examples = examples[examples < state.ledger.examples.size].astype(np.int32)
    said = state.consensus.published(state.ledger, examples)
    block = state.ledger.annotations.example[said.annotations] // BLOCK_EXAMPLES
    order = np.lexsort((said.annotations, block))
    ends = np.searchsorted(block[order], blocks, side="right")
    has_any = np.diff(ends, prepend=0) > 0
    offsets = pa.array(np.concatenate(([0], ends[has_any])), pa.int32())

    def lists(values: NDArray[np.generic]) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, pa.array(values[order]))

    return pa.table(
        {
            "block": blocks[has_any],
            "annotation": lists(said.annotations),
            "label_quality": lists(said.label_quality),
            "consensus": lists(said.consensus_label),
            "consensus_quality": lists(said.consensus_quality),
        }
    )


def rating_table(ratings: Ratings) -> pa.Table:
    """How good each annotator is."""
    return pa.table(
        {
            "annotator": ratings.annotator,
            "annotation_count": ratings.annotation_count,
            "consensus_issue_count": ratings.issue_count,
            "error_rate": ratings.error_rate,
            "error_rate_low": ratings.error_rate_low,
            "error_rate_high": ratings.error_rate_high,
            "annotator_quality": ratings.annotator_quality,
        }
    )


def flag_tables(flags: Flags, txn_id: int) -> tuple[Rows, pa.Table]:
    """Annotations whose stored flag goes, and the flags that come."""
    goes = flags.annotations[flags.action != Action.RAISED]
    comes = flags.action != Action.CLEARED
    count = int(comes.sum())
    table = pa.table(
        {
            "kind": pa.repeat(pa.scalar(str(flags.kind)), count),
            "annotation": flags.annotations[comes],
            "score": flags.score[comes],
            "txn_id": np.full(count, txn_id, np.int64),
        }
    )
    return goes, table


def finding_table(flags: Flags, txn_id: int) -> pa.Table:
    """Every change of a flag."""
    return pa.table(
        {
            "txn_id": np.full(len(flags), txn_id, np.int64),
            "kind": pa.repeat(pa.scalar(str(flags.kind)), len(flags)),
            "action": _ACTIONS.take(pa.array(flags.action)),
            "cause": _CAUSES.take(pa.array(flags.cause)),
            "annotation": flags.annotations,
            "score": flags.score,
        }
    )
