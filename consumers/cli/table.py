"""Results as a table, for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from consumers.values import cell, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

_CELL_MAX = 60


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None
) -> None:
    """Print rows as a table, on a terminal in its width, in a pipe as wide as they are."""
    table = Table(title=title, title_justify="left", header_style="bold", box=None, pad_edge=False)
    rows = [[plain(value) for value in row] for row in rows]
    for i, column in enumerate(columns):
        is_number = any(
            isinstance(row[i], int | float) and not isinstance(row[i], bool) for row in rows
        )
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_short(value)) for value in row))
    console = Console(width=None if sys.stdout.isatty() else 10_000, soft_wrap=False)
    console.print(table)


def _short(value: Any) -> str:  # noqa: ANN401 - whatever DuckDB returns
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list) and value and all(isinstance(each, float) for each in value):
        value = [round(each, 3) for each in value]
    text = str(cell(value))
    # Control characters, such as the separator of default ids, would garble the terminal.
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= _CELL_MAX else text[: _CELL_MAX - 1] + "…"
