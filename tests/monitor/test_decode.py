from __future__ import annotations

import json
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.decode import Decoder
from monitor.events import Event, EventType, LargeValue, Partition, Reason, Records
from monitor.fields import ALIASES, FieldMapping

JUNK = [
    *[None, True, -1, 0.5, 1e308, 2**70, "", "\u0000", "é" * 300, [], {}, [[]], [1, 2], "NaN"],
    *[{"a": {"a": {}}}, {"top_k": []}, {"top_k": 1}, {"top_k": [{"label": "a", "p": 1}]}, [None]],
]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GOOD = {"example_id": "x1", "label": "cat", "pred_probs": [0.25, 0.75]}

zones = st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
texts = st.text(max_size=5)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.sampled_from(JUNK),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
names = st.sampled_from([*Event.__struct_fields__, *ALIASES, "lang", "é"])
canonical = st.fixed_dictionaries(
    {"example_id": st.text(min_size=1), "label": st.text(min_size=1) | st.integers(-5, 5)},
    optional={
        "type": st.sampled_from(EventType),
        "pred_probs": st.lists(numbers, min_size=1) | st.dictionaries(texts, numbers, min_size=1),
        "annotator": texts,
        "annotation_id": st.text(min_size=1),
        "model_version": texts,
        "annotated_at": st.datetimes(timezones=st.none() | zones).map(datetime.isoformat)
        | st.integers(0, 10**13)
        | st.floats(0, 1e13),
        "revision": st.integers(0, 2**63 - 1),
        "text": texts,
        "content_hash": texts,
        "embedding": st.lists(st.floats(-1, 1), min_size=1),
        "uri": texts,
        "metadata": st.dictionaries(texts, json_values, max_size=3),
        "is_gold": st.booleans(),
        "expected_label": texts | st.integers(-5, 5),
        "lead_time_s": st.floats(0, 1e6),
        "outcome": st.sampled_from(["accepted", "rejected", "fixed"]),
        "classes": st.lists(st.text(min_size=1), unique=True, min_size=1),
    },
)
damaged = st.builds(lambda good, name, junk: {**good, name: junk}, canonical, names, json_values)


@st.composite
def mutated(draw):
    """Bytes of an event with one of them changed, or cut off."""
    value = bytearray(json.dumps(draw(canonical | damaged)).encode())
    at = draw(st.integers(0, len(value) - 1))
    if draw(st.booleans()):
        return bytes(value[:at])
    value[at] = draw(st.integers(0, 255))
    return bytes(value)


objects = st.builds(
    lambda value, is_ascii: json.dumps(value, ensure_ascii=is_ascii).encode(errors="replace"),
    canonical | damaged | json_values,
    st.booleans(),
)
values = (
    objects
    | mutated()
    | st.binary(max_size=40)
    | st.none()
    | st.builds(LargeValue, st.binary(max_size=3), st.just(2**30), st.just("00"))
)
keys = st.none() | st.sampled_from([b"", b"k", b"\xff", "é".encode()])


def records(values, keys=None):
    """Records of one partition, without a record time."""
    count = len(values)
    numbers = np.arange(count, dtype=np.int64)
    return Records(
        list(values),
        list(keys or [None] * count),
        numbers,
        numbers,
        0 * numbers,
        (Partition("t"),),
    )


def decode(*values, key=None, fields=None, **settings):
    """What becomes of records that share a key."""
    decoder = Decoder(FieldMapping(fields or {}), **settings)
    return decoder.decode(records(values, [key] * len(values)))


def one(value, **settings):
    """The event or the rejection of one record, given as bytes or as an object."""
    raw = value if isinstance(value, bytes | None) else json.dumps(value).encode()
    events, rejections = decode(raw, **settings)
    assert (events[0] is None) == (len(rejections) == 1)
    return events[0] or rejections[0]


def slow_decoder():
    """A decoder that takes the slow way for every record."""
    decoder = Decoder(FieldMapping())
    decoder._is_canonical = False
    return decoder


