"""The page as its visitors see it."""

from __future__ import annotations

import pytest

from tests.consumers.http.serving import post
from tests.consumers.http.web import Monitor
from tests.page.browser import PHONE
from tests.page.streams import event, lines
from tests.ports import free_port
from tests.waiting import wait_for


def test_it_shows_what_there_is(busy, visit):
    """Health, issues with pictures, classes, rates, duplicates, dead letters; the console stays silent."""
    visitor = visit(busy)
    assert visitor.go().status == 200
    visitor.wait_for("#connection", "Live")
    assert "Running\nready" in visitor.text("#strip")
    assert "170" in visitor.text("#strip")
    assert visitor.page.locator(".card").count() == 20
    # Pictures come when they are seen, which may be after the page.
    picture = visitor.page.locator(".picture").first
    wait_for(lambda: picture.evaluate("each => each.naturalWidth") == 1)
    assert visitor.page.locator("svg.heat g.other.s6").count() == 3
    assert visitor.page.locator("svg.bars rect").count() > 2
    # However many commits they came in: 168 labels in steps of five seconds, as rates a minute.
    rates = visitor.page.locator("#rates-table td:nth-child(2)").all_text_contents()
    assert sum(int(each.replace(",", "")) for each in rates) == 168 * 60 // 5
    assert visitor.page.locator("#latest li").count() == 8
    assert "labels conflict" in visitor.text("#duplicates")
    assert "malformed json 1" in visitor.text("#letters")
    assert "No flag was reviewed yet." in visitor.text("#precision")
    assert visitor.is_at_ease()


def test_what_to_label_next_is_shown(busy, visit):
    """The most urgent examples, with their pictures, what they may be and how sure that is."""
    visitor = visit(busy)
    visitor.go()
    ids = [row["example_id"] for row in busy.get("/api/next?limit=8").json["rows"]]
    assert visitor.page.locator("#next li a[href^='/explain']").all_inner_texts() == ids
    assert visitor.page.locator("#next .picture").count() > 4
    assert "% sure, 1 label" in visitor.text("#next li")
    visitor.page.locator("#next li a[href^='/explain']").first.click()
    assert ids[0] in visitor.text("h1")
    assert visitor.is_at_ease()


def test_an_unlabelled_example_may_come_next(monitor, visit):
    """What nobody labelled is said to have no label."""
    visitor = visit(monitor)
    visitor.go()
    assert "No example has a prediction yet" in visitor.text("#next")
    visitor.wait_for("#connection", "Live")
    probs = {"cat": 0.4, "dog": 0.3, "cow": 0.3}
    monitor.send(*lines(), {"type": "prediction", "example_id": "u", "pred_probs": probs})
    visitor.wait_for("#next li", "no label yet")
    assert visitor.text("#next li").startswith("u cat?")


def test_annotators(busy, visit):
    """The worst come first, their interval is drawn; names lead to label issues, a link to all columns."""
    visitor = visit(busy)
    visitor.go()
    part = visitor.page.locator("#annotators")
    assert part.locator("tbody tr").count() == 2
    assert part.locator("tbody th").all_inner_texts() == ["bob", "ann"]
    assert part.locator("svg.interval").count() == 2
    part.get_by_text("bob").click()
    assert visitor.page.url.endswith("/?annotator=bob")
    visitor.page.get_by_text("All columns").click()
    assert visitor.page.url.endswith("/annotators")
    assert visitor.page.locator("tbody tr").count() == 2
    assert "Last seen" in visitor.text("thead")
    assert visitor.is_at_ease()


def test_pages_and_filters(busy, visit):
    """Links lead through all issues without repeats, and keep the filter."""
    visitor = visit(busy)
    visitor.go("/?annotator=bob")
    seen = []
    while True:
        seen += visitor.page.locator(".card a[href^='/explain']").all_inner_texts()
        following = visitor.page.locator("a[rel=next]")
        if not following.count():
            break
        visitor.follow(following)
    assert sorted(seen) == sorted(f"x{1_000 + i}" for i in range(45))
    visitor.follow(visitor.page.get_by_text("show all"))
    assert visitor.page.url == busy.url + "/"
    assert visitor.is_at_ease()


def test_an_example_is_explained(busy, visit):
    """The numbers behind the flag; what is not there is said with its status."""
    visitor = visit(busy)
    visitor.go()
    visitor.follow(visitor.page.locator(".card a[href^='/explain']").first)
    assert "0.9000" in visitor.text("main")
    assert "label issue raised" in visitor.text("main")
    assert "Consensus" in visitor.text("main")
    assert "All together" in visitor.text("main")
    assert visitor.is_at_ease()
    assert visitor.go("/explain/nobody%2F%22").status == 404
    assert "'nobody/\"' is not in the store" in visitor.text("h1")


def test_findings_appear_as_they_are_committed(monitor, visit):
    """A store without data says what to do; then cards come without a reload, and what is open stays open."""
    visitor = visit(monitor)
    visitor.go()
    assert "Nothing has been read yet" in visitor.text("#issues")
    visitor.wait_for("#connection", "Live")
    visitor.page.evaluate("window.isSame = true")
    monitor.send(*lines())
    visitor.wait_for(".card", "cat")
    visitor.page.locator("#rates-table summary").click()
    visitor.page.locator("a[href='/api/duplicates.csv']").focus()
    post(monitor.url, event("new", "dog", "cat", annotator="zoe"), wait=9)
    visitor.wait_for("#strip dd.is-flag", "48")
    assert "xnew" in visitor.text("#latest li")
    assert visitor.page.locator("#rates-table[open]").count() == 1
    focused = visitor.page.evaluate("document.activeElement.getAttribute('href')")
    assert focused == "/api/duplicates.csv"
    assert visitor.page.evaluate("window.isSame")
    assert visitor.is_at_ease()


