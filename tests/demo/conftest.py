from __future__ import annotations

import pytest

from tests.consumers.terminal import run_apart


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    """A store that `demo --once` has filled, and what it printed."""
    store = tmp_path_factory.mktemp("demo") / "demo.duckdb"
    ended = run_apart("demo", "--once", "--store", store, cwd=store.parent)
    assert ended.exit_code == 0, ended.err
    return store, ended
