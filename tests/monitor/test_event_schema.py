from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from monitor.decode import Decoder
from monitor.events import Event, EventType, Partition, Reason, Records, TopK
from monitor.fields import ALIASES, FieldMapping

DOCS = Path(__file__).parents[2] / "docs"
SCHEMA = json.loads((DOCS / "event.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)

texts = st.text(max_size=4)
words = st.text(min_size=1, max_size=4)
numbers = st.integers(-2, 3) | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
times = st.sampled_from(
    ["2026-09-20T10:15:00Z", "2026-09-20 10:15:00.5+0200", "2026-09-20T10:15:00", "2026-09-20"]
)
probabilities = st.floats(0, 1) | st.integers(0, 1)
forms = {
    "id": st.none() | words | numbers,
    "name": st.none() | texts | numbers,
    "label": st.none() | words | st.integers(-1, 9),
    "time": st.none() | times | st.integers(0, 10**13),
    "probs": st.none()
    | st.lists(probabilities, min_size=1, max_size=3)
    | st.dictionaries(texts | st.just("top_k"), probabilities, min_size=1, max_size=3)
    | st.lists(
        st.fixed_dictionaries({"label": texts, "p": probabilities}),
        min_size=1,
        max_size=2,
    ).map(lambda entries: {"top_k": entries}),
}
fields = {
    "type": st.none() | st.sampled_from(EventType),
    "example_id": forms["id"],
    "annotation_id": forms["id"],
    **dict.fromkeys(("label", "given_label", "expected_label"), forms["label"]),
    **dict.fromkeys(("pred_probs", "probs", "probabilities"), forms["probs"]),
    **dict.fromkeys(("annotator", "annotator_id", "worker", "user"), forms["name"]),
    **dict.fromkeys(("model_version", "content_hash"), forms["name"]),
    **dict.fromkeys(("annotated_at", "created_at", "updated_at"), forms["time"]),
    "revision": st.none() | st.integers(0, 2**63 - 1),
    "text": st.none() | texts,
    "embedding": st.none()
    | st.lists(st.floats(-1, 1), min_size=1, max_size=3)
    | st.just("AACAPwAAAAA="),
    "uri": st.none() | texts,
    "metadata": st.none() | st.dictionaries(texts, texts),
    "is_gold": st.none() | st.booleans(),
    "lead_time_s": st.none() | st.floats(0, 9),
    "outcome": st.none() | st.sampled_from(["accepted", "rejected", "fixed", "other"]),
    "classes": st.none() | st.lists(words, unique=True, min_size=1, max_size=3),
}
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts | times,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def events(draw):
    """An event of any form: the fields of its type, and some others."""
    kind = draw(st.sampled_from(EventType))
    needed = {"annotation": "label", "prediction": "pred_probs", "review": "outcome"}
    event = {"type": kind, "example_id": draw(words), "classes": ["a"]}
    event |= {needed[kind]: draw(fields[needed[kind]])} if kind in needed else {}
    others = draw(st.lists(st.sampled_from(sorted(fields)), max_size=4))
    return event | {name: draw(fields[name]) for name in others}


def decode(sent):
    """The event or the rejection of one object."""
    zero = np.zeros(1, np.int64)
    raw = json.dumps(sent).encode()
    records = Records([raw], [b"k"], zero, zero, zero, (Partition("t"),))
    found, rejections = Decoder(FieldMapping()).decode(records)
    return found[0] or rejections[0]


def is_distribution_like(form):
    """Whether every value lies in [0, 1]; the stage after the decoder checks that."""
    if isinstance(form, TopK):
        form = form.probabilities
    numbers = form.values() if isinstance(form, dict) else form or ()
    return all(0 <= p <= 1 for p in numbers)


def test_the_schema_is_a_schema():
    """The schema is valid under its own draft and names every field and every alias."""
    Draft202012Validator.check_schema(SCHEMA)
    assert set(SCHEMA["properties"]) == {*Event.__struct_fields__, *ALIASES}
    assert SCHEMA["additionalProperties"] is True


@given(events())
def test_what_decodes_is_valid(sent):
    """Every event that decodes validates; so what the schema rejects, the decoder rejects."""
    event = decode(sent)
    assume(isinstance(event, Event) and is_distribution_like(event.pred_probs))
    assert list(VALIDATOR.iter_errors(sent)) == []


@given(events(), st.sampled_from(sorted(fields)), json_values)
def test_what_the_schema_rejects_the_decoder_rejects(sent, name, junk):
    """One damaged field that the schema catches never becomes an event."""
    damaged = {**sent, name: junk}
    assume(not VALIDATOR.is_valid(damaged))
    event = decode(damaged)
    assert not isinstance(event, Event) or not is_distribution_like(event.pred_probs)


GOOD = {"example_id": "x", "label": "a", "pred_probs": {"a": 1}}


@pytest.mark.parametrize(
    "damage",
    [
        {"type": "anotation"},
        {"type": "prediction", "pred_probs": None},
        {"type": "review"},
        {"type": "review", "outcome": "ok"},
        {"type": "review", "outcome": "fixed", "label": None},
        {"type": "classes"},
        {"label": None},
        *[{"label": label} for label in ("", True, 0.5, [], {}, 2**63)],
        *[{"given_label": label} for label in ("", True, 0.5, ["a"], {})],
        *[{"example_id": value} for value in ("", True, [], {})],
        *[{"annotator": value} for value in (True, [], {"id": 1})],
        *[{"probs": probs} for probs in ([], {}, 1, "a", True, [None], ["1"], [[1]], {"a": "1"})],
        *[{"pred_probs": {"top_k": top_k}} for top_k in ([], ["a"], [{"label": "a"}], [{"p": 1}])],
        {"pred_probs": {"top_k": [{"label": "a", "p": 1}], "rest": 0}},
        *[{"annotated_at": time} for time in (True, "2026-09-20", "now", 1e300, -1e300, [])],
        *[{"revision": revision} for revision in (-1, 2**63, 0.5, "1", True)],
        *[{"embedding": value} for value in ([], "", "AAA", "no base64!", 1, ["a"], [True], {})],
        *[{"classes": names} for names in ([], [""], ["a", "a"], [1], "a", ["a"] * 1_001)],
        *[{"lead_time_s": value} for value in (-1, "1", True)],
        *[{name: 1} for name in ("text", "uri", "metadata", "is_gold", "outcome")],
    ],
    ids=str,
)
def test_the_schema_catches_what_a_schema_can_express(damage):
    """For faults of type, form and presence, schema and decoder agree: both reject."""
    assert VALIDATOR.is_valid(GOOD)
    assert isinstance(decode(GOOD), Event)
    assert not VALIDATOR.is_valid({**GOOD, **damage})
    assert not isinstance(decode({**GOOD, **damage}), Event)


def table(heading):
    """The cells of the first table below a heading of docs/events.md, without its own heading."""
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    section = page.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line[1:-1].split("|")] for line in lines[2:]]


