"""A topic of our own, created where it is missing and that is allowed."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka.errors import (
    AuthorizationError,
    InvalidTopicError,
    KafkaError,
    KafkaTimeoutError,
    PolicyViolationError,
    SaslAuthenticationFailedError,
    TopicAlreadyExistsError,
)

from consumers.errors import SourceError
from consumers.kafka.clients.python_settings import common
from consumers.kafka.faults import refused
from consumers.kafka.probe import probe

if TYPE_CHECKING:
    from collections.abc import Callable

    from consumers.config import KafkaSettings

RETRY_S = 1.0
_LOOK_S = 0.1

log = logging.getLogger(__name__)


def create_topic(settings: KafkaSettings, topic: str, is_stopping: Callable[[], bool]) -> None:
    """Wait for a broker, and create the topic there unless it has it.

    Raises: SourceError where waiting does not help.
    """
    has_told = False
    while not is_stopping():
        why = _why_not(settings, topic)
        if why is None:
            return
        if not has_told:
            has_told = True
            log.warning("waiting for a broker: %s", why)
        deadline = time.monotonic() + RETRY_S
        while time.monotonic() < deadline and not is_stopping():
            time.sleep(_LOOK_S)


def _why_not(settings: KafkaSettings, topic: str) -> str | None:
    """Why the topic could not be created yet; None where it was, or nothing is left to be done."""
    if fault := probe(settings):
        if not fault.is_away:
            raise SourceError(fault.text)
        return fault.text
    try:
        _ask_for(settings, topic)
    except KafkaTimeoutError as error:
        # A broker that refuses a login often hangs up before the client has read why.
        if settings.security_protocol.startswith("SASL"):
            raise refused(settings) from error
        return repr(error)
    except (KafkaError, OSError) as error:
        return repr(error)
    return None


def _ask_for(settings: KafkaSettings, topic: str) -> None:
    """Ask for the topic. Raises: KafkaError, and SourceError for what the broker will never do."""
    try:
        _create(settings, topic)
    except SaslAuthenticationFailedError as error:
        raise refused(settings) from error
    except InvalidTopicError as error:
        raise SourceError(
            f"topic {topic!r}: no topic can have this name; use letters, digits, dots, - and _"
        ) from error
    except TopicAlreadyExistsError:
        return


def _create(settings: KafkaSettings, topic: str) -> None:
    known = {
        name: value
        for name, value in common(settings).items()
        if name in KafkaAdminClient.DEFAULT_CONFIG
    }
    with contextlib.closing(KafkaAdminClient(**known)) as admin:
        try:
            # The numbers of partitions and replicas are the broker's defaults.
            admin.create_topics([topic])
        except (AuthorizationError, PolicyViolationError) as error:
            # Whoever may not create it may find it there all the same, and write to it.
            if topic not in admin.list_topics():
                raise SourceError(
                    f"topic {topic} does not exist, or may not be seen, and may not be created: create it "
                    "for this user, or ask for the right to"
                ) from error
