"""What the two clients have in common, and where they differ."""

from __future__ import annotations

import pytest

from consumers.config import KafkaSettings
from consumers.errors import SourceError
from consumers.kafka.clients import connector
from monitor.events import Partition
from tests.consumers.terminal import finish
from tests.kafka.broker import PASSWORD, USER
from tests.kafka.running import CLIENTS, annotation, chosen, count, follow, follow_on, offsets
from tests.kafka.test_faults import secured  # noqa: F401 - a fixture


@pytest.fixture
def connected(client, broker):
    """A client of the kind at hand."""
    settings = KafkaSettings(bootstrap_servers=broker.servers)
    found = connector(client)(settings, None)
    yield found
    found.close()


def without(package, folder, monkeypatch):
    """Processes started from here on cannot import a package."""
    stub = folder / "stub"
    stub.mkdir()
    (stub / f"{package}.py").write_text("raise ImportError('not here')")
    monkeypatch.setenv("PYTHONPATH", str(stub))


def poll_until(client, count, records_max=1_000, bytes_max=1 << 30):
    """Polls until that many records came."""
    polls = []
    while sum(len(each.records) for each in polls) < count:
        polls.append(client.poll(records_max, bytes_max, 0.25))
    return polls


def test_records_are_the_same_columns(connected, broker):
    """Values, keys, offsets, times and partitions of several topics, whichever client reads them."""
    one, two = broker.create(partitions=3), broker.create(partitions=2)
    sent = {
        Partition(one, 0): [(b"k", b"v"), (None, b""), (b"", None)],
        Partition(one, 2): [(None, b"w")],
        Partition(two, 1): [(b"x", b"y"), (b"z", b"")],
    }
    for place, records in sent.items():
        broker.produce(place.topic, records, partition=place.number)
    places = [Partition(one, number) for number in range(3)] + [Partition(two, 1)]
    connected.place(dict.fromkeys(places, 0))
    found, times = {place: [] for place in sent}, []
    for taken in poll_until(connected, 6):
        records = taken.records
        times += records.timestamps_us.tolist()
        for index, place in enumerate(records.partitions):
            at = (records.partition_index == index).nonzero()[0]
            found[place] += [(records.keys[i], records.values[i]) for i in at]
            assert taken.next_offsets[place] == records.offsets[at[-1]] + 1
    assert found == sent
    assert min(times) > 1_600_000_000_000_000
    assert all(each % 1_000 == 0 for each in times)


def test_a_poll_is_bounded(connected, broker, topic):
    """No poll has more records than asked for, and bytes end it after what the client hands out at once."""
    broker.produce(topic, [b"0123456789"] * 6_000)
    for bounds, expected in (((100, 1 << 30), 100), ((20_000, 1), 5_000)):
        connected.place({Partition(topic, 0): 0})
        polls = poll_until(connected, 6_000, *bounds)
        assert max(len(each.records) for each in polls) <= expected
        found = [offset for each in polls for offset in each.records.offsets]
        assert found == list(range(6_000))


def test_topics_have_the_same_ids(broker, topic):
    """Both clients name a topic's id alike, so a store may be read with one after the other."""
    settings = KafkaSettings(bootstrap_servers=broker.servers)
    ids = set()
    for name in CLIENTS:
        client = connector(name)(settings, None)
        ids |= {each.topic_id for each in client.topics([topic, topic, f"{topic}x"]).values()}
        assert topic in client.topic_names()
        assert not any(each.startswith("__") for each in client.topic_names())
        client.close()
    assert len(ids) == 1
    assert None not in ids


def test_offsets_that_are_refused(client, secured, topic):  # noqa: F811 - the fixture
    """Where the last offsets may not be told, that is a fault like any other: nothing depends on it."""
    settings = KafkaSettings(
        bootstrap_servers=secured.sasl,
        topics=[topic],
        security_protocol="SASL_PLAINTEXT",
        sasl_username=USER,
        sasl_password=PASSWORD,
    )
    connected = connector(client)(settings, f"group-{topic}")
    place = Partition(topic, 0)
    connected.place({place: 0})
    secured.deny(USER, ("TOPIC", topic), "READ")
    with pytest.raises(SourceError, match="reading it is not allowed"):
        connected.commit_now({place: 1})
    connected.close()


def test_one_client_goes_on_where_the_other_was(broker, topic, tmp_path, monkeypatch):
    """The setting may change between two runs on one store."""
    for first, name in ((0, "confluent"), (5, "kafka"), (10, "confluent")):
        broker.produce(topic, [annotation(first + i) for i in range(5)])
        monkeypatch.setitem(chosen, "SOURCE", name)
        assert follow(broker, topic, cwd=tmp_path).err.startswith("5 records read; 0 rejected")
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 15)], 15)


def test_without_the_extra(broker, topic, tmp_path, monkeypatch):
    """Where confluent-kafka is not installed the run ends with 2 and says what to install."""
    without("confluent_kafka", tmp_path, monkeypatch)
    monkeypatch.setitem(chosen, "SOURCE", "confluent")
    with follow_on(broker, topic, cwd=tmp_path) as process:
        ended = finish(process)
    assert ended.exit_code == 2
    assert ended.fault.endswith("from a clone of labelwatch: pip install '.[confluent]'")
    assert not list(tmp_path.glob("labelwatch.duckdb*"))


def test_a_codec_that_is_not_there(broker, topic, tmp_path, monkeypatch):
    """A topic compressed with what cannot be read here ends the run with 4 and words."""
    without("zstandard", tmp_path, monkeypatch)
    broker.produce(topic, [annotation(i) for i in range(20)], compression_type="zstd")
    with follow_on(broker, topic, cwd=tmp_path, flags=["--until-end"]) as process:
        ended = finish(process)
    assert ended.exit_code == 4
    assert "compressed with a codec that cannot be read here" in ended.fault
    assert "install labelwatch with all its dependencies again" in ended.fault
    assert count(tmp_path) == 0
