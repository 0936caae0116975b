from __future__ import annotations

import numpy as np
import pytest

from monitor import consensus
from monitor.annotators import rate
from monitor.changes import Cause
from monitor.detectors.protocol import Action
from monitor.events import Event, EventType
from monitor.opinions import ISSUE_BELOW
from monitor.units import UNIT
from tests.consensus_oracle import assert_published
from tests.laws.line import Run
from tests.strategies import CLASSES, in_order, seeded_stream

SURE = {"a": [0.98, 0.01, 0.01], "b": [0.01, 0.98, 0.01], "c": [0.01, 0.01, 0.98]}


def label(example, given, p=None, by="ann", **fields):
    """A label, with probabilities where they are given."""
    return Event(example_id=example, label=given, annotator=by, pred_probs=p, **fields)


def deletion(**fields):
    """A deletion."""
    return Event(type=EventType.DELETION, **fields)


class Told(Run):
    """A run that is told events one after the other, and says which flags changed."""

    def __init__(self, *events):
        super().__init__(CLASSES)
        self.events = []
        self.tell(*events)

    def tell(self, *events):
        """One batch: {annotation id: (action, cause)} of the flags that changed."""
        start = len(self.events)
        self.events += events
        return self.changed(self.feed(in_order(*self.events)[start:]).opinions)

    def changed(self, opinions):
        """The changes of flags by annotation id."""
        names = {row: name for name, row in self.annotation_rows().items()}
        flags = opinions.flags
        return {
            names[row]: (Action(action), Cause(cause))
            for row, action, cause in zip(
                flags.annotations.tolist(),
                flags.action.tolist(),
                flags.cause.tolist(),
                strict=True,
            )
        }

    def opinions(self):
        """What is published, by annotation id."""
        names = {row: name for name, row in self.annotation_rows().items()}
        return {names[row]: said for row, said in self.published.rows.items()}

    def check(self):
        """Assert that after a sweep the oracle says the same of every live annotation."""
        self.sweep()
        assert_published(self.opinions(), self.world.live(), len(CLASSES))
        self.check_totals()

    def check_totals(self):
        """Assert that annotators' totals are what a recount of the published qualities gives."""
        annotator = self.state.ledger.annotations.annotator
        recount = {}
        for row, (quality, *_) in self.published.rows.items():
            own = recount.setdefault(int(annotator[row]), [0, 0, 0])
            own[0] += 1
            own[1] += quality < ISSUE_BELOW
            own[2] += int(np.rint(quality * UNIT))
        totals = self.state.consensus.totals
        for number in range(totals.size):
            assert recount.get(number, [0, 0, 0]) == [
                totals.count[number],
                totals.issue_count[number],
                totals.quality_sum[number],
            ]


def crowd(count=60):
    """Labels of three people on examples of three classes: ann and bob are right, eve says a."""
    for i in range(count):
        true = CLASSES[i % 3]
        for by, given in (("ann", true), ("bob", true), ("eve", "a")):
            yield label(f"e{i}", given, SURE[true], by)


@pytest.mark.parametrize("seed", range(6))
def test_published_is_what_the_oracle_says(seed):
    """After relabels, deletions, moves and re-scores, what a sweep leaves is what the oracle says."""
    run, sents = Told(), seeded_stream(seed, 120)
    for start in range(0, len(sents), 8):
        run.feed(sents[start : start + 8])
        run.check_totals()
        if start % 40 == 0:
            run.check()
    run.check()


def test_a_batch_judges_its_own_examples_at_once():
    """Opinions on what a batch touched are those of a sweep; others wait for one."""
    run = Told(*crowd())
    run.check()
    touched = {"e0\x1fann", "e0\x1fbob", "e0\x1feve", "e0\x1fmia"}
    before = run.opinions()
    run.tell(label("e0", "b", by="mia"))
    after = run.opinions()
    assert {name for name in after if after[name] != before.get(name)} <= touched
    run.check()
    swept = run.opinions()
    assert {name: swept[name] for name in touched} == {name: after[name] for name in touched}
    assert any(swept[name] != after[name] for name in after)


def test_an_empty_batch_says_nothing():
    """Without an event there is no opinion, and nothing to sweep for."""
    run = Told(*crowd(6))
    run.sweep()
    version = run.state.consensus.version
    assert not len(run.feed([]).opinions)
    assert not len(run.sweep())
    assert run.state.consensus.version == version
    assert not len(Told().feed([]).opinions)


def test_an_error_is_flagged_and_a_correction_clears_it():
    """Who contradicts a sure model and two colleagues is flagged; the corrected label is not."""
    run = Told(*crowd(30))
    assert run.tell(label("x", "b", SURE["b"]), label("x", "b", by="bob")) == {}
    assert run.tell(label("x", "c", by="mia")) == {"x\x1fmia": (Action.RAISED, Cause.ANNOTATION)}
    assert run.tell(label("x", "a", by="mia")) == {"x\x1fmia": (Action.CHANGED, Cause.RELABEL)}
    assert run.tell(label("x", "b", by="mia")) == {"x\x1fmia": (Action.CLEARED, Cause.RELABEL)}
    run.tell(label("x", "c", by="mia"))
    assert run.tell(deletion(example_id="x", annotator="mia")) == {
        "x\x1fmia": (Action.CLEARED, Cause.DELETION)
    }
    run.check()


