"""Names as label values: bounded in number and in length."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from consumers.metrics.definitions import OTHER

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

LABELS_MAX = 200
_LENGTH_MAX = 100


def shown(name: str) -> str:
    """A name as a label value: a long one ends in a hash of the whole."""
    if len(name) <= _LENGTH_MAX:
        return name
    return f"{name[:_LENGTH_MAX]}…{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def folded(names: Sequence[str], values: Iterable[float]) -> dict[str, float]:
    """The values of the first 200 names under those, the sum of all others under `__other__`.

    >>> folded(["a", "b"], [1.0, 2.0])
    {'a': 1.0, 'b': 2.0}
    """
    found: dict[str, float] = {}
    for number, value in enumerate(values):
        name = shown(names[number]) if number < LABELS_MAX else OTHER
        found[name] = found.get(name, 0.0) + value
    return found
