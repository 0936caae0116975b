from __future__ import annotations

import duckdb
import numpy as np

from consumers.arrow import pa
from consumers.store import memory_limit as module
from consumers.store.connection import ROW_GROUP_ROWS, connect
from consumers.store.memory_limit import Files, Large, MemoryLimit, large_in, needed_bytes
from consumers.store.tables import Tables
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import run_apart

SIZE = 1_000_000


def test_large_values_are_stored_and_read_again(tmp_path):
    """Where no memory_limit is set, hundreds of texts and letters of a megabyte each are no matter."""
    event = {"example_id": "x", "label": "a", "text": "t" * SIZE}
    write_jsonl(
        tmp_path / "e.jsonl",
        (
            event | {"example_id": f"x{i}", "pred_probs": {"a": 0.5, "b": 0.5 - (i % 2) / 4}}
            for i in range(200)
        ),
    )
    ended = run_apart("replay", "e.jsonl", cwd=tmp_path)
    assert ended.exit_code == 0, ended
    store = tmp_path / "labelwatch.duckdb"
    assert query(store, "SELECT count(*), sum(length(text)) FROM annotations") == [
        (100, 100 * SIZE)
    ]
    ended = run_apart("dead-letters", "redrive", cwd=tmp_path)
    assert ended.exit_code == 0, ended
    assert query(store, "SELECT count(*), sum(value_size) > 100 * 1e6 FROM dead_letters") == [
        (100, True)
    ]


def test_what_is_in_use_stays():
    """A limit that cannot be lowered now is lowered later."""
    with duckdb.connect(config={"temp_directory": "", "memory_limit": "1GB"}) as db:
        db.execute("CREATE TABLE t AS SELECT random() AS x FROM range(30_000_000)")
        memory = MemoryLimit(db, Files(0, 10**8), is_fixed=False)
        memory.fit(Large())
        assert limit_mb(db) > 900
        db.execute("DROP TABLE t")
        memory.release()
        assert limit_mb(db) < 100


def test_what_was_lent_is_kept_for_a_while(monkeypatch):
    """The limit is not set twice for each query: it goes down with the first commit some seconds later."""
    with duckdb.connect(config={"memory_limit": "1GB"}) as db:
        memory, now = MemoryLimit(db, Files(0, 0), is_fixed=False), module.time.monotonic()
        monkeypatch.setattr(module.time, "monotonic", lambda: now)
        memory.lend("queries", 500_000_000)
        assert limit_mb(db) > 500
        memory.lend("queries", 500_000_000, for_s=10)
        memory.fit(Large())
        assert limit_mb(db) > 500
        monkeypatch.setattr(module.time, "monotonic", lambda: now + 60)
        memory.fit(Large())
        assert limit_mb(db) < 100


def limit_mb(db):
    """The limit in effect."""
    (text,) = db.execute("SELECT current_setting('memory_limit')").fetchone()
    number, unit = text.split()
    return float(number) * {"MiB": 1, "GiB": 1_024}[unit]


def test_only_large_values_count():
    """Values up to a page need no room of their own; a slice of a table has its own values only."""
    table = pa.table(
        {"a": pa.array(["x" * 5_000, None, "x", "x" * 9_000]), "b": pa.array([1, 2, 3, 4])}
    )
    assert large_in(table) == Large(14_000, 9_000)
    assert large_in(table.slice(1, 2)) == Large()
    assert large_in(table.slice(3)) == Large(9_000, 9_000)
    assert large_in(table.slice(0, 0)) == Large()


def test_room_is_made_for_what_there_is():
    """A few large values need room for themselves, many need room for as many as are read at a time."""
    none = needed_bytes()
    assert needed_bytes(large=Large(SIZE, SIZE)) == none + 4 * SIZE
    assert needed_bytes(large=Large(10**12, SIZE)) == none + 4 * 2_048 * SIZE
    assert needed_bytes(group_count=4) == none + (1 << 20)
    assert needed_bytes(10**6) == none + 1_250_000


def test_a_log_that_may_delete_from_every_row_group_can_be_read():
    """Opening reads the log before anybody can be asked how many rows there are."""
    rows = 10 * ROW_GROUP_ROWS
    assert Files(rows, 0).needed_bytes == needed_bytes()
    assert Files(rows, 8).needed_bytes == needed_bytes(8, 1)
    assert Files(rows, 10**6).needed_bytes == needed_bytes(10**6, 5 * 11)


def test_a_few_rows_of_every_row_group_can_be_deleted(tmp_path):
    """DuckDB keeps a block for each row group that loses a row, in every table, until a checkpoint."""
    tables = ("annotation", "annotation_detail", "example", "retracted")
    row_count = 150 * ROW_GROUP_ROWS
    with connect(tmp_path / "s.duckdb", f"{needed_bytes()}B") as db:
        db.execute("CREATE SCHEMA store")
        for table in tables:
            key = "example" if table == "example" else "annotation"
            db.execute(
                f"CREATE TABLE store.{table} AS SELECT i::INTEGER AS {key} FROM range({row_count}) r(i)"
            )
        db.execute("CHECKPOINT")
        memory = MemoryLimit(db, Files(0, 0), is_fixed=False)
        before, stored = memory.limit, Tables(db, memory)
        for table in tables:
            stored.delete(table, np.arange(0, row_count, ROW_GROUP_ROWS, np.int32))
        assert memory.limit > before + (len(tables) * 150 << 18) - 10**8
        db.execute("CHECKPOINT")
        memory.release()
        assert db.execute("SELECT count(*) FROM store.example").fetchone() == (row_count - 150,)


def test_no_more_row_groups_change_than_there_are():
    """What was deleted again and again is counted once; what came since a checkpoint may go again."""
    with duckdb.connect(config={"memory_limit": "1GB"}) as db:
        db.execute("CREATE SCHEMA store; CREATE TABLE store.annotation (annotation INTEGER)")
        memory = MemoryLimit(db, Files(0, 0), is_fixed=False)
        for _ in range(1_000):
            memory.delete("annotation", 10_000)
        assert limit_mb(db) < 100
        for _ in range(500):
            memory.insert("annotation", ROW_GROUP_ROWS - 1, 0)
        assert 2 * 125 < limit_mb(db) < 2 * 125 + 100
        memory.release()
        assert limit_mb(db) < 100
