"""Columns of values → one JSON object a row, as bytes, so that a row goes the way of a record.

None is an absent field. A column with a dotted name (`metadata.source`) nests.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from consumers.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Tree: TypeAlias = "dict[str, Tree | int]"
Cells: TypeAlias = "Sequence[object]"

_ENCODER = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_NOT_IN_STRUCT = frozenset('"\\') | frozenset(map(chr, range(32)))


class RowEncoder:
    """Encodes rows whose column i stands at `paths[i]` of the object.

    Raises: SourceError where two columns want the same place.
    """

    def __init__(self, source: str, paths: Sequence[tuple[str, ...]]) -> None:
        if not paths:
            raise SourceError(
                f"{source}: there are no columns; write it again with a label column"
            )
        self._tree: Tree = {}
        for i, path in enumerate(paths):
            if not _place(self._tree, path, i):
                raise SourceError(
                    f"{source}: column {'.'.join(path)!r} is there twice, or as a value and as a "
                    "map; rename one of them"
                )
        self._make = _maker(tuple(self._tree))

    def encode(self, columns: Sequence[Cells]) -> list[bytes]:
        """One JSON object a row. Text that is no UTF-8 keeps its bytes: the decoder rejects it."""
        top = [_column(node, columns) for node in self._tree.values()]
        try:
            return list(map(_ENCODER.encode, map(self._make, *top)))
        except UnicodeEncodeError:
            return [self._encode_row(row) for row in zip(*top, strict=True)]

    def _encode_row(self, cells: Cells) -> bytes:
        try:
            return _ENCODER.encode(self._make(*cells))
        except UnicodeEncodeError:
            return _ENCODER.encode(self._make(*map(_raw_text, cells)))


def objects(names: Sequence[str], columns: Sequence[Cells]) -> list[dict[str, object] | None]:
    """The rows of some columns as objects; None where a row has no value at all."""
    return [
        {name: cell for name, cell in zip(names, row, strict=True) if cell is not None} or None
        for row in zip(*columns, strict=True)
    ]


def _place(tree: Tree, path: tuple[str, ...], column: int) -> bool:
    *parents, name = path
    for parent in parents:
        below = tree.setdefault(parent, {})
        if isinstance(below, int):
            return False
        tree = below
    return tree.setdefault(name, column) == column


def _column(node: Tree | int, columns: Sequence[Cells]) -> Cells:
    if isinstance(node, int):
        return columns[node]
    return objects(tuple(node), [_column(below, columns) for below in node.values()])


@lru_cache(maxsize=64)
def _maker(names: tuple[str, ...]) -> Callable[..., object]:
    """Makes a row of its cells: a struct, which is four times as fast as a dict."""
    if any(_NOT_IN_STRUCT & set(name) for name in names):
        return lambda *cells: objects(names, [(cell,) for cell in cells])[0] or {}
    fields: list[tuple[str, type, object]] = [(f"f{i}", Any, None) for i in range(len(names))]
    rename = {f"f{i}": name for i, name in enumerate(names)}
    return msgspec.defstruct("Row", fields, rename=rename, omit_defaults=True, gc=False)


def _raw_text(value: object) -> object:
    """The value with its texts as JSON that keeps bytes which are no UTF-8."""
    match value:
        case str():
            text = json.dumps(value, ensure_ascii=False)
            return msgspec.Raw(text.encode("utf-8", "surrogateescape"))
        case list():
            return [_raw_text(item) for item in value]
        case dict():
            return {
                str(key).encode("utf-8", "replace").decode(): _raw_text(item)
                for key, item in value.items()
            }
        case _:
            return value
