"""One batch, written: facts, flags, statistics, dead letters and positions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consumers.arrow import pa
from consumers.store import judged, load, rows
from consumers.store.details import detail_table
from consumers.store.letters import dead_letter_table
from consumers.store.memory_limit import Large, large_in
from monitor.statistics.class_statistics import ClassStatistics
from monitor.statistics.confident_joint import ConfidentJoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from consumers.ports import Position
    from consumers.store.tables import Tables
    from monitor.annotators import Ratings
    from monitor.events import Partition, Records
    from monitor.opinions import Opinions
    from monitor.pipeline import Step
    from monitor.state import State
    from monitor.statistics.class_statistics import Counts
    from monitor.statistics.model_weight import Weights


_FEW = 256
_LARGE_TOTAL, _LARGEST = "large_bytes", "largest_bytes"


@dataclass(frozen=True, slots=True)
class Arrival:
    """The records of one batch, and their positions afterwards.

    `letter_txn_ids`: they are dead letters read again, and these transactions first rejected them.
    """

    records: Records
    positions: Mapping[Partition, Position]
    letter_txn_ids: NDArray[np.int64] | None = None


@dataclass(frozen=True, slots=True)
class _Known:
    """A stratum as it is stored. A class without annotations and a cell of zero have no row."""

    statistics: ClassStatistics
    issue_count: Counts
    joint: ConfidentJoint

    def widen(self, class_count: int) -> _Known:
        """The same with room for more classes."""
        more = class_count - self.issue_count.size
        if not more:
            return self
        return _Known(
            self.statistics.widen(class_count),
            np.pad(self.issue_count, (0, more)),
            self.joint.widen(class_count),
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows of one stratum, by their place in its arrays: those that changed, and those that there are."""

    stratum: int
    changed: NDArray[np.int64]
    is_kept: NDArray[np.bool_]


_NOTHING = _Known(ClassStatistics.empty(0), np.zeros(0, np.int64), ConfidentJoint.empty(0))


@dataclass(frozen=True, slots=True)
class _Stored:
    """How far names and strata are in the database."""

    class_count: int
    annotator_count: int
    model_version_count: int
    partition_count: int
    strata: dict[int, _Known]


