"""What the endpoints work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from consumers.board import Board
    from consumers.config import HttpSettings
    from consumers.http.intake import Intake
    from consumers.metrics import Metrics
    from consumers.store.gate import Gate
    from consumers.store.snapshot import Snapshots


@dataclass(slots=True)
class Context:
    """Given to each module's `routes(context)`. What is None comes once the store is loaded.

    `stuck_s`: how long a round of the loop may take. `is_closing`: the server ends, and so do its streams.
    """

    settings: HttpSettings
    board: Board
    stuck_s: float = 300.0
    path: Path | None = None
    gate: Gate | None = None
    is_closing: bool = False
    metrics: Metrics | None = None
    snapshots: Snapshots | None = None
    intake: Intake | None = None
