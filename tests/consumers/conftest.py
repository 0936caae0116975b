from __future__ import annotations

import duckdb
import pytest

from consumers.store.migrate import migrations
from tests.consumers.stored import write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here

DETAILS = (
    "content_low, content_high, text, content_hash, embedding, uri, metadata, is_gold, "
    "expected_label, lead_time_s"
)
FIRST_VERDICTS = """
INSERT INTO store.verdict
SELECT DISTINCT example, new.store.suggested(units, cuts, collision)
FROM new.store.live JOIN new.store.cuts USING (stratum)
"""
FIRST_ANNOTATIONS = f"""
INSERT INTO store.annotation
SELECT a.annotation,
    coalesce(a.annotation_id, e.example_id || chr(31) || w.name), id_low, id_high,
    a.example, a.annotator, a.given, a.revision, a.time_us, a.source, a.position, {DETAILS}, a.txn_id
FROM new.store.annotation a
LEFT JOIN (SELECT example, example_id FROM new.store.example) e USING (example)
LEFT JOIN new.store.annotator w USING (annotator)
LEFT JOIN new.store.annotation_detail d USING (annotation)
"""


@pytest.fixture(scope="session")
def stream(tmp_path_factory):
    """A file with a little of everything."""
    folder = tmp_path_factory.mktemp("stream")
    return write_jsonl(folder / "e.jsonl", busy_stream(1, 300))


@pytest.fixture(scope="session")
def _filled(stream, tmp_path_factory):
    folder = tmp_path_factory.mktemp("filled")
    assert run_here("replay", stream, "--store", folder / "s.duckdb", cwd=folder).exit_code == 0
    return folder / "s.duckdb"


@pytest.fixture
def filled(_filled, tmp_path):
    """A store of that file, for the test alone."""
    path = tmp_path / "s.duckdb"
    for end in ("", ".mark"):
        (tmp_path / f"s.duckdb{end}").write_bytes(_filled.with_name(f"s.duckdb{end}").read_bytes())
    return path


@pytest.fixture
def first(filled):
    """The same store as its first schema had it."""
    path = filled.with_name("first.duckdb")
    with duckdb.connect(str(path)) as db:
        db.execute(migrations()[0][1])
        db.execute("CREATE TABLE labelwatch_schema (version INTEGER)")
        db.execute("INSERT INTO labelwatch_schema VALUES (1)")
        db.execute(f"ATTACH '{filled}' AS new (READ_ONLY)")
        # Tables that came later are not among them.
        names = db.execute(
            "SELECT table_name FROM duckdb_tables() WHERE database_name = 'first' AND schema_name = 'store'"
        ).fetchall()
        for (name,) in names:
            if name not in {"annotation", "verdict"}:
                db.execute(f"INSERT INTO store.{name} FROM new.store.{name}")
        for name in ("flag", "finding"):
            db.execute(f"DELETE FROM store.{name} WHERE kind = 'consensus_issue'")
        db.execute(FIRST_ANNOTATIONS)
        db.execute(FIRST_VERDICTS)
    return path
