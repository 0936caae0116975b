from __future__ import annotations

import pytest

from monitor.content import canonical_content
from monitor.events import Event


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"text": "two words"}, {"text": "\n two\t\u00a0words "}),
        ({"text": "caf\u00e9"}, {"text": "cafe\u0301"}),
        ({"content_hash": "h", "text": "one"}, {"content_hash": "h", "text": "another"}),
        ({"text": "one", "embedding": b"\0" * 4}, {"text": "one", "embedding": b"\1" * 4}),
        ({"text": " ", "embedding": b"\0" * 4}, {"embedding": b"\0" * 4}),
    ],
)
def test_equal_content(fields, other):
    """A given hash counts first, then the text in NFC with white space collapsed, then the embedding."""
    assert canonical_content(Event(**fields)) == canonical_content(Event(**other)) is not None


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"text": "C++"}, {"text": "C#"}),
        ({"text": "good 🙂"}, {"text": "good"}),
        ({"text": "Polish"}, {"text": "polish"}),
        ({"text": "two words"}, {"text": "twowords"}),
        ({"text": "h"}, {"content_hash": "h"}),
        ({"text": "\0\0\0\0"}, {"embedding": b"\0" * 4}),
    ],
)
def test_different_content(fields, other):
    """Punctuation, emoji, case and the kind of content count."""
    assert canonical_content(Event(**fields)) != canonical_content(Event(**other))


@pytest.mark.parametrize("fields", [{}, {"text": ""}, {"text": " \n"}, {"uri": "s3://a"}])
def test_no_content(fields):
    """An empty text is no content: two of them are no duplicates."""
    assert canonical_content(Event(**fields)) is None
