from __future__ import annotations

import json

from consumers.store.connection import connect
from consumers.store.migrate import migrations
from tests.consumers.stored import (
    assert_findings_add_up,
    columns_of,
    difference,
    query,
    tables,
    views,
)
from tests.consumers.terminal import run_here

NEWER = ("label_score",)
"""Columns that meant something else in the first schema."""


def test_an_old_store_is_brought_up_to_date(first, filled, stream):
    """A store of the first schema shows the same through its views, and goes on where it was.

    What was not computed then, opinions and ratings, is there once it has run.
    """
    columns, known, facts = columns_of(first), views(first, without=NEWER), tables(filled)
    ended = run_here("replay", stream, "--store", first, cwd=first.parent)
    assert ended.exit_code == 0, ended.err
    # Positions of files go by their path: nothing is read again.
    assert ended.err.startswith("0 records read")
    assert query(first, "SELECT max(version) FROM labelwatch_schema") == [(migrations()[-1][0],)]
    assert difference(views(first, without=NEWER, columns=columns), known) is None
    assert difference(views(first), views(filled)) is None
    assert facts["opinion"]
    assert facts["annotator_rating"]
    assert_findings_add_up(first)
    found = tables(first)
    # What was stored in full stays so.
    for each in (found, facts):
        each["annotation"] = [row[:1] + row[2:] for row in each["annotation"]]
        each["setting"] = [(name, json.loads(value)) for name, value in each["setting"]]
    assert difference(found, facts) is None


def test_reading_asks_for_an_upgrade(first):
    """Reading never writes: a store of an older schema is told apart from damage, with what to do."""
    ended = run_here("flags", "--store", first, cwd=first.parent)
    assert ended.exit_code == 3
    assert "schema 1" in ended.err
    assert "labelwatch rebuild" in ended.err
    assert run_here("rebuild", "--store", first, cwd=first.parent).exit_code == 0
    assert run_here("flags", "--store", first, cwd=first.parent).exit_code == 0


def test_killed_before_it_is_in_the_file(first, stream):
    """A migration that a kill left in the write-ahead log alone is as good as done."""
    columns, known, db = columns_of(first), views(first, without=NEWER), connect(first, "512MB")
    for number, text in migrations()[1:]:
        db.execute(f"BEGIN; {text}; INSERT INTO labelwatch_schema VALUES ({number}); COMMIT")
    db.close()
    assert first.with_name("first.duckdb.wal").exists()
    ended = run_here("replay", stream, "--store", first, cwd=first.parent)
    assert ended.exit_code == 0, ended
    assert not first.with_name("first.duckdb.wal").exists()
    assert difference(views(first, without=NEWER, columns=columns), known) is None
