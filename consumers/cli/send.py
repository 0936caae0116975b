"""`labelwatch send`: records of a file to a running monitor."""

from __future__ import annotations

import contextlib
import sys
import uuid
from pathlib import Path

import click

from consumers.cli.feeding import config_option, store_option, store_settings
from consumers.cli.output import tell
from consumers.files import FileSource
from consumers.sending import Sender, Sent, checked_url, monitor_of

_SHOWN_MAX = 10


@click.command()
@click.argument("file", metavar="FILE")
@config_option
@store_option
@click.option(
    "--url", help="Where the monitor answers; found by itself where it holds the store here."
)
@click.option("--again", is_flag=True, help="Send even what was sent before.")
@click.option("--strict", is_flag=True, help="Exit with 1 where records were rejected.")
def send(
    file: str, *, config: str | None, store: str | None, url: str | None, again: bool, strict: bool
) -> None:
    """Send JSONL, Parquet or CSV, or - for stdin, to a running monitor.

    Run again after a failure: what the monitor has of a file counts once.
    """
    settings = store_settings(config, store, None)
    path = Path(settings.store)
    given = None if url is None else checked_url(url)
    # What comes from a pipe cannot be told from the same sent on purpose.
    nonce = uuid.uuid4().hex if again or file == "-" else ""
    shown = 0

    def show(number: int, error: str) -> None:
        nonlocal shown
        shown += 1
        if shown <= _SHOWN_MAX:
            tell(f"record {number}: {error}")

    sender = Sender(lambda: given or monitor_of(path), settings.http.token, nonce, show)
    source = FileSource([file], settings.value_bytes_max, settings.fields)
    with contextlib.closing(source):
        try:
            sent = sender.send(source)
        except BaseException:
            if sender.sent != Sent():
                tell(_summary(sender.sent, is_whole=False))
            raise
    tell(_summary(sent, is_whole=True))
    if strict and sent.rejected:
        sys.exit(1)


def _summary(sent: Sent, *, is_whole: bool) -> str:
    parts = [f"{sent.accepted:,} records accepted"]
    if sent.repeated:
        parts.append(f"{sent.repeated:,} were accepted before (--again sends them anew)")
    parts.append(f"{sent.rejected:,} rejected, and not kept" if sent.rejected else "0 rejected")
    if is_whole and sent.accepted + sent.repeated:
        told = (
            "not counted yet" if sent.txn_id is None else f"counted by transaction {sent.txn_id:,}"
        )
        parts.append(told)
    return "; ".join(parts)


COMMANDS: tuple[click.Command, ...] = (send,)
