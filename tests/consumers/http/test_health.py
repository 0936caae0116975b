"""GET /api/health says what `labelwatch health` says, while the store is held."""

from __future__ import annotations

import contextlib
import csv
import io
import json

from consumers.store import Store
from consumers.store.gate import Limits
from tests.consumers.served import get, serving
from tests.consumers.terminal import run_here


def test_it_says_what_the_command_says(filled, tmp_path):
    """JSON and CSV of a live store are those of the command."""
    asked = [
        run_here("health", *options, "--store", filled, cwd=tmp_path).out
        for options in (("--format", "json"), ("--cells", "--format", "json"), ("--format", "csv"))
    ]
    with (
        contextlib.closing(Store.open(filled, "test")) as store,
        serving(gate=store.gate(Limits(120.0, 10_000, 1 << 26), 2)) as port,
    ):
        assert get(port, "/api/health") == (200, json.loads(asked[0]))
        assert get(port, "/api/health.json") == (200, json.loads(asked[0]))
        assert get(port, "/api/health/cells") == (200, json.loads(asked[1]))
        status, text = get(port, "/api/health.csv")
    assert status == 200
    assert list(csv.reader(io.StringIO(text))) == list(csv.reader(io.StringIO(asked[2])))


def test_an_empty_store_has_no_score(tmp_path):
    """Without annotations the score is null, and the answer is still one."""
    with (
        contextlib.closing(Store.open(tmp_path / "s.duckdb", "test")) as store,
        serving(gate=store.gate(Limits(120.0, 10_000, 1 << 26), 2)) as port,
    ):
        status, found = get(port, "/api/health")
        assert get(port, "/api/health/cells.csv")[1].count("\n") == 1
    assert status == 200
    assert found == {
        "annotation_count": 0,
        "label_issue_count": 0,
        "label_health_score": None,
        "model_versions": [],
    }


def test_a_store_that_is_still_loaded_cannot_be_asked():
    """Before the store is loaded the answer is 503, and says to ask again."""
    with serving() as port:
        status, found = get(port, "/api/health")
    assert status == 503
    assert "again" in found["hint"]