@given(st.lists(values, max_size=3), keys)
@example([b'{"label": [], "label": "a", "example_id": "x"}'], None)
@example([b'{"\\u006cabel": "a", "example_id": "x"}'], None)
@example([b'{"label": "a", "revision": 1.0, "example_id": "x"}'], None)
@example([b'{"label": "a", "pred_probs": [1e999], "example_id": "x"}'], None)
@example([b'{"label": "a", "pred_probs": [' + b"9" * 400 + b'], "example_id": "x"}'], None)
def test_the_fast_way_and_the_slow_way_agree(batch, key):
    """What becomes of a record does not depend on how it was read."""
    given_records = records(batch, [key] * len(batch))
    assert Decoder(FieldMapping()).decode(given_records) == slow_decoder().decode(given_records)


@given(st.lists(st.tuples(values, keys), max_size=6))
def test_a_record_does_not_depend_on_its_neighbours(batch):
    """Decoding a batch equals decoding its records one by one."""
    events, rejections = Decoder(FieldMapping()).decode(
        records([value for value, _ in batch], [key for _, key in batch])
    )
    alone = [decode(value, key=key) for value, key in batch]
    assert events == [found[0] for found, _ in alone]
    assert rejections == [
        replace(r, position=i) for i, (_, found) in enumerate(alone) for r in found
    ]


@given(values, keys)
def test_a_rejection_is_one_line_for_a_person(value, key):
    """Nothing raises; what is rejected has a short printable text that begins with a field."""
    events, rejections = decode(value, key=key)
    for rejection in rejections:
        assert events[rejection.position] is None
        assert rejection.error.isprintable()
        assert len(rejection.error) < 400
        field = rejection.error.split(":")[0].split("[")[0].split(".")[0]
        assert field in {"value", *Event.__struct_fields__}


@given(canonical)
def test_a_canonical_record_becomes_the_event_it_looks_like(sent):
    """Values in canonical form arrive unchanged, or the record is rejected as a whole."""
    event = one(sent)
    if isinstance(event, Event):
        same = {"example_id", "label", "revision", "text", "uri", "is_gold", "classes"}
        for name in same & sent.keys():
            assert getattr(event, name) == sent[name]
        assert event.annotator == (sent.get("annotator") or None)


@given(canonical | damaged)
def test_what_is_kept_can_be_written_back_as_json(sent):
    """An event's metadata can be stored as JSON, whatever the sender put into it."""
    event = one(sent)
    if isinstance(event, Event):
        encoded = msgspec.json.encode(event.metadata)
        assert msgspec.json.decode(encoded) == event.metadata


@pytest.mark.parametrize("name", [*Event.__struct_fields__, *ALIASES])
@pytest.mark.parametrize("junk", JUNK, ids=repr)
def test_junk_in_a_field_is_taken_or_named(name, junk):
    """Junk in one field is either an event, or a rejection that names that field."""
    canonical_name = ALIASES.get(name, name)
    sent = {key: value for key, value in GOOD.items() if key != canonical_name} | {name: junk}
    outcome = one(sent)
    if not isinstance(outcome, Event) and name != "type":
        assert outcome.error.startswith(canonical_name)


def test_a_storm_of_damaged_records_loses_no_good_one():
    """Good records between damaged ones all arrive, in place."""
    chance = random.Random(1)
    junk = [b"[" * 5_000, b"\x00\x00\x00\x00\x07{}", b"\xff\xfe{", b"{", b"", b"null", None, b"[]"]
    good = {i: json.dumps({**GOOD, "example_id": f"x{i}"}).encode() for i in range(0, 3_000, 3)}
    batch = [good.get(i, chance.choice(junk)) for i in range(3_000)]
    events, rejections = decode(*batch)
    assert [i for i, event in enumerate(events) if event] == list(good)
    assert all(events[i].example_id == f"x{i}" for i in good)
    assert [r.position for r in rejections] == [i for i in range(3_000) if i not in good]


@pytest.mark.parametrize("names", [["lang"], ["metadata"], ["label", "given_label"], ["probs"]])
def test_no_depth_of_nesting_raises(names):
    """However deep a record nests, it is an event or a rejection that says so."""
    for depth in [*range(1, 100, 9), *range(700, 1_100)]:
        nested = "[" * depth + "]" * depth
        fields = ", ".join(f'"{name}": {nested}' for name in names)
        found = one(f'{{"example_id": "x", "label": "a", {fields}}}'.encode())
        assert isinstance(found, Event) == (depth < 64 and names == ["lang"])


