"""The clients that read Kafka, behind one protocol.

protocol.py             what a source asks of a client
python.py               kafka-python, the default
python_settings.py      its settings, from ours
python_faults.py        its exceptions, as faults
confluent.py            confluent-kafka, an extra: several times cheaper a record
confluent_columns.py    its messages, as columns
confluent_faults.py     its errors, as faults
confluent_settings.py   its settings, from ours
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.errors import UsageError

if TYPE_CHECKING:
    from consumers.kafka.clients.protocol import Connect


def connector(name: str) -> Connect:
    """What connects the client that the setting `source` names. Raises: UsageError."""
    if name == "kafka":
        from consumers.kafka.clients import python  # noqa: PLC0415 - whoever uses it pays for it

        return python.PythonClient
    try:
        from consumers.kafka.clients import confluent  # noqa: PLC0415 - it may not be installed
    except ImportError as error:
        raise UsageError(
            f'source = "{name}" needs the package confluent-kafka ({error}); '
            "install it from a clone of labelwatch: pip install '.[confluent]'"
        ) from error
    return confluent.ConfluentClient
