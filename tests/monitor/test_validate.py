from __future__ import annotations

import numpy as np
import pytest

from monitor.classes import CLASSES_MAX, ClassList
from monitor.events import Event, EventType, Partition, Reason, Records, TopK
from monitor.validate import validate
from tests.oracle import UNIT

DAY_US = 24 * 3600 * 1_000_000
MANY = [f"c{i}" for i in range(CLASSES_MAX + 1)]


def validated(events, classes, timestamp_us=-1):
    """Validate events as the records of one partition."""
    n = len(events)
    records = Records(
        [b""] * n,
        [None] * n,
        np.arange(n),
        np.full(n, timestamp_us),
        np.zeros(n, np.int64),
        (Partition("animals"),),
    )
    return validate(records, events, np.zeros(1, np.int32), classes)


def annotation(label="a", pred_probs=None, **fields):
    """An annotation of x."""
    return Event(example_id="x", label=label, pred_probs=pred_probs, **fields)


CONFIGURED = ("a", "b")
FAULTS = [
    (CONFIGURED, annotation("zebra"), Reason.UNKNOWN_LABEL, "label"),
    (CONFIGURED, annotation("a", {"a": 0.5, "zebra": 0.5}), Reason.UNKNOWN_LABEL, "pred_probs"),
    (CONFIGURED, annotation("a", TopK(("zebra",), (0.5,))), Reason.UNKNOWN_LABEL, "pred_probs"),
    (
        CONFIGURED,
        Event(type=EventType.PREDICTION, example_id="x", pred_probs={"zebra": 1.0}),
        Reason.UNKNOWN_LABEL,
        "pred_probs",
    ),
    (
        CONFIGURED,
        Event(type=EventType.CLASSES, classes=["a", "zebra"]),
        Reason.UNKNOWN_LABEL,
        "classes",
    ),
    (CONFIGURED, annotation(2), Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
    (CONFIGURED, annotation(-1), Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
    ((), annotation(0), Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
    ((), annotation(0, {"a": 1.0}), Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
    ((), annotation(2, [0.5, 0.5]), Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
    (CONFIGURED, annotation("a", [float("nan"), 1.0]), Reason.PROBS_NOT_FINITE, "pred_probs"),
    (
        CONFIGURED,
        annotation("a", [float("inf"), float("-inf")]),
        Reason.PROBS_NOT_FINITE,
        "pred_probs",
    ),
    (CONFIGURED, annotation("a", [-0.1, 1.1]), Reason.PROBS_OUT_OF_RANGE, "pred_probs"),
    (CONFIGURED, annotation("a", [1e308, 1e308]), Reason.PROBS_OUT_OF_RANGE, "pred_probs"),
    (CONFIGURED, annotation("a", [0.5, 0.4]), Reason.PROBS_NOT_NORMALISED, "pred_probs"),
    (CONFIGURED, annotation("a", TopK(("a",), (0.0,))), Reason.PROBS_NOT_NORMALISED, "pred_probs"),
    (CONFIGURED, annotation("a", [1.0]), Reason.PROBS_WRONG_LENGTH, "pred_probs"),
    ((), annotation("a", [0.5, 0.5]), Reason.PROBS_WITHOUT_CLASSES, "pred_probs"),
    (
        (),
        Event(type=EventType.PREDICTION, example_id="x", pred_probs=[0.5, 0.5]),
        Reason.PROBS_WITHOUT_CLASSES,
        "pred_probs",
    ),
    ((), annotation(0, [1.0] + [0.0] * CLASSES_MAX), Reason.TOO_MANY_CLASSES, "pred_probs"),
    (
        (),
        annotation("c0", {name: float(name == "c0") for name in MANY}),
        Reason.TOO_MANY_CLASSES,
        "pred_probs",
    ),
    ((), Event(type=EventType.CLASSES, classes=MANY), Reason.TOO_MANY_CLASSES, "classes"),
    (CONFIGURED, annotation("a", annotated_at=DAY_US + 1), Reason.TIME_IN_FUTURE, "annotated_at"),
]


@pytest.mark.parametrize(("classes", "event", "reason", "field"), FAULTS)
def test_a_rejection_names_its_reason_and_field(classes, event, reason, field):
    """What cannot be used is rejected with the field at fault, and adds no class."""
    known = ClassList(classes)
    batch, rejections = validated([event], known, 0)
    assert [(each.position, each.reason) for each in rejections] == [(0, reason)]
    assert rejections[0].error.startswith(f"{field}:")
    assert len(batch) == 0
    assert known.names == list(classes)


@pytest.mark.parametrize("event", [event for classes, event, _, _ in FAULTS if classes])
def test_a_rejection_leaves_its_neighbours_alone(event):
    """The records around a rejected one become what they would be without it."""
    good = annotation("a", [0.25, 0.75])
    batch, rejections = validated([good, event, good], ClassList(CONFIGURED), 0)
    assert [each.position for each in rejections] == [1]
    assert batch.given.tolist() == [0, 0]
    assert batch.units.tolist() == [[UNIT // 4, 3 * UNIT // 4]] * 2


def test_a_discovered_list_aligns_no_list():
    """Names in the order of their discovery mean nothing to a sender of lists."""
    classes = ClassList()
    events = [annotation("a", {"a": 0.5, "b": 0.5}), annotation(0, [0.5, 0.5])]
    _, rejections = validated(events, classes)
    assert [each.reason for each in rejections] == [Reason.PROBS_WITHOUT_CLASSES]


def test_every_reason_of_validation_is_tested():
    """The reasons in the list above are all that validation can give."""
    of_decoding = {
        Reason.MALFORMED_JSON, Reason.NOT_AN_OBJECT, Reason.MISSING_FIELD, Reason.WRONG_TYPE,
        Reason.TOO_LARGE, Reason.CONFLICTING_FIELDS, Reason.UNKNOWN_TYPE, Reason.BAD_EMBEDDING,
        Reason.UNSUPPORTED_ENCODING, Reason.UNREADABLE,
    }  # fmt: skip
    of_the_pipeline = {Reason.PENDING_OVERFLOW}
    tested = {reason for _, _, reason, _ in FAULTS}
    assert tested == set(Reason) - of_decoding - of_the_pipeline


def test_positions_are_those_of_the_poll():
    """Records that were rejected before leave a gap, and everybody else keeps their place."""
    events = [None, annotation("a"), None, annotation("zebra"), annotation("b")]
    batch, rejections = validated(events, ClassList(CONFIGURED))
    assert batch.position.tolist() == batch.keys.offset.tolist() == [1, 4]
    assert batch.given.tolist() == [0, 1]
    assert [each.position for each in rejections] == [3]


@pytest.mark.parametrize("neighbour", [annotation("a"), annotation("zebra")])
@pytest.mark.parametrize("kind", [EventType.DELETION, EventType.REVIEW])
def test_only_annotations_give_labels(kind, neighbour):
    """The label of a deletion or a review is no given label, and an unknown one no fault."""
    for label in ("a", "zebra", 7):
        event = Event(type=kind, example_id="x", annotation_id="n", label=label)
        batch, _ = validated([neighbour, event], ClassList(CONFIGURED))
        assert batch.given[-1] == -1
        assert batch.events[-1] is event


def test_time_is_the_senders_else_the_records_else_none():
    """The key holds annotated_at, or the record's timestamp, or 0; −1 stands for no revision."""
    events = [annotation(annotated_at=7), annotation(), annotation(revision=3)]
    batch, _ = validated(events, ClassList(CONFIGURED), 5)
    assert batch.keys.time_us.tolist() == [7, 5, 5]
    assert batch.keys.revision.tolist() == [-1, -1, 3]
    batch, _ = validated(events, ClassList(CONFIGURED))
    assert batch.keys.time_us.tolist() == [7, 0, 0]


def test_a_time_may_be_a_day_ahead_of_its_record():
    """Exactly 24 h is accepted; where the source has no record time nothing is checked."""
    event = annotation(annotated_at=DAY_US)
    assert not validated([event], ClassList(CONFIGURED), 0)[1]
    assert not validated([annotation(annotated_at=10 * DAY_US)], ClassList(CONFIGURED))[1]


def test_all_three_forms_say_the_same():
    """A list, a map in any order and a top-k of everything become the same row."""
    forms = [[0.25, 0.75], {"b": 0.75, "a": 0.25}, TopK(("b", "a"), (0.75, 0.25))]
    batch, _ = validated([annotation("a", form) for form in forms], ClassList(CONFIGURED))
    assert batch.units.tolist() == [[UNIT // 4, 3 * UNIT // 4]] * 3
    assert batch.is_truncated.tolist() == [False, False, True]
    assert batch.prediction.tolist() == [0, 1, 2]


def test_lists_follow_the_newest_declaration():
    """A list is aligned with the declaration before it, also within one batch."""
    events = [
        annotation("b", {"a": 0.25, "b": 0.75}),
        Event(type=EventType.CLASSES, classes=["b", "a"]),
        annotation(0, [0.75, 0.25]),
        Event(type=EventType.CLASSES, classes=["a", "b"]),
        annotation(0, [0.75, 0.25]),
    ]
    batch, rejections = validated(events, ClassList())
    assert not rejections
    assert batch.given.tolist() == [1, -1, 1, -1, 0]
    quarters = [[1, 3], [1, 3], [3, 1]]
    assert (batch.units * 4 // UNIT).tolist() == quarters


def test_a_batch_without_anything_usable_is_a_batch():
    """Nothing but rejections, before any class is known, is an ordinary poll."""
    for events in ([], [None], [annotation(0)], [Event(type=EventType.DELETION, example_id="x")]):
        batch, _ = validated(events, ClassList())
        assert batch.units.shape == (0, 0)
