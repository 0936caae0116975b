"""Real labels by real people, and the same had the people other levels.

CIFAR-10N: 50,000 images, each labelled by three people in batches of ten, and two models that were trained
on such labels. Which person gave a label says nothing there about how good it is, so levels are
taken from CIFAR-100N, where it does. Both are read from the folder that LABELWATCH_DATA names.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from monitor.units import Probabilities

MODELS = {"model A": "pred_probs", "model B": "pred_probs_aggregate"}
"""B is trained on the majority of the labels, A on the noisiest. What was tuned was tuned on A."""
_PER_BATCH, _PER_IMAGE, _PEOPLE, _CLASSES = 10, 3, 6, 10
_CERTAINTY = {"model A": 5, "model B": 7}


class MissingDataError(Exception):
    """The data that a benchmark needs is not there."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Labels in the order of the stream, what each model says of the images, and the truth.

    Shape: `example`, `annotator`, `given` (n,); `true` (m,); `pred_probs` (m, K) each.
    """

    example: NDArray[np.int64]
    annotator: NDArray[np.int32]
    given: NDArray[np.int16]
    true: NDArray[np.int16]
    pred_probs: dict[str, Probabilities]

    @property
    def is_wrong(self) -> NDArray[np.bool_]:
        return self.given != self.true[self.example]

    def first(self, share: float) -> Crowd:
        """The first images with all their labels: the stream up to there."""
        image_count = round(self.true.size * share)
        at = slice(int(np.searchsorted(self.example, image_count)))
        return Crowd(
            self.example[at],
            self.annotator[at],
            self.given[at],
            self.true[:image_count],
            {name: rows[:image_count] for name, rows in self.pred_probs.items()},
        )


def real() -> tuple[Crowd, NDArray[np.float64]]:
    """CIFAR-10N, and the levels of CIFAR-100N's people as shifts of the log-odds of an error."""
    with np.load(_path("cifar10n.npz")) as data:
        labels = data["labels"]
        crowd = Crowd(
            np.repeat(np.arange(len(labels)), labels.shape[1]),
            data["annotators"].reshape(-1).astype(np.int32),
            labels.reshape(-1).astype(np.int16),
            data["true_labels"].astype(np.int16),
            {name: data[key].astype(np.float64) for name, key in MODELS.items()},
        )
    return crowd, np.load(_path("annotator_shifts.npy"))


def _path(name: str) -> Path:
    folder = os.environ.get("LABELWATCH_DATA")
    if folder is None:
        raise MissingDataError(f"LABELWATCH_DATA is not set: it names the folder with {name}")
    if not (path := Path(folder, name)).exists():
        raise MissingDataError(f"there is no {name} in LABELWATCH_DATA, {folder}")
    return path


def made_up(image_count: int) -> tuple[Crowd, NDArray[np.float64]]:
    """A small crowd of that form, to see that everything runs."""
    rng = np.random.default_rng(0)
    true = rng.integers(_CLASSES, size=image_count).astype(np.int16)
    batches = range(0, image_count, _PER_BATCH)
    people = [rng.choice(_PEOPLE, _PER_IMAGE, replace=False) for _ in batches]
    annotator = np.repeat(people, _PER_BATCH, axis=0)[:image_count]
    given = np.repeat(true, _PER_IMAGE)
    is_wrong = rng.random(given.size) < 0.2
    given[is_wrong] = rng.integers(_CLASSES, size=is_wrong.sum())
    pred_probs = {}
    for name, certainty in _CERTAINTY.items():
        weights = rng.standard_gamma(1 / 3, size=(image_count, _CLASSES))
        weights[np.arange(image_count), true] += rng.standard_gamma(certainty, size=image_count)
        pred_probs[name] = weights / weights.sum(axis=1, keepdims=True)
    example = np.repeat(np.arange(image_count), _PER_IMAGE)
    crowd = Crowd(example, annotator.reshape(-1).astype(np.int32), given, true, pred_probs)
    return crowd, np.array([-1.0, 0.0, 1.0])


def with_levels(
    crowd: Crowd, shifts: NDArray[np.float64], seed: int
) -> tuple[Crowd, NDArray[np.float64]]:
    """The same labels, had each person a level drawn from `shifts`; and each person's shift.

    A person's odds of a wrong label are everybody's on that class, times exp(shift). Where that is
    less, some of the person's wrong labels become right; where it is more, some right ones become
    wrong, in the way in which people are wrong on that class. So what is hard stays hard, and errors
    of the model still go with those of people. Shape of the shifts: (annotators,).
    """
    rng = np.random.default_rng(seed)
    shift = rng.choice(shifts, crowd.annotator.max() + 1)
    true, is_wrong = crowd.true[crowd.example], crowd.is_wrong
    class_count = int(max(crowd.given.max(), true.max())) + 1
    rate = np.bincount(true[is_wrong], minlength=class_count) / np.bincount(
        true, minlength=class_count
    )
    odds = (rate / (1 - rate))[true] * np.exp(shift[crowd.annotator])
    before, after = rate[true], odds / (1 + odds)
    chance = rng.random(true.size)
    is_mended = is_wrong & (chance * before >= after)
    is_spoilt = ~is_wrong & (chance * (1 - before) < after - before)
    errors = np.zeros((class_count, class_count))
    np.add.at(errors, (true[is_wrong], crowd.given[is_wrong]), 1)
    given = np.where(is_mended, true, crowd.given)
    given[is_spoilt] = _drawn(errors.cumsum(axis=1)[true[is_spoilt]], rng)
    return replace(crowd, given=given.astype(np.int16)), shift


def _drawn(cumulated: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """A column of each row, as often as it has counts."""
    # A draw of 0 would find a column without counts.
    draw = (1 - rng.random((len(cumulated), 1))) * cumulated[:, -1:]
    found: NDArray[np.int64] = (cumulated < draw).sum(axis=1)
    return found
