"""The database: its place, its disk, its state, and whether the configuration fits it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.doctor.checks import fault, ok, warning
from consumers.errors import StoreError, StoreLocked
from consumers.store.look import Look, look
from consumers.store.shape import refused_change, shape_of
from monitor.fields import suggest_mapping
from monitor.parse import parse_leniently

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from consumers.config import Settings
    from consumers.doctor.checks import Check
    from consumers.ports import Position
    from monitor.events import Partition

FREE_BYTES_LOW = 1 << 30
FREE_BYTES_MIN = 16 << 20
WAL_TIMES_MAX = 4
LETTERS_SHARE_MAX = 0.01


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What is known of a database without writing to it. `look` is None where it cannot be opened."""

    path: Path
    exists: bool
    has_folder: bool
    is_writable: bool
    free_bytes: int
    wal_bytes: int | None
    look: Look | None = None
    error: StoreError | None = None

    @property
    def positions(self) -> Mapping[Partition, Position] | None:
        """Where each partition goes on; None where the store does not tell now."""
        if self.look is not None:
            return self.look.positions
        return None if self.exists else {}


def look_at(path: Path) -> StoreFacts:
    """The facts about a database."""
    folder, wal = path.parent, path.with_name(f"{path.name}.wal")
    found = look_error = None
    try:
        found = look(path) if path.exists() else None
    except StoreError as error:
        look_error = error
    except OSError as error:
        look_error = StoreError(f"{path}: {error.strerror}; check its permissions")
    has_folder = folder.is_dir()
    return StoreFacts(
        path,
        path.exists(),
        has_folder,
        is_writable=all(os.access(each, os.W_OK) for each in (folder, path) if each.exists()),
        free_bytes=shutil.disk_usage(folder).free if has_folder else 0,
        wal_bytes=wal.stat().st_size if wal.exists() else None,
        look=found,
        error=look_error,
    )


def check_store(facts: StoreFacts, settings: Settings) -> list[Check]:
    """The store, whether the settings fit it, its disk and its dead letters."""
    found = [_store(facts, settings.checkpoint_bytes)]
    if facts.look:
        found.append(_shape(facts.path, facts.look, settings))
    if facts.has_folder:
        found.append(_disk(facts))
    if facts.look:
        found.append(_letters(facts.look))
    return found


def _store(facts: StoreFacts, checkpoint_bytes: int) -> Check:
    if error := _unusable(facts):
        return fault("store", error)
    if isinstance(facts.error, StoreLocked):
        return _held(facts.error)
    if not facts.look:
        return ok("store", f"{facts.path} does not exist yet; the first run creates it")
    text = f"{facts.path} is as of transaction {facts.look.txn_id:,}"
    if facts.look.schema < facts.look.schema_known:
        text += f"; schema {facts.look.schema} becomes {facts.look.schema_known} with the next run"
    if facts.wal_bytes is None:
        return ok("store", text)
    text += f"; its .wal has {_size(facts.wal_bytes)}"
    if facts.wal_bytes > WAL_TIMES_MAX * checkpoint_bytes:
        return warning("store", f"{text}, which slows each start; a run that ends folds it in")
    return ok("store", text)


def _held(error: StoreLocked) -> Check:
    """A monitor is meant to hold its store; another program keeps every monitor out."""
    if "(labelwatch" in error.holder:
        return ok("store", f"{error.path} is in use by {error.holder}: not looked into")
    return warning("store", str(error))


def _unusable(facts: StoreFacts) -> StoreError | None:
    path = facts.path
    if not facts.has_folder:
        return StoreError(f"{path.parent} is no folder; create it")
    if not facts.is_writable:
        return StoreError(f"{path} cannot be written to; check its permissions and its folder's")
    if not facts.exists and facts.wal_bytes is not None:
        text = f"{path} is missing, but {path.name}.wal is there; restore it, or delete that too"
        return StoreError(text)
    return None if isinstance(facts.error, StoreLocked) else facts.error


def _shape(path: Path, known: Look, settings: Settings) -> Check:
    stored = known.shape
    refused = refused_change(path, stored, shape_of(stored, settings.shape()))
    if refused and known.accepted_count:
        return fault("settings", refused)
    return ok("settings", "as the store was built" if stored else "the first run records them")


def _disk(facts: StoreFacts) -> Check:
    text = f"{_size(facts.free_bytes)} are free beside the store"
    if facts.free_bytes < FREE_BYTES_MIN:
        return fault("disk", StoreError(f"{text}; make room"))
    if facts.free_bytes < FREE_BYTES_LOW:
        return warning("disk", f"{text}; make room before it is full")
    return ok("disk", text)


def _letters(known: Look) -> Check:
    count = known.reasons.total()
    if not count:
        return ok("dead letters", "none")
    share = count / (count + known.accepted_count)
    reason, most = known.reasons.most_common(1)[0]
    text = f"{count:,}, {100 * share:.2g}% of all records; {most:,} are {reason}"
    if share < LETTERS_SHARE_MAX:
        return ok("dead letters", text)
    samples = [sample for value in known.samples if (sample := parse_leniently(value))]
    mapping = suggest_mapping(samples) if samples else {}
    if mapping:
        named = ", ".join(f'fields.{name} = "{path}"' for name, path in mapping.items())
        return warning("dead letters", f"{text}; this mapping would help: {named}")
    return warning("dead letters", f"{text}; see why: labelwatch dead-letters list")


def _size(count: int) -> str:
    """Bytes, for a person."""
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:  # noqa: PLR2004 - that is what the units are
            break
        size, unit = size / 1024, larger
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"  # noqa: PLR2004 - digits
