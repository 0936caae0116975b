"""`labelwatch run` against a broker, as tests want it."""

from __future__ import annotations

import contextlib
import http.client
import json
import urllib.request
from unittest.mock import patch

from consumers.kafka.clients import python_settings
from consumers.store.lock import url_of
from tests.consumers.stored import query
from tests.consumers.terminal import killed_at_last, run_here, start
from tests.waiting import LATE_S

CLASSES = "a,b,c"
CLIENTS = ("kafka", "confluent")
chosen = {"SOURCE": CLIENTS[0], "HTTP__LISTEN": "127.0.0.1:0"}


def impatient():
    """Within it kafka-python asks a broker that refuses it less long than it would, again and again."""
    return patch.object(python_settings, "CONNECT_S", 3.0)


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


def now_at(cwd):
    """Where each partition goes on, as the run over the store in a folder says; empty while none answers.

    What is committed may be no record: the first transaction may hold nothing but where to begin.
    """
    url = url_of(cwd / "labelwatch.duckdb")
    with contextlib.suppress(OSError, http.client.HTTPException):
        if url is not None:
            with urllib.request.urlopen(f"{url}/api/offsets", timeout=LATE_S) as answer:
                return [each["next_offset"] for each in json.load(answer)["rows"]]
    return []


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
