"""Commands that feed a store, or check what would feed it."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Self

import click
from rich.console import Console

from consumers.cli.output import tell
from consumers.cli.topics import kafka_settings, servers_option, topic_option, topic_source
from consumers.config import Settings, as_toml, read_settings
from consumers.demo import run_demo
from consumers.errors import UsageError
from consumers.files import FileSource
from consumers.loop import Breaker, run
from consumers.rebuild import rebuild
from consumers.stopping import Stopping
from consumers.validation import validate_source
from consumers.wiring import open_line

if TYPE_CHECKING:
    from consumers.loop import Line, Totals
    from consumers.ports import Source

config_option = click.option(
    "--config", metavar="FILE", help="Settings; labelwatch.toml where it exists."
)
store_option = click.option(
    "--store", metavar="PATH", help="The database; labelwatch.duckdb by default."
)
classes_option = click.option(
    "--classes", metavar="A,B,…", help="The class list, in the order of pred_probs."
)


def _settings(config: str | None, store: str | None, classes: str | None) -> Settings:
    names = None if classes is None else [name.strip() for name in classes.split(",")]
    return read_settings(config, {"store": store, "classes": names})


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE…")
@config_option
@store_option
@classes_option
@click.option("--strict", is_flag=True, help="Exit with 1 where records were rejected.")
@click.option(
    "--keep-going", is_flag=True, help="Go on even where nearly all records are rejected."
)
def replay(files: tuple[str, ...], *, strict: bool, keep_going: bool, **flags: str | None) -> None:
    """Read JSONL, Parquet or CSV files, or - for stdin, into the store.

    Run again, it goes on where it was.
    """
    settings = _settings(**flags)
    source = FileSource(files, settings.value_bytes_max, settings.fields)
    try:
        with (
            open_line(settings, "labelwatch replay") as line,
            _Progress(line, settings) as progress,
        ):
            totals = run(
                line, source, Breaker(is_armed=not keep_going), Stopping(), progress.update
            )
            progress.check_parity()
            tell(_summary(line, totals))
    finally:
        source.close()
    if strict and totals.rejected:
        sys.exit(1)


class _Progress:
    """Shows a running count on a terminal, and recounts the joint from the facts now and then."""

    def __init__(self, line: Line, settings: Settings) -> None:
        self._line = line
        self._every_s = settings.parity_every_s
        self._checked_at = self._started_at = time.monotonic()
        self._status = Console(stderr=True).status("reading …") if sys.stderr.isatty() else None

    def __enter__(self) -> Self:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()

    def update(self, totals: Totals) -> None:
        """Told after each commit."""
        if self._status:
            rate = totals.records / max(time.monotonic() - self._started_at, 1e-3)
            self._status.update(f"{totals.records:,} records, {rate:,.0f} a second")
        if self._every_s and time.monotonic() - self._checked_at > self._every_s:
            self.check_parity()

    def check_parity(self) -> None:
        """Assert that the stored joint equals a recount from the facts."""
        if self._every_s:
            wrong = self._line.store.parity(str(self._line.state.collision))
            assert wrong == 0, f"{wrong} cells differ from a recount; run `labelwatch rebuild`"
            self._checked_at = time.monotonic()


def _summary(line: Line, totals: Totals) -> str:
    issues = sum(int(each.issue_count.sum()) for each in line.state.label_issues.strata.values())
    parts = [f"{totals.records:,} records read", f"{totals.rejected:,} rejected"]
    if totals.reasons:
        parts[-1] += (
            f" ({', '.join(f'{reason} {n:,}' for reason, n in totals.reasons.most_common())})"
        )
    ledger = line.state.ledger
    parts.append(f"{issues:,} label issues")
    if ledger.pending_count:
        parts.append(f"{ledger.pending_count:,} annotations wait for a prediction")
    return "; ".join(parts)


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
    tell(rebuild(_settings(**flags)))


@click.command()
@click.option("--once", is_flag=True, help="Run at full speed, print what was found, and end.")
@click.option("--store", metavar="PATH", help="Keep the database here; thrown away by default.")
def demo(*, once: bool, store: str | None) -> None:
    """Handwritten digits with planted label errors: what labelwatch finds, and how much of it is right."""
    if not once:
        raise UsageError("demo: only `labelwatch demo --once` exists so far")
    run_demo(store)


COMMANDS: tuple[click.Command, ...] = (replay, validate, check_config, rebuild_command, demo)
