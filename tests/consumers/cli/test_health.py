"""`labelwatch health` and `flags --filter` say what cleanlab 2.9 says of the rows in the store."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from cleanlab.count import estimate_joint, estimate_latent
from cleanlab.dataset import find_overlapping_classes, health_summary
from cleanlab.filter import find_label_issues

from consumers.batch import FILTERS
from tests.consumers.stored import query, write_jsonl
from tests.consumers.streams import busy_stream
from tests.consumers.terminal import run_here

ROWS = """
SELECT annotation_id, given_label, pred_probs FROM annotations
WHERE model_version IS NOT DISTINCT FROM ? ORDER BY annotation_id
"""


@pytest.fixture(scope="module", params=range(4))
def store(request, tmp_path_factory):
    """A store of a stream with a little of everything: several model versions and classes."""
    folder = tmp_path_factory.mktemp("health")
    file = write_jsonl(folder / "e.jsonl", busy_stream(request.param, 1_500))
    assert run_here("replay", file, "--store", "s.duckdb", cwd=folder).exit_code == 0
    return folder / "s.duckdb"


def ask(store, *args):
    """What a command prints, and what it tells."""
    ended = run_here(*args, "--store", store, cwd=store.parent)
    assert ended.exit_code == 0, ended.err
    return ended


def strata(store):
    """Model version, ids, labels and pred_probs of the live rows, and the class list."""
    classes = [row[0] for row in query(store, "SELECT label FROM store.class ORDER BY class")]
    versions = query(store, "SELECT DISTINCT model_version FROM annotations ORDER BY ALL")
    for (version,) in versions:
        ids, given, pred_probs = zip(*query(store, ROWS, version), strict=True)
        labels = np.array([classes.index(label) for label in given])
        yield version, np.array(ids), labels, np.array(pred_probs), classes


def test_the_summary_is_cleanlabs(store):
    """Score, class table, calibrated joint and noise matrices equal those of cleanlab on the live rows."""
    found = json.loads(ask(store, "health", "--format", "json").out)
    cells = json.loads(ask(store, "health", "--cells", "--format", "json").out)
    of = {each["model_version"]: each for each in found["model_versions"]}
    compared = 0
    for version, _, labels, pred_probs, classes in strata(store):
        theirs = health_summary(labels, pred_probs, class_names=classes, verbose=False)
        assert of[version]["label_health_score"] == theirs["overall_label_health_score"]
        table = theirs["classes_by_label_quality"].set_index("Class Name")
        shown = of[version]["classes"]
        assert [row["label_quality"] for row in shown] == list(table["Label Quality Score"])
        for row in shown:
            assert row["wrongly_given_count"] == table["Label Issues"][row["label"]]
            assert row["inverse_label_noise"] == table["Inverse Label Noise"][row["label"]]
        assert_cells_are_cleanlabs(cells, version, labels, pred_probs, classes)
        compared += 1
    assert compared == len(of) == 3


def assert_cells_are_cleanlabs(cells, version, labels, pred_probs, classes):
    """Joint and noise matrices, put together from their cells, are cleanlab's."""
    K = len(classes)
    joint, noise, inverse, counts = (np.zeros((K, K)) for _ in range(4))
    for row in cells:
        if row["model_version"] == version:
            i, j = classes.index(row["given_label"]), classes.index(row["true_label"])
            joint[i, j], noise[i, j], inverse[j, i], counts[i, j] = (
                row[name] for name in ("joint", "noise", "inverse_noise", "calibrated_count")
            )
    assert np.array_equal(joint, estimate_joint(labels, pred_probs))
    _, theirs, their_inverse = estimate_latent(counts.astype(int), labels)
    assert np.array_equal(noise, theirs)
    assert np.array_equal(inverse, their_inverse)


@pytest.mark.parametrize("filter_by", FILTERS)
def test_filters_are_cleanlabs(filter_by, store):
    """`flags --filter` lists what the filter of cleanlab flags among the live rows, and nothing else."""
    assert_filter_is_cleanlabs(filter_by, store)


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """A store of MNIST's test set with the probabilities of a real model."""
    if "LABELWATCH_DATA" not in os.environ:
        pytest.skip("LABELWATCH_DATA names no folder of data")
    folder = tmp_path_factory.mktemp("digits")
    with np.load(Path(os.environ["LABELWATCH_DATA"], "label_errors_mnist_test_set.npz")) as data:
        labels, pred_probs = data["labels"].tolist(), data["pred_probs"].astype(float)
    names = [f"digit {k}" for k in range(10)]
    file = write_jsonl(
        folder / "e.jsonl",
        (
            {"example_id": f"x{i}", "label": names[label], "pred_probs": list(map(float, row))}
            for i, (label, row) in enumerate(zip(labels, pred_probs, strict=True))
        ),
    )
    asked = ("replay", file, "--store", "s.duckdb", "--classes", ",".join(names))
    assert run_here(*asked, cwd=folder).exit_code == 0
    return folder / "s.duckdb"


