"""Where commands that read find the store: in its file, or at the monitor that holds it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from consumers.config import read_settings
from consumers.errors import StoreLocked
from consumers.store.lock import url_of
from consumers.store.read import Reader

if TYPE_CHECKING:
    from consumers.cli.remote import Remote

url_option = click.option(
    "--url",
    metavar="URL",
    help="Ask this monitor; by default the one that holds the store, if any.",
)


def open_reader(store: str | None, url: str | None = None) -> Reader | Remote:
    """The store, for reading: the monitor that holds it, else its file. Raises: LabelwatchError."""
    settings = read_settings(None, {"store": store})
    if url is not None:
        return _remote(url, settings.http.token)
    path = Path(settings.store)
    try:
        return Reader(path)
    except StoreLocked:
        held_at = url_of(path)
        if held_at is None:
            raise
        return _remote(held_at, settings.http.token)


def _remote(url: str, token: str | None) -> Remote:
    # Who reads a file need not import an HTTP client.
    from consumers.cli.remote import Remote  # noqa: PLC0415 - as above

    return Remote(url, token)
