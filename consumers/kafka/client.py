"""A consumer from settings: ours to place, never to move by itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer

from consumers.kafka.probe import addresses, tls_context

if TYPE_CHECKING:
    from consumers.config import KafkaSettings

CONNECT_MS = 10_000
MESSAGE_BYTES_MAX = 1 << 30
POLL_RECORDS_MAX = 5_000

# The client logs each attempt to reach a broker; we say once what is wrong. Whoever configures
# logging still hears it.
logging.getLogger("kafka").addHandler(logging.NullHandler())


def connect(settings: KafkaSettings, group_id: str | None) -> Any:  # noqa: ANN401 - untyped library
    """A consumer that knows its brokers. Raises: KafkaError."""
    servers = [f"{host}:{port}" for host, port in addresses(settings.bootstrap_servers)]
    login = {}
    if settings.security_protocol.startswith("SASL"):
        login = {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    return KafkaConsumer(
        bootstrap_servers=servers,
        client_id="labelwatch",
        group_id=group_id,
        security_protocol=settings.security_protocol,
        ssl_context=tls_context(settings),
        **login,
        # Positions are ours: the client neither stores nor invents any. Anything but earliest and
        # latest makes an offset out of range an error.
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        bootstrap_timeout_ms=CONNECT_MS,
        metadata_max_age_ms=max(1, round(settings.refresh_s * 1_000)),
        max_poll_records=POLL_RECORDS_MAX,
        max_partition_fetch_bytes=4 << 20,
        receive_message_max_bytes=MESSAGE_BYTES_MAX,
        reconnect_backoff_max_ms=2_000,
        metrics_enabled=False,
    )
