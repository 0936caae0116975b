from __future__ import annotations

import contextlib

import duckdb
import pytest

from consumers.errors import StoreError
from consumers.store.connection import connect, cursor, lacks_memory, translated
from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import run_here

SIZE, COUNT = 1_000_000, 40
SMALL = {"MEMORY_LIMIT": "12MB", "CHECKPOINT_BYTES": 100_000}


@pytest.fixture
def large(tmp_path):
    """A folder with a file of large values."""
    event = {"label": "a", "text": "t" * SIZE, "pred_probs": {"a": 0.5, "b": 0.5}}
    events = (event | {"example_id": f"x{i}"} for i in range(COUNT))
    write_jsonl(tmp_path / "e.jsonl", events)
    return tmp_path


@pytest.mark.parametrize(
    ("batch_size", "said"),
    [
        (COUNT, "DuckDB ran out of memory (TransactionContext Error: Failed to commit"),
        (2, "DuckDB stopped (IO Error: Checkpoint failed"),
    ],
)
def test_too_little_memory_is_no_full_disk(batch_size, said, large):
    """A commit and a checkpoint that run out of memory name memory_limit; with more, nothing is missing."""
    settings = SMALL | {"BATCH_SIZE_MAX": batch_size}
    ended = run_here("replay", "e.jsonl", cwd=large, settings=settings)
    assert ended.exit_code == 3, ended
    assert said in ended.fault
    assert "othing is lost" in ended.fault
    assert "raise memory_limit" in ended.fault
    assert "room" not in ended.fault
    assert "disk" not in ended.fault
    ended = run_here("replay", "e.jsonl", cwd=large)
    assert ended.exit_code == 0, ended
    found = query(
        large / "labelwatch.duckdb", "SELECT count(*), sum(length(text)) FROM annotations"
    )
    assert found == [(COUNT, COUNT * SIZE)]


@pytest.mark.parametrize(
    "text",
    [
        "Out of Memory Error: Allocation failure",
        "Out of Memory Error: could not allocate block of size 62.5 KiB (95.3 MiB/95.3 MiB used)",
        "IO Error: Checkpoint failed: failed to pin block of size 256 KiB (11 MiB/11.4 MiB used)",
        (
            "TransactionContext Error: Failed to commit: failed to allocate data of size 512 bytes "
            "(307.7 MiB/309.9 MiB used)"
        ),
        "TransactionContext Error: Failed to commit: Failed to allocate block of 9 bytes (bad allocation)",
    ],
)
def test_texts_that_mean_memory(text):
    """Whatever DuckDB was about when memory ran out, and whatever type its error has."""
    assert lacks_memory(text)


def test_a_full_disk_is_not_memory():
    """A write that failed is not mended by sending readers away."""
    text = 'IO Error: Could not write file "s.duckdb.wal": No space left on device'
    assert not lacks_memory(text)
    assert not lacks_memory(f"TransactionContext Error: Failed to commit: {text}")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('Could not write file "s.wal": No space left on device', "the disk is full"),
        ('Could not write file "s.wal": File too large', "the disk is full"),
        ('Could not write file "s.wal": Disk quota exceeded', "the disk is full"),
        ('Could not write file "s.wal": Input/output error', "it could not be written to"),
        ('Could not fsync file "s.wal": Input/output error', "it could not be written to"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "Failed to commit: "])
def test_a_disk_that_fails_is_not_a_full_one(prefix, text, said, tmp_path):
    """The line says that the disk is full only where DuckDB does."""
    with pytest.raises(StoreError, match=said) as raised, translated(tmp_path / "s.duckdb"):
        raise duckdb.IOException(prefix + text)
    assert "make room" in str(raised.value)


def test_a_commit_that_fails_for_another_reason_is_no_full_disk(tmp_path):
    """What DuckDB says of the commit is told, and nothing is guessed about the disk."""
    path = tmp_path / "s.duckdb"
    with contextlib.closing(connect(path, "100MB")) as db:
        db.execute("CREATE TABLE t (i INTEGER PRIMARY KEY)")
        cursors = cursor(db), cursor(db)
        for each in cursors:
            each.execute("BEGIN TRANSACTION")
            each.execute("INSERT INTO t VALUES (1)")
        cursors[0].execute("COMMIT")
        with pytest.raises(StoreError, match="a commit failed") as raised, translated(path):
            cursors[1].execute("COMMIT")
    assert "constraint violation" in str(raised.value)
    assert "nothing is lost" in str(raised.value)
    assert "disk" not in str(raised.value)
    assert "room" not in str(raised.value)
