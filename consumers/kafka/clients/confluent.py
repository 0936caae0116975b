"""confluent-kafka behind the protocol. Its C library fetches ahead in threads of its own, up to a bound."""

from __future__ import annotations

import base64
import logging
import time
from concurrent.futures import wait
from typing import TYPE_CHECKING, Any

from confluent_kafka import (
    Consumer,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, OffsetSpec

from consumers.errors import LabelwatchError
from consumers.kafka import faults
from consumers.kafka.clients.confluent_columns import Columns, after
from consumers.kafka.clients.confluent_faults import fault, translated
from consumers.kafka.clients.confluent_settings import common, reading
from consumers.kafka.clients.protocol import CLOSE_S, CONNECT_S, LOOKUP_S, Taken, Topic
from monitor.events import Partition

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from concurrent.futures import Future

    from confluent_kafka import Uuid

    from consumers.config import KafkaSettings

CONSUME_MAX = 5_000
_SLICE_S = 0.1

# The source looks at the topics now and then anyway, and tells a missing one from a new one.
_NO_TOPIC = frozenset({"UNKNOWN_TOPIC_OR_PART", "_UNKNOWN_TOPIC", "_UNKNOWN_PARTITION"})

# What librdkafka says of each attempt to reach a broker goes to stderr otherwise.
log = logging.getLogger("confluent_kafka")
log.addHandler(logging.NullHandler())


class ConfluentClient:
    """A Consumer that is placed by hand, beside an AdminClient that knows topics.

    Raises: ClientFault, SourceError.
    """

    def __init__(self, settings: KafkaSettings, group_id: str | None) -> None:
        self._settings = settings
        self._fault: Exception | None = None
        self._answered: Callable[[object], None] = _ignore
        self._columns = Columns(())
        self._places: Sequence[Partition] = ()
        shared: dict[str, Any] = common(settings) | {"error_cb": self._hear, "logger": log}
        with translated(settings):
            self._admin: AdminClient | None = AdminClient(shared)
            self._consumer = Consumer(
                shared | reading(settings, group_id) | {"on_commit": self._committed}
            )
        try:
            self._describe(settings.topics)
        except Exception:
            self.close()
            raise

    def topics(self, names: Sequence[str]) -> Mapping[str, Topic]:
        """Those of these topics that exist."""
        return self._describe(names)

    def topic_names(self) -> Sequence[str]:
        """Every topic that may be read."""
        with translated(self._settings):
            names = self._consumer.list_topics(timeout=LOOKUP_S).topics
        return sorted(name for name in names if not name.startswith("__"))

    def extents(self, places: Sequence[Partition]) -> Mapping[Partition, tuple[int, int]]:
        """The first offset of each partition, and the one after the last that may be read."""
        first, end = (
            self._offsets(places, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        )
        return {place: (first[place], end[place]) for place in places}

    def place(self, offsets: Mapping[Partition, int]) -> None:
        """Read these partitions from these offsets on."""
        self._places = tuple(offsets)
        self._columns = Columns(self._places)
        with translated(self._settings):
            self._consumer.assign(_named(offsets))

    def poll(self, records_max: int, bytes_max: int, wait_s: float) -> Taken:
        """What is there; where nothing is, what comes within `wait_s`."""
        if self._fault:
            raise self._fault
        messages: list[Message] = []
        moved: dict[Partition, int] = {}
        with translated(self._settings):
            found = self._consume(records_max, 0, moved)
            if not found and not moved and not self._fault:
                # Asked for many, the client waits until it has them all; asked for one, it does not.
                found = self._consume(1, wait_s, moved)
            while found:
                messages += found
                bytes_max -= sum(map(len, found))
                if self._fault or len(messages) >= records_max or bytes_max <= 0:
                    break
                found = self._consume(records_max - len(messages), 0, moved)
        if self._fault and not messages:
            raise self._fault
        records = self._columns.records(messages)
        for place, offset in after(records).items():
            moved[place] = max(offset, moved.get(place, 0))
        return Taken(records, moved)

    def rest(self, places: Sequence[Partition]) -> None:
        """Read no more of these."""
        with translated(self._settings):
            self._consumer.pause(_named(dict.fromkeys(places, 0)))

    def ends(self) -> Mapping[Partition, int]:
        """The ends of the partitions as the last fetches told."""
        found = {}
        with translated(self._settings):
            for place in self._places:
                at = TopicPartition(place.topic, place.number)
                _, end = self._consumer.get_watermark_offsets(at, cached=True)
                if end >= 0:
                    found[place] = end
        return found

    def commit(self, offsets: Mapping[Partition, int], answered: Callable[[object], None]) -> None:
        """Send the group's offsets."""
        self._answered = answered
        with translated(self._settings):
            self._consumer.commit(offsets=_named(offsets), asynchronous=True)

    def commit_now(self, offsets: Mapping[Partition, int]) -> None:
        """Send the group's offsets and wait for the answer, a few seconds at the most."""
        answers: list[object] = []
        # The client's own way to wait has no limit.
        self.commit(offsets, answers.append)
        deadline = time.monotonic() + CLOSE_S
        with translated(self._settings):
            self._consumer.unassign()
            while not answers and time.monotonic() < deadline:
                self._consumer.poll(_SLICE_S)
            match answers:
                case []:
                    raise faults.Unanswered("the broker did not answer in time")
                case [Exception() as error]:
                    raise error

    def committed(self, places: Sequence[Partition]) -> Mapping[Partition, int]:
        """The group's offsets, of the partitions that have any."""
        with translated(self._settings):
            found = self._consumer.committed(_named(dict.fromkeys(places, 0)), timeout=CLOSE_S)
        return {Partition(at.topic, at.partition): at.offset for at in found if at.offset >= 0}

    def close(self) -> None:
        """Let go of the sockets."""
        self._admin = None
        with translated(self._settings):
            self._consumer.close()

    def _consume(self, count: int, wait_s: float, moved: dict[Partition, int]) -> list[Message]:
        """Messages up to the first fault, which is kept; ends of partitions go to `moved`."""
        found = self._consumer.consume(min(count, CONSUME_MAX), wait_s)
        if not any(map(Message.error, found)):
            return found
        good = []
        for message in found:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.name() == "_PARTITION_EOF":
                # Markers of transactions and what compaction left out lie before it.
                moved[_place(message)] = message.offset() or 0
            elif error.name() not in _NO_TOPIC:
                self._fault = self._fault or self._meaning(message, error)
                break
        return good

    def _meaning(self, message: Message, error: KafkaError) -> Exception:
        if error.name() == "_BAD_MSG":
            return self._damage(_place(message), message.offset() or 0, error.str())
        return fault(error, self._settings)

    def _damage(self, place: Partition, offset: int, text: str) -> Exception:
        """The client says where a damaged batch begins and stays there; kafka-python knows where it ends."""
        from consumers.kafka.clients import python  # noqa: PLC0415 - a third of a second, seldom needed

        try:
            other = python.PythonClient(self._settings, None)
            try:
                other.place({place: offset})
                other.poll(1, 1, LOOKUP_S)
            finally:
                other.close()
        except (faults.ClientFault, LabelwatchError) as found:
            return found
        return faults.ClientFault(text)

    def _describe(self, names: Sequence[str]) -> Mapping[str, Topic]:
        assert self._admin is not None
        asked = TopicCollection(list(dict.fromkeys(names)))
        futures = self._admin.describe_topics(asked, request_timeout=CONNECT_S)
        self._wait(futures.values())
        found = {}
        for name, future in futures.items():
            error = future.exception()
            if error is None:
                topic = future.result()
                numbers = sorted(each.id for each in topic.partitions)
                found[name] = Topic(_hex(topic.topic_id), numbers)
            elif _name(error) == "TOPIC_AUTHORIZATION_FAILED":
                raise faults.not_allowed(f"topic {name}")
            elif _name(error) not in _NO_TOPIC:
                with translated(self._settings):
                    raise error
        return found

    def _offsets(self, places: Sequence[Partition], spec: OffsetSpec) -> Mapping[Partition, int]:
        assert self._admin is not None
        futures = self._admin.list_offsets(
            {TopicPartition(place.topic, place.number): spec for place in places},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=LOOKUP_S,
        )
        self._wait(futures.values())
        with translated(self._settings):
            return {
                Partition(at.topic, at.partition): future.result(0).offset
                for at, future in futures.items()
            }

    def _wait(self, futures: Collection[Future[Any]]) -> None:
        """Until all are answered, or it is clear that none will be. The client limits the time."""
        assert self._admin is not None
        while not all(future.done() for future in futures):
            # Its own way to wait does not end with an answer.
            wait(futures, _SLICE_S)
            self._admin.poll(0)
            if self._fault:
                raise self._fault

    def _hear(self, error: KafkaError) -> None:
        """Of what the client says of itself, only a refused login concerns us: nothing else tells of it."""
        if error.name() == "_AUTHENTICATION":
            self._fault = fault(error, self._settings)

    def _committed(self, error: KafkaError | None, offsets: Sequence[TopicPartition]) -> None:
        error = error or next((each.error for each in offsets if each.error), None)
        self._answered(KafkaException(error) if error else None)


def _named(offsets: Mapping[Partition, int]) -> list[TopicPartition]:
    return [TopicPartition(place.topic, place.number, at) for place, at in offsets.items()]


def _place(message: Message) -> Partition:
    return Partition(message.topic() or "", message.partition() or 0)


def _name(error: BaseException) -> str:
    cause = error.args[0] if error.args else None
    return cause.name() if isinstance(cause, KafkaError) else ""


def _hex(topic_id: Uuid) -> str | None:
    """As kafka-python says it, so that a store may be read with either; an old broker tells none."""
    found = base64.urlsafe_b64decode(f"{topic_id}==")
    return found.hex() if any(found) else None


def _ignore(_: object) -> None:
    """Nobody waits for this answer."""
