"""Every number behind a flag."""

from __future__ import annotations

import json
import unicodedata

import pytest

from tests.consumers.stored import query, write_jsonl
from tests.consumers.terminal import run_here


def explain(store, example, *args):
    """What explain says."""
    ended = run_here("explain", example, *args, "--store", store, cwd=store.parent)
    assert ended.exit_code == 0, ended.err
    assert ended.err == ""
    return ended.out


def test_an_explanation_agrees_with_the_views(filled):
    """Every example of a store is explained, by numbers that the views show too."""
    columns = "annotation_id, given_label, suggested_label, is_label_issue, label_score, normalized_margin"
    for (example,) in query(filled, "SELECT DISTINCT example_id FROM annotations ORDER BY 1")[:12]:
        found = json.loads(explain(filled, example, "--format", "json"))
        shown = query(
            filled, f"SELECT {columns} FROM annotations WHERE example_id = ? ORDER BY 1", example
        )
        assert [
            tuple(each[name] for name in columns.split(", ")) for each in found["annotations"]
        ] == shown
        for each in found["annotations"]:
            confident = [row["label"] for row in each["classes"] if row["is_confident"]]
            assert all(
                row["is_confident"] == (row["p"] >= row["class_threshold"] - 1e-6)
                for row in each["classes"]
            )
            assert (each["suggested_label"] is None) == (not confident)
            history = query(
                filled,
                "SELECT count(*) FROM findings WHERE annotation_id = ?",
                each["annotation_id"],
            )
            assert [(len(each["history"]),)] == history
        text = explain(filled, example)
        assert text.startswith(f"example {example}: predicted {found['predicted_label']}")
        assert text.count("LABEL ISSUE") == sum(row[3] for row in shown)
        assert all(each["rule"] in text for each in found["annotations"])


THRESHOLDS = [
    ("a", {"a": 0.8, "b": 0.1, "c": 0.1}),
    ("b", {"a": 0.1, "b": 0.5, "c": 0.4}),
    ("c", {"a": 0.1, "b": 0.4, "c": 0.5}),
]
RULES = {
    "none": (
        "a",
        {"a": 0.4, "b": 0.3, "c": 0.3},
        "no class reaches its threshold: nothing is suggested",
    ),
    "one": ("a", {"a": 0.3, "b": 0.7, "c": 0}, "b is the only confident class, and a was given"),
    "given": (
        "b",
        {"a": 0.1, "b": 0.8, "c": 0.1},
        "b is the only confident class, and it was given",
    ),
    "several": (
        "a",
        {"a": 0, "b": 0.5, "c": 0.5},
        "2 classes are confident and b is the most probable of all, and a was given",
    ),
}


@pytest.mark.parametrize("name", RULES)
def test_the_rule_is_a_sentence(name, tmp_path):
    """The rule that decided is said in words."""
    label, probs, rule = RULES[name]
    events = [
        {"example_id": f"{k}{i}", "label": k, "pred_probs": p}
        for i in range(40)
        for k, p in THRESHOLDS
    ]
    events.append({"example_id": "x", "label": label, "pred_probs": probs})
    file = write_jsonl(tmp_path / "e.jsonl", events)
    store = tmp_path / "s.duckdb"
    assert (
        run_here("replay", file, "--store", store, "--classes", "a,b,c", cwd=tmp_path).exit_code
        == 0
    )
    found = json.loads(explain(store, "x", "--format", "json"))
    assert found["annotations"][0]["rule"] == rule
    assert rule in explain(store, "x")


def test_an_unknown_example(filled):
    """An example that the store does not have is told in one line."""
    for style in ("text", "json"):
        ended = run_here(
            "explain", "nope", "--format", style, "--store", filled, cwd=filled.parent
        )
        assert (ended.exit_code, ended.out) == (2, "")
        assert ended.fault == "example 'nope' is not in the store, or was deleted"


def test_what_waits_and_what_was_never_labelled(tmp_path):
    """An annotation that waits for a prediction is explained as such, and so is a prediction alone."""
    events = [
        {"example_id": "waits", "label": "a", "annotator": "ann"},
        {
            "type": "prediction",
            "example_id": "alone",
            "pred_probs": {"a": 1.0},
            "model_version": "m2",
        },
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    store = tmp_path / "s.duckdb"
    assert run_here("replay", file, "--store", store, cwd=tmp_path).exit_code == 0
    assert "a by ann: waits since 2" in explain(store, "waits")
    assert explain(store, "alone") == "example alone: predicted a, judged by model version m2\n"


def test_an_explanation_is_safe_to_look_at(tmp_path):
    """Nothing in the text steers the terminal, whatever ids and labels hold; JSON keeps them as they are."""
    names = ["\x1b[31mred", "a\nb", "\u202eevil", "x" * 200, "שלום"]
    events = [
        {
            "example_id": names[0],
            "label": n,
            "annotator": n,
            "pred_probs": dict.fromkeys(names, 0.2),
        }
        for n in names
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    store = tmp_path / "s.duckdb"
    assert run_here("replay", file, "--store", store, cwd=tmp_path).exit_code == 0
    text = explain(store, names[0])
    assert all(unicodedata.category(c) not in ("Cc", "Cf") for c in text.replace("\n", ""))
    found = json.loads(explain(store, names[0], "--format", "json"))
    assert {each["given_label"] for each in found["annotations"]} == set(names)


def test_many_classes_are_cut_short(tmp_path):
    """Of many classes the text shows the confident and most probable ones, and says how many are left."""
    labels = [f"l{i:02}" for i in range(30)]
    event = {"example_id": "x", "label": "l07", "pred_probs": dict.fromkeys(labels, 1 / 30)}
    file = write_jsonl(tmp_path / "e.jsonl", [event])
    store = tmp_path / "s.duckdb"
    assert run_here("replay", file, "--store", store, cwd=tmp_path).exit_code == 0
    text = explain(store, "x")
    assert "… and 20 classes with lower p" in text
    assert "l07" in text
    assert (
        len(json.loads(explain(store, "x", "--format", "json"))["annotations"][0]["classes"]) == 30
    )


def test_duplicates_are_named(tmp_path):
    """An example that shares its content with others names them, and whether their labels agree."""
    events = [
        {"example_id": name, "label": label, "text": "same", "pred_probs": {"a": 0.5, "b": 0.5}}
        for name, label in (("x", "a"), ("y", "b"), ("z", "a"))
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    store = tmp_path / "s.duckdb"
    assert run_here("replay", file, "--store", store, cwd=tmp_path).exit_code == 0
    text = explain(store, "y")
    assert "exact duplicate with x, z" in text
    assert "conflicting labels with x, z" in text
