from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import tempfile
import tracemalloc
import uuid
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consumers.errors import SourceError
from consumers.files.arrow_values import MISSING, to_values
from monitor.events import Reason

PROBS = pa.list_(pa.float64())
TYPES = {
    "example_id": pa.string(),
    "label": pa.dictionary(pa.int8(), pa.string()),
    "pred_probs": PROBS,
    "revision": pa.int64(),
    "is_gold": pa.bool_(),
    "lead_time_s": pa.float64(),
    "embedding": pa.list_(pa.float64(), 2),
    "scores": pa.map_(pa.string(), pa.float64()),
    "more": pa.struct({"a": pa.string(), "b": pa.list_(pa.struct({"c": pa.int32()}))}),
}

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
floats = st.floats(allow_nan=False, allow_infinity=False)
rows = st.fixed_dictionaries(
    {},
    optional={
        "example_id": texts,
        "label": texts,
        "pred_probs": st.lists(floats, max_size=3),
        "revision": st.integers(-(2**63), 2**63 - 1),
        "is_gold": st.booleans(),
        "lead_time_s": floats,
        "embedding": st.lists(floats, min_size=2, max_size=2),
        "scores": st.dictionaries(texts, floats, max_size=3),
        "more": st.fixed_dictionaries(
            {"a": texts},
            optional={"b": st.lists(st.fixed_dictionaries({"c": st.integers(0, 9)}), max_size=2)},
        ),
    },
)


def _rows_of(read, path, table, **options):
    pq.write_table(table, path, **options)
    return [json.loads(value) for value in read([path]).values]


@settings(deadline=None)
@given(rows=st.lists(rows, max_size=8), group_rows=st.integers(1, 9))
def test_rows_come_back_as_they_were(read, rows, group_rows):
    """Rows of every nested type come back; a null is an absent field."""
    table = pa.Table.from_pylist(rows, pa.schema(TYPES))
    with tempfile.TemporaryDirectory() as folder:
        found = _rows_of(read, Path(folder, "a.parquet"), table, row_group_size=group_rows)
    assert found == rows


@pytest.mark.parametrize("kind", TYPES.values(), ids=str)
@given(rows=st.lists(rows | st.just({}), max_size=8), cut=st.tuples(*[st.integers(0, 8)] * 2))
@example(rows=[], cut=(0, 0))
def test_slices_convert_as_wholes(kind, rows, cut):
    """A slice of a column has the values of that part of the column."""
    name = next(name for name, known in TYPES.items() if known == kind)
    array = pa.array([row.get(name) for row in rows], kind)
    assert (
        to_values(array.slice(*cut), MISSING)
        == to_values(array, MISSING)[cut[0] : cut[0] + cut[1]]
    )


