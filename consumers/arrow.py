"""pyarrow as this package uses it: without pandas, and with the system's allocator.

At its first array pyarrow imports pandas, wherever that is installed, only to know its types when it
meets them: 75 MB and half a second. Here it never does. Its own allocator keeps what it has freed,
a hundred megabytes of it after loading a million rows; malloc does not.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["pa"]


class _NoPandas:
    """An importer that has no pandas."""

    def find_spec(
        self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == "pandas":
            raise ModuleNotFoundError(name=name)
        return None


@contextlib.contextmanager
def _without_pandas() -> Iterator[None]:
    importer = _NoPandas()
    sys.meta_path.insert(0, importer)
    try:
        yield
    finally:
        sys.meta_path.remove(importer)


with _without_pandas():
    # pyarrow looks for pandas once; what asks for it by name, such as to_pandas(), still finds it.
    pa.array([None])
pa.set_memory_pool(pa.system_memory_pool())
