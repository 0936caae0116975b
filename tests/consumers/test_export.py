"""What is taken out can be read back: the same units, the same issues."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.consumers.logs import CLASSES, Log, LogSource, feed
from tests.consumers.stored import difference, query, views, write_jsonl
from tests.consumers.terminal import run_here
from tests.strategies import streams

SUFFIXES = (".jsonl", ".csv", ".parquet")
MOVED = ("topic", "kafka_partition", "kafka_offset")
STRANGE = ['"', "'", ",", "a\nb", "\r", "\t", "\\", "é", "日本", "שלום", "\x00", "\x1f", "null", "NaN", "01",
           "true", " a ", "{", "a.b", "=1+1", "\u2028", "😀", "%s", "#", "\x7f", "\ufeff"]  # fmt: skip
LIVE = ("annotations", "label_issues", "classes", "confident_joint", "duplicates")


def export(store, what, suffix):
    """The exported file."""
    file = store.with_name(f"out{suffix}")
    ended = run_here("export", what, "--to", file, "--store", store, cwd=store.parent)
    assert ended.exit_code == 0, ended.err
    return file, ended.err


def read_back(file, classes):
    """A store of the exported file."""
    store = file.with_name(f"back{file.suffix}.duckdb")
    args = ("replay", file, "--store", store, "--classes", ",".join(classes))
    ended = run_here(*args, cwd=file.parent, settings={"STORE": store})
    assert ended.exit_code == 0, ended.err
    assert " 0 rejected" in ended.err, query(store, "SELECT error, value FROM dead_letters")
    return store


def shown(store):
    """What is live, but for where it came from."""
    found = views(store, without=MOVED)
    return {name: found[name] for name in LIVE}


@settings(max_examples=3)
@given(streams())
def test_an_export_is_the_same_store_again(sents):
    """Replaying an export gives the same units, thresholds, issues and duplicates, in every format."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "s.duckdb")
        feed(store, LogSource(Log.of(sents)), classes=CLASSES)
        known = shown(store)
        for suffix in SUFFIXES:
            file, _ = export(store, "annotations", suffix)
            back = read_back(file, CLASSES)
            assert difference(shown(back), known) is None, suffix
            units = "SELECT example_id, units FROM store.live ORDER BY ALL"
            assert query(back, units) == query(store, units)


_names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6)


@settings(max_examples=2)
@given(st.lists(_names, min_size=2, max_size=4, unique=True), _names, _names)
@example(STRANGE, "x\n,\"'", "a\tb\x00")
def test_strange_names_survive(labels, name, annotator):
    """Labels, ids and annotators of quotes, newlines or control characters come back as they were."""
    events = [
        {
            "example_id": f"{i}{name}" if i else name,
            "label": label,
            "annotator": annotator,
            "text": name,
            "uri": name,
            "model_version": name,
            "expected_label": label,
            "metadata": {name: {"k": [label]}},
            "pred_probs": {label: 0.5, labels[i - 1]: 0.5},
            "annotated_at": "1999-12-31T23:59:59.123456Z",
            "is_gold": bool(i % 2),
            "lead_time_s": i / 3,
            "revision": i,
        }
        for i, label in enumerate(labels)
    ]
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "s.duckdb")
        file = write_jsonl(Path(folder, "e.jsonl"), events)
        (Path(folder) / "labelwatch.toml").write_text("")
        ended = run_here("replay", file, "--store", store, cwd=folder)
        assert (ended.exit_code, " 0 rejected" in ended.err) == (0, True), ended.err
        assert query(store, "SELECT count(*) FROM annotations") == [(len(labels),)]
        columns = (
            "example_id, given_label, annotator, annotation_id, text, uri, model_version, expected_label, "
            "metadata, annotated_at, is_gold, lead_time_s, revision, is_label_issue, label_score"
        )
        known = query(store, f"SELECT {columns} FROM annotations ORDER BY ALL")
        for suffix in SUFFIXES:
            out, _ = export(store, "annotations", suffix)
            back = out.with_name(f"back{suffix}.duckdb")
            again = run_here("replay", out, "--store", back, cwd=folder)
            assert (again.exit_code, " 0 rejected" in again.err) == (0, True), again.err
            assert query(back, f"SELECT {columns} FROM annotations ORDER BY ALL") == known


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_top_of_a_list_comes_out_as_such(suffix, tmp_path):
    """What came as top-k is exported as top-k, and nothing is spread over the other classes."""
    top = {"top_k": [{"label": "b", "p": 0.6}, {"label": "c", "p": 0.1}]}
    file = write_jsonl(
        tmp_path / "e.jsonl", [{"example_id": "x", "label": "a", "pred_probs": top}]
    )
    store = tmp_path / "s.duckdb"
    run_here("replay", file, "--store", store, "--classes", "a,b,c", cwd=tmp_path)
    out, _ = export(store, "annotations", suffix)
    back = read_back(out, "abc")
    for each in (store, back):
        ((is_truncated, units),) = query(each, "SELECT is_truncated, units FROM store.live")
        assert is_truncated
        assert units == [0, round(0.6 * 2**30), round(0.1 * 2**30)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_clean_and_issues_are_the_annotations(suffix, filled):
    """Issues and the clean ones are all live annotations, each once; issues name the suggestion and score."""
    counts = {
        what: int(export(filled, what, suffix)[1].split()[0])
        for what in ("clean", "issues", "annotations")
    }
    issues = query(filled, "SELECT count(*) FROM label_issues")[0][0]
    assert counts["issues"] == issues > 0
    assert counts["clean"] + counts["issues"] == counts["annotations"]
    file, _ = export(filled, "issues", suffix)
    read = f"SELECT annotation_id, suggested_label, label_score FROM '{file}' ORDER BY 1"
    shown = "SELECT annotation_id, suggested_label, label_score FROM label_issues ORDER BY 1"
    assert query(filled, read) == query(filled, shown)


@pytest.mark.parametrize(
    ("target", "exit_code", "says"),
    [
        ("out.txt", 2, "must end with .parquet, .csv or .jsonl"),
        ("out", 2, "must end with"),
        ("nowhere/out.csv", 2, "nowhere is no folder"),
        ("folder.csv", 4, "choose another --to"),
    ],
)
def test_a_target_that_cannot_be(target, exit_code, says, filled, tmp_path):
    """A wrong --to is told in one line, and leaves nothing behind."""
    (tmp_path / "folder.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    ended = run_here("export", "clean", "--to", target, "--store", filled, cwd=tmp_path)
    assert ended.exit_code == exit_code, ended.err
    assert says in ended.fault
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_replaces_the_file_as_a_whole(filled, tmp_path):
    """The file that was there stays until the new one is complete."""
    (tmp_path / "it's.csv").write_text("old")
    ended = run_here("export", "clean", "--to", "it's.csv", "--store", filled, cwd=tmp_path)
    assert ended.exit_code == 0, ended.err
    assert (tmp_path / "it's.csv").read_text().startswith("example_id,label,")
    assert not list(tmp_path.glob("*.part"))
