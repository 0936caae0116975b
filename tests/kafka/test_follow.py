from __future__ import annotations

import signal

import pytest

from tests.consumers.stored import query, views
from tests.consumers.terminal import finish, run_here
from tests.kafka.client import send
from tests.kafka.running import (
    annotation,
    chosen,
    count,
    follow,
    follow_on,
    now_at,
    offsets,
    rejections,
)
from tests.waiting import wait_for

both = pytest.mark.usefixtures("client")


@both
def test_every_partition_of_every_topic_is_read(broker, tmp_path):
    """Several topics and partitions are one stream; empty partitions have an offset, too."""
    one, two = broker.create(partitions=3), broker.create()
    for partition in range(2):
        broker.produce(
            one, [annotation(f"{partition}-{i}") for i in range(50)], partition=partition
        )
    broker.produce(two, [annotation(f"two-{i}") for i in range(50)])
    ended = follow(broker, one, two, cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (0, "150 records read; 0 rejected; 0 label issues\n")
    assert count(tmp_path) == 150
    assert offsets(tmp_path) == sorted([(one, 0, 50), (one, 1, 50), (one, 2, 0), (two, 0, 50)])


@both
def test_coordinates_and_times_are_kept(broker, topic, tmp_path):
    """An annotation knows its topic, partition and offset; without a time it has that of its record."""
    with broker.producer() as producer:
        producer.send(topic, annotation(1), timestamp_ms=1_700_000_000_123).get(60)
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    rows = query(
        tmp_path / "labelwatch.duckdb",
        "SELECT topic, kafka_partition, kafka_offset, epoch_us(annotated_at) FROM annotations",
    )
    assert rows == [(topic, 0, 0, 1_700_000_000_123_000)]


@both
def test_a_second_run_goes_on(broker, topic, tmp_path):
    """Run again, it reads what is new; --start no longer matters."""
    broker.produce(topic, [annotation(i) for i in range(10)])
    follow(broker, topic, cwd=tmp_path)
    broker.produce(topic, [annotation(i) for i in range(10, 15)])
    ended = follow(broker, topic, cwd=tmp_path, start=None)
    assert ended.err == "5 records read; 0 rejected; 0 label issues\n"
    assert offsets(tmp_path) == [(topic, 0, 15)]


def test_without_a_stored_offset_start_must_be_said(broker, topic, tmp_path):
    """The default, stored, ends with 4 where nothing is stored, and names the other two."""
    ended = follow(broker, topic, cwd=tmp_path, start=None)
    assert ended.exit_code == 4
    assert "--start earliest or --start latest" in ended.fault


@both
def test_latest_is_remembered(broker, topic, tmp_path):
    """Started at latest, what comes afterwards is read, though the first run saw nothing."""
    broker.produce(topic, [annotation(1)])
    assert follow(broker, topic, cwd=tmp_path, start="latest").exit_code == 0
    broker.produce(topic, [annotation(2)])
    assert follow(broker, topic, cwd=tmp_path, start=None).exit_code == 0
    assert query(tmp_path / "labelwatch.duckdb", "SELECT example_id FROM annotations") == [("x2",)]


@both
def test_a_topic_without_records_is_read(broker, topic, tmp_path):
    """A topic without records is no fault."""
    ended = follow(broker, topic, cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (0, "0 records read; 0 rejected; 0 label issues\n")
    assert offsets(tmp_path) == [(topic, 0, 0)]


def test_poison_is_a_dead_letter(broker, topic, tmp_path):
    """A bad record is stored with its coordinates, and its neighbours are read."""
    broker.produce(topic, [annotation(1), b"{", (b"k", b"\xff"), b"", annotation(2)])
    ended = follow(broker, topic, cwd=tmp_path, flags=["--strict", "--keep-going"])
    assert ended.exit_code == 1
    assert [offset for offset, _ in rejections(tmp_path)] == [1, 2, 3]
    assert count(tmp_path) == 2


@both
def test_a_large_record_is_a_dead_letter(broker, tmp_path):
    """20 MB in one record are too large, and the stream goes on behind them."""
    topic = broker.create(max_message_bytes=33_554_432)
    broker.produce(topic, [annotation(1), b"x" * 20_000_000, annotation(2)])
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    assert rejections(tmp_path) == [(1, "too_large")]
    assert count(tmp_path) == 2


def test_records_of_another_schema_stop_the_run(broker, topic, tmp_path):
    """Where nearly all records are rejected the run ends with 4, stores nothing and names the mapping."""
    record = b'{"id": 1, "y": "a", "softmax": [0.5, 0.3, 0.2]}'
    broker.produce(topic, [record] * 20)
    ended = follow(broker, topic, cwd=tmp_path)
    assert ended.exit_code == 4
    assert "this mapping would help" in ended.fault.lower()
    assert count(tmp_path, "dead_letters") == 0


@both
@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_topics_are_read(codec, broker, topic, tmp_path):
    """Every codec can be read."""
    broker.produce(topic, [annotation(i) for i in range(500)], compression_type=codec)
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    assert count(tmp_path) == 500


def test_the_key_is_the_example_id(broker, topic, tmp_path):
    """A record without example_id has its key's."""
    broker.produce(
        topic, [(b"k1", b'{"label": "a", "pred_probs": {"a": 0.7, "b": 0.2, "c": 0.1}}')]
    )
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    assert query(tmp_path / "labelwatch.duckdb", "SELECT example_id FROM annotations") == [("k1",)]


def test_a_tombstone_deletes(broker, topic, tmp_path):
    """A record without value deletes what its key names; without a key it is a dead letter."""
    broker.produce(topic, [annotation(1), annotation(2), (b"x1", None), (b"", None)])
    assert follow(broker, topic, cwd=tmp_path).exit_code == 0
    assert query(tmp_path / "labelwatch.duckdb", "SELECT example_id FROM annotations") == [("x2",)]
    assert rejections(tmp_path) == [(3, "missing_field")]


@both
def test_aborted_records_are_not_read(broker, topic, tmp_path):
    """What a transaction sent counts when it is committed; aborted records never do."""
    with broker.producer(transactional_id=f"for {topic}") as producer:
        producer.init_transactions()
        for first, is_committed in ((0, True), (10, False), (20, True), (30, False)):
            producer.begin_transaction()
            send(producer, topic, [annotation(first + i) for i in range(5)])
            if is_committed:
                producer.commit_transaction()
            else:
                producer.abort_transaction()
    wait_for(lambda: broker.end(topic) == 4 * (5 + 1))  # the last marker comes after the answer
    ended = follow(broker, topic, cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (0, "10 records read; 0 rejected; 0 label issues\n")
    assert offsets(tmp_path) == [(topic, 0, broker.end(topic))]
    assert follow(broker, topic, cwd=tmp_path, start=None).err.startswith("0 records read")


@both
def test_compacted_offsets_have_holes(broker, topic, tmp_path):
    """Offsets need not follow one another: the next run goes on behind the last, whatever lies between."""
    broker.produce(topic, [annotation(i) for i in range(10)])
    broker.delete_records(topic, 4)
    assert follow(broker, topic, cwd=tmp_path).err.startswith("6 records read")
    assert offsets(tmp_path) == [(topic, 0, 10)]


def test_redelivery_counts_once(broker, topic, tmp_path):
    """The same events sent again change nothing that is live."""
    events = [annotation(i, "abc"[i % 3], annotation_id=f"n{i}", revision=1) for i in range(60)]
    broker.produce(topic, events)
    follow(broker, topic, cwd=tmp_path)
    before = views(
        tmp_path / "labelwatch.duckdb", without=("kafka_offset", "next_offset", "annotated_at")
    )
    broker.produce(topic, events[20:] + events[:40])
    follow(broker, topic, cwd=tmp_path)
    after = views(
        tmp_path / "labelwatch.duckdb", without=("kafka_offset", "next_offset", "annotated_at")
    )
    assert after == before


@both
def test_offsets_are_told_to_the_broker(broker, topic, tmp_path):
    """Lag tools see the offsets of the group, as committed to the store."""
    broker.produce(topic, [annotation(i) for i in range(7)])
    settings = {"KAFKA__GROUP_ID": f"group-{topic}"}
    assert follow(broker, topic, cwd=tmp_path, settings=settings).exit_code == 0
    assert broker.committed(f"group-{topic}") == {(topic, 0): 7}


@both
def test_sigterm_ends_it_after_the_batch(broker, topic, tmp_path):
    """SIGTERM ends a run with 0; what was read is committed."""
    broker.produce(topic, [annotation(i) for i in range(20)])
    with follow_on(broker, topic, cwd=tmp_path) as process:
        wait_for(lambda: now_at(tmp_path))
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
        assert (ended.exit_code, ended.err[-40:].count("label issues")) == (0, 1)
    rest = follow(broker, topic, cwd=tmp_path, start=None)
    assert rest.exit_code == 0
    assert count(tmp_path) == 20


@both
def test_new_partitions_are_picked_up(broker, topic, tmp_path):
    """A partition that comes while a run goes on is read from its beginning."""
    with follow_on(broker, topic, cwd=tmp_path, settings={"KAFKA__REFRESH_S": 0.2}) as process:
        wait_for(lambda: now_at(tmp_path) == [0])
        broker.widen(topic, 2)
        wait_for(lambda: now_at(tmp_path) == [0, 0])
        broker.produce(topic, [annotation(1)], partition=1)
        wait_for(lambda: now_at(tmp_path) == [0, 1])
        process.terminate()
        assert finish(process).exit_code == 0
    assert offsets(tmp_path) == [(topic, 0, 0), (topic, 1, 1)]


def test_partitions_added_between_runs_are_read(broker, topic, tmp_path):
    """A partition added to a known topic needs no --start: nothing in it was ever skipped."""
    follow(broker, topic, cwd=tmp_path)
    broker.widen(topic, 2)
    broker.produce(topic, [annotation(1)], partition=1)
    assert follow(broker, topic, cwd=tmp_path, start=None).exit_code == 0
    assert count(tmp_path) == 1


def test_a_second_monitor_on_one_file_is_refused(broker, topic, tmp_path):
    """The store has one writer: a second run ends with 3 and names the first."""
    with follow_on(broker, topic, cwd=tmp_path) as process:
        wait_for((tmp_path / "labelwatch.duckdb.mark").exists)
        ended = follow(broker, topic, cwd=tmp_path)
        assert ended.exit_code == 3
        assert str(process.pid) in ended.fault
        process.terminate()
        assert finish(process).exit_code == 0


def test_validate_reads_a_topic(broker, topic, tmp_path):
    """`validate --topic` says what would become of the records, and leaves nothing behind."""
    broker.produce(topic, [annotation(1), annotation(2), b"{"])
    ended = run_here(
        "validate",
        "--topic",
        topic,
        "--bootstrap-servers",
        broker.servers,
        cwd=tmp_path,
        settings=chosen,
    )
    assert ended.exit_code == 0
    assert ended.out.startswith("3 records: 2 would be accepted, 1 rejected")
    assert not list(tmp_path.iterdir())
