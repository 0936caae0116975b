"""Results on stdout: a table for people, JSON or CSV for programs. Everything else goes to stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from consumers.values import plain, write_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.store.read import Result

FORMATS = ("table", "json", "csv")
_SHOWN_MAX = 50

format_option = click.option(
    "--format",
    "style",
    type=click.Choice(FORMATS),
    help="How to print; a table on a terminal and CSV in a pipe by default.",
)
limit_option = click.option(
    "--limit", type=click.IntRange(min=0), help="Rows; 50 in a table and all elsewhere by default."
)


def row_limit(limit: int | None, style: str | None) -> int | None:
    """How many rows to show: what was asked for, else as many as a person reads, or all for a program."""
    is_table = style == "table" or (style is None and sys.stdout.isatty())
    return _SHOWN_MAX if limit is None and is_table else limit


def tell(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    click.echo(text, err=True)


def show(result: Result, style: str | None) -> None:
    """Print a result on stdout."""
    style = style or ("table" if sys.stdout.isatty() else "csv")
    if style == "json":
        names = _unique(result.columns)
        rows = [dict(zip(names, map(plain, row), strict=True)) for row in result.rows]
        click.echo(json.dumps(rows, ensure_ascii=False, indent=1))
    elif style == "csv":
        write_csv(sys.stdout, result.columns, result.rows)
    else:
        # rich takes long to import, which no program should pay for.
        from consumers.cli.table import show_table  # noqa: PLC0415 - as above

        show_table(result.columns, result.rows)


def _unique(names: Sequence[str]) -> list[str]:
    """Names of columns, of which repeated ones get _1, _2, …, as DuckDB names those of a subquery.

    >>> _unique(["a", "a", "b"])
    ['a', 'a_1', 'b']
    """
    found: list[str] = []
    counts: dict[str, int] = {}
    for name in names:
        made, key = name, name.lower()
        while made.lower() in counts:
            made = f"{name}_{counts[key]}"
            counts[key] += 1
        counts[made.lower()] = 1
        found.append(made)
    return found
