"""Arrow columns → lists of values msgspec can encode. Times are RFC 3339 in UTC, decimals numbers.

Column by column: a value at a time through Arrow's own to_pylist costs ten times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, TypeAlias

import msgspec
import numpy as np
from pyarrow import types

from consumers.arrow import pa
from consumers.files.rows import objects

Words: TypeAlias = Mapping[str, msgspec.Raw]
Values: TypeAlias = list[Any]

# JSON has no word for these. Among probabilities they are spelled as Python's json does, so that
# the decoder can say what is wrong; elsewhere they are what pandas means by them: missing.
NUMERIC = {
    "nan": msgspec.Raw(b"NaN"),
    "inf": msgspec.Raw(b"Infinity"),
    "-inf": msgspec.Raw(b"-Infinity"),
}
MISSING: Words = {}
_MICROSECONDS_PER_S = 1e6


def to_values(array: pa.Array, words: Words) -> Values:
    """The column's values, None for null; a NaN is its word, or None where there is none."""
    if not len(array):
        return []
    converters = (convert for is_kind, convert in _CONVERTERS if is_kind(array.type))
    values = next(converters, _others)(array, words)
    if array.null_count:
        for i in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)):
            values[i] = None
    return values


def _others(array: pa.Array, words: Words) -> Values:
    if isinstance(array, pa.ExtensionArray) and array.type.extension_name != "arrow.uuid":
        return to_values(array.storage, words)
    values: Values = array.to_pylist()
    return values


def _dictionaries(array: pa.Array, words: Words) -> Values:
    return to_values(array.dictionary_decode(), words)


def _floats(array: pa.Array, words: Words) -> Values:
    floats = array.to_numpy(zero_copy_only=False)
    values: Values = floats.tolist()
    for i in np.flatnonzero(~np.isfinite(floats)):
        values[i] = words.get(str(values[i]))
    return values


def _integers(array: pa.Array, _words: Words) -> Values:
    values: Values = array.fill_null(0).to_numpy(zero_copy_only=False).tolist()
    return values


def _texts(array: pa.Array, _words: Words) -> Values:
    try:
        values: Values = array.to_numpy(zero_copy_only=False).tolist()
    except (UnicodeDecodeError, pa.ArrowException):
        # A writer's broken text stays recognisable, and the decoder rejects its row.
        is_large = types.is_large_string(array.type)
        stored = array.cast(pa.large_binary() if is_large else pa.binary()).to_pylist()
        values = [(text or b"").decode("utf-8", "surrogateescape") for text in stored]
    return values


def _times(array: pa.Array, _words: Words) -> Values:
    # Arrow keeps zoned times in UTC, and a time without zone is taken as UTC.
    is_finer = getattr(array.type, "unit", None) == "ns"
    in_us = array.cast(pa.timestamp("us"), safe=not is_finer).to_numpy(zero_copy_only=False)
    values: Values = np.datetime_as_string(in_us, unit="us", timezone="UTC").tolist()
    return values


def _durations(array: pa.Array, _words: Words) -> Values:
    in_us = array.cast(pa.duration("us"), safe=False).cast(pa.int64()).fill_null(0)
    values: Values = (in_us.to_numpy() / _MICROSECONDS_PER_S).tolist()
    return values


def _lists(array: pa.Array, words: Words) -> Values:
    cuts = array.offsets.to_numpy()
    items = to_values(array.values.slice(cuts[0], cuts[-1] - cuts[0]), words)
    return [items[a:b] for a, b in pairwise((cuts - cuts[0]).tolist())]


def _fixed_lists(array: pa.Array, words: Words) -> Values:
    width = array.type.list_size
    items = to_values(array.values.slice(array.offset * width, len(array) * width), words)
    return [items[i * width : (i + 1) * width] for i in range(len(array))]


def _maps(array: pa.Array, words: Words) -> Values:
    cuts = array.offsets.to_numpy()
    first, count = cuts[0], cuts[-1] - cuts[0]
    names = to_values(array.keys.slice(first, count), MISSING)
    items = to_values(array.items.slice(first, count), words)
    bounds = pairwise((cuts - first).tolist())
    return [dict(zip(names[a:b], items[a:b], strict=True)) for a, b in bounds]


def _structs(array: pa.Array, words: Words) -> Values:
    columns = [to_values(column, words) for column in array.flatten()]
    return [*objects([field.name for field in array.type], columns)]


_CONVERTERS: tuple[tuple[Callable[[Any], bool], Callable[[Any, Words], Values]], ...] = (
    (lambda kind: types.is_string(kind) or types.is_large_string(kind), _texts),
    (types.is_floating, _floats),
    (types.is_integer, _integers),
    (lambda kind: types.is_list(kind) or types.is_large_list(kind), _lists),
    (types.is_map, _maps),
    (types.is_struct, _structs),
    (lambda kind: types.is_timestamp(kind) or types.is_date(kind), _times),
    (types.is_dictionary, _dictionaries),
    (types.is_fixed_size_list, _fixed_lists),
    (types.is_duration, _durations),
)
