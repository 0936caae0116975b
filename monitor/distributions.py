"""The probabilities of a batch, checked without regard to classes, and laid out over all of them."""

from __future__ import annotations

from itertools import chain
from struct import pack
from typing import TYPE_CHECKING, cast

import numpy as np

from monitor.classes import Fault
from monitor.events import Event, EventType, Reason, TopK
from monitor.units import fault_of, quantise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from monitor.units import Units

WITH_PROBS = frozenset((EventType.ANNOTATION, EventType.PREDICTION))
"""Events whose label and probabilities count."""
_TEXT = {
    Reason.PROBS_NOT_FINITE: "pred_probs: a probability is NaN or infinite; send finite numbers",
    Reason.PROBS_OUT_OF_RANGE: "pred_probs: a probability is outside 0…1; send probabilities, not scores",
    Reason.PROBS_NOT_NORMALISED: "pred_probs: sums to {total:.6g}, not to 1 ± 0.02; "
    'send the softmax over all classes, or {{"top_k": …}} for a part of it',
}


class Distributions:
    """The probabilities of a batch in one flat array, checked without regard to classes."""

    def __init__(self, events: list[Event]) -> None:
        self.types = {event.type for event in events}
        forms = [event.pred_probs for event in events]
        if not self.types <= WITH_PROBS:
            forms = [event.pred_probs if event.type in WITH_PROBS else None for event in events]
        given = [form for form in forms if form is not None]
        kinds = set(map(type, given))
        self.count = len(forms)
        self.are_lists = kinds <= {list}
        self.rows = np.arange(len(forms))
        if len(given) < len(forms):
            self.rows = np.array([i for i, form in enumerate(forms) if form is not None], np.int64)
        values: Sequence[Sequence[float]] = (
            cast("list[list[float]]", given) if self.are_lists else list(map(_values, given))
        )
        self.sizes = np.fromiter(map(len, values), np.int64, len(values))
        self.is_partial = np.zeros(len(given), np.bool_)
        if TopK in kinds:
            self.is_partial[:] = [type(form) is TopK for form in given]
        # struct reads floats in half the time that numpy takes.
        packed = pack(f"{self.sizes.sum()}d", *chain.from_iterable(values))
        self.flat = np.frombuffer(packed, np.float64)
        self.faults = dict(self._faults())

    def _faults(self) -> Iterator[tuple[int, Fault]]:
        """The faults of rows that are no distribution: one matrix where all have one length."""
        sizes = self.sizes
        if sizes.size and (sizes == sizes[0]).all():
            yield from self._faults_in(self.flat.reshape(sizes.size, -1), np.arange(sizes.size))
            return
        starts = np.cumsum(sizes) - sizes
        for size in set(sizes.tolist()):
            at = np.flatnonzero(sizes == size)
            yield from self._faults_in(self.flat[starts[at][:, None] + np.arange(size)], at)

    def _faults_in(
        self, rows: NDArray[np.float64], at: NDArray[np.int64]
    ) -> Iterator[tuple[int, Fault]]:
        found = fault_of(rows, self.is_partial[at])
        for i in np.flatnonzero(found != None):  # noqa: E711 - an elementwise comparison
            text = _TEXT[found[i]].format(total=sum(rows[i].tolist()))
            yield int(self.rows[at[i]]), Fault(found[i], text)

    def dense(
        self, keep: NDArray[np.int64], columns: dict[int, list[int]], width: int
    ) -> tuple[NDArray[np.int32], Units, NDArray[np.bool_]]:
        """The kept events' rows of probabilities over all classes, and each event's row in them.

        `columns` names the class of each value of an event; an event without an entry is aligned.
        """
        rows, sizes, flat, is_partial = self.rows, self.sizes, self.flat, self.is_partial
        if keep.size < self.count:
            is_kept = np.isin(rows, keep)
            flat = flat[np.repeat(is_kept, sizes)]
            rows, sizes, is_partial = rows[is_kept], sizes[is_kept], is_partial[is_kept]
        number = np.full(self.count, -1, np.int32)
        number[rows] = np.arange(rows.size)
        if not columns and flat.size == rows.size * width:
            probabilities = flat.reshape(rows.size, width)
        else:
            probabilities = np.zeros((rows.size, width))
            classes = chain.from_iterable(
                columns.get(i) or range(size)
                for i, size in zip(rows.tolist(), sizes.tolist(), strict=True)
            )
            row_of_value = np.repeat(np.arange(rows.size), sizes)
            probabilities[row_of_value, np.fromiter(classes, np.int64, count=flat.size)] = flat
        return number[keep], quantise(probabilities, is_partial), is_partial


def _values(form: list[float] | dict[str, float] | TopK) -> Sequence[float]:
    if isinstance(form, list):
        return form
    return form.probabilities if isinstance(form, TopK) else list(form.values())