def test_a_value_above_the_limit_is_too_large():
    """The limit counts bytes; what the source cut off already is too large as well."""
    value = json.dumps(GOOD).encode()
    assert isinstance(one(value, value_bytes_max=len(value)), Event)
    assert one(value, value_bytes_max=len(value) - 1).reason is Reason.TOO_LARGE
    _, (rejection,) = decode(LargeValue(value, 10**9, "00"))
    assert (rejection.reason, rejection.error[:31]) == (
        Reason.TOO_LARGE,
        "value: has 1,000,000,000 bytes;",
    )


def test_a_tombstone_deletes_by_the_records_key():
    """A record without value deletes the example, or the annotation, that its key names."""
    assert one(None, key=b"k") == Event(type=EventType.DELETION, example_id="k")
    by_annotation = one(None, key=b"k", tombstone_key="annotation_id")
    assert by_annotation == Event(type=EventType.DELETION, annotation_id="k")
    for key in (None, b"", b"\xff"):
        assert one(None, key=key).reason is Reason.MISSING_FIELD


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones))  # noqa: DTZ001 - zones
def test_a_time_is_the_same_instant_in_every_form(time):
    """RFC 3339 in any zone, and numbers of seconds or milliseconds, mean one instant."""
    instant = (time - EPOCH) // timedelta(microseconds=1)
    assert one({**GOOD, "annotated_at": time.isoformat()}).annotated_at == instant
    seconds, milliseconds = instant // 10**6, instant // 10**3
    if seconds <= 10**11:
        assert one({**GOOD, "annotated_at": seconds}).annotated_at == seconds * 10**6
    if milliseconds > 10**11:
        assert one({**GOOD, "annotated_at": milliseconds}).annotated_at == milliseconds * 10**3


@pytest.mark.parametrize(
    ("sent", "time_us"),
    [
        ("1970-01-01T00:00:01", 1_000_000),
        ("1970-01-01T02:00:00.000001+02:00", 1),
        (0, 0),
        (-1.5, -1_500_000),
        (1e11, 10**17),
        (100_000_000_001, 100_000_000_001_000),
        (1700000000.25, 1_700_000_000_250_000),
        (None, None),
    ],
)
def test_a_time_without_zone_is_utc_and_a_large_number_milliseconds(sent, time_us):
    """Up to 1e11 a number counts seconds, above it milliseconds; a time without zone is UTC."""
    assert one({**GOOD, "annotated_at": sent}).annotated_at == time_us


def test_of_a_key_given_twice_the_last_one_counts():
    """As in every common parser, on the fast and on the slow way, and in metadata."""
    for rest in (b"", b', "lang": "de", "lang": "en"'):
        event = one(b'{"example_id": "x", "label": "cat", "label": "dog"' + rest + b"}")
        assert event.label == "dog"
        assert event.metadata == ({"lang": "en"} if rest else None)


def test_a_byte_order_mark_is_no_fault():
    """UTF-8 text may begin with a byte order mark."""
    assert one(b"\xef\xbb\xbf" + json.dumps(GOOD).encode()) == one(GOOD)


def test_metadata_gains_the_unknown_fields():
    """Unknown fields join metadata; an entry that the sender put there himself stays."""
    sent = {**GOOD, "lang": "en", "n": None, "metadata": {"lang": "de", "x": [1]}}
    assert one(sent).metadata == {"lang": "de", "n": None, "x": [1]}


@pytest.mark.parametrize(("alias", "name"), ALIASES.items())
def test_an_alias_is_its_field(alias, name):
    """A field sent under an alias makes the same event; the same value twice is no conflict."""
    value = {"label": "cat", "pred_probs": [1], "annotator": "w", "annotated_at": 1}[name]
    rest = {key: GOOD[key] for key in GOOD if key != name}
    expected = one({**rest, name: value})
    assert one({**rest, alias: value}) == one({**rest, alias: value, name: value}) == expected
    assert one({**rest, alias: value, name: None}) == expected
    assert one({**rest, alias: True}).error.endswith(f'(sent as "{alias}")')
