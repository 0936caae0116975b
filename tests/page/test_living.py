"""The page over a store that is written to all the time; the server is in this process."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from urllib.parse import quote, urlencode

import pytest

from consumers.store.gate import Limits
from tests.consumers.http.asking import Got, serving
from tests.consumers.store.living import living
from tests.waiting import LATE_S

TOKEN = "s3cret"
LIMITS = Limits(seconds=30.0, rows=1_000, bytes=8 << 20)


@pytest.fixture(scope="module")
def alive(tmp_path_factory):
    """A store that a writer commits to all the time."""
    with living(tmp_path_factory.mktemp("alive") / "s.duckdb", limits=LIMITS) as made:
        yield made


@pytest.fixture(scope="module")
def url(alive):
    """A server over it."""
    with serving(alive.gate) as made:
        yield made


def get(url, path, body=None, **headers):
    """What a browser gets."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url + path, body, named)
    opener = urllib.request.build_opener(Stay)
    try:
        with opener.open(request, timeout=LATE_S) as got:
            return Got(got.status, dict(got.headers), got.read())
    except urllib.error.HTTPError as got:
        return Got(got.code, dict(got.headers), got.read())


class Stay(urllib.request.HTTPRedirectHandler):
    """A redirection is an answer, too."""

    def redirect_request(self, *_):
        """Not followed."""
        return


def test_every_page_answers_while_it_is_written_to(alive, url):
    """The live page, a filter, an explanation, a query, a file: none fails, none stops the writer."""
    (example_id,) = alive.gate.ask("SELECT example_id FROM annotations LIMIT 1").rows[0]
    paths = [
        "/",
        "/?annotator=nobody",
        "/query",
        f"/query?{urlencode({'sql': 'FROM annotations LIMIT 3'})}",
        f"/explain/{quote(example_id, safe='')}",
        "/page/page.js",
    ]
    for path in paths:
        got = get(url, path)
        assert got.status == 200, (path, got.body)
    body = get(url, "/").body.decode()
    assert "Running" in body or "Starting" in body
    alive.go_on()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/?next=x", 400),
        (f"/?annotator={'a' * 3_000}", 400),
        ("/explain/nobody", 404),
        ("/query?sql=SELEC", 400),
        ("/page/nothing", 404),
    ],
)
def test_faults(url, path, status):
    """Each has its status."""
    assert get(url, path).status == status


def test_a_query_that_takes_too_long(alive):
    """It is ended after `http.query_s`, as by `POST /sql`."""
    with serving(alive.gate, query_s=0.5) as url:
        sql = "SELECT count(*) FROM range(1000000000) a, range(1000000) b"
        assert get(url, f"/query?{urlencode({'sql': sql})}").status == 408


def test_visitors_at_the_same_time(url):
    """Twenty at once are all answered: they share one reading, and wait for no slot."""
    statuses = []
    threads = [
        threading.Thread(target=lambda: statuses.append(get(url, "/").status)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 20


def test_without_a_store_it_is_503():
    """Each page says so; files need no store."""
    with serving(None) as url:
        for path in ("/", "/query?sql=SELECT+1", "/explain/x"):
            got = get(url, path)
            assert (got.status, got.headers["retry-after"]) == (503, "1")
            assert b'http-equiv="refresh"' in got.body
        assert get(url, "/page/icon.svg").status == 200


def test_signing_in(alive):
    """The form, the cookie, and the way out."""
    with serving(alive.gate, token=TOKEN) as url:
        assert get(url, "/").status == 401
        assert b"<form" in get(url, "/", Accept="text/html").body
        assert get(url, "/sign-in", b"token=wrong").status == 401
        entered = get(url, "/sign-in", f"token={TOKEN}".encode())
        assert entered.status == 303
        cookie = entered.headers["set-cookie"].partition(";")[0]
        assert get(url, "/", Cookie=cookie).status == 200
        assert get(url, "/sign-in", b"x" * 20_000).status == 413
        assert "Max-Age=0" in get(url, "/sign-out", b"", Cookie=cookie).headers["set-cookie"]
