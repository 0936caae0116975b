"""Where an event's fields stand in the sender's objects: aliases, mapped paths, and the rest.

Resolving leaves an object with canonical names only. A name the contract does not know goes to
`metadata`; where `metadata` itself has an entry of that name, that entry stays.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, cast

from monitor.events import Event, Reason, TopK
from monitor.parse import Refusal, shown
from monitor.repair import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from monitor.events import PredProbs
    from monitor.parse import JsonObject

    Path = tuple[str, ...]

CANONICAL = Event.__struct_fields__
ALIASES = {
    "given_label": "label",
    "probs": "pred_probs",
    "probabilities": "pred_probs",
    "annotator_id": "annotator",
    "worker": "annotator",
    "user": "annotator",
    "created_at": "annotated_at",
    "updated_at": "annotated_at",
}
_NAMES = {**{name: name for name in CANONICAL}, **ALIASES}


@dataclass(frozen=True, slots=True)
class FieldMapping:
    """Canonical names and the dotted paths that their values are taken from.

    A step of a path is a key, or a number into a list. A mapped field comes from its path alone:
    where the path ends nowhere the field is absent, and its usual names count as unknown ones.
    What was taken does not go to metadata, unless the path leads through a list.
    Raises: ValueError for a name that is no field, and for a path with an empty step.

    >>> mapping = FieldMapping({"label": "data.choice", "example_id": "task.id"})
    >>> mapping.resolve({"task": {"id": 7, "lang": "en"}, "data": {"choice": "cat"}})
    {'label': 'cat', 'example_id': 7, 'metadata': {'task': {'lang': 'en'}}}
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    _steps: tuple[tuple[str, Path], ...] = field(init=False, repr=False, compare=False)
    _names: Mapping[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        steps = tuple((name, _steps(name, path)) for name, path in self.paths.items())
        names = {sent: name for sent, name in _NAMES.items() if name not in self.paths}
        # A frozen dataclass sets what it derives from its arguments in this way.
        object.__setattr__(self, "_steps", steps)
        object.__setattr__(self, "_names", names)

    @property
    def is_identity(self) -> bool:
        """Whether a record in canonical form is taken as it stands."""
        return all(name == path for name, path in self.paths.items())

    def resolve(self, record: JsonObject) -> JsonObject | Refusal:
        """The fields under their canonical names, without nulls. Takes the record apart."""
        fields = self._take(record) if self._steps else {}
        unknown: JsonObject = {}
        for sent, value in record.items():
            name = self._names.get(sent)
            if name is None:
                unknown[sent] = value
            elif value is not None and not _is_same(fields.setdefault(name, value), value):
                return self._conflict(name, record)
        return _with_metadata(fields, unknown) if unknown else fields

    def source_of(self, name: str, record: JsonObject) -> str | None:
        """The sender's name for a field, None where it is the field's own."""
        if name in self.paths:
            return self.paths[name] if self.paths[name] != name else None
        return next(
            (sent for sent in record if sent != name and self._names.get(sent) == name), None
        )

    def _take(self, record: JsonObject) -> JsonObject:
        found = {name: follow(record, path) for name, path in self._steps}
        for _, path in self._steps:
            _remove(record, path)
        return {name: value for name, value in found.items() if value is not None}

    def _conflict(self, name: str, record: JsonObject) -> Refusal:
        given = ", ".join(
            f"{sent} = {shown(value)}"
            for sent, value in record.items()
            if self._names.get(sent) == name and value is not None
        )
        return Refusal(
            Reason.CONFLICTING_FIELDS,
            f"{name}: is given more than once with different values ({given}); send one of them, "
            f"or say which one counts: [fields] {name} = …",
        )


def follow(value: object, path: Path) -> object:
    """The value at the end of a path, None where it ends nowhere."""
    for step in path:
        if isinstance(value, dict):
            value = value.get(step)
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return None
    return value


def _steps(name: str, path: str) -> Path:
    if name not in CANONICAL:
        near = ALIASES.get(name) or next(iter(get_close_matches(name, CANONICAL, 1, 0.5)), None)
        hint = f"; did you mean {near}?" if near else f"; the fields are {', '.join(CANONICAL)}"
        raise ValueError(f"fields: {shown(name)} is not a field of an event{hint}")
    steps = tuple(path.split("."))
    if not all(steps):
        raise ValueError(
            f"fields.{name}: {shown(path)} has an empty step; write it like data.label"
        )
    return steps


def _is_same(a: object, b: object) -> bool:
    # Python calls 1 and true equal; a sender who wrote both meant two things.
    return a is b or (a == b and isinstance(a, bool) == isinstance(b, bool))


def _remove(holder: object, path: Path) -> None:
    """Drop what a path of keys leads to, and what is empty without it."""
    if isinstance(holder, dict) and path[0] in holder:
        if len(path) > 1:
            _remove(holder[path[0]], path[1:])
        if len(path) == 1 or holder[path[0]] == {}:
            del holder[path[0]]


def _with_metadata(fields: JsonObject, unknown: JsonObject) -> JsonObject:
    metadata = fields.get("metadata")
    if metadata is None:
        fields["metadata"] = unknown
    elif isinstance(metadata, dict):
        fields["metadata"] = {**unknown, **metadata}
    return fields


def suggest_mapping(samples: Sequence[object]) -> dict[str, str]:
    """The mapping that would let rejected objects be read: what fits in at least 90 % of them.

    Looks at the first 1,000 samples: at names that people give to a field, and at whether the
    decoder would take the values. A field that more than 10 % have already is left alone.

    >>> suggest_mapping([{"task": {"id": 7}, "answer": "cat", "scores": [0.25, 0.75]}])
    {'example_id': 'task.id', 'label': 'answer', 'pred_probs': 'scores'}
    """
    samples = samples[:_SAMPLES_MAX]
    found = [dict(_leaves(sample)) for sample in samples]
    mapping: dict[str, str] = {}
    for name in _SYNONYMS:
        if sum(_is_there(name, sample) for sample in samples) * 10 > len(samples):
            continue
        fitting = Counter(
            path for leaves in found for path, value in leaves.items() if _suits(name, path, value)
        )
        usable = [path for path, count in fitting.items() if count * 10 >= len(samples) * 9]
        free = [path for path in usable if ".".join(path) not in mapping.values()]
        if free:
            mapping[name] = ".".join(min(free, key=partial(_rank, name)))
    return mapping


def _leaves(value: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """What dotted paths lead to in an object, as far down as one would look."""
    if path:
        yield path, value
    inner: Iterable[tuple[object, object]] = ()
    if isinstance(value, dict):
        inner = islice(value.items(), _KEYS_MAX)
    elif isinstance(value, list) and path:
        inner = enumerate(value[:_ITEMS_MAX])
    for key, item in inner if len(path) < _STEPS_MAX else ():
        if (step := str(key)) and "." not in step:
            yield from _leaves(item, (*path, step))


def _is_there(name: str, sample: object) -> bool:
    """Whether an object has the field under its usual names, without contradiction."""
    if not isinstance(sample, dict):
        return False
    values = [value for sent, value in sample.items() if _NAMES.get(sent) == name]
    given = [value for value in values if value is not None]
    return bool(given) and _fits(name, given[0]) and all(_is_same(given[0], v) for v in given)


def _suits(name: str, path: Path, value: object) -> bool:
    if len(path) == 1 and _NAMES.get(path[0], name) != name:
        return False
    if name == "pred_probs":  # known by its shape, whatever its name
        return isinstance(value, list | dict) and _fits(name, value)
    return _rank(name, path)[0] < len(_SYNONYMS[name]) and _fits(name, value)


def _rank(name: str, path: Path) -> tuple[int, int, Path]:
    """Smaller is better: the place of the name among the synonyms, then the length of the path."""
    words = _SYNONYMS[name]
    keys = ["".join(filter(str.isalnum, step.lower())) for step in path if not step.isdecimal()]
    *_, parent, leaf = ["", "", *keys]
    meanings = {parent + leaf}
    if leaf not in _VAGUE or not parent:
        meanings.add(leaf)
    if leaf in _PARTS.get(name, ()):
        meanings.add(parent)
    place = min((words.index(word) for word in meanings if word in words), default=len(words))
    return place, len(path), path


def _fits(name: str, value: object) -> bool:
    """Whether the decoder would take a value, and it looks like one of its kind."""
    event = build({name: value})
    if value is None or not isinstance(event, Event):
        return False
    if name == "pred_probs":
        return _is_distribution(event.pred_probs)
    if name == "annotated_at":
        return isinstance(value, str) or cast("float", value) > _EARLIEST_S
    return isinstance(value, str | int) and 0 < len(str(value)) <= _NAME_CHARACTERS_MAX


def _is_distribution(form: PredProbs | None) -> bool:
    if isinstance(form, TopK):
        return True
    numbers = list(form.values()) if isinstance(form, dict) else form or []
    return len(numbers) > 1 and min(numbers) >= 0 and abs(sum(numbers) - 1) <= _SUM_TOLERANCE


_SAMPLES_MAX = 1_000
_KEYS_MAX, _ITEMS_MAX, _STEPS_MAX = 100, 3, 6
_NAME_CHARACTERS_MAX = 200
_SUM_TOLERANCE = 0.02
_EARLIEST_S = 1e8
"""March 1973: smaller numbers count something else than seconds."""

_VAGUE = {"id", "name"}
"""Below the top these say nothing without the name above them."""

_PARTS = {
    "example_id": {"id", "uuid"},
    "label": {"name", "value"},
    "annotator": {"id", "name", "username", "email"},
}
"""What may stand for the whole object above it."""

_SYNONYMS = {
    name: words.split()
    for name, words in {
        "example_id": "exampleid taskid itemid recordid sampleid documentid docid datarowid "
        "imageid externalid uid uuid id key example task item record sample document inputhash",
        "label": "label givenlabel annotationlabel annotation class classname category choice "
        "choices answer accept target gold goldlabel groundtruth y tag value",
        "pred_probs": "predprobs probs probabilities proba probas scores softmax distribution "
        "confidences prediction predictions modeloutput",
        "annotator": "annotator annotatorid worker workerid labeler labeller labelerid rater "
        "raterid user userid username annotatedby labeledby completedby createdby author "
        "sessionid email",
        "annotated_at": "annotatedat labeledat labelledat completedat submittedat updatedat "
        "createdat insertedat timestamp eventtime time datetime date ts updated created",
    }.items()
}
