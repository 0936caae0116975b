"""Who may ask, and how much."""

from __future__ import annotations

import asyncio
import copy

import pytest

from consumers.http.guard import BODY_BYTES_MAX, Guard
from tests.consumers.http.web import Monitor
from tests.waiting import wait_for

TOKEN = "s3cret"
PATHS = (
    "/api/classes",
    "/api/explain/x",
    "/api/events",
    "/api/openapi.json",
    "/readyz",
    "/nowhere",
)


@pytest.fixture(scope="module")
def locked(tmp_path_factory):
    """A monitor with a token."""
    folder = tmp_path_factory.mktemp("locked")
    with Monitor(folder, settings={"HTTP__TOKEN": TOKEN}) as found:
        yield found


@pytest.mark.parametrize(
    "given",
    [None, "", "s3cret", "Bearer", "Bearer ", "Bearer wrong", "Basic s3cret", "Bearer s3cret é"],
)
def test_without_the_token_nothing_is_told(locked, given):
    """With a token set, every route but the liveness probe needs it, also those that do not exist."""
    stranger = copy.copy(locked)
    stranger.token = None
    headers = {} if given is None else {"Authorization": given.encode("latin-1")}
    for path in PATHS:
        answer = stranger.get(path, **headers)
        assert answer.status == 401, path
        assert answer.fault["error"] == "the token is missing or wrong"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert stranger.get("/livez", **headers).status == 200
    assert stranger.get("/healthz", **headers).status == 200


def test_with_the_token_any_name_will_do(locked):
    """The token opens every route, under whatever host name."""
    assert locked.get("/api/classes", Host="labels.example").status == 200
    assert locked.get("/api/classes", Authorization="bearer s3cret").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8711", "127.0.0.1.evil.example", "", "10.0.0.1"]
)
def test_a_foreign_name_is_refused(empty, host):
    """Without a token only names of this machine are answered: a name that a stranger points here is not."""
    answer = empty.get("/api/classes", Host=host)
    assert answer.status == 403
    assert answer.fault["error"].startswith("Host: ")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1", "127.0.0.1:8711", "[::1]:80"]
)
def test_own_names_are_answered(empty, host):
    """The names of this machine's own are answered, with and without a port."""
    assert empty.get("/api/classes", Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:1", "http://["]
)
def test_pages_of_other_sites_may_not_ask(empty, origin):
    """A browser says which site a request is from: another one is refused, our own is not."""
    host = empty.url.removeprefix("http://")
    answer = empty.get("/api/classes", Origin=origin)
    assert answer.status == 403
    assert answer.fault["error"].startswith("Origin: ")
    assert empty.get("/api/classes", Origin=f"http://{host}").status == 200


def test_a_large_body_is_refused(empty):
    """A body above 8 MiB is 413 even for who sends all of it first, and the monitor goes on."""
    answer = empty.ask("POST", "/api/classes", body=b"x" * (BODY_BYTES_MAX + 1))
    assert answer.status == 413
    assert "8,388,608 bytes" in answer.fault["error"]
    assert empty.get("/livez").status == 200


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/events", "application/json"), ("/sql", "application/sql")]
)
def test_a_large_body_in_chunks_is_refused(empty, path, kind):
    """One that does not say how large it is gets 413 as well, from each endpoint that reads a body."""
    answer = empty.ask(
        "POST", path, body=iter([b" " * (1 << 20)] * 9), headers={"Content-Type": kind}
    )
    assert answer.status == 413
    assert "8,388,608 bytes" in answer.fault["error"]
    assert empty.get("/livez").status == 200


@pytest.mark.parametrize("size", [BODY_BYTES_MAX, BODY_BYTES_MAX + 1])
def test_a_body_that_does_not_say_how_large_it_is(size):
    """What comes in chunks is counted as it comes."""

    async def echo(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    chunks = [b"x" * 65_536] * (size // 65_536) + [b"x" * (size % 65_536)]
    messages = [{"type": "http.request", "body": b, "more_body": True} for b in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": "/x", "query_string": b"",
        "headers": [(b"host", b"localhost")], "server": ("localhost", 80), "scheme": "http",
    }  # fmt: skip
    asyncio.run(Guard(echo, None)(scope, receive, send))
    assert sent[0]["status"] == (200 if size == BODY_BYTES_MAX else 413)


def test_answers_keep_browsers_careful(empty):
    """Every answer, also a fault, forbids sniffing, framing, scripts and keeping."""
    for path in ("/livez", "/api/classes.csv", "/nowhere"):
        headers = empty.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    ("method", "path", "status", "hint"),
    [
        ("GET", "/api/label-issue", 404, "did you mean /api/label-issues?"),
        ("GET", "/api/classes/", 404, "did you mean /api/classes?"),
        ("GET", "/x", 404, "/api/openapi.json"),
        ("POST", "/api/classes", 405, "possible: GET, HEAD"),
        ("DELETE", "/api/explain/x", 405, "possible: GET, HEAD"),
        ("PATCH", "/livez", 405, "possible: GET, HEAD"),
        ("GET", "/..%2f..%2fetc/passwd", 404, "/api/openapi.json"),
    ],
)
def test_what_is_not_there(empty, method, path, status, hint):
    """An unknown path names the nearest, an impossible method the possible ones."""
    answer = empty.ask(method, path)
    assert answer.status == status
    assert hint in answer.fault["hint"]
    assert ("allow" in answer.headers) == (status == 405)


def said_to(monitor, noise):
    """What is answered to noise; nothing where the line is cut in the middle of it."""
    try:
        with monitor.connect(noise) as connection:
            if not noise.endswith(b"\r\n\r\n"):
                connection.shutdown(1)
            return connection.recv(1_000)
    except TimeoutError:
        raise
    except OSError:
        return b""


@pytest.mark.parametrize(
    "noise",
    [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"\0" * 70_000,
    ],
)
def test_noise_is_hung_up_on(monitor, noise):
    """What is no HTTP gets an error or nothing, says nothing on stderr, and the monitor goes on."""
    said = said_to(monitor, noise)
    assert said == b"" or b" 400 " in said or b" 403 " in said
    assert monitor.get("/livez").status == 200
    wait_for(lambda: monitor.next_offset() == 0)
    ended = monitor.stop()
    assert (ended.exit_code, ended.err.count("\n")) == (0, 1), ended.err
