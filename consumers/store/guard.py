"""Which statements a reader may run: one, and it only asks.

The engine refuses writes by itself (a transaction that is READ ONLY) and files outside the database
(no external access). What it does not refuse is refused here, by the tree that DuckDB's own parser makes:
statements that are no query, and functions that reach the database's file, the process or DuckDB itself.
Table functions are allowed by name, so that one that a newer DuckDB brings is refused until somebody has
looked at it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import duckdb

from consumers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

SQL_BYTES_MAX = 1 << 17
"""More than anybody writes. DuckDB's planner may need minutes for a long statement."""

_TABLE_FUNCTIONS = frozenset(
    (
        *("duckdb_columns", "duckdb_constraints", "duckdb_functions", "duckdb_indexes"),
        *("duckdb_keywords", "duckdb_schemas", "duckdb_sequences", "duckdb_tables"),
        *("duckdb_types", "duckdb_views", "generate_series", "histogram", "histogram_values"),
        *("icu_calendar_names", "json_each", "json_tree", "pg_timezone_names", "pragma_show"),
        *("pragma_table_info", "pragma_version", "range", "repeat", "repeat_row", "summary"),
        *("test_all_types", "unnest"),
    )
)
# Views of DuckDB over functions that are not allowed.
_CLOSED_VIEWS = frozenset(("pg_settings", "pragma_database_list"))
_FUNCTIONS = frozenset(("json_serialize_plan", "sleep_ms", "write_log"))
# Lambdas and macros double what stands in them: DuckDB would plan a deep nest for ever, and not let itself
# be interrupted. So it would where parts of a query are repeated by name.
_DEPTH_MAX, _JOINS_MAX = 10, 50
_ALLOWED = "one SELECT (or WITH, FROM, VALUES, DESCRIBE, SHOW, SUMMARIZE), or EXPLAIN of one"
_COMMENTS = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_EXPLAIN = re.compile(
    rf"{_COMMENTS}EXPLAIN\b{_COMMENTS}(?:ANALY[ZS]E\b|\(\s*(?:ANALYZE|FORMAT)\b[^()]*\))?",
    re.IGNORECASE | re.DOTALL,
)


def check(db: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raises: UsageError unless this is one query that only reads what the database holds."""
    _check_text(sql)
    kind, text = _only(sql)
    if kind == duckdb.StatementType.EXPLAIN:
        found = _EXPLAIN.match(text)
        kind, text = _only(text[found.end() :]) if found else (None, text)
    if kind != duckdb.StatementType.SELECT:
        raise UsageError(f"this statement is not allowed; write {_ALLOWED}")
    ((written,),) = db.execute("SELECT json_serialize_sql(?)", [text]).fetchall()
    try:
        tree = json.loads(written)
    except RecursionError:
        raise UsageError("the statement is nested too deeply; write it flatter") from None
    if tree["error"]:
        raise UsageError(
            f"this statement is not allowed ({tree['error_message']}); write {_ALLOWED}"
        )
    joins = 0
    for node, depth in _nodes(tree["statements"]):
        _check_node(node)
        joins += node.get("type") == "JOIN"
        if joins > _JOINS_MAX:
            raise UsageError(f"there are more than {_JOINS_MAX} joins; write fewer")
        if depth > _DEPTH_MAX:
            raise UsageError(f"functions are nested deeper than {_DEPTH_MAX}; write it flatter")


def _check_text(sql: str) -> None:
    if not sql.isascii() and any("\ud800" <= c <= "\udfff" for c in sql):
        raise UsageError(f"{sql[:40]!a} is not UTF-8; write it in UTF-8")
    if len(sql) > SQL_BYTES_MAX:
        raise UsageError(
            f"the statement has {len(sql):,} characters; {SQL_BYTES_MAX:,} are allowed"
        )


def _only(sql: str) -> tuple[duckdb.StatementType | None, str]:
    statements = duckdb.extract_statements(sql)
    if not statements:
        raise UsageError("the statement is empty; write one, as in 'FROM label_issues'")
    if len(statements) > 1:
        raise UsageError(f"there are {len(statements)} statements; write {_ALLOWED}")
    try:
        return statements[0].type, statements[0].query
    except ValueError:
        # A kind of statement that the Python package has no name for.
        return None, sql


def _nodes(tree: Any) -> Iterator[tuple[dict[str, Any], int]]:  # noqa: ANN401 - JSON
    """Every object in a tree, and within how many functions. Not by recursion: it may be deep."""
    stack = [(tree, 0)]
    while stack:
        each, depth = stack.pop()
        if isinstance(each, dict):
            depth += each.get("type") == "FUNCTION" and not each.get("is_operator")
            yield each, depth
            stack.extend((value, depth) for value in each.values())
        elif isinstance(each, list):
            stack.extend((value, depth) for value in each)


def _check_node(node: dict[str, Any]) -> None:
    kind = str(node.get("type"))
    if node.get("materialized") == "CTE_MATERIALIZE_NEVER":
        raise UsageError("NOT MATERIALIZED is not allowed; leave it out")
    if kind.endswith("_QUERY_NODE"):
        raise UsageError(f"a WITH that writes is not allowed; write {_ALLOWED}")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise UsageError(
                f"the table function {name} is not allowed; the views are in SHOW TABLES"
            )
    elif kind == "FUNCTION":
        name = str(node.get("function_name")).lower()
        if name in _FUNCTIONS or str(node.get("schema")).lower() == "store":
            raise UsageError(f"the function {name} is not allowed")
    elif kind in ("BASE_TABLE", "SHOW_REF"):
        _check_table(str(node.get("table_name", "")).strip('"').lower())


def _check_table(name: str) -> None:
    is_ours = name in _TABLE_FUNCTIONS or not name.startswith(("duckdb_", "pragma_"))
    if not is_ours or name in _CLOSED_VIEWS:
        raise UsageError(f"{name} is not allowed; the views are in SHOW TABLES")
    if re.search(r"[./\\:]", name):
        # DuckDB would look for a file of that name.
        raise UsageError(f"{name!r} is no table; the views are in SHOW TABLES")
