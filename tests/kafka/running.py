"""`labelwatch run` against a broker, as tests want it."""

from __future__ import annotations

import contextlib
import json

from tests.consumers.stored import query
from tests.consumers.terminal import killed_at_last, run_here, start

CLASSES = "a,b,c"
CLIENTS = ("kafka", "confluent")
chosen = {"SOURCE": CLIENTS[0], "HTTP__LISTEN": "127.0.0.1:0"}


def annotation(number, label="a", **more):
    """An ordinary record."""
    probs = {"a": 0.1, "b": 0.1, "c": 0.1, label: 0.8}
    event = {"example_id": f"x{number}", "label": label, "pred_probs": probs}
    return json.dumps(event | more).encode()


def arguments(broker, *topics, start="earliest", classes=CLASSES):
    """The arguments of a run."""
    found = ["run", "--bootstrap-servers", broker.servers]
    for topic in topics:
        found += ["--topic", topic]
    found += ["--start", start] if start else []
    return found + (["--classes", classes] if classes else [])


def follow(broker, *topics, cwd, flags=(), settings=None, **options):
    """Read the topics up to their ends, with the chosen client."""
    return run_here(
        *arguments(broker, *topics, **options),
        "--until-end",
        *flags,
        cwd=cwd,
        settings=chosen | (settings or {}),
    )


@contextlib.contextmanager
def follow_on(broker, *topics, cwd, flags=(), settings=None, **options):
    """A process with the chosen client, until it is told to stop; killed where a test fails."""
    process = start(
        *arguments(broker, *topics, **options),
        *flags,
        cwd=cwd,
        settings=chosen | (settings or {}),
    )
    with killed_at_last(process):
        yield process


def committed(cwd):
    """How many transactions the store in a folder has had, as its mark says."""
    mark = cwd / "labelwatch.duckdb.mark"
    words = mark.read_text().split() if mark.exists() else []
    return int(words[1]) if words else 0


def count(cwd, what="annotations"):
    """The rows of a view."""
    return query(cwd / "labelwatch.duckdb", f"SELECT count(*) FROM {what}")[0][0]


def offsets(cwd):
    """Where each partition goes on."""
    return query(
        cwd / "labelwatch.duckdb",
        "SELECT topic, kafka_partition, next_offset FROM offsets ORDER BY ALL",
    )


def rejections(cwd):
    """Offset and reason of each dead letter."""
    return query(
        cwd / "labelwatch.duckdb",
        "SELECT kafka_offset, reason FROM dead_letters ORDER BY kafka_offset",
    )
