"""`labelwatch run`: follow Kafka."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import Any

import click

from consumers.cli.feeding import (
    classes_option,
    config_option,
    feed,
    keep_going_option,
    listen_option,
    store_option,
    strict_option,
    tell_start,
)
from consumers.cli.topics import (
    kafka_settings,
    servers_option,
    start_option,
    topic_option,
    topic_publishers,
    topic_source,
)
from consumers.stopping import Stopping


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
@listen_option
@strict_option
@keep_going_option
def run(
    *,
    config: str | None,
    store: str | None,
    classes: str | None,
    listen: str | None,
    until_end: bool,
    skip_lost: bool,
    strict: bool,
    keep_going: bool,
    **kafka: Any,  # noqa: ANN401 - as click gives them
) -> None:
    """Read Kafka topics into the store, until SIGTERM.

    Run again, it goes on where it was. Meanwhile it answers questions over HTTP.
    """
    settings = kafka_settings(config, store, classes, listen=listen, **kafka)
    stopping = Stopping()
    topics = ", ".join(settings.kafka.topics)
    tell_start(settings, "labelwatch run", f"{topics} at {settings.kafka.bootstrap_servers}")
    source = topic_source(settings, until_end=until_end, skip_lost=skip_lost)
    with contextlib.closing(source):
        if not Path(settings.store).exists():
            # A first run that cannot begin leaves no empty store behind.
            source.check()
        totals = feed(
            settings,
            source,
            "labelwatch run",
            is_stopping=stopping,
            keep_going=keep_going,
            publishers=topic_publishers(settings),
            has_server=True,
        )
    if strict and totals.rejected:
        sys.exit(1)


COMMANDS: tuple[click.Command, ...] = (run,)
