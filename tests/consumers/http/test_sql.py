from __future__ import annotations

import csv
import io
import json
import socket
import threading
import time

import pyarrow as pa
import pytest

from tests.consumers.http.asking import post, serving
from tests.consumers.store.living import living
from tests.waiting import wait_for

LONG = b"SELECT count(*) FROM range(1000000000) a, range(1000000) b"
CSV, ARROW = "text/csv", "application/vnd.apache.arrow.stream"


@pytest.fixture(scope="module")
def alive(tmp_path_factory):
    """A store that a writer commits to all the time."""
    with living(tmp_path_factory.mktemp("alive") / "s.duckdb") as made:
        yield made


@pytest.fixture(scope="module")
def url(alive):
    """A server with narrow limits, but for time."""
    with serving(alive.gate, query_s=60.0, query_rows=100, query_bytes=1 << 20) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(alive):
    """A server that gives a query a second."""
    with serving(alive.gate, query_s=1.0) as made:
        yield made


def test_the_three_forms_say_the_same(url):
    """JSON, CSV and Arrow carry the same rows; JSON is what nobody asks for otherwise."""
    body = b"SELECT range AS a, 'x\"' || range AS b FROM range(3)"
    got = post(url, body).json
    assert got["columns"] == [{"name": "a", "type": "BIGINT"}, {"name": "b", "type": "VARCHAR"}]
    assert got["rows"] == [[0, 'x"0'], [1, 'x"1'], [2, 'x"2']]
    assert (got["row_count"], got["truncated"]) == (3, False)
    assert got["elapsed_ms"] > 0
    rows = list(csv.reader(io.StringIO(post(url, body, Accept=CSV).body.decode())))
    assert rows == [["a", "b"], *([str(a), b] for a, b in got["rows"])]
    table = pa.ipc.open_stream(post(url, body, Accept=ARROW).body).read_all()
    assert [[row["a"], row["b"]] for row in table.to_pylist()] == got["rows"]


def test_columns_of_one_name_are_all_there(url):
    """Values stand in the order of the columns, so that two columns may have one name, in each form."""
    body = b"SELECT 1 AS a, 2 AS a, TIMESTAMPTZ '2020-02-29 00:00Z' AS a"
    got = post(url, body).json
    assert [column["name"] for column in got["columns"]] == ["a", "a", "a"]
    assert got["rows"] == [[1, 2, "2020-02-29T00:00:00.000Z"]]
    assert post(url, body, Accept=CSV).body.decode().splitlines()[0] == "a,a,a"
    table = pa.ipc.open_stream(post(url, body, Accept=ARROW).body).read_all()
    assert [column[0].as_py() for column in table.columns[:2]] == [1, 2]


def test_every_type_is_valid_json(url):
    """Whatever DuckDB has, NaN and times with a zone included, JSON can say."""
    got = post(url, b"FROM test_all_types()")
    assert got.status == 200, got
    assert got.json["row_count"] == 3
    (row,) = post(
        url, b"SELECT 'nan'::DOUBLE, TIMESTAMPTZ '2020-02-29 01:00+02', 2::HUGEINT << 90"
    ).json["rows"]
    assert row == ["nan", "2020-02-28T23:00:00.000Z", 2 << 90]


def test_the_limit_is_the_requests_or_the_settings(url):
    """Without a limit as many rows come as the setting says, else as many as were asked for."""
    for limit, count in ((None, 100), (5, 5), (0, 0), (5_000, 5_000)):
        body = {"sql": "FROM range(9000)"} | ({} if limit is None else {"limit": limit})
        got = post(url, json.dumps(body).encode()).json
        assert (got["row_count"], got["truncated"]) == (count, True)
    got = post(url, b"FROM range(101)", Accept=ARROW)
    assert got.headers["x-labelwatch-truncated"] == "true"
    for sql, parameters in (("SELECT ? || 'b'", ["a"]), ("SELECT $x || 'b'", {"x": "a"})):
        body = json.dumps({"sql": sql, "parameters": parameters}).encode()
        assert post(url, body).json["rows"] == [["ab"]]


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (b"", {}, 400, "empty"),
        (b"\xff\xfe", {}, 400, "UTF-8"),
        (b"{", {}, 400, "no question"),
        (b'{"sql": 1}', {}, 400, "sql"),
        (b'{"sql": "SELECT 1", "limt": 1}', {}, 400, "limt"),
        (b'{"sql": "SELECT 1", "limit": -1}', {}, 400, "limit"),
        (b"SELEC", {}, 400, "syntax error"),
        (b"FROM annotation", {}, 400, "does not exist"),
        (b"DROP VIEW annotations", {}, 400, "not allowed"),
        (b"SELECT 1; SELECT 2", {}, 400, "2 statements"),
        (b"SELECT 1", {"Accept": "image/png"}, 406, "image/png"),
        (b"SELECT repeat('x', 2000000)", {}, 413, "larger"),
        (b"SELECT '" + b"x" * (10 << 20) + b"'", {}, 413, "larger"),
    ],
)  # fmt: skip
def test_what_is_refused(body, headers, status, says, url):
    """A refusal has its status, and says in one line what and what to do."""
    got = post(url, body, **headers)
    assert got.status == status, got
    assert says in got.json["error"] + str(got.json["hint"])
    assert "\n" not in got.json["error"]


def test_what_takes_too_long(hasty):
    """A query is ended when its time is up."""
    got = post(hasty, LONG)
    assert (got.status, "longer than 1 s" in got.json["error"]) == (408, True)


def test_too_many_at_a_time(url, hasty):
    """More queries than may run are told to come again."""
    threads = [threading.Thread(target=post, args=(hasty, LONG)) for _ in range(6)]
    for each in threads:
        each.start()
    codes = [post(url, b"SELECT 1").status for _ in range(2)]
    for each in threads:
        each.join()
    assert set(codes) <= {200, 429}
    assert post(url, b"SELECT 1").status == 200


def test_a_client_that_leaves_ends_its_query(alive):
    """Nobody computes for a client that has gone."""
    with serving(alive.gate, query_s=600.0) as url:
        host, port = url.removeprefix("http://").split(":")
        head = f"POST /sql HTTP/1.1\r\nHost: x\r\nContent-Length: {len(LONG)}\r\n\r\n".encode()
        for _ in range(2):
            with socket.create_connection((host, int(port))) as client:
                client.sendall(head + LONG)
                time.sleep(0.3)
        # Both slots are free again, long before the ten minutes that each may take.
        wait_for(lambda: post(url, b"SELECT 1").status == 200)


def test_before_the_store_is_loaded():
    """A monitor that is starting says so."""
    with serving(None) as url:
        got = post(url, b"SELECT 1")
        assert (got.status, got.json["error"]) == (503, "the store is still being loaded")
