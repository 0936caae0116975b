"""Events become a Batch of arrays; what does not fit the classes or is no distribution is rejected.

Two passes. The first looks at probabilities alone, for the whole batch at once. The second looks
up labels and classes in order of arrival, because an event may add classes for those behind it;
where no event does, it is one dictionary lookup a label. So the answer does not depend on where
poll() cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from monitor.classes import CLASSES_MAX, ClassList, Fault
from monitor.distributions import WITH_PROBS, Distributions
from monitor.events import Event, EventType, Reason, Records, Rejection, TopK
from monitor.order import NO_REVISION, OrderKeys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.units import Units

UNLISTED = -2
_DAY_US = 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Batch:
    """The usable events of one poll, in order of arrival, as read-only columns.

    `given`: class number of the label, -1 where there is none. `prediction`: row in `units`, -1
    where the event carries no probabilities. `position`: index into the records of the poll.
    Shape: (n,) each; `units` (p, K), `is_truncated` (p,). Unit of `units`: 2⁻³⁰.
    """

    events: list[Event]
    position: NDArray[np.int64]
    keys: OrderKeys
    given: NDArray[np.int16]
    prediction: NDArray[np.int32]
    units: Units
    is_truncated: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.events)


def validate(
    records: Records,
    events: Sequence[Event | None],
    sources: NDArray[np.int32],
    classes: ClassList,
) -> tuple[Batch, list[Rejection]]:
    """The usable events as a Batch, and a Rejection for each that is not. Classes may join `classes`.

    `sources` numbers the partitions of `records`. Events that are None were rejected before.
    """
    rejections: list[Rejection] = []
    kept: list[Event] = [event for event in events if event is not None]
    position = np.arange(len(events))
    if len(kept) < len(events):
        position = np.array([i for i, event in enumerate(events) if event is not None], np.int64)
    keys, late = _order_keys(kept, position, records, sources)
    faults: dict[int, Fault] = {int(i): _FUTURE for i in late}
    table = Distributions(kept)
    faults = {**table.faults, **faults}
    given, columns = _look_up(kept, table, classes, faults)
    keep = np.arange(len(kept))
    if faults:
        keep = np.setdiff1d(keep, list(faults), assume_unique=True)
    rejections += [
        Rejection(int(position[i]), fault.reason, fault.error)
        for i, fault in sorted(faults.items())
    ]
    if len(keep) < len(kept):
        kept, position, keys, given = (
            [kept[i] for i in keep],
            position[keep],
            keys.take(keep),
            given[keep],
        )
    prediction, units, is_truncated = table.dense(keep, columns, len(classes))
    return Batch(kept, position, keys, given, prediction, units, is_truncated), rejections


def faults_at_once(
    records: Records, events: Sequence[Event | None], configured: Sequence[str] | None
) -> list[Rejection]:
    """What `validate` would say whatever the line knows: of times, probabilities and configured classes.

    All records are of one partition. Without a configured class list nothing is said of classes.
    """
    sources = np.zeros(1, np.int32)
    if configured is not None:
        return validate(records, events, sources, ClassList(configured))[1]
    position = np.array([i for i, event in enumerate(events) if event is not None], np.int64)
    kept = [event for event in events if event is not None]
    _, late = _order_keys(kept, position, records, sources)
    faults = {**Distributions(kept).faults, **dict.fromkeys(late.tolist(), _FUTURE)}
    return [
        Rejection(int(position[i]), fault.reason, fault.error)
        for i, fault in sorted(faults.items())
    ]


_FUTURE = Fault(
    Reason.TIME_IN_FUTURE,
    "annotated_at: more than 24 h after the record's own timestamp; correct the sender's clock or unit",
)


def _order_keys(
    events: list[Event], position: NDArray[np.int64], records: Records, sources: NDArray[np.int32]
) -> tuple[OrderKeys, NDArray[np.int64]]:
    """The key of each event, and the events whose own time lies more than 24 h after the record's."""
    recorded = records.timestamps_us[position]
    times = [event.annotated_at for event in events]
    time_us = np.where(recorded >= 0, recorded, 0)
    late = np.empty(0, np.int64)
    if times.count(None) < len(times):
        own = np.array([-1 if time is None else time for time in times], np.int64)
        has_own = np.array([time is not None for time in times])
        time_us = np.where(has_own, own, time_us)
        late = np.flatnonzero(has_own & (recorded >= 0) & (own > recorded + _DAY_US))
    revisions = [event.revision for event in events]
    revision = np.full(len(events), NO_REVISION, np.int64)
    if revisions.count(None) < len(revisions):
        revision[:] = [NO_REVISION if each is None else each for each in revisions]
    source = sources[records.partition_index[position]]
    return OrderKeys(revision, time_us, source, records.offsets[position]), late