def test_another_prediction_judges_anew():
    """A re-score by another model version turns flags, with that cause; deleted, nothing is said."""
    run = Told(*crowd(30), label("x", "b", SURE["b"]))
    scores = {"pred_probs": SURE["c"], "model_version": "m2"}
    told = run.tell(Event(type=EventType.PREDICTION, example_id="x", **scores))
    assert told == {"x\x1fann": (Action.RAISED, Cause.PREDICTION)}
    run.check()
    assert run.tell(deletion(example_id="x")) == {"x\x1fann": (Action.CLEARED, Cause.DELETION)}
    assert "x\x1fann" not in run.opinions()
    run.check()
    assert run.tell(label("x", "b", by="bob")) == {}
    assert "x\x1fbob" not in run.opinions(), "it waits for a prediction"
    told = run.tell(Event(type=EventType.PREDICTION, example_id="x", **scores))
    assert told == {"x\x1fbob": (Action.RAISED, Cause.PREDICTION)}
    run.check()


def test_an_annotation_may_move():
    """To another example: what was counted there is taken back, and both are judged anew."""
    run = Told(*crowd(30), label("x", "b", SURE["b"], annotation_id="n"))
    run.tell(label("y", "c", SURE["c"], by="bob"))
    assert run.tell(label("y", "b", annotation_id="n")) == {"n": (Action.RAISED, Cause.RELABEL)}
    run.check()
    run.tell(label("z", "c", SURE["c"], by="bob"))
    assert run.tell(label("z", "b", annotation_id="n")) == {"n": (Action.CHANGED, Cause.RELABEL)}
    run.check()


def test_an_annotation_may_change_hands():
    """To another annotator, who is charged with it from then on, the former no more."""
    run = Told(*crowd(30), label("x", "b", SURE["c"], annotation_id="n"))
    run.check_totals()
    run.tell(label("x", "b", by="mia", annotation_id="n"))
    run.check()
    rated = rate(run.state.consensus.totals)
    names = [run.state.annotators.names[row] for row in rated.annotator]
    assert dict(zip(names, rated.annotation_count.tolist(), strict=True))["mia"] == 1
    assert dict(zip(names, rated.issue_count.tolist(), strict=True)) == {
        "ann": 0,
        "bob": 0,
        "eve": 20,
        "mia": 1,
    }


def test_what_swaps_places_is_said_anew():
    """Two annotations that trade examples of equal quality are both published with their new example."""
    run = Told(
        *[label("x", "a", SURE["b"], by, annotation_id=f"x-{by}") for by in ("ann", "bob")],
        *[label("y", "a", SURE["c"], by, annotation_id=f"y-{by}") for by in ("ann", "bob")],
    )
    run.sweep()
    run.tell(label("y", "a", annotation_id="x-ann"), label("x", "a", annotation_id="y-ann"))
    best = {name: said[1] for name, said in run.opinions().items()}
    assert best["x-ann"] == best["y-bob"]
    assert best["y-ann"] == best["x-bob"]
    run.check()


def test_a_sweep_flags_what_others_labels_changed():
    """A flag that only everybody else's labels turn comes with a sweep, and says so."""
    p = [0.45, 0.35, 0.2]
    run = Told(*crowd(9), label("x", "b", p, "eve"))
    run.check()
    before = run.opinions()["x\x1feve"]
    run.tell(*[label(f"f{i}", "b", SURE["a"], "eve") for i in range(40)])
    assert run.opinions()["x\x1feve"] == before
    assert run.changed(run.sweep())["x\x1feve"] == (Action.RAISED, Cause.THRESHOLD)
    run.check()


def test_a_sweep_in_parts_is_a_sweep(monkeypatch):
    """Where parts and chunks begin and end changes no bit."""
    whole, parts = Told(), Told()
    for run in (whole, parts):
        run.feed(seeded_stream(3, 120))
    whole.sweep()
    monkeypatch.setattr(consensus, "_CHUNK_CELLS", 7)
    count = parts.state.ledger.examples.size
    for start in range(0, count, 3):
        state = parts.state
        parts.published.take(state.consensus.sweep(state.ledger, start, start + 3))
    assert parts.opinions() == whole.opinions()
    assert parts.ratings() == whole.ratings()


def test_the_best_annotators_count_most():
    """Two people who are mostly wrong do not outvote one who is not, where the model is in doubt."""
    events = [
        label(f"e{i}", given, SURE[CLASSES[i % 3]], by)
        for i in range(90)
        for by, given in (("ann", CLASSES[i % 3]), ("bob", CLASSES[i * i % 3]), ("eve", "a"))
    ]
    doubt = [0.4, 0.35, 0.25]
    run = Told(
        *events, label("x", "b", doubt), label("x", "a", doubt, "bob"), label("x", "a", by="eve")
    )
    quality, best, _ = run.opinions()["x\x1fann"]
    assert CLASSES[best] == "b"
    assert quality > ISSUE_BELOW


def test_order_does_not_matter_to_ratings():
    """Annotators numbered by another order of arrival get the same rates to the last bit."""
    events = [
        label(
            f"e{i}", CLASSES[(i % 3 + (i % 7 == i % (k + 2))) % 3], SURE[CLASSES[i % 3]], f"w{k}"
        )
        for i in range(40)
        for k in range(23)
        if (i * k) % 5
    ]
    sents = in_order(*events)
    forwards, backwards = (Run(CLASSES).feed_all([each]) for each in (sents, sents[::-1]))
    assert forwards.picture()["ratings"] == backwards.picture()["ratings"]
