"""POST /api/events: corrections, labels and predictions by HTTP, durable when they are answered."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.routing import Route

from consumers.errors import StoreError
from consumers.http.answers import Refused, as_json, refused
from consumers.store.inbox import InboxClosed, InboxFull, KeyTaken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from consumers.http.context import Context
    from consumers.http.intake import Intake
    from consumers.store.inbox import Receipt
    from monitor.events import Rejection

HELD_BYTES_MAX = 64 << 20
"""Bytes of all the bodies that are being read or stored at a time."""
BODY_S = 30.0
WAIT_S_MAX = 60.0
_LOOK_EVERY_S = 0.02
_KEY_MAX = 255
_THREADS = 4
_ERRORS_MAX = 1_000
_TYPES = {"application/json": False, "application/x-ndjson": True}
_BUSY = "send the same again in a moment, with the same Idempotency-Key"

_array = msgspec.json.Decoder(list[msgspec.Raw])


def routes(context: Context) -> list[Route]:
    """The endpoint of a run."""
    posting = _Posting(context)
    return [Route("/api/events", posting.answer, methods=["POST"])]


class _Posting:
    def __init__(self, context: Context) -> None:
        self._context = context
        self._held_bytes = 0
        # Those who wait for a commit of the loop must leave threads for those who ask.
        self._threads = asyncio.Semaphore(_THREADS)

    async def answer(self, request: Request) -> Response:
        """202 with numbers of the events, once they are durable; anything else, and none is stored."""
        intake = self._context.intake
        if intake is None:
            return refused(503, "the monitor is starting", _BUSY)
        is_lines, key, wait_s = _is_lines(request), _key(request), _wait_s(request)
        found = await self._take(request, intake, is_lines=is_lines, key=key)
        if isinstance(found, list):
            return _invalid(found)
        if self._context.metrics and not found.is_repeat:
            self._context.metrics.took_in(found.last_seq - found.first_seq + 1)
        return _accepted(found, await self._counted(intake, found, wait_s))

    async def _take(
        self, request: Request, intake: Intake, *, is_lines: bool, key: str | None
    ) -> Receipt | list[Rejection]:
        body = bytearray()
        try:
            await self._read(request, body)
            async with self._threads:
                return await run_in_threadpool(
                    _store, intake, bytes(body), is_lines=is_lines, key=key
                )
        finally:
            self._held_bytes -= len(body)

    async def _counted(self, intake: Intake, receipt: Receipt, wait_s: float) -> int | None:
        """A transaction by which the events are counted, None where that takes longer than asked."""
        inbox, loop = intake.inbox, asyncio.get_running_loop()
        end = loop.time() + wait_s
        # No thread waits: there are few of them, and many may ask. The next run counts what this one leaves.
        while (txn_id := inbox.txn_of(receipt.last_seq)) is None:
            if loop.time() >= end or self._context.is_closing:
                return None
            await asyncio.sleep(_LOOK_EVERY_S)
        return txn_id if wait_s else None

    async def _read(self, request: Request, body: bytearray) -> None:
        try:
            async with asyncio.timeout(BODY_S):
                async for chunk in request.stream():
                    self._held_bytes += len(chunk)
                    body += chunk
                    self._check_held(len(body))
        except TimeoutError:
            text = f"the body did not come within {BODY_S:g} s"
            raise Refused(408, text, "send fewer events at a time") from None
        except ClientDisconnect:
            raise Refused(400, "the sender left before the end of the body", _BUSY) from None

    def _check_held(self, size: int) -> None:
        if size < self._held_bytes > HELD_BYTES_MAX:
            raise Refused(429, "too much is being sent at a time", _BUSY)


def _store(
    intake: Intake, body: bytes, *, is_lines: bool, key: str | None
) -> Receipt | list[Rejection]:
    """Put them, or say which cannot be used; in a thread, since that takes its time. Raises: Refused."""
    values = _split(body, is_lines=is_lines)
    if rejections := intake.check(values):
        return rejections
    try:
        return intake.inbox.put(values, key)
    except KeyTaken:
        text = f"Idempotency-Key {key} came before with other events"
        raise Refused(409, text, "use a new key for each request") from None
    except InboxFull:
        text = "too many events wait to be counted"
        raise Refused(429, text, _BUSY) from None
    except InboxClosed:
        raise Refused(503, "the monitor is stopping", _BUSY) from None
    except StoreError as error:
        raise Refused(503, str(error), _BUSY) from error


def _split(body: bytes, *, is_lines: bool) -> list[bytes]:
    """The events of a body, each as its sender's bytes. Raises: Refused."""
    if is_lines:
        values = [line for line in body.split(b"\n") if line and not line.isspace()]
    elif not body.lstrip().startswith(b"["):
        values = [body] if body.strip() else []
    else:
        try:
            values = [bytes(raw) for raw in _array.decode(body)]
        except (msgspec.DecodeError, RecursionError) as error:
            hint = "send one JSON object, an array of them, or lines as application/x-ndjson"
            raise Refused(400, f"the body is not JSON: {error}", hint) from None
    if not values:
        raise Refused(400, "the body holds no event", "send one JSON object, or an array of them")
    return values


def _is_lines(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity")
    if kind not in _TYPES or encoding != "identity":
        given = kind if encoding == "identity" else f"{kind} in {encoding}"
        text = f"Content-Type {given or '(none)'} is not read"
        hint = (
            "send application/json, or application/x-ndjson for one object a line, not compressed"
        )
        raise Refused(415, text, hint)
    return _TYPES[kind]


def _key(request: Request) -> str | None:
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= _KEY_MAX:
        text = f"Idempotency-Key has {len(key)} characters"
        raise Refused(400, text, f"send 1 to {_KEY_MAX}, as a UUID")
    return key


def _wait_s(request: Request) -> float:
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= WAIT_S_MAX:
        raise Refused(400, f"wait: {text!r} is no time", f"send seconds from 0 to {WAIT_S_MAX:g}")
    return seconds


def _accepted(receipt: Receipt, txn_id: int | None) -> Response:
    found: dict[str, Any] = {
        "accepted": receipt.last_seq - receipt.first_seq + 1,
        "first_seq": receipt.first_seq,
        "last_seq": receipt.last_seq,
    }
    if txn_id is not None:
        found["txn_id"] = txn_id
    headers = {"Idempotency-Replayed": "true"} if receipt.is_repeat else None
    return as_json(found, 202, headers)


def _invalid(rejections: Sequence[Rejection]) -> Response:
    errors = []
    for rejection in rejections[:_ERRORS_MAX]:
        field, _, text = rejection.error.partition(": ")
        _, has_fix, fix = text.rpartition("; ")
        errors.append(
            {
                "index": rejection.position,
                "reason": str(rejection.reason),
                "field": field,
                "error": rejection.error,
                "fix": fix if has_fix else None,
            }
        )
    said = {
        "error": f"{len(rejections):,} events cannot be used; nothing was stored",
        "hint": "correct or leave out those in `errors` and send the rest again",
        "errors": errors,
    }
    return as_json(said, 422)
