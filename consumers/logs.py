"""The log: one line on stderr a fault or lifecycle step, as text for people and as JSON for machines.

A line is an event and fields: `log.info("store loaded", extra={"annotations": 5})`. Fields are
counts, names and times, never what a record or a secret says.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import sys
import traceback
from typing import Any, Literal

Style = Literal["auto", "text", "json"]

_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"asctime", "message", "taskName"}


def set_up(style: Style, level: str) -> None:
    """How and from which level on this process logs. May be called again."""
    handler = _Stderr()
    is_text = sys.stderr.isatty() if style == "auto" else style == "text"
    handler.setFormatter(_Text() if is_text else _Json())
    # Libraries keep their own peace: what matters of theirs, our adapters put into words.
    ours = logging.getLogger("consumers")
    ours.handlers = [handler]
    ours.setLevel(level.upper())


class _Stderr(logging.Handler):
    """Writes to what stderr is at that moment: a progress line may stand in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        # Where nobody listens any more, the run goes on.
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = _line(record)
        words = [str(line.pop(name)) for name in ("time", "level", "event")]
        return " ".join([*words, *(f"{name}={_word(value)}" for name, value in line.items())])


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(_line(record), ensure_ascii=False, default=str)


def _line(record: logging.LogRecord) -> dict[str, Any]:
    time = dt.datetime.fromtimestamp(record.created, dt.UTC)
    line = {
        "time": time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z",
        "level": record.levelname.lower(),
        "event": " ".join(record.getMessage().split()),
    }
    line |= {name: value for name, value in vars(record).items() if name not in _USUAL}
    if record.exc_info and (error := record.exc_info[1]):
        line["error"] = " ".join(f"{type(error).__name__}: {error}".split())
        for each in traceback.extract_tb(error.__traceback__)[-1:]:
            line["at"] = f"{each.filename}:{each.lineno}"
    return line


def _word(value: object) -> str:
    """A value as one word, in quotes where it would be several."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    is_word = text.isprintable() and not set(text) & {" ", '"', "="} and text
    return text if is_word or not isinstance(value, str) else json.dumps(text, ensure_ascii=False)
