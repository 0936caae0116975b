"""Numbers for names that come again and again: annotators and model versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


class Names:
    """A list of distinct names that only grows.

    >>> names = Names(["ann"])
    >>> names.numbers(["bob", "ann", "bob"]).tolist(), names.names
    ([1, 0, 1], ['ann', 'bob'])
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names = list(names)
        self._index = {name: number for number, name in enumerate(self.names)}

    def __len__(self) -> int:
        return len(self.names)

    def find(self, name: str) -> int:
        """The number of a name, -1 for one that is not in the list."""
        return self._index.get(name, -1)

    def numbers(self, names: list[str]) -> NDArray[np.int32]:
        """The number of each name; new names are numbered as they come. Shape: (n,)."""
        try:
            return np.fromiter(map(self._index.__getitem__, names), np.int32, len(names))
        except KeyError:
            for name in names:
                if self._index.setdefault(name, len(self.names)) == len(self.names):
                    self.names.append(name)
            return self.numbers(names)
