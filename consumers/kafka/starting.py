"""Where reading goes on in each partition, or why it cannot. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

from consumers.errors import SourceError
from consumers.ports import Position
from monitor.events import LargeValue, Partition

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Start = Literal["stored", "earliest", "latest"]


@dataclass(frozen=True, slots=True)
class Extent:
    """What a partition holds: its first offset, the one after its last, and which topic it is of."""

    beginning: int
    end: int
    topic_id: str | None


@dataclass(frozen=True, slots=True)
class Lost:
    """Offsets that nobody can read any more: the first, the one after the last, and what stands for them."""

    partition: Partition
    offset: int
    next_offset: int
    value: LargeValue


@dataclass(frozen=True, slots=True)
class Beginning:
    """Where to start, and what was lost before that."""

    positions: Mapping[Partition, Position]
    lost: Sequence[Lost]


def begin(
    extents: Mapping[Partition, Extent],
    stored: Mapping[Partition, Position],
    start: Start,
    *,
    skip_lost: bool,
) -> Beginning:
    """Each partition's position. Raises: SourceError where a stored one no longer means anything.

    A partition that came to a known topic later is read from its beginning.
    """
    _refuse_vanished(extents, stored)
    known_topics = {place.topic for place in stored}
    strangers = [each for each in extents if each.topic not in known_topics]
    if strangers and start == "stored":
        raise SourceError(
            f"{_listed(strangers)}: no offset is stored yet; say where to begin: --start earliest or "
            "--start latest"
        )
    positions, lost = {}, []
    for place, extent in extents.items():
        if place in stored:
            position = stored[place]
            _check(place, position, extent)
            if position.next_offset < extent.beginning:
                lost.append(_gap(place, position.next_offset, extent.beginning))
        elif place.topic not in known_topics and start == "latest":
            position = Position(extent.end)
        else:
            position = Position(extent.beginning)
        offset = max(position.next_offset, extent.beginning)
        positions[place] = Position(offset, extent.topic_id or position.fingerprint)
    if lost and not skip_lost:
        raise SourceError(
            f"{'; '.join(str(each.value.error) for each in lost)}. To go on without them, each gap a "
            "dead letter, use --skip-lost"
        )
    return Beginning(positions, lost)


def named(place: Partition) -> str:
    """A partition, for a person."""
    return f"topic {place.topic}, partition {place.number}"


def _refuse_vanished(
    extents: Mapping[Partition, Extent], stored: Mapping[Partition, Position]
) -> None:
    """A topic never loses a partition, so it is another topic."""
    gone = [each for each in stored if each not in extents]
    if gone:
        raise SourceError(
            f"{named(gone[0])} is in the store, but the topic has it no more: it was deleted and created "
            "anew; read it into another --store"
        )


def _check(place: Partition, position: Position, extent: Extent) -> None:
    before = position.fingerprint
    if before and extent.topic_id and before != extent.topic_id:
        raise SourceError(
            f"topic {place.topic} was deleted and created anew since the store has read it (id {before}, now "
            f"{extent.topic_id}): its offsets mean other records; read it into another --store"
        )
    if position.next_offset > extent.end:
        raise SourceError(
            f"{named(place)} ends at offset {extent.end:,}, but the store has read up to "
            f"{position.next_offset:,}: the topic was truncated or replaced; read it into another --store"
        )


def _gap(place: Partition, offset: int, next_offset: int) -> Lost:
    text = (
        f"{named(place)}: offsets {offset:,} to {next_offset - 1:,} were deleted, by retention or by hand, "
        "before they were read"
    )
    return Lost(place, offset, next_offset, unreadable(text, 1))


def unreadable(error: str, size: int) -> LargeValue:
    """A record that stands for what cannot be read. It has a size, so that redrive leaves it alone."""
    return LargeValue(b"", max(1, size), "", error)


def _listed(places: Sequence[Partition]) -> str:
    by_topic = groupby(sorted(places, key=lambda p: (p.topic, p.number)), lambda p: p.topic)
    return "; ".join(
        f"topic {topic}, partition {', '.join(str(each.number) for each in group)}"
        for topic, group in by_topic
    )
