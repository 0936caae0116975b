"""Drives monitor/ and shows its state in the words of tests/laws/world.py."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from monitor.annotators import Ratings, rate
from monitor.classes import ClassList
from monitor.detectors.protocol import Action, Kind
from monitor.events import Records
from monitor.identity import identify
from monitor.opinions import ISSUE_BELOW
from monitor.pipeline import step
from monitor.state import State
from monitor.statistics.confident_joint import NONE, Collision
from monitor.validate import validate
from tests.laws.world import World


def start(classes=(), collision=Collision.CLEANLAB):
    """A state that has seen nothing."""
    return State(ClassList(classes), collision)


def feed(state, sents):
    """Send a batch down the line, from where events are decoded."""
    partitions = tuple(dict.fromkeys(sent.partition for sent in sents))
    records = Records(
        [b""] * len(sents),
        [None] * len(sents),
        np.array([sent.offset for sent in sents], np.int64),
        np.array([sent.timestamp_us for sent in sents], np.int64),
        np.array([partitions.index(sent.partition) for sent in sents], np.int64),
        partitions,
    )
    events = [sent.event for sent in sents]
    return step(state, *validate(records, events, state.register(partitions), state.classes))


class Standing:
    """The flags that stand, known from findings alone: {kind: {row: set number}}.

    A finding that contradicts those before it is an error: a flag is never raised twice, nor cleared or
    changed where it does not stand.
    """

    def __init__(self):
        self.flags = defaultdict(dict)

    def take(self, flags):
        """Take in the findings of one kind and batch."""
        standing, rows = self.flags[flags.kind], flags.annotations.tolist()
        assert len(set(rows)) == len(rows), "two findings about one annotation in a batch"
        for row, action, number in zip(
            rows, flags.action.tolist(), flags.set_number.tolist(), strict=True
        ):
            assert (action == Action.RAISED) == (row not in standing)
            if action == Action.CLEARED:
                del standing[row]
            else:
                standing[row] = number


class Published:
    """What was last said of annotations, known from opinions alone: {row: (quality, label, its quality)}.

    An opinion that contradicts those before it is an error, and so is a flag that is not what they say.
    """

    def __init__(self):
        self.rows = {}
        self.standing = Standing()

    def take(self, opinions):
        """Take in what a batch or a sweep said."""
        for row in opinions.goes.tolist():
            del self.rows[row]
        for row, *said in zip(
            opinions.annotations.tolist(),
            opinions.label_quality.tolist(),
            opinions.consensus_label.tolist(),
            opinions.consensus_quality.tolist(),
            strict=True,
        ):
            assert row not in self.rows, "two opinions on one annotation"
            self.rows[row] = tuple(said)
        self.standing.take(opinions.flags)
        flagged = {row for row, (quality, *_) in self.rows.items() if quality < ISSUE_BELOW}
        assert self.standing.flags[Kind.CONSENSUS_ISSUE].keys() == flagged


class Run:
    """A state, what led to it, and what it said on the way."""

    def __init__(self, classes=(), collision=Collision.CLEANLAB):
        self.state = start(classes, collision)
        self.world = World(classes)
        self.standing = Standing()
        self.published = Published()
        self.redelivery_count = self.stale_count = self.rejected_count = 0

    def feed(self, sents):
        """Send a batch; returns its step."""
        done = feed(self.state, sents)
        for sent in sents:
            self.world.tell(sent)
        *flags_of_detectors, flags_of_consensus = done.flags
        assert flags_of_consensus is done.opinions.flags
        for flags in flags_of_detectors:
            self.standing.take(flags)
        self.published.take(done.opinions)
        self.redelivery_count += done.outcome.redelivery_count
        self.stale_count += done.outcome.stale_count
        self.rejected_count += len(done.rejections)
        return done

    def feed_all(self, batches):
        """Send batches one after the other; returns this run."""
        for batch in batches:
            self.feed(batch)
        return self

    def sweep(self):
        """Judge every example anew, as the end of an input does; returns what is said anew."""
        state = self.state
        opinions = state.consensus.sweep(state.ledger, 0, state.ledger.examples.size)
        self.published.take(opinions)
        return opinions

    def annotation_rows(self):
        """The row of each annotation ever named. Its number is that of its first arrival."""
        return _rows(self.state.ledger.annotation_ids, list(self.world.annotations))

    def example_rows(self):
        """The row of each example that is known by name to the oracle."""
        world = self.world
        labels = (label for _, label in world.annotations.values() if label is not None)
        places = (*world.predictions, *(place[0] for place in world.markers))
        names = dict.fromkeys((*places, *(label.example for label in labels)))
        return _rows(self.state.ledger.example_ids, list(names))

    def picture(self):
        """Everything promised about a state, by the ids of annotations and examples; swept first."""
        self.sweep()
        state, ledger = self.state, self.state.ledger
        annotations, examples = self.annotation_rows(), self.example_rows()
        rows = np.array(list(annotations.values()), np.int32)
        side = ledger.side(rows)
        name_of = {row: name for name, row in annotations.items()}
        live = {}
        for name, row, given, stratum, example in zip(
            annotations,
            rows.tolist(),
            side.given.tolist(),
            side.stratum.tolist(),
            side.example.tolist(),
            strict=True,
        ):
            if stratum >= 0:
                live[name] = (
                    example,
                    state.annotators.names[ledger.annotations.annotator[row]],
                    given,
                    state.model_versions.names[stratum],
                    tuple(ledger.units.data[example].tolist()),
                    bool(ledger.examples.is_truncated[example]),
                )
        example_of = {row: name for name, row in examples.items()}
        return {
            "live": {name: (example_of[row[0]], *row[1:]) for name, row in live.items()},
            "pending": {name_of[row] for row in ledger.pending().tolist()},
            "predicted": {
                name: (
                    state.model_versions.names[ledger.examples.stratum[row]],
                    tuple(ledger.units.data[row].tolist()),
                    bool(ledger.examples.is_truncated[row]),
                )
                for name, row in examples.items()
                if ledger.examples.stratum[row] >= 0
            },
            "suggested": {name: _suggested(state, row[0]) for name, row in live.items()},
            "strata": self.strata(),
            "flags": self.flags(),
            "opinions": {name_of[row]: said for row, said in self.published.rows.items()},
            "ratings": self.ratings(),
            "counts": (ledger.pending_count, ledger.predicted_count, ledger.labelled_count),
        }

    def ratings(self):
        """Totals and rating of each annotator with live labels, by name."""
        totals, names = self.state.consensus.totals, self.state.annotators.names
        found = rate(totals)
        columns = [getattr(found, name).tolist() for name in Ratings.__slots__]
        columns.append(totals.quality_sum[found.annotator].tolist())
        return {names[row]: said for row, *said in zip(*columns, strict=True)}

    def strata(self):
        """Thresholds, joint and counts of issues of each model version with live annotations."""
        K = len(self.state.classes)
        return {
            self.state.model_versions.names[number]: (
                tuple(stratum.statistics.widen(K).class_thresholds().tolist()),
                tuple(map(tuple, stratum.joint.widen(K).count.tolist())),
                tuple(np.pad(stratum.issue_count, (0, K - stratum.issue_count.size)).tolist()),
            )
            for number, stratum in self.state.label_issues.strata.items()
            if stratum.statistics.count.any()
        }

    def flags(self):
        """The flagged annotations of each kind that has any, each with those of its set."""
        name_of = {row: name for name, row in self.annotation_rows().items()}
        found = {}
        for kind, flags in self.standing.flags.items():
            sets = defaultdict(set)
            for row, number in flags.items():
                sets[number].add(name_of[row])
            for row, number in flags.items():
                members = frozenset(sets[number]) if number >= 0 else None
                found.setdefault(kind, {})[name_of[row]] = members
        return found

    def arrays(self):
        """The state as it is numbered, without its indexes, swept: what a store would hold."""
        self.sweep()
        state, ledger = self.state, self.state.ledger
        annotations, examples = ledger.annotations, ledger.examples
        issues = state.label_issues
        is_deleted = annotations.given[: annotations.size] < 0
        return {
            **{
                f"annotations.{name}": np.where(
                    # Where a deleted annotation was is of no consequence.
                    is_deleted & (name in ("example", "annotator", "is_retracted")),
                    None,
                    getattr(annotations, name)[: annotations.size],
                ).tolist()
                for name, _, _ in annotations.layout
                if name != "next"
            },
            **{
                f"examples.{name}": getattr(examples, name)[: examples.size].tolist()
                for name, _, _ in examples.layout
                if name != "first"
            },
            "units": ledger.units.data[: ledger.units.size, : len(state.classes)].tolist(),
            "annotation_ids": ledger.annotation_ids.ids(slice(None)).tolist(),
            "example_ids": ledger.example_ids.ids(slice(None)).tolist(),
            "content_ids": ledger.content_ids.ids(slice(None)).tolist(),
            "markers": ledger.markers.keys,
            "pending": ledger.pending().tolist(),
            "counts": (ledger.pending_count, ledger.predicted_count, ledger.labelled_count),
            "classes": (state.classes.names, state.classes.authority, state.classes.alignment),
            "names": (state.annotators.names, state.model_versions.names, state.partitions),
            "strata": self.strata(),
            "suggestions": issues.suggestions.label[: examples.size].tolist(),
            "issues": issues.issues.is_raised[: annotations.size].tolist(),
            "standing": {kind: flags for kind, flags in self.standing.flags.items() if flags},
            "opinions": self.published.rows,
            "ratings": self.ratings(),
            "confusion": confusion(state.consensus.counts),
            "heard": (self.redelivery_count, self.stale_count, self.rejected_count),
        }


def confusion(counts):
    """Soft confusion counts by annotator and given label, and everybody's, without zeros."""
    own = {
        (annotator, given): tuple(counts._own[counts._row[annotator, given]].tolist())
        for annotator, given in np.argwhere(counts._row >= 0).tolist()
    }
    coins = counts._coins
    return (
        {place: row for place, row in own.items() if any(row)},
        counts._totals[: coins.size].tolist(),
        coins.count[: coins.size].tolist(),
        coins.agreement[: coins.size].tolist(),
        {tuple(at): counts.pooled[*at] for at in np.argwhere(counts.pooled).tolist()},
    )


def _rows(table, names):
    rows = table.find(identify(names)).tolist()
    assert -1 not in rows
    return dict(zip(names, rows, strict=True))


def _suggested(state, example):
    label = int(state.label_issues.suggestions.label[example])
    return None if label == NONE else label
