"""What the names of columns say: where a value goes in the object, and what a cell holds."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from monitor.fields import ALIASES, CANONICAL

if TYPE_CHECKING:
    from collections.abc import Mapping


class Kind(Enum):
    """What the cells of a column hold. Everything not named here is text: "01" stays "01"."""

    TEXT = auto()
    JSON = auto()
    NUMBER = auto()
    INTEGER = auto()
    BOOLEAN = auto()


_KINDS = {
    "pred_probs": Kind.JSON,
    "embedding": Kind.JSON,
    "metadata": Kind.JSON,
    "classes": Kind.JSON,
    "revision": Kind.INTEGER,
    "lead_time_s": Kind.NUMBER,
    "annotated_at": Kind.NUMBER,
    "is_gold": Kind.BOOLEAN,
}
_NUMERIC = ("pred_probs", "embedding")


class Header:
    """The meaning of column names, under a field mapping (field name → dotted path)."""

    def __init__(self, field_paths: Mapping[str, str]) -> None:
        self._fields = {name: name for name in CANONICAL} | ALIASES
        self._fields |= {path: ALIASES.get(name, name) for name, path in field_paths.items()}
        self._parents = {path.rpartition(".")[0] for path in field_paths.values() if "." in path}
        self._maps = [name for name, field in self._fields.items() if field == "pred_probs"]
        self._roots = {name.partition(".")[0] for name in self._fields}

    def is_known(self, column: str) -> bool:
        """Whether a column is a field, an alias, a mapped name, or below or above one."""
        return column in self._fields or column.partition(".")[0] in self._roots

    def path(self, column: str) -> tuple[str, ...]:
        """Where the column goes. Below probabilities only the first dot nests: classes have dots.

        >>> Header({}).path("metadata.source.name")
        ('metadata', 'source', 'name')
        >>> Header({}).path("probs.v1.2")
        ('probs', 'v1.2')
        """
        for name in self._maps:
            if column.startswith(f"{name}.") and column != f"{name}.":
                return (*name.split("."), column[len(name) + 1 :])
        segments = tuple(column.split("."))
        return segments if all(segments) else (column,)

    def kind(self, column: str) -> Kind:
        """What the column's cells hold."""
        if column in self._fields:
            return _KINDS.get(self._fields[column], Kind.TEXT)
        if any(column.startswith(f"{name}.") for name in self._maps):
            return Kind.NUMBER
        is_above = any(f"{parent}.".startswith(f"{column}.") for parent in self._parents)
        return Kind.JSON if is_above else Kind.TEXT

    def is_numeric(self, column: str) -> bool:
        """Whether the column holds probabilities or vectors, where NaN is no missing value."""
        names = [name for name, field in self._fields.items() if field in _NUMERIC]
        return any(
            f"{column}.".startswith(f"{name}.") or f"{name}.".startswith(f"{column}.")
            for name in names
        )
