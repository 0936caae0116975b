"""The settings of confluent-kafka, from ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.kafka.clients.protocol import CONNECT_S
from consumers.kafka.probe import addresses

if TYPE_CHECKING:
    from consumers.config import KafkaSettings

Value = str | int | bool

MESSAGE_BYTES_MAX = 1 << 30
QUEUE_KB_MAX = 32 << 10


def common(settings: KafkaSettings) -> dict[str, Value]:
    """How to reach the brokers."""
    found: dict[str, Value | None] = {
        "bootstrap.servers": ",".join(
            f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            for host, port in addresses(settings.bootstrap_servers)
        ),
        "client.id": "labelwatch",
        "security.protocol": settings.security_protocol.lower(),
        "ssl.ca.location": settings.ssl_cafile,
        "ssl.certificate.location": settings.ssl_certfile,
        "ssl.key.location": settings.ssl_keyfile or settings.ssl_certfile,
        "ssl.key.password": settings.ssl_password,
        "ssl.endpoint.identification.algorithm": "https"
        if settings.ssl_check_hostname
        else "none",
        "allow.auto.create.topics": False,
        "receive.message.max.bytes": MESSAGE_BYTES_MAX,
        "reconnect.backoff.max.ms": 2_000,
        "socket.connection.setup.timeout.ms": round(CONNECT_S * 1_000),
        # The broker may ask clients for figures of theirs: ours are nobody's business.
        "enable.metrics.push": False,
    }
    if settings.security_protocol.startswith("SASL"):
        found |= {
            "sasl.mechanism": settings.sasl_mechanism,
            "sasl.username": settings.sasl_username or "",
            "sasl.password": settings.sasl_password or "",
        }
    return {name: value for name, value in found.items() if value is not None}


def reading(settings: KafkaSettings, group_id: str | None) -> dict[str, Value]:
    """How to read: from positions that are ours, a bounded part of the topics ahead."""
    return {
        # There is no reading without a group; nothing is ever told under this one.
        "group.id": group_id or "labelwatch",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "check.crcs": True,
        # The end of a partition tells of offsets that no record has: markers of transactions.
        "enable.partition.eof": True,
        "topic.metadata.refresh.interval.ms": max(10, round(settings.refresh_s * 1_000)),
        "queued.max.messages.kbytes": QUEUE_KB_MAX,
        # Where the queue is full the client would look again only after a second.
        "fetch.queue.backoff.ms": 20,
    }
