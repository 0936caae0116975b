"""What is wrong around labelwatch, and what to do. Looks only: a monitor may run meanwhile.

checks.py    one line of the answer
packages.py  what is installed
stores.py    the database and its disk
topics.py    the broker and its topics
outputs.py   the topics that are written to
clock.py     this machine's clock against what others say

Each gathers facts first; what they mean is decided by functions of those facts alone.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING

from consumers.doctor.clock import check_clock
from consumers.doctor.packages import check_packages
from consumers.doctor.stores import check_store, look_at
from consumers.doctor.topics import check_topics

if TYPE_CHECKING:
    from consumers.config import Settings
    from consumers.doctor.checks import Check

__all__ = ["check_packages", "examine"]


def examine(settings: Settings) -> list[Check]:
    """Every check that needs a configuration, in the order in which a run would meet the faults."""
    store = look_at(Path(settings.store))
    found = check_store(store, settings)
    topics, newest_us = check_topics(settings.kafka, settings.source, store.positions)
    committed_at = store.look.committed_at if store.look else None
    now = dt.datetime.now(dt.UTC)
    return [*found, *topics, check_clock(now, committed_at, newest_us)]
