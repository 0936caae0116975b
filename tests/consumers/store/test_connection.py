from __future__ import annotations

import pytest

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
