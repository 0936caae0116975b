"""The one place of configuration: a TOML file, then LABELWATCH_… variables, then flags.

Later ones win. A key that does not exist is an error with a suggestion, never silence.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import Meta

from consumers.errors import UsageError
from monitor.fields import FieldMapping

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FILE_NAME = "labelwatch.toml"
_PREFIX = "LABELWATCH_"
_NOT_SETTINGS = frozenset(f"LABELWATCH_{name}" for name in ("CONFIG", "CRASH_AT", "DATA", "DEBUG"))

Name = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting, with its default. A default of None means: as the store was built."""

    store: Name = "labelwatch.duckdb"
    """Path of the database."""
    classes: Annotated[list[Name], Meta(min_length=2)] | None = None
    """The class list; unset: as declared by events, or discovered. Shapes state."""
    collision: Literal["cleanlab", "paper"] | None = None
    """The suggested label where several classes are confident; default cleanlab. Shapes state."""
    tombstone_key: Literal["example_id", "annotation_id"] | None = None
    """What a Kafka tombstone deletes; default example_id. Shapes state."""
    fields: dict[str, str] | None = None
    """Field → dotted path in the sender's records. Shapes state."""
    batch_size_max: Positive = 20_000
    """Records in one transaction at the most."""
    value_bytes_max: Positive = 8 << 20
    """Bytes of one record; larger ones are dead letters."""
    pending_max: Positive = 1_000_000
    """Annotations that may wait for a prediction, as counted at each commit."""
    unlabelled_max: Positive = 5_000_000
    """Examples with a prediction and no annotation that are kept."""
    memory_limit: Name = "512MB"
    """DuckDB's memory."""
    checkpoint_bytes: Positive = 64 << 20
    """Bytes of write-ahead log above which it is folded into the database."""
    mirror_bytes_max: Annotated[int, Meta(ge=0)] = 4 << 30
    """Probabilities held in memory, 4 bytes each; more of them are held in a file beside the store."""
    parity_every_s: Annotated[float, Meta(ge=0)] = 300.0
    """Seconds between recounts of the joint from the stored facts; 0 switches them off."""

    def shape(self) -> dict[str, Any]:
        """The settings that shape state, as the store records them; None where not given."""
        return {
            name: getattr(self, name)
            for name in ("classes", "collision", "fields", "tombstone_key")
        }


def read_settings(
    path: str | None, flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ
) -> Settings:
    """Settings from the file, the environment and flags (None: not given).

    Without a path, LABELWATCH_CONFIG or labelwatch.toml in the working directory is read if there
    is one.
    Raises: UsageError naming the key.
    """
    values = _from_file(path or environment.get("LABELWATCH_CONFIG"))
    _merge(values, _from_environment(environment))
    _merge(values, {name: value for name, value in flags.items() if value is not None})
    return _convert(values)


def as_toml(settings: Settings) -> str:
    """The settings in effect, in the form of the file. Unset ones are comments."""
    lines, tables = [], []
    for name in Settings.__struct_fields__:
        value = getattr(settings, name)
        if isinstance(value, dict):
            tables += [
                "",
                f"[{name}]",
                *(f"{key} = {_literal(each)}" for key, each in value.items()),
            ]
        else:
            lines.append(
                f"# {name} is not set" if value is None else f"{name} = {_literal(value)}"
            )
    return "\n".join(lines + tables)


def _literal(value: object) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    # A TOML string, number or list of them is written as JSON writes it, DEL excepted.
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        if not Path(FILE_NAME).exists():
            return {}
        path = FILE_NAME
    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name the file with --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is no TOML: {error}") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for variable, text in environment.items():
        if variable.startswith(_PREFIX) and variable not in _NOT_SETTINGS:
            name, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
            _known(name, Settings.__struct_fields__, f"{variable}: ")
            if name == "fields":
                if not key:
                    raise UsageError(f"{variable}: name the field, as in {_PREFIX}FIELDS__LABEL")
                found.setdefault("fields", {})[key] = text
            else:
                found[name] = text.split(",") if name == "classes" else text
    return found


def _merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        is_table = isinstance(values.get(name), dict) and isinstance(value, dict)
        values[name] = values[name] | value if is_table else value


def _convert(values: dict[str, Any]) -> Settings:
    for name, value in values.items():
        _known(name, Settings.__struct_fields__, "")
        try:
            msgspec.json.encode(value)
        except UnicodeEncodeError as error:
            raise UsageError(f"{name}: {value!a} is not UTF-8; write it in UTF-8") from error
    try:
        settings = msgspec.convert(values, Settings, strict=False)
        FieldMapping(settings.fields or {})
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at `$.")
        raise UsageError(
            f"{at.rstrip('`') or 'configuration'}: {text[:1].lower()}{text[1:]}"
        ) from error
    except ValueError as error:
        raise UsageError(str(error)) from error
    if not re.fullmatch(r"\d+ *[kmgtKMGT]i?[bB]", settings.memory_limit):
        raise UsageError(
            f"memory_limit: {settings.memory_limit!r} is no size; write it like 512MB or 2GB"
        )
    repeated = [
        name for name in settings.classes or () if (settings.classes or []).count(name) > 1
    ]
    if repeated:
        raise UsageError(f"classes: {repeated[0]!r} is listed twice; list each class once")
    return settings


def _known(name: str, names: Iterable[str], where: str) -> None:
    if name not in (known := list(names)):
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise UsageError(f"{where}{name} is no setting; {hint}")
