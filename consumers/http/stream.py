"""GET /api/events: findings as server-sent events, as they are committed.

Each client has a place of its own in the findings and is sent what comes after it, a page at a time:
the store is the buffer. Clients at the same place share the page, so that a commit costs one query
however many clients there are, and one that reads slowly holds a page and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import re
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from consumers.errors import LabelwatchError
from consumers.http.answers import Refused, chosen
from consumers.http.listen import STALLED_S
from consumers.http.listing import opened
from consumers.http.parameters import given
from consumers.store.statements import FINDINGS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from starlette.requests import Request
    from starlette.types import Receive, Scope, Send

    from consumers.http.context import Context
    from consumers.store.gate import Answer

    Place = tuple[int, str, int]
    """Transaction, kind and annotation: the order of findings."""

EVENT_STREAM = "text/event-stream"
CLIENTS_MAX = 100
ROWS_MAX = 1_000
PAGES_MAX = 32
LOOK_S = 0.05
REST = 9
"""A query is followed by a pause of so many times what it took, so that the loop has the machine."""
HEARTBEAT_S = 15.0
HEARTBEAT = b": nothing new\n\n"
_AFTER_ALL = ("\U0010ffff", 2**31 - 1)


@dataclass(frozen=True, slots=True)
class Page:
    """Findings after a place, ready to send, and the place after them."""

    sent: bytes
    end: Place


class Hub:
    """Knows when there is something to send, and reads it once for all who want it."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._last = context.board.txn_id
        self._news = asyncio.Event()
        self._pages: OrderedDict[tuple[Place, int], asyncio.Task[Page]] = OrderedDict()
        self._turn = asyncio.Lock()
        self._rests_until = 0.0
        self._watch: asyncio.Task[None] | None = None
        self._client_count = 0

    @property
    def is_full(self) -> bool:
        """Whether there are as many clients as there may be."""
        return self._client_count >= CLIENTS_MAX

    @property
    def now(self) -> Place:
        """The place after all that is committed."""
        return (self._context.board.txn_id, *_AFTER_ALL)

    @contextlib.contextmanager
    def client(self) -> Iterator[None]:
        """Count a client while it is there; somebody looks for news while there are any."""
        self._client_count += 1
        if self._watch is None or self._watch.done():
            self._watch = asyncio.create_task(self._look())
        try:
            yield
        finally:
            self._client_count -= 1

    async def pages(self, place: Place) -> AsyncIterator[bytes]:
        """What comes after a place, as it is committed, until the server ends; empty where all is quiet."""
        while True:
            # Asked before the page is read: what was committed until then is sent before the end.
            is_closing, news = self._context.is_closing, self._news
            if page := await self._page(place):
                place = page.end
                if page.sent:
                    yield page.sent
            elif is_closing:
                return
            elif not await _within(HEARTBEAT_S, news.wait()):
                yield b""

    async def _look(self) -> None:
        while self._client_count:
            await asyncio.sleep(LOOK_S)
            is_closing, txn_id = self._context.is_closing, self._context.board.txn_id
            if is_closing or txn_id != self._last:
                self._last = txn_id
                self._news.set()
                self._news = asyncio.Event()

    async def _page(self, place: Place) -> Page | None:
        """The next findings after a place, None where there are none."""
        last = self._context.board.txn_id if self._context.is_closing else self._last
        if place >= (last, *_AFTER_ALL):
            return None
        key = (place, last)
        if key not in self._pages:
            self._pages[key] = asyncio.create_task(self._read(place, last))
            while len(self._pages) > PAGES_MAX:
                self._pages.popitem(last=False)
        try:
            # A client that leaves meanwhile does not take the page from the others.
            return await asyncio.shield(self._pages[key])
        except LabelwatchError:  # too many queries at a time, as a rule: asked again
            self._pages.pop(key, None)
            return Page(b"", place)

    async def _read(self, place: Place, last: int) -> Page:
        async with self._turn:
            if not self._context.is_closing:
                await asyncio.sleep(max(0.0, self._rests_until - time.monotonic()))
            started = time.monotonic()
            try:
                found = await run_in_threadpool(self._ask, place, last)
            finally:
                now = time.monotonic()
                self._rests_until = now + REST * (now - started)
        names = [name for name, _ in found.columns]
        rows = [dict(zip(names, row, strict=True)) for row in found.rows]
        end: Place = (last, *_AFTER_ALL)
        if len(rows) == ROWS_MAX:
            end = (rows[-1]["txn_id"], rows[-1]["kind"], rows[-1]["annotation"])
        return Page(b"".join(map(_event, rows)), end)

    def _ask(self, place: Place, last: int) -> Answer:
        gate = self._context.gate
        assert gate is not None, "a stream begins when the store is there"
        names = zip(("txn_id", "kind", "annotation"), place, strict=True)
        return gate.ask_own(FINDINGS, dict(names) | {"last": last, "rows_max": ROWS_MAX})


