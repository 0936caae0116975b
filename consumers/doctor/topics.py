"""The broker: whether it answers, whether its topics can be read, and how far the store is behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.doctor.checks import counted, fault, ok, warning
from consumers.doctor.outputs import check_outputs
from consumers.errors import LabelwatchError, SourceError
from consumers.kafka.clients import connector
from consumers.kafka.survey import Survey, TopicFacts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.config import KafkaSettings
    from consumers.doctor.checks import Check
    from consumers.ports import Position
    from monitor.events import Partition

    Positions = Mapping[Partition, Position]

SHOWN_MAX = 8


def check_topics(
    settings: KafkaSettings, source: str, stored: Positions | None
) -> tuple[list[Check], int | None]:
    """The broker and each topic, and the newest time of a record. `stored`: None where nobody knows."""
    if not settings.topics:
        return [ok("broker", "not looked at: no topic is named; name one with --topic")], None
    try:
        with Survey(settings, connector(source)) as survey:
            return _with_topics(settings, stored, survey)
    except LabelwatchError as error:
        return [fault("broker", error)], None


def _with_topics(
    settings: KafkaSettings, stored: Positions | None, survey: Survey
) -> tuple[list[Check], int | None]:
    found = [ok("broker", f"{settings.bootstrap_servers} answers ({_spoken(settings)})")]
    all_facts = []
    for name in dict.fromkeys(settings.topics):
        try:
            facts = survey.topic(name)
            own = {} if stored is None else _of(name, stored)
            refusal = None if stored is None else survey.refusal(name, own)
        except SourceError as error:
            found.append(fault(f"topic {name}", error))
            continue
        all_facts.append(facts)
        found.append(judge_topic(name, facts))
        if stored is None:
            found.append(
                _lag(name, facts, facts.told or {}, "as the group was told, the monitor is")
            )
        else:
            offsets = {place: position.next_offset for place, position in own.items()}
            found.append(judge_offsets(name, facts, offsets, refusal))
    found.append(judge_group(settings.group_id, all_facts))
    found += check_outputs(settings)
    times = [facts.newest_us for facts in all_facts if facts.newest_us is not None]
    return found, max(times, default=None)


def judge_topic(name: str, facts: TopicFacts) -> Check:
    """Whether there are records that can be read."""
    called = f"topic {name}"
    held = sum(each.end - each.beginning for each in facts.extents.values())
    text = f"{counted(len(facts.extents), 'partition')}, {held:,} offsets"
    if facts.damage:
        return warning(called, f"{text}; {facts.damage}; look at the broker's disks and its log")
    if facts.newest_us is not None and facts.newest_us <= 0:
        text += "; its records have no time: order then needs annotated_at or revision"
        return warning(called, text)
    return ok(called, f"{text}; readable" if held else f"{text}: no records yet")


def judge_offsets(
    name: str, facts: TopicFacts, offsets: Mapping[Partition, int], refusal: SourceError | None
) -> Check:
    """Whether a run could go on where the store is, and how far that is from the end."""
    if refusal and not offsets:
        # Before the first run nothing is wrong: it only has to be told where to begin.
        return warning(f"offsets {name}", str(refusal))
    if refusal:
        return fault(f"offsets {name}", refusal)
    return _lag(name, facts, offsets, "the store is")


def judge_group(group_id: str | None, topics: list[TopicFacts]) -> Check:
    """What lag tools see."""
    if group_id is None:
        return ok("group", "none is set: lag tools see nothing")
    if any(facts.told is None for facts in topics):
        text = (
            f"{group_id}: its offsets cannot be asked for, so lag tools are blind; allow the group"
        )
        return warning("group", text)
    told = sum(len(facts.told or ()) for facts in topics)
    count = sum(len(facts.extents) for facts in topics)
    return ok("group", f"{group_id}: lag tools see {told} of {counted(count, 'partition')}")


def _lag(name: str, facts: TopicFacts, offsets: Mapping[Partition, int], who: str) -> Check:
    lags = {
        place.number: extent.end - max(offsets[place], extent.beginning)
        for place, extent in facts.extents.items()
        if place in offsets
    }
    called = f"offsets {name}"
    if not lags:
        return ok(called, "none are known yet")
    total = sum(lags.values())
    if not total:
        return ok(called, f"{who} at the end")
    largest = sorted(lags.items(), key=lambda each: (-each[1], each[0]))[:SHOWN_MAX]
    shown = ", ".join(f"partition {number}: {lag:,}" for number, lag in largest if lag)
    return ok(called, f"{who} {total:,} behind the end ({shown})")


def _of(name: str, stored: Positions) -> Positions:
    return {place: position for place, position in stored.items() if place.topic == name}


def _spoken(settings: KafkaSettings) -> str:
    if not settings.security_protocol.startswith("SASL"):
        return settings.security_protocol
    return f"{settings.security_protocol}, {settings.sasl_mechanism} as {settings.sasl_username}"
