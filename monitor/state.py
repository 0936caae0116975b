"""Everything the line knows, in one place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from monitor.consensus import Consensus
from monitor.detectors import detectors
from monitor.ledger import Ledger
from monitor.names import Names
from monitor.order import source_ranks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from monitor.classes import ClassList
    from monitor.detectors.label_issues import LabelIssues
    from monitor.detectors.protocol import Detector
    from monitor.events import Partition
    from monitor.statistics.confident_joint import Collision


@dataclass(frozen=True, slots=True)
class Limits:
    """Caps on what waits for its other half. Beyond them newcomers are turned away, and counted."""

    pending_max: int = 1_000_000
    unlabelled_max: int = 5_000_000


@dataclass(slots=True)
class State:
    """Everything the line knows: a cache of the store. Mutable; a failed commit ends the process."""

    classes: ClassList
    collision: Collision
    limits: Limits = field(default_factory=Limits)
    ledger: Ledger = field(default_factory=Ledger)
    annotators: Names = field(default_factory=Names)
    model_versions: Names = field(default_factory=Names)
    partitions: list[Partition] = field(default_factory=list)
    consensus: Consensus = field(default_factory=Consensus)
    detectors: tuple[LabelIssues, *tuple[Detector, ...]] = field(init=False)

    def __post_init__(self) -> None:
        self.detectors = detectors(self.collision)

    @property
    def label_issues(self) -> LabelIssues:
        """The detector whose statistics the store shows."""
        return self.detectors[0]

    def register(self, partitions: Sequence[Partition]) -> NDArray[np.int32]:
        """The number of each partition; new ones are numbered as they come."""
        self.partitions += [each for each in partitions if each not in self.partitions]
        self.ledger.ranks = source_ranks(self.partitions)
        return np.array([self.partitions.index(each) for each in partitions], np.int32)
