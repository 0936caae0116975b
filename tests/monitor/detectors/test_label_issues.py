from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from monitor.changes import Cause
from monitor.detectors.protocol import Action, Kind
from monitor.events import Event, EventType
from tests.laws.line import Run
from tests.strategies import CLASSES, cut, in_order, streams


@given(cut(streams()))
def test_only_strata_that_are_told_have_changed(stream):
    """Thresholds, joint and counts move only in the strata that an update names."""
    run = Run(CLASSES)
    for batch in stream[1]:
        before = run.strata()
        run.feed(batch)
        after, names = run.strata(), run.state.model_versions.names
        told = {names[number] for number in run.state.label_issues.strata_touched}
        changed = {name for name in before | after if before.get(name) != after.get(name)}
        assert changed <= told


def annotation(example, label, p=None):
    """An annotation by ann."""
    return Event(example_id=example, label=label, annotator="ann", pred_probs=p)


def prediction(example, p):
    """A prediction on its own."""
    return Event(type=EventType.PREDICTION, example_id=example, pred_probs=p)


def test_findings_say_what_caused_them():
    """A flag changes because of its annotation, its relabelling, deletion or prediction, or a threshold."""
    run, seen = Run(CLASSES), []
    deletion = Event(type=EventType.DELETION, example_id="x", annotator="ann")
    for sent in in_order(
        annotation("y", "a", [0.9, 0.1, 0.0]),
        annotation("z", "b", [0.2, 0.8, 0.0]),
        annotation("x", "a", [0.2, 0.8, 0.0]),  # only b is confident
        annotation("x", "b"),
        annotation("x", "a"),
        deletion,
        annotation("x", "a"),
        annotation("w", "b", [0.0, 1.0, 0.0]),  # b's threshold rises above 0.8
        prediction("x", [0.0, 1.0, 0.0]),
    ):
        for flags in run.feed([sent]).flags:
            if flags.kind is Kind.LABEL_ISSUE:
                rows = run.annotation_rows()
                seen += [
                    (Action(action).name, Cause(cause).name)
                    for row, action, cause in zip(
                        flags.annotations, flags.action, flags.cause, strict=True
                    )
                    if row == rows.get("x\x1fann")
                ]
    assert seen == [
        ("RAISED", "ANNOTATION"),
        ("CLEARED", "RELABEL"),
        ("RAISED", "RELABEL"),
        ("CLEARED", "DELETION"),
        ("RAISED", "RELABEL"),
        ("CLEARED", "THRESHOLD"),
        ("RAISED", "PREDICTION"),
    ]


def test_a_flag_that_stands_is_told_again_when_it_says_something_else():
    """Another suggestion, score or given label is a change of the flag; a new key alone is none."""
    run = Run(CLASSES)
    run.feed(
        in_order(
            annotation("y", "a", [0.9, 0.1, 0.0]),
            annotation("z", "b", [0.2, 0.8, 0.0]),
            annotation("w", "c", [0.1, 0.1, 0.8]),
            annotation("x", "a", [0.1, 0.8, 0.1]),
        )
    )
    told = []
    for i, event in enumerate(
        (
            prediction("x", [0.1, 0.1, 0.8]),  # suggests c instead of b
            prediction("x", [0.1, 0.1, 0.8]),
            prediction("x", [0.05, 0.15, 0.8]),  # a lower score
            annotation("x", "b"),
            annotation("x", "b"),
        )
    ):
        flags = run.feed([replace(in_order(event)[0], offset=10 + i)]).flags[0]
        told.append([Action(action).name for action in flags.action])
    assert told == [["CHANGED"], [], ["CHANGED"], ["CHANGED"], []]