class EventStream(Response):
    """What comes after a place, until the client leaves, or takes nothing for a while, or the server ends."""

    media_type = EVENT_STREAM

    def __init__(self, hub: Hub, place: Place) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._hub, self._place = hub, place

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        head = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        if scope["method"] == "HEAD":
            await send(head)
            await send({"type": "http.response.body"})
            return
        with self._hub.client():
            await send(head)
            tasks = {asyncio.create_task(each) for each in (self._send(send), _left(receive))}
            try:
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _send(self, send: Send) -> None:
        body = {"type": "http.response.body", "more_body": True}
        is_taken = await _within(STALLED_S, send(body | {"body": b"retry: 1000\n\n"}))
        async for sent in self._hub.pages(self._place):
            is_taken = is_taken and await _within(
                STALLED_S, send(body | {"body": sent or HEARTBEAT})
            )
            if not is_taken:
                return
        await _within(STALLED_S, send({"type": "http.response.body"}))


def routes(context: Context) -> list[Route]:
    """The stream."""
    hub = Hub(context)

    async def answer(request: Request) -> Response:
        chosen(request, (EVENT_STREAM,))
        given(request, ())
        opened(context)
        if hub.is_full:
            raise Refused(
                503,
                f"{CLIENTS_MAX} clients read the stream",
                "close one, or ask POST /sql for findings",
            )
        return EventStream(hub, _place(request, hub.now))

    return [Route("/api/events", answer, methods=["GET"])]


async def _within(seconds: float, doing: Awaitable[object]) -> bool:
    """Whether it was done in time."""
    try:
        async with asyncio.timeout(seconds):
            await doing
    except TimeoutError:
        return False
    return True


async def _left(receive: Receive) -> None:
    """Until the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _place(request: Request, now: Place) -> Place:
    """Where the client left off; without a word of it, now. Raises: Refused."""
    text = request.headers.get("last-event-id")
    if text is None:
        return now
    if text == "0":
        return (0, "", -1)
    found = re.fullmatch(r"([0-9]{1,18})\.([a-z_]{1,40})\.([0-9]{1,9})", text)
    if found is None or int(found[1]) > now[0]:
        raise Refused(
            400,
            f"Last-Event-ID: {text[:100]!r} is no event of this store",
            "send the id of the last event, 0 for all of them, or none to begin now",
        )
    return (int(found[1]), found[2], int(found[3]))


def _event(row: dict[str, object]) -> bytes:
    place = f"{row['txn_id']}.{row['kind']}.{row['annotation']}"
    found_at = row["found_at"]
    assert isinstance(found_at, dt.datetime), "a commit has a time"
    shown = {name: value for name, value in row.items() if name != "annotation"}
    shown["found_at"] = found_at.replace(tzinfo=dt.UTC)
    # JSON has no raw newline, so that it is one line of data.
    return b"id: %s\nevent: finding\ndata: %s\n\n" % (place.encode(), msgspec.json.encode(shown))
