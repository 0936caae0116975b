"""Canonical content of an annotation: what makes two examples exact duplicates.

A given `content_hash`, else the text in NFC with white space collapsed and case kept, else the
embedding. Punctuation and emoji count: without them "C++" would equal "C#". A type prefix keeps
the three apart.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monitor.events import Event


def canonical_content(event: Event) -> bytes | None:
    r"""The bytes that stand for an event's content, None where it has none.

    >>> from monitor.events import Event
    >>> canonical_content(Event(text=" two\n words ")), canonical_content(Event(text="  "))
    (b't:two words', None)
    """
    if event.content_hash is not None:
        return b"h:" + event.content_hash.encode()
    text = event.text
    if text is not None:
        words = " ".join(unicodedata.normalize("NFC", text).split())
        if words:
            return b"t:" + words.encode()
    if event.embedding is not None:
        return b"e:" + event.embedding
    return None
