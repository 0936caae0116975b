"""`labelwatch doctor`: what is wrong, and what to do."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.text import Text

from consumers.cli.feeding import classes_option, config_option, store_option
from consumers.cli.topics import kafka_settings, servers_option, start_option, topic_option
from consumers.config import origins
from consumers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from consumers.doctor.checks import Check

_COLOURS = {"ok": "green", "warning": "yellow", "fault": "red"}


@click.command()
@config_option
@servers_option
@topic_option
@store_option
@start_option
@classes_option
@click.option(
    "--format",
    "style",
    type=click.Choice(("table", "json")),
    default="table",
    show_default=True,
    help="How to print.",
)
def doctor(
    *,
    config: str | None,
    store: str | None,
    classes: str | None,
    style: str,
    **kafka: Any,  # noqa: ANN401 - as click gives them
) -> None:
    """Look at packages, configuration, store, broker, topics and clock: what is wrong, and what to do.

    It only looks: a monitor may run meanwhile. It ends with the exit code of the first fault.
    """
    # They import the Kafka client, which no other command should pay for.
    from consumers.doctor import check_packages, examine  # noqa: PLC0415 - as above
    from consumers.doctor.checks import exit_code_of, fault, ok  # noqa: PLC0415 - as above

    checks = check_packages()
    try:
        settings = kafka_settings(config, store, classes, **kafka)
        checks.append(ok("configuration", _read_from(config)))
        checks += examine(settings)
    except UsageError as error:
        checks.append(fault("configuration", error))
    _print(checks, style)
    sys.exit(exit_code_of(checks))


def _read_from(config: str | None) -> str:
    file, variables = origins(config)
    return f"{file or 'no file'}; {', '.join(variables) or 'no variables'}"


def _print(checks: Sequence[Check], style: str) -> None:
    if style == "json":
        found = [{"check": c.name, "verdict": str(c.verdict), "text": c.text} for c in checks]
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    console = Console(soft_wrap=True, highlight=False)
    width = max(len(each.name) for each in checks)
    for each in checks:
        verdict = Text(f"{each.verdict:<9}", style=_COLOURS[each.verdict])
        console.print(verdict + Text(f"{each.name:<{width}}  {' '.join(each.text.split())}"))


COMMANDS: tuple[click.Command, ...] = (doctor,)
