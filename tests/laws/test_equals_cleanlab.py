from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import example, given

from monitor.detectors.protocol import Kind
from monitor.events import Event, EventType
from monitor.statistics.confident_joint import Collision
from tests.laws.line import Run
from tests.laws.occurrences import of_findings, of_pictures, of_rows
from tests.oracle import (
    cleanlab_verdict,
    conflicting_labels,
    duplicates,
    plain_suggestion,
    plain_verdict,
)
from tests.strategies import (
    CLASSES,
    Discoverer,
    Numberer,
    batches,
    cut,
    growing_streams,
    in_order,
    seeded_stream,
    streams,
)


def check(run):
    """Assert that a state is what the oracle says of the same events; returns its picture."""
    picture, rows = run.picture(), run.world.live()
    check_rows(run, picture, rows)
    check_strata(run, picture)
    flags = picture["flags"]
    assert flags.get(Kind.EXACT_DUPLICATE, {}) == duplicates(rows)
    assert flags.get(Kind.CONFLICTING_LABELS, {}) == conflicting_labels(rows)
    return picture


def check_rows(run, picture, rows):
    """Assert which annotations are live or pending, which predictions are current, and all counts."""
    world = run.world
    assert run.state.classes.names == world.classes
    assert picture["live"] == {
        row.annotation_id: (
            row.example,
            row.annotator,
            row.given,
            row.version,
            row.units,
            row.is_truncated,
        )
        for row in rows
    }
    assert picture["pending"] == world.pending()
    assert picture["predicted"] == {
        name: (known.version, world.dense(known), known.is_truncated)
        for name, (_, known) in world.predictions.items()
        if known is not None
    }
    assert picture["counts"] == (
        len(picture["pending"]),
        len(picture["predicted"]),
        len({row.example for row in rows}),
    )
    assert (run.redelivery_count, run.stale_count) == (world.redelivery_count, world.stale_count)
    assert run.rejected_count == world.rejected_count


def check_strata(run, picture):
    """Assert thresholds (bit for bit), joint, suggestions and label issues of every stratum."""
    K, collision, strata = len(run.world.classes), run.state.collision, run.world.strata()
    assert picture["strata"].keys() == strata.keys()
    suggested, issues = {}, set()
    for version, (thresholds, joint, issue_count) in picture["strata"].items():
        rows = strata[version]
        expected = plain_verdict(rows, K, collision)
        assert (thresholds, joint) == (expected.thresholds, expected.joint)
        if collision is Collision.CLEANLAB:
            theirs = cleanlab_verdict(rows)
            assert (thresholds, raised_to_one(joint)) == (theirs.thresholds, theirs.joint)
            assert expected.issues == theirs.issues
        flagged = [row.given for row in rows if row.annotation_id in expected.issues]
        assert issue_count == tuple(flagged.count(k) for k in range(K))
        suggested |= {
            row.annotation_id: plain_suggestion(row, thresholds, collision) for row in rows
        }
        issues |= expected.issues
    assert picture["suggested"] == suggested
    assert picture["flags"].get(Kind.LABEL_ISSUE, {}).keys() == issues


def raised_to_one(joint):
    """The joint in cleanlab's form: at least 1 on the diagonal."""
    return tuple(
        tuple(max(count, i == j) for j, count in enumerate(row)) for i, row in enumerate(joint)
    )


def annotation(example, label, p=None, **fields):
    """An annotation by ann."""
    return Event(example_id=example, label=label, annotator="ann", pred_probs=p, **fields)


@given(streams())
@example(
    in_order(  # a deletion that repeats the label is no annotation
        annotation("x0", "a", [1.0, 0.0, 0.0]),
        Event(type=EventType.DELETION, annotation_id="x0\x1fann", label="a"),
    )
)
def test_after_every_event_the_state_equals_cleanlabs(sents):
    """After every event, thresholds, joint and label issues are cleanlab's on the live rows."""
    run = Run(CLASSES)
    for sent in sents:
        run.feed([sent])
        check(run)


@given(cut(streams()))
def test_after_every_batch_the_state_equals_cleanlabs(stream):
    """However the stream is cut, the state after every batch is cleanlab's."""
    run = Run(CLASSES)
    for batch in stream[1]:
        run.feed(batch)
        check(run)


