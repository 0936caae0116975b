"""State in memory is a cache of the store."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consumers.logs import CLASSES, Log, LogSource, feed, parity
from tests.consumers.stored import (
    assert_findings_add_up,
    assert_joint_is_shown,
    difference,
    tables,
    tamper,
)
from tests.consumers.terminal import run_here
from tests.strategies import growing_streams, streams

FEW = settings(max_examples=8)


@st.composite
def interrupted(draw, streams):
    """A log, the sizes of its polls, and after how many of them the process stops."""
    log = Log.of(draw(streams))
    sizes = draw(st.lists(st.integers(1, 7), min_size=2, max_size=8))
    return log, sizes, draw(st.integers(1, len(sizes)))


def check(case, **options):
    """A store that was closed and opened again equals one that was not, table by table."""
    log, sizes, stop = case
    collision = options.get("collision") or "cleanlab"
    with tempfile.TemporaryDirectory() as folder:
        once, twice = Path(folder, "once.duckdb"), Path(folder, "twice.duckdb")
        feed(once, LogSource(log, sizes), **options)
        feed(twice, LogSource(log, sizes), batches=stop, **options)
        feed(twice, LogSource(log, sizes[stop:]), **options)
        assert difference(tables(once), tables(twice)) is None
        assert parity(once, collision) == 0
        assert_findings_add_up(once)
        assert_joint_is_shown(once)


@FEW
@given(interrupted(streams()))
def test_restored_equals_never_stopped(case):
    """Deletions, re-scores, repeats, revisions: a run that stopped and went on ends at the same tables."""
    check(case, classes=CLASSES)


@FEW
@given(interrupted(growing_streams()))
def test_restored_equals_never_stopped_while_classes_join(case):
    """So it is where the class list grows, under several model versions."""
    check(case)


@settings(max_examples=3)
@given(interrupted(streams()))
def test_restored_equals_never_stopped_by_the_rule_of_the_paper(case):
    """So it is where collisions are decided as in the paper."""
    check(case, classes=CLASSES, collision="paper")


TAMPERINGS = {
    "statistics": "UPDATE store.class_statistics SET self_confidence_sum = self_confidence_sum + 1",
    "count": "UPDATE store.class_statistics SET annotation_count = annotation_count + 1 WHERE class = 0",
    "threshold": "UPDATE store.class_statistics SET class_threshold = class_threshold / 2",
    "issue count": "UPDATE store.class_statistics SET label_issue_count = label_issue_count + 1",
    "joint": "UPDATE store.joint SET annotation_count = annotation_count + 1 WHERE given = suggested",
    "missing cell": "DELETE FROM store.joint WHERE given = 1",
    "missing class": "DELETE FROM store.class_statistics WHERE class = 1",
    "flag": "DELETE FROM store.flag WHERE kind = 'label_issue' AND score < 0.1",
    "other flag": "UPDATE store.flag SET annotation = (SELECT max(annotation) + 1 FROM store.flag) "
    "WHERE annotation = (SELECT min(annotation) FROM store.flag)",
    "label": "UPDATE store.annotation SET given = 1 - given WHERE given IN (0, 1) AND position < 150",
}


@pytest.mark.parametrize("what", TAMPERINGS)
def test_a_tampered_store_is_refused_and_rebuild_mends_it(what, filled, stream, tmp_path):
    """Where stored statistics or flags differ from the facts, the line refuses to go on; rebuild mends it."""
    known = tables(filled)
    tamper(filled, TAMPERINGS[what])
    refused = run_here("replay", stream, "--store", filled, cwd=tmp_path)
    assert refused.exit_code == 3, refused.err
    assert "run `labelwatch rebuild`" in refused.fault
    assert run_here("rebuild", "--store", filled, cwd=tmp_path).exit_code == 0
    assert run_here("replay", stream, "--store", filled, cwd=tmp_path).exit_code == 0
    assert parity(filled) == 0
    mended = tables(filled)
    if what != "label":
        assert mended["flag"] == known["flag"]


@pytest.mark.parametrize("what", ["threshold", "joint", "missing cell", "missing class", "label"])
def test_parity_notices(what, filled):
    """The recount in SQL sees what was changed behind labelwatch's back."""
    assert parity(filled) == 0
    tamper(filled, TAMPERINGS[what])
    assert parity(filled) > 0