@pytest.mark.parametrize("filter_by", FILTERS)
def test_filters_are_cleanlabs_on_real_data(filter_by, digits):
    """So they do with the probabilities of a real model, many of which are equal."""
    assert_filter_is_cleanlabs(filter_by, digits)


def assert_filter_is_cleanlabs(filter_by, store):
    """What is listed is what cleanlab flags, most suspect first."""
    listed = json.loads(ask(store, "flags", "--filter", filter_by, "--format", "json").out)
    expected = set()
    for _, ids, labels, pred_probs, _ in strata(store):
        with warnings.catch_warnings():
            # cleanlab's remark on classes of one annotation, which some filters leave out.
            warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
            mask = find_label_issues(labels, pred_probs, filter_by=filter_by, n_jobs=1)
        expected |= set(ids[mask].tolist())
    assert {row["annotation_id"] for row in listed} == expected
    assert len(listed) == len(expected) > 0
    order = [(row["label_score"], row["annotation_id"]) for row in listed]
    assert order == sorted(order)


def test_confident_learning_is_what_the_loop_keeps(store):
    """The filter that is kept live needs no cleanlab to be the same."""
    kept, asked = ask(store, "flags").out, ask(store, "flags", "--filter", FILTERS[3]).out
    assert kept == asked
    assert FILTERS[3] == "confident_learning"


def test_other_options_still_narrow_a_filter(store):
    """Annotator, label, model version and limit narrow what a filter lists."""
    every = json.loads(ask(store, "flags", "--filter", "both", "--format", "json").out)
    for option, column, value in (
        ("--annotator", "annotator", "ann"),
        ("--label", "given_label", "a"),
        ("--model-version", "model_version", "m2"),
    ):
        asked = ("flags", "--filter", "both", "--format", "json", option, value)
        expected = [row for row in every if row[column] == value]
        assert json.loads(ask(store, *asked).out) == expected
        ended = ask(store, *asked, "--limit", 1)
        assert json.loads(ended.out) == expected[:1]
        assert (
            ended.err
            == f"1 of {len(expected)} annotations that both flags; see more with --limit\n"
        )


def test_overlapping_classes_are_cleanlabs(store):
    """`health --overlapping` is cleanlab's table, without pairs that never meet."""
    found = json.loads(ask(store, "health", "--overlapping", "--format", "json").out)
    for version, _, labels, pred_probs, classes in strata(store):
        table = find_overlapping_classes(labels, pred_probs, class_names=classes)
        table = table[table["Joint Probability"] > 0]
        expected = zip(
            table["Class Name A"],
            table["Class Name B"],
            table["Num Overlapping Examples"],
            table["Joint Probability"],
            strict=True,
        )
        shown = [tuple(row.values())[:4] for row in found if row["model_version"] == version]
        assert shown == list(expected)


def test_a_store_without_annotations_has_nothing_to_judge(tmp_path):
    """An empty store gives an empty table and a line that says why; no filter flags anything."""
    file = write_jsonl(tmp_path / "e.jsonl", [{"example_id": "x", "label": "a"}])
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    ended = ask(tmp_path / "s.duckdb", "health")
    assert len(ended.out.splitlines()) == 1
    assert ended.err == "no annotation has a prediction yet, so there is nothing to judge\n"
    found = json.loads(ask(tmp_path / "s.duckdb", "health", "--format", "json").out)
    assert found["label_health_score"] is None
    assert ask(tmp_path / "s.duckdb", "flags", "--filter", "both").out.count("\n") == 1


@pytest.mark.parametrize("label", ["a", "b"])
def test_one_class_cannot_be_told_from_another(label, tmp_path):
    """Where all annotations have one class, nothing is wrong, and the line says why."""
    events = [
        {"example_id": f"x{i}", "label": label, "pred_probs": {"a": 0.3, "b": 0.7}}
        for i in range(5)
    ]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    ended = ask(tmp_path / "s.duckdb", "health")
    assert ended.err == (
        "5 annotations, 0 label issues; all have one class, so there is nothing to compare it with\n"
    )
    rows = {row["label"]: row for row in csv.DictReader(io.StringIO(ended.out))}
    assert rows[label]["label_quality"] == "1.0"
    assert ask(tmp_path / "s.duckdb", "flags", "--filter", "both").out.count("\n") == 1


def test_without_cleanlab_the_line_says_how_to_install_it(filled, tmp_path, monkeypatch):
    """Native figures need no cleanlab; what is cleanlab's own ends with 2 and the command to install it."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cleanlab"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    assert run_here("health", "--store", filled, cwd=tmp_path).exit_code == 0
    for asked in (("health", "--overlapping"), ("flags", "--filter", "both")):
        ended = run_here(*asked, "--store", filled, cwd=tmp_path)
        assert ended.exit_code == 2
        assert "from a clone of labelwatch: pip install '.[cleanlab]'" in ended.fault