def _look_up(
    events: list[Event], table: Distributions, classes: ClassList, faults: dict[int, Fault]
) -> tuple[NDArray[np.int16], dict[int, list[int]]]:
    """Class numbers of labels, and of probabilities not simply aligned. Adds to `faults`."""
    lookup: dict[str | int | None, int] = {}
    if classes.alignment == list(range(len(classes))):
        lookup |= {None: -1} | classes.index | dict(enumerate(classes.alignment))
    width = len(classes)
    labels = [event.label for event in events]
    if not table.types <= WITH_PROBS:
        labels = [event.label if event.type in WITH_PROBS else None for event in events]
    given = [lookup.get(label, UNLISTED) for label in labels]
    is_plain = (
        UNLISTED not in given
        and bool((table.sizes == width).all())
        and table.are_lists
        and EventType.CLASSES not in table.types
    )
    columns: dict[int, list[int]] = {}
    if not is_plain:
        fit = _Fitter(classes)
        for i, event in enumerate(events):
            if i not in faults:
                found = fit(event)
                if isinstance(found, Fault):
                    faults[i] = found
                    given[i] = -1
                else:
                    given[i] = found[0]
                    if found[1]:
                        columns[i] = found[1]
    return np.array(given, np.int16), columns


class _Fitter:
    """Fits events one after another; senders mostly name the classes of a map in one order."""

    def __init__(self, classes: ClassList) -> None:
        self._classes = classes
        self._known: dict[tuple[str, ...], list[int]] = {}

    def __call__(self, event: Event) -> tuple[int, list[int]] | Fault:
        """The class number of an event's label and of each of its probabilities; new names may join."""
        form, label = event.pred_probs, event.label
        if not isinstance(form, dict):
            return _fit(event, self._classes)
        names = tuple(form)
        # Whatever fitted once fits again: a class list only grows.
        numbers = self._known.get(names)
        if numbers and isinstance(label, str) and event.type in WITH_PROBS:
            given = self._classes.index.get(label)
            if given is not None:
                return given, numbers
        found = _fit(event, self._classes)
        if not isinstance(found, Fault):
            self._known[names] = found[1]
        return found


def _fit(event: Event, classes: ClassList) -> tuple[int, list[int]] | Fault:
    """The class number of an event's label and of each of its probabilities; new names may join."""
    label, form = event.label, event.pred_probs
    if event.type is EventType.CLASSES:
        return classes.declare(event.classes or ()) or (-1, [])
    if event.type not in WITH_PROBS:
        return -1, []
    names = [] if form is None or isinstance(form, list) else list(_names(form))
    fault = classes.fault_of(names, "pred_probs")
    if fault is None and isinstance(label, str) and label not in classes.index:
        fault = classes.fault_of([label, *names])
    if fault is None and isinstance(form, list):
        fault = _fit_list(form, label, classes)
    if fault is not None:
        return fault
    if isinstance(label, int) and isinstance(number := classes.number_of(label), Fault):
        return number
    classes.join([*names, label] if isinstance(label, str) else names)
    given = -1 if label is None else classes.number_of(label)
    assert isinstance(given, int)
    if isinstance(form, list):
        return given, list(classes.alignment or ())
    return given, [classes.index[name] for name in names]


def _names(form: dict[str, float] | TopK) -> Sequence[str]:
    return form.labels if isinstance(form, TopK) else list(form)


def _fit_list(form: list[float], label: str | int | None, classes: ClassList) -> Fault | None:
    """Why a list cannot be aligned, None where it can; an integer label may number an empty list."""
    if classes.alignment is None:
        if not isinstance(label, int) or len(classes):
            return Fault(
                Reason.PROBS_WITHOUT_CLASSES,
                "pred_probs: a list needs to know its classes; set `classes` or send a map class → p",
            )
        if not 0 <= label < len(form):
            return Fault(
                Reason.LABEL_INDEX_OUT_OF_RANGE,
                f"label: index {label} is outside the list of {len(form)} probabilities",
            )
        if len(form) > CLASSES_MAX:
            return Fault(
                Reason.TOO_MANY_CLASSES,
                f"pred_probs: {len(form):,} values, automatic classes end at {CLASSES_MAX:,}; set `classes`",
            )
        classes.number_as(len(form))
    if len(form) != len(classes.alignment or ()):
        return Fault(
            Reason.PROBS_WRONG_LENGTH,
            f"pred_probs: {len(form)} values for {len(classes.alignment or ())} classes; "
            "send one value a class, in the order of `classes`",
        )
    return None
