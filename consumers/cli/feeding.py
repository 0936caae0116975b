"""What commands that feed a store have in common: their options, and the run from a source to its summary."""

from __future__ import annotations

import contextlib
import importlib.metadata
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

import click

from consumers import logs
from consumers.board import Board
from consumers.cli.output import tell
from consumers.config import read_settings
from consumers.http.intake import Intake
from consumers.http.listen import OFF
from consumers.loop import Breaker
from consumers.loop import run as run_loop
from consumers.merged import Merged
from consumers.outlet import Outlet
from consumers.ports import Stream
from consumers.ranking import Ranking
from consumers.store.inbox_source import InboxSource
from consumers.wiring import open_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.status import Status

    from consumers.config import Settings
    from consumers.http.server import Server
    from consumers.loop import Line, Totals
    from consumers.metrics import Metrics
    from consumers.observing import Observer
    from consumers.ports import Publisher, Source
    from consumers.store import Store

config_option = click.option(
    "--config", metavar="FILE", help="Settings; labelwatch.toml where it exists."
)
store_option = click.option(
    "--store", metavar="PATH", help="The database; labelwatch.duckdb by default."
)
classes_option = click.option(
    "--classes", metavar="A,B,…", help="The class list, in the order of pred_probs."
)
listen_option = click.option(
    "--listen", metavar="HOST:PORT|off", help="Where to answer questions; port 0: any free one."
)
strict_option = click.option(
    "--strict", is_flag=True, help="Exit with 1 where records were rejected."
)
keep_going_option = click.option(
    "--keep-going", is_flag=True, help="Go on even where nearly all records are rejected."
)


log = logging.getLogger(__name__)


def tell_start(settings: Settings, command: str, source: str) -> None:
    """Log from now on as the settings say, and say what begins."""
    logs.set_up(settings.log_format, settings.log_level)
    version = importlib.metadata.version("labelwatch")
    fields = {"version": version, "store": settings.store, "source": source}
    log.info("%s starts", command, extra=fields)


def class_names(classes: str | None) -> list[str] | None:
    """The names in `--classes`, None where it is not given."""
    return None if classes is None else [name.strip() for name in classes.split(",")]


def store_settings(
    config: str | None, store: str | None, classes: str | None, listen: str | None = None
) -> Settings:
    """Settings where these flags win. Raises: UsageError."""
    flags = {"store": store, "classes": class_names(classes), "http": listening(listen)}
    return read_settings(config, flags)


def listening(listen: str | None) -> dict[str, str] | None:
    """What `--listen` says, as the table [http]."""
    return None if listen is None else {"listen": listen}


def feed(
    settings: Settings,
    source: Source,
    command: str,
    *,
    is_stopping: Callable[[], bool],
    keep_going: bool,
    publishers: Mapping[Stream, Publisher] | None = None,
    has_server: bool = False,
    display: Callable[[Line], Display] | None = None,
) -> Totals:
    """Run the loop over the store until the source ends, and say what it did. Raises: LabelwatchError.

    The publishers are closed, the source is not.
    """
    publishers, board = publishers or {}, Board()
    is_served = has_server and settings.http.listen != OFF
    metrics = _metrics(settings, board) if is_served else None
    try:
        with (
            _server(settings, board, metrics) as server,
            open_line(settings, command) as line,
            server.over(line.store, _intake(line)) if server else contextlib.nullcontext(),
            (display or _Progress)(line) as progress,
        ):
            breaker = Breaker(is_armed=not keep_going)
            outlet = _outlet(line.store, publishers, settings) if publishers else None
            line = replace(line, board=board, outlet=outlet, observer=metrics)  # noqa: PLW2901 - now it tells
            merged = Merged(source, InboxSource(line.store.inbox))
            parity = _Parity(line, settings, metrics)

            def after_commit(totals: Totals) -> None:
                progress.update(totals)
                parity.check_now_and_then()

            totals = run_loop(line, merged, breaker, is_stopping, after_commit)
            parity.check()
            summary = _summary(line, totals)
        # Leaving the line folds its log into the file, which may yet fail.
        log.info("stopped", extra={"records": totals.records, "rejected": totals.rejected})
        tell(summary)
    finally:
        for publisher in publishers.values():
            publisher.close()
    return totals


def _outlet(store: Store, publishers: Mapping[Stream, Publisher], settings: Settings) -> Outlet:
    logs = dict(publishers)
    ranked, kafka = logs.pop(Stream.NEXT_LABELS, None), settings.kafka
    if ranked is None:
        return Outlet(store, logs)
    every_s, rows_max = kafka.next_labels_every_s, kafka.next_labels_max
    return Outlet(store, logs, Ranking(store, ranked, every_s, rows_max))


def _metrics(settings: Settings, board: Board) -> Metrics:
    # Only a run that is asked for them pays for the import.
    from consumers.metrics import Metrics  # noqa: PLC0415 - as above

    return Metrics(settings.metrics, board, Path(settings.store))


@contextlib.contextmanager
def _server(settings: Settings, board: Board, metrics: Metrics | None) -> Iterator[Server | None]:
    """The server, from before the store is loaded until after the run; None where it is off."""
    if metrics is None:
        yield None
        return
    # It takes a third of a second to import, which a run without it should not pay.
    from consumers.http.server import Server  # noqa: PLC0415 - as above

    with contextlib.closing(Server(settings, board, metrics)) as server:
        yield server


def _intake(line: Line) -> Intake:
    return Intake.of(line.store.inbox, line.decoder, line.state.classes)


class Display(Protocol):
    """What a person is shown while a run goes on."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def update(self, totals: Totals) -> None:
        """Told after each commit."""
        ...


class StatusLine:
    """A line on a terminal that changes while a run goes on; elsewhere there is none."""

    def __init__(self, text: str) -> None:
        self._status = _spinner(text) if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()


class _Progress(StatusLine):
    """Shows a running count."""

    def __init__(self, _: Line) -> None:
        super().__init__("reading …")
        self._started_at = time.monotonic()

    def update(self, totals: Totals) -> None:
        """Told after each commit."""
        if self._status:
            rate = totals.records / max(time.monotonic() - self._started_at, 1e-3)
            self._status.update(f"{totals.records:,} records, {rate:,.0f} a second")


class _Parity:
    """Recounts the joint from the facts now and then."""

    def __init__(self, line: Line, settings: Settings, observer: Observer | None) -> None:
        self._line = line
        self._observer = observer
        self._every_s = settings.parity_every_s
        self._checked_at = time.monotonic()

    def check_now_and_then(self) -> None:
        """Told after each commit."""
        if self._every_s and time.monotonic() - self._checked_at > self._every_s:
            self.check()

    def check(self) -> None:
        """Assert that the stored joint equals a recount from the facts."""
        if self._every_s:
            wrong = self._line.store.parity(str(self._line.state.collision))
            if self._observer:
                self._observer.recounted(is_equal=wrong == 0)
            assert wrong == 0, f"{wrong} cells differ from a recount; run `labelwatch rebuild`"
            self._checked_at = time.monotonic()


def _spinner(text: str) -> Status:
    # rich takes long to import, which only somebody who looks should pay for.
    from rich.console import Console  # noqa: PLC0415 - as above

    return Console(stderr=True).status(text)


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
