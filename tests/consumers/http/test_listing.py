"""The lists under /api: the same as the views, a page at a time."""

from __future__ import annotations

import csv
import io
import json
from urllib.parse import quote

import pytest

from consumers.http.lists import LISTS
from consumers.values import plain
from tests.consumers.http.web import Monitor
from tests.consumers.stored import query

VIEWS = {"next": "next_labels", "precision": "flag_precision"}
"""The views of lists that have another name."""
# A page of each list, as small as to need several.
LIMIT = 3
LIMITS = {"annotators": 2}


def pages(monitor, path, limit=LIMIT, **parameters):
    """All rows of a list, page by page."""
    found, cursor = [], None
    while True:
        asked = parameters | {"limit": str(limit)} | ({"next": cursor} if cursor else {})
        answer = monitor.get(path + "?" + "&".join(f"{k}={v}" for k, v in asked.items()))
        assert answer.status == 200, answer.body
        assert len(answer.json["rows"]) <= limit
        found += answer.json["rows"]
        cursor = answer.json["next"]
        assert ("link" in answer.headers) == (cursor is not None)
        if cursor is None:
            return found


@pytest.fixture(scope="module")
def shown(busy):
    """Each list, page by page."""
    return {name: pages(busy, f"/api/{name}", LIMITS.get(name, LIMIT)) for name in LISTS}


@pytest.fixture(scope="module")
def read(shown, busy):
    """The store behind it, which nobody holds any more. After `shown`."""
    assert busy.stop().exit_code == 0
    return busy.store


@pytest.mark.parametrize("name", LISTS)
def test_pages_are_the_view(shown, read, name):
    """Page after page, a list is its view: every row, once, with the same values."""
    listed = LISTS[name]
    columns = ", ".join(column.sql or key for key, column in listed.columns.items())
    rows = query(read, f"SELECT {columns} FROM {view_of(name)}")
    expected = [dict(zip(listed.columns, map(plain, row), strict=True)) for row in rows]
    assert len(expected) > LIMITS.get(name, LIMIT) or name == "offsets"
    assert in_order(shown[name]) == in_order(expected)


def view_of(name):
    """The view that a list is."""
    return VIEWS.get(name, name.replace("-", "_"))


def in_order(rows):
    """Rows in an order of their own."""
    return sorted(rows, key=lambda row: json.dumps(row, sort_keys=True))


def test_label_issues_come_most_suspect_first(shown, read):
    """Label issues are in the order of the view."""
    rows = query(read, "SELECT annotation_id FROM label_issues")
    assert [(row["annotation_id"],) for row in shown["label-issues"]] == rows


def test_what_to_label_next_comes_first(shown, read):
    """The list is in the order of the view."""
    rows = query(read, "SELECT example_id FROM next_labels")
    assert [(row["example_id"],) for row in shown["next"]] == rows


WILD = "a'b\"c\n<script>alert(1)</script>,\r\x1f é\u2028"


@pytest.fixture(scope="module")
def wild(tmp_path_factory):
    """A monitor with labels, ids and annotators that nobody expects."""
    sure = [
        {"example_id": f"{label}{i}", "label": label, "pred_probs": {WILD: p, "b": 1 - p}}
        for label, p in ((WILD, 0.9), ("b", 0.1))
        for i in range(3)
    ]
    wrong = {"label": "b", "annotator": WILD, "pred_probs": {WILD: 0.95, "b": 0.05}}
    versioned = wrong | {"example_id": "v", "model_version": "m2", "annotator": "bob"}
    more = [event | {"example_id": f"m{i}", "model_version": "m2"} for i, event in enumerate(sure)]
    monitor = Monitor(tmp_path_factory.mktemp("wild"))
    monitor.send(*sure, wrong | {"example_id": f"{WILD}/../x"}, *more, versioned)
    monitor.settle()
    yield monitor
    monitor.kill()


def test_any_text_comes_through(wild):
    """Quotes, newlines and markup in labels, ids and annotators arrive as they were sent, in JSON and CSV."""
    (row,) = wild.get(f"/api/label-issues?annotator={quote(WILD)}").json["rows"]
    assert row["example_id"] == f"{WILD}/../x"
    assert (row["suggested_label"], row["annotator"]) == (WILD, WILD)
    answer = wild.get(
        f"/api/label-issues.csv?suggested_label={quote(WILD)}&annotator={quote(WILD)}"
    )
    assert answer.headers["content-type"].startswith("text/csv")
    (shown,) = csv.DictReader(io.StringIO(answer.body.decode(), newline=""))
    assert (shown["example_id"], shown["suggested_label"]) == (f"{WILD}/../x", WILD)
    explained = wild.get(f"/api/explain/{quote(f'{WILD}/../x', safe='')}").json
    assert explained["annotations"][0]["annotator"] == WILD


