"""POST /sql: one query over the views, answered as JSON, CSV or Arrow."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import time
from typing import TYPE_CHECKING, Annotated

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from consumers.arrow import pa
from consumers.errors import LabelwatchError, UsageError
from consumers.http.answers import CSV, JSON, chosen, refused, status_of
from consumers.metrics.definitions import QueryOutcome
from consumers.store.gate import Busy, Limits, Stopped, TimeUp, TooLarge, Waiting
from consumers.store.guard import SQL_BYTES_MAX
from consumers.values import plain, write_csv

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request

    from consumers.http.context import Context
    from consumers.metrics import Metrics
    from consumers.store.gate import Answer, ArrowAnswer, Gate

ARROW = "application/vnd.apache.arrow.stream"
_BODY_BYTES_MAX = 8 * SQL_BYTES_MAX
_OUTCOMES = {
    UsageError: QueryOutcome.REFUSED,
    TimeUp: QueryOutcome.TIME_UP,
    TooLarge: QueryOutcome.TOO_LARGE,
    Busy: QueryOutcome.BUSY,
    Stopped: QueryOutcome.GONE,
}


class Question(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request, as JSON."""

    sql: str
    limit: Annotated[int, msgspec.Meta(ge=0, lt=1 << 53)] | None = None
    """Rows of the answer; unset: http.query_rows."""
    parameters: list[object] | dict[str, object] = []
    """What stands for ? or $name in the statement."""


def routes(context: Context) -> list[Route]:
    """The endpoint, over the gate that the context has once the store is loaded."""

    async def sql(request: Request) -> Response:
        if context.gate is None:
            return refused(503, "the store is still being loaded", "ask again in a moment")
        try:
            kind = chosen(request, (JSON, CSV, ARROW))
            question = _question(await _body(request), request.headers.get("content-type", ""))
            limits = _limits(context, question)
            with counted(context.metrics):
                async with answered(request) as waiting:
                    return await run_in_threadpool(
                        _answer, context.gate, question, limits, (kind, waiting)
                    )
        except LabelwatchError as error:
            error_text, _, hint = str(error).rpartition("; ")
            return refused(status_of(error), error_text or hint, hint if error_text else None)

    return [Route("/sql", sql, methods=["POST"])]


@contextlib.contextmanager
def counted(metrics: Metrics | None) -> Iterator[None]:
    """Told to the metrics: a query that runs, and how it ended."""
    if metrics is None:
        yield
        return
    metrics.query_began()
    started, outcome = time.monotonic(), QueryOutcome.FAILED
    try:
        yield
        outcome = QueryOutcome.OK
    except LabelwatchError as error:
        outcome = _OUTCOMES.get(type(error), QueryOutcome.FAILED)
        raise
    finally:
        metrics.query_ended(outcome, time.monotonic() - started)


async def _body(request: Request) -> bytes:
    body, size = b"", 0
    async for chunk in request.stream():
        size += len(chunk)
        # What is too large is read and thrown away: a client that still sends would not hear us.
        if size <= _BODY_BYTES_MAX:
            body += chunk
    if size > _BODY_BYTES_MAX:
        raise TooLarge(f"the request is larger than {_BODY_BYTES_MAX:,} bytes; ask for less")
    return body


def _question(body: bytes, content_type: str) -> Question:
    """Read a body: JSON where it says so or looks so, else the statement itself. Raises: UsageError."""
    if content_type.startswith(JSON) or body.lstrip().startswith(b"{"):
        try:
            return msgspec.json.decode(body, type=Question)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UsageError(
                f'the body is no question ({error}); send {{"sql": "…"}}, or SQL as text'
            ) from error
    try:
        return Question(body.decode())
    except UnicodeDecodeError as error:
        raise UsageError("the body is not UTF-8; send SQL as text, or JSON") from error


def _limits(context: Context, question: Question) -> Limits:
    settings = context.settings
    rows = settings.query_rows if question.limit is None else question.limit
    return Limits(settings.query_s, rows, settings.query_bytes)


@contextlib.asynccontextmanager
async def answered(request: Request) -> AsyncIterator[Waiting]:
    """Somebody who waits; as soon as the client has gone, nobody does."""
    waiting = Waiting()

    async def watch() -> None:
        # The body has been read: what comes next is that nobody is there any more.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        waiting.leave()

    watching = asyncio.create_task(watch())
    try:
        yield waiting
    finally:
        watching.cancel()


def _answer(
    gate: Gate, question: Question, limits: Limits, wanted: tuple[str, Waiting]
) -> Response:
    kind, waiting = wanted
    if kind == ARROW:
        found = gate.arrow(question.sql, question.parameters, limits, waiting)
        return Response(_as_arrow(found), media_type=ARROW, headers=_headers(found))
    answer = gate.ask(question.sql, question.parameters, limits, waiting)
    text = _as_json(answer) if kind == JSON else _as_csv(answer)
    return Response(text, media_type=kind, headers=_headers(answer))


def _headers(answer: Answer | ArrowAnswer) -> dict[str, str]:
    """What CSV and Arrow have no place for."""
    return {"x-labelwatch-truncated": str(answer.is_truncated).lower()}


def _as_json(answer: Answer) -> str:
    found = {
        "columns": [{"name": name, "type": kind} for name, kind in answer.columns],
        "rows": [plain(row) for row in answer.rows],
        "row_count": len(answer.rows),
        "truncated": answer.is_truncated,
        "elapsed_ms": round(answer.elapsed_s * 1e3, 3),
    }
    return json.dumps(found, ensure_ascii=False, allow_nan=False)


def _as_csv(answer: Answer) -> str:
    file = io.StringIO()
    write_csv(file, [name for name, _ in answer.columns], answer.rows)
    return file.getvalue()


def _as_arrow(answer: ArrowAnswer) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        for batch in answer.batches:
            writer.write_batch(batch)
    return bytes(sink.getvalue())
