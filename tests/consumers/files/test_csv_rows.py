from __future__ import annotations

import csv
import io
import json
import tempfile
from itertools import chain, repeat
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError
from consumers.files.chunk import ReadSettings
from consumers.files.csv_rows import CsvReader
from consumers.files.header import Header
from consumers.files.lines import WholeLines
from monitor.events import LargeValue, Reason

NAMES = ["example_id", "label", "text", 'odd "name"', "metadata.source"]
cells = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from('",\n\r;\t[{'))


def _rows_of(read, path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [json.loads(value) for value in read([path], **options).values]


@settings(deadline=None)
@given(rows=st.lists(st.lists(cells, min_size=5, max_size=5)), delimiter=st.sampled_from(",;\t"))
def test_cells_come_back_as_they_were(read, rows, delimiter):
    """Every text survives, quoted or not; an empty cell is an absent field."""
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([NAMES, *rows])
    with tempfile.TemporaryDirectory() as folder:
        (path := Path(folder, "a.csv")).write_bytes(table.getvalue().encode())
        found = [json.loads(value) for value in read([path]).values]
    wanted = []
    for row in rows:
        fields = {name: cell for name, cell in zip(NAMES, row, strict=True) if cell}
        if source := fields.pop("metadata.source", None):
            fields["metadata"] = {"source": source}
        wanted.append(fields)
    assert found == wanted


@given(
    text=st.lists(st.sampled_from([b"\n", b"\r\n", b'"', b",", b"a", b"\xc3\xa9", b"\xff"])),
    cuts=st.lists(st.integers(0, 60)),
    sizes=st.lists(st.integers(1, 5)),
)
@example(text=[b"a,", b'"', b"\n", b"\n", b'"', b"\n", b"a,a\n"], cuts=[14, 18], sizes=[1])
def test_blocks_do_not_matter(blocks, text, cuts, sizes):
    """However the bytes come in blocks and polls, the rows are the same; none is lost."""
    text = b"label,text\n" + b"".join(text)
    settings = ReadSettings(100, {})

    def values(reader):
        found = []
        for size in chain(sizes, repeat(9)):
            found += reader.read(size).values
            if reader.is_ended:
                return found
        raise AssertionError

    cut = values(CsvReader("a.csv", WholeLines(blocks.cut(text, cuts), 100), settings))
    assert cut == values(CsvReader("a.csv", WholeLines(blocks([text]), 100), settings))
    plain = csv.reader(io.StringIO(text.decode(errors="replace"), newline=""))
    assert len(cut) == sum(bool(row) for row in plain) - 1


def test_labels_and_ids_are_never_guessed(read, tmp_path):
    """What looks like a number, a boolean or null stays text, but in fields that are none."""
    header = "example_id,label,annotator,revision,lead_time_s,is_gold,annotated_at,updated_at"
    row = "01,true,null,3.0,1.50,TRUE,1700000000,2024-01-01T00:00:00Z"
    assert _rows_of(read, tmp_path / "a.csv", f"{header}\n{row}\n") == [
        {
            "example_id": "01",
            "label": "true",
            "annotator": "null",
            "revision": 3,
            "lead_time_s": 1.5,
            "is_gold": True,
            "annotated_at": 1700000000,
            "updated_at": "2024-01-01T00:00:00Z",
        }
    ]


@pytest.mark.parametrize(
    ("column", "cell", "value"),
    [
        ("pred_probs", '{"a": 0.5}', {"a": 0.5}),
        ("probs", " [0.5]", [0.5]),
        ("probabilities", "[0.5 0.5]", "[0.5 0.5]"),
        ("pred_probs", "0.5", "0.5"),
        ("embedding", "12345678", "12345678"),
        ("metadata", "{'a': 1}", "{'a': 1}"),
        ("classes", '["a"]', ["a"]),
        ("pred_probs", "[" * 100_000, "[" * 100_000),
        ("revision", "01", "01"),
        ("revision", "1_0", "1_0"),
        ("lead_time_s", "nan", "nan"),
        ("is_gold", "yes", "yes"),
    ],
)
def test_a_cell_that_does_not_parse_stays_text(read, tmp_path, column, cell, value):
    """JSON, numbers and booleans are parsed where they parse; the rest is for the decoder."""
    table = io.StringIO()
    csv.writer(table).writerows([["label", column], ["x", cell]])
    assert _rows_of(read, tmp_path / "a.csv", table.getvalue()) == [{"label": "x", column: value}]


def test_dotted_columns_nest(read, tmp_path):
    """A dot in a header nests; below probabilities one dot only, since class names have dots."""
    text = (
        "label,pred_probs.cat,pred_probs.v1.2,metadata.a.b,metadata.c,odd.\n"
        "x,0.25,7.5e-1,01,,y\nx,,,,,\nx,high,,,,\n"
    )
    assert _rows_of(read, tmp_path / "a.csv", text) == [
        {
            "label": "x",
            "pred_probs": {"cat": 0.25, "v1.2": 0.75},
            "metadata": {"a": {"b": "01"}},
            "odd.": "y",
        },
        {"label": "x"},
        {"label": "x", "pred_probs": {"cat": "high"}},
    ]


def test_mapped_columns_count(read, tmp_path):
    """A mapped name makes a header, and its cells are typed as its field's are."""
    fields = {"example_id": "Task", "pred_probs": "model.scores", "revision": "Rev"}
    text = 'Task,model.scores,Rev\n007,"[1.0]",4\n'
    assert _rows_of(read, tmp_path / "a.csv", text, field_paths=fields) == [
        {"Task": "007", "model": {"scores": [1.0]}, "Rev": 4}
    ]
    assert Header(fields).kind("model") is Header({}).kind("pred_probs")


@pytest.mark.parametrize(
    "text", ["7,cat,[0.5]\n8,dog,[0.5]\n", "Task,Choice\n7,cat\n", '"7\n', "x" * 300 + "\n"]
)
def test_a_csv_without_header_is_refused(read, tmp_path, text):
    """A first line without a known field is refused, and the text shows a header that would do."""
    with pytest.raises(SourceError, match="the first line is no header") as fault:
        _rows_of(read, tmp_path / "a.csv", text, value_bytes_max=200)
    assert "example_id,label,pred_probs" in str(fault.value)
    assert "\n" not in str(fault.value)


@pytest.mark.parametrize("header", ["label,label", "label,metadata,metadata.a", "label,a.b,a.b.c"])
def test_columns_that_clash_are_refused(read, tmp_path, header):
    """Two columns for one place are refused by name."""
    with pytest.raises(SourceError, match="rename one of them"):
        _rows_of(read, tmp_path / "a.csv", f"{header}\n")


def test_a_header_is_cleaned(read, tmp_path):
    """A byte order mark and blanks around names do not matter; an unnamed column gets a name."""
    text = b"\xef\xbb\xbf\r\n,label , text\r\n0,a,b\r\n"
    assert _rows_of(read, tmp_path / "a.csv", text) == [
        {"column_1": "0", "label": "a", "text": "b"}
    ]


def test_rows_that_do_not_fit_are_dead_letters(read, reasons, tmp_path):
    """A row with cells too few or too many, or an open quote, is an array: rejected, not lost."""
    (path := tmp_path / "a.csv").write_bytes(b'example_id,label\n1\n\n1,a,\n1,a\n2,"b\n3,c\n')
    found = read([path])
    assert [json.loads(value) for value in found.values] == [
        ["1"],
        ["1", "a", ""],
        {"example_id": "1", "label": "a"},
        ["2", "b\n3,c\n"],
    ]
    assert found.offsets == [0, 1, 2, 3]
    assert reasons(found.values) == [Reason.NOT_AN_OBJECT] * 3


def test_bytes_that_are_no_utf8_are_kept(read, reasons, tmp_path):
    """A row in another encoding keeps its bytes and is rejected; its neighbours are not."""
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'example_id,label,pred_probs\n1,caf\xe9,"[1]"\n2,caf\xc3\xa9,"[1]"\n1,\xe9\n'
    )
    values = read([path]).values
    assert values == [
        b'{"example_id":"1","label":"caf\xe9","pred_probs":[1]}',
        b'{"example_id":"2","label":"caf\xc3\xa9","pred_probs":[1]}',
        b'["1", "\xe9"]',
    ]
    assert reasons(values) == [Reason.MALFORMED_JSON, Reason.MALFORMED_JSON]


