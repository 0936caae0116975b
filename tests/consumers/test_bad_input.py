"""Bad input, end to end: a defined answer that names the field and the fix, and nothing is lost."""

from __future__ import annotations

import hashlib
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.consumers.stored import query, tables, write_jsonl
from tests.consumers.terminal import run_here

CLASSES = "a,b,c"
P = [0.25, 0.25, 0.5]


def event(**fields):
    """A good event, but for these fields; None leaves one out."""
    made = {"example_id": "x", "label": "a", "pred_probs": P} | fields
    return json.dumps({name: value for name, value in made.items() if value is not None}).encode()


def probs(*values):
    """An event with these probabilities, written as they are."""
    return event(pred_probs="P").replace(b'"P"', f"[{', '.join(values)}]".encode())


CASES = {
    # what arrives: bytes, reason, how the error begins, what it must say
    "wrong type of label": (event(label=[1]), "wrong_type", "label: ", "send one class name"),
    "boolean label": (event(label=True), "wrong_type", "label: ", "class name"),
    "label as a number": (event(label=1.5), "wrong_type", "label: ", "class name"),
    "text as probabilities": (event(pred_probs="a"), "wrong_type", "pred_probs: ", "list of num"),
    "text as a probability": (
        probs("0.5", '"a"', "0.5"),
        "wrong_type",
        "pred_probs[1]: ",
        "0 to 1",
    ),
    "null as a probability": (
        probs("0.5", "null", "0.5"),
        "wrong_type",
        "pred_probs[1]: ",
        "0 to 1",
    ),
    "text as a revision": (event(revision="new"), "wrong_type", "revision: ", "integer"),
    "text as a time": (event(annotated_at="noon"), "wrong_type", "annotated_at: ", "RFC 3339"),
    "time off the calendar": (event(annotated_at=-1e12), "wrong_type", "annotated_at: ", "19"),
    "list as metadata": (event(metadata=[]), "wrong_type", "metadata: ", "JSON object"),
    "negative duration": (event(lead_time_s=-1), "wrong_type", "lead_time_s: ", "0 or more"),
    "no example": (event(example_id=None), "missing_field", "example_id: is missing", "[fields]"),
    "empty example": (
        event(example_id=""),
        "missing_field",
        "example_id: is empty",
        "send the id",
    ),
    "no label": (event(label=None), "missing_field", "label: is missing", "[fields]"),
    "prediction without probabilities": (
        event(type="prediction", label=None, pred_probs=None),
        "missing_field",
        "pred_probs: is missing",
        "send it",
    ),
    "unknown type": (event(type="vote"), "unknown_type", "type: ", "annotation, prediction"),
    "unknown outcome": (event(type="review", outcome="ok"), "wrong_type", "outcome: ", "accepted"),
    "two names, two values": (
        event(given_label="b"),
        "conflicting_fields",
        "label: is given more than once",
        "send one",
    ),
    "NaN": (probs("NaN", "0.5", "0.5"), "probs_not_finite", "pred_probs[0]: ", "0 to 1"),
    "Infinity": (probs("0.5", "0.5", "Infinity"), "probs_not_finite", "pred_probs[2]: ", "0 to 1"),
    "-Infinity": (probs("0.5", "-Infinity", "0"), "probs_not_finite", "pred_probs[1]: ", "0 to 1"),
    "1e999": (probs("1e999", "0.5", "0.5"), "probs_not_finite", "pred_probs[0]: ", "0 to 1"),
    "huge integer": (probs("9" * 400, "0", "0"), "probs_not_finite", "pred_probs[0]: ", "0 to 1"),
    "negative": (event(pred_probs=[-0.5, 0.5, 1]), "probs_out_of_range", "pred_probs: ", "scores"),
    "above one": (event(pred_probs=[2, 0, 0]), "probs_out_of_range", "pred_probs: ", "scores"),
    "sums to 0.9": (event(pred_probs=[0.3] * 3), "probs_not_normalised", "pred_probs: ", "0.9"),
    "sums to 1.05": (event(pred_probs=[0.35] * 3), "probs_not_normalised", "pred_probs: ", "1.05"),
    "too short": (
        event(pred_probs=[0.5, 0.5]),
        "probs_wrong_length",
        "pred_probs: 2 values",
        "3 cl",
    ),
    "too long": (
        event(pred_probs=[0.25] * 4),
        "probs_wrong_length",
        "pred_probs: 4 values",
        "3 cl",
    ),
    "empty list": (
        event(pred_probs=[]),
        "probs_wrong_length",
        "pred_probs: is []",
        "leave it out",
    ),
    "unknown label": (
        event(label="zebra"),
        "unknown_label",
        "label: 'zebra'",
        "configured classes",
    ),
    "unknown class in a map": (
        event(pred_probs={"a": 0.5, "zebra": 0.5}),
        "unknown_label",
        "pred_probs: 'zebra'",
        "configured classes",
    ),
    "index out of range": (event(label=3), "label_index_out_of_range", "label: index 3", "0…2"),
    "huge index": (event(label=2**70), "label_index_out_of_range", "label: ", "index of a class"),
    "embedding of text": (event(embedding="%"), "bad_embedding", "embedding: ", "base64"),
    "embedding of 3 bytes": (event(embedding="AAAA"), "bad_embedding", "embedding: ", "3 bytes"),
    "10 MB": (event(text="x" * 10_000_000), "too_large", "value: has 10,000,0", "8,388,608"),
    "deep nesting": (
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
        "malformed_json",
        "value: ",
        "64 lev",
    ),
    "deep list": (b"[" * 100_000, "malformed_json", "value: ", ""),
    "deep metadata": (
        event(metadata="M").replace(b'"M"', b'{"a":' * 70 + b"1" + b"}" * 70),
        "malformed_json",
        "value: is nested too deeply",
        "64 levels",
    ),
    "invalid UTF-8": (b'{"example_id":"\xff"}', "malformed_json", "value: byte ", "send UTF-8"),
    "half a surrogate": (
        event(text="T").replace(b"T", rb"\ud800"),
        "malformed_json",
        "value: ",
        "surro",
    ),
    "huge revision": (event(revision=2**64), "wrong_type", "revision: ", "2^63 - 1"),
    "number of a thousand digits": (
        event(revision="R").replace(b'"R"', b"9" * 1_000),
        "wrong_type",
        "revision: ",
        "2^63 - 1",
    ),
    "cut off": (event()[:-9], "malformed_json", "value: is not JSON", "one JSON object"),
    "no JSON": (b"hello", "malformed_json", "value: is not JSON", "one JSON object"),
    "a list": (b"[1]", "not_an_object", "value: is a list", "own record"),
    "null": (b"null", "not_an_object", "value: is the text null", "tombstone"),
    "a number": (b"5", "not_an_object", "value: is not a JSON object", ""),
    "JSON in a string": (
        json.dumps(event().decode()).encode(),
        "not_an_object",
        "value: ",
        "itself",
    ),
    "registry Avro": (b"\0\0\0\0\x07\x02x\x02a", "unsupported_encoding", "value: looks ", "Avro"),
    "registry JSON": (b"\0\0\0\0\x07" + event(), "unsupported_encoding", "value: ", "serializer"),
    "UTF-16": (b'\xff\xfe{\0"\0', "unsupported_encoding", "value: looks like UTF-16", "UTF-8"),
    "gzip": (b"\x1f\x8b\x08abc", "unsupported_encoding", "value: looks like compressed", "Kafka"),
}
WHOLE_MAX = 1 << 20


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    """A store after all of them, each behind a good record and an empty line; and what the command said."""
    folder = tmp_path_factory.mktemp("bad")
    lines = []
    for i, (value, *_) in enumerate(CASES.values()):
        lines += [event(example_id=f"good{i}"), b"", value]
    file = write_jsonl(folder / "e.jsonl", lines)
    ended = run_here("replay", file, "--store", "s.duckdb", "--classes", CLASSES, cwd=folder)
    return folder / "s.duckdb", ended


