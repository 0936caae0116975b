"""What would become of the records of a source, without a store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from monitor.classes import ClassList
from monitor.decode import Decoder
from monitor.fields import FieldMapping, suggest_mapping
from monitor.parse import parse_leniently
from monitor.pipeline import read
from monitor.state import State
from monitor.statistics.confident_joint import Collision

if TYPE_CHECKING:
    from consumers.config import Settings
    from consumers.ports import Source

_EXAMPLES_MAX = 3
_CLASSES_SHOWN = 20
_SAMPLES_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Report:
    """What `labelwatch validate` prints."""

    text: str
    rejected_count: int


def validate_source(source: Source, settings: Settings, limit: int) -> Report:
    """Read up to `limit` records and say what the line would do with them. Raises: SourceError."""
    decoder = Decoder(
        FieldMapping(settings.fields or {}),
        settings.tombstone_key or "example_id",
        settings.value_bytes_max,
    )
    state = State(ClassList(settings.classes or ()), Collision.CLEANLAB)
    tally = _Tally()
    try:
        source.seek({})
        while tally.records < limit:
            polled = source.poll(min(settings.batch_size_max, limit - tally.records))
            batch, rejections = read(state, decoder, polled.records)
            tally.records += len(polled.records)
            tally.types.update(str(event.type) for event in batch.events)
            tally.without_probs += sum(
                event.type == "annotation" and event.pred_probs is None for event in batch.events
            )
            for rejection in rejections:
                value = polled.records.values[rejection.position]
                where = f"record {polled.records.offsets[rejection.position]}: {rejection.error}"
                tally.reject(
                    str(rejection.reason), where, value if isinstance(value, bytes) else b""
                )
            if polled.is_exhausted:
                break
    finally:
        source.close()
    return Report(tally.text(state.classes), tally.rejected)


class _Tally:
    def __init__(self) -> None:
        self.records = 0
        self.without_probs = 0
        self.types: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.samples: list[object] = []

    @property
    def rejected(self) -> int:
        return self.reasons.total()

    def reject(self, reason: str, where: str, value: bytes) -> None:
        self.reasons[reason] += 1
        if len(examples := self.examples.setdefault(reason, [])) < _EXAMPLES_MAX:
            examples.append(where)
        if len(self.samples) < _SAMPLES_MAX and (parsed := parse_leniently(value)):
            self.samples.append(parsed)

    def text(self, classes: ClassList) -> str:
        """The report: counts, reasons with examples, and the mapping that would help."""
        accepted = self.types.total()
        kinds = ", ".join(f"{kind} {n:,}" for kind, n in self.types.most_common())
        lines = [
            f"{self.records:,} records: {accepted:,} would be accepted, {self.rejected:,} rejected"
        ]
        if kinds:
            lines.append(f"accepted: {kinds}")
        if self.without_probs:
            lines.append(
                f"annotations without pred_probs, which wait for a prediction: {self.without_probs:,}"
            )
        if len(classes):
            shown = ", ".join(classes.names[:_CLASSES_SHOWN]) + (
                " …" if len(classes) > _CLASSES_SHOWN else ""
            )
            lines.append(f"classes ({classes.authority}, {len(classes)}): {shown}")
        for reason, n in self.reasons.most_common():
            lines.append(f"rejected, {reason}: {n:,}")
            lines += [f"  {example}" for example in self.examples[reason]]
        mapping = suggest_mapping(self.samples) if self.samples else {}
        if mapping:
            lines += ["this mapping would help, in labelwatch.toml:", "[fields]"]
            lines += [f'{name} = "{path}"' for name, path in mapping.items()]
        return "\n".join("".join(c if c.isprintable() else "·" for c in line) for line in lines)
