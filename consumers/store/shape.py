"""The settings that shape state, as recorded in the store. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from consumers.errors import UsageError
from monitor.statistics.posterior import MODEL_WEIGHT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SHAPE_DEFAULTS: dict[str, Any] = {
    "classes": None,
    "collision": "cleanlab",
    "fields": {},
    "model_weight": MODEL_WEIGHT,
    "tombstone_key": "example_id",
}
"""Settings that shape state, and what they are where nobody says. Recorded in the store."""


def shape_of(stored: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """As given, else as stored, else the default."""
    return {
        name: known if (value := given.get(name)) is None else value
        for name, known in (SHAPE_DEFAULTS | dict(stored)).items()
    }


def refused_change(
    path: Path, stored: Mapping[str, Any], shape: Mapping[str, Any]
) -> UsageError | None:
    """Why a store with events cannot go on in this shape; None where it can."""
    changed = [name for name in stored if shape[name] != stored[name]]
    if not changed:
        return None
    name = changed[0]
    return UsageError(
        f"{name}: {path} was built with {json.dumps(stored[name])}, not "
        f"{json.dumps(shape[name])}; leave the setting out, run `labelwatch rebuild` with the new "
        "value, or use another --store"
    )
