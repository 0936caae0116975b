"""Panels about the process: is all well, and where does the time go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grafana_foundation_sdk.models.common import BigValueTextMode

from consumers.metrics import definitions as d
from dashboards.panels import (
    BAD,
    GOOD,
    WARNING,
    coloured,
    graph,
    number,
    quantile,
    rate,
    series,
    worded,
)

if TYPE_CHECKING:
    from dashboards.panels import Panel


def health() -> list[Panel]:
    """Is it alright? One line of numbers, green where it is."""
    return [*_running(), *_current(), *_correct()]


def _running() -> list[Panel]:
    return [
        worded(
            number(
                "Scraped",
                f"min({series('up')})",
                "short",
                "Whether Prometheus reaches every monitor that is chosen.",
            ),
            {1: ("up", GOOD), 0: ("down", BAD)},
        ),
        worded(
            number(
                "Source",
                f"max({series(d.SOURCE_AWAY)})",
                "short",
                "Whether the broker answers. While it does not, the monitor waits for it.",
            ),
            {0: ("reachable", GOOD), 1: ("away", WARNING)},
        ),
    ]


def _current() -> list[Panel]:
    lag = f"sum by (job, instance) ({series(d.LAG)})"
    return [
        coloured(
            number(
                "Lag", f"sum({series(d.LAG)})", "short", "Records that are not read yet."
            ).decimals(0),
            warning=1_000,
            bad=10_000,
        ),
        coloured(
            number(
                "Lag in time",
                f"max((time() - max by (job, instance) ({series(d.LAST_EVENT)})) * ({lag} > bool 0))",
                "s",
                "Age of the newest event that is visible while records wait; 0 while none does.",
            ).decimals(0),
            warning=60,
            bad=600,
        ),
        coloured(
            number(
                "Event → visible, p95",
                quantile(0.95, d.EVENT_LATENCY),
                "s",
                "From an event's own time to the commit that makes it visible. A replay of old "
                "data is as late as the data is old.",
            ),
            warning=5,
            bad=60,
        ),
    ]


def _correct() -> list[Panel]:
    return [
        coloured(
            number(
                "Dead letters",
                f"sum(increase({series(d.DEAD_LETTERS)}[$__range]))",
                "short",
                "Records rejected in the time shown, kept with a reason: labelwatch dead-letters list.",
            ).decimals(0),
            warning=1,
        ),
        worded(
            number(
                "Parity",
                f"min({series(d.PARITY_OK)})",
                "short",
                "Whether the stored joint equals a recount from the facts. If not: labelwatch rebuild.",
            ),
            {1: ("exact", GOOD), 0: ("differs", BAD)},
        ),
        number(
            "Version",
            f"max by (version) ({series(d.BUILD_INFO)})",
            "short",
            "The version of labelwatch that runs.",
        )
        .text_mode(BigValueTextMode.NAME)
        .display_name("${__field.labels.version}"),
    ]


def stream() -> list[Panel]:
    """What comes in, and what becomes of it."""
    return [
        graph(
            "Records read",
            {
                "{{topic}}": rate(d.EVENTS_CONSUMED, by="topic"),
                "over HTTP": f"sum(rate({series(d.INBOX_EVENTS)}[$__rate_interval]))",
            },
            "cps",
            "Records read a second, by topic, and events taken in by POST /api/events.",
        ),
        graph(
            "Events committed",
            {"{{event_type}} {{outcome}}": rate(d.EVENTS_PROCESSED, by="event_type, outcome")},
            "cps",
            "Events committed a second. The type of a rejected one is unknown.",
        ),
        graph(
            "Dead letters by reason",
            {"{{reason}}": f"{rate(d.DEAD_LETTERS, by='reason')} > 0"},
            "cps",
            "Records rejected a second.",
        ),
        graph(
            "Writes that changed nothing",
            {"{{cause}}": rate(d.WRITES_IGNORED, by="cause")},
            "cps",
            "A second: sent again (redelivery), older than what is known (stale), or too many "
            "predictions without label (unlabelled_overflow).",
        ),
        graph(
            "Lag by partition",
            {"{{topic}} {{partition}}": series(d.LAG)},
            "short",
            "Records that are not read yet.",
        ),
        graph(
            "Waiting for the other half",
            {"{{side}}": series(d.PENDING)},
            "short",
            "Annotations that wait for a prediction, and predictions that wait for an annotation.",
        ),
    ]


def work() -> list[Panel]:
    """Where the time goes."""
    records = [rate(d.BATCH_RECORDS, by="instance", part=part) for part in ("_sum", "_count")]
    return [
        graph(
            "Event → visible",
            {f"p{share:g}": quantile(share / 100, d.EVENT_LATENCY) for share in (50, 95, 99)},
            "s",
            "From an event's own time to the commit that makes it visible.",
        ),
        graph(
            "Stages, p95",
            {"{{stage}}": quantile(0.95, d.STAGE_DURATION, by="stage")},
            "s",
            "How long a batch took: to read (bytes to arrays), to judge (step), to commit, and to "
            "fold the log (checkpoint).",
        ),
        graph(
            "Time by stage",
            {"{{stage}}": rate(d.STAGE_DURATION, by="stage", part="_sum")},
            "percentunit",
            "Share of time spent in each stage. Near 100 % in all, the monitor cannot keep up.",
        ),
        graph(
            "Batch size",
            {
                "mean": f"{records[0]} / ({records[1]} > 0)",
                "p95": quantile(0.95, d.BATCH_RECORDS),
            },
            "short",
            "Records in a batch: what came while the last one was committed.",
        ),
        graph(
            "Commits",
            {"{{instance}}": rate(d.BATCH_RECORDS, by="instance", part="_count")},
            "cps",
            "Batches committed a second.",
        ),
        graph(
            "Since",
            {
                "last commit": f"time() - {series(d.LAST_PROCESSED)}",
                "last checkpoint": f"time() - {series(d.CHECKPOINT_TIME)}",
                "last parity check": f"time() - {series(d.PARITY_TIME)}",
            },
            "s",
            "Age of the last commit, of the last checkpoint (the write-ahead log is folded) and of "
            "the last recount.",
        ),
    ]


def resources() -> list[Panel]:
    """What it takes."""
    return [
        graph(
            "Store",
            {"database": series(d.STORE_BYTES), "write-ahead log": series(d.WAL_BYTES)},
            "bytes",
            "Size of the database and of the log beside it.",
        ),
        graph(
            "Free disk",
            {"{{instance}}": series(d.DISK_FREE)},
            "bytes",
            "Free space where the database is. Below 256 MiB the monitor is not ready.",
        ),
        graph(
            "Memory",
            {"{{instance}}": series("process_resident_memory_bytes")},
            "bytes",
            "Resident memory of the process.",
        ),
        graph(
            "CPU",
            {"{{instance}}": f"rate({series('process_cpu_seconds_total')}[$__rate_interval])"},
            "percentunit",
            "CPU of the process; 100 % is one core.",
        ),
        graph(
            "Queries",
            {
                "{{outcome}}": rate(d.QUERIES, by="outcome"),
                "running": f"sum({series(d.QUERIES_IN_FLIGHT)})",
            },
            "short",
            "SQL queries over HTTP a second, by how they ended, and those that run now.",
        ),
        graph(
            "Query duration, p95",
            {"{{instance}}": quantile(0.95, d.QUERY_DURATION, by="instance")},
            "s",
            "How long queries took, however they ended.",
        ),
        graph(
            "Model versions",
            {"{{instance}}": series(d.MODEL_VERSIONS)},
            "short",
            "Model versions that judge live annotations.",
        ),
    ]
