"""Values become what the contract says, or a Refusal that says why they cannot.

Only for records that the typed decoder did not take: numbers as ids, embeddings as lists, top-k
lists, empty texts, and whatever is wrong. The texts of refusals start after the name.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, cast

import msgspec
import numpy as np

from monitor.events import Event, EventType, Reason, TopK
from monitor.parse import Refusal, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from monitor.parse import JsonObject


class _Entry(msgspec.Struct, gc=False):
    label: str
    p: float


class _TopKForm(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    top_k: Annotated[list[_Entry], msgspec.Meta(min_length=1)]


CLASSES_MAX = 1_000
_FROM_0_TO_1 = "send a number from 0 to 1"


def build(fields: JsonObject) -> Event | tuple[str, Refusal]:
    """The event of these fields, or the name of the first one that does not fit, and why."""
    built: JsonObject = {}
    for name, value in fields.items():
        fitted = _fit(name, value)
        if isinstance(fitted, Refusal):
            return name, fitted
        built[name] = fitted
    return Event(**built)  # type: ignore[arg-type] # _fit has converted each to its field's type


def _fit(name: str, value: object) -> object:
    try:
        return _convert(name, value)
    except msgspec.ValidationError:
        fixed = repaired(name, value)
    if fixed is None or isinstance(fixed, Refusal | TopK):
        return fixed
    try:
        return _convert(name, fixed)
    except msgspec.ValidationError:
        return _wrong(fixed, _FIXES.get(name, "send text"))


def _convert(name: str, value: object) -> object:
    return getattr(msgspec.convert({name: value}, _ONE_FIELD[name]), name)


def repaired(name: str, value: object) -> object:
    """What a value that does not fit its field must have meant, or a Refusal."""
    repair = _REPAIRS.get(name)
    return value if repair is None else repair(value)


def _wrong(value: object, fix: str, where: str = "") -> Refusal:
    return Refusal(Reason.WRONG_TYPE, f"{where}: is {shown(value)}; {fix}")


def _identifier(value: object) -> object:
    """An id as text; a number becomes the text it would be written as."""
    if value == "":
        return Refusal(Reason.MISSING_FIELD, ": is empty; send the id, or leave the field out")
    return _name(value)


def _name(value: object) -> object:
    """A name as text; an empty one counts as absent."""
    if value == "":
        return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return repr(value)
    if isinstance(value, dict):
        return _wrong(value, "send text, or map a part of it: a dotted path in [fields]")
    return _wrong(value, "send text or a number")


def _label(value: object) -> object:
    if value == "":
        return Refusal(Reason.MISSING_FIELD, ": is empty; send a class name")
    return _optional_label(value)


def _optional_label(value: object) -> object:
    if isinstance(value, bool):
        return _wrong(value, f'send a class name, such as "{str(value).lower()}"')
    if isinstance(value, int):
        error = f": is {shown(value)}; send the index of a class"
        return Refusal(Reason.LABEL_INDEX_OUT_OF_RANGE, error)
    if isinstance(value, float):
        return _wrong(value, "send a class name, or an integer as the index of a class")
    if isinstance(value, list):
        return _wrong(value, "multi-label is not supported: send one class name")
    return _name(value)


def _pred_probs(value: object) -> object:
    if not isinstance(value, list | dict):
        return _wrong(value, "send a list of numbers, or a map from class name to number")
    if not value:
        return Refusal(
            Reason.PROBS_WRONG_LENGTH, f": is {value}; send a number per class or leave it out"
        )
    if isinstance(value, dict) and isinstance(value.get("top_k"), list):
        return _top_k(value)
    items: Iterable[tuple[object, object]]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    faults = (
        _probability_fault(f"[{key if isinstance(key, int) else shown(key)}]", p)
        for key, p in items
    )
    return next(filter(None, faults), value)


def _top_k(value: JsonObject) -> object:
    try:
        entries = msgspec.convert(value, _TopKForm).top_k
    except msgspec.ValidationError:
        return _fault_of_top_k(value)
    if not all(math.isfinite(entry.p) for entry in entries):
        return _fault_of_top_k(value)
    labels = tuple(entry.label for entry in entries)
    if repeated := _repeated(labels):
        error = f".top_k: names {shown(repeated)} twice; send each class once"
        return Refusal(Reason.CONFLICTING_FIELDS, error)
    return TopK(labels, tuple(entry.p for entry in entries))


def _fault_of_top_k(value: JsonObject) -> Refusal:
    entries = cast("list[object]", value["top_k"])
    if not entries:
        return Refusal(Reason.PROBS_WRONG_LENGTH, ".top_k: is []; send at least one class")
    for i, entry in enumerate(entries):
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            return _wrong(entry, 'write {"label": "cat", "p": 0.9}', f".top_k[{i}]")
        if fault := _probability_fault(f".top_k[{i}].p", entry.get("p")):
            return fault
    other = next((name for name in value if name != "top_k"), "")
    return _wrong(value, f"leave out {shown(other)}: beside top_k nothing is used")


def _probability_fault(where: str, p: object) -> Refusal | None:
    """Why this is no finite number; its range and the sum are checked for whole batches."""
    if isinstance(p, bool) or not isinstance(p, int | float):
        return _wrong(p, _FROM_0_TO_1, where)
    try:
        if math.isfinite(p):
            return None
    except OverflowError:  # an int beyond the largest float
        pass
    return Refusal(Reason.PROBS_NOT_FINITE, f"{where}: is {shown(p)}; {_FROM_0_TO_1}")


def _type(value: object) -> object:
    error = f": is {shown(value)}; send one of {', '.join(EventType)}"
    return Refusal(Reason.UNKNOWN_TYPE, error)


def _classes(value: object) -> object:
    if isinstance(value, list) and len(value) > CLASSES_MAX:
        error = f": has {len(value):,} names; at most {CLASSES_MAX:,} classes are supported"
        return Refusal(Reason.TOO_MANY_CLASSES, error)
    return value


def distinct(classes: list[str]) -> list[str] | Refusal:
    """A class list in which no name stands twice."""
    repeated = _repeated(classes)
    return classes if repeated is None else _wrong(repeated, "send each class once", "[…]")


def _repeated(names: Sequence[str]) -> str | None:
    if len(set(names)) == len(names):
        return None
    return next(name for i, name in enumerate(names) if name in names[:i])


def _embedding(value: object) -> object:
    """The canonical bytes of a base64 text or of a list of numbers."""
    if isinstance(value, list) and set(map(type, value)) <= {int, float}:
        try:
            # Beyond the range of float32 lies infinity, which is refused below.
            with np.errstate(over="ignore"):
                vector = np.array(value, np.float64).astype("<f4")
            return canonical_embedding(vector.tobytes())
        except OverflowError:
            return _bad_embedding("holds a number that is too large")
    if isinstance(value, str):
        try:
            return canonical_embedding(msgspec.convert(value, bytes))
        except msgspec.ValidationError:
            return _bad_embedding(f"is {shown(value)}, which is not base64")
    return _bad_embedding(f"is {shown(value)}")


def canonical_embedding(embedding: bytes) -> bytes | Refusal:
    """Little-endian float32 with −0 as 0, so that equal vectors are equal bytes."""
    if not embedding or len(embedding) % 4:
        return _bad_embedding(f"has {len(embedding)} bytes, which is not 4 per number")
    vector = np.frombuffer(embedding, "<f4")
    if not np.isfinite(vector).all():
        return _bad_embedding("holds NaN, infinity or a number too large for float32")
    return (vector + np.float32(0)).astype("<f4").tobytes()


def _bad_embedding(what: str) -> Refusal:
    fix = "send a list of finite numbers, or base64 of little-endian float32"
    return Refusal(Reason.BAD_EMBEDDING, f": {what}; {fix}")


# msgspec remembers how to convert to a struct; a bare union it would work out again each time.
_ONE_FIELD = {
    field.name: msgspec.defstruct(field.name, [(field.name, field.type)])
    for field in msgspec.structs.fields(Event)
}
_REPAIRS: dict[str, Callable[[object], object]] = {
    "example_id": _identifier,
    "annotation_id": _identifier,
    "annotator": _name,
    "model_version": _name,
    "content_hash": _name,
    "label": _label,
    "expected_label": _optional_label,
    "pred_probs": _pred_probs,
    "type": _type,
    "classes": _classes,
    "embedding": _embedding,
}
_FIXES = {
    "annotated_at": 'send RFC 3339 ("2026-09-20T10:15:00Z"), seconds or milliseconds since 1970',
    "revision": "send an integer from 0 to 2^63 - 1",
    "metadata": "send a JSON object",
    "is_gold": "send true or false",
    "lead_time_s": "send seconds, 0 or more",
    "classes": "send a list of class names, each a non-empty text",
}
