"""The output topic of what to label next."""

from __future__ import annotations

import json

import pytest

from consumers.outlet import Outlet
from consumers.ranking import Ranking
from consumers.store import Store, outbox
from tests.consumers.stored import query, tamper

EVERY_S = 60.0
NEXT = "SELECT * FROM next_labels LIMIT {}"


class Topic:
    """Keeps what it is sent; pages are acknowledged while it `is_there`."""

    def __init__(self):
        self.pages = []
        self.is_there = self.is_waiting = False

    def open(self):
        self.is_there = True

    def send(self, messages):
        assert self.is_done()
        self.pages.append(list(messages))
        self.is_waiting = bool(messages)

    def is_done(self):
        self.is_waiting &= not self.is_there
        return not self.is_waiting

    def close(self):
        self.is_there = False


class World:
    """A store that is published from, its topic, and the time."""

    def __init__(self, path, rows_max=10):
        self.store, self.topic, self.now = Store.open(path, "test"), Topic(), 0.0
        self.ranking = Ranking(self.store, self.topic, EVERY_S, rows_max, lambda: self.now)
        self.ranking.open()
        assert self.topic.is_done()
        assert len(self.topic.pages) == 1

    def change(self):
        """Something is committed by which the ranking is another one."""
        ((example,),) = self.store._db.execute(
            "SELECT example FROM store.candidate ORDER BY active_learning_score, example_id LIMIT 1"
        ).fetchall()
        self.store._db.execute(f"UPDATE store.example SET stratum = -1 WHERE example = {example}")
        self.store.txn_id += 1


@pytest.fixture
def world(filled):
    """A store, and a topic that has the ranking as of the start."""
    made = World(filled)
    yield made
    made.store.close()


def said(page):
    """What the messages of a page say."""
    return [json.loads(each.value) for each in page]


@pytest.mark.parametrize("ranged", [1, 7, 1 << 18])
def test_the_ranking_is_the_head_of_the_view(ranged, filled, monkeypatch):
    """However many examples are ranked at a time, what is published is the first rows of the view."""
    monkeypatch.setattr(outbox, "RANGE", ranged)
    world = World(filled)
    world.store.close()
    (page,) = world.topic.pages
    columns = [name for name, *_ in query(filled, "DESCRIBE next_labels")]
    rows = query(filled, NEXT.format(10))
    found = said(page)
    assert [tuple(each[name] for name in columns) for each in found] == rows
    assert [(each["rank"], each["count"]) for each in found] == [(i, 10) for i in range(1, 11)]
    ((txn_id,),) = query(filled, "SELECT max(txn_id) FROM store.txn")
    assert {each["txn_id"] for each in found} == {txn_id}
    for message, each in zip(page, found, strict=True):
        assert message.key == each["example_id"].encode()
        assert message.headers == [("labelwatch.request_id", each["request_id"].encode())]
    assert len({each["request_id"] for each in found}) == 10


def test_nothing_is_sent_while_nothing_changes(world):
    """The same ranking is not sent again, however much time passes and whatever else is committed."""
    for _ in range(3):
        world.now += EVERY_S
        world.store.txn_id += 1
        world.ranking.publish()
    assert len(world.topic.pages) == 1


def test_a_change_is_sent_when_its_time_has_come(world):
    """What changes is published with the next look, not before."""
    world.change()
    world.now += EVERY_S - 1
    world.ranking.publish()
    assert len(world.topic.pages) == 1
    world.now += 1
    world.ranking.publish()
    first, second = (said(page) for page in world.topic.pages)
    assert [each["example_id"] for each in first[1:]] == (
        [each["example_id"] for each in second[:-1]]
    )


def test_a_run_that_starts_sends_the_same_ids(world, filled):
    """Where nothing was committed since, what is sent again can be told by its ids."""
    world.store.close()
    again = World(filled)
    assert again.topic.pages == world.topic.pages
    world.store = again.store


def test_a_topic_that_is_away_gets_it_when_it_is_back(world):
    """Nothing is sent over what was not acknowledged; the newest ranking follows."""
    world.topic.is_there = False
    for _ in range(3):
        world.change()
        world.now += EVERY_S
        world.ranking.publish()
    assert len(world.topic.pages) == 2
    assert world.ranking.is_behind()
    world.topic.is_there = True
    world.ranking.publish()
    assert [len(page) for page in world.topic.pages] == [10] * 3
    ids = [{each["example_id"] for each in said(page)} for page in world.topic.pages]
    assert [len(ids[0] & later) for later in ids[1:]] == [9, 7]


def test_a_run_that_ends_sends_the_last_ranking(world):
    """What changed since the last look is published before a run ends."""
    outlet = Outlet(world.store, {}, world.ranking)
    outlet.open()
    outlet.publish(is_idle=True)
    world.change()
    outlet.drain(lambda: False)
    assert len(world.topic.pages) == 2


def test_a_run_does_not_wait_forever(world, monkeypatch, caplog):
    """A topic that takes nothing does not keep a run from ending; it is told."""
    monkeypatch.setattr("consumers.outlet.DRAIN_S", 0.05)
    outlet = Outlet(world.store, {}, world.ranking)
    outlet.open()
    world.change()
    world.topic.is_there = False
    outlet.drain(lambda: True)
    assert "not all next_labels could be published" in caplog.text


def test_a_store_without_predictions_has_nothing_to_publish(filled):
    """An empty ranking is no message."""
    tamper(filled, "DELETE FROM store.example")
    store, topic = Store.open(filled, "test"), Topic()
    ranking = Ranking(store, topic, EVERY_S, 10)
    ranking.open()
    assert not ranking.is_behind()
    store.close()
    assert topic.pages == []