class Committer:
    """Writes steps; knows what the store holds already, to write only what is new."""

    def __init__(
        self,
        tables: Tables,
        settings: dict[str, Any],
        counters: dict[str, int],
        positions: dict[int, tuple[int, str | None]],
    ) -> None:
        self._tables = tables
        self.settings = settings
        self.counters = counters
        self._positions = positions

    @property
    def large(self) -> Large:
        """The large values that the store holds, or once held."""
        return Large(self.counters.get(_LARGE_TOTAL, 0), self.counters.get(_LARGEST, 0))

    def write(self, step: Step, state: State, arrival: Arrival, txn_id: int) -> None:
        """Everything that a step changed, inside a transaction of the caller."""
        self._remember_before()
        self.write_names(state)
        large = self._write_facts(step, state, txn_id)
        judged.write_opinions(self._tables, step.opinions, state)
        judged.write_flags(self._tables, step.flags, txn_id)
        for number in state.label_issues.strata_touched:
            self._write_stratum(number, state)
        large += self._write_arrival(step, state, arrival, txn_id)
        self._write_counters(step, arrival, large)

    def _remember_before(self) -> None:
        self._before = dict(self.settings), dict(self.counters), dict(self._positions)

    def undo(self) -> None:
        """What `write` wrote was taken back."""
        settings, counters, positions = self._before
        self.settings.clear()  # others hold it too
        self.settings.update(settings)
        self.counters, self._positions = counters, positions

    def remember(self, state: State, *, class_count: int) -> None:
        """What the store holds now, so that the next commit writes only what is new."""
        self._stored = _Stored(
            class_count,
            len(state.annotators),
            len(state.model_versions),
            len(state.partitions),
            {
                number: _Known(each.statistics, each.issue_count, each.joint)
                for number, each in state.label_issues.strata.items()
            },
        )

    def write_names(self, state: State) -> None:
        """Classes, annotators, model versions and partitions that the store does not hold yet."""
        stored = self._stored
        for table, names, known in (
            ("class", state.classes.names, stored.class_count),
            ("annotator", state.annotators.names, stored.annotator_count),
            ("model_version", state.model_versions.names, stored.model_version_count),
        ):
            if len(names) > known:
                self._tables.insert(table, rows.name_table(names, known))
        if len(state.partitions) > stored.partition_count:
            new = rows.partition_table(state.partitions, stored.partition_count)
            self._tables.insert("partition", new)
        found = {
            load.AUTHORITY: str(state.classes.authority),
            load.ALIGNMENT: state.classes.alignment,
        }
        if any(self.settings.get(name) != value for name, value in found.items()):
            self.write_settings(found)

    def write_settings(self, settings: Mapping[str, Any]) -> None:
        """Store these settings beside those there are, as JSON."""
        self.settings |= settings
        texts = {name: json.dumps(value) for name, value in self.settings.items()}
        self._tables.replace_all("setting", rows.value_table(texts, pa.string()))

    def _write_facts(self, step: Step, state: State, txn_id: int) -> Large:
        annotations = rows.annotation_table(step, state, txn_id)
        written = step.annotations.annotation[step.outcome.annotation_wins]
        rewritten = written[written < step.annotation_start]
        self._tables.delete("annotation", rewritten)
        self._tables.delete("annotation_detail", rewritten)
        self._tables.insert("annotation", annotations)
        details = detail_table(step, state)
        if details is not None:
            self._tables.insert("annotation_detail", details)
        examples, old = rows.example_table(step, state, txn_id)
        self._tables.delete("example", old)
        self._tables.insert("example", examples)
        self._tables.insert("prediction_key", rows.prediction_key_table(step))
        self._tables.insert("marker", rows.marker_table(step))
        marked, retracted = rows.retracted_tables(step, state.ledger)
        self._tables.delete("retracted", marked)
        self._tables.insert("retracted", pa.table({"annotation": retracted}))
        reviews = rows.review_table(step, txn_id)
        if reviews is not None:
            self._tables.insert("review", reviews)
        if len(step.reviewed):
            self._tables.insert("reviewed", rows.reviewed_table(step, state))
        return Large() if details is None else large_in(details)

    def publish(self, opinions: Opinions, state: State, txn_id: int) -> None:
        """What a sweep says anew, inside a transaction of the caller."""
        self._remember_before()
        judged.write_opinions(self._tables, opinions, state)
        judged.write_flags(self._tables, (opinions.flags,), txn_id)

    def rate(self, ratings: Ratings, weights: Weights) -> None:
        """How good annotators and model are, inside a transaction of the caller."""
        self._remember_before()
        judged.write_ratings(self._tables, ratings, weights)

    def _write_stratum(self, number: int, state: State) -> None:
        """The classes and cells of a stratum that differ from what is stored."""
        stratum = state.label_issues.strata[number]
        known = self._stored.strata.get(number, _NOTHING).widen(stratum.issue_count.size)
        before, after = known.statistics, stratum.statistics
        is_other = before.count != after.count
        is_other |= before.self_confidence_sum != after.self_confidence_sum
        classes = np.flatnonzero(is_other | (known.issue_count != stratum.issue_count))
        cells = np.flatnonzero(known.joint.count != stratum.joint.count)
        self._replace_rows(
            "class_statistics",
            _Part(number, classes, after.count > 0),
            lambda at: rows.class_statistics_table(number, stratum, at),
        )
        self._replace_rows(
            "joint",
            _Part(number, cells, stratum.joint.count.reshape(-1) > 0),
            lambda at: rows.joint_table(number, stratum, at),
        )

    def _replace_rows(
        self, table: str, part: _Part, rows_of: Callable[[NDArray[np.int64]], pa.Table]
    ) -> None:
        """Write what changed; or all of a stratum, where that costs less than a search for its old rows."""
        changed, kept_count = part.changed, np.count_nonzero(part.is_kept)
        if kept_count <= max(_FEW, changed.size * 2):
            self._tables.delete_stratum(table, part.stratum)
            changed = np.flatnonzero(part.is_kept)
        else:
            self._tables.delete_by(table, rows_of(changed))
            changed = changed[part.is_kept[changed]]
        self._tables.insert(table, rows_of(changed))

    def _write_arrival(self, step: Step, state: State, arrival: Arrival, txn_id: int) -> Large:
        sources = np.array(
            [state.partitions.index(each) for each in arrival.records.partitions], np.int32
        )
        txn_ids, count = arrival.letter_txn_ids, len(arrival.records)
        if txn_ids is not None:
            places = _coordinates(arrival.records, sources)
            self._tables.delete_by("dead_letter", places)
        first = np.full(count, txn_id, np.int64) if txn_ids is None else txn_ids
        self._write_positions(arrival.positions, state)
        if not step.rejections:
            return Large()
        letters = dead_letter_table(arrival.records, step.rejections, sources, first)
        self._tables.insert("dead_letter", letters)
        return large_in(letters) if txn_ids is None else Large()

    def _write_positions(self, positions: Mapping[Partition, Position], state: State) -> None:
        if not positions:
            return
        for place, each in positions.items():
            source = state.partitions.index(place)
            self._positions[source] = each.next_offset, each.fingerprint
        offsets, fingerprints = zip(*self._positions.values(), strict=True)
        self._tables.replace_all(
            "position",
            pa.table(
                {
                    "source": pa.array(list(self._positions), pa.int32()),
                    "next_offset": pa.array(offsets, pa.int64()),
                    "fingerprint": pa.array(fingerprints, pa.string()),
                }
            ),
        )

    def _write_counters(self, step: Step, arrival: Arrival, large: Large) -> None:
        outcome = step.outcome
        # Letters that are read again were counted when they came.
        is_redrive = arrival.letter_txn_ids is not None
        more = {
            "accepted": len(step.batch),
            "rejected": len(step.rejections) - is_redrive * len(arrival.records),
            "redelivered": outcome.redelivery_count,
            "stale": outcome.stale_count,
            "predictions_dropped": step.dropped_prediction_count,
            _LARGE_TOTAL: large.total,
            _LARGEST: max(0, large.largest - self.counters.get(_LARGEST, 0)),
        }
        if any(more.values()):
            self.counters |= {
                name: self.counters.get(name, 0) + n for name, n in more.items() if n
            }
            self._tables.replace_all("counter", rows.value_table(self.counters, pa.int64()))


def _coordinates(records: Records, sources: NDArray[np.int32]) -> pa.Table:
    return pa.table({"source": sources[records.partition_index], "position": records.offsets})
