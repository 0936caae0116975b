from __future__ import annotations

import copy
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from monitor.events import Reason
from monitor.fields import ALIASES, CANONICAL, FieldMapping, follow, suggest_mapping
from monitor.parse import Refusal

steps = st.sampled_from(["data", "value", "0", "1", "id", "label"])
paths = st.lists(steps, min_size=1, max_size=3).map(".".join)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(0, 1) | st.sampled_from(["a", "0.5", 0.5]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(steps, inner, max_size=3),
    max_leaves=12,
)
objects = st.dictionaries(steps | st.sampled_from([*CANONICAL, *ALIASES]), json_values, max_size=6)
mappings = st.dictionaries(st.sampled_from(CANONICAL), paths, max_size=3)

LABEL_STUDIO = {
    "action": "ANNOTATION_CREATED",
    "annotation": {
        "id": 17,
        "completed_by": 3,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:01Z",
        "result": [{"from_name": "c", "type": "choices", "value": {"choices": ["cat"]}}],
    },
    "task": {"id": 5, "data": {"text": "hello", "probs": {"cat": 0.5, "dog": 0.5}}},
}
ARGILLA = {
    "type": "response.created",
    "timestamp": "2026-01-01T00:00:00",
    "data": {
        "id": "r1",
        "values": {"sentiment": {"value": "positive"}},
        "record": {"id": "e1", "fields": {"text": "x"}, "metadata": {"scores": [0.2, 0.8]}},
        "user": {"id": "u7", "role": "annotator"},
        "updated_at": "2026-01-01T00:00:02",
    },
}


@given(objects, mappings)
def test_a_mapped_field_is_what_its_path_leads_to(record, paths):
    """A mapped field comes from its path alone, and is absent where the path ends nowhere."""
    fields = FieldMapping(paths).resolve(copy.deepcopy(record))
    if not isinstance(fields, Refusal):
        for name in paths.keys() - {"metadata"}:
            found = follow(record, tuple(paths[name].split(".")))
            if not isinstance(found, dict):
                assert fields.get(name) == found


@given(objects, mappings)
def test_resolving_leaves_canonical_names_only(record, paths):
    """After resolving there are no aliases, no unknown names and no nulls."""
    fields = FieldMapping(paths).resolve(record)
    if isinstance(fields, Refusal):
        assert fields.reason is Reason.CONFLICTING_FIELDS
    else:
        assert fields.keys() <= set(CANONICAL)
        assert None not in fields.values()


@given(objects)
@example({"lang": None, "metadata": False})
def test_nothing_is_lost_without_a_mapping(record):
    """Each value of a record is in a field or in metadata."""
    fields = FieldMapping().resolve(copy.deepcopy(record))
    if isinstance(fields, Refusal) or not isinstance(record.get("metadata"), dict | None):
        return
    for sent, value in record.items():
        name = ALIASES.get(sent, sent)
        if name not in CANONICAL:
            assert sent in fields["metadata"]
        elif value is not None and name != "metadata":
            assert fields[name] == value


def test_what_a_path_takes_is_not_repeated_in_metadata():
    """The rest of an object that a path leads into stays; what is empty without it goes."""
    mapping = FieldMapping({"label": "data.y", "example_id": "id", "annotation_id": "id"})
    sent = {"id": 1, "data": {"y": "cat", "lang": "en"}, "label": "other"}
    metadata = {"data": {"lang": "en"}, "label": "other"}
    expected = {"label": "cat", "example_id": 1, "annotation_id": 1}
    assert mapping.resolve(copy.deepcopy(sent)) == {**expected, "metadata": metadata}
    assert mapping.resolve({"id": 1, "data": {"y": "cat"}}) == expected


