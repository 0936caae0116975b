from __future__ import annotations

import pytest

from consumers.doctor.topics import judge_group, judge_offsets, judge_topic
from consumers.errors import SourceError
from consumers.kafka.starting import Extent
from consumers.kafka.survey import TopicFacts
from monitor.events import Partition

PLACES = [Partition("t", number) for number in range(12)]


def facts(*, told=None, newest_us=1_700_000_000_000_000, damage=None, count=2):
    """A topic of ten records a partition."""
    extents = {place: Extent(5, 15, "id") for place in PLACES[:count]}
    return TopicFacts(extents, told, newest_us, damage)


@pytest.mark.parametrize("newest_us", [-1, 0])
def test_records_without_a_time(newest_us):
    """Records that carry no time cannot be ordered by it: a warning that names what can."""
    found = judge_topic("t", facts(newest_us=newest_us))
    assert (found.verdict, "annotated_at or revision" in found.text) == ("warning", True)


def test_a_record_that_cannot_be_read():
    """What the source says of it is handed on."""
    found = judge_topic("t", facts(damage="the checksum is wrong"))
    assert (found.verdict, "; the checksum is wrong; " in found.text) == ("warning", True)


def test_the_largest_lags_are_shown():
    """Of many partitions those are named that are farthest behind; what is gone counts as no lag."""
    offsets = {place: 15 - place.number for place in PLACES} | {PLACES[1]: 0}
    found = judge_offsets("t", facts(count=12), offsets, None)
    assert (found.verdict, found.exit_code) == ("ok", 0)
    assert found.text.startswith(
        "the store is 74 behind the end (partition 1: 10, partition 10: 10, partition 11: 10, "
    )
    assert found.text.count("partition") == 8


def test_a_refusal_is_a_fault_once_something_is_stored():
    """Without a stored offset a run need only be told where to begin."""
    refusal = SourceError("no")
    assert judge_offsets("t", facts(), {}, refusal).verdict == "warning"
    found = judge_offsets("t", facts(), {PLACES[0]: 5}, refusal)
    assert (found.verdict, found.text, found.exit_code) == ("fault", "no", 4)


@pytest.mark.parametrize(
    ("group_id", "told", "verdict", "said"),
    [
        (None, {}, "ok", "lag tools see nothing"),
        ("g", None, "warning", "g: its offsets cannot be asked for"),
        ("g", {PLACES[0]: 7}, "ok", "g: lag tools see 1 of 2 partitions"),
    ],
)
def test_what_lag_tools_see(group_id, told, verdict, said):
    """A group that may not be used is a warning: nothing but lag tools depends on it."""
    found = judge_group(group_id, [facts(told=told)])
    assert (found.verdict, said in found.text) == (verdict, True)
