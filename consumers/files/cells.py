"""Cells of a CSV column → values. A cell that does not parse stays text: the decoder rejects it.

An empty cell is None, an absent field. Numbers and JSON keep their spelling.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import msgspec

from consumers.files.header import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WHOLE_FLOAT = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")
_BOOLEANS = {"true": True, "false": False, "1": True, "0": False}
_RAW = msgspec.json.Decoder(msgspec.Raw)


def convert(kind: Kind, cells: Sequence[str]) -> Sequence[object]:
    """The values of a column's cells."""
    if kind is Kind.TEXT:
        return cells if all(cells) else [cell or None for cell in cells]
    parse = _PARSERS[kind]
    return [parse(cell) if cell else None for cell in cells]


def parse_json(cell: str) -> object:
    """A list or an object as it is spelled, once it is known to be JSON (or JSON with NaN)."""
    if not cell.lstrip().startswith(("[", "{")):
        return cell
    try:
        return _RAW.decode(cell)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return _parse_loosely(cell)


def _parse_loosely(cell: str) -> object:
    # The decoder tells NaN among probabilities apart from bytes that are no JSON at all.
    try:
        json.loads(cell)
        return msgspec.Raw(cell.encode())
    except (ValueError, RecursionError):
        return cell


def parse_number(cell: str) -> object:
    """A JSON number as it is spelled."""
    return msgspec.Raw(cell.encode()) if _NUMBER.fullmatch(cell) else cell


def parse_integer(cell: str) -> object:
    """A number, without the .0 that pandas writes where a column of integers has gaps.

    >>> bytes(parse_integer("7.0")), parse_integer("seven")
    (b'7', 'seven')
    """
    return parse_number(_WHOLE_FLOAT.sub(r"\1", cell))


def parse_boolean(cell: str) -> object:
    """True and False in any case, 1 and 0."""
    return _BOOLEANS.get(cell.lower(), cell)


_PARSERS: dict[Kind, Callable[[str], object]] = {
    Kind.JSON: parse_json,
    Kind.NUMBER: parse_number,
    Kind.INTEGER: parse_integer,
    Kind.BOOLEAN: parse_boolean,
}
