"""Asking a running monitor, as one asks a file."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self

from consumers.arrow import pa
from consumers.errors import StoreError, UsageError
from consumers.store.read import Result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_WAIT_S = 600
_ALL = (1 << 53) - 1
_JSON, _ARROW = "application/json", "application/vnd.apache.arrow.stream"
_UNAUTHORISED = 401
_BAD_REQUESTS = range(400, 500)


class Remote:
    """A running monitor. Values are as `plain` leaves them, and times are times again."""

    def __init__(self, url: str, token: str | None) -> None:
        if not url.startswith(("http://", "https://")):
            raise UsageError(f"--url: {url!r} is no address; write it like http://127.0.0.1:8711")
        self._url = url.rstrip("/")
        self._token = token

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Result:
        """All rows of one query. Raises: UsageError, StoreError."""
        found = json.loads(self._send(sql, parameters, _JSON))
        types = [column["type"] for column in found["columns"]]
        rows = [tuple(map(_revived, types, row)) for row in found["rows"]]
        return Result([column["name"] for column in found["columns"]], types, rows)

    def arrow(self, sql: str) -> pa.RecordBatchReader:
        """The rows of one query as Arrow batches. Raises: UsageError, StoreError."""
        return pa.ipc.open_stream(self._send(sql, (), _ARROW))

    def _send(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any], form: str) -> bytes:
        question = {"sql": sql, "limit": _ALL, "parameters": parameters}
        headers = {"Content-Type": _JSON, "Accept": form}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        try:
            body = json.dumps(question).encode()
            request = urllib.request.Request(f"{self._url}/sql", body, headers)  # noqa: S310 - checked
            with urllib.request.urlopen(request, timeout=_WAIT_S) as answer:  # noqa: S310 - checked
                return bytes(answer.read())
        except urllib.error.HTTPError as error:
            raise self._refusal(error) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise StoreError(
                f"the monitor at {self._url} does not answer ({reason}); ask again, or look whether it runs"
            ) from error

    def _refusal(self, error: urllib.error.HTTPError) -> UsageError | StoreError:
        if error.code == _UNAUTHORISED:
            return UsageError(
                f"the monitor at {self._url} wants its token; set LABELWATCH_HTTP__TOKEN to what it has"
            )
        try:
            said = json.loads(error.read())
            text = "; ".join(filter(None, (said["error"], said.get("hint"))))
        except (OSError, ValueError, KeyError, TypeError):
            text = f"{self._url} answers {error.code}; is it a labelwatch?"
        return UsageError(text) if error.code in _BAD_REQUESTS else StoreError(text)


def _revived(kind: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    if kind == "TIMESTAMP" and isinstance(value, str):
        try:
            return dt.datetime.fromisoformat(value).replace(tzinfo=None)
        except ValueError:
            # Beyond the years that Python knows.
            return value
    return value
