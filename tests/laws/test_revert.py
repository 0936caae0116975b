from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from monitor.events import EventType, TopK
from tests.laws.line import Run
from tests.oracle import UNIT
from tests.strategies import CLASSES, EXAMPLES, Author, batches


@st.composite
def detours(draw):
    """A stream, and more events after which everything is as before."""
    author = Author(lambda values: draw(st.sampled_from(values)), is_ordered=True)
    base = list(author.write(draw(st.integers(1, 20))))
    standing, predictions = author.world.standing(), dict(author.world.predictions)
    undo = []
    for _ in range(draw(st.integers(1, 8))):
        known = author.pick([*standing] or [None])
        example = author.pick(EXAMPLES)
        probabilities = {
            "pred_probs": author.probabilities(),
            "model_version": author.version(),
        }
        label = {"label": author.pick(CLASSES), **author.content()}
        if known is not None and author.pick((True, False)):
            author.send(
                example_id=author.pick((standing[known].example, "z0")),
                annotation_id=known,
                annotator=author.pick(("ann", "bob")),
                **label,
            )
            undo.append(restated(known, standing[known]))
        elif predictions.get(example, (None, None))[1] is not None and author.pick((True, False)):
            author.predict(example_id=example, **probabilities)
            undo.append(rescored(example, predictions[example][1]))
        else:
            way = author.pick(
                ({"annotator": "eve"}, {"annotator": "eve", "annotation_id": "e1"}, None)
            )
            if way is None:
                author.send(example_id="z1", annotator="eve", **label, **probabilities)
                undo.append({"type": EventType.DELETION, "example_id": "z1"})
            else:
                author.send(example_id=example, **way, **label)
                place = way if "annotation_id" in way else {**way, "example_id": example}
                undo.append({"type": EventType.DELETION, **place})
    for fields in draw(st.permutations(undo)):
        author.send(**fields)
    return base, author.sents[len(base) :]


def restated(annotation_id, label):
    """The fields of an event that says of an annotation what a label said."""
    kind, content = label.content or (None, None)
    return {
        "annotation_id": annotation_id,
        "example_id": label.example,
        "label": label.given,
        "annotator": label.annotator,
        "text": " ".join(content) if kind == "text" else None,
        "content_hash": content if kind == "hash" else None,
        "embedding": content if kind == "embedding" else None,
    }


def rescored(example, prediction):
    """The fields of an event that gives an example a prediction it had."""
    p = {name: units / UNIT for name, units in prediction.units.items()}
    return {
        "type": EventType.PREDICTION,
        "example_id": example,
        "pred_probs": TopK(tuple(p), tuple(p.values())) if prediction.is_truncated else p,
        "model_version": prediction.version or None,
    }


@given(detours(), st.lists(st.integers(0, 7), max_size=10))
def test_what_is_taken_back_leaves_no_trace(stream, sizes):
    """Labels added and deleted, changed and changed back, scores moved and restored: all as before."""
    base, detour = stream
    run = Run(CLASSES).feed_all([base])
    before = run.picture()
    run.feed_all(batches(detour, sizes))
    assert run.picture() == before
