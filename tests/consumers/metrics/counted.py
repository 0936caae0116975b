"""Metrics of runs in this process, and what a store says instead."""

from __future__ import annotations

import json
from dataclasses import replace

from consumers.board import Board
from consumers.config import MetricsSettings, Settings
from consumers.loop import Breaker, run
from consumers.metrics import Metrics
from consumers.wiring import open_line
from tests.consumers.logs import Log, LogSource
from tests.consumers.stored import query


def annotation(number, label="a", **more):
    """An ordinary event, as JSON would have it."""
    return {
        "example_id": f"x{number}",
        "label": label,
        "pred_probs": {"a": 0.75, "b": 0.25},
    } | more


def metrics_of(path, values, sizes=(), *, show="capped", **options):
    """The metrics of one run."""
    metrics = Metrics(MetricsSettings(annotators=show, salt="s"), Board(), path)
    with open_line(Settings(store=str(path), **options), "test") as line:
        source = LogSource(Log.lines(map(as_bytes, values)), sizes)
        watched = replace(line, observer=metrics)
        run(watched, source, Breaker(is_armed=False), lambda: False, lambda _: None)
    return metrics


def as_bytes(each):
    """An event as a record; bytes are one already."""
    return each if isinstance(each, bytes) else json.dumps(each).encode()


def by(found, name, *labels):
    """The values of one metric that are not 0, by its labels."""
    rows = {
        tuple(dict(pairs)[label] for label in labels): each
        for (sample, pairs), each in found.items()
        if sample == f"labelwatch_{name}"
    }
    return {key: each for key, each in rows.items() if each}


def counted(path, sql):
    """The rows of a query as a table from all but the last column to the last."""
    return {tuple(row[:-1]): row[-1] for row in query(path, sql)}
