"""Findings and dead letters as messages of output topics. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.ports import Message

if TYPE_CHECKING:
    from consumers.store.letters import Letter

VALUE_BYTES_MAX = 900_000
"""Bytes of a letter's value that are sent: with its headers they fit into a broker's usual limit, 1 MiB."""


def finding_message(row: dict[str, Any]) -> Message:
    """A row of the view `findings`, as JSON under its example's id."""
    columns = {name: value for name, value in row.items() if name != "annotation"}
    columns["found_at"] = columns["found_at"].replace(tzinfo=dt.UTC)
    key = row["example_id"]
    return Message(
        None if key is None else key.encode(),
        msgspec.json.encode(columns),
        [("labelwatch.finding_id", row["finding_id"].encode())],
    )


def letter_message(letter: Letter) -> Message:
    """The bytes of a rejected record, under its own key; where it came from and why, in headers."""
    said: dict[str, object] = {
        "topic": letter.topic,
        "partition": letter.number,
        "offset": letter.position,
        "reason": letter.reason,
        "error": letter.error,
        "first_seen_at": f"{letter.first_seen_at.isoformat()}Z",
    }
    if letter.time_us >= 0:
        said["timestamp_ms"] = letter.time_us // 1_000
    value = letter.value
    if value is not None and (len(value) > VALUE_BYTES_MAX or letter.size != len(value)):
        digest = letter.sha256 if letter.size != len(value) else hashlib.sha256(value).hexdigest()
        said |= {"value_size": letter.size, "value_sha256": digest or ""}
        value = value[:VALUE_BYTES_MAX]
    if value is None and letter.key is None:
        # Kafka takes no record without both; what is missing says the error.
        value = b""
    headers = [(f"labelwatch.{name}", str(each).encode()) for name, each in said.items()]
    return Message(letter.key, value, headers)
