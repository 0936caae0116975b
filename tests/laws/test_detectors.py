"""What every detector of `monitor.detectors` keeps to; a new one is tested by being listed there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.changes import Cause, Changes
from monitor.detectors import detectors
from monitor.detectors.protocol import Action, Kind
from monitor.events import EventType
from monitor.statistics.confident_joint import Collision
from tests.laws.line import Run
from tests.strategies import CLASSES, EXAMPLES, PARTITIONS, Author, cut, streams

COUNT = len(detectors(Collision.CLEANLAB))
every_detector = pytest.mark.parametrize("number", range(COUNT))


def fresh(number):
    """A detector that has seen nothing."""
    return detectors(Collision.CLEANLAB)[number]


def run_of(number, batches=()):
    """A run with one detector only."""
    run = Run(CLASSES)
    run.state.detectors = (fresh(number),)
    return run.feed_all(batches)


def everything(ledger):
    """All annotations as one change, from nothing to what they are: how a detector restarts."""
    rows = np.arange(ledger.annotations.size, dtype=np.int32)
    after = ledger.side(rows)
    nothing, no = np.full_like(rows, -1), np.zeros_like(after.is_live)
    before = replace(
        after,
        is_live=no,
        is_pending=no,
        example=nothing,
        given=nothing.astype(np.int16),
        stratum=nothing,
        self_units=np.zeros_like(after.self_units),
        content=nothing,
    )
    arrived = np.unique(after.example[after.is_live])
    cause = np.full(rows.size, Cause.ANNOTATION, np.int8)
    none = rows[:0]
    return Changes(rows, before, after, cause, none, arrived, none, ledger.units.data[none])


@every_detector
@given(sents=streams())
def test_an_empty_batch_changes_nothing(number, sents):
    """A detector is silent on an empty batch, whatever it has seen."""
    run = run_of(number)
    assert not any(map(len, run.feed([]).flags))
    run.feed(sents)
    assert not any(map(len, run.feed([]).flags))


@every_detector
@given(stream=cut(streams()))
def test_flags_do_not_depend_on_batches(number, stream):
    """The flags that stand after a stream do not depend on how it was cut."""
    sents, batches = stream
    assert run_of(number, batches).flags() == run_of(number, [sents]).flags()


@every_detector
@given(data=st.data())
def test_what_is_retracted_leaves_no_trace(number, data):
    """After everything was deleted no flag stands, and what follows is judged as if alone."""
    first, second = (
        Author(
            lambda values: data.draw(st.sampled_from(values)), is_ordered=True, partitions=[each]
        )
        for each in (PARTITIONS[0], PARTITIONS[2])
    )
    first.write(data.draw(st.integers(1, 15)))
    for example in EXAMPLES:
        first.send(type=EventType.DELETION, example_id=example)
    second.write(data.draw(st.integers(1, 15)))
    run = run_of(number, [first.sents])
    assert not any(run.flags().values())
    run.feed(second.sents)
    assert run.flags() == run_of(number, [second.sents]).flags()


@every_detector
@given(stream=cut(streams()), later=st.integers(0, 30))
def test_a_fresh_detector_catches_up_at_once(number, stream, later):
    """Told all live annotations at once, it flags what the stream flagged, and goes on like it."""
    sents, batches = stream
    run = run_of(number, [sents[:-later]])
    known = run.flags()
    run.standing.flags.clear()
    run.state.detectors = (fresh(number),)
    for flags in run.state.detectors[0].update(run.state.ledger, everything(run.state.ledger)):
        assert (flags.action == Action.RAISED).all()
        run.standing.take(flags)
    assert run.flags() == known
    run.feed(sents[-later:])
    assert run.flags() == run_of(number, batches).flags()


@every_detector
@given(sents=streams())
def test_findings_are_within_their_ranges(number, sents):
    """Findings are about known annotations, with a score from 0 to 1, an action and a cause."""
    run = run_of(number)
    for flags in run.feed(sents).flags:
        assert flags.annotations.size == len(flags)
        assert (
            (flags.annotations >= 0) & (flags.annotations < run.state.ledger.annotations.size)
        ).all()
        assert ((flags.score >= 0) & (flags.score <= 1)).all()
        assert set(flags.action.tolist()) <= set(Action)
        assert set(flags.cause.tolist()) <= set(Cause)


def test_kinds_belong_to_one_detector():
    """Each kind of finding comes from one detector, or from the consensus, and always the same ones."""
    told = [flags.kind for number in range(COUNT) for flags in run_of(number).feed([]).flags[:-1]]
    told.append(Kind.CONSENSUS_ISSUE)
    assert len(set(told)) == len(told)
