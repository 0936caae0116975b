"""`labelwatch demo`: handwritten digits with planted label errors, through the real loop."""

from __future__ import annotations

import contextlib
import tempfile
from functools import partial
from pathlib import Path

import click

from consumers import logs
from consumers.cli.demo_display import LiveDisplay, QuietDisplay, report
from consumers.cli.feeding import feed, listen_option, listening
from consumers.cli.output import tell
from consumers.config import Settings, read_settings
from consumers.demo.pace import Pace
from consumers.demo.source import DemoSource
from consumers.demo.story import tell_story
from consumers.errors import UsageError
from consumers.stopping import Stopping
from consumers.store.read import Reader


@click.command()
@click.option("--once", is_flag=True, help="Run at full speed, print what was found, and end.")
@listen_option
@click.option("--store", metavar="PATH", help="Keep the database here; thrown away by default.")
@click.option(
    "--rate",
    type=click.IntRange(min=1),
    help="Records a second; 5 at first and then 15 by default.",
)
@click.option(
    "--to-kafka",
    metavar="HOST:PORT",
    help="Send it to a topic instead, round after round until SIGTERM.",
)
@click.option("--topic", help="That topic; it is created where it is missing.")
def demo(
    *,
    once: bool,
    listen: str | None,
    store: str | None,
    rate: int | None,
    to_kafka: str | None,
    topic: str | None,
) -> None:
    """Handwritten digits with planted label errors: what is found, and how much of it is right.

    It needs no Kafka, takes a few minutes, and answers questions until Ctrl-C.
    """
    if (to_kafka is None) != (topic is None):
        raise UsageError("demo: --to-kafka HOST:PORT and --topic T go together")
    if to_kafka and (once or store or listen):
        raise UsageError("demo: --to-kafka only sends; leave out --once, --store and --listen")
    if once and (listen or rate):
        raise UsageError("demo: --once does not wait; leave out --listen and --rate")
    if to_kafka and topic:
        _send(to_kafka, topic, rate)
    else:
        _watch(once=once, listen=listen, store=store, rate=rate)


def _watch(*, once: bool, listen: str | None, store: str | None, rate: int | None) -> None:
    stopping = Stopping()
    # Settings that shape the store, or name one, are those of other data.
    given = read_settings(None, {"http": listening(listen)})
    logs.set_up(given.log_format, given.log_level)
    with contextlib.ExitStack() as stack:
        if store is None:
            folder = tempfile.TemporaryDirectory(prefix="labelwatch-demo-")
            store = f"{stack.enter_context(folder)}/demo.duckdb"
        settings = Settings(store=store, http=given.http, metrics=given.metrics)
        source = DemoSource(tell_story, None if once else partial(Pace, rate))
        feed(
            settings,
            source,
            "labelwatch demo",
            is_stopping=stopping,
            keep_going=True,
            has_server=not once,
            display=QuietDisplay if once else partial(LiveDisplay, source),
        )
        with Reader(Path(store)) as reader:
            report(reader, source.story.truth)


def _send(servers: str, topic: str, rate: int | None) -> None:
    # The client takes a third of a second to import, which no other command should pay.
    from consumers.demo.sending import messages, send_on  # noqa: PLC0415 - as above
    from consumers.kafka.creating import create_topic  # noqa: PLC0415 - as above
    from consumers.kafka.publisher import KafkaPublisher  # noqa: PLC0415 - as above

    stopping = Stopping()
    settings = read_settings(None, {"kafka": {"bootstrap_servers": servers}})
    logs.set_up(settings.log_format, settings.log_level)
    create_topic(settings.kafka, topic, stopping)
    with contextlib.closing(KafkaPublisher(settings.kafka, topic, "--topic")) as publisher:
        if not stopping():
            publisher.open()
            tell(f"sending handwritten digits to topic {topic} at {servers}, until Ctrl-C")
        sent = send_on(messages(), publisher, Pace(rate), stopping)
    tell(f"{sent:,} records sent to topic {topic}")


COMMANDS: tuple[click.Command, ...] = (demo,)
