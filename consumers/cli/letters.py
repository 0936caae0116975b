"""`labelwatch dead-letters`: look at rejected records, and read them again."""

from __future__ import annotations

import base64
import codecs
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.cli.feeding import config_option, store_option, store_settings
from consumers.cli.output import format_option, limit_option, row_limit, show, tell
from consumers.cli.reading import open_reader, url_option
from consumers.errors import UsageError
from consumers.loop import redrive
from consumers.wiring import open_line
from monitor.events import Reason

if TYPE_CHECKING:
    from consumers.loop import Totals

_SHOWN_BYTES = 200
_LETTERS = """
SELECT topic, kafka_partition, kafka_offset, reason, error, base64(array_slice(value, 1, {bytes})) AS value,
    first_seen_at
FROM dead_letters WHERE {where} ORDER BY first_seen_at, topic, kafka_partition, kafka_offset LIMIT ?
"""
_LETTER_COUNT = "SELECT count(*) FROM dead_letters WHERE {where}"
_decode = codecs.getincrementaldecoder("utf-8")

reason_option = click.option(
    "--reason", type=click.Choice([str(each) for each in Reason]), help="Only these."
)


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that could not be used: list them, or read them again."""


@dead_letters.command("list")
@store_option
@url_option
@reason_option
@click.option("--topic", help="Only those of this topic, or file.")
@limit_option
@format_option
def list_letters(
    *,
    store: str | None,
    url: str | None,
    reason: str | None,
    topic: str | None,
    limit: int | None,
    style: str | None,
) -> None:
    """Where each came from, why it was rejected, and the beginning of its value.

    The whole bytes are in the view dead_letters.
    """
    given = {"reason": reason, "topic": topic}
    values = [value for value in given.values() if value is not None]
    where = " AND ".join(f"{name} = ?" for name, value in given.items() if value is not None)
    where = where or "true"
    with open_reader(store, url) as reader:
        statement = _LETTERS.format(where=where, bytes=_SHOWN_BYTES)
        found = reader.query(statement, [*values, row_limit(limit, style)])
        count = reader.query(_LETTER_COUNT.format(where=where), values).rows[0][0]
    at = found.columns.index("value")
    rows = [(*row[:at], _readable(row[at]), *row[at + 1 :]) for row in found.rows]
    show(dataclasses.replace(found, rows=rows), style)
    if count > len(rows):
        tell(f"{len(rows):,} of {count:,} dead letters; see more with --limit")


@dead_letters.command("redrive")
@config_option
@store_option
@reason_option
def redrive_letters(config: str | None, store: str | None, reason: str | None) -> None:
    """Read them again, as what they were when they came. Those that are still rejected stay."""
    settings = store_settings(config, store, None)
    if not Path(settings.store).exists():
        raise UsageError(f"{settings.store} does not exist; name the database with --store")
    with open_line(settings, "labelwatch dead-letters redrive") as line:
        totals = redrive(line, reason)
        in_part = line.store.letters_in_part(reason)
    tell(_summary(totals, in_part))


def _readable(encoded: str) -> str:
    """Bytes in base64 as text; what is no text, or would steer a terminal, as escapes."""
    # The last character may have been cut in the middle.
    text = _decode("backslashreplace").decode(base64.b64decode(encoded))
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _summary(totals: Totals, in_part: int) -> str:
    text = f"{totals.records:,} read again: {totals.records - totals.rejected:,} accepted"
    if totals.rejected:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in totals.reasons.most_common())
        text += f", {totals.rejected:,} still rejected ({reasons})"
    return f"{text}; {in_part:,} kept only in part" if in_part else text


COMMANDS: tuple[click.Command, ...] = (dead_letters,)
