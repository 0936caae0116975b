"""What a store holds: its physical tables, its views, and laws that hold within it."""

from __future__ import annotations

import contextlib
import json

import duckdb

UNIT = 2**30
WALL_CLOCK = (
    "ingested_at",
    "since",
    "found_at",
    "first_seen_at",
    "committed_at",
    "last_seen_at",  # of records without a time
)
PUBLISHED = ("published_finding", "published_dead_letter")
INBOX = ("inbox", "inbox_key")
VIEWS = (
    "annotations",
    "pending",
    "predictions",
    "label_issues",
    "label_issues_any",
    "label_issues_all",
    "examples",
    "annotators",
    "classes",
    "confident_joint",
    "duplicates",
    "dead_letters",
    "offsets",
)


@contextlib.contextmanager
def opened(path, **options):
    """A connection to a store that nobody holds."""
    with duckdb.connect(str(path), **options) as db:
        yield db


def query(path, sql, *parameters):
    """The rows of a query."""
    with opened(path, read_only=True) as db:
        return db.execute(sql, list(parameters)).fetchall()


def tamper(path, sql):
    """Change a store behind labelwatch's back."""
    with opened(path) as db:
        db.execute(sql)


def tables(path):
    """Every physical table, its rows in order, without clock, txn_id, findings, inbox, outbox.

    Nor `reviewed`: it holds flags as they stood at the commit of a review, as findings do.
    """
    with opened(path, read_only=True) as db:
        names = [
            row[0]
            for row in db.execute(
                "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'store'"
            ).fetchall()
        ]
        found = {}
        for name in sorted(set(names) - {"finding", "reviewed", "txn", *PUBLISHED, *INBOX}):
            columns = [row[0] for row in db.execute(f"DESCRIBE store.{name}").fetchall()]
            kept = ", ".join(c for c in columns if c not in ("txn_id", *WALL_CLOCK))
            if name == "flag":
                # What the consensus thought when it raised the flag; what it thinks now is in `opinion`.
                kept = kept.replace("score", "if(kind = 'consensus_issue', NULL, score) AS score")
            where = "WHERE name <> 'store_id'" if name == "setting" else ""
            found[name] = db.execute(
                f"SELECT {kept} FROM store.{name} {where} ORDER BY ALL"
            ).fetchall()
        return found


def columns_of(path):
    """The columns of every view but findings that the store has, without the clock and txn_id."""
    with opened(path, read_only=True) as db:
        names = {row[0] for row in db.execute("SELECT view_name FROM duckdb_views()").fetchall()}
        return {
            name: [
                row[0]
                for row in db.execute(f"DESCRIBE {name}").fetchall()
                if row[0] not in ("txn_id", *WALL_CLOCK)
            ]
            for name in VIEWS
            if name in names
        }


def views(path, *, without=(), columns=None):
    """Every view but findings, its rows in order; of these columns, else of all (`columns_of`)."""
    columns = columns or columns_of(path)
    with opened(path, read_only=True) as db:
        found = {}
        for name in columns:
            kept = ", ".join(f'"{c}"' for c in columns[name] if c not in without)
            found[name] = db.execute(f"SELECT {kept} FROM {name} ORDER BY ALL").fetchall()
        return found


def assert_joint_is_shown(path):
    """The joint is the count of what the view `annotations` suggests."""
    counted = query(
        path,
        "SELECT given_label, suggested_label, count(*), model_version FROM annotations "
        "WHERE suggested_label IS NOT NULL GROUP BY ALL ORDER BY ALL",
    )
    assert query(path, "FROM confident_joint ORDER BY ALL") == counted


def difference(ours, theirs):
    """A text that names the first table that differs, None where all are equal."""
    for name in sorted(ours.keys() | theirs.keys()):
        a, b = ours.get(name), theirs.get(name)
        if a != b:
            only = [row for row in a if row not in b][:3], [row for row in b if row not in a][:3]
            return f"{name}: {len(a)} and {len(b)} rows; only here {only[0]}, only there {only[1]}"
    return None


def assert_findings_add_up(path):
    """Findings, added up, are the flags that stand."""
    rows = query(
        path,
        """
        SELECT kind, annotation,
            sum(CASE action WHEN 'raised' THEN 1 WHEN 'cleared' THEN -1 ELSE 0 END) AS net
        FROM store.finding GROUP BY ALL HAVING net <> 0
        """,
    )
    assert {net for _, _, net in rows} <= {1}
    standing = query(path, "SELECT kind, annotation FROM store.flag ORDER BY ALL")
    assert sorted((kind, annotation) for kind, annotation, _ in rows) == standing


def write_jsonl(path, events):
    """Events, or lines as bytes, as a file."""
    lines = (e if isinstance(e, bytes) else json.dumps(e).encode() for e in events)
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path
