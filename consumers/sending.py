"""The client of POST /api/events: records of a source, sent to a monitor so that each counts once.

A request's key is made of what it holds and where that stood, so whoever is told nothing, or is
stopped, may send all of it again.
"""

from __future__ import annotations

import hashlib
import http.client
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec
import numpy as np

from consumers.errors import SourceError, UsageError
from consumers.store.lock import holder_of, url_of
from monitor.events import LargeValue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from consumers.ports import Source

EVENTS_MAX, BYTES_MAX = 1_000, 4 << 20
"""Of one request; a larger event goes alone."""
AWAY_S = 60.0
"""How long a monitor that has answered before, or is busy, is tried again."""
_PAUSE_S, _PAUSE_S_MAX = 0.1, 2.0
_TIMEOUT_S = 30.0
_COUNTED_S = 5
_ACCEPTED, _INVALID, _CONFIGURED = 202, 422, {401, 403}
_LATER = {408, 429, 503}

_START = (
    "start one that listens, as with `labelwatch run --listen`, or name it with --url; "
    "where none is to run, `labelwatch replay` reads the file into the store"
)


class _Error(msgspec.Struct):
    index: int
    error: str


class _Said(msgspec.Struct):
    """What an answer may hold."""

    error: str = ""
    hint: str | None = None
    errors: list[_Error] = []
    first_seq: int | None = None
    txn_id: int | None = None


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    said: _Said
    is_repeat: bool = False


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Events of one request, each with its number in the input, called `place`."""

    place: str
    numbers: list[int]
    values: list[bytes]

    def key(self, nonce: str) -> str:
        found = hashlib.sha256(f"{nonce} {self.place} {self.numbers}".encode())
        for value in self.values:
            found.update(hashlib.sha256(value).digest())
        return found.hexdigest()[:32]


@dataclass(slots=True)
class Sent:
    """What became of the records. `txn_id`: all that was accepted is counted with it; None if not yet."""

    accepted: int = 0
    repeated: int = 0
    rejected: int = 0
    txn_id: int | None = None


@dataclass(slots=True)
class Sender:
    """Sends to the monitor that `locate` finds. Where `nonce` differs, the same record is sent anew.

    `on_rejected` is told the number and the fault of each record that cannot be used.
    """

    locate: Callable[[], str]
    token: str | None
    nonce: str
    on_rejected: Callable[[int, str], None]
    sent: Sent = field(default_factory=Sent)
    _has_met: bool = False
    _last: _Chunk | None = None

    def send(self, source: Source) -> Sent:
        """Send all records, and wait a moment until they are counted. Raises: SourceError, UsageError."""
        source.seek({})
        for chunk in self._chunks(source):
            self._send(chunk)
        if self._last:
            answer = self._post(self._last, wait_s=_COUNTED_S)
            self.sent.txn_id = answer.said.txn_id
        return self.sent

    def _chunks(self, source: Source) -> Iterator[_Chunk]:
        while True:
            polled = source.poll(EVENTS_MAX)
            records, values, numbers = polled.records, list[bytes](), list[int]()
            place = records.partitions[0].topic if len(records) else ""
            size = 0
            for number, value in zip(
                np.asarray(records.offsets).tolist(), records.values, strict=True
            ):
                if not isinstance(value, bytes):
                    self._reject(number, value)
                    continue
                if values and size + len(value) > BYTES_MAX:
                    yield _Chunk(place, numbers, values)
                    values, numbers, size = [], [], 0
                values.append(value)
                numbers.append(number)
                size += len(value)
            if values:
                yield _Chunk(place, numbers, values)
            if polled.is_exhausted:
                return

    def _reject(self, number: int, value: LargeValue | None) -> None:
        self.sent.rejected += 1
        size = value.size if isinstance(value, LargeValue) else 0
        self.on_rejected(number, f"value: has {size:,} bytes; send less, or raise value_bytes_max")

    def _send(self, chunk: _Chunk) -> None:
        """Send a chunk without what the monitor cannot use."""
        while chunk.values:
            answer = self._post(chunk)
            if answer.status == _ACCEPTED:
                self._last = chunk
                if answer.is_repeat:
                    self.sent.repeated += len(chunk.values)
                else:
                    self.sent.accepted += len(chunk.values)
                return
            bad = {each.index: each.error for each in answer.said.errors}
            self.sent.rejected += len(bad)
            for i, error in bad.items():
                self.on_rejected(chunk.numbers[i], error)
            good = [i for i in range(len(chunk.values)) if i not in bad]
            chunk = _Chunk(
                chunk.place, [chunk.numbers[i] for i in good], [chunk.values[i] for i in good]
            )

    def _post(self, chunk: _Chunk, wait_s: int = 0) -> _Answer:
        """What the monitor says, once it says something. Raises: SourceError, UsageError."""
        end, pause_s = time.monotonic() + AWAY_S, _PAUSE_S
        while True:
            try:
                answer, url = self._ask(chunk, wait_s)
            except SourceError:
                # One that was met may be starting anew: it holds its store before it listens.
                if not self._has_met or time.monotonic() > end:
                    raise
            else:
                self._has_met = True
                if answer.status in {_ACCEPTED, _INVALID}:
                    return answer
                if answer.status not in _LATER or time.monotonic() > end:
                    raise _refusal(url, answer)
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _PAUSE_S_MAX)

    def _ask(self, chunk: _Chunk, wait_s: int) -> tuple[_Answer, str]:
        """An answer and where it came from. Raises: SourceError where nobody answers."""
        url = self.locate()
        try:
            return self._request(url, chunk, wait_s), url
        except (OSError, http.client.HTTPException) as error:
            raise SourceError(f"no monitor answers at {url} ({error}); {_START}") from error

    def _request(self, url: str, chunk: _Chunk, wait_s: int) -> _Answer:
        place = urlsplit(url)
        kind = (
            http.client.HTTPSConnection if place.scheme == "https" else http.client.HTTPConnection
        )
        connection = kind(place.netloc, timeout=_TIMEOUT_S)
        headers = {
            "Content-Type": "application/x-ndjson",
            "Idempotency-Key": chunk.key(self.nonce),
        }
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        path = f"{place.path.rstrip('/')}/api/events" + (f"?wait={wait_s}" if wait_s else "")
        try:
            connection.request("POST", path, b"\n".join(chunk.values), headers)
            answer = connection.getresponse()
            is_repeat = answer.headers.get("Idempotency-Replayed") == "true"
            return _Answer(answer.status, _said(url, answer.status, answer.read()), is_repeat)
        finally:
            connection.close()


def monitor_of(store: Path) -> str:
    """Where the monitor of a store answers. Raises: SourceError."""
    if url := url_of(store):
        return url
    holder = holder_of(store)
    who = (
        f"{store} is in use by {holder}, which does not listen"
        if holder
        else f"no monitor holds {store}"
    )
    raise SourceError(f"{who}; {_START}")


def checked_url(url: str) -> str:
    """A URL that can be sent to. Raises: UsageError."""
    try:
        place = urlsplit(url)
        is_usable = place.scheme in {"http", "https"} and bool(place.hostname) and place.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise UsageError(f"--url: {url!r} is no address; write it like http://127.0.0.1:8711")
    return url


def _said(url: str, status: int, body: bytes) -> _Said:
    """The answer of a monitor. Raises: SourceError where it is somebody else's."""
    try:
        said = msgspec.json.decode(body, type=_Said)
    except msgspec.DecodeError as error:
        raise _stranger(url, status) from error
    is_whole = {_ACCEPTED: said.first_seq is not None, _INVALID: bool(said.errors)}
    if not is_whole.get(status, bool(said.error)):
        raise _stranger(url, status)
    return said


def _stranger(url: str, status: int) -> SourceError:
    return SourceError(
        f"what answers at {url} is no labelwatch monitor (status {status}); {_START}"
    )


def _refusal(url: str, answer: _Answer) -> Exception:
    if answer.status in _CONFIGURED:
        return UsageError(
            f"the monitor at {url} refuses the token ({answer.said.error}); "
            "set LABELWATCH_HTTP__TOKEN (http.token) to its own"
        )
    hint = answer.said.hint or "run again to go on"
    return SourceError(
        f"the monitor at {url} refuses: {answer.said.error} (status {answer.status}); {hint}"
    )
