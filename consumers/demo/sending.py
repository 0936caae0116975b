"""The story to a topic: round after round, at its pace, until it is told to stop."""

from __future__ import annotations

import time
from itertools import count
from typing import TYPE_CHECKING

from consumers.demo.story import tell_story
from consumers.ports import Message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from consumers.demo.pace import Pace
    from consumers.ports import Publisher

_PAGE_MAX = 500
_WAIT_S = 0.05


def messages() -> Iterator[Message]:
    """The rounds, one after the other, without end.

    Each labels the same digits anew, so a store that reads them grows no further after some rounds.
    """
    for number in count():
        story = tell_story(number)
        for key, value in zip(story.keys, story.values, strict=True):
            yield Message(key, value, [])


def send_on(
    told: Iterator[Message], publisher: Publisher, pace: Pace, is_stopping: Callable[[], bool]
) -> int:
    """Publish until `is_stopping`; how many were sent. While the broker is away, what is told waits."""
    sent = 0
    while not is_stopping():
        due = pace.take(_PAGE_MAX) if publisher.is_done() else 0
        if due:
            publisher.send([next(told) for _ in range(due)])
            sent += due
        else:
            time.sleep(_WAIT_S)
    return sent
