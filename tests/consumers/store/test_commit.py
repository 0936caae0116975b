"""How a commit reaches the file."""

from __future__ import annotations

from consumers.store.connection import ROW_GROUP_ROWS
from tests.consumers.logs import CLASSES, Log, LogSource, feed
from tests.consumers.stored import query


def _event(i):
    return b'{"example_id": "x%d", "label": "a", "pred_probs": [0.5, 0.25, 0.25]}' % i


def test_many_rows_do_not_pass_through_the_log(tmp_path, monkeypatch):
    """A large batch is in the file with its commit; a small one waits in the log for a checkpoint."""
    monkeypatch.setattr("consumers.store.Store.checkpoint", lambda *_, **__: None)
    path = tmp_path / "s.duckdb"
    log = path.with_name("s.duckdb.wal")
    events = [_event(i) for i in range(ROW_GROUP_ROWS + 1_000)]
    feed(path, LogSource(Log.lines(events), [ROW_GROUP_ROWS, 1_000]), batches=1, classes=CLASSES)
    assert log.stat().st_size < 20 * len(events)
    assert query(path, "SELECT count(*), min(example_id) FROM annotations") == [
        (ROW_GROUP_ROWS, "x0")
    ]
    feed(path, LogSource(Log.lines(events)), classes=CLASSES)
    assert log.stat().st_size > 100 * 1_000
    assert query(path, "SELECT count(*) FROM annotations") == [(len(events),)]
