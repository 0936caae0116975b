"""Why a broker does not answer, in words. The client itself says only that it took too long."""

from __future__ import annotations

import socket
import ssl
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from consumers.errors import UsageError

if TYPE_CHECKING:
    from consumers.config import KafkaSettings

TIMEOUT_S = 5.0
DEFAULT_PORT = 9092
_CORRELATION = 0x6C77
_API_VERSIONS = struct.pack(">hhih", 18, 0, _CORRELATION, -1)
_REQUEST = struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS
_PORT_MAX = 65_535


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a server; `is_away` where waiting may help."""

    text: str
    is_away: bool


def addresses(servers: str) -> list[tuple[str, int]]:
    """Host and port of each server. Raises: UsageError."""
    found = []
    for server in filter(None, (each.strip() for each in servers.split(","))):
        host, _, port = server.rpartition(":") if ":" in server else (server, "", "")
        if not host or (port and not (port.isdecimal() and 0 < int(port) <= _PORT_MAX)):
            raise UsageError(f"bootstrap_servers: {server!r} is no host:port")
        found.append((host.strip("[]"), int(port or DEFAULT_PORT)))
    if not found:
        raise UsageError("bootstrap_servers: names no server; give host:port")
    return found


def tls_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """What TLS is spoken with, None for plain text. Raises: UsageError where a file is unusable."""
    if "SSL" not in settings.security_protocol:
        return None
    named = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
    files = ", ".join(name for name in named if getattr(settings, name))
    try:
        context = ssl.create_default_context(cafile=settings.ssl_cafile)
        context.check_hostname = settings.ssl_check_hostname
        if settings.ssl_certfile:
            context.load_cert_chain(
                settings.ssl_certfile, settings.ssl_keyfile, settings.ssl_password
            )
    except OSError as error:
        text = error.strerror or str(error)
        raise UsageError(f"kafka: {files} cannot be used: {text}; name files in PEM") from error
    return context


def probe(settings: KafkaSettings) -> Fault | None:
    """What is wrong with every server; None where one of them is a broker. Raises: UsageError."""
    context = tls_context(settings)
    faults = []
    for host, port in addresses(settings.bootstrap_servers):
        fault = _probe(host, port, context)
        if fault is None:
            return None
        faults.append(fault)
    return next((fault for fault in faults if not fault.is_away), faults[0])


def _probe(host: str, port: int, context: ssl.SSLContext | None) -> Fault | None:
    at = f"{host}:{port}"
    try:
        connection = socket.create_connection((host, port), TIMEOUT_S)
    except socket.gaierror:
        return Fault(f"{at}: no such host; is bootstrap_servers right?", is_away=True)
    except OSError as error:
        text = (error.strerror or str(error)).lower()
        text = f"{at} cannot be reached ({text}); is the broker up, and bootstrap_servers right?"
        return Fault(text, is_away=True)
    with connection:
        if context is None:
            return None if _is_kafka(connection) else _who_else(host, port)
        return _probe_tls(connection, host, port, context)


def _probe_tls(
    connection: socket.socket, host: str, port: int, context: ssl.SSLContext
) -> Fault | None:
    at = f"{host}:{port}"
    try:
        with context.wrap_socket(connection, server_hostname=host) as secured:
            if _is_kafka(secured):
                return None
            return Fault(f"{at} speaks TLS, but no Kafka: is that the port?", is_away=False)
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        text = (
            f"{at}: its certificate is refused: {why}; name who vouches for it in kafka.ssl_cafile"
        )
        return Fault(text, is_away=False)
    except OSError as error:
        return _without_tls(host, port, error)


def _without_tls(host: str, port: int, error: OSError) -> Fault:
    at = f"{host}:{port}"
    if isinstance(error, ssl.SSLError) and _answers_in_plain_text(host, port):
        text = f"{at} speaks plain text, not TLS: set kafka.security_protocol to PLAINTEXT or SASL_PLAINTEXT"
        return Fault(text, is_away=False)
    return Fault(f"{at}: TLS failed: {error.strerror or error}", is_away=False)


def _who_else(host: str, port: int) -> Fault:
    """Who answers where plain text did not meet a broker."""
    at = f"{host}:{port}"
    if _answers_tls(host, port):
        text = f"{at} speaks TLS: set kafka.security_protocol to SSL or SASL_SSL"
        return Fault(text, is_away=False)
    if _ask(host, port, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP"):
        return Fault(f"{at} is an HTTP server, no Kafka broker: is that the port?", is_away=False)
    # A broker that is starting, or a proxy without one behind it, looks like this too.
    return Fault(f"{at} takes connections, but does not answer as a broker would", is_away=True)


def _answers_in_plain_text(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            return _is_kafka(connection)
    except OSError:
        return False


def _answers_tls(host: str, port: int) -> bool:
    # Nothing is sent that matters, so it does not matter to whom.
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((host, port), TIMEOUT_S) as connection,
            anybody.wrap_socket(connection),
        ):
            return True
    except OSError:
        return False


def _is_kafka(connection: socket.socket) -> bool:
    """Whether a request for the API versions, which needs no login, is answered."""
    try:
        connection.sendall(_REQUEST)
        answer = b""
        while len(answer) < 2 * 4 and (more := connection.recv(64)):
            answer += more
    except OSError:
        return False
    return answer[4:8] == _CORRELATION.to_bytes(4, "big")


def _ask(host: str, port: int, request: bytes) -> bytes:
    try:
        with socket.create_connection((host, port), TIMEOUT_S) as connection:
            connection.sendall(request)
            return connection.recv(64)
    except OSError:
        return b""
