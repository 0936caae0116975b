"""The server: a thread beside the loop, from before the store is loaded until after the last commit."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from typing import TYPE_CHECKING

import uvicorn

from consumers.http import listen
from consumers.http.app import application
from consumers.http.connections import Connection
from consumers.http.context import Context
from consumers.store.gate import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from consumers.board import Board
    from consumers.config import Settings
    from consumers.http.intake import Intake
    from consumers.metrics import Metrics
    from consumers.store import Store

STREAMS_END_S = 1
STOP_S = 2.0

log = logging.getLogger(__name__)


class Server:
    """Listens from the start; `over` a store it answers what needs one. Raises: UsageError.

    It never ends the process, and the process never waits for it for long.
    """

    def __init__(self, settings: Settings, board: Board, metrics: Metrics) -> None:
        self._asked = settings.http.listen
        self._socket, self._address = listen.bind(settings.http)
        self._context = Context(settings.http, board, settings.kafka.stuck_s, metrics=metrics)
        # What a client does wrong is its own affair, and a bug is told by the guard.
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
        config = uvicorn.Config(
            application(self._context),
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=STREAMS_END_S,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="http", daemon=True
        )
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{self._address}"

    @contextlib.contextmanager
    def over(self, store: Store, intake: Intake) -> Iterator[None]:
        """Answer from this store; afterwards nothing asks it any more, and the server has stopped."""
        http = self._context.settings
        limits = Limits(http.query_s, http.query_rows, http.query_bytes)
        gate = store.gate(limits, http.queries)
        # A client that goes on after a restart is judged by it before the loop has come round.
        board = self._context.board
        board.txn_id, board.committed_at = store.txn_id, time.monotonic()
        self._context.path, self._context.gate = store.path, gate
        self._context.snapshots, self._context.intake = store.snapshots, intake
        # Told last: whoever finds us asks at once.
        store.tell_url(self.url)
        if self._asked is None and self._address != listen.DEFAULT:
            log.warning("port %d is taken; answering at %s", listen.DEFAULT.port, self.url)
        else:
            log.info("answering at %s", self.url)
        try:
            yield
        finally:
            self._stop()
            self._thread.join(STREAMS_END_S)
            # What is still being asked is interrupted.
            gate.end()
            self.close()

    def close(self) -> None:
        """Stop, within two seconds. May be called twice."""
        self._stop()
        self._thread.join(STOP_S)
        self._socket.close()

    def _stop(self) -> None:
        self._context.is_closing = True
        self._server.should_exit = True