@pytest.mark.parametrize("name", CASES)
def test_a_bad_record_is_a_dead_letter(name, bad):
    """It keeps its bytes, place and reason, and an error in one line that names the field and the fix."""
    value, reason, begins, says = CASES[name]
    offset = 3 * list(CASES).index(name) + 2
    ((kept, size, digest, found, error),) = query(
        bad[0],
        "SELECT value, value_size, value_sha256, reason, error FROM dead_letters WHERE kafka_offset = ?",
        offset,
    )
    assert (found, kept) == (reason, value[:WHOLE_MAX]), error
    assert size == len(value)
    assert digest == (hashlib.sha256(value).hexdigest() if len(value) > WHOLE_MAX else None)
    assert error.startswith(begins)
    assert says in error
    assert len(error) < 500
    assert error.isprintable()


def test_no_good_record_is_lost(bad):
    """The good records between the bad ones are live, empty lines are nothing, and the run ends well."""
    store, ended = bad
    assert ended.exit_code == 0
    assert f"{2 * len(CASES)} records read; {len(CASES)} rejected" in ended.err
    assert query(store, "SELECT count(*) FROM annotations") == [(len(CASES),)]
    assert query(store, "SELECT count(*) FROM dead_letters") == [(len(CASES),)]


GOOD_ODDITIES = {
    "a key given twice": (b'{"example_id":"x","label":"b","label":"a"}', "a"),
    "a number as id": (b'{"example_id":5,"label":"a"}', "a"),
    "an index": (b'{"example_id":"x","label":2}', "c"),
    "unknown fields": (b'{"example_id":"x","label":"a","colour":{"r":1}}', "a"),
    "an alias": (b'{"example_id":"x","given_label":"b","worker":"w"}', "b"),
    "a byte order mark": (b'\xef\xbb\xbf{"example_id":"x","label":"a"}', "a"),
    "a carriage return": (b'{"example_id":"x","label":"a"}\r', "a"),
    "escapes": (rb'{"example_id":"\u0000\ud83d\ude00","label":"a"}', "a"),
}


