"""Commands that feed a store, or check what would feed it."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

import click

from consumers import logs
from consumers.cli.feeding import (
    classes_option,
    config_option,
    feed,
    keep_going_option,
    listen_option,
    store_option,
    store_settings,
    strict_option,
    tell_start,
)
from consumers.cli.output import tell
from consumers.cli.topics import kafka_settings, servers_option, topic_option, topic_source
from consumers.config import read_settings
from consumers.config_text import as_toml
from consumers.errors import UsageError
from consumers.files import FileSource
from consumers.rebuild import rebuild
from consumers.stopping import Stopping
from consumers.validation import validate_source

if TYPE_CHECKING:
    from consumers.ports import Source


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@config_option
@store_option
@classes_option
@listen_option
@strict_option
@keep_going_option
def replay(
    files: tuple[str, ...],
    *,
    listen: str | None,
    strict: bool,
    keep_going: bool,
    **flags: str | None,
) -> None:
    """Read JSONL, Parquet or CSV files, or - for stdin, into the store.

    Run again, it goes on where it was. With --listen it answers questions meanwhile.
    """
    settings = store_settings(**flags, listen=listen)
    # From here on a signal lets the batch at hand finish, even if the store is still being loaded.
    stopping = Stopping()
    tell_start(settings, "labelwatch replay", ", ".join(files))
    source = FileSource(files, settings.value_bytes_max, settings.fields)
    with contextlib.closing(source):
        totals = feed(
            settings,
            source,
            "labelwatch replay",
            is_stopping=stopping,
            keep_going=keep_going,
            has_server=listen is not None,
        )
    if strict and totals.rejected:
        sys.exit(1)


@click.command()
@click.argument("file", required=False)
@config_option
@servers_option
@topic_option
@classes_option
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10_000,
    show_default=True,
    help="Records to read.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 where records would be rejected.")
def validate(
    file: str | None,
    *,
    limit: int,
    strict: bool,
    config: str | None,
    classes: str | None,
    **kafka: Any,  # noqa: ANN401 - as click gives them
) -> None:
    """Say what would be accepted, what rejected and why, and which mapping would help. Writes nothing."""
    if (file is None) == (not kafka["topics"]):
        raise UsageError("validate: name a FILE, or a topic with --topic")
    settings = kafka_settings(config, None, classes, start="earliest", **kafka)
    logs.set_up(settings.log_format, settings.log_level)
    source: Source = (
        topic_source(settings, until_end=True)
        if file is None
        else FileSource([file], settings.value_bytes_max, settings.fields)
    )
    report = validate_source(source, settings, limit)
    click.echo(report.text)
    if strict and report.rejected_count:
        sys.exit(1)


@click.command("check-config")
@click.argument("file", required=False)
def check_config(file: str | None) -> None:
    """Check the configuration and print the settings in effect."""
    click.echo(as_toml(read_settings(file, {})))


@click.command("rebuild")
@config_option
@store_option
@classes_option
def rebuild_command(**flags: str | None) -> None:
    """Compute all state from the stored facts, after a change of settings or a doubt."""
    tell(rebuild(store_settings(**flags)))


COMMANDS: tuple[click.Command, ...] = (replay, validate, check_config, rebuild_command)
