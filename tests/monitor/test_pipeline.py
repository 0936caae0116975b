from __future__ import annotations

import numpy as np
from hypothesis import given

from monitor.events import UNKNOWN_ANNOTATOR, Event, EventType, Reason, TopK
from monitor.identity import identify
from monitor.state import Limits
from tests.laws.line import Run
from tests.laws.world import annotation_id_of
from tests.strategies import CLASSES, cut, in_order, streams


def limited(**limits):
    """A run with caps."""
    run = Run(CLASSES)
    run.state.limits = Limits(**limits)
    return run


def label(example, p=None, **fields):
    """An annotation by ann."""
    return Event(example_id=example, label="a", annotator="ann", pred_probs=p, **fields)


def prediction(example):
    """A prediction on its own."""
    return Event(type=EventType.PREDICTION, example_id=example, pred_probs=[1.0, 0.0, 0.0])


def test_annotations_beyond_the_cap_are_turned_away():
    """Beyond `pending_max` a newcomer that would wait is a dead letter; whoever need not wait is not."""
    run = limited(pending_max=2)
    step = run.feed(
        in_order(
            label("x0"), label("x1"), label("x2"), label("x3", [1.0, 0.0, 0.0]), label("x1"), label("x4"),
            prediction("x4"),
        )
    )  # fmt: skip
    assert [(each.position, each.reason) for each in step.rejections] == [
        (2, Reason.PENDING_OVERFLOW)
    ]
    assert step.rejections[0].error.startswith("pred_probs:")
    assert run.state.ledger.pending_count == 2
    assert run.state.ledger.labelled_count == 2
    assert run.state.ledger.example_ids.find(identify(["x2"])).tolist() == [-1]


def test_a_deletion_is_no_prediction():
    """A deletion of the example in the same batch does not let an annotation past the cap."""
    run = limited(pending_max=0)
    events = in_order(label("x0"), Event(type=EventType.DELETION, example_id="x0"))
    assert [each.reason for each in run.feed(events).rejections] == [Reason.PENDING_OVERFLOW]


def test_room_comes_back_when_predictions_do():
    """Who waited and got a prediction makes room for others."""
    run = limited(pending_max=1)
    first, second, third, fourth = in_order(
        label("x0"), prediction("x0"), label("x1"), label("x2")
    )
    assert [len(run.feed([sent]).rejections) for sent in (first, second, third, fourth)] == [
        0,
        0,
        0,
        1,
    ]


def test_predictions_beyond_the_cap_are_counted_not_kept():
    """Beyond `unlabelled_max` predictions of examples never heard of are dropped, and counted."""
    run = limited(unlabelled_max=2)
    step = run.feed(
        in_order(
            prediction("x0"), prediction("x1"), prediction("x2"), label("x3"), prediction("x3")
        )
    )
    assert step.dropped_prediction_count == 1
    assert run.state.ledger.predicted_count == 3
    assert run.state.ledger.example_ids.find(identify(["x2"])).tolist() == [-1]
    assert run.feed(in_order(prediction("x0"))).dropped_prediction_count == 0


@given(cut(streams()))
def test_a_step_tells_what_is_new(stream):
    """New rows are numbered from the step's starts, and the events that first named them are told."""
    run = Run(CLASSES)
    names, examples = {}, {}
    for batch in stream[1]:
        step = run.feed(batch)
        assert (step.annotation_start, step.example_start) == (len(names), len(examples))
        for i, name, row in zip(
            step.annotation_events, step.annotation_ids, step.annotations.annotation, strict=True
        ):
            event = step.batch.events[i]
            text = annotation_id_of(event)
            # An id is told only where example and annotator, joined by their separator, are not it.
            pair = f"{event.example_id}\x1f{event.annotator or UNKNOWN_ANNOTATOR}"
            assert name == (None if event.annotation_id is None and text == pair else text)
            assert names.setdefault(text, len(names)) == row
        for i in step.example_starts.tolist():
            examples[step.batch.events[i].example_id] = len(examples)
        table = run.state.ledger.example_ids
        assert table.find(identify(examples)).tolist() == list(range(len(examples)))
        assert len(table) == len(examples)


@given(cut(streams()))
def test_a_step_tells_what_stands(stream):
    """The writes that won are those whose keys the rows hold now; predictions that are news are told."""
    run = Run(CLASSES)
    for batch in stream[1]:
        former = dict(run.world.predictions)
        step = run.feed(batch)
        ledger, outcome = run.state.ledger, step.outcome
        won = step.annotations.annotation[outcome.annotation_wins]
        assert len(set(won.tolist())) == won.size
        assert (
            ledger.annotations.offset[won] == step.annotations.keys.offset[outcome.annotation_wins]
        ).all()
        events = step.prediction_events[outcome.prediction_wins]
        examples = [step.batch.events[i].example_id for i in events.tolist()]
        news = [
            _told(run.world, former.get(example))
            != _told(run.world, run.world.predictions[example])
            for example in examples
        ]
        assert outcome.prediction_is_news.tolist() == news


def _told(world, write):
    """What a prediction says, whatever its key."""
    if write is None or write[1] is None:
        return None
    return write[1].version, world.dense(write[1]), write[1].is_truncated


def test_a_top_k_of_the_same_numbers_is_news():
    """A prediction that is marked as truncated differs from one that is not; repeated, it does not."""
    run = Run(CLASSES)
    top_k = Event(type=EventType.PREDICTION, example_id="x0", pred_probs=TopK(("a",), (1.0,)))
    told = [
        run.feed([sent]).outcome.prediction_is_news.tolist()
        for sent in in_order(prediction("x0"), prediction("x0"), top_k, top_k, prediction("x0"))
    ]
    assert told == [[True], [False], [True], [False], [True]]


@given(streams())
def test_every_annotation_is_in_the_chain_of_its_example(sents):
    """An example's annotations are found again after any moves between examples."""
    run = Run(CLASSES)
    for sent in sents:
        run.feed([sent])
        ledger = run.state.ledger
        place = ledger.annotations.example[: ledger.annotations.size]
        for example in range(ledger.examples.size):
            found = ledger.annotations_of(np.array([example], np.int32))
            assert sorted(found.tolist()) == np.flatnonzero(place == example).tolist()
