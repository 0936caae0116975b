"""A store of an earlier labelwatch is brought up to date when it is opened for writing."""

from __future__ import annotations

import pytest

from consumers.store.connection import connect
from consumers.store.migrate import migrations
from tests.consumers.stored import PUBLISHED, difference, query, tables, tamper, views
from tests.consumers.terminal import run_here

NEWEST = migrations()[-1][0]


@pytest.fixture
def first(filled):
    """A store as the first version left it."""
    for table in PUBLISHED:
        tamper(filled, f"DROP TABLE store.{table}")
    tamper(filled, "DELETE FROM labelwatch_schema WHERE version > 1")
    tamper(filled, "CHECKPOINT")
    return filled


def test_an_earlier_store_goes_on(first, stream):
    """It gets what is missing, durably in the file, and nothing else changes."""
    known = tables(first)
    ended = run_here("replay", stream, "--store", first, cwd=first.parent)
    assert (ended.exit_code, ended.err[:14]) == (0, "0 records read"), ended
    assert query(first, "SELECT max(version) FROM labelwatch_schema") == [(NEWEST,)]
    assert not first.with_name("s.duckdb.wal").exists()
    assert difference(tables(first), known) is None
    assert query(first, f"SELECT count(*) FROM store.{PUBLISHED[0]}") == [(0,)]


def test_an_earlier_store_can_be_read_as_it_is(first):
    """Reading does not change the schema."""
    shown = views(first)
    for command in (("flags",), ("dead-letters", "list")):
        ended = run_here(*command, "--store", first, cwd=first.parent)
        assert ended.exit_code == 0, ended
    assert query(first, "SELECT max(version) FROM labelwatch_schema") == [(1,)]
    assert difference(views(first), shown) is None


def test_killed_before_it_is_in_the_file(first, stream):
    """A migration that a kill left in the write-ahead log alone is as good as done."""
    known, db = tables(first), connect(first, "512MB")
    for number, text in migrations()[1:]:
        db.execute(f"BEGIN; {text}; INSERT INTO labelwatch_schema VALUES ({number}); COMMIT")
    db.close()
    assert first.with_name("s.duckdb.wal").exists()
    ended = run_here("replay", stream, "--store", first, cwd=first.parent)
    assert ended.exit_code == 0, ended
    assert not first.with_name("s.duckdb.wal").exists()
    assert difference(tables(first), known) is None
