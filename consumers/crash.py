"""Named points at which a test may kill the process, to see that nothing is lost there.

`LABELWATCH_CRASH_AT=store.committed:3` kills the process with SIGKILL when it passes the point for
the third time. Without the variable a point costs one comparison.
"""

from __future__ import annotations

import os
import signal
from typing import Final

POINTS: Final = (
    "loop.polled",
    "loop.stepped",
    "store.migrated",
    "store.inserted",
    "store.committed",
    "store.marked",
    "store.checkpointed",
    "source.committed",
    "publish.sent",
    "publish.acknowledged",
    "publish.saved",
)
SNAPSHOT_POINTS: Final = ("snapshot.copied", "snapshot.synced")
"""Those passed only where somebody takes a snapshot."""
INBOX_POINTS: Final = ("inbox.inserted", "inbox.stored")
"""Those passed only where somebody sends by HTTP."""

_name, _, _times = os.environ.get("LABELWATCH_CRASH_AT", "").partition(":")
_left = int(_times or 1) if _name else 0


def point(name: str) -> None:
    """Die here, if the environment says so."""
    global _left  # noqa: PLW0603 - a counter for the whole process is the point
    if _name == name:
        _left -= 1
        if _left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
