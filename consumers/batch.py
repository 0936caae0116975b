"""What cleanlab itself computes, when it is asked for: overlapping classes, and its other filters.

cleanlab is an extra, and imported only here. It is given the live rows of one model version as one
array, in the order of `annotation_id`, so what it says is its own answer, ties included.
"""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.arrow import pa
from consumers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from consumers.health import Stratum
    from consumers.store.read import Asking

FILTERS = (
    "prune_by_class",
    "prune_by_noise_rate",
    "both",
    "confident_learning",
    "predicted_neq_given",
    "low_normalized_margin",
    "low_self_confidence",
)

_VERSIONS = (
    "SELECT model_version, sum(annotation_count)::BIGINT, count(*) FROM classes GROUP BY ALL"
)
_ROWS = """
SELECT a.annotation_id, list_position(c.labels, a.given_label) - 1 AS given, a.pred_probs
FROM annotations a
CROSS JOIN (
    SELECT list(label ORDER BY place) AS labels
    FROM (SELECT *, row_number() OVER () AS place FROM classes)
    WHERE model_version IS NOT DISTINCT FROM {version}
) c
WHERE a.model_version IS NOT DISTINCT FROM {version}
ORDER BY a.annotation_id
"""


@dataclass(frozen=True, slots=True)
class OverlapRow:
    """Two classes that are mistaken for one another."""

    label_a: str
    label_b: str
    overlap_count: int
    joint: float
    model_version: str | None


def overlaps(stratum: Stratum) -> list[OverlapRow]:
    """Pairs of classes of which one is given for the other, most first. Raises: UsageError.

    Source: cleanlab.dataset.find_overlapping_classes; pairs that never meet are left out.
    """
    found = _cleanlab("dataset").find_overlapping_classes(
        joint=stratum.health.joint, num_examples=stratum.health.annotation_count
    )
    found = found[found["Joint Probability"] > 0]
    return [
        OverlapRow(stratum.labels[a], stratum.labels[b], count, joint, stratum.model_version)
        for a, b, count, joint in zip(*(found[name].tolist() for name in found), strict=True)
    ]


def filtered_ids(reader: Asking, filter_by: str, model_version: str | None) -> list[str]:
    """Ids of live annotations that this filter of cleanlab flags; of one model version, or of each.

    Raises: UsageError. Memory: the rows of the largest model version, several times (docs/health.md).
    """
    find = _cleanlab("filter").find_label_issues
    ids: list[str] = []
    for version, count, class_count in reader.query(_VERSIONS).rows:
        if count and (model_version is None or version == model_version):
            ids += _flagged(find, _read(reader, version, count, class_count), filter_by)
    return ids


@dataclass(frozen=True, slots=True)
class _Rows:
    """The live rows of a model version in their canonical order."""

    ids: pa.ChunkedArray
    given: NDArray[np.int64]
    pred_probs: NDArray[np.float64]


def _read(reader: Asking, version: str | None, count: int, class_count: int) -> _Rows:
    literal = "NULL" if version is None else "'" + version.replace("'", "''") + "'"
    ids: list[pa.Array] = []
    given = np.empty(count, np.int64)
    pred_probs = np.empty((count, class_count))
    first = 0
    for batch in reader.arrow(_ROWS.format(version=literal)):
        rows = slice(first, first := first + len(batch))
        ids.append(batch.column(0))
        given[rows] = batch.column(1).to_numpy()
        pred_probs[rows] = batch.column(2).flatten().to_numpy().reshape(-1, class_count)
    assert first == count, f"{first} rows came of {count}"
    return _Rows(pa.chunked_array(ids, pa.string()), given, pred_probs)


def _flagged(find: Callable[..., NDArray[np.bool_]], rows: _Rows, filter_by: str) -> list[str]:
    if not (rows.given != rows.given[0]).any():
        # Of one class cleanlab finds no issues, or raises, depending on its number.
        return []
    with warnings.catch_warnings():
        # Some filters leave out classes of one annotation; docs/health.md says so.
        warnings.filterwarnings("ignore", "May not flag all label issues", UserWarning)
        is_flagged = find(rows.given, rows.pred_probs, filter_by=filter_by, n_jobs=1)
    return list(rows.ids.take(pa.array(np.flatnonzero(is_flagged))).to_pylist())


def _cleanlab(module: str) -> Any:  # noqa: ANN401 - it has no types
    try:
        return importlib.import_module(f"cleanlab.{module}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("cleanlab"):
            raise
        raise UsageError(
            "cleanlab is not installed, and this is its own computation; "
            "install it from a clone of labelwatch: pip install '.[cleanlab]'"
        ) from error
