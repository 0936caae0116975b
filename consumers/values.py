"""Values of a query as JSON and CSV can hold them, whatever DuckDB returns."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO


def plain(value: Any) -> Any:  # noqa: ANN401, PLR0911 - whatever DuckDB returns, a case a kind
    """A value as JSON can hold it: times in RFC 3339 (UTC), bytes as text or base64."""
    match value:
        case dt.datetime():
            return value.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return "base64:" + base64.b64encode(value).decode()
        case list() | tuple():
            return [plain(each) for each in value]
        case dict():
            return {str(key): plain(each) for key, each in value.items()}
        case float() if not math.isfinite(value):
            # JSON has no number for it.
            return str(value)
        case None | bool() | int() | float() | str():
            return value
        case _:
            return str(value)


def cell(value: Any) -> Any:  # noqa: ANN401 - whatever DuckDB returns
    """A value as one cell of a table: what holds other values is JSON."""
    value = plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Rows under their header. An empty cell is NULL or an empty text."""
    usual = csv.writer(file, lineterminator="\n")
    careful = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
    usual.writerow(columns)
    for row in rows:
        cells = [cell(value) for value in row]
        # Before Python 3.13 a carriage return is no reason to quote.
        has_return = any("\r" in each for each in cells if isinstance(each, str))
        (careful if has_return else usual).writerow(cells)
