"""Made-up annotations, the same for the same sizes: a model and people who are mostly right.

Rows are Dirichlet with 7 on the true class and 3 spread over the others (mean p of the true class 0.7);
10 % of the given labels are drawn anew, uniformly. 3 % of the events are relabels and 1 % deletions, of
annotations drawn uniformly from those seen so far.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from benchmarks.sizes import Plan

_SEED = 20_260_920
_RELABELS, _DELETIONS, _FLIPPED = 0.03, 0.01, 0.1
_CHUNK = 10_000
_ANNOTATOR_COUNT = 50
_REPEATED_TEXTS = 0.02
FILE_CLASSES = [f"c{k}" for k in range(10)]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Events of one batch: new examples with label and probabilities, then corrections of old ones.

    Shape: `given` (n,), `pred_probs` (n, K); `relabelled`, `relabels` (r,); `deleted` (d,).
    """

    start: int
    given: NDArray[np.int16]
    pred_probs: NDArray[np.float64]
    relabelled: NDArray[np.int32]
    relabels: NDArray[np.int16]
    deleted: NDArray[np.int32]

    def without_corrections(self) -> Chunk:
        """Its new examples alone."""
        no = slice(0)
        return replace(
            self,
            relabelled=self.relabelled[no],
            relabels=self.relabels[no],
            deleted=self.deleted[no],
        )

    def __len__(self) -> int:
        return self.given.size + self.relabelled.size + self.deleted.size


def chunks(class_count: int, event_count: int, size: int) -> Iterator[Chunk]:
    """Chunks of `size` events; chunk i is the same however many follow."""
    new = size - round(size * _RELABELS) - round(size * _DELETIONS)
    for i in range(event_count // size):
        rng = np.random.default_rng((_SEED, class_count, i))
        given, pred_probs = _annotations(rng, class_count, new)
        corrected = rng.integers((i + 1) * new, size=size - new).astype(np.int32)
        relabelled, deleted = np.split(corrected, [round(size * _RELABELS)])
        relabels = rng.integers(class_count, size=relabelled.size).astype(np.int16)
        yield Chunk(i * new, given, pred_probs, relabelled, relabels, deleted)


def _annotations(
    rng: np.random.Generator, class_count: int, count: int
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    true = rng.integers(class_count, size=count)
    weights = rng.standard_gamma(3 / (class_count - 1), size=(count, class_count))
    weights[np.arange(count), true] += rng.standard_gamma(7, size=count)
    is_flipped = rng.random(count) < _FLIPPED
    given = np.where(is_flipped, rng.integers(class_count, size=count), true)
    return given.astype(np.int16), weights / weights.sum(axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class Final:
    """What is live after a file of `event_count` events: the data for a batch tool.

    Shape: (n,), (n,), (n, K).
    """

    event_count: int
    examples: NDArray[np.int64]
    given: NDArray[np.int64]
    pred_probs: NDArray[np.float64]


def write_file(path: Path, plan: Plan) -> Final:
    """A JSONL file of at most `plan.event_count` events, and what is live after all of them.

    Probabilities have 6 decimals. Corrections come after the new examples of their chunk; they name
    the example and its annotator, and carry no probabilities.
    """
    size = min(_CHUNK, plan.event_count)
    given = np.empty(plan.event_count, np.int64)
    is_live = np.zeros(plan.event_count, np.bool_)
    pred_probs, event_count = [], 0
    with path.open("wb") as file:
        for chunk in chunks(len(FILE_CLASSES), plan.event_count, size):
            if not plan.with_corrections:
                chunk = chunk.without_corrections()  # noqa: PLW2901 - the same, shorter
            event_count += len(chunk)
            rounded = chunk.pred_probs.round(6)
            file.writelines(_lines(chunk, rounded, plan))
            pred_probs.append(rounded)
            new = slice(chunk.start, chunk.start + chunk.given.size)
            given[new], is_live[new] = chunk.given, True
            given[chunk.relabelled], is_live[chunk.relabelled] = chunk.relabels, True
            is_live[chunk.deleted] = False
    at = np.flatnonzero(is_live)
    return Final(event_count, at, given[at], np.concatenate(pred_probs)[at])


def _lines(chunk: Chunk, pred_probs: NDArray[np.float64], plan: Plan) -> Iterator[bytes]:
    encode = msgspec.json.encode
    texts = _texts(chunk) if plan.with_text else None
    for i, (given, row) in enumerate(zip(chunk.given.tolist(), pred_probs.tolist(), strict=True)):
        event = {
            **_place(chunk.start + i),
            "label": FILE_CLASSES[given],
            "pred_probs": row
            if plan.form == "list"
            else dict(zip(FILE_CLASSES, row, strict=True)),
        }
        if texts:
            event["text"] = texts[i]
        yield encode(event) + b"\n"
    for example, label in zip(chunk.relabelled.tolist(), chunk.relabels.tolist(), strict=True):
        yield encode({**_place(example), "label": FILE_CLASSES[label]}) + b"\n"
    for example in chunk.deleted.tolist():
        yield encode({"type": "deletion", **_place(example)}) + b"\n"


def _place(example: int) -> dict[str, str]:
    # Any fixed mix will do: one example has one annotator.
    return {"example_id": f"x{example}", "annotator": f"w{example * 7919 % _ANNOTATOR_COUNT}"}


def _texts(chunk: Chunk) -> list[str]:
    """A dozen words each; a few texts of the chunk come twice."""
    rng = np.random.default_rng((_SEED, chunk.start))
    letters = rng.integers(ord("a"), ord("z") + 1, size=(2_000, 7), dtype=np.uint8)
    words = letters.view("S7").reshape(-1).astype("U7")
    texts = [
        " ".join(row) for row in words[rng.integers(2_000, size=(chunk.given.size, 12))].tolist()
    ]
    for i in np.flatnonzero(rng.random(len(texts)) < _REPEATED_TEXTS).tolist():
        texts[i] = texts[i // 2]
    return texts