@pytest.mark.parametrize("name", GOOD_ODDITIES)
def test_odd_but_good(name, tmp_path):
    """What looks odd but has one meaning is taken: the last of two equal keys, numbers as ids, aliases."""
    value, label = GOOD_ODDITIES[name]
    file = write_jsonl(tmp_path / "e.jsonl", [value])
    ended = run_here("replay", file, "--store", "s.duckdb", "--classes", CLASSES, cwd=tmp_path)
    assert ended.exit_code == 0, ended.err
    assert query(tmp_path / "s.duckdb", "SELECT given_label FROM pending") == [(label,)]


def test_lists_without_a_class_list(tmp_path):
    """A list of probabilities beside a class name, and no class list: the error says what to set."""
    file = write_jsonl(tmp_path / "e.jsonl", [event()])
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 4
    assert "probs_without_classes: pred_probs: " in ended.fault
    assert "set `classes` or send a map" in ended.fault


def test_too_many_classes(tmp_path):
    """Discovered classes end at 1,000: an id in the place of the label is found out."""
    file = write_jsonl(
        tmp_path / "e.jsonl", [{"example_id": f"x{i}", "label": f"l{i}"} for i in range(1_010)]
    )
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert ended.exit_code == 0
    assert "10 rejected (too_many_classes 10)" in ended.err


def test_too_many_pending(tmp_path):
    """Annotations beyond the cap of those that wait for a prediction are dead letters, and named."""
    file = write_jsonl(
        tmp_path / "e.jsonl", [event(example_id=f"x{i}", pred_probs=None) for i in range(5)]
    )
    args = ("replay", file, "--store", "s.duckdb", "--classes", CLASSES)
    ended = run_here(*args, cwd=tmp_path, settings={"PENDING_MAX": 3})
    assert ended.exit_code == 0
    assert "2 rejected (pending_overflow 2)" in ended.err
    errors = query(tmp_path / "s.duckdb", "SELECT error FROM dead_letters")
    assert all(error.startswith("pred_probs: none came") for (error,) in errors)


COLUMNS = {"example_id": ["x", "y"], "label": ["a", "b"]}


def refused(folder, file, settings=None):
    """Why a file is refused with exit code 4; whatever the store held, it still does."""
    store = folder / "s.duckdb"
    known = tables(store) if store.exists() else None
    ended = run_here("replay", file, "--store", store, cwd=folder, settings=settings)
    assert ended.exit_code == 4, ended
    if known is not None:
        assert tables(store) == known
    return ended.fault


