"""Takes annotations out of a store, as events that `replay` reads back to the same units."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from consumers.errors import SourceError, UsageError
from consumers.store.copying import copy_rows

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa


class Rows(Protocol):
    """A store, by whatever way."""

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query as a stream of Arrow batches."""
        ...


WHATS = ("clean", "issues", "annotations")
_WHERE = {"clean": "NOT a.is_label_issue", "issues": "a.is_label_issue", "annotations": "true"}
_FORMATS = {
    ".parquet": "(FORMAT parquet, COMPRESSION zstd)",
    ".csv": "(FORMAT csv, HEADER)",
    ".jsonl": "(FORMAT json)",
}
_JSON = ("pred_probs", "metadata")
# Probabilities go out as maps, which need no class list; rows that came as the top of a list do so
# again.
_QUERY = """
SELECT
    a.example_id, a.given_label AS label, a.annotator, a.annotation_id,
    CASE WHEN a.is_truncated THEN to_json({{'top_k': list_transform(
        list_filter(list_zip(c.labels, a.pred_probs), lambda x: x[2] > 0),
        lambda x: {{'label': x[1], 'p': x[2]}})}})
    ELSE to_json(map(c.labels, a.pred_probs)) END AS pred_probs,
    a.model_version, a.revision,
    strftime(a.annotated_at, '%Y-%m-%dT%H:%M:%S.%fZ') AS annotated_at,
    a.text, a.content_hash, base64(a.embedding) AS embedding, a.uri, a.metadata,
    a.is_gold, a.expected_label, a.lead_time_s{more}
FROM store.detailed a
CROSS JOIN (SELECT list(label ORDER BY class) AS labels FROM store.class) c
WHERE {where}
ORDER BY a.annotation
"""


def export_to(reader: Rows, what: str, path: Path) -> int:
    """Write annotations to a file, whole or not at all; how many. Raises: UsageError, SourceError."""
    options = _FORMATS.get(path.suffix)
    if options is None:
        raise UsageError(f"--to: {path.name} must end with .parquet, .csv or .jsonl")
    if any("\ud800" <= c <= "\udfff" for c in str(path)):
        raise UsageError(f"--to: {str(path)!a} is not UTF-8; choose another name")
    if not path.parent.is_dir():
        raise UsageError(f"--to: {path.parent} is no folder; create it or choose another")
    more = ", a.suggested_label, a.label_score" if what == "issues" else ""
    query = _QUERY.format(more=more, where=_WHERE[what])
    unfinished = path.with_name(path.name + ".part")
    try:
        count = copy_rows(reader.arrow(query), unfinished, options, _JSON)
        os.replace(unfinished, path)  # noqa: PTH105 - the same, with the name that people know
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}; choose another --to") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return count