def test_the_reference_has_every_field():
    """The table of fields is that of the code: names in order, each with its aliases."""
    aliases = {name: [] for name in Event.__struct_fields__}
    for alias, name in ALIASES.items():
        aliases[name].append(f"`{alias}`")
    shown = [(name, also) for name, also, *_ in table("Fields")]
    assert shown == [(f"`{name}`", ", ".join(each)) for name, each in aliases.items()]
    assert all(kind and meaning for _, _, kind, meaning in table("Fields"))


def test_the_reference_has_every_type_and_reason():
    """Types and reasons are those of the code, each reason with a cause and a fix."""
    assert [name for name, *_ in table("Types")] == [f"`{each}`" for each in EventType]
    reasons = table("Dead letters")
    assert sorted(name for name, *_ in reasons) == sorted(f"`{each}`" for each in Reason)
    assert all(cause and fix for _, cause, fix in reasons)


def test_the_examples_of_the_reference_are_events():
    """Each JSON example in docs/events.md decodes and validates."""
    page = (DOCS / "events.md").read_text(encoding="utf-8")
    blocks = [block.split("```")[0] for block in page.split("```json\n")[1:]]
    examples = [json.loads(line) for block in blocks for line in block.splitlines()]
    assert len(examples) >= 5
    for sent in examples:
        assert isinstance(decode(sent), Event)
        assert list(VALIDATOR.iter_errors(sent)) == []
