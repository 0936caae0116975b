"""`labelwatch snapshot`: take a copy of the store out, while it is in use or not."""

from __future__ import annotations

from pathlib import Path

import click

from consumers.cli.feeding import config_option, store_option
from consumers.cli.output import tell
from consumers.config import read_settings
from consumers.snapshot import take_snapshot


@click.command()
@click.argument("path", metavar="PATH")
@config_option
@store_option
@click.option("--force", is_flag=True, help="Replace the file, if there is one.")
def snapshot(path: str, config: str | None, store: str | None, *, force: bool) -> None:
    """Copy the store to PATH, as of one commit. A monitor that holds it goes on meanwhile."""
    settings = read_settings(config, {"store": store})
    taken = take_snapshot(settings, Path(path), is_forced=force)
    tell(f"{taken.byte_count:,} bytes as of transaction {taken.txn_id:,} written to {path}")


COMMANDS: tuple[click.Command, ...] = (snapshot,)
