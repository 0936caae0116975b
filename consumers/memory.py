"""What Python and the C library do with memory, where millions of objects live long or die young."""

from __future__ import annotations

import contextlib
import ctypes
import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_THRESHOLDS = (200_000, 50, 1_000)


@contextlib.contextmanager
def tuned() -> Iterator[None]:
    """Look for garbage cycles seldom: a batch is tens of thousands of objects without any."""
    thresholds = gc.get_threshold()
    gc.set_threshold(*_THRESHOLDS)
    # What imports have made is never garbage.
    gc.freeze()
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        # What is frozen when the interpreter ends is taken for a leak, and reported.
        gc.unfreeze()


def settle() -> None:
    """What is there now will stay: look for no cycles in it, and give the system back what is free."""
    gc.collect()
    gc.freeze()
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)
