"""Our settings, as kafka-python calls them: what its clients have in common."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from consumers.kafka.clients.protocol import CONNECT_S
from consumers.kafka.probe import addresses, tls_context

if TYPE_CHECKING:
    from consumers.config import KafkaSettings

# The client logs each attempt to reach a broker; we say once what is wrong. Whoever configures
# logging still hears it.
logging.getLogger("kafka").addHandler(logging.NullHandler())


def common(settings: KafkaSettings) -> dict[str, Any]:
    """What a consumer and a producer have in common. Raises: UsageError."""
    return connection(settings) | {"allow_auto_create_topics": False, "metrics_enabled": False}


def connection(settings: KafkaSettings) -> dict[str, Any]:
    """Where the brokers are, and how to speak to them. Raises: UsageError."""
    login = {}
    if settings.security_protocol.startswith("SASL"):
        login = {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password,
        }
    servers = [f"{host}:{port}" for host, port in addresses(settings.bootstrap_servers)]
    return login | {
        "bootstrap_servers": servers,
        "client_id": "labelwatch",
        "security_protocol": settings.security_protocol,
        "ssl_context": tls_context(settings),
        "bootstrap_timeout_ms": CONNECT_S * 1_000,
        "reconnect_backoff_max_ms": 2_000,
    }
