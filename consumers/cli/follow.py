"""`labelwatch run`: follow Kafka."""

from __future__ import annotations

import contextlib
import gc
import sys
from typing import TYPE_CHECKING, Any

import click

from consumers.cli.feed import (
    _Progress,
    _summary,
    classes_option,
    config_option,
    store_option,
)
from consumers.cli.output import tell
from consumers.cli.topics import (
    kafka_settings,
    servers_option,
    start_option,
    topic_option,
    topic_source,
)
from consumers.loop import Breaker
from consumers.loop import run as run_loop
from consumers.stopping import Stopping
from consumers.wiring import open_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.config import Settings


@click.command()
@config_option
@servers_option
@topic_option
@store_option
@start_option
@classes_option
@click.option("--until-end", is_flag=True, help="Stop at the ends of the topics as of now.")
@click.option(
    "--skip-lost",
    is_flag=True,
    help="Go on where unread records were deleted; a dead letter stands for the gap.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where records were rejected.")
@click.option(
    "--keep-going", is_flag=True, help="Go on even where nearly all records are rejected."
)
def run(
    *,
    config: str | None,
    store: str | None,
    classes: str | None,
    until_end: bool,
    skip_lost: bool,
    strict: bool,
    keep_going: bool,
    **kafka: Any,  # noqa: ANN401 - as click gives them
) -> None:
    """Read Kafka topics into the store, until SIGTERM.

    Run again, it goes on where it was.
    """
    settings = kafka_settings(config, store, classes, **kafka)
    rejected = _follow(settings, until_end=until_end, skip_lost=skip_lost, keep_going=keep_going)
    if strict and rejected:
        sys.exit(1)


def _follow(settings: Settings, *, until_end: bool, skip_lost: bool, keep_going: bool) -> int:
    is_stopping = Stopping()
    source = topic_source(settings, until_end=until_end, skip_lost=skip_lost)
    try:
        with (
            open_line(settings, "labelwatch run") as line,
            _Progress(line, settings) as progress,
            _spared_collector(),
        ):
            totals = run_loop(
                line, source, Breaker(is_armed=not keep_going), is_stopping, progress.update
            )
            progress.check_parity()
            tell(_summary(line, totals))
    finally:
        source.close()
    return totals.rejected


@contextlib.contextmanager
def _spared_collector() -> Iterator[None]:
    """Records are tuples by the hundred thousand that die young: looking for cycles in them is in vain."""
    thresholds = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1_000)
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        # What is frozen when the interpreter ends is taken for a leak, and reported.
        gc.unfreeze()


COMMANDS: tuple[click.Command, ...] = (run,)
