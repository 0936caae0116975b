"""The settings in effect as text, in the form of the file."""

from __future__ import annotations

import math

import msgspec

from consumers.config import SECRETS, Settings


def as_toml(settings: Settings) -> str:
    """The settings in effect, in the form of the file. Unset ones are comments."""
    lines, tables = [], []
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, msgspec.Struct):
            value = msgspec.structs.asdict(value)
        if isinstance(value, dict):
            tables += ["", f"[{name}]", *(_line(key, each) for key, each in value.items())]
        else:
            lines.append(_line(name, value))
    return "\n".join(lines + tables)


def _line(name: str, value: object) -> str:
    if name in SECRETS and value is not None:
        return f"# {name} is set, and not shown"
    return f"# {name} is not set" if value is None else f"{name} = {_literal(value)}"


def _literal(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    # A TOML string, number or list of them is written as JSON writes it, DEL excepted.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
