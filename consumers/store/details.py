"""What annotations carry beyond their label, as an Arrow table. Few of them carry anything."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from consumers.arrow import pa

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.classes import ClassList
    from monitor.events import Event
    from monitor.ledger import Ledger
    from monitor.pipeline import Step
    from monitor.state import State
    from monitor.tables import Rows

_DETAILS = {
    "text": pa.string(),
    "content_hash": pa.string(),
    "embedding": pa.binary(),
    "uri": pa.string(),
    "metadata": pa.string(),
    "is_gold": pa.bool_(),
    "expected_label": pa.string(),
    "lead_time_s": pa.float64(),
}
_details_of = attrgetter(*_DETAILS)


def detail_table(step: Step, state: State) -> pa.Table | None:
    """What these annotations carry beyond their label; None where none carries anything."""
    events, wins = step.batch.events, step.outcome.annotation_wins
    rich = _rich(events)
    at = np.flatnonzero(rich[step.annotation_events[wins]])
    if not at.size:
        return None
    rows = step.annotations.annotation[wins[at]]
    found = [_details_of(events[i]) for i in step.annotation_events[wins[at]].tolist()]
    return pa.table(
        {
            "annotation": rows,
            **_content_columns(state.ledger, state.ledger.annotations.content[rows]),
            **_detail_columns(found, state.classes),
        }
    )


def _rich(events: list[Event]) -> NDArray[np.bool_]:
    """Which events carry any of the details. Written out: it is asked of every event there is."""
    rich = np.zeros(len(events), np.bool_)
    rich[
        [
            i
            for i, event in enumerate(events)
            if event.text is not None
            or event.content_hash is not None
            or event.embedding is not None
            or event.uri is not None
            or event.metadata is not None
            or event.is_gold is not None
            or event.expected_label is not None
            or event.lead_time_s is not None
        ]
    ] = True
    return rich


def _content_columns(ledger: Ledger, content: Rows) -> dict[str, pa.Array]:
    has_none = content < 0
    ids = np.zeros((content.size, 2), np.uint64)
    ids[~has_none] = ledger.content_ids.ids(content[~has_none])
    return {
        "content_low": pa.array(ids[:, 0], mask=has_none),
        "content_high": pa.array(ids[:, 1], mask=has_none),
    }


def _detail_columns(found: list[tuple[Any, ...]], classes: ClassList) -> dict[str, pa.Array]:
    columns = dict(zip(_DETAILS, map(list, zip(*found, strict=True)), strict=True))
    encode = msgspec.json.encode
    columns["metadata"] = [
        None if each is None else encode(each).decode() for each in columns["metadata"]
    ]
    columns["expected_label"] = [_name(each, classes) for each in columns["expected_label"]]
    return {name: pa.array(columns[name], kind) for name, kind in _DETAILS.items()}


def _name(label: str | int | None, classes: ClassList) -> str | None:
    """An expected label by name: an index is looked up where a class stands there."""
    if isinstance(label, int) and classes.alignment and 0 <= label < len(classes.alignment):
        return classes.names[classes.alignment[label]]
    return None if label is None else str(label)
