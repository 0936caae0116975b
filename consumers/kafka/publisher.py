"""An output topic. The producer sends on a thread of its own; what it could not deliver is sent again."""

from __future__ import annotations

import contextlib
import logging
import time
from typing import TYPE_CHECKING, Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from consumers.errors import SourceError
from consumers.kafka.clients.python_settings import common
from consumers.kafka.probe import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.config import KafkaSettings
    from consumers.ports import Message

TOPIC_MS = 5_000
BLOCK_MS = 250
CLOSE_S = 1.0
STUCK_S = 60.0
RETRY_S = 10.0
REQUEST_BYTES_MAX = 32 << 20
_NEVER_MS = 2**31 - 1

log = logging.getLogger(__name__)


class KafkaPublisher:
    """One topic as a Publisher. `setting` is where its name comes from."""

    def __init__(self, settings: KafkaSettings, topic: str, setting: str) -> None:
        self._settings = settings
        self._topic, self._setting = topic, setting
        self._producer: Any = None
        self._page: Sequence[Message] = ()
        self._answers: list[Any] = []
        self._sent_at = self._retry_at = 0.0
        self._has_failed = False

    def open(self) -> None:
        """Connect where the broker is there. Raises: SourceError where the topic is missing."""
        # What else may be wrong, the source has met too, and has said it.
        with contextlib.suppress(KafkaError):
            self._connect(TOPIC_MS)

    def send(self, messages: Sequence[Message]) -> None:
        """Send a page of messages. Called when `is_done`."""
        self._page = messages
        if self._producer is not None:
            self._send()

    def is_done(self) -> bool:
        """Whether the whole page was acknowledged, or there is none."""
        if not self._page:
            return True
        if self._producer is None:
            self._try_again()
        elif failed := next((each for each in self._answers if each.failed()), None):
            self._fail(failed.exception)
        elif all(each.is_done for each in self._answers):
            self._succeed()
        elif time.monotonic() - self._sent_at > STUCK_S:
            self._fail(KafkaTimeoutError(f"nothing was acknowledged for {STUCK_S:g} s"))
        return not self._page

    def close(self) -> None:
        """Release the sockets; what was not acknowledged is given up. May be called twice."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # By itself close() would first wait for what is unsent, and then leave its thread running.
            producer._sender.force_close()  # noqa: SLF001 - nothing public gives up what is unsent
            with contextlib.suppress(KafkaError):
                producer.close(timeout=CLOSE_S)

    def _connect(self, topic_ms: int) -> None:
        """A producer that has heard of the topic within this time. Raises: KafkaError, SourceError."""
        if fault := probe(self._settings):
            raise KafkaTimeoutError(fault.text)
        self._producer = _producer(self._settings, topic_ms)
        try:
            self._producer.partitions_for(self._topic)
        except KafkaTimeoutError as error:
            self.close()
            raise missing(self._topic, self._setting) from error
        self._producer.config["max_block_ms"] = BLOCK_MS

    def _send(self) -> None:
        self._sent_at = time.monotonic()
        try:
            self._answers = [
                self._producer.send(self._topic, each.value, each.key, each.headers)
                for each in self._page
            ]
        except KafkaError as error:
            self._fail(error)

    def _try_again(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            self._connect(BLOCK_MS)
        except (KafkaError, SourceError) as error:
            self._fail(error)
        else:
            self._send()

    def _fail(self, error: Exception) -> None:
        """Throw the producer away, so that nothing of the page overtakes what is sent again."""
        self.close()
        self._answers = []
        self._retry_at = time.monotonic() + RETRY_S
        if not self._has_failed:
            self._has_failed = True
            log.warning(
                "topic %s takes nothing now: %s; what is to be published waits",
                self._topic,
                error,
            )

    def _succeed(self) -> None:
        self._page, self._answers = (), []
        if self._has_failed:
            self._has_failed = False
            log.warning("topic %s is written to again", self._topic)


def missing(topic: str, setting: str) -> SourceError:
    """An output topic that is not there; `setting` names it."""
    return SourceError(
        f"topic {topic} does not exist, but {setting} names it; create it, or leave the setting out"
    )


def _producer(settings: KafkaSettings, block_ms: int) -> Any:  # noqa: ANN401 - untyped library
    return KafkaProducer(
        **common(settings),
        acks="all",
        enable_idempotence=True,
        # An expired batch would let later ones overtake it. What hangs is thrown away as a whole.
        delivery_timeout_ms=_NEVER_MS,
        max_block_ms=block_ms,
        max_request_size=REQUEST_BYTES_MAX,
        batch_size=1 << 18,
        linger_ms=5,
    )
