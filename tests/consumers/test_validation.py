"""`labelwatch validate` says what `replay` would do, and writes nothing."""

from __future__ import annotations

import os

import pytest

from tests.consumers.stored import query, write_jsonl
from tests.consumers.streams import BAD, busy_stream
from tests.consumers.terminal import run_here


def validate(file, *args, **options):
    """The report."""
    ended = run_here("validate", file, *args, cwd=file.parent, **options)
    assert ended.exit_code == 0, ended.err
    assert ended.err == ""
    return ended.out


def test_validate_and_replay_agree(stream, tmp_path):
    """What validate counts as rejected, and why, is what replay makes dead letters."""
    store = tmp_path / "s.duckdb"
    assert run_here("replay", stream, "--store", store, cwd=tmp_path).exit_code == 0
    report = validate(stream)
    reasons = query(store, "SELECT reason, count(*) FROM dead_letters GROUP BY 1")
    total = sum(count for _, count in reasons)
    assert report.startswith(f"300 records: {300 - total} would be accepted, {total} rejected\n")
    for reason, count in reasons:
        assert f"\nrejected, {reason}: {count}\n" in report
    for offset, error in query(
        store,
        "SELECT min(kafka_offset), min_by(error, kafka_offset) FROM dead_letters GROUP BY reason",
    ):
        assert f"\n  record {offset}: {error}\n" in f"{report}"


def test_validate_writes_nothing(stream, tmp_path):
    """It leaves nothing behind, not even a store."""
    file = write_jsonl(tmp_path / "e.jsonl", busy_stream(2, 50))
    validate(file)
    assert [each.name for each in tmp_path.iterdir()] == ["e.jsonl"]


def test_the_mapping_that_would_help(tmp_path):
    """The mapping it prints is a configuration, and with it everything is accepted."""
    events = [{"item": {"uuid": f"u{i}"}, "category": "a", "scores": [0.5, 0.5]} for i in range(9)]
    file = write_jsonl(tmp_path / "e.jsonl", events)
    report = validate(file, "--classes", "a,b")
    assert "9 records: 0 would be accepted, 9 rejected" in report
    config = tmp_path / "labelwatch.toml"
    config.write_text(report[report.rindex("[fields]") :])
    again = validate(file, "--classes", "a,b")
    assert again.startswith("9 records: 9 would be accepted, 0 rejected\naccepted: annotation 9\n")
    assert "classes (configured, 2): a, b" in again


@pytest.mark.parametrize(
    ("lines", "exit_code"), [([BAD[0]], 1), ([b'{"example_id":"x","label":"a"}'], 0)]
)
def test_strict(lines, exit_code, tmp_path):
    """With --strict a rejected record is exit code 1."""
    file = write_jsonl(tmp_path / "e.jsonl", lines)
    ended = run_here("validate", file, "--strict", cwd=tmp_path)
    assert (ended.exit_code, ended.err) == (exit_code, "")


def test_limit(tmp_path):
    """It reads no more than it was told."""
    file = write_jsonl(tmp_path / "e.jsonl", busy_stream(2, 50))
    assert validate(file, "--limit", "7").startswith("7 records: ")


def test_annotations_that_would_wait(tmp_path):
    """Annotations without probabilities are counted: they wait for a prediction."""
    file = write_jsonl(tmp_path / "e.jsonl", [{"example_id": "x", "label": "a"}])
    assert "which wait for a prediction: 1" in validate(file)


def test_a_missing_file(tmp_path):
    """A file that cannot be read is exit code 4."""
    ended = run_here("validate", "nope.jsonl", cwd=tmp_path)
    assert (ended.exit_code, ended.out) == (4, "")
    assert "No such file" in ended.fault


def test_a_report_is_printable(tmp_path):
    """Whatever the records hold, the report does not steer the terminal."""
    file = write_jsonl(
        tmp_path / "e.jsonl", [b"\x1b[31m", b'{"example_id":"\\u001b[0m","label":"\\u202e"}']
    )
    report = validate(file)
    assert "\x1b" not in report
    assert "\u202e" not in report
    assert os.linesep in report