@given(cut(growing_streams()))
@example(([], [[], in_order(annotation("x0", "c", {"c": 0.5, "e": 0.5}))]))
@example(([], [in_order(Event(type=EventType.DELETION, example_id="x0"))]))
def test_classes_may_join_while_it_runs(stream):
    """With classes discovered, numbered or declared on the way, the state is cleanlab's."""
    run = Run()
    for batch in stream[1]:
        run.feed(batch)
        check(run)


@given(cut(streams()))
def test_the_papers_rule_is_a_setting(stream):
    """With `collision = "paper"` the state is that of Northcutt et al. 2021, eq. 1."""
    run = Run(CLASSES, Collision.PAPER)
    for batch in stream[1]:
        run.feed(batch)
        check(run)


def test_cleanlab_departs_from_the_paper_on_collisions():
    """Of two confident classes the paper suggests the likelier; cleanlab the top of all, confident or not."""
    sents = in_order(
        annotation("x0", "a", [0.2, 0.1, 0.7]),
        annotation("x1", "b", [0.2, 0.2, 0.6]),
        annotation("x2", "c", [0.0, 0.1, 0.9]),
        # Confident in a and b; c is the top and not confident.
        annotation("x3", "a", [0.3, 0.25, 0.45]),
    )
    suggested = {}
    for collision in Collision:
        run = Run(CLASSES, collision)
        run.feed(sents)
        suggested[collision] = check(run)["suggested"]["x3\x1fann"]
    assert suggested == {Collision.CLEANLAB: 2, Collision.PAPER: 0}


def test_thousands_of_annotations_equal_cleanlabs():
    """Windows that fill, overflow and are rebuilt lose nobody, in either stratum."""
    random = Random(3)
    events = []
    for _ in range(9_000):
        label = random.choice(CLASSES)
        p = random.choice((0.34, 0.5, 0.5, 0.6, random.random()))
        q = random.choice((0.0, 0.5, random.random())) * (1 - p)
        event = annotation(
            f"x{random.randrange(4_000)}",
            label,
            random.sample([p, q, 1 - p - q], 3),
            model_version=random.choice((None, None, "m2")),
            text=random.choice((None, f"t{random.randrange(3_000)}")),
        )
        if random.random() < 0.05:
            event = Event(type=EventType.DELETION, example_id=event.example_id)
        events.append(event)
    run = Run(CLASSES)
    for i, batch in enumerate(batches(in_order(*events), [150] * 60)):
        run.feed(batch)
        if i % 6 == 5:
            check(run)


SEEDS = range(12)
OCCURRENCES = {
    "raised", "changed", "cleared", "duplicate changed", "raised on an older row by a threshold",
    "cleared on an older row by a threshold", "changed on an older row by a threshold",
    "collision", "moved to another stratum", "a class joined", "resurrected",
    "moved to another example", "at the cut", "one unit below the cut", "close and suggested otherwise",
    "waits for a prediction", "prediction came later", "redelivery", "stale", "rejected",
    "conflict raised on an older row", "conflict cleared on an older row", "truncated", "no class confident",
}  # fmt: skip


def test_long_streams_equal_cleanlabs_and_meet_every_kind_of_event():
    """Over long streams the state stays cleanlab's, and what the laws are about has all occurred."""
    seen = Counter()
    for seed in SEEDS:
        kind = (None, None, Discoverer, Numberer)[seed % 4]
        options = {"author": kind} if kind else {"is_ordered": seed % 8 < 4}
        sents = seeded_stream(seed, 40 if kind is Discoverer else 90, **options)
        run = Run(() if kind else CLASSES)
        died = set()
        for batch in batches(sents, [1, 1, 2, 1, 3] * (len(sents) // 8)):
            before = run.picture()
            findings = run.feed(batch).flags
            after = check(run)
            seen.update(of_findings(findings))
            seen.update(of_pictures(before, after, died))
            seen.update(of_rows(run.world))
            died |= before["live"].keys() - after["live"].keys()
        seen["a class joined"] += kind is not None and len(run.world.classes) > 3
        seen.update(
            redelivery=run.redelivery_count, stale=run.stale_count, rejected=run.rejected_count
        )
    assert {name for name, count in seen.items() if count} == OCCURRENCES