def test_a_truncated_parquet_file(tmp_path):
    """A Parquet file that was cut off is refused."""
    file = tmp_path / "e.parquet"
    pq.write_table(pa.table(COLUMNS), file)
    whole = file.read_bytes()
    for end in (3, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:end])
        assert "e.parquet" in refused(tmp_path, file)


def test_a_csv_file_without_header(tmp_path):
    """A CSV file whose first line is no header is refused, and the line says what is missing."""
    file = tmp_path / "e.csv"
    file.write_text("x,a\ny,b\n")
    assert "header" in refused(tmp_path, file)
    file.write_text("example_id,label\nx,a\ny,b\n")
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_file_that_is_not_what_it_was(suffix, tmp_path):
    """A file that shrank or changed is refused; restored or grown, it goes on where it was."""
    file = tmp_path / f"e.{suffix}"

    def write(*labels):
        columns = {"example_id": [f"x{i}" for i in range(len(labels))], "label": list(labels)}
        if suffix == "parquet":
            pq.write_table(pa.table(columns), file)
            return
        rows = list(zip(*columns.values(), strict=True))
        if suffix == "csv":
            file.write_text("\n".join(",".join(row) for row in [tuple(columns), *rows]) + "\n")
        else:
            write_jsonl(file, [dict(zip(columns, row, strict=True)) for row in rows])

    write("a", "b", "a")
    assert run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path).exit_code == 0
    write("a", "b")
    assert "no longer the 3 records" in refused(tmp_path, file)
    write("a", "a", "a", "b")
    assert "not those read last time" in refused(tmp_path, file)
    write("a", "b", "a", "b")
    ended = run_here("replay", file, "--store", "s.duckdb", cwd=tmp_path)
    assert (ended.exit_code, ended.err.split(";")[0]) == (0, "1 records read")


def test_a_csv_file_whose_mapping_comes_later(tmp_path):
    """A CSV file that was rejected for its column names is read again once the mapping is set."""
    file = tmp_path / "e.csv"
    file.write_text("item,label,text\n" + "".join(f"x{i},a,t\n" for i in range(3)))
    args = ("replay", file, "--store", "s.duckdb", "--keep-going")
    first = run_here(*args, cwd=tmp_path)
    assert (first.exit_code, "3 rejected" in first.err) == (0, True), first.err
    settings = {"FIELDS__EXAMPLE_ID": "item"}
    ended = run_here(*args, cwd=tmp_path, settings=settings)
    assert ended.exit_code == 0, ended.err
    assert query(tmp_path / "s.duckdb", "SELECT count(*) FROM pending") == [(3,)]
    assert query(tmp_path / "s.duckdb", "SELECT count(*) FROM dead_letters") == [(0,)]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("nope.jsonl", None, "No such file"),
        ("e.json", b'[{"example_id":"x"}]', "jq -c"),
        ("e.json", b'{\n "example_id": "x"\n}', "jq -c"),
        ("e.jsonl.zst", b"(\xb5/\xfdabc", "zstd -dc"),
        ("e.xlsx", b"PK\x03\x04abc", "ZIP"),
        ("e.csv", b"\xff\xfee\0", "iconv"),
        ("e.jsonl.gz", b"\x1f\x8b\x08\x00abc", "e.jsonl.gz"),
        ("e.parquet", b"no parquet", "e.parquet"),
    ],
)
def test_a_file_that_cannot_be_read(name, content, says, tmp_path):
    """A file that is missing, or of a format that is not read, is told in one line with the way out."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert says in refused(tmp_path, name)


def test_an_empty_file(tmp_path):
    """A file without records is fine."""
    for content in (b"", b"\n\n \n"):
        (tmp_path / "e.jsonl").write_bytes(content)
        ended = run_here("replay", "e.jsonl", "--store", "s.duckdb", "--strict", cwd=tmp_path)
        assert (ended.exit_code, ended.err.split(";")[0]) == (0, "0 records read")


def test_probabilities_are_never_nan(bad):
    """Whatever came in, what the views show is finite and between 0 and 1."""
    rows = query(
        bad[0],
        "SELECT unnest(pred_probs) FROM annotations UNION SELECT label_score FROM annotations",
    )
    assert all(math.isfinite(p) and 0 <= p <= 1 for (p,) in rows)
