"""The socket that a server listens on, bound before anything else is done: a taken port is told at once."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from consumers.errors import UsageError

if TYPE_CHECKING:
    from consumers.config import HttpSettings

OFF = "off"
_PORT_MAX = 0xFFFF
_BACKLOG = 256
STALLED_S = 20
"""Seconds without a byte taken after which a client is cut off."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: any free one."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return is_loopback(self.host)


DEFAULT = Address("127.0.0.1", 8711)


def is_loopback(host: str) -> bool:
    """Whether a name or an address, in a URL's form, is this machine's own whatever a name server says."""
    try:
        return ipaddress.ip_address(host.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def parse(text: str) -> Address:
    """The address in `http.listen`. Raises: UsageError."""
    found = re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+):([0-9]{1,5})", text)
    if found is None or int(found[2]) > _PORT_MAX:
        raise UsageError(
            f"http.listen: {text!r}: no host:port; write it like {DEFAULT}, or [::1]:{DEFAULT.port}; or {OFF}"
        )
    return Address(found[1].removeprefix("[").removesuffix("]"), int(found[2]))


def bind(settings: HttpSettings) -> tuple[socket.socket, Address]:
    """A listening socket, and where it listens: the default port may be any, where none was asked for.

    Raises: UsageError where the address cannot be had, or would let in everybody.
    """
    asked = DEFAULT if settings.listen is None else parse(settings.listen)
    if not asked.is_loopback and settings.token is None:
        raise UsageError(
            f"http.listen: {asked} can be reached from other machines; set a token in "
            f"LABELWATCH_HTTP__TOKEN (http.token), or listen on {replace(asked, host=DEFAULT.host)}"
        )
    try:
        return _listening(asked)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise UsageError(
                f"http.listen: {asked}: {error.strerror or error}; name an address of this machine, "
                f"as {DEFAULT}"
            ) from error
        if settings.listen is None:
            return _listening(replace(asked, port=0))
        raise UsageError(
            f"http.listen: port {asked.port} of {asked.host} is taken by another process; stop that, or "
            "name another port with --listen (0: any free one)"
        ) from error


def _listening(address: Address) -> tuple[socket.socket, Address]:
    family, kind, _, _, place = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    found = socket.socket(family, kind)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # Each connection inherits it: a client that stops reading holds its buffers no longer than this.
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, STALLED_S * 1_000)
        found.bind(place)
        found.listen(_BACKLOG)
    except BaseException:
        found.close()
        raise
    return found, replace(address, port=found.getsockname()[1])
