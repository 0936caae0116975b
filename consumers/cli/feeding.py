"""What commands that feed a store have in common: their options, and the run from a source to its summary."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import click
from rich.console import Console

from consumers.cli.output import tell
from consumers.config import read_settings
from consumers.loop import Breaker
from consumers.loop import run as run_loop
from consumers.merged import Merged
from consumers.outlet import Outlet
from consumers.store.inbox_source import InboxSource
from consumers.wiring import open_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from consumers.config import Settings
    from consumers.loop import Line, Totals
    from consumers.ports import Publisher, Source, Stream

config_option = click.option(
    "--config", metavar="FILE", help="Settings; labelwatch.toml where it exists."
)
store_option = click.option(
    "--store", metavar="PATH", help="The database; labelwatch.duckdb by default."
)
classes_option = click.option(
    "--classes", metavar="A,B,…", help="The class list, in the order of pred_probs."
)


strict_option = click.option(
    "--strict", is_flag=True, help="Exit with 1 where records were rejected."
)
keep_going_option = click.option(
    "--keep-going", is_flag=True, help="Go on even where nearly all records are rejected."
)


def class_names(classes: str | None) -> list[str] | None:
    """The names in `--classes`, None where it is not given."""
    return None if classes is None else [name.strip() for name in classes.split(",")]


def store_settings(config: str | None, store: str | None, classes: str | None) -> Settings:
    """Settings where these flags win. Raises: UsageError."""
    return read_settings(config, {"store": store, "classes": class_names(classes)})


def feed(
    settings: Settings,
    source: Source,
    command: str,
    *,
    is_stopping: Callable[[], bool],
    keep_going: bool,
    publishers: Mapping[Stream, Publisher] | None = None,
) -> Totals:
    """Run the loop over the store until the source ends, and say what it did. Raises: LabelwatchError."""
    publishers = publishers or {}
    try:
        with open_line(settings, command) as line, _Progress(line, settings) as progress:
            breaker = Breaker(is_armed=not keep_going)
            if publishers:
                line = replace(line, outlet=Outlet(line.store, publishers))  # noqa: PLW2901 - it publishes now
            merged = Merged(source, InboxSource(line.store.inbox))
            totals = run_loop(line, merged, breaker, is_stopping, progress.update)
            progress.check_parity()
            summary = _summary(line, totals)
        # Leaving the line folds its log into the file, which may yet fail.
        tell(summary)
    finally:
        for publisher in publishers.values():
            publisher.close()
        source.close()
    return totals


class _Progress:
    """Shows a running count on a terminal, and recounts the joint from the facts now and then."""

    def __init__(self, line: Line, settings: Settings) -> None:
        self._line = line
        self._every_s = settings.parity_every_s
        self._checked_at = self._started_at = time.monotonic()
        self._status = Console(stderr=True).status("reading …") if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def update(self, totals: Totals) -> None:
        """Told after each commit."""
        if self._status:
            rate = totals.records / max(time.monotonic() - self._started_at, 1e-3)
            self._status.update(f"{totals.records:,} records, {rate:,.0f} a second")
        if self._every_s and time.monotonic() - self._checked_at > self._every_s:
            self.check_parity()

    def check_parity(self) -> None:
        """Assert that the stored joint equals a recount from the facts."""
        if self._every_s:
            wrong = self._line.store.parity(str(self._line.state.collision))
            assert wrong == 0, f"{wrong} cells differ from a recount; run `labelwatch rebuild`"
            self._checked_at = time.monotonic()


def _summary(line: Line, totals: Totals) -> str:
    issues = sum(int(each.issue_count.sum()) for each in line.state.label_issues.strata.values())
    parts = [f"{totals.records:,} records read", f"{totals.rejected:,} rejected"]
    if totals.reasons:
        parts[-1] += (
            f" ({', '.join(f'{reason} {n:,}' for reason, n in totals.reasons.most_common())})"
        )
    ledger = line.state.ledger
    parts.append(f"{issues:,} label issues")
    if ledger.pending_count:
        parts.append(f"{ledger.pending_count:,} annotations wait for a prediction")
    return "; ".join(parts)
