from __future__ import annotations

import re
from pathlib import Path

import pytest

from consumers.store.read import Reader
from docs.generate import views
from tests.consumers.stored import query
from tests.consumers.terminal import run_here

PAGE = Path(__file__).parents[3] / "docs" / "views.md"
SECTIONS = PAGE.read_text("utf-8").split("\n## ")
COMMENTS = """
SELECT view_name, NULL AS column_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal
UNION ALL
SELECT table_name, column_name, comment FROM duckdb_columns()
WHERE schema_name = 'main' AND NOT internal AND table_name <> 'labelwatch_schema'
ORDER BY ALL
"""


def test_every_view_and_column_says_what_it_is(filled):
    """Each has a comment: a sentence that a user of SQL finds in the store."""
    found = query(filled, COMMENTS)
    assert {view for view, _, _ in found} == views().keys()
    assert all(comment and comment.endswith(".") for _, _, comment in found)


def test_old_and_copied_stores_say_the_same(first, filled, stream, tmp_path):
    """An upgraded store and a snapshot have the comments of a new store."""
    known = query(filled, COMMENTS)
    assert run_here("replay", stream, "--store", first, cwd=tmp_path).exit_code == 0
    assert query(first, COMMENTS) == known
    copy = tmp_path / "copy.duckdb"
    assert run_here("snapshot", copy, "--store", filled, cwd=tmp_path).exit_code == 0
    assert query(copy, COMMENTS) == known


@pytest.mark.parametrize("section", SECTIONS, ids=lambda text: text.split("\n")[0])
def test_example_queries_find_something(section, filled):
    """Each example in docs/views.md has an answer in a store with a little of everything."""
    statements = re.findall(r"^```sql\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)
    assert statements
    with Reader(filled) as reader:
        for statement in statements:
            assert reader.query(statement).rows
