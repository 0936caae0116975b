"""The statistics kernel by itself: arrays in, the ledger and the detector of label issues, nothing else.

No ids as text, no JSON, no database. Preparing the arrays is outside the clock; turning float64
probabilities into units is a stage of its own, since a sender may have units already.
"""

from __future__ import annotations

import gc
import time
from typing import TYPE_CHECKING

import numpy as np
from cleanlab.count import compute_confident_joint, get_confident_thresholds
from cleanlab.filter import find_label_issues

from monitor.changes import AnnotationWrites, MarkerWrites, PredictionWrites
from monitor.detectors.label_issues import LabelIssues
from monitor.ledger import Ledger
from monitor.order import NO_REVISION, OrderKeys
from monitor.statistics.confident_joint import Collision
from monitor.units import UNIT, quantise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from benchmarks.generator import Chunk
    from monitor.units import Units

STAGES = ("quantise", "make room", "ledger", "detector")
"""Making room is apart: it copies everything, in few batches, and nothing in the others."""


class _Count:
    """In the place of a table of ids: rows are given by number."""

    def __init__(self) -> None:
        self.count = 0

    def __len__(self) -> int:
        return self.count


class Kernel:
    """A ledger and a detector that are fed with arrays. `spent_s`: CPU seconds, (batches, stages)."""

    def __init__(self) -> None:
        self.ledger, self.detector = Ledger(), LabelIssues(Collision.CLEANLAB)
        self.ledger.ranks = np.zeros(1, np.int64)
        self._ids = _Count()
        self.ledger.annotation_ids = self.ledger.example_ids = self._ids  # type: ignore[assignment] # only its length is asked for
        self._offset = 0
        self._spent: list[tuple[float, ...]] = []

    @property
    def spent_s(self) -> NDArray[np.float64]:
        return np.array(self._spent)

    def feed(self, chunk: Chunk) -> None:
        """One batch, with a look at the clock between its stages."""
        class_count = chunk.pred_probs.shape[1]
        is_partial = np.zeros(chunk.given.size, np.bool_)
        keys = _keys(self._offset, len(chunk))
        annotations, markers = _annotation_writes(chunk, keys), _no_markers(keys)
        clock = [time.process_time()]
        units = quantise(chunk.pred_probs, is_partial)
        clock.append(time.process_time())
        predictions = _prediction_writes(chunk, units, keys)
        self._ids.count = chunk.start + chunk.given.size
        self.ledger.grow(class_count)
        clock.append(time.process_time())
        outcome = self.ledger.apply(annotations, predictions, markers)
        clock.append(time.process_time())
        self.detector.update(self.ledger, outcome.changes)
        clock.append(time.process_time())
        self._spent.append(tuple(np.diff(clock).tolist()))
        self._offset += len(chunk)

    def live(self) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.float64]]:
        """Live annotations: rows, given labels, and probabilities as stored. For a batch tool."""
        side = self.ledger.side(np.arange(self.ledger.annotations.size, dtype=np.int32))
        at = np.flatnonzero(side.is_live).astype(np.int32)
        pred_probs = self.ledger.units.data[side.example[at]] / UNIT
        return at, side.given[at].astype(np.int64), pred_probs

    def check(self) -> None:
        """Thresholds, joint and issues are cleanlab's on the live rows, bit for bit."""
        rows, given, pred_probs = self.live()
        stratum = self.detector.strata[0]
        thresholds = stratum.statistics.class_thresholds()
        assert np.array_equal(thresholds, get_confident_thresholds(given, pred_probs))
        joint = compute_confident_joint(given, pred_probs, calibrate=False)
        # cleanlab's diagonal is at least 1.
        ours = np.maximum(stratum.joint.count, np.eye(len(joint), dtype=np.int64))
        assert np.array_equal(ours, joint)
        issues = label_issues(given, pred_probs)
        assert np.array_equal(self.detector.issues.is_raised[rows], issues)


def run(chunks: Sequence[Chunk]) -> Kernel:
    """A fresh kernel, fed with all chunks."""
    gc.collect()
    kernel = Kernel()
    for chunk in chunks:
        kernel.feed(chunk)
    return kernel


def label_issues(given: NDArray[np.int64], pred_probs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """The anchor: one call of cleanlab on all data."""
    return find_label_issues(given, pred_probs, filter_by="confident_learning", n_jobs=1)


def _keys(offset: int, count: int) -> OrderKeys:
    return OrderKeys(
        np.full(count, NO_REVISION, np.int64),
        np.zeros(count, np.int64),
        np.zeros(count, np.int32),
        np.arange(offset, offset + count),
    )


def _annotation_writes(chunk: Chunk, keys: OrderKeys) -> AnnotationWrites:
    new = np.arange(chunk.start, chunk.start + chunk.given.size, dtype=np.int32)
    rows = np.concatenate((new, chunk.relabelled, chunk.deleted))
    gone = np.full(chunk.deleted.size, -1, np.int16)
    given = np.concatenate((chunk.given, chunk.relabels, gone))
    example = np.where(given >= 0, rows, np.int32(-1))
    none = np.full(rows.size, -1, np.int32)
    return AnnotationWrites(rows, example, np.zeros(rows.size, np.int32), given, none, keys)


def _prediction_writes(chunk: Chunk, units: Units, keys: OrderKeys) -> PredictionWrites:
    count = chunk.given.size
    new = np.arange(chunk.start, chunk.start + count, dtype=np.int32)
    no = np.zeros(count, np.bool_)
    return PredictionWrites(new, np.zeros(count, np.int32), units, no, keys.take(slice(count)))


def _no_markers(keys: OrderKeys) -> MarkerWrites:
    nothing = np.empty(0, np.int32)
    return MarkerWrites(nothing, nothing, keys.take(slice(0)))
