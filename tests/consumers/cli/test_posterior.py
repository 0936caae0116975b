"""The posterior of an example, as `explain` shows it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.consumers.stored import query, tamper, write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here

MANY = [f"l{i:02}" for i in range(60)]


def explained(store, example):
    """What is said of the consensus of an example."""
    ended = run_here("explain", example, "--format", "json", "--store", store, cwd=store.parent)
    assert (ended.exit_code, ended.err) == (0, "")
    return json.loads(ended.out)["consensus"]


def replayed(folder, events):
    """A store that has read these events to the end."""
    file = write_jsonl(folder / "e.jsonl", events)
    store = folder / "s.duckdb"
    assert run_here("replay", file, "--store", store, cwd=folder).exit_code == 0
    return store


def assert_it_is_what_is_published(store, example):
    """The explained posterior of an example is what the views say, and the sum of its parts."""
    found = explained(store, example)
    shown = query(
        store,
        "SELECT annotation_id, annotator, given_label, label_quality FROM annotations "
        "WHERE example_id = ? ORDER BY 1",
        example,
    )
    names = ("annotation_id", "annotator", "given_label")
    for quality in ("label_quality", "published_quality"):
        assert [
            tuple(vote[name] for name in (*names, quality)) for vote in found["votes"]
        ] == shown
    consensus = query(
        store,
        "SELECT consensus_label, consensus_quality FROM examples WHERE example_id = ?",
        example,
    )
    assert [(found["consensus_label"], found["consensus_quality"])] == consensus
    assert [(found["published_label"], found["published_quality"])] == consensus
    parts = np.array([vote["parts"] for vote in found["votes"]])
    logs = np.array([each["model_part"] for each in found["classes"]]) + parts.sum(axis=0)
    likelihoods = np.exp(logs - logs.max())
    posterior = [each["posterior"] for each in found["classes"]]
    assert np.allclose(likelihoods / likelihoods.sum(), posterior, rtol=0, atol=1e-9)
    p = np.array([each["p"] for each in found["classes"]])
    model = [each["model_part"] for each in found["classes"]]
    assert np.allclose(found["model_weight"] * np.log(np.maximum(p, 1e-6)), model, atol=1e-9)


def test_the_posterior_is_what_is_published(tmp_path):
    """At the end of a file it is so for every label, after relabels, deletions and several models."""
    store = replayed(tmp_path, map(json.loads, filter(_is_object, busy_stream(2, 900))))
    examples = query(
        store,
        "SELECT example_id FROM annotations GROUP BY ALL "
        "ORDER BY count(DISTINCT given_label) DESC, count(*) DESC, 1 LIMIT 8",
    )
    assert len(query(store, "SELECT DISTINCT model_version FROM annotations")) > 1
    for (example,) in examples:
        assert_it_is_what_is_published(store, example)


def _is_object(line):
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def test_with_many_classes_everybody_has_one_rate(tmp_path):
    """Above 50 classes a label says the same of all classes but its own, and it is what is published."""
    random = np.random.default_rng(5)
    events = []
    for i in range(40):
        probs = random.dirichlet(np.full(len(MANY), 0.1))
        events += [
            {
                "example_id": f"x{i}",
                "label": str(random.choice(MANY, p=probs)),
                "annotator": annotator,
                "pred_probs": dict(zip(MANY, probs.tolist(), strict=True)),
            }
            for annotator in "abc"
        ]
    store = replayed(tmp_path, events)
    for example in ("x0", "x7", "x39"):
        assert_it_is_what_is_published(store, example)
        for vote in explained(store, example)["votes"]:
            assert len(set(vote["parts"])) == 2


@pytest.fixture
def disputed(tmp_path):
    """A store of which one example has two labels."""
    pred_probs = {"cat": 0.3, "dog": 0.7}
    events = [
        {"example_id": "x", "label": label, "annotator": who, "pred_probs": pred_probs}
        for label, who in (("cat", "ann"), ("dog", "bob"))
    ]
    return replayed(tmp_path, events)


def test_the_text_says_who_speaks_for_it(disputed):
    """The model and each label speak for the consensus or against it, and their log odds add up."""
    ended = run_here("explain", "x", "--store", disputed, cwd=disputed.parent)
    lines = ended.out.splitlines()
    found = explained(disputed, "x")
    assert f"consensus dog with probability {found['consensus_quality']:.6g}" in lines
    at = lines.index("  log odds of dog against cat, and the quality of each label")
    shown = {line[2:54].strip(): float(line[54:].split()[0]) for line in lines[at + 1 : at + 5]}
    assert list(shown) == ["model (weight 1.5)", "cat by ann", "dog by bob", "all together"]
    assert shown["cat by ann"] < 0 < shown["dog by bob"]
    *parts, total = shown.values()
    assert sum(parts) == pytest.approx(total, abs=2e-3)
    assert "published" not in ended.out


def test_what_is_published_may_lag_behind(disputed):
    """Where another value is published, both are told."""
    other = "list_transform(consensus_quality, lambda _: 0.25)"
    tamper(disputed, f"UPDATE store.opinion SET consensus_quality = {other}")
    found = explained(disputed, "x")
    assert found["published_quality"] == 0.25 != found["consensus_quality"]
    said = run_here("explain", "x", "--store", disputed, cwd=disputed.parent).out
    assert "published: dog with 0.25; the next sweep brings it up to date" in said
    tamper(disputed, "DELETE FROM store.opinion")
    found = explained(disputed, "x")
    assert found["published_label"] is found["published_quality"] is None
    said = run_here("explain", "x", "--store", disputed, cwd=disputed.parent).out
    assert "published: nothing yet" in said


def test_without_labels_there_is_no_consensus(tmp_path):
    """An example that nobody labelled has none."""
    event = {"type": "prediction", "example_id": "alone", "pred_probs": {"a": 1.0}}
    assert explained(replayed(tmp_path, [event]), "alone") is None


def test_one_class_leaves_nothing_to_weigh(tmp_path):
    """With a single class the consensus is that class."""
    event = {"example_id": "x", "label": "a", "pred_probs": {"a": 1.0}}
    store = replayed(tmp_path, [event])
    assert explained(store, "x")["consensus_quality"] == 1.0
    assert "log odds" not in run_here("explain", "x", "--store", store, cwd=tmp_path).out
