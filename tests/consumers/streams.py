"""Streams as bytes: everything that can happen, from a seed or from tests/strategies.py."""

from __future__ import annotations

import json
from random import Random

import msgspec

from monitor.events import TopK
from tests.oracle import UNIT

BAD = (
    b"{",
    b"[1]",
    b"\xff\xfe",
    b"\x00\x00\x00\x00\x07{}",
    b'{"example_id":"x"}',
    b'{"example_id":"x","label":"a","pred_probs":{"a":0.7}}',
    b'{"example_id":"x","label":true}',
    b'{"example_id":"x","label":"a","pred_probs":{"a":NaN}}',
)


def as_json(event):
    """An event as a sender would write it."""
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    fields = {name: value for name, value in fields.items() if value is not None}
    if isinstance(form := fields.get("pred_probs"), TopK):
        top = zip(form.labels, form.probabilities, strict=True)
        fields["pred_probs"] = {"top_k": [{"label": label, "p": p} for label, p in top]}
    if "annotated_at" in fields:
        fields["annotated_at"] /= 1e6
    return msgspec.json.encode(fields)


def busy_stream(seed, length):
    """Lines of everything: relabels, deletions, re-scores, late predictions, bad records, duplicates."""
    sender = _Sender(Random(seed))
    return [sender.line() for _ in range(length)]


class _Sender:
    """Sends events about a few hundred examples; classes are discovered as they come."""

    def __init__(self, random):
        self.random = random
        self.sent = []

    def line(self):
        """The next record."""
        kinds = (
            *[self._annotation] * 12,
            *[self._relabel] * 3,
            *[self._prediction] * 3,
            self._deletion,
            self._review,
            self._bad,
            self._again,
        )
        made = self.random.choice(kinds)()
        line = made if isinstance(made, bytes) else json.dumps(made).encode()
        self.sent.append(line)
        return line

    def _classes(self):
        # The list grows while the stream runs.
        return "abcdef"[: 2 + len(self.sent) // 300]

    def _probs(self):
        classes = self._classes()
        weights = [self.random.choice((0, 1, 2, 8)) + self.random.random() for _ in classes]
        named = {name: w / sum(weights) for name, w in zip(classes, weights, strict=True)}
        if self.random.random() < 0.2:
            top = sorted(named.items(), key=lambda item: -item[1])[:2]
            return {"top_k": [{"label": label, "p": p} for label, p in top]}
        return {name: round(p * UNIT) / UNIT for name, p in named.items()}

    def _example(self):
        return f"x{self.random.randrange(300)}"

    def _version(self):
        return self.random.choice(({}, {}, {"model_version": "m2"}, {"model_version": "m3"}))

    def _annotation(self):
        made = {
            "example_id": self._example(),
            "label": self.random.choice(self._classes()),
            "annotator": self.random.choice(("ann", "bob", "cai")),
        }
        if self.random.random() < 0.7:
            made |= {"pred_probs": self._probs(), **self._version()}
        extra = ({}, {}, {"text": f"t{self.random.randrange(60)}"}, {"metadata": {"k": 1}})
        return made | self.random.choice(extra)

    def _relabel(self):
        made = self._annotation() | {"annotation_id": f"n{self.random.randrange(150)}"}
        when = (
            {},
            {"revision": self.random.randrange(3)},
            {"annotated_at": self.random.randrange(9)},
        )
        return made | self.random.choice(when)

    def _prediction(self):
        made = {"type": "prediction", "example_id": self._example()}
        return made | {"pred_probs": self._probs(), **self._version()}

    def _deletion(self):
        return {"type": "deletion"} | self.random.choice(
            (
                {"annotation_id": f"n{self.random.randrange(150)}"},
                {"example_id": self._example(), "annotator": "ann"},
                {"example_id": self._example()},
            )
        )

    def _review(self):
        return {"type": "review", "example_id": self._example(), "outcome": "accepted"}

    def _bad(self):
        return self.random.choice(BAD)

    def _again(self):
        return self.random.choice(self.sent) if self.sent else self._annotation()
