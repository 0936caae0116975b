from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from monitor.detectors.protocol import Action
from monitor.opinions import Judged
from monitor.restore import (
    AnnotationFacts,
    ContentFacts,
    ExampleFacts,
    fill_annotations,
    fill_examples,
    settle,
)
from monitor.tables import keys_of
from tests.laws.line import Run, start
from tests.strategies import CLASSES, cut, streams


def restart(run, shuffle, chunk_size):
    """Put a state in a run's place that knows only the facts which a store keeps, in any order."""
    old, new = run.state, start(CLASSES)
    ledger = old.ledger
    new.partitions += old.partitions
    new.annotators.numbers(old.annotators.names)
    new.model_versions.numbers(old.model_versions.names)
    rows = np.array(shuffle(range(ledger.annotations.size)), np.int32)
    annotations = AnnotationFacts(
        rows,
        ledger.annotation_ids.ids(rows),
        ledger.annotations.example[rows],
        ledger.annotations.annotator[rows],
        ledger.annotations.given[rows],
        keys_of(ledger.annotations, rows),
    )
    at = np.flatnonzero(ledger.annotations.content[: rows.size] >= 0).astype(np.int32)
    content = ContentFacts(at, ledger.content_ids.ids(ledger.annotations.content[at]))
    rows = np.array(shuffle(range(ledger.examples.size)), np.int32)
    examples = ExampleFacts(
        rows,
        ledger.example_ids.ids(rows),
        ledger.examples.stratum[rows],
        ledger.units.data[rows],
        ledger.examples.is_truncated[rows],
        keys_of(ledger.examples, rows),
    )
    run.state = new
    run.standing.flags.clear()
    fill_examples(new, ledger.examples.size, [examples])
    fill_annotations(new, ledger.annotations.size, [annotations], content)
    for flags in settle(new, dict(ledger.markers.keys), chunk_size):
        run.standing.take(flags)
    rows = np.array(shuffle(list(run.published.rows)), np.int32)
    said = [run.published.rows[row] for row in rows.tolist()]
    quality, label, best = np.array(said, np.float32).reshape(-1, 3).T
    flags = new.consensus.restore(new.ledger, Judged(rows, quality, label.astype(np.int16), best))
    assert (flags.action == Action.RAISED).all()
    assert set(flags.annotations.tolist()) == set(run.published.standing.flags[flags.kind])


@given(cut(streams()), st.data())
def test_a_restart_changes_nothing(stream, data):
    """Restored from the store's facts at any commit, a run stands and goes on as if it had not stopped."""
    sents, batches = stream
    at = data.draw(st.integers(0, len(batches)))
    run = Run(CLASSES).feed_all(batches[:at])
    said, rated = dict(run.published.rows), run.ratings()
    restart(run, lambda rows: data.draw(st.permutations(rows)), data.draw(st.integers(1, 20)))
    assert (run.published.rows, run.ratings()) == (said, rated)
    assert run.picture() == Run(CLASSES).feed_all(batches[:at]).picture()
    run.feed_all(batches[at:])
    assert run.picture() == Run(CLASSES).feed_all([sents]).picture()
