"""Whatever is sent, the page stays a page."""

from __future__ import annotations

import json

import pytest

from consumers.board import Board
from consumers.config import HttpSettings, Settings
from consumers.http.server import Server
from consumers.metrics import Metrics
from tests.page.browser import PHONE
from tests.page.streams import event

EVIL = "<script>alert(1)</script>"
QUOTED = '" onmouseover="alert(1)" x=\''
BROKEN = "data:image/png;base64,AAAA"


def odd(number, label, **more):
    """A suspect annotation with this label."""
    probs = {label: 0.1, "cat": 0.9}
    made = {"example_id": f"o{number}", "label": label, "annotator": "ann", "pred_probs": probs}
    return made | more


@pytest.fixture(scope="module")
def odd_lines():
    """Events that somebody made up to break a page."""
    return [
        *(event(i, "cat") for i in range(20)),
        odd(1, EVIL, annotator=EVIL, text=EVIL, example_id=EVIL),
        odd(
            2, QUOTED, annotator=QUOTED, text=QUOTED, example_id=QUOTED, uri=f"https://x/{QUOTED}"
        ),
        odd(3, "L" * 10_000, annotator="A" * 10_000, text="T" * 100_000, example_id="E" * 10_000),
        odd(4, "שלום עולם", annotator="مرحبا", text="שלום, זה טקסט ארוך"),
        odd(5, "\u202eevil", annotator="a\nb", text="x\x00y\x1b[31m"),
        odd(6, "broken", uri=BROKEN),
        odd(7, "huge", uri="data:image/png;base64," + "A" * 200_000),
        odd(8, "script", uri="javascript:alert(1)"),
        odd(9, "html", uri="data:text/html,<script>alert(1)</script>"),
        odd(
            10,
            "svg",
            uri="data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        ),
        odd(11, "remote", uri="https://pictures.example/1.png"),
        odd(12, "jinja", text="{{ 7 * 7 }}{% raw %}"),
        json.dumps({"example_id": EVIL, "label": EVIL, "pred_probs": EVIL}).encode(),
        EVIL.encode(),
    ]


@pytest.fixture
def odd_monitor(monitor, odd_lines):
    """A monitor that was sent them."""
    monitor.send(*odd_lines)
    monitor.settle()
    return monitor


@pytest.mark.parametrize("options", [{}, {"viewport": PHONE}], ids=["desktop", "phone"])
def test_what_others_send_stays_text(odd_monitor, visit, options):
    """Nothing runs, nothing is asked of others, and no page becomes wider than its screen."""
    visitor = visit(odd_monitor, **options)
    paths = ["/", "/query?sql=FROM+annotations"]
    visitor.go()
    found = visitor.page.locator(".card a[href^='/explain']").all()
    paths += [each.get_attribute("href") for each in found]
    assert len(paths) > 12
    for path in paths:
        assert visitor.go(path).status == 200, path
        screen = visitor.page.viewport_size["width"]
        assert visitor.page.evaluate("document.documentElement.scrollWidth") == screen, path
        assert visitor.page.locator("main script, [onmouseover], [onload]").count() == 0, path
    visitor.go()
    assert EVIL in visitor.text("#issues")
    assert EVIL in visitor.text("#joint")
    assert "{{ 7 * 7 }}" in visitor.text("#issues")
    visitor.complaints = [each for each in visitor.complaints if "ERR_INVALID_URL" not in each]
    assert visitor.is_at_ease()


def test_long_names_are_cut(odd_monitor):
    """A label of 10 kB is cut, and so is what its title holds: the answer stays small."""
    body = odd_monitor.get("/").body
    assert b'title="' + b"L" * 2_000 + b'"' in body
    assert b"L" * 2_001 not in body
    assert b"T" * 2_001 not in body
    assert b"A" * 2_001 not in body
    assert len(body) < 150_000


def test_pictures_and_links(odd_monitor, visit):
    """A picture that does not load has its text; what is no picture and no address of the web stays text."""
    visitor = visit(odd_monitor)
    visitor.go()
    page = visitor.page.locator("#issues")
    broken = page.locator(f".picture[src='{BROKEN}']")
    assert broken.get_attribute("alt") == "Picture of the example"
    assert broken.bounding_box()["height"] < 200
    assert page.locator(".picture").count() == 2  # the other one is the SVG
    links = page.locator(".source a").evaluate_all("all => all.map(each => each.href)")
    assert len(links) == 2
    assert all(link.startswith("https://") for link in links)


def test_remote_pictures_are_a_setting(tmp_path, visit, odd_lines):
    """Only where `http.images` says so may a browser ask other hosts for pictures."""
    from tests.consumers.http.web import Monitor  # noqa: PLC0415 - with settings of its own

    with Monitor(tmp_path, settings={"HTTP__IMAGES": "any"}) as monitor:
        monitor.send(*odd_lines)
        monitor.settle()
        answer = monitor.get("/")
        assert "img-src 'self' data: https: http:;" in answer.headers["content-security-policy"]
        assert b'src="https://pictures.example/1.png"' in answer.body


def test_the_policy_lets_nothing_in(busy):
    """No page names anything but this host; styles and scripts stand in files alone."""
    for path in ("/", "/query", "/explain/x1"):
        answer = busy.get(path)
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
            "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        )
        assert b"style=" not in answer.body
        assert b"<style" not in answer.body


def test_a_thousand_classes(monitor, visit):
    """The cells of the classes that are confused most are drawn, and the page says so."""
    monitor.send(
        *(
            {
                "example_id": f"x{i}",
                "label": f"class {i % 1_000}",
                "pred_probs": {f"class {i % 1_000}": 0.2, f"class {(i + 1) % 1_000}": 0.8}
                if i % 1_000 < 5
                else {f"class {i % 1_000}": 1.0},
            }
            for i in range(3_000)
        )
    )
    monitor.settle()
    visitor = visit(monitor)
    visitor.go()
    assert "the 12 classes that are confused most, of 1,000" in visitor.text("#joint")
    assert visitor.page.locator("svg.heat rect").count() == 144
    assert "class 0" in visitor.text("#joint .thresholds")
    assert visitor.is_at_ease()


def test_a_monitor_that_starts(tmp_path, visit):
    """While the store is being loaded the page says so with 503, and tries again by itself."""
    board = Board()
    settings = Settings(store=str(tmp_path / "s.duckdb"), http=HttpSettings(listen="127.0.0.1:0"))
    server = Server(settings, board, Metrics(settings.metrics, board, tmp_path / "s.duckdb"))
    try:
        visitor = visit(server)
        answer = visitor.go()
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert visitor.text("h1") == "The monitor is starting"
        count = len(visitor.asked)
        visitor.page.wait_for_event("framenavigated")
        assert len(visitor.asked) > count
    finally:
        server.close()
