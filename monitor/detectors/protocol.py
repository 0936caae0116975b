"""What a detector is: something that sees how annotations changed and says which flags did.

A detector is one file here, one line in `DETECTORS` and a view over its kind of flag. It keeps
what it needs about rows in memory; after `restore` it stands as if it had seen every event.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.changes import Changes
    from monitor.ledger import Ledger
    from monitor.tables import Rows


class Kind(StrEnum):
    """Kinds of finding. The values are a public contract."""

    LABEL_ISSUE = "label_issue"
    CONSENSUS_ISSUE = "consensus_issue"
    EXACT_DUPLICATE = "exact_duplicate"
    CONFLICTING_LABELS = "conflicting_labels"


class Action(IntEnum):
    """What happened to a flag."""

    RAISED = 0
    CHANGED = 1
    CLEARED = 2


@dataclass(frozen=True, slots=True)
class Flags:
    """Changes of one kind of flag: at most one per annotation and batch. Shape: (f,) each.

    `score` is low where the annotation is suspect. `set_number` joins annotations that belong
    together,
    -1 where the kind has no sets. `cause` is a `ledger.Cause`.
    """

    kind: Kind
    annotations: Rows
    action: NDArray[np.int8]
    cause: NDArray[np.int8]
    score: NDArray[np.float64]
    set_number: Rows

    def __len__(self) -> int:
        return self.annotations.size

    @staticmethod
    def none(kind: Kind) -> Flags:
        """No change."""
        rows, codes = np.empty(0, np.int32), np.empty(0, np.int8)
        return Flags(kind, rows, codes, codes, np.empty(0), rows)

    @staticmethod
    def joined(kind: Kind, parts: Sequence[Flags]) -> Flags:
        """Changes of one kind, of different annotations, one after the other."""
        if len(parts) == 1:
            return parts[0]
        columns = ("annotations", "action", "cause", "score", "set_number")
        return Flags(
            kind,
            *(
                np.concatenate([getattr(part, name) for part in (Flags.none(kind), *parts)])
                for name in columns
            ),
        )


class Detector(Protocol):
    """Keeps one kind of judgement about live annotations up to date.

    Laws (tests/laws/test_detectors.py): the flags that stand after a stream do not depend on how
    it was cut into batches; an empty batch changes nothing; what is retracted leaves no trace.
    """

    def update(self, ledger: Ledger, changes: Changes) -> tuple[Flags, ...]:
        """The flags that change because the annotations in `changes` did. The ledger is already updated."""
        ...