def test_nan_among_probabilities_is_named(read, reasons, tmp_path):
    """NaN in a cell of probabilities is rejected as not finite, not as broken JSON."""
    path = tmp_path / "a.csv"
    path.write_text('example_id,label,pred_probs\n1,a,"[NaN, 1.0]"\n')
    assert reasons(read([path]).values) == [Reason.PROBS_NOT_FINITE]


@pytest.mark.parametrize("is_quoted", [True, False])
def test_a_large_cell_is_a_large_value(read, tmp_path, is_quoted):
    """A row above the limit is kept as a prefix; the rows after it are read as ever."""
    large = f'"{"x" * 300}"' if is_quoted else "x" * 300
    (path := tmp_path / "a.csv").write_text(f"example_id,label\n1,{large}\n2,b\n")
    row, other = read([path], value_bytes_max=200).values
    assert isinstance(row, LargeValue)
    assert row.size > 300
    assert json.loads(other) == {"example_id": "2", "label": "b"}


def test_an_open_quote_does_not_take_the_rest(read, tmp_path):
    """A quote that never closes costs the rows within the limit, not the rest of the file."""
    rows = "".join(f"{i},b\n" for i in range(1000))
    (path := tmp_path / "a.csv").write_text(f'example_id,label\n0,"a\n{rows}')
    first, *others = read([path], value_bytes_max=400).values
    assert isinstance(first, LargeValue)
    assert len(others) > 900
    assert json.loads(others[-1]) == {"example_id": "999", "label": "b"}


def test_a_line_longer_than_a_block_is_a_large_value(read, tmp_path):
    """A line that is never held whole ends the row it stands in, which is rejected."""
    path = tmp_path / "a.csv"
    path.write_text(f'example_id,label\n1,a\n2,"b\n{"x" * 5_000_000}"\n3,c\n')
    row, opened, large, after = read([path], value_bytes_max=1000).values
    assert json.loads(row) == {"example_id": "1", "label": "a"}
    assert json.loads(opened) == ["2", "b\n"]
    assert isinstance(large, LargeValue)
    assert large.size == 5_000_001
    assert json.loads(after) == {"example_id": "3", "label": "c"}
