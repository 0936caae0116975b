"""The output topics: whether they exist, and whether we may write to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consumers.doctor.checks import counted, fault, ok, warning
from consumers.errors import SourceError
from consumers.kafka.outputs import OutputFacts, look_at_output

if TYPE_CHECKING:
    from consumers.config import KafkaSettings
    from consumers.doctor.checks import Check


def check_outputs(settings: KafkaSettings) -> list[Check]:
    """Each output topic that is configured; the broker is known to answer."""
    named = {
        "kafka.findings_topic": settings.findings_topic,
        "kafka.dead_letters_topic": settings.dead_letters_topic,
        "kafka.next_labels_topic": settings.next_labels_topic,
    }
    return [_check(settings, topic, setting) for setting, topic in named.items() if topic]


def _check(settings: KafkaSettings, topic: str, setting: str) -> Check:
    try:
        return judge_output(topic, setting, look_at_output(settings, topic, setting))
    except SourceError as error:
        return fault(f"output {topic}", error)


def judge_output(topic: str, setting: str, facts: OutputFacts) -> Check:
    """Whether something can be published there. A run goes on where it cannot, so that is a warning."""
    called = f"output {topic}"
    if facts.may_write is False:
        text = (
            f"{setting}: writing to it is not allowed, so what is to be published waits in the store; ask "
            "for the right to write and describe it"
        )
        return warning(called, text)
    if facts.trouble:
        return warning(called, f"{setting}: {facts.trouble}, says the broker; see its log")
    text = f"{setting}: {counted(facts.partition_count, 'partition')}"
    if facts.may_write is None:
        return ok(called, f"{text}; whether it may be written to this broker does not tell")
    return ok(called, f"{text}; may be written to")
