"""Kafka topics as one source of records. The only package that imports a Kafka client.

source.py      topics and partitions behind the Source protocol
client.py      a consumer from settings
probe.py       why a broker does not answer, in words
layout.py      which partitions there are, and where each begins and ends
starting.py    where reading goes on, or why it cannot
ends.py        where a run stops that is to end
faults.py      what an exception out of poll() means
presence.py    whether anybody is there
records.py     the client's records → columns
committer.py   offsets for lag tools
publisher.py   an output topic
survey.py      what is there, for `labelwatch doctor`
watchdog.py    ends a process whose client never returns
"""

from consumers.kafka.publisher import KafkaPublisher
from consumers.kafka.source import KafkaSource

__all__ = ["KafkaPublisher", "KafkaSource"]
