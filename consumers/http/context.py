"""What the endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from consumers.board import Board
    from consumers.config import HttpSettings
    from consumers.store.gate import Gate


@dataclass(slots=True)
class Context:
    """Given to each module's `routes(context)`. What is None comes once the store is loaded."""

    settings: HttpSettings
    board: Board
    gate: Gate | None = None
