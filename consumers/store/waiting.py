"""Who waits for the answer to a query, and why it may end without one."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from consumers.store.query import Stopped

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

    from consumers.errors import LabelwatchError


class Waiting:
    """Somebody who waits for an answer; `leave` it where nobody does any more. From any thread."""

    def __init__(self) -> None:
        self.why: LabelwatchError | None = None
        self._cursor: duckdb.DuckDBPyConnection | None = None
        self._lock = threading.Lock()

    def leave(self) -> None:
        """Interrupt the query, or keep it from beginning."""
        self.end(Stopped("the query was interrupted; ask again"))

    def end(self, why: LabelwatchError) -> None:
        """The same, for this reason; the first one stays."""
        with self._lock:
            self.why = self.why or why
            if self._cursor is not None:
                self._cursor.interrupt()

    @contextlib.contextmanager
    def on(self, cursor: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """The query runs on this cursor. Raises: why it was ended."""
        with self._lock:
            self._cursor = cursor
        try:
            if self.why:
                raise self.why
            yield
        except Stopped as stopped:
            raise self.why or stopped from None
        finally:
            with self._lock:
                self._cursor = None