def test_pause(monitor, visit):
    """What moves can be stopped, and goes on."""
    visitor = visit(monitor)
    visitor.go()
    visitor.wait_for("#connection", "Live")
    visitor.page.get_by_role("button", name="Pause").click()
    assert visitor.text("#connection") == "Paused"
    monitor.send(*lines())
    monitor.settle()
    visitor.page.wait_for_timeout(1_500)
    assert visitor.page.locator(".card").count() == 0
    visitor.page.get_by_role("button", name="Go on").click()
    visitor.wait_for(".card", "cat")


def test_a_lost_connection_is_said_and_comes_back(tmp_path, visit):
    """While nobody answers the page says so; when a monitor is there again it goes on by itself."""
    at = ("--listen", f"127.0.0.1:{free_port()}")
    first = Monitor(tmp_path, *at)
    try:
        visitor = visit(first)
        visitor.go()
        visitor.wait_for("#connection", "Live")
        visitor.page.evaluate("window.isSame = true")
        first.stop()
        visitor.wait_for("#connection", "Connection lost, trying again…")
    finally:
        first.kill()
    second = Monitor(tmp_path, *at)
    try:
        second.send(*lines())
        visitor.wait_for("#connection", "Live")
        visitor.wait_for(".card", "cat")
        assert visitor.page.evaluate("window.isSame")
    finally:
        second.kill()


def test_without_javascript_it_is_whole(busy, visit):
    """Everything is in the answer, and nothing that only a script could do is offered."""
    visitor = visit(busy, java_script_enabled=False, viewport=PHONE)
    visitor.go()
    assert visitor.page.locator(".card").count() == 20
    assert visitor.text("#connection") == "As of the last reload"
    assert not visitor.page.locator("#pause").is_visible()
    visitor.page.fill("#sql", "SELECT 40 + 2 AS answer")
    visitor.follow(visitor.page.get_by_role("button", name="Run"))
    assert visitor.page.locator("td").all_inner_texts() == ["42"]


@pytest.mark.parametrize(
    ("sql", "status", "text"),
    [
        ("SELECT label FROM classes ORDER BY ALL", 200, "cat\ncow\ndog"),
        ("SELECT '<b>x</b>' AS \"<i>y</i>\", NULL, [1, 2]", 200, "<b>x</b>"),
        ("FROM range(1000)", 200, "200 rows, and there are more"),
        ("SELEC 1", 400, "syntax error"),
        ("COPY classes TO '/tmp/x'", 400, "SELECT"),
        ("SELECT 1; SELECT 2", 400, "one"),
    ],
)
def test_the_sql_box(busy, visit, sql, status, text):
    """It runs one query that only reads, and says what is wrong with others."""
    visitor = visit(busy)
    visitor.go("/query")
    visitor.page.fill("#sql", sql)
    answer = visitor.follow(visitor.page.get_by_role("button", name="Run"))
    assert answer.status == status
    assert text in visitor.text("main").replace("\t", "\n")
    assert visitor.page.input_value("#sql") == sql


def test_every_example_query_runs(busy, visit):
    """What is offered works."""
    visitor = visit(busy)
    visitor.go("/query")
    for name in visitor.page.locator(".examples a").all_inner_texts():
        visitor.follow(visitor.page.get_by_role("link", name=name))
        assert visitor.page.locator("tbody tr").count() > 0, name
    assert visitor.is_at_ease()


def test_a_query_of_another_site_is_not_run(busy):
    """A link or a picture elsewhere must not make this machine compute: the query waits for a click."""
    for site, is_run in (("cross-site", False), ("same-site", False), ("same-origin", True)):
        found = busy.get("/query?sql=SELECT+6*7", Sec_Fetch_Site=site)
        assert (b"<td><bdi>42</bdi></td>" in found.body) == is_run
        assert b"SELECT 6*7</textarea>" in found.body


def test_many_visitors_share_one_reading(busy):
    """Reading for the page takes a small part of the time, however many look at it."""
    answers = [busy.get("/") for _ in range(50)]
    assert {answer.status for answer in answers} == {200}
    wait_for(lambda: busy.get("/readyz").status == 200)


@pytest.mark.parametrize("path", ["/?nonsense=1", "/?next=x", "/query?sqll=1", "/explain/x?y=1"])
def test_what_is_asked_wrongly(busy, path):
    """The fault is a page with its status, and its text is escaped."""
    found = busy.get(path.replace("nonsense", "%3Cscript%3E"))
    assert found.status == 400
    assert found.headers["content-type"].startswith("text/html")
    assert b"<script>" not in found.body


def test_files_are_kept_by_browsers(busy):
    """Under the address that the page names for ever, else as long as they are the same; others are 404."""
    body = busy.get("/").body.decode()
    path = body.partition('rel="stylesheet" href="')[2].partition('"')[0]
    named = busy.get(path)
    assert named.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert named.headers["content-type"].startswith("text/css")
    bare = busy.get("/page/page.css")
    assert bare.headers["cache-control"] == "no-cache"
    assert busy.get("/page/page.css", If_None_Match=bare.headers["etag"]).status == 304
    assert busy.get("/page/..%2frendering.py").status == 404
    assert busy.get("/page/base.html").status == 404
