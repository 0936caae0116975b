"""GET /api/events: findings as they are committed."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from consumers.http.stream import CLIENTS_MAX
from tests.consumers.http.web import WAIT_S, Monitor, events_of
from tests.consumers.stored import query
from tests.waiting import wait_for

SURE = [
    {"example_id": f"{label}{i}", "label": label, "pred_probs": {"a": p, "b": 1 - p}}
    for label, p in (("a", 0.9), ("b", 0.1))
    for i in range(5)
]

SQL = b"SELECT repeat('x', 3000) FROM range(10000)"
LARGE_CSV = b"POST /sql HTTP/1.1\r\nHost: localhost\r\nAccept: text/csv\r\nContent-Length: %d\r\n\r\n%s" % (
    len(SQL), SQL,
)  # fmt: skip
ESTABLISHED = "01"
ALL_FINDINGS = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n"


def wrong(*numbers):
    """Annotations that are suspect."""
    return [
        {"example_id": f"w{i}\n", "label": "b", "pred_probs": {"a": 0.9, "b": 0.1}}
        for i in numbers
    ]


@contextlib.contextmanager
def streaming(monitor, **headers):
    """The stream, as a file to read."""
    connection = http.client.HTTPConnection(urlsplit(monitor.url).netloc, timeout=WAIT_S)
    with contextlib.closing(connection):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", "/api/events", headers=named)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.readline() == b"retry: 1000\n"
        yield response


def test_findings_come_as_they_are_committed(monitor):
    """A stream begins now, and shows each finding once, in order, as the view does."""
    monitor.send(*SURE, *wrong(0))
    monitor.settle()
    with streaming(monitor) as stream:
        monitor.send(*wrong(1))
        first = events_of(stream, 2)
        monitor.send(*wrong(2, 3))
        found = [data for _, data in first + events_of(stream, 4)]
    for kind in ("label_issue", "consensus_issue"):
        named = [data["example_id"] for data in found if data["kind"] == kind]
        assert named == ["w1\n", "w2\n", "w3\n"]
    assert monitor.stop().exit_code == 0
    shown = query(
        monitor.store,
        "SELECT finding_id, kind, action, cause, score, txn_id FROM findings WHERE example_id <> ? "
        "ORDER BY txn_id, kind, annotation_id",
        "w0\n",
    )
    columns = ("finding_id", "kind", "action", "cause", "score", "txn_id")
    assert [tuple(data[name] for name in columns) for data in found] == shown


def test_a_client_goes_on_where_it_left_off(monitor):
    """With the id of the last event nothing is missed and nothing comes twice; 0 is from the beginning."""
    monitor.send(*SURE, *wrong(*range(10)))
    monitor.settle()
    with streaming(monitor, Last_Event_ID="0") as stream:
        whole = events_of(stream, 10)
    for cut in (1, 5, 9):
        with streaming(monitor, Last_Event_ID=whole[cut - 1][0]) as stream:
            assert events_of(stream, 10 - cut) == whole[cut:]


def test_many_findings_come_page_by_page(monitor):
    """More findings than fit into a page, of one commit, all come, once."""
    monitor.send(*SURE, *wrong(*range(2_500)))
    monitor.settle()
    with streaming(monitor, Last_Event_ID="0") as stream:
        found = events_of(stream, 2_500)
    assert len({key for key, _ in found}) == 2_500
    assert {data["example_id"] for _, data in found} == {f"w{i}\n" for i in range(2_500)}


@pytest.mark.parametrize(
    "last", ["x", "999.label_issue.1", "1.label_issue", "-1", "1.Ä.2", "0" * 99]
)
def test_an_id_that_is_none(empty, last):
    """An id that no event of this store has is 400: going on from elsewhere would hide a gap."""
    answer = empty.get("/api/events", Last_Event_ID=last.encode("latin-1"))
    assert answer.status == 400
    assert answer.fault["error"].startswith("Last-Event-ID")


def test_the_stream_is_only_a_stream(empty):
    """There is no other form of it, and it takes no parameters; HEAD tells its headers and ends."""
    assert empty.get("/api/events", Accept="application/json").status == 406
    assert empty.get("/api/events?kind=label_issue").status == 400
    head = empty.ask("HEAD", "/api/events")
    assert (head.status, head.body) == (200, b"")


def test_two_hundred_clients(monitor):
    """A hundred clients are served, each with everything; the others are told to come again; all goes on."""
    monitor.send(*SURE)
    monitor.settle()
    request = b"GET /api/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(monitor.connect(request)) for _ in range(2 * CLIENTS_MAX)]
        status = [each.recv(12)[9:] for each in sockets]
        assert (status.count(b"200"), status.count(b"503")) == (CLIENTS_MAX, CLIENTS_MAX)
        monitor.send(*wrong(*range(20)))
        monitor.settle()
        for each, code in zip(sockets, status, strict=True):
            text = b""
            while code == b"200" and text.count(b"event: finding") < 20:
                more = each.recv(65_536)
                assert more
                text += more
    # Those who have left make room.
    wait_for(lambda: _is_served(monitor))


def test_clients_that_never_read(tmp_path):
    """They are cut off in time; until then a stream costs a page, and the loop and the others nothing."""
    with contextlib.ExitStack() as stack:
        monitor = stack.enter_context(Monitor(tmp_path, settings={"HTTP__QUERY_S": WAIT_S}))
        monitor.send(*SURE, *wrong(*range(20_000)))
        monitor.settle()
        silent = [
            stack.enter_context(monitor.connect(each, buffer_bytes=4_096))
            for each in (ALL_FINDINGS, LARGE_CSV)
        ]
        with streaming(monitor, Last_Event_ID="0") as stream:
            assert len(events_of(stream, 20_000)) == 20_000
        monitor.send(*wrong(*range(20_000, 20_100)))
        monitor.settle()
        wait_for(lambda: not any(map(_is_served_on, silent)))
        for each in silent:
            assert each.recv(15) == b"HTTP/1.1 200 OK"
            # Each answer is above 6 MB: the rest was never sent.
            assert _taken(each) < 3 << 20
        assert monitor.get("/livez").status == 200


def _taken(silent):
    """How many bytes have come to a client until it was cut off."""
    taken = 0
    with contextlib.suppress(ConnectionError):
        while more := silent.recv(65_536):
            taken += len(more)
    return taken


def _is_served_on(silent):
    """Whether the other end of a connection still holds it, whatever is on its way here."""
    (_, server), (_, client) = silent.getpeername(), silent.getsockname()
    rows = [line.split()[1:4] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ends = (f":{server:04X}", f":{client:04X}", ESTABLISHED)
    return any(all(map(str.endswith, row, ends)) for row in rows)


def _is_served(monitor):
    with contextlib.suppress(AssertionError), streaming(monitor):
        return True
    return False
