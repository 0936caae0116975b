"""What the live page shows of the store, read once for all who look at it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from starlette.concurrency import run_in_threadpool

from consumers.http.answers import Refused
from consumers.http.listing import opened, page_of
from consumers.http.lists import LISTS
from consumers.http.page import drawing, queries

if TYPE_CHECKING:
    from consumers.http.context import Context
    from consumers.store.gate import Gate

    Row = dict[str, Any]

ISSUES_MAX = 20
CLASSES_MAX = 12
"""Classes whose cells are drawn."""
ROWS_MAX = 8
LETTERS_MAX = 5
ANNOTATORS_MAX = 200
"""Annotators on their own page."""
REST = 9
"""Reading is followed by a pause of so many times what it took, so that the loop has the machine."""


def _cut(name: str) -> str:
    return f"left({name}, {queries.NAME_MAX})"


_LISTED = LISTS["label-issues"]
_SQL: Final = {
    "metadata": "NULL",
    "uri": queries.SHORT_URI,
}
ISSUES: Final = replace(
    _LISTED,
    columns={
        name: replace(
            column, sql=_SQL.get(name) or (_cut(name) if column.kind == "string" else None)
        )
        for name, column in _LISTED.columns.items()
    },
)
"""The list of label issues with all texts cut: an event may be megabytes, and a page holds many."""
ASKABLE: Final = (*ISSUES.filters, "next")


@dataclass(frozen=True, slots=True)
class Overview:
    """What the page shows of the store. `cursor`: the place after the issues, None after the last."""

    totals: Row
    issues: list[Row]
    cursor: str | None
    versions: list[Row]
    classes: list[Row]
    heat: drawing.Heat | None
    confusions: list[Row]
    rates: drawing.Rates
    latest: list[Row]
    to_label: list[Row]
    annotators: list[Row]
    precision: list[Row]
    duplicates: list[Row]
    reasons: list[Row]
    letters: list[Row]


class Shared:
    """Reads for one visitor at a time, and once for all who look at the same: the first page."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._turn = asyncio.Lock()
        self._last: Overview | None = None
        self._last_txn_id = -1
        self._rests_until = 0.0

    async def overview(self, asked: dict[str, str]) -> Overview:
        """What is asked for; the first page may be a little old. Raises: Refused, LabelwatchError."""
        gate = opened(self._context)
        async with self._turn:
            if asked:
                return await run_in_threadpool(read, gate, asked)
            is_current = self._last_txn_id == self._context.board.txn_id
            if self._last is not None and (is_current or time.monotonic() < self._rests_until):
                return self._last
            txn_id, started = self._context.board.txn_id, time.monotonic()
            self._last = await run_in_threadpool(read, gate, asked)
            now = time.monotonic()
            self._last_txn_id, self._rests_until = txn_id, now + REST * (now - started)
            return self._last


def read(gate: Gate, asked: dict[str, str]) -> Overview:
    """Everything, a query a part. Raises: Refused, LabelwatchError."""
    page = page_of(gate, "label-issues", ISSUES, asked | {"limit": str(ISSUES_MAX)})
    versions = _rows(
        gate,
        queries.VERSIONS,
        model_version=asked.get("model_version"),
        rows_max=ROWS_MAX,
    )
    classes, heat, confusions = (
        _joint(gate, versions[0]["stratum"]) if versions else ([], None, [])
    )
    return Overview(
        totals=_rows(gate, queries.TOTALS)[0],
        issues=[dict(zip(ISSUES.columns, row, strict=True)) for row in page.rows],
        cursor=page.cursor,
        versions=versions,
        classes=classes,
        heat=heat,
        confusions=confusions,
        rates=_rates(gate),
        latest=_rows(gate, queries.LATEST, rows_max=ROWS_MAX),
        to_label=_rows(gate, queries.NEXT, rows_max=ROWS_MAX),
        annotators=_rows(gate, queries.ANNOTATORS, rows_max=ROWS_MAX),
        precision=_rows(gate, queries.PRECISION),
        duplicates=_rows(gate, queries.DUPLICATES, rows_max=ROWS_MAX),
        reasons=_rows(gate, queries.REASONS, rows_max=ROWS_MAX),
        letters=_rows(gate, queries.LETTERS, rows_max=LETTERS_MAX),
    )


def rows_of(gate: Gate, sql: str, parameters: Any = ()) -> list[Row]:  # noqa: ANN401 - a list or by name
    """The rows of a query of ours, by the names of their columns."""
    found = gate.ask_own(sql, parameters)
    names = [name for name, _ in found.columns]
    return [dict(zip(names, row, strict=True)) for row in found.rows]


def annotators(gate: Gate) -> list[Row]:
    """Those with the highest error rates, with all that there is to say of each."""
    return _rows(gate, queries.ALL_ANNOTATORS, rows_max=ANNOTATORS_MAX)


def _rows(gate: Gate, sql: str, **parameters: object) -> list[Row]:
    return rows_of(gate, sql, parameters)


def _joint(gate: Gate, stratum: int) -> tuple[list[Row], drawing.Heat, list[Row]]:
    """The classes that are confused most, the cells where they meet, and the most frequent confusions."""
    classes = _rows(gate, queries.CLASSES, stratum=stratum, rows_max=CLASSES_MAX)
    classes.sort(key=lambda each: int(each["class"]))
    numbers = [each["class"] for each in classes]
    cells = _rows(gate, queries.CELLS, stratum=stratum, classes=numbers)
    confusions = _rows(gate, queries.CONFUSIONS, stratum=stratum, rows_max=ROWS_MAX)
    counts = {(each["given"], each["suggested"]): each["annotation_count"] for each in cells}
    return classes, drawing.heat(classes, counts), confusions


def _rates(gate: Gate) -> drawing.Rates:
    seconds = _rows(gate, queries.SPAN)[0]["seconds"] or 0
    step_s = drawing.step_s(seconds)
    found = _rows(gate, queries.RATES, step_s=step_s)
    return drawing.rates(
        [(int(each["step"]), each["label_count"], each["flag_count"]) for each in found], step_s
    )


def known_only(asked: dict[str, str]) -> dict[str, str]:
    """The filters, without the place: what a link to the first page keeps."""
    if len("".join(asked.values())) > queries.NAME_MAX:
        raise Refused(400, "the filters are too long", f"{queries.NAME_MAX:,} characters at most")
    return {name: value for name, value in asked.items() if name != "next"}
