"""What commands that read Kafka have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from consumers.cli.feeding import class_names, listening
from consumers.config import read_settings
from consumers.ports import Stream

if TYPE_CHECKING:
    from consumers.config import KafkaSettings, Settings
    from consumers.kafka import KafkaSource
    from consumers.ports import Publisher

servers_option = click.option(
    "--bootstrap-servers", metavar="HOST:PORT,…", help="Brokers; localhost:9092 by default."
)
topic_option = click.option("--topic", "topics", multiple=True, help="A topic to read; repeat it.")
start_option = click.option(
    "--start",
    metavar="stored|earliest|latest",
    help="Where partitions without a stored offset begin.",
)


def kafka_settings(
    config: str | None,
    store: str | None,
    classes: str | None,
    *,
    listen: str | None = None,
    **kafka: Any,  # noqa: ANN401 - as click gives them
) -> Settings:
    """Settings where flags also fill the table [kafka]. Raises: UsageError."""
    flags = {name: list(v) if isinstance(v, tuple) else v for name, v in kafka.items()}
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    return read_settings(
        config,
        {
            "store": store,
            "classes": class_names(classes),
            "kafka": given,
            "http": listening(listen),
        },
    )


def topic_source(settings: Settings, *, until_end: bool, skip_lost: bool = False) -> KafkaSource:
    """The configured topics. Raises: UsageError."""
    # The client takes a third of a second to import, which no other command should pay.
    from consumers.kafka import KafkaSource, connector  # noqa: PLC0415 - as above

    connect = connector(settings.source)
    return KafkaSource(settings.kafka, connect, until_end=until_end, skip_lost=skip_lost)


def topic_publishers(settings: Settings) -> dict[Stream, Publisher]:
    """The output topics that are configured."""
    kafka = settings.kafka
    topics = {
        Stream.FINDINGS: kafka.findings_topic,
        Stream.DEAD_LETTERS: kafka.dead_letters_topic,
        Stream.NEXT_LABELS: kafka.next_labels_topic,
    }
    return {
        stream: _publisher(kafka, topic, stream)
        for stream, topic in topics.items()
        if topic is not None
    }


def _publisher(settings: KafkaSettings, topic: str, stream: Stream) -> Publisher:
    from consumers.kafka.publisher import KafkaPublisher  # noqa: PLC0415 - as above

    return KafkaPublisher(settings, topic, f"kafka.{stream}_topic")
