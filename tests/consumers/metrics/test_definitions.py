"""One file defines what is measured; one page shows it."""

from __future__ import annotations

import re
from pathlib import Path

from consumers.metrics.definitions import DEFINITIONS
from consumers.metrics.shape import Shape

PAGE = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"


def test_the_page_shows_every_metric():
    """The table of docs/metrics.md is the list of definitions, word for word and in order."""
    rows = [
        f"| `{each.name}` | {each.shape} | {', '.join(f'`{label}`' for label in each.labels)} | {each.help} |"
        for each in DEFINITIONS
    ]
    part = PAGE.read_text("utf-8").partition("## All metrics")[2].partition("## ")[0]
    assert [line for line in part.splitlines() if line.startswith("| `")] == rows


def test_names_follow_the_conventions():
    """One prefix, counters end in _total, units are base units and end the name, help is a sentence."""
    assert len({each.name for each in DEFINITIONS}) == len(DEFINITIONS)
    for each in DEFINITIONS:
        assert re.fullmatch(r"labelwatch_[a-z_]+", each.name)
        assert each.name.endswith("_total") == (each.shape is Shape.COUNTER), each.name
        assert each.unit in {"", "seconds", "bytes", "ratio", "messages", "records"}
        assert each.name.endswith(each.unit)
        assert each.help.endswith("."), each.name
        assert bool(each.bounds) == (each.shape is Shape.HISTOGRAM)
        assert list(each.bounds) == sorted(each.bounds)
        assert all(len(labels) == len(each.labels) for labels in each.known)
