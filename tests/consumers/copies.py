"""Copies of a store, and all that is compared of them."""

from __future__ import annotations

from tests.consumers.stored import VIEWS, opened
from tests.consumers.terminal import run_here

CATALOG = {
    "duckdb_tables()": "schema_name, table_name, comment, sql",
    "duckdb_views()": "schema_name, view_name, comment, column_count",
    "duckdb_columns()": "schema_name, table_name, column_name, column_index, comment, data_type, is_nullable",
    "duckdb_functions()": "schema_name, function_name, parameters, macro_definition, comment",
    "duckdb_indexes()": "schema_name, index_name, sql",
    "duckdb_constraints()": "schema_name, table_name, constraint_text",
    "duckdb_sequences()": "schema_name, sequence_name, sql",
}
WITHOUT_INTERNAL = ("duckdb_indexes()", "duckdb_constraints()", "duckdb_sequences()")
"""Those that do not tell what is DuckDB's own."""


def everything(path):
    """Every row and every declaration of a store, clock and identity included."""
    with opened(path, read_only=True) as db:
        names = db.execute("SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL")
        asked = {f"{schema}.{name}": f"FROM {schema}.{name}" for schema, name in names.fetchall()}
        asked |= {name: f"FROM {name} ORDER BY ALL" for name in (*VIEWS, "findings")}
        asked |= {name: _declared(name, columns) for name, columns in CATALOG.items()}
        return {name: db.execute(sql).fetchall() for name, sql in asked.items()}


def _declared(name, columns):
    """What a database declares, with its comments."""
    ours = "" if name in WITHOUT_INTERNAL else "NOT internal AND "
    return (
        f"SELECT {columns} FROM {name} WHERE {ours}database_name = current_database() ORDER BY ALL"
    )


def take(store, target, *options, cwd=None, **more):
    """The command over a store."""
    return run_here(
        "snapshot", target, "--store", store, *options, cwd=cwd or store.parent, **more
    )
