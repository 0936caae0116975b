"""What is checked before events enter the inbox. The rest is judged by the loop, in its turn."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consumers.store.inbox import INBOX
from monitor.classes import Authority
from monitor.events import Records
from monitor.validate import faults_at_once

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.store.inbox import Inbox
    from monitor.classes import ClassList
    from monitor.decode import Decoder
    from monitor.events import Rejection


@dataclass(frozen=True, slots=True)
class Intake:
    """An inbox, and what is needed to judge what wants to enter.

    `configured`: the class list where it is fixed; where events may change it, only the loop knows
    which names there are when an event is read.
    """

    inbox: Inbox
    decoder: Decoder
    configured: Sequence[str] | None = None

    @staticmethod
    def of(inbox: Inbox, decoder: Decoder, classes: ClassList) -> Intake:
        """The intake of a line."""
        is_fixed = classes.authority is Authority.CONFIGURED
        return Intake(inbox, decoder, tuple(classes.names) if is_fixed else None)

    def check(self, values: Sequence[bytes]) -> list[Rejection]:
        """Why events cannot be used, as far as that does not depend on what the line knows."""
        count = len(values)
        records = Records(
            [*values],
            [None] * count,
            np.arange(count),
            np.full(count, time.time_ns() // 1_000, np.int64),
            np.zeros(count, np.int64),
            (INBOX,),
        )
        events, undecoded = self.decoder.decode(records)
        invalid = faults_at_once(records, events, self.configured)
        return sorted(undecoded + invalid, key=lambda rejection: rejection.position)
