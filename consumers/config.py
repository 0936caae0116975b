"""The one place of configuration: a TOML file, then LABELWATCH_… variables, then flags.

Later ones win. A key that does not exist is an error with a suggestion, never silence.
"""

from __future__ import annotations

import difflib
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

_LISTS = frozenset({"classes", "topics"})
_TABLES = {
    "fields": f"field, as in {_PREFIX}FIELDS__LABEL",
    "http": f"setting, as in {_PREFIX}HTTP__LISTEN",
    "kafka": f"setting, as in {_PREFIX}KAFKA__TOPICS",
    "metrics": f"setting, as in {_PREFIX}METRICS__ANNOTATORS",
}

Name = Annotated[str, Meta(min_length=1)]
Positive = Annotated[int, Meta(ge=1)]


class KafkaSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The table [kafka]: where records come from."""

    bootstrap_servers: Name = "localhost:9092"
    """Brokers to ask first, as host:port,host:port."""
    topics: list[Name] = []
    """The topics to read."""
    start: Literal["stored", "earliest", "latest"] = "stored"
    """Where partitions without a stored offset begin; stored: nowhere, that is an error."""
    group_id: Name | None = "labelwatch"
    """Under which name offsets are committed, for lag tools only; give each store its own."""
    findings_topic: Name | None = None
    """Where changes of flags are published to; unset: nowhere."""
    dead_letters_topic: Name | None = None
    """Where rejected records are published to; unset: nowhere."""
    next_labels_topic: Name | None = None
    """Where it is published what to label next, as long as that changes; unset: nowhere."""
    next_labels_every_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds between looks whether that has changed."""
    next_labels_max: Annotated[int, Meta(ge=1, le=5_000)] = 100
    """Examples that are published at a time."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """What the listener speaks."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How to log in, where the protocol is a SASL one."""
    sasl_username: Name | None = None
    """Who logs in."""
    sasl_password: Name | None = None
    """Its password; better in LABELWATCH_KAFKA__SASL_PASSWORD than in a file."""
    ssl_cafile: Name | None = None
    """Certificates that vouch for the broker, in PEM; unset: those of the system."""
    ssl_certfile: Name | None = None
    """Our own certificate, in PEM, where the broker asks for one."""
    ssl_keyfile: Name | None = None
    """The key of our own certificate."""
    ssl_password: Name | None = None
    """The password of that key."""
    ssl_check_hostname: bool = True
    """Whether the broker's certificate must name the host we asked for."""
    refresh_s: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds between looks for new partitions."""
    away_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds that a run with --until-end waits for a broker that went away meanwhile."""
    stuck_s: Annotated[float, Meta(gt=0)] = 300.0
    """Seconds in one call of the client after which the process ends itself, to be started anew."""


class HttpSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a run answers questions, and whom."""

    listen: Name | None = None
    """Host and port, or off; any host but loopback needs a token. Unset: 127.0.0.1:8711, or a free port."""
    token: Name | None = None
    """The bearer token that every request needs; better in LABELWATCH_HTTP__TOKEN than in a file."""
    query_s: Annotated[float, Meta(gt=0)] = 10.0
    """Seconds that a query may take."""
    query_rows: Positive = 10_000
    """Rows of an answer, unless the request names another limit."""
    query_bytes: Positive = 64 << 20
    """Bytes of an answer."""
    queries: Positive = 2
    """Queries at the same time; more of them wait, then are turned away."""
    inbox_key_days: Annotated[float, Meta(gt=0, le=36_500)] = 7.0
    """Days for which an Idempotency-Key is remembered."""
    images: Literal["own", "any"] = "own"
    """Pictures that the page shows: only those that came with an event, or from the web too."""


class MetricsSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the metrics show."""

    annotators: Literal["off", "capped", "hashed"] = "capped"
    """Whether 100 annotators have series of their own: none (off), under names, or under hashes of names."""
    salt: Name | None = None
    """What names are hashed with (HMAC-SHA-256); better in LABELWATCH_METRICS__SALT than in a file."""


