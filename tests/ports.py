"""Ports for processes that are started with a number, and listen there a little later."""

from __future__ import annotations

import contextlib
import socket
from random import SystemRandom

# Below those that a system gives to whoever asks for any: nobody gets one of these by chance meanwhile,
# neither to listen at nor as the near end of a connection.
FIRST, LAST = 20_000, 32_000


def free_ports(count):
    """So many ports of loopback that nobody has."""
    candidates = SystemRandom().sample(range(FIRST, LAST), k=LAST - FIRST)
    found = []
    while len(found) < count:
        port = candidates.pop()
        with contextlib.suppress(OSError), socket.socket() as tried:
            tried.bind(("127.0.0.1", port))
            found.append(port)
    return found


def free_port():
    """One such port."""
    return free_ports(1)[0]
