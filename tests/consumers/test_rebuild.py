"""State from the stored facts, after a change of settings or a doubt."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.consumers.logs import CLASSES, Log, LogSource, feed, parity
from tests.consumers.stored import (
    assert_findings_add_up,
    difference,
    query,
    tables,
    views,
    write_jsonl,
)
from tests.consumers.terminal import run_here
from tests.strategies import streams

# A list has no fixed order of classes: what was sent as a list means other classes under another list.
MAPS = {"label": "a", "pred_probs": {"a": 0.5, "b": 0.25, "c": 0.25}}


def rebuild(path, **settings):
    """Rebuild with these settings from the environment."""
    names = {name.upper(): value for name, value in settings.items()}
    return run_here("rebuild", "--store", path, cwd=path.parent, settings=names)


@settings(max_examples=4)
@given(streams(), st.lists(st.integers(1, 9), max_size=4))
def test_rebuild_without_a_change_changes_nothing(sents, sizes):
    """Nothing that a run keeps up to date differs from what its facts give."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.duckdb")
        feed(path, LogSource(Log.of(sents), sizes), classes=CLASSES)
        known, shown = tables(path), views(path)
        ended = rebuild(path)
        assert ended.exit_code == 0, ended.err
        assert difference(views(path), shown) is None
        rebuilt = tables(path)
        for name in known.keys() - {"prediction_key", "marker"}:
            assert rebuilt[name] == known[name]
        assert_findings_add_up(path)


@settings(max_examples=4)
@given(streams(), st.sampled_from([("cleanlab", "paper"), ("paper", "cleanlab")]))
def test_another_rule_for_collisions(sents, rules):
    """After a rebuild with the other rule a store equals one that was built with it."""
    with tempfile.TemporaryDirectory() as folder:
        path, fresh = Path(folder, "s.duckdb"), Path(folder, "fresh.duckdb")
        log = Log.of(sents)
        feed(path, LogSource(log), classes=CLASSES, collision=rules[0])
        feed(fresh, LogSource(log), classes=CLASSES, collision=rules[1])
        assert rebuild(path, collision=rules[1]).exit_code == 0
        assert difference(views(path), views(fresh)) is None
        assert parity(path, rules[1]) == 0
        assert_findings_add_up(path)


def _maps(seed):
    """Events with maps and names only, which mean the same under any list of classes."""
    made = []
    for i in range(60):
        first, second, third = ("abc" * 2)[(i + seed) % 3 :][:3]
        p = {first: 0.5 + (i % 7) / 20, second: 0.3 - (i % 5) / 20}
        p |= {third: 1 - sum(p.values())}
        made.append(
            {
                "example_id": f"x{i % 40}",
                "annotator": f"w{i % 3}",
                "label": "abca"[i % 4],
                "pred_probs": p,
            }
        )
    made.append({"type": "deletion", "example_id": "x3"})
    return made


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (None, "c,a,b"),
        (None, "d,c,b,a"),
        ("a,b,c", "b,a,c"),
        ("a,b,c", "b,a,c,d"),
        ("a,b,c,unused", "a,b,c"),
        ("unused,a,b,c", "c,b,a,d"),
    ],
)
def test_another_class_list(old, new, tmp_path):
    """Classes may be reordered, added, and left out where nothing uses them: as if it had always been so."""
    file = write_jsonl(tmp_path / "e.jsonl", _maps(1))
    for store, classes in (("s.duckdb", old), ("fresh.duckdb", new)):
        options = ("--classes", classes) if classes else ()
        assert run_here("replay", file, "--store", store, *options, cwd=tmp_path).exit_code == 0
    path, fresh = tmp_path / "s.duckdb", tmp_path / "fresh.duckdb"
    ended = run_here("rebuild", "--store", path, "--classes", new, cwd=tmp_path)
    assert ended.exit_code == 0, ended.err
    assert difference(views(path), views(fresh)) is None
    assert query(path, "SELECT label FROM classes") == [(name,) for name in new.split(",")]
    assert parity(path) == 0
    assert_findings_add_up(path)
    more = write_jsonl(tmp_path / "more.jsonl", _maps(2))
    for store in (path, fresh):
        assert run_here("replay", more, "--store", store, cwd=tmp_path).exit_code == 0
    assert difference(views(path), views(fresh)) is None


def test_a_class_in_use_stays(filled, tmp_path):
    """A list without a class that annotations or predictions use is refused, and nothing changes."""
    known = tables(filled)
    ended = run_here("rebuild", "--store", filled, "--classes", "a,q", cwd=tmp_path)
    assert ended.exit_code == 2
    assert ended.fault.startswith("classes: 'b' is used by stored annotations or predictions")
    assert difference(tables(filled), known) is None


def test_dead_letters_are_read_again(tmp_path):
    """After a change of the mapping the rejected records get another chance, under their coordinates."""
    good = [{"example_id": f"x{i}", **MAPS} for i in range(3)]
    bad = [{"example_id": "y", "answer": "b"}, {"example_id": "z"}]
    file = write_jsonl(tmp_path / "e.jsonl", good + bad)
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    path = tmp_path / "s.duckdb"
    ended = rebuild(path, fields__label="answer")
    assert ended.err == "rebuilt from 3 live annotations; 1 dead letters became readable\n"
    assert query(path, "SELECT example_id FROM pending") == [("y",)]
    assert query(path, "SELECT kafka_offset FROM dead_letters") == [(4,)]
    assert rebuild(path).err == "rebuilt from 3 live annotations; 0 dead letters became readable\n"


def test_findings_say_what_a_rebuild_changed(tmp_path):
    """Flags that another rule raises or clears are findings, as any change of a flag is."""
    path = tmp_path / "s.duckdb"
    log = Log.lines(
        [
            b'{"example_id":"x%d","label":"%s","pred_probs":[%s]}' % (i, label, p)
            for i, (label, p) in enumerate(
                [(b"a", b"0.3,0.3,0.4"), (b"b", b"0.3,0.3,0.4"), (b"c", b"0,0,1")] * 3
            )
        ]
    )
    feed(path, LogSource(log), classes=CLASSES)
    before = query(path, "SELECT count(*) FROM findings")
    assert rebuild(path, collision="paper").exit_code == 0
    flags = "SELECT annotation_id FROM annotations WHERE is_label_issue ORDER BY 1"
    fresh = tmp_path / "fresh.duckdb"
    feed(fresh, LogSource(log), classes=CLASSES, collision="paper")
    assert query(path, flags) == query(fresh, flags)
    assert query(path, "SELECT count(*) FROM findings") > before
    assert_findings_add_up(path)