def test_filters_select(wild):
    """A parameter selects rows; the empty model version is that of predictions which name none."""
    for name, value, count in (
        ("annotator", "bob", 1),
        ("model_version", "m2", 1),
        ("model_version", "", 1),
        ("label", "b", 2),
        ("label", "nobody's", 0),
    ):
        rows = wild.get(f"/api/label-issues?{name}={quote(value)}").json["rows"]
        assert len(rows) == count, (name, value)
    assert len(wild.get("/api/classes?model_version=").json["rows"]) == 2


def test_filters_by_number_and_by_truth(wild):
    """Numbers and truth values select, too."""
    wild.send(
        {"example_id": "m0", "label": WILD, "annotator": "cai"},
        {"type": "prediction", "example_id": "u", "pred_probs": {WILD: 0.5, "b": 0.5}},
        {"example_id": "m1", "label": "b", "annotator": "cai"},
    )
    wild.settle()
    for path, asked, ids in (
        ("examples", "is_disputed=true", ["m1"]),
        ("examples", f"is_disputed=true&consensus_label={quote('b')}", []),
        ("next", "annotation_count=0", ["u"]),
        ("next", "annotation_count=2&is_disputed=false", ["m0"]),
    ):
        rows = wild.get(f"/api/{path}?{asked}").json["rows"]
        assert [row["example_id"] for row in rows] == ids, asked
    for asked, hint in (
        ("is_disputed=yes", "write one of them"),
        ("annotation_count=x", "digits"),
    ):
        answer = wild.get(f"/api/next?{asked}")
        assert answer.status == 400
        assert hint in answer.fault["hint"]


@pytest.mark.parametrize("name", LISTS)
def test_a_store_without_data(empty, name):
    """Every list of an empty store is empty, in both forms."""
    assert empty.get(f"/api/{name}").json == {"rows": [], "next": None}
    assert empty.get(f"/api/{name}.csv").body.decode() == ",".join(LISTS[name].columns) + "\n"


@pytest.mark.parametrize(
    ("asked", "error", "hint"),
    [
        ("anotator=x", "'anotator' is no parameter", "did you mean annotator?"),
        ("x=1", "'x' is no parameter", "known are annotator, example_id, label, limit, "),
        ("label=a&label=b", "label is given twice", "once"),
        ("limit=0", "limit: 0 rows", "ask for 1 to 1,000"),
        ("limit=-3", "limit: -3 rows", "ask for 1 to 1,000"),
        ("limit=ten", "limit: 'ten' is no whole number", "digits"),
        ("limit=", "limit: '' is no whole number", "digits"),
        ("limit=" + "9" * 5_000, "is no whole number", "digits"),
        ("next=x", "next: this is no cursor", "from the last answer"),
        ("next=%F0%9F%98%80", "next: this is no cursor", "from the last answer"),
        ("next=WyJjbGFzc2VzIiwiYSIsImIiXQ", "next: this is no cursor of this list", "last answer"),
    ],
)
def test_what_is_asked_wrongly(empty, asked, error, hint):
    """A parameter that is unknown, repeated or wrong is 400, with what is wrong and what would be right."""
    answer = empty.get(f"/api/label-issues?{asked}")
    assert answer.status == 400
    assert error in answer.fault["error"]
    assert hint in answer.fault["hint"]


def test_a_page_is_never_larger_than_a_page(monitor):
    """A limit above the largest gives the largest."""
    monitor.send(*[b"{"] * 1_100)
    monitor.settle()
    answer = monitor.get("/api/dead-letters?limit=5000").json
    assert len(answer["rows"]) == 1_000
    assert len(monitor.get(f"/api/dead-letters?next={answer['next']}").json["rows"]) == 100


def test_pages_stay_true_while_rows_come(monitor):
    """What is committed between two pages neither hides a row nor shows one twice."""
    monitor.send(*[b"{"] * 10)
    monitor.settle()
    first = monitor.get("/api/dead-letters?limit=5").json
    monitor.send(*[b"["] * 10)
    monitor.settle()
    rest = monitor.get(f"/api/dead-letters?next={first['next']}").json
    assert [r["kafka_offset"] for r in first["rows"] + rest["rows"]] == list(range(20))


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "application/json"),
        ("text/*", "text/csv"),
        ("application/json;q=0.2, text/csv;q=0.5", "text/csv"),
        ("application/json;q=0, */*", "text/csv"),
    ],
)
def test_the_form_that_is_liked_best(empty, accept, kind):
    """Accept decides between JSON and CSV."""
    answer = empty.get("/api/classes", Accept=accept)
    assert (answer.status, answer.headers["content-type"].split(";")[0]) == (200, kind)


@pytest.mark.parametrize(
    "accept", ["image/png", "application/json;q=0", "text/csv;q=nonsense", "%"]
)
def test_a_form_that_is_not_to_be_had(empty, accept):
    """An Accept that nothing fits is 406 and names what there is; a path that says its form needs none."""
    answer = empty.get("/api/classes", Accept=accept)
    assert answer.status == 406
    assert answer.fault["hint"] == "there are application/json, text/csv"
    assert empty.get("/api/classes.csv", Accept=accept).status == 200
