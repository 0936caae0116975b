from __future__ import annotations

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.decode import Decoder
from monitor.events import Event, Partition, Reason, Records, TopK
from monitor.fields import FieldMapping

GOOD = {"example_id": "x1", "label": "cat", "pred_probs": [0.25, 0.75]}


def one(value, key=None):
    """The event or the rejection of one record, given as bytes or as an object."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    zero = np.zeros(1, np.int64)
    records = Records([raw], [key], zero, zero, zero, (Partition("t"),))
    events, rejections = Decoder(FieldMapping()).decode(records)
    return events[0] or rejections[0]


PREDICTION = {"type": "prediction", "example_id": "x1"}
REVIEW = {"type": "review", "example_id": "x1"}


@pytest.mark.parametrize(
    ("value", "reason", "says"),
    [
        (b"", Reason.MALFORMED_JSON, "empty"),
        (b"{", Reason.MALFORMED_JSON, "not JSON"),
        (b'{"label": "\xff"}', Reason.MALFORMED_JSON, "UTF-8"),
        (b'{"label": "\\ud800"}', Reason.MALFORMED_JSON, "surrogate"),
        (b'{"text": NaN}', Reason.MALFORMED_JSON, "NaN"),
        (b'{"text": 1e999}', Reason.MALFORMED_JSON, "too large"),
        (b'{"revision": ' + b"9" * 5_000 + b"}", Reason.MALFORMED_JSON, "too large"),
        (b"[" * 5_000, Reason.MALFORMED_JSON, "nested"),
        (
            json.dumps({**GOOD, "a": json.loads("[" * 70 + "]" * 70)}).encode(),
            *(Reason.MALFORMED_JSON, "nested"),
        ),
        (b"null", Reason.NOT_AN_OBJECT, "tombstone"),
        (b"[1]", Reason.NOT_AN_OBJECT, "list"),
        (b'"{}"', Reason.NOT_AN_OBJECT, "inside a JSON string"),
        (b"12", Reason.NOT_AN_OBJECT, "12"),
        (b"\x00\x00\x00\x00\x07\x02a", Reason.UNSUPPORTED_ENCODING, "Avro"),
        (b'\x00\x00\x00\x00\x07{"a": 1}', Reason.UNSUPPORTED_ENCODING, "plain JSON serializer"),
        ("{}".encode("utf-16"), Reason.UNSUPPORTED_ENCODING, "UTF-16"),
        ("{}".encode("utf-16-be"), Reason.UNSUPPORTED_ENCODING, "UTF-16"),
        (b"\x1f\x8b\x08", Reason.UNSUPPORTED_ENCODING, "compressed"),
        ({"label": "a"}, Reason.MISSING_FIELD, "example_id"),
        ({"example_id": "", "label": "a"}, Reason.MISSING_FIELD, "example_id: is empty"),
        ({"example_id": "x", "label": ""}, Reason.MISSING_FIELD, "label: is empty"),
        ({"example_id": "x", "label": None}, Reason.MISSING_FIELD, "label"),
        (PREDICTION, Reason.MISSING_FIELD, "pred_probs"),
        (REVIEW, Reason.MISSING_FIELD, "outcome"),
        ({**REVIEW, "outcome": "fixed"}, Reason.MISSING_FIELD, "label"),
        ({**REVIEW, "outcome": "ok"}, Reason.WRONG_TYPE, "accepted, rejected, fixed"),
        ({"type": "classes"}, Reason.MISSING_FIELD, "classes"),
        ({"type": "deletion"}, Reason.MISSING_FIELD, "example_id"),
        ({"type": "anotation"}, Reason.UNKNOWN_TYPE, '"anotation"'),
        ({"type": 5}, Reason.UNKNOWN_TYPE, "5"),
        (b'{"label": "a", "given_label": "b", "probs": [NaN]}', Reason.MALFORMED_JSON, "NaN"),
        ({**GOOD, "annotator": {"id": 1}}, Reason.WRONG_TYPE, "[fields]"),
        ({**GOOD, "annotator": ["w"]}, Reason.WRONG_TYPE, "send text or a number"),
        ({**GOOD, "example_id": True}, Reason.WRONG_TYPE, "example_id: is true"),
        ({**GOOD, "label": ["a", "b"]}, Reason.WRONG_TYPE, "multi-label is not supported"),
        ({**GOOD, "label": True}, Reason.WRONG_TYPE, '"true"'),
        ({**GOOD, "label": 1.0}, Reason.WRONG_TYPE, "integer"),
        ({**GOOD, "label": {"id": 1}}, Reason.WRONG_TYPE, "[fields]"),
        ({**GOOD, "label": 2**63}, Reason.LABEL_INDEX_OUT_OF_RANGE, "label"),
        ({**GOOD, "given_label": "dog"}, Reason.CONFLICTING_FIELDS, 'given_label = "dog"'),
        ({**GOOD, "label": 1, "given_label": True}, Reason.CONFLICTING_FIELDS, "label"),
        ({**GOOD, "pred_probs": [0, "1"]}, Reason.WRONG_TYPE, 'pred_probs[1]: is "1"'),
        ({**GOOD, "pred_probs": [0, None]}, Reason.WRONG_TYPE, "pred_probs[1]: is null"),
        ({**GOOD, "pred_probs": {"a": True}}, Reason.WRONG_TYPE, 'pred_probs["a"]: is true'),
        ({**GOOD, "pred_probs": [float("nan")]}, Reason.PROBS_NOT_FINITE, "pred_probs[0]"),
        ({**GOOD, "pred_probs": {"a": -float("inf")}}, Reason.PROBS_NOT_FINITE, 'pred_probs["a"]'),
        ({**GOOD, "pred_probs": [10**400]}, Reason.PROBS_NOT_FINITE, "pred_probs[0]"),
        ({**GOOD, "pred_probs": []}, Reason.PROBS_WRONG_LENGTH, "pred_probs"),
        ({**GOOD, "pred_probs": {}}, Reason.PROBS_WRONG_LENGTH, "pred_probs"),
        ({**GOOD, "pred_probs": {"top_k": []}}, Reason.PROBS_WRONG_LENGTH, "top_k"),
        ({**GOOD, "annotated_at": "yesterday"}, Reason.WRONG_TYPE, "RFC 3339"),
        ({**GOOD, "annotated_at": 1e300}, Reason.WRONG_TYPE, "annotated_at"),
        ({**GOOD, "annotated_at": -1e300}, Reason.WRONG_TYPE, "annotated_at"),
        ({**GOOD, "annotated_at": "9999-12-31T23:59:59-14:00"}, Reason.WRONG_TYPE, "9999"),
        ({**GOOD, "revision": -1}, Reason.WRONG_TYPE, "revision"),
        ({**GOOD, "revision": 2**63}, Reason.WRONG_TYPE, "revision"),
        ({**GOOD, "lead_time_s": -0.1}, Reason.WRONG_TYPE, "lead_time_s"),
        ({**GOOD, "is_gold": 1}, Reason.WRONG_TYPE, "true or false"),
        ({**GOOD, "metadata": "a"}, Reason.WRONG_TYPE, "metadata"),
        ({**GOOD, "classes": ["a", "a"]}, Reason.WRONG_TYPE, "once"),
        ({**GOOD, "classes": [""]}, Reason.WRONG_TYPE, "classes"),
        ({**GOOD, "classes": []}, Reason.WRONG_TYPE, "classes"),
        ({**GOOD, "classes": ["a"] * 1_001}, Reason.TOO_MANY_CLASSES, "1,001"),
        ({**GOOD, "embedding": "AAA="}, Reason.BAD_EMBEDDING, "2 bytes"),
        ({**GOOD, "embedding": "no base64"}, Reason.BAD_EMBEDDING, "base64"),
        ({**GOOD, "embedding": [True]}, Reason.BAD_EMBEDDING, "embedding"),
        ({**GOOD, "embedding": [1e39]}, Reason.BAD_EMBEDDING, "float32"),
        ({**GOOD, "embedding": [10**400]}, Reason.BAD_EMBEDDING, "too large"),
        ({**GOOD, "embedding": [float("nan")]}, Reason.BAD_EMBEDDING, "NaN"),
        ({**GOOD, "embedding": []}, Reason.BAD_EMBEDDING, "0 bytes"),
    ],
    ids=str,
)
def test_each_fault_has_its_reason_and_a_text_that_helps(value, reason, says):
    """A rejection names the field, shows the value and says what to do."""
    rejection = one(value)
    assert rejection.reason is reason
    assert says in rejection.error


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_as_an_id_becomes_its_text(number):
    """Numbers become the strings they would be written as, for every id and name."""
    for name in ("example_id", "annotation_id", "annotator", "model_version", "content_hash"):
        assert getattr(one({**GOOD, name: number}), name) == repr(number)


@pytest.mark.parametrize("name", ["annotator", "model_version", "content_hash", "expected_label"])
def test_an_empty_name_is_absent(name):
    """An empty cell of a table is no person, no model and no class."""
    assert one({**GOOD, name: ""}) == one({**GOOD, name: None}) == one(GOOD)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([1, 0], [1.0, 0.0]),
        ({"a": 1, "": 0}, {"a": 1.0, "": 0.0}),
        ({"top_k": 1, "b": 0}, {"top_k": 1.0, "b": 0.0}),
        ({"top_k": [{"label": "a", "p": 1, "x": 0}]}, TopK(("a",), (1.0,))),
        ([2**70, -1], [2.0**70, -1.0]),
    ],
)
def test_probabilities_come_as_a_list_a_map_or_the_top_k(sent, kept):
    """Three forms are read; range and sum are checked later, and a class may be called top_k."""
    assert one({**GOOD, "pred_probs": sent}).pred_probs == kept


@pytest.mark.parametrize(
    ("top_k", "reason"),
    [
        ([{"label": "a", "p": 1}, {"label": "a", "p": 0}], Reason.CONFLICTING_FIELDS),
        ([{"label": 1, "p": 1}], Reason.WRONG_TYPE),
        ([{"label": "a"}], Reason.WRONG_TYPE),
        ([{"label": "a", "p": True}], Reason.WRONG_TYPE),
        ([{"label": "a", "p": float("nan")}], Reason.PROBS_NOT_FINITE),
        (["a"], Reason.WRONG_TYPE),
    ],
    ids=str,
)
def test_a_top_k_list_has_distinct_names_and_numbers(top_k, reason):
    """The place of a fault in a top-k list is named."""
    rejection = one({**GOOD, "pred_probs": {"top_k": top_k}})
    assert rejection.reason is reason
    assert rejection.error.startswith("pred_probs.top_k")


def test_nothing_stands_beside_top_k():
    """A rest beside top_k is refused, because nothing would be done with it."""
    probs = {"top_k": [{"label": "a", "p": 0.5}], "rest": 0.5}
    assert one({**GOOD, "pred_probs": probs}).reason is Reason.WRONG_TYPE


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_an_embedding_is_the_same_as_list_and_as_base64(vector):
    """Both forms become little-endian float32 with −0 as 0, so equal vectors are equal bytes."""
    packed = np.array(vector, "<f4").tobytes()
    listed = one({**GOOD, "embedding": vector}).embedding
    assert one({**GOOD, "embedding": base64.b64encode(packed).decode()}).embedding == listed
    assert np.frombuffer(listed, "<f4").tolist() == vector
    assert not np.signbit(np.frombuffer(listed, "<f4")[np.array(vector) == 0]).any()


def test_an_id_may_come_from_the_records_key():
    """The key is the example's id where the record has none, in UTF-8 only."""
    assert one({"label": "a"}, key="é".encode()) == Event(example_id="é", label="a")
    assert one({"label": "a", "example_id": "x"}, key=b"k").example_id == "x"
    assert one({"label": "a"}, key=b"\xff").reason is Reason.MISSING_FIELD
    assert one({"label": "a"}, key=b"").reason is Reason.MISSING_FIELD


def test_a_deletion_names_an_annotation_or_an_example():
    """A deletion by annotation_id takes nothing from the key; any other needs an example."""
    deletion = {"type": "deletion"}
    assert one({**deletion, "annotation_id": 7}, key=b"k").example_id is None
    assert one({**deletion, "annotator": "w"}, key=b"k").example_id == "k"
    assert one({**deletion, "example_id": "x"}).example_id == "x"


@pytest.mark.parametrize(
    "sent",
    [
        {"type": "classes", "classes": ["a", "b"]},
        {"type": "prediction", "example_id": "x", "pred_probs": {"a": 1}},
        {"type": "review", "example_id": "x", "outcome": "accepted"},
        {"type": "review", "example_id": "x", "outcome": "fixed", "label": 0},
        {"type": None, "example_id": "x", "label": "\u0000\u2028"},
        {"example_id": "x", "label": "a", "outcome": "whatever"},
    ],
    ids=str,
)
def test_each_type_asks_only_for_its_own_fields(sent):
    """What a type does not use may be absent, and may be anything of its own type."""
    assert isinstance(one(sent), Event)
