"""What happens in the demo, record by record, in the form that any producer would send."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from consumers.demo.digits import ERROR_RATES, annotated_digits
from consumers.demo.pictures import data_uri

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from consumers.demo.digits import Digits

MODELS = ("neighbours-1", "neighbours-2")
_SWITCH = 0.6
"""The share of the digits after which the second model is there. It then re-scores the others one by one."""
_CORRECTED_AFTER, _DELETED_AFTER, _COPIED_AFTER = 25, 40, 8
_DELETED_EVERY, _WRONG_DELETED_EVERY, _COPIED_EVERY, _BAD_EVERY = 61, 5, 43, 37

_BAD = (
    b'{"example_id": "digit-7", "label": "3", "pred_pro',
    b'["digit-7", "3"]',
    b'{"example_id": "digit-7", "annotator": "bob"}',
    b'{"example_id": "digit-7", "label": ["3", "8"], "annotator": "cai"}',
    b'{"example_id": "digit-7", "label": "3", "pred_probs": {"3": 0.9, "8": 0.9}}',
    b'{"example_id": "digit-7", "label": "3", "pred_probs": {"3": 91.5, "8": 8.5}}',
    b'{"type": "skipped", "example_id": "digit-7"}',
    b'{"example_id": "digit-7", "label": "3", "annotated_at": "2999-01-01T00:00:00Z"}',
)
"""What goes wrong in producers: cut off, no object, fields missing or wrong, no probabilities, a clock."""


@dataclass(frozen=True, slots=True)
class Story:
    """Records in order, each with its key, and the true label of each example."""

    values: list[bytes]
    keys: list[bytes | None]
    truth: Mapping[str, str]

    @property
    def fingerprint(self) -> str:
        """Tells this story from any other."""
        return hashlib.sha256(b"\n".join(self.values)).hexdigest()[:16]


def tell_story(number: int = 0) -> Story:
    """A round of the digits. After the first the second model judges from the start."""
    digits = annotated_digits(number)
    has_two_models = number == 0
    switch = round(digits.true.size * _SWITCH) if has_two_models else 0
    # Sorting is stable, so what happens at the same time stays in the order in which it is told.
    told = sorted(_told(digits, switch), key=lambda each: each[0])
    truth = {example: str(digits.true[i]) for i, example in _examples(digits)}
    keys = [
        None if isinstance(what, bytes) else str(what["example_id"]).encode() for _, what in told
    ]
    values = [what if isinstance(what, bytes) else msgspec.json.encode(what) for _, what in told]
    return Story(values, keys, truth)


def _examples(digits: Digits) -> Iterator[tuple[int, str]]:
    for i in range(digits.true.size):
        yield i, _name(i)
        if _is_copied(i):
            yield i, f"{_name(i)}-copy"


def _name(i: int) -> str:
    return f"digit-{i}"


def _is_copied(i: int) -> bool:
    return i % _COPIED_EVERY == _COPIED_EVERY // 2


def _is_deleted(digits: Digits, i: int) -> bool:
    # Now and then any digit, and more often one that somebody got wrong and nobody corrects.
    is_left_wrong = digits.given[i] != digits.true[i] and not digits.is_corrected[i]
    every = _WRONG_DELETED_EVERY if is_left_wrong else _DELETED_EVERY
    return i % every == every // 2


def _told(digits: Digits, switch: int) -> Iterator[tuple[float, dict[str, object] | bytes]]:
    """When each thing happens, counted in digits, and what."""
    count = digits.true.size
    for i in range(count):
        label = _annotation(digits, i)
        yield i, label | _prediction(digits, i, is_later=i >= switch)
        if digits.is_corrected[i]:
            # By its example and annotator: it is the same annotation, with another label.
            corrected = {"label": str(digits.true[i]), "metadata": {"corrected_by": "reviewer"}}
            yield i + _CORRECTED_AFTER, label | corrected
        if _is_copied(i):
            copy = _copy(digits, i) | _prediction(digits, i, is_later=i >= switch)
            yield i + _COPIED_AFTER, copy
        if _is_deleted(digits, i):
            yield i + _DELETED_AFTER, {"type": "deletion", "example_id": _name(i)}
        if i % _BAD_EVERY == _BAD_EVERY // 2:
            yield i, _BAD[i // _BAD_EVERY % len(_BAD)]
    for i, example in _examples(digits):
        if i < switch and not _is_deleted(digits, i):
            again = {"type": "prediction", "example_id": example}
            at = max(switch + i * (count - switch) / switch, i + _COPIED_AFTER)
            yield at, again | _prediction(digits, i, is_later=True)


def _annotation(digits: Digits, i: int) -> dict[str, object]:
    image = digits.images[i]
    return {
        "example_id": _name(i),
        "label": str(digits.given[i]),
        "annotator": digits.annotator[i],
        "content_hash": hashlib.sha256(image.tobytes()).hexdigest()[:16],
        "uri": data_uri(image),
    }


def _copy(digits: Digits, i: int) -> dict[str, object]:
    """The same picture under another name, labelled by the next annotator; every other time wrong."""
    names = list(ERROR_RATES)
    is_wrong = i // _COPIED_EVERY % 2
    return _annotation(digits, i) | {
        "example_id": f"{_name(i)}-copy",
        "label": str((digits.true[i] + is_wrong) % 10),
        "annotator": names[(names.index(digits.annotator[i]) + 1) % len(names)],
    }


def _prediction(digits: Digits, i: int, *, is_later: bool) -> dict[str, object]:
    pred_probs = digits.later_pred_probs if is_later else digits.pred_probs
    return {
        "pred_probs": {str(k): round(float(p), 6) for k, p in enumerate(pred_probs[i])},
        "model_version": MODELS[is_later],
    }
