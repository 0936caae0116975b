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

    def numbers(self, names: list[str]) -> NDArray[np.int32]:
        """The number of each name; new names are numbered as they come. Shape: (n,)."""
        numbers = [self._index.get(name, -1) for name in names]
        if -1 in numbers:
            for i, name in enumerate(names):
                if numbers[i] < 0:
                    numbers[i] = self._index.setdefault(name, len(self.names))
                    if numbers[i] == len(self.names):
                        self.names.append(name)
        return np.array(numbers, np.int32)
