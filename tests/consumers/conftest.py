from __future__ import annotations

import pytest

from tests.consumers.stored import write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here


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
