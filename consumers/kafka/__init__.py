"""Kafka topics as one source of records. The only package that imports a Kafka client.

source.py      topics and partitions behind the Source protocol
clients/       the clients behind a protocol of their own
faults.py      what may go wrong in a client, whichever it is
probe.py       why a broker does not answer, in words
layout.py      which partitions there are, and where each begins and ends
starting.py    where reading goes on, or why it cannot
ends.py        positions that move on, and where a run is to stop
presence.py    whether anybody is there
records.py     records that stand for what cannot be read
committer.py   offsets for lag tools
publisher.py   an output topic
creating.py    a topic of our own
survey.py      what is there, for `labelwatch doctor`
outputs.py     what output topics are like, for the same
watchdog.py    ends a process whose client never returns
"""

from consumers.kafka.clients import connector
from consumers.kafka.source import KafkaSource

__all__ = ["KafkaSource", "connector"]
