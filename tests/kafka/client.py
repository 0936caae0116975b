"""What tests do with a broker: topics, records, transactions."""

from __future__ import annotations

import contextlib
import itertools
import os

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import (
    ACL,
    ACLOperation,
    ACLPermissionType,
    ConfigResource,
    ConfigResourceType,
    NewTopic,
    OffsetSpec,
    ResourcePattern,
    ResourceType,
)
from kafka.errors import KafkaError

from tests.waiting import wait_for

ONE_BATCH_MS = 60_000
_numbers = itertools.count()


class Client:
    """A broker somewhere, under `servers`."""

    is_ours = False

    def __init__(self, servers):
        self.servers = servers
        self._admin = None

    def stop(self):
        """Let go of the connection."""
        self.forget()

    def forget(self):
        """Let go of the admin connection; a new one is made when it is needed."""
        if self._admin:
            self._admin.close()
        self._admin = None

    @property
    def admin(self):
        """The admin client."""
        if self._admin is None:
            self._admin = KafkaAdminClient(bootstrap_servers=self.servers)
        return self._admin

    def create(self, name=None, *, partitions=1, **configs):
        """A new topic, its name made up where none is given."""
        name = name or f"t{os.getpid()}-{next(_numbers)}"
        configs = {key.replace("_", "."): str(value) for key, value in configs.items()}
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=1, topic_configs=configs
        )
        self.admin.create_topics([topic])
        wait_for(lambda: self._is_led(name, partitions))
        return name

    def delete(self, name):
        """Delete a topic. Nobody sees it any more."""
        self.admin.delete_topics([name])
        wait_for(lambda: name not in self.admin.list_topics())

    def widen(self, name, partitions):
        """Give a topic more partitions."""
        self.admin.create_partitions({name: partitions})
        wait_for(lambda: self._is_led(name, partitions))

    def delete_records(self, name, before, partition=0):
        """Delete the records of a partition that lie before an offset."""
        self.admin.delete_records({TopicPartition(name, partition): before})

    def produce(self, name, records, *, partition=0, **options):
        """Send values, or (key, value) or (key, value, headers); wait for the broker to have them.

        What is smaller than a batch may be is one batch, so a reader gets it as a whole.
        """
        with self.producer(**{"linger_ms": ONE_BATCH_MS} | options) as producer:
            send(producer, name, records, partition)

    def producer(self, **options):
        """A producer; whoever asks closes it."""
        defaults = {"linger_ms": 5, "batch_size": 100_000, "max_request_size": 32 << 20}
        return KafkaProducer(bootstrap_servers=self.servers, **defaults | options)

    def end(self, name, partition=0):
        """The end offset of a partition."""
        place = TopicPartition(name, partition)
        consumer = KafkaConsumer(bootstrap_servers=self.servers)
        try:
            return consumer.end_offsets([place])[place]
        finally:
            consumer.close(autocommit=False)

    def read(self, name):
        """All records of a topic, partition after partition."""
        consumer = KafkaConsumer(bootstrap_servers=self.servers)
        try:
            places = [TopicPartition(name, n) for n in sorted(consumer.partitions_for_topic(name))]
            consumer.assign(places)
            consumer.seek_to_beginning(*places)
            ends, found = consumer.end_offsets(places), {place: [] for place in places}
            while any(consumer.position(place) < end for place, end in ends.items()):
                for place, records in consumer.poll(500).items():
                    found[place] += records
            return [record for place in places for record in found[place]]
        finally:
            consumer.close(autocommit=False)

    def allow(self, name, size):
        """Let a topic take messages of this size."""
        config = ConfigResource(ConfigResourceType.TOPIC, name, {"max.message.bytes": str(size)})
        self.admin.alter_configs([config])
        wait_for(lambda: self._size_max(name) == size)
        # Told of in the order of changes: who knows this topic goes by the new size.
        self.create()

    def deny(self, user, resource, operation):
        """Take a right from a user: resource and operation are e.g. ("TOPIC", name) and "READ"."""
        self._add_rule(_rule(user, resource, operation, ACLPermissionType.DENY))

    def allow_again(self, user, resource, operation):
        """Give back what was denied."""
        rule = _rule(user, resource, operation, ACLPermissionType.DENY)
        self.admin.delete_acls([rule])
        wait_for(lambda: not self._has_rule(rule))

    def permit(self, user, resource, operation):
        """Give a right to a user. A resource with any rule is open to nobody else."""
        self._add_rule(_rule(user, resource, operation, ACLPermissionType.ALLOW))

    def committed(self, group):
        """The offsets a group has committed."""
        return {
            (place.topic, place.partition): each.offset
            for place, each in self.admin.list_group_offsets(group)[group].items()
        }

    # What the controller has decided the broker hears of a little later, and clients of the broker.

    def _is_led(self, name, partitions):
        places = [TopicPartition(name, number) for number in range(partitions)]
        with contextlib.suppress(KafkaError):
            self.admin.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
            return True
        return False

    def _size_max(self, name):
        asked = ConfigResource(ConfigResourceType.TOPIC, name)
        found = self.admin.describe_configs([asked])["topic"][name]
        return int(found["max.message.bytes"]["value"])

    def _add_rule(self, rule):
        self.admin.create_acls([rule])
        wait_for(lambda: self._has_rule(rule))

    def _has_rule(self, rule):
        found, _ = self.admin.describe_acls(rule)
        return bool(found)


def _rule(user, resource, operation, permission):
    kind, name = resource
    pattern = ResourcePattern(ResourceType[kind], name)
    return ACL(f"User:{user}", "*", ACLOperation[operation], permission, pattern)


def send(producer, name, records, partition=0):
    """Send values, or (key, value) or (key, value, headers), and wait until the broker has them."""
    sent = []
    for record in records:
        key, value, *headers = record if isinstance(record, tuple) else (None, record)
        sent.append(
            producer.send(
                name, value, key=key, partition=partition, headers=headers[0] if headers else None
            )
        )
    producer.flush()
    for each in sent:
        each.get(60)
