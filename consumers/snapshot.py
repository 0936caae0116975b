"""A snapshot of a store, whoever holds it: taken here where nobody does, else by the process that does."""

from __future__ import annotations

import http.client
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from consumers.errors import StoreError, StoreLocked, UsageError
from consumers.store.lock import Lock, url_of
from consumers.store.snapshot import Taken, copy_closed, moved

if TYPE_CHECKING:
    from consumers.config import Settings

_TIMEOUT_S = 3600.0


class _Told(TypedDict):
    """The answer of POST /api/snapshot."""

    name: str
    txn_id: int
    byte_count: int


def take_snapshot(settings: Settings, target: Path, *, is_forced: bool) -> Taken:
    """A copy of the store at `target`, whole or not at all. Raises: UsageError, StoreError, StoreLocked."""
    store = Path(settings.store)
    if not store.exists():
        raise StoreError(f"{store} does not exist; name the database with --store")
    _refuse(store, target, is_forced=is_forced)
    try:
        lock = Lock(store, "labelwatch snapshot")
    except StoreLocked as held:
        taken = _fetched(held, store, target, settings.http.token)
    else:
        try:
            taken = copy_closed(store, target, memory_limit=settings.memory_limit)
        except OSError as error:
            raise StoreError(
                f"{target}: {error.strerror}; no snapshot was written: choose another file"
            ) from error
        finally:
            lock.release()
    # The mark of what was there before would be held against the copy.
    target.with_name(f"{target.name}.mark").unlink(missing_ok=True)
    return taken


def _refuse(store: Path, target: Path, *, is_forced: bool) -> None:
    """Raises: UsageError where the target cannot be, or must not be written."""
    if not target.parent.is_dir():
        raise UsageError(f"{target.parent} is no folder; create it or choose another")
    if not os.access(target.parent, os.W_OK):
        raise UsageError(f"{target.parent} is not writable; choose another folder")
    if target.is_dir():
        raise UsageError(f"{target} is a folder; name a file in it")
    if target.resolve() == store.resolve():
        raise UsageError(f"{target} is the store itself; choose another file")
    if target.with_name(f"{target.name}.wal").exists():
        raise UsageError(f"{target} is a database with a log, maybe in use; choose another file")
    if target.exists() and not is_forced:
        raise UsageError(f"{target} exists; choose another file, or replace it with --force")


def _fetched(held: StoreLocked, store: Path, target: Path, token: str | None) -> Taken:
    """A copy made by the process that holds the store, moved to its place."""
    url = url_of(store)
    if url is None:
        raise StoreError(
            f"{store} is in use by {held.holder}, which does not answer over HTTP; stop that process"
        ) from held
    told = _asked(url, token)
    source = store.resolve().parent / Path(told["name"]).name
    try:
        moved(source, target)
    except OSError as error:
        raise StoreError(
            f"{held.holder} wrote the snapshot {source}, which cannot be moved to {target} "
            f"({error.strerror}); check that both are in reach, and writable"
        ) from error
    return Taken(target, told["txn_id"], told["byte_count"])


def _asked(url: str, token: str | None) -> _Told:
    """What POST /api/snapshot answers. Raises: StoreError."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(
        parts.hostname or "", parts.port or 80, timeout=_TIMEOUT_S
    )
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        connection.request("POST", "/api/snapshot", headers=headers)
        answer = connection.getresponse()
        told = json.loads(answer.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise StoreError(
            f"{url} gave no answer ({type(error).__name__}: {error}), so there is no snapshot; look at the "
            "messages of the process that holds the store, start it if it has ended, and try again"
        ) from error
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise StoreError(f"{url}: {'; '.join(filter(None, (told['error'], told.get('hint'))))}")
    return _Told(name=told["name"], txn_id=told["txn_id"], byte_count=told["byte_count"])
