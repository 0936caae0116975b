"""The list of classes: where a name stands, and which names may join.

In order of authority the list is configured, declared by a `classes` event, or automatic: numbered
("0"…"K-1", from integer labels with lists) or discovered (from names). A name once on the list
keeps its number. Lists of probabilities align with configured, declared and numbered classes only:
the order in which names were discovered means nothing to a sender.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from monitor.events import Reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLASSES_MAX = 1_000
_TEXT_MAX = 60
_NAMES_SHOWN = 8


class Authority(StrEnum):
    """Who decided on the list."""

    CONFIGURED = "configured"
    DECLARED = "declared"
    NUMBERED = "numbered"
    DISCOVERED = "discovered"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a label, a list of names or a list of probabilities does not fit the classes."""

    reason: Reason
    error: str


class ClassList:
    """Names of classes in the order of their numbers. Only grows.

    >>> classes = ClassList()
    >>> classes.number_of("dog"), classes.number_of("cat"), classes.names
    (0, 1, ['dog', 'cat'])
    >>> ClassList(["cat"]).number_of("dog").reason.value
    'unknown_label'
    """

    def __init__(
        self,
        names: Iterable[str] = (),
        *,
        authority: Authority | None = None,
        alignment: Sequence[int] | None = None,
    ) -> None:
        self.names = list(names)
        self.index = {name: number for number, name in enumerate(self.names)}
        default = Authority.CONFIGURED if self.names else Authority.DISCOVERED
        self.authority = authority or default
        # Class number of each position of an aligned list; None where lists cannot be aligned.
        self.alignment = list(alignment) if alignment is not None else None
        if alignment is None and self.authority is not Authority.DISCOVERED:
            self.alignment = list(range(len(self.names)))

    def __len__(self) -> int:
        return len(self.names)

    @property
    def is_open(self) -> bool:
        """Whether names that are not on the list may join it."""
        return self.authority is Authority.DISCOVERED

    def fault_of(self, names: Iterable[str], field: str = "label") -> Fault | None:
        """Why a field's names cannot all be classes, None where they can. Nothing joins the list."""
        missing = [name for name in dict.fromkeys(names) if name not in self.index]
        if not missing:
            return None
        if not self.is_open:
            return Fault(
                Reason.UNKNOWN_LABEL,
                f"{field}: {_short(missing[0])} is not one of the {self.authority} classes "
                f"({_some(self.names)}); correct it or add it to `classes`",
            )
        if len(self) + len(missing) > CLASSES_MAX:
            return Fault(
                Reason.TOO_MANY_CLASSES,
                f"{field}: {_short(missing[CLASSES_MAX - len(self)])} would be one class more than the "
                f"{CLASSES_MAX:,} that are automatic; set `classes`, or check that `label` holds a class",
            )
        return None

    def number_of(self, label: str | int) -> int | Fault:
        """The class number of a label; a new name joins an open list."""
        if isinstance(label, int):
            return self._number_at(label)
        number = self.index.get(label)
        if number is not None:
            return number
        return self.fault_of((label,)) or self._join((label,))

    def join(self, names: Iterable[str]) -> None:
        """Add names that have no fault, in sorted order."""
        self._join(sorted(set(names) - self.index.keys()))

    def number_as(self, width: int) -> None:
        """An integer label with a list of `width` on an empty list: classes "0"…"width-1"."""
        self._join(map(str, range(width)))
        self.authority = Authority.NUMBERED
        self.alignment = list(range(width))

    def declare(self, names: Sequence[str]) -> Fault | None:
        """A `classes` event: lists align with these names from now on, in this order."""
        if self.authority is Authority.CONFIGURED:
            return self.fault_of(names, "classes")
        missing = [name for name in names if name not in self.index]
        if len(self) + len(missing) > CLASSES_MAX:
            return Fault(
                Reason.TOO_MANY_CLASSES,
                f"classes: {len(self) + len(missing):,} classes, at most {CLASSES_MAX:,} can be declared; "
                "set `classes` in the configuration",
            )
        self._join(missing)
        self.authority = Authority.DECLARED
        self.alignment = [self.index[name] for name in names]
        return None

    def _join(self, names: Iterable[str]) -> int:
        for name in names:
            self.index[name] = len(self.names)
            self.names.append(name)
        return len(self.names) - 1

    def _number_at(self, position: int) -> int | Fault:
        if self.alignment is None:
            return Fault(
                Reason.LABEL_INDEX_OUT_OF_RANGE,
                f"label: the integer {position} is an index, and there is no class list to look it up in; "
                "set `classes` or send the class's name",
            )
        if 0 <= position < len(self.alignment):
            return self.alignment[position]
        return Fault(
            Reason.LABEL_INDEX_OUT_OF_RANGE,
            f"label: index {position} is outside 0…{len(self.alignment) - 1}, the {self.authority} classes; "
            "correct it or add the class to `classes`",
        )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _TEXT_MAX else text[: _TEXT_MAX - 1] + "…"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(name[:40] for name in names[:_NAMES_SHOWN])
    return shown if len(names) <= _NAMES_SHOWN else f"{shown}, … {len(names)} in all"
