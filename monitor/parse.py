"""Bytes become a JSON object, or a Refusal that says what is wrong with them.

The text of a refusal is for the person who wrote the sender: one line that names the field, shows
the value and says what to do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from reprlib import Repr
from typing import TYPE_CHECKING

import msgspec

from monitor.events import Reason

if TYPE_CHECKING:
    JsonObject = dict[str, object]

SHOWN_MAX = 80
"""Characters of a value that an error text shows."""

UNREADABLE = (ValueError, TypeError, RecursionError, OverflowError)
"""What msgspec and json raise for input they cannot read; msgspec.DecodeError is a ValueError."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SCHEMA_REGISTRY_HEADER = 5
_WIDE = "UTF-16 or UTF-32 text; send UTF-8"
_COMPRESSED = "compressed data; send plain JSON and let Kafka compress it (compression.type)"
_ENCODINGS = (
    (b"\xff\xfe", _WIDE),
    (b"\xfe\xff", _WIDE),
    (b"\0\0\0{", _WIDE),
    (b"\0{", _WIDE),
    (b"{\0", _WIDE),
    (b"\x1f\x8b", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (b"Obj\x01", "an Avro file; send one JSON object per record"),
    (b"PAR1", "a Parquet file; send one JSON object per record"),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a record cannot be used; with its position it becomes a Rejection."""

    reason: Reason
    error: str


NESTING_MAX = 64
"""Levels of nesting in metadata: what is stored must be writable as JSON again, from anywhere."""

TOO_DEEP = Refusal(
    Reason.MALFORMED_JSON,
    f"value: is nested too deeply; at most {NESTING_MAX} levels, or send it as text",
)


def shown(value: object) -> str:
    r"""A value on one line of at most 80 characters, safe to print and to store.

    >>> shown(["a", None]), shown("two" + chr(10) + "lines"), len(shown("x" * 100))
    ("['a', None]", '"two\\nlines"', 80)
    """
    if isinstance(value, str):
        return _shortened(json.dumps(value[:SHOWN_MAX], ensure_ascii=False))
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    return _shortened(_containers.repr(value))


def _shortened(text: str) -> str:
    text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: SHOWN_MAX + 1])
    return text if len(text) <= SHOWN_MAX else text[: SHOWN_MAX - 1] + "…"


# Nesting and length are cut before the text is made: a value may be megabytes.
_containers = Repr()
_containers.maxlevel = 3
_containers.maxstring = _containers.maxlong = SHOWN_MAX


def parse_object(value: bytes) -> JsonObject | Refusal:
    """The JSON object of a record. Of a key given twice the last one counts, on every way."""
    try:
        parsed: object = msgspec.json.decode(value.removeprefix(_BYTE_ORDER_MARK))
    except UNREADABLE as error:
        return _encoding_of(value) or Refusal(Reason.MALFORMED_JSON, _fault(value, error))
    if isinstance(parsed, dict):
        return parsed
    return Refusal(Reason.NOT_AN_OBJECT, _not_an_object(parsed))


def parse_leniently(value: bytes) -> JsonObject:
    """What a JSON parser that knows NaN and Infinity reads; empty where it reads no object.

    Only for saying which field is at fault: such a record is never accepted.
    """
    try:
        parsed = json.loads(value.decode("utf-8-sig"), parse_int=_to_number)
    except UNREADABLE:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _to_number(digits: str) -> int | float:
    # Python refuses to make an int of thousands of digits; infinity says as much about it.
    return int(digits) if len(digits) < SHOWN_MAX else float(digits)


def _encoding_of(value: bytes) -> Refusal | None:
    """The refusal of a value that is recognisably something else than UTF-8 text."""
    name = next((name for magic, name in _ENCODINGS if value.startswith(magic)), None)
    if name is None and value.startswith(b"\0"):
        name = "schema-registry Avro/Protobuf; send plain JSON"
        if value[_SCHEMA_REGISTRY_HEADER:].lstrip().startswith(b"{"):
            name = "schema-registry JSON (5 bytes, then the object); use a plain JSON serializer"
    return Refusal(Reason.UNSUPPORTED_ENCODING, f"value: looks like {name}") if name else None


def _fault(value: bytes, error: Exception) -> str:
    if not value.strip():
        return "value: is empty; send a JSON object"
    if isinstance(error, UnicodeDecodeError):
        return f"value: byte {_invalid_byte(value)} is not UTF-8; send UTF-8 text"
    if isinstance(error, RecursionError):
        return TOO_DEEP.error
    if parse_leniently(value):
        return _readable_fault(error)
    detail = _shortened(str(error).removeprefix("JSON is malformed: "))
    text = _shortened(value[: 4 * SHOWN_MAX].decode(errors="replace"))
    return f"value: is not JSON ({detail}); send one JSON object per record: {text}"


def _readable_fault(error: Exception) -> str:
    """The fault of what a lenient parser can read."""
    if "surrogate" in str(error) or "truncated" in str(error):
        return "value: holds half a surrogate pair (\\ud800 to \\udfff); escape both halves"
    if "out of range" in str(error):
        return "value: holds a number too large for any field; send it as text or leave it out"
    return "value: NaN and Infinity are not JSON; send null or leave the field out"


def _invalid_byte(value: bytes) -> int:
    try:
        value.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0  # pragma: no cover - msgspec and Python agree on what is UTF-8


def _not_an_object(parsed: object) -> str:
    if parsed is None:
        return "value: is the text null; a tombstone is a record without a value"
    if isinstance(parsed, list):
        return f"value: is a list; send each object as its own record: {shown(parsed)}"
    if isinstance(parsed, str) and parsed.startswith("{"):
        return f"value: is JSON inside a JSON string; send the object itself: {shown(parsed)}"
    return f"value: is not a JSON object: {shown(parsed)}"
