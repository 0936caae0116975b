"""Streams of events in which things collide.

An `Author` writes a stream event by event. It knows what the events so far amount to
(tests/laws/world.py), so it can plant what chance would never hit: probabilities exactly at a
class's cut and one unit beside it, and rows at the edge of *close*. It decides by a `pick` function
alone, which is Hypothesis's `sampled_from` in the laws and a seeded `Random.choice` in long runs.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from random import Random

from hypothesis import strategies as st

from monitor.events import Event, EventType, Partition, TopK
from tests.laws.world import Sent, World
from tests.oracle import UNIT, plain_cuts

CLASSES = ("a", "b", "c")
EXAMPLES = tuple(f"x{i}" for i in range(8))
PARTITIONS = (Partition("animals", 0), Partition("animals", 1), Partition("zoo", 0))
CLOSE_GAPS = (1_073, 1_074, 0, 1_072, 1_075)
"""Distances in units from the given label to the top: 1e-6 lies between the first two."""


class Author:
    """Writes one stream. `is_ordered`: one partition, neither revisions nor times."""

    def __init__(self, pick, *, classes=CLASSES, is_ordered=False, partitions=PARTITIONS):
        self.pick = pick
        self.world = World(classes)
        self.sents = []
        self.is_ordered = is_ordered
        self.partitions = partitions[:1] if is_ordered else partitions

    def write(self, length):
        """A stream of this many events."""
        kinds = (
            *[self.label] * 6,
            *[self.at_cut] * 4,
            *[self.close] * 2,
            *[self.predict] * 2,
            self.predict_again,
            self.delete,
            self.deliver_again,
            self.reject,
        )
        for _ in range(length):
            self.pick(kinds)()
        return self.sents

    def send(self, **fields):
        """Put an event on the stream."""
        revised = {}
        if not self.is_ordered:
            revised = {
                "revision": self.pick((None, None, None, 0, 1, 2)),
                "annotated_at": self.pick((None, None, None, 1, 2, 3)),
            }
        partition = self.pick(self.partitions)
        offset = sum(sent.partition == partition for sent in self.sents)
        timestamp_us = -1 if self.is_ordered else self.pick((-1, 0, 2))
        self._append(Sent(Event(**fields, **revised), partition, offset, timestamp_us))

    def _append(self, sent):
        self.sents.append(sent)
        self.world.tell(sent)

    def label(self, **fields):
        """An annotation, with inline probabilities or without."""
        if "label" not in fields:
            fields["label"] = self.pick(self.labels())
        if "pred_probs" not in fields:
            fields["pred_probs"] = (
                self.pick((self.probabilities, self.probabilities, list))() or None
            )
        if "model_version" not in fields:
            fields["model_version"] = self.version()
        self.send(
            example_id=self.pick(EXAMPLES),
            annotator=self.pick(("ann", "bob", None)),
            annotation_id=self.pick((None, None, None, "n1", "n2")),
            **self.content(),
            **fields,
        )

    def predict(self, **fields):
        """A prediction on its own."""
        fields = fields or {
            "example_id": self.pick(EXAMPLES),
            "pred_probs": self.probabilities(),
            "model_version": self.version(),
        }
        self.send(type=EventType.PREDICTION, **fields)

    def predict_again(self):
        """The prediction that an example has already, as a new event; perhaps as a top-k now."""
        known = [each for each in EXAMPLES if self.world.prediction_of(each)]
        if not known:
            self.predict()
            return
        example = self.pick(known)
        prediction = self.world.prediction_of(example)
        self.predict(
            example_id=example,
            pred_probs=self.pick((self.form, self.whole_top_k))(self.world.dense(prediction)),
            model_version=prediction.version or None,
        )

    def at_cut(self):
        """A row whose probability of one class is at its current cut, or one unit off."""
        rows = self.world.live()
        if not rows:
            self.label()
            return
        row = self.pick(rows)
        rows = [other for other in rows if other.version == row.version]
        k = row.given
        cut = plain_cuts(rows, len(self.world.classes))[k] + self.pick((0, -1, 1))
        units = [0] * len(self.world.classes)
        units[k] = min(max(cut, 0), UNIT)
        units[self.pick([j for j in range(len(units)) if j != k] or [k])] += UNIT - units[k]
        self.label(pred_probs=self.form(units), model_version=row.version or None)

    def close(self):
        """A row whose given label is about 1e-6 below the top."""
        width = len(self.world.classes)
        if width < 2:
            self.label()
            return
        given, top = self.pick(range(width)), self.pick(range(width))
        gap = self.pick(CLOSE_GAPS)
        low = (UNIT - gap) // 2 if width == 2 else self.pick((UNIT * 2 // 5, (UNIT - gap) // 2))
        units = [0] * width
        units[given], units[top] = low, low + gap
        rest = next((k for k in range(width) if k not in (given, top)), top)
        units[rest] += UNIT - sum(units)
        self.label(
            pred_probs=self.form(units), label=self.world.classes[given], model_version=None
        )

    def delete(self):
        """A deletion of one of the three kinds, of something that exists or does not."""
        example = self.pick(EXAMPLES)
        known = list(self.world.annotations) or ["n1"]
        self.send(
            type=EventType.DELETION,
            **self.pick(
                (
                    {"annotation_id": self.pick(known)},
                    {
                        "example_id": example,
                        "annotator": self.pick(("ann", "bob", "eve", "unknown")),
                    },
                    {"example_id": example},
                    {"annotation_id": self.pick(known), "label": self.pick(self.labels())},
                )
            ),
        )

    def deliver_again(self):
        """An earlier record once more."""
        if self.sents:
            self._append(self.pick(self.sents))

    def reject(self):
        """An event that cannot be used."""
        self.label(
            **self.pick(
                (
                    {"pred_probs": [0.5] * (len(self.world.classes) + 1)},
                    {"pred_probs": dict.fromkeys(self.world.classes, 0.1) or {"a": 2.0}},
                    {"label": 99},
                )
            )
        )

    def labels(self):
        """What a label may be."""
        return self.world.classes

    def version(self):
        """Mostly none, so that one stratum fills."""
        return self.pick((None, None, None, "m2"))

    def content(self):
        """Something to be a duplicate by, or nothing."""
        return self.pick(
            (
                {},
                {},
                {"text": "two words"},
                {"text": " two\n words "},
                {"text": "other"},
                {"content_hash": "two words"},
                {"embedding": bytes(4)},
            )
        )

    def probabilities(self):
        """Probabilities with many ties, sharp ones, and some that do not quite sum to 1."""
        width = len(self.world.classes)
        weights = [self.pick((0, 1, 2, 8)) for _ in range(width)]
        if not any(weights):
            weights[self.pick(range(width))] = 1
        scale = self.pick((1.0, 1.0, 1.0, 0.985, 1.015, 1 + 1e-6))
        p = [min(weight / sum(weights) * scale, 1.0) for weight in weights]
        return self.pick((self.as_list, self.as_list, self.as_map, self.as_top_k))(p)

    def form(self, units):
        """Exactly these units, as a list or a map."""
        return self.pick((self.as_list, self.as_map))([each / UNIT for each in units])

    def whole_top_k(self, units):
        """Exactly these units, as a top-k of all classes."""
        return TopK(tuple(self.world.classes), tuple(each / UNIT for each in units))

    def as_list(self, p):
        """Aligned with the classes."""
        return p

    def as_map(self, p):
        """By name; what is 0 may be left out."""
        named = dict(zip(self.world.classes, p, strict=True))
        return self.pick((named, {name: each for name, each in named.items() if each}))

    def as_top_k(self, p):
        """The most probable ones."""
        order = sorted(range(len(p)), key=lambda k: -p[k])[: self.pick((1, 2))]
        return TopK(tuple(self.world.classes[k] for k in order), tuple(p[k] for k in order))


class Discoverer(Author):
    """Writes a stream whose classes are discovered from maps, and perhaps declared later."""

    def __init__(self, pick):
        super().__init__(pick, classes=(), is_ordered=True)

    def write(self, length):
        for i in range(length):
            self.pick((self.discover, self.discover, super().label if i else self.discover))()
            if self.world.classes:
                super().write(1)
            if self.pick((*[False] * 15, True)):
                names = self.pick((["f", "a"], ["c", "b", "a"], [*self.world.classes, "g"]))
                self.send(type=EventType.CLASSES, classes=names)
        return self.sents

    def discover(self):
        """An annotation that may name new classes."""
        first, second = self.pick("cabde"), self.pick("eadcb")
        p = self.pick((0.5, 0.25, 0.9))
        form = {first: p, second: 1 - p} if first != second else TopK((first,), (p,))
        self.label(label=self.pick((first, second, "z")), pred_probs=form)

    def as_list(self, p):
        return p if self.world.alignment == self.world.classes else self.as_map(p)

    def as_map(self, p):
        return dict(zip(self.world.classes, p, strict=True))


class Numberer(Author):
    """Writes a stream of integer labels with lists: the first one numbers the classes."""

    def __init__(self, pick):
        super().__init__(pick, classes=(), is_ordered=True)

    def write(self, length):
        self.label(label=self.pick((1, 0, 9)), pred_probs=[0.25, 0.25, 0.5])
        self.label(label=self.pick((1, 0)), pred_probs=[0.25, 0.5, 0.25])
        return super().write(length)

    def labels(self):
        return [*self.world.classes, *range(len(self.world.classes))]


@st.composite
def streams(draw, author=None, length_max=30, **options):
    """A stream by one author, with fixed classes unless another author is asked for."""
    options = options or {"is_ordered": draw(st.booleans())} if author is None else options
    by = (author or Author)(lambda values: draw(st.sampled_from(values)), **options)
    return by.write(draw(st.integers(1, length_max)))


def growing_streams():
    """A stream whose classes are discovered or numbered."""
    return st.one_of(streams(Discoverer, length_max=12), streams(Numberer))


def seeded_stream(seed, length, author=Author, **options):
    """The same long stream for the same seed."""
    return author(Random(seed).choice, **options).write(length)


@st.composite
def cut(draw, streams):
    """A stream as one list, and as a list of batches."""
    sents = draw(streams)
    sizes = draw(st.lists(st.integers(0, 7), max_size=len(sents)))
    return sents, batches(sents, sizes)


def in_order(*events):
    """These events as records of one partition."""
    return [Sent(event, PARTITIONS[0], offset) for offset, event in enumerate(events)]


def batches(sents, sizes):
    """A stream in batches of these sizes; what is left over is the last one."""
    edges = [0, *(min(end, len(sents)) for end in accumulate(sizes)), len(sents)]
    return [sents[start:end] for start, end in pairwise(edges)]
