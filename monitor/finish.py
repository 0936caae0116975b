"""What an event needs beyond its types: an id, the fields of its kind, values that fit together.

C has checked each field by itself; here is the rest, for the events that have a rest.
"""

from __future__ import annotations

from monitor.events import Event, EventType, Reason
from monitor.parse import NESTING_MAX, TOO_DEEP, Refusal, shown
from monitor.repair import canonical_embedding, distinct

_NESTED = {dict, list}
# Looking a member up in its Enum takes longer than all the rest of `unfinished`.
_ANNOTATION = EventType.ANNOTATION
_OUTCOMES = ("accepted", "rejected", "fixed")
_REQUIRED = {
    EventType.ANNOTATION: "label",
    EventType.PREDICTION: "pred_probs",
    EventType.REVIEW: "outcome",
    EventType.CLASSES: "classes",
}


_NO_EXAMPLE = Refusal(
    Reason.MISSING_FIELD,
    "example_id: is missing, and the record's key is no text either; send it, or say where it "
    'stands: [fields] example_id = "…"',
)


def unfinished(events: list[Event | None]) -> list[int]:
    """Where something is left that C could not check: not in the ordinary annotation."""
    return [
        i
        for i, event in enumerate(events)
        if event is not None
        and (
            event.type is not _ANNOTATION
            or event.label is None
            or event.example_id is None
            or (event.metadata and not _NESTED.isdisjoint(map(type, event.metadata.values())))
            or event.embedding is not None
            or event.classes is not None
        )
    ]


def finish(event: Event, key: bytes | None) -> Refusal | None:
    """Complete an event in place, or say what it lacks."""
    if event.example_id is None and _needs_example(event):
        event.example_id = text_of(key)
        if event.example_id is None:
            return _NO_EXAMPLE
    return _missing(event) or _fault_of_review(event) or _fault_of_rest(event)


def _needs_example(event: Event) -> bool:
    if event.type is EventType.DELETION:
        return event.annotation_id is None
    return event.type is not EventType.CLASSES


def text_of(key: bytes | None) -> str | None:
    """The text of a record's key, None where it has none."""
    try:
        return key.decode() if key else None
    except UnicodeDecodeError:
        return None


def _missing(event: Event) -> Refusal | None:
    name = _REQUIRED.get(event.type)
    if name is None or getattr(event, name) is not None:
        return None
    fix = f'send it, or say where it stands: [fields] {name} = "…"'
    return Refusal(Reason.MISSING_FIELD, f"{name}: is missing; {fix}")


def _fault_of_review(event: Event) -> Refusal | None:
    if event.type is not EventType.REVIEW:
        return None
    if event.outcome not in _OUTCOMES:
        error = f"outcome: is {shown(event.outcome)}; send one of {', '.join(_OUTCOMES)}"
        return Refusal(Reason.WRONG_TYPE, error)
    if event.outcome == "fixed" and event.label is None:
        return Refusal(Reason.MISSING_FIELD, "label: is missing; outcome fixed says the right one")
    return None


def _fault_of_rest(event: Event) -> Refusal | None:
    if event.classes is not None:
        classes = distinct(event.classes)
        if isinstance(classes, Refusal):
            return Refusal(classes.reason, f"classes{classes.error}")
    if event.embedding is not None:
        embedding = canonical_embedding(event.embedding)
        if isinstance(embedding, Refusal):
            return Refusal(embedding.reason, f"embedding{embedding.error}")
        event.embedding = embedding
    return TOO_DEEP if _is_deeper(event.metadata, NESTING_MAX) else None


def _is_deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return False
    inner = [item for item in value if type(item) is dict or type(item) is list]
    return levels == 0 or any(_is_deeper(item, levels - 1) for item in inner)
