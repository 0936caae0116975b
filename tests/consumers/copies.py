"""Copies of a store, and all that is compared of them."""

from __future__ import annotations

from tests.consumers.stored import (
    query,
    views,
)
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


def catalog(path):
    """Everything that a database declares, with its comments."""
    return {
        name: query(
            path,
            f"SELECT {columns} FROM {name} "
            "WHERE NOT internal AND database_name = current_database() ORDER BY ALL"
            if name not in ("duckdb_indexes()", "duckdb_constraints()", "duckdb_sequences()")
            else f"SELECT {columns} FROM {name} WHERE database_name = current_database() ORDER BY ALL",
        )
        for name, columns in CATALOG.items()
    }


def everything(path):
    """Every row and every declaration of a store, clock and identity included."""
    names = query(path, "SELECT schema_name, table_name FROM duckdb_tables() ORDER BY ALL")
    rows = {f"{schema}.{name}": query(path, f"FROM {schema}.{name}") for schema, name in names}
    shown = {name: query(path, f"FROM {name} ORDER BY ALL") for name in (*views(path), "findings")}
    return rows | shown | catalog(path)


def take(store, target, *options, cwd=None, **more):
    """The command over a store."""
    return run_here(
        "snapshot", target, "--store", store, *options, cwd=cwd or store.parent, **more
    )