@pytest.mark.parametrize(
    ("array", "value"),
    [
        (pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")), "2023-11-14T22:13:20.123456Z"),
        (
            pa.array([1_700_000_000], pa.timestamp("s", "Europe/Paris")),
            "2023-11-14T22:13:20.000000Z",
        ),
        (pa.array([-1], pa.timestamp("ms")), "1969-12-31T23:59:59.999000Z"),
        (pa.array([dt.date(2024, 2, 29)]), "2024-02-29T00:00:00.000000Z"),
        (pa.array([dt.timedelta(seconds=1.5)]), 1.5),
        (pa.array([decimal.Decimal("1.50")]), 1.5),
        (pa.array([b"\x00\xff"]), base64.b64encode(b"\x00\xff").decode()),
        (pa.array([0.1], pa.float32()), float(np.float32(0.1))),
        (pa.array([2**64 - 1], pa.uint64()), 2**64 - 1),
        (pa.array([uuid.UUID(int=7).bytes], pa.uuid()), str(uuid.UUID(int=7))),
        (pa.array(["a"], pa.large_string()), "a"),
        (pa.array([dt.time(1, 2, 3)]), "01:02:03"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_types_become_json(read, tmp_path, array, value):
    """Times become RFC 3339 in UTC, decimals and durations numbers, bytes base64."""
    nulled = pa.concat_arrays([array, pa.nulls(1, array.type)])
    table = pa.table({"label": ["x", "y"], "value": nulled})
    assert _rows_of(read, tmp_path / "a.parquet", table) == [
        {"label": "x", "value": value},
        {"label": "y"},
    ]


def test_top_k_and_dotted_columns_nest(read, tmp_path):
    """Structs are objects, also in lists; a dotted column nests; a JSON text is JSON."""
    table = pa.table(
        {
            "pred_probs": [{"top_k": [{"label": "a", "p": 0.5}]}],
            "metadata.source": ["web"],
            "classes": ['["a", "b"]'],
        }
    )
    assert _rows_of(read, tmp_path / "a.parquet", table) == [
        {
            "pred_probs": {"top_k": [{"label": "a", "p": 0.5}]},
            "metadata": {"source": "web"},
            "classes": ["a", "b"],
        }
    ]


@pytest.mark.parametrize("word", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("is_map", [True, False])
def test_not_finite_probabilities_are_named(read, reasons, tmp_path, word, is_map):
    """NaN and infinity are rejected as not finite among probabilities, and absent elsewhere."""
    probs = [[("a", word)], [("a", 1.0)]] if is_map else [[word, 0.0], [1.0, 0.0]]
    kind = pa.map_(pa.string(), pa.float64()) if is_map else PROBS
    table = pa.table(
        {
            "example_id": ["1", "2"],
            "label": ["0", "a"] if is_map else [0, 1],
            "pred_probs": pa.array(probs, kind),
            "lead_time_s": [1.0, word],
        }
    )
    pq.write_table(table, path := tmp_path / "a.parquet")
    values = read([path]).values
    assert reasons(values) == [Reason.PROBS_NOT_FINITE]
    assert "lead_time_s" not in json.loads(values[1])


def test_broken_text_is_kept_and_rejected(read, reasons, tmp_path):
    """A text column that holds no UTF-8 costs its row, not the file."""
    broken = pa.array([b"\xff", b"b", None]).view(pa.string())
    pairs = pa.MapArray.from_arrays([0, 1, 2, 2], broken.fill_null(""), broken.fill_null(""))
    table = pa.table({"example_id": ["1", "2", "3"], "text": broken, "metadata": pairs})
    pq.write_table(table, path := tmp_path / "a.parquet")
    values = read([path]).values
    assert values[0] == b'{"example_id":"1","text":"\xff","metadata":{"?":"\xff"}}'
    assert reasons(values)[0] == Reason.MALFORMED_JSON
    assert [json.loads(value) for value in values[1:]] == [
        {"example_id": "2", "text": "b", "metadata": {"b": "b"}},
        {"example_id": "3", "metadata": {}},
    ]


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "no_parquet"])
def test_a_damaged_file_is_refused(read, tmp_path, damage):
    """A truncated or damaged file is told in one line that names it."""
    path = tmp_path / "a.parquet"
    table = pa.table({"label": [str(i) for i in range(9999)]})
    pq.write_table(table, path, use_dictionary=False)
    data = bytearray(path.read_bytes())
    match damage:
        case "cut":
            del data[-100:]
        case "flip":
            data[2000:8000] = bytes(6000)
        case "empty":
            data.clear()
        case "no_parquet":
            data[:] = b'{"label": 1}\n'
    path.write_bytes(data)
    with pytest.raises(SourceError, match="no readable Parquet file") as fault:
        read([path])
    assert str(fault.value).startswith(str(path))
    assert "\n" not in str(fault.value)


def test_columns_that_clash_are_refused(read, tmp_path):
    """Two columns for one place are refused by name, as in CSV; so is a file without columns."""
    table = pa.table({"metadata": ["a"], "metadata.a": ["b"]})
    with pytest.raises(SourceError, match="rename one of them"):
        _rows_of(read, tmp_path / "a.parquet", table)
    with pytest.raises(SourceError, match="there are no columns"):
        _rows_of(read, tmp_path / "b.parquet", pa.table({}))


def test_a_large_row_group_is_read_in_parts(read, tmp_path):
    """Memory stays bounded when a file is one large row group of long vectors."""
    path, n = tmp_path / "a.parquet", 20_000
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.random.default_rng(1).random(n * 256)), 256
    )
    pq.write_table(pa.table({"embedding": vectors}), path, use_dictionary=False)
    assert pq.ParquetFile(path).num_row_groups == 1
    tracemalloc.start()
    read([path], [50] * 400, records_max=2000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 << 20