def test_a_number_in_a_path_counts_into_a_list():
    """A list that a path leads through stays whole in metadata."""
    mapping = FieldMapping({"label": "result.0.choices.0"})
    sent = {"result": [{"choices": ["cat", "dog"]}]}
    assert mapping.resolve(copy.deepcopy(sent)) == {"label": "cat", "metadata": sent}
    assert mapping.resolve({"result": []}) == {"metadata": {"result": []}}


@pytest.mark.parametrize(
    ("name", "path", "says"),
    [
        ("labl", "y", "did you mean label"),
        ("given_label", "y", "did you mean label"),
        ("worker", "y", "did you mean annotator"),
        ("zzz", "y", "the fields are example_id, label"),
        ("label", "", "empty step"),
        ("label", "a..b", "empty step"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(name, path, says):
    """An unknown field, and a path that leads nowhere, are errors with a hint."""
    with pytest.raises(ValueError, match=says):
        FieldMapping({name: path})


def test_a_mapping_is_the_identity_only_if_it_renames_nothing():
    """Records in canonical form need no second look under the empty mapping."""
    assert FieldMapping().is_identity
    assert FieldMapping({"label": "label"}).is_identity
    assert not FieldMapping({"label": "y"}).is_identity
    assert FieldMapping({"label": "label"}).source_of("label", {}) is None
    assert FieldMapping({"label": "y"}).source_of("label", {}) == "y"
    assert FieldMapping({"label": "y"}) == FieldMapping({"label": "y"})


@given(st.lists(objects | json_values, max_size=4))
@example([{"created_at": None}])
def test_a_suggestion_can_be_configured_and_fits(samples):
    """A suggested mapping is valid, and its paths lead somewhere in nine of ten samples."""
    mapping = suggest_mapping(samples)
    FieldMapping(mapping)
    assert len(set(mapping.values())) == len(mapping)
    for path in mapping.values():
        found = sum(follow(sample, tuple(path.split("."))) is not None for sample in samples)
        assert found * 10 >= len(samples) * 9


@pytest.mark.parametrize(
    ("sample", "mapping"),
    [
        (
            {"id": 1, "y": "cat", "softmax": [0.3, 0.7], "rater": "w", "ts": 1_700_000_000},
            {
                "example_id": "id",
                "label": "y",
                "pred_probs": "softmax",
                "annotator": "rater",
                "annotated_at": "ts",
            },
        ),
        (
            LABEL_STUDIO,
            {
                "example_id": "task.id",
                "label": "annotation.result.0.value.choices.0",
                "pred_probs": "task.data.probs",
                "annotator": "annotation.completed_by",
                "annotated_at": "annotation.updated_at",
            },
        ),
        (
            ARGILLA,
            {
                "example_id": "data.record.id",
                "label": "data.values.sentiment.value",
                "pred_probs": "data.record.metadata.scores",
                "annotator": "data.user.id",
                "annotated_at": "data.updated_at",
            },
        ),
        (
            {"itemId": "a", "label": {"name": "cat"}},
            {"example_id": "itemId", "label": "label.name"},
        ),
        (
            {"example_id": "a", "label": "b", "created_at": 1.7e9, "updated_at": 1.8e9},
            {"annotated_at": "updated_at"},
        ),
        ({"example_id": "a", "label": "b", "probs": [1, 0]}, {}),
        ({"example_id": "a", "label": "b", "score": 0.7, "weights": [2, 3]}, {}),
        ({"label": "a", "out": {"top_k": [{"label": "a", "p": 0.5}]}}, {"pred_probs": "out"}),
        ("text", {}),
    ],
    ids=str,
)
def test_common_shapes_get_their_mapping(sample, mapping):
    """Names that people use lead to a mapping; what is there already is left alone."""
    samples = json.loads(json.dumps([sample] * 20))
    assert suggest_mapping(samples) == mapping
    assert suggest_mapping([*samples, *[{}] * 3]) == {}


def test_without_samples_there_is_no_suggestion():
    """Nothing is proposed for nothing."""
    assert suggest_mapping([]) == {}
