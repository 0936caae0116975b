"""Where a replay spends its CPU: a clock that changes hands at the borders between stages.

The product is not touched: in a process of its own, the functions below are wrapped so that entering one
hands the clock to its stage and leaving hands it back. So times are exclusive and add up to all that the
process spent; whatever is not wrapped counts to the stage that called it. A handful of calls a batch of
20,000 records are wrapped, which costs nothing that could be measured.
"""

from __future__ import annotations

import functools
import gc
import importlib
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

START, REST, COLLECTOR = "start", "rest", "garbage collector"

READ = "read"
SOURCES = {
    "file": (READ, "consumers.files.source", "FileSource.poll"),
    "topic": (READ, "consumers.kafka.source", "KafkaSource.poll"),
}
TAPS = (
    ("decode", "monitor.decode", "Decoder.decode"),
    ("validate", "monitor.pipeline", "validate"),
    ("to units", "monitor.distributions", "quantise"),
    ("identify", "consumers.loop", "step"),
    ("intern", "monitor.identity", "IdTable.intern"),
    ("ledger", "monitor.ledger", "Ledger.grow"),
    ("ledger", "monitor.ledger", "Ledger.apply"),
    ("label issues", "monitor.detectors.label_issues", "LabelIssues.update"),
    ("duplicates", "monitor.detectors.duplicates", "Duplicates.update"),
    ("Arrow tables", "consumers.store.commit", "Committer.write"),
    ("DuckDB insert", "consumers.store.tables", "Tables.insert"),
    ("DuckDB delete", "consumers.store.tables", "Tables.delete"),
    ("DuckDB delete", "consumers.store.tables", "Tables.delete_by"),
    ("commit", "consumers.store", "Store.commit"),
    ("checkpoint", "consumers.store", "Store.checkpoint"),
    ("parity", "consumers.store", "Store.parity"),
)
"""Stage, module, function. What a stage calls of the stages below it counts to those."""

STAGES = (START, READ, *dict.fromkeys(stage for stage, _, _ in TAPS), COLLECTOR, REST)


class StageClock:
    """CPU seconds of each stage. Everything before the first poll is START, since the process began."""

    def __init__(self) -> None:
        self.spent_s = dict.fromkeys(STAGES, 0.0)
        self._stack = [START]
        self._since = 0.0

    def enter(self, stage: str) -> None:
        self._hand_over()
        if self._stack == [START]:
            self._stack = [REST] if stage == READ else [START]
        self._stack.append(START if self._stack == [START] else stage)

    def leave(self) -> None:
        self._hand_over()
        self._stack.pop()

    def stop(self) -> dict[str, float]:
        self._hand_over()
        return self.spent_s

    def _hand_over(self) -> None:
        now = time.process_time()
        self.spent_s[self._stack[-1]] += now - self._since
        self._since = now


def watch(clock: StageClock, source: str) -> None:
    """Wrap every function of TAPS, and Python's garbage collector, for the rest of this process."""
    for stage, module, path in (SOURCES[source], *TAPS):
        owner: Any = importlib.import_module(module)
        *parents, name = path.split(".")
        for parent in parents:
            owner = getattr(owner, parent)
        setattr(owner, name, _wrapped(getattr(owner, name), clock, stage))
    gc.callbacks.append(
        lambda phase, _: clock.enter(COLLECTOR) if phase == "start" else clock.leave()
    )


def _wrapped(function: Callable[..., Any], clock: StageClock, stage: str) -> Callable[..., Any]:
    @functools.wraps(function)
    def timed(*arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - whatever the function takes
        clock.enter(stage)
        try:
            return function(*arguments, **options)
        finally:
            clock.leave()

    return timed
