"""How many connections there may be, and how long one may wait with its first request.

Each costs a file descriptor, and the loop needs some too: the process must not run out of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from asyncio import Transport

CONNECTIONS_MAX = 400
FIRST_REQUEST_S = 20.0


class Connection(H11Protocol):
    """HTTP/1.1 on one connection, hung up on where there are too many, or nothing is asked."""

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override] # asyncio's own name for it is wider
        """Take it, or hang up."""
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS_MAX:
            transport.abort()
        else:
            self.loop.call_later(FIRST_REQUEST_S, self._expect)

    def _expect(self) -> None:
        if self.cycle is None:
            self.transport.abort()
