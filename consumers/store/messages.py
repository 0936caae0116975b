"""Findings, dead letters and what to label next as messages of output topics. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec

from consumers.ports import Message

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def next_messages(rows: Sequence[dict[str, Any]], txn_id: int) -> list[Message]:
    """The first rows of the view `next_labels`, as JSON under their examples' ids."""
    return [_next_message(rank, len(rows), row, txn_id) for rank, row in enumerate(rows, 1)]


def _next_message(rank: int, count: int, row: dict[str, Any], txn_id: int) -> Message:
    key = row["example_id"].encode()
    request_id = hashlib.sha256(b"%d %s" % (txn_id, key)).hexdigest()[:32]
    said = {"request_id": request_id, "rank": rank, "count": count, **row, "txn_id": txn_id}
    headers = [("labelwatch.request_id", request_id.encode())]
    return Message(key, msgspec.json.encode(said), headers)


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
