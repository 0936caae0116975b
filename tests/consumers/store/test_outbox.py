"""What is published is read from the store page by page, in one order, each row once."""

from __future__ import annotations

import json

import pytest

from consumers.ports import Stream
from consumers.store import BEFORE_ALL, Store, Wanted, outbox
from tests.consumers.stored import query, tamper


@pytest.fixture
def begun(filled):
    """A store whose output topics were on from its first transaction."""
    tamper(filled, "INSERT INTO store.published_finding VALUES (1, '', -1)")
    tamper(filled, "INSERT INTO store.published_dead_letter VALUES (1, -1, -1)")
    return filled


def publish(path, stream):
    """All pages of a stream, as a run reads them that is told of each that it was acknowledged."""
    store, pages = Store.open(path, "test"), []
    store.outbox.begin([stream], store.txn_id + 1)
    while page := store.outbox.page(stream):
        assert store.outbox.page(stream) == page
        pages.append(page)
        store.outbox.advance(stream)
        store.outbox.save()
    store.close()
    return pages


@pytest.mark.parametrize("rows_max", [1, 7, 5_000])
def test_pages_of_findings_are_the_view(rows_max, begun, monkeypatch):
    """Pages have at most so many findings, and add up to the view in the order of commits."""
    monkeypatch.setattr(outbox, "ROWS_MAX", rows_max)
    pages = publish(begun, Stream.FINDINGS)
    assert all(len(page) == rows_max for page in pages[:-1])
    found = [json.loads(each.value) for page in pages for each in page]
    rows = query(begun, "SELECT finding_id, example_id, txn_id FROM findings")
    assert sorted((each["finding_id"], each["example_id"], each["txn_id"]) for each in found) == (
        sorted(rows)
    )
    assert [each["txn_id"] for each in found] == sorted(each["txn_id"] for each in found)
    assert publish(begun, Stream.FINDINGS) == []


@pytest.mark.parametrize("bytes_max", [1, 100, 1 << 20])
def test_pages_of_letters_are_bounded(bytes_max, begun, monkeypatch):
    """Pages have at most so many bytes, or one letter, and add up to the view."""
    monkeypatch.setattr(outbox, "BYTES_MAX", bytes_max)
    pages = publish(begun, Stream.DEAD_LETTERS)
    assert all(
        len(page) == 1 or sum(len(each.value or b"") for each in page) <= bytes_max
        for page in pages
    )
    offsets = [int(dict(each.headers)["labelwatch.offset"]) for page in pages for each in page]
    assert offsets == [
        offset
        for (offset,) in query(
            begun, "SELECT kafka_offset FROM dead_letters ORDER BY kafka_offset"
        )
    ]
    assert len(offsets) > 10


def test_a_stream_begins_with_the_next_commit(filled):
    """What was there before a stream is published for the first time is not part of it."""
    for stream in (Stream.FINDINGS, Stream.DEAD_LETTERS):
        assert publish(filled, stream) == []
    store = Store.open(filled, "test")
    assert cursor_of(store) == store.txn_id + 1
    store.close()


def cursor_of(store):
    """The transaction at which findings go on."""
    return store._db.execute("SELECT txn_id FROM store.published_finding").fetchone()[0]


def test_a_cursor_is_one_row(begun):
    """However far a stream has come, the store keeps one row for it."""
    publish(begun, Stream.FINDINGS)
    assert query(begun, "SELECT count(*) FROM store.published_finding") == [(1,)]


def test_letters_are_read_in_the_order_they_came(filled):
    """Whole letters only where they are to be read again, and each once however small the pages."""
    store, place, found = Store.open(filled, "test"), BEFORE_ALL, []
    while letters := store.dead_letters(place, Wanted(2, 1 << 20, is_whole=True)):
        found += letters
        place = letters[-1].place
    store.close()
    places = [letter.place for letter in found]
    assert places == sorted(set(places))
    assert len(found) == query(filled, "SELECT count(*) FROM dead_letters")[0][0]