_SECTIONS = {"kafka": KafkaSettings, "http": HttpSettings, "metrics": MetricsSettings}
SECRETS = frozenset({"salt", "sasl_password", "ssl_password", "token"})


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Every setting, with its default. A default of None means: as the store was built."""

    store: Name = "labelwatch.duckdb"
    """Path of the database."""
    classes: Annotated[list[Name], Meta(min_length=2)] | None = None
    """The classes, in the order of lists of probabilities; unset: as events have them. Shapes the store."""
    collision: Literal["cleanlab", "paper"] | None = None
    """The suggested label where several classes are confident; default cleanlab. Shapes the store."""
    model_weight: Annotated[float, Meta(gt=0, le=100)] | None = None
    """How often the model counts in the consensus where labels do not tell; default 1.5. Shapes the store."""
    tombstone_key: Literal["example_id", "annotation_id"] | None = None
    """What a Kafka tombstone deletes; default example_id. Shapes the store."""
    fields: dict[str, str] | None = None
    """Field → dotted path in the sender's records. Shapes the store."""
    batch_size_max: Positive = 20_480
    """Records in one transaction at the most."""
    value_bytes_max: Positive = 8 << 20
    """Bytes of one record; larger ones are dead letters."""
    pending_max: Positive = 1_000_000
    """Annotations that may wait for a prediction, as counted at each commit."""
    unlabelled_max: Positive = 5_000_000
    """Examples with a prediction and no annotation that are kept."""
    memory_limit: Name | None = None
    """DuckDB's memory, like 2GB; unset: 60 MB, up to 130 bytes an annotation, 320 MB while others ask."""
    checkpoint_bytes: Positive = 40 << 20
    """Bytes of write-ahead log above which it is folded into the database."""
    mirror_bytes_max: Annotated[int, Meta(ge=0)] = 4 << 30
    """Probabilities held in memory, 4 bytes each; more of them are held in a file beside the store."""
    parity_every_s: Annotated[float, Meta(ge=0)] = 300.0
    """Seconds between recounts of the joint from the stored facts; 0 switches them off."""
    log_format: Literal["auto", "text", "json"] = "auto"
    """The form of log lines; auto: text on a terminal, JSON elsewhere."""
    log_level: Literal["debug", "info", "warning", "error"] = "warning"
    """The least that is logged; info tells each step of a run's life."""
    source: Literal["kafka", "confluent"] = "kafka"
    """The client that reads Kafka: kafka-python, or confluent-kafka, which is an extra to install."""
    kafka: KafkaSettings = KafkaSettings()
    """Where `labelwatch run` reads from."""
    http: HttpSettings = HttpSettings()
    """Where a run answers questions."""
    metrics: MetricsSettings = MetricsSettings()
    """What the metrics show."""

    def shape(self) -> dict[str, Any]:
        """The settings that shape state, as the store records them; None where not given."""
        return {
            name: getattr(self, name)
            for name in ("classes", "collision", "fields", "model_weight", "tombstone_key")
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


def origins(
    path: str | None, environment: Mapping[str, str] = os.environ
) -> tuple[str | None, list[str]]:
    """The file that settings are read from, None for none, and the variables that change them."""
    default = FILE_NAME if Path(FILE_NAME).exists() else None
    variables = sorted(name for name in environment if _is_setting(name))
    return path or environment.get("LABELWATCH_CONFIG") or default, variables


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
        if _is_setting(variable):
            name, _, key = variable.removeprefix(_PREFIX).lower().partition("__")
            _known(name, Settings.__struct_fields__, f"{variable}: ")
            value = text.split(",") if (key or name) in _LISTS else text
            if name in _TABLES:
                if not key:
                    raise UsageError(f"{variable}: name the {_TABLES[name]}")
                found.setdefault(name, {})[key] = value
            else:
                found[name] = value
    return found


def _is_setting(variable: str) -> bool:
    return variable.startswith(_PREFIX) and variable not in _NOT_SETTINGS


def _merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        is_table = isinstance(values.get(name), dict) and isinstance(value, dict)
        values[name] = values[name] | value if is_table else value


def _convert(values: dict[str, Any]) -> Settings:
    for name, value in values.items():
        _check_key(name, value)
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
    _check_values(settings)
    return settings


def _check_key(name: str, value: object) -> None:
    _known(name, Settings.__struct_fields__, "")
    if name in _SECTIONS and isinstance(value, dict):
        for key in value:
            _known(key, _SECTIONS[name].__struct_fields__, f"{name}: ")
    try:
        msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise UsageError(f"{name}: {value!a} is not UTF-8; write it in UTF-8") from error


def _check_values(settings: Settings) -> None:
    """What the types cannot say."""
    size = settings.memory_limit
    if size is not None and not re.fullmatch(r"\d+ *[kmgtKMGT]i?[bB]", size):
        raise UsageError(f"memory_limit: {size!r} is no size; write it like 512MB or 2GB")
    names = settings.classes or ()
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise UsageError(f"classes: {repeated[0]!r} is listed twice; list each class once")
    if settings.metrics.annotators == "hashed" and settings.metrics.salt is None:
        raise UsageError(
            "metrics.salt: is missing, and hashed needs it; set LABELWATCH_METRICS__SALT to a random text"
        )
    _check_outputs(settings.kafka)


def _check_outputs(kafka: KafkaSettings) -> None:
    """What is published is never read back."""
    known: dict[str, str] = {}
    for name in ("findings_topic", "dead_letters_topic", "next_labels_topic"):
        topic = getattr(kafka, name)
        if topic is None:
            continue
        if topic in kafka.topics:
            raise UsageError(
                f"kafka.{name}: {topic} is read too, so what is published would come back; name another topic"
            )
        if topic in known:
            raise UsageError(f"kafka.{name}: {topic} is the {known[topic]}; name another topic")
        known[topic] = name


def _known(name: str, names: Iterable[str], where: str) -> None:
    if name not in (known := list(names)):
        close = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(known)}"
        raise UsageError(f"{where}{name} is no setting; {hint}")
