"""The nouns at the border: records come in, each becomes an Event or a Rejection.

A *record* is bytes with coordinates (topic, partition, offset). An *event* is one statement
about an annotation, a prediction or the class list, with every field in its canonical type.
A *rejection* says why a record could not become one; it is data, stored beside the offset.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN_ANNOTATOR = "unknown"


class Reason(StrEnum):
    """Why a record is a dead letter. The values are a public contract."""

    MALFORMED_JSON = "malformed_json"
    NOT_AN_OBJECT = "not_an_object"
    MISSING_FIELD = "missing_field"
    WRONG_TYPE = "wrong_type"
    TOO_LARGE = "too_large"
    CONFLICTING_FIELDS = "conflicting_fields"
    UNKNOWN_TYPE = "unknown_type"
    UNKNOWN_LABEL = "unknown_label"
    LABEL_INDEX_OUT_OF_RANGE = "label_index_out_of_range"
    PROBS_NOT_FINITE = "probs_not_finite"
    PROBS_OUT_OF_RANGE = "probs_out_of_range"
    PROBS_NOT_NORMALISED = "probs_not_normalised"
    PROBS_WRONG_LENGTH = "probs_wrong_length"
    PROBS_WITHOUT_CLASSES = "probs_without_classes"
    TOO_MANY_CLASSES = "too_many_classes"
    TIME_IN_FUTURE = "time_in_future"
    BAD_EMBEDDING = "bad_embedding"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    PENDING_OVERFLOW = "pending_overflow"
    UNREADABLE = "unreadable"


class EventType(StrEnum):
    """What an event states."""

    ANNOTATION = "annotation"
    PREDICTION = "prediction"
    DELETION = "deletion"
    REVIEW = "review"
    CLASSES = "classes"


class TopK(msgspec.Struct, frozen=True, gc=False):
    """The probabilities of the K most probable classes; the others have p = 0."""

    labels: tuple[str, ...]
    probabilities: tuple[float, ...]


Name = Annotated[str, Meta(min_length=1)]
Index = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]

# What the program sees, and what stands in its place while a record is being decoded: msgspec
# cannot tell two kinds of JSON object apart, and turns times into datetimes. Only
# monitor/decode.py meets the second form. C checks the limits, at no cost to ordinary records.
if TYPE_CHECKING:
    PredProbs: TypeAlias = list[float] | dict[str, float] | TopK
    Time: TypeAlias = int
else:
    _some = Meta(min_length=1)
    PredProbs = Annotated[list[float], _some] | Annotated[dict[str, float], _some]
    # The years 1 to 9999: seconds up to 1e11, milliseconds above.
    _date = Meta(ge=-62_135_596_800, le=253_402_300_799_999)
    Time = datetime | Annotated[int, _date] | Annotated[float, _date]


class Event(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One event in canonical form: aliases resolved, unknown fields in metadata.

    The JSON decoder fills this struct directly when a record uses the canonical names and types;
    everything else reaches the same form by the slow way (monitor/decode.py).
    Unit: `annotated_at` in microseconds since the epoch. `embedding` is little-endian float32.
    """

    example_id: Name | None = None
    label: Name | Index | None = None
    pred_probs: PredProbs | None = None
    annotator: Name | None = None
    annotation_id: Name | None = None
    type: EventType = EventType.ANNOTATION
    model_version: Name | None = None
    annotated_at: Time | None = None
    revision: Annotated[int, Meta(ge=0, le=2**63 - 1)] | None = None
    text: str | None = None
    content_hash: Name | None = None
    embedding: bytes | None = None
    uri: str | None = None
    metadata: dict[str, Any] | None = None
    is_gold: bool | None = None
    expected_label: Name | Index | None = None
    lead_time_s: Annotated[float, Meta(ge=0)] | None = None
    outcome: str | None = None
    classes: Annotated[list[Name], Meta(min_length=1, max_length=1_000)] | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A record that cannot be used: its place in the batch, a reason, and a text for a person.

    The text names the field and the fix.
    """

    position: int
    reason: Reason
    error: str


@dataclass(frozen=True, slots=True)
class Partition:
    """A stream of records with increasing offsets.

    Kafka's topics have Kafka's names; every other stream has a colon in its topic
    (`file:/data/a.jsonl`, `stdin:`), which Kafka does not allow, so the two never meet.
    """

    topic: str
    number: int = 0

    @property
    def is_kafka(self) -> bool:
        """Whether this is a partition of a Kafka topic."""
        return ":" not in self.topic


@dataclass(frozen=True, slots=True)
class LargeValue:
    """What is kept of a value above the size limit: its beginning, length and SHA-256.

    `error` is why there is no value at all: the broker no longer has it, or it is damaged.
    """

    prefix: bytes
    size: int
    sha256: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Records:
    """Records of one poll in order of arrival, as columns.

    `partitions[partition_index[i]]` is where record i came from. A value of None is a Kafka tombstone.
    Shape: (n,) each. Unit: microseconds since the epoch, -1 where the source has no record time.
    """

    values: list[bytes | LargeValue | None]
    keys: list[bytes | None]
    offsets: NDArray[np.int64]
    timestamps_us: NDArray[np.int64]
    partition_index: NDArray[np.int64]
    partitions: tuple[Partition, ...]

    def __len__(self) -> int:
        return len(self.values)

    def take(self, at: NDArray[np.int64]) -> Records:
        """The records at these positions."""
        return replace(
            self,
            values=[self.values[i] for i in at],
            keys=[self.keys[i] for i in at],
            offsets=self.offsets[at],
            timestamps_us=self.timestamps_us[at],
            partition_index=self.partition_index[at],
        )
