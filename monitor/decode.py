"""Records become events, or rejections that say why not.

The ordinary record is in canonical form and goes straight from bytes into an Event, in C. A record
that this refuses goes the slow way: parse to a dict, resolve aliases, mapping and unknown fields,
and convert. What both ways have in common is the type of Event, so they cannot disagree; what C
cannot check is checked once for all, after either way.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal, cast

import msgspec

from monitor import repair
from monitor.events import Event, EventType, LargeValue, Reason, Records, Rejection
from monitor.finish import finish, text_of, unfinished
from monitor.parse import TOO_DEEP, UNREADABLE, Refusal, parse_leniently, parse_object, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from monitor.fields import FieldMapping
    from monitor.parse import JsonObject

    Value = bytes | LargeValue | None

TombstoneKey = Literal["example_id", "annotation_id"]
VALUE_BYTES_MAX = 8 * 2**20

_MILLISECONDS_ABOVE = 1e11
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_YEARS_US = range(-62_135_596_800_000_000, 253_402_300_800_000_000)
"""The years 1 to 9999."""

_typed = msgspec.json.Decoder(Event).decode


class Decoder:
    """Turns the records of a poll into events.

    It keeps nothing between calls, and what becomes of a record does not depend on its neighbours.
    """

    __slots__ = ("_fields", "_is_canonical", "_tombstone_key", "_value_bytes_max")

    def __init__(
        self,
        fields: FieldMapping,
        tombstone_key: TombstoneKey = "example_id",
        value_bytes_max: int = VALUE_BYTES_MAX,
    ) -> None:
        self._fields = fields
        self._is_canonical = fields.is_identity
        self._tombstone_key: TombstoneKey = tombstone_key
        self._value_bytes_max = value_bytes_max

    def decode(self, records: Records) -> tuple[list[Event | None], list[Rejection]]:
        """The event of each record, None where it is rejected, and the rejections in order."""
        events, refusals = self._read(records)
        refusals |= _set_times(events)
        for i in unfinished(events):
            event = events[i]
            if event is not None and (refusal := finish(event, records.keys[i])):
                refusals[i] = refusal
                events[i] = None
        return events, [
            Rejection(i, refusal.reason, refusal.error) for i, refusal in sorted(refusals.items())
        ]

    def _read(self, records: Records) -> tuple[list[Event | None], dict[int, Refusal]]:
        events: list[Event | None] = []
        refusals: dict[int, Refusal] = {}
        values = self._within_limit(records.values)
        remaining = iter(values)
        while len(events) < len(values):
            if self._is_canonical:
                _extend_typed(events, remaining)
            if (i := len(events)) < len(values):
                found = self._read_slowly(values[i], records.keys[i])
                if isinstance(found, Refusal):
                    refusals[i] = found
                events.append(found if isinstance(found, Event) else None)
        return events, refusals

    def _within_limit(self, values: list[Value]) -> list[Value]:
        limit = self._value_bytes_max
        return [
            LargeValue(b"", len(value), "")
            if type(value) is bytes and len(value) > limit
            else value
            for value in values
        ]

    def _read_slowly(self, value: Value, key: bytes | None) -> Event | Refusal:
        if value is None:
            return self._tombstone(key)
        if isinstance(value, LargeValue):
            if value.error:
                return Refusal(Reason.UNREADABLE, value.error)
            error = f"value: has {value.size:,} bytes; at most {self._value_bytes_max:,} are read"
            return Refusal(Reason.TOO_LARGE, error)
        try:
            return self._convert(value)
        except RecursionError:
            return TOO_DEEP

    def _convert(self, value: bytes) -> Event | Refusal:
        record = parse_object(value)
        if isinstance(record, Refusal):
            return self._name_the_culprit(value, record)
        fields = self._fields.resolve(record)
        if isinstance(fields, Refusal):
            return fields
        # Numbers as ids are too common to pay for an exception.
        for name in _IDS:
            if type(number := fields.get(name)) is int:
                fields[name] = str(number)
        try:
            return msgspec.convert(fields, Event)
        except msgspec.ValidationError:
            built = repair.build(fields)
        return built if isinstance(built, Event) else self._named(*built, record)

    def _name_the_culprit(self, value: bytes, refusal: Refusal) -> Refusal:
        """A better refusal where NaN or a number out of range stands in a field that cannot be."""
        record = parse_leniently(value)
        fields = self._fields.resolve(record)
        if isinstance(fields, Refusal):
            return refusal
        for name in [name for name in ("pred_probs", "embedding") if name in fields]:
            found = repair.repaired(name, fields[name])
            if isinstance(found, Refusal) and found.reason in _NOT_FINITE:
                return self._named(name, found, record)
        return refusal

    def _named(self, name: str, refusal: Refusal, record: JsonObject) -> Refusal:
        source = self._fields.source_of(name, record)
        sent_as = f" (sent as {shown(source)})" if source else ""
        return Refusal(refusal.reason, f"{name}{refusal.error}{sent_as}")

    def _tombstone(self, key: bytes | None) -> Event | Refusal:
        text = text_of(key)
        if text is None:
            error = f"{self._tombstone_key}: is missing: a tombstone without key deletes nothing"
            return Refusal(Reason.MISSING_FIELD, error)
        if self._tombstone_key == "annotation_id":
            return Event(type=EventType.DELETION, annotation_id=text)
        return Event(type=EventType.DELETION, example_id=text)


def _extend_typed(events: list[Event | None], remaining: Iterator[Value]) -> None:
    """Append the events of records that are in canonical form, up to the first that is not."""
    # list.extend keeps what came before the exception, and the iterator stands behind the culprit:
    # a bad record costs one exception, not a second pass over its neighbours. What is no bytes
    # (a tombstone, a value too large) raises TypeError and goes the slow way like the others.
    with suppress(*UNREADABLE):
        events.extend(map(_typed, remaining))  # type: ignore[arg-type] # others raise


def _set_times(events: list[Event | None]) -> dict[int, Refusal]:
    """Turn the times of events into microseconds; refuse and drop what leaves the calendar."""
    dated = [event for event in events if event is not None and event.annotated_at is not None]
    given = cast("list[datetime]", [event.annotated_at for event in dated])
    try:
        times_us = [(time - _EPOCH) // _MICROSECOND for time in given]
    except TypeError:  # a number, or a time without zone
        times_us = [_microseconds(time) for time in given]
    for event, time_us in zip(dated, times_us, strict=True):
        event.annotated_at = time_us
    if not times_us or (min(times_us) in _YEARS_US and max(times_us) in _YEARS_US):
        return {}
    lost = [i for i, event in enumerate(events) if event is not None and _is_off_calendar(event)]
    for i in lost:
        events[i] = None
    return dict.fromkeys(lost, _OFF_CALENDAR)


def _microseconds(time: datetime | float) -> int:
    if isinstance(time, datetime):
        aware = time if time.tzinfo else time.replace(tzinfo=UTC)
        return (aware - _EPOCH) // _MICROSECOND
    return round(time * (1_000 if time > _MILLISECONDS_ABOVE else 1_000_000))


def _is_off_calendar(event: Event) -> bool:
    return event.annotated_at is not None and event.annotated_at not in _YEARS_US


_IDS = ("example_id", "annotation_id", "annotator")
_NOT_FINITE = {Reason.PROBS_NOT_FINITE, Reason.BAD_EMBEDDING}
_OFF_CALENDAR = Refusal(
    Reason.WRONG_TYPE, "annotated_at: lies outside the years 1 to 9999 in UTC; send the right year"
)
