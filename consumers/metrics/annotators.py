"""Who annotates: series of their own for the first hundred, one for all others.

An annotator keeps its series until it was idle for a day and another one needs the place; the
whole table belongs in SQL.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

import numpy as np

from consumers.metrics.definitions import (
    ANNOTATOR_ANNOTATIONS,
    ANNOTATOR_ERROR_RATIO,
    ANNOTATOR_FLAGS,
    ANNOTATOR_OVERFLOW,
    ANNOTATORS_ACTIVE,
    OTHER,
)
from consumers.metrics.names import shown
from consumers.metrics.series import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from consumers.config import MetricsSettings
    from monitor.annotators import Ratings

ANNOTATORS_MAX = 100
IDLE_S = 24 * 3600.0
_HASH_DIGITS = 16


class Annotators:
    """Labels and flags by annotator, since the process began. Times are of the monotonic clock."""

    def __init__(self, settings: MetricsSettings) -> None:
        self._settings = settings
        self._names: Sequence[str] = ()
        # By annotator number: its place among the hundred, -1 for none, and when it was last heard of.
        self._place = np.zeros(0, np.int64)
        self._heard_at = np.zeros(0)
        # By place, the last one for all others: who has it (-1: nobody), and the counts.
        self._owner = np.full(ANNOTATORS_MAX + 1, -1, np.int64)
        self._labels = np.zeros(ANNOTATORS_MAX + 1, np.int64)
        self._flags = np.zeros(ANNOTATORS_MAX + 1, np.int64)
        self._ratings: Ratings | None = None

    def count(
        self,
        names: Sequence[str],
        labelled: NDArray[np.integer],
        flagged: NDArray[np.integer],
        now: float,
    ) -> None:
        """Count labels and flags, given as annotators' numbers: places in `names`, a list that only grows."""
        self._names = names
        self._grow_to(len(names))
        # A batch names few of them, and all together may be many: nothing here goes through all.
        present, labels = np.unique(labelled, return_counts=True)
        suspects, flags = np.unique(flagged, return_counts=True)
        self._heard_at[present] = now
        self._admit(present[self._place[present] < 0], now)
        # Place -1 is the last one: that of all others.
        np.add.at(self._labels, self._place[present], labels)
        np.add.at(self._flags, self._place[suspects], flags)

    def rate(self, ratings: Ratings) -> None:
        """Show these ratings of those who have a place."""
        self._ratings = ratings

    def _grow_to(self, size: int) -> None:
        known = self._place.size
        if size > known:
            more = max(size, 2 * known) - known
            self._place = np.pad(self._place, (0, more), constant_values=-1)
            self._heard_at = np.pad(self._heard_at, (0, more), constant_values=-np.inf)

    def _admit(self, newcomers: NDArray[np.integer], now: float) -> None:
        """Give free places, and those of the idle, to newcomers in the order of their numbers."""
        if not newcomers.size:
            return
        owner = self._owner[:ANNOTATORS_MAX]
        is_idle = (owner >= 0) & (self._heard_at[owner] < now - IDLE_S)
        free = np.flatnonzero((owner < 0) | is_idle)[: newcomers.size]
        left = owner[free]
        self._place[left[left >= 0]] = -1
        self._labels[free] = self._flags[free] = 0
        owner[free] = newcomers[: free.size]
        self._place[owner[free]] = free

    def readings(self, now: float) -> Iterator[Reading]:
        """What is to be shown."""
        active = np.count_nonzero(self._heard_at >= now - IDLE_S)
        yield Reading(ANNOTATORS_ACTIVE, (), float(active))
        if self._settings.annotators == "off":
            return
        yield Reading(ANNOTATOR_OVERFLOW, (), float(self._labels[-1]))
        columns = (self._owner, self._labels, self._flags)
        for owner, labels, flags in zip(*(each.tolist() for each in columns), strict=True):
            is_own = owner >= 0
            name = (self._shown(self._names[owner]) if is_own else OTHER,)
            if is_own or labels or flags:
                yield Reading(ANNOTATOR_ANNOTATIONS, name, float(labels))
                yield Reading(ANNOTATOR_FLAGS, name, float(flags))
        yield from self._rated()
        yield Reading(ANNOTATOR_ANNOTATIONS, (OTHER,), 0.0)
        yield Reading(ANNOTATOR_FLAGS, (OTHER,), 0.0)

    def _rated(self) -> Iterator[Reading]:
        """The error rates of those who have a place and live labels."""
        if self._ratings is None:
            return
        rated, owner = self._ratings.annotator, self._owner[self._owner >= 0]
        at = np.searchsorted(rated, owner)
        is_there = at < rated.size
        is_there[is_there] = rated[at[is_there]] == owner[is_there]
        rates = self._ratings.error_rate[at[is_there]]
        for number, error_rate in zip(owner[is_there].tolist(), rates.tolist(), strict=True):
            yield Reading(ANNOTATOR_ERROR_RATIO, (self._shown(self._names[number]),), error_rate)

    def _shown(self, name: str) -> str:
        salt = self._settings.salt
        if self._settings.annotators != "hashed" or salt is None:
            return shown(name)
        digest = hmac.new(salt.encode(), name.encode(), hashlib.sha256)
        return digest.hexdigest()[:_HASH_DIGITS]
