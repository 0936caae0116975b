"""Everybody can use it: with any eyes, with the keyboard alone, on a phone."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from tests.page.browser import DESKTOP, PHONE

PATHS = (
    "/",
    "/annotators",
    "/query?sql=FROM+classes",
    "/query?sql=x",
    "/explain/x1000",
    "/explain/nobody",
)
GRAVE = {"serious", "critical"}


@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(busy, visit, scheme, viewport):
    """In light and dark, phone and desktop, all tables open; and no page is wider than its screen."""
    visitor = visit(busy, color_scheme=scheme, viewport=viewport)
    for path in PATHS:
        visitor.go(path)
        for summary in visitor.page.locator("summary").all():
            summary.click()
        found = Axe().run(visitor.page).response["violations"]
        grave = [
            (each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in GRAVE
        ]
        assert grave == [], path
        assert width(visitor) == viewport["width"], path


def test_the_keyboard_reaches_everything(busy, visit):
    """The first stop skips to the content; each stop can be seen, and the last one is the last link."""
    visitor = visit(busy)
    visitor.go()
    visitor.page.keyboard.press("Tab")
    assert focused(visitor, "textContent") == "Skip to the content"
    visitor.page.keyboard.press("Enter")
    visitor.page.wait_for_url("**/#main")
    stops = []
    while (stop := focused(visitor, "textContent")) != "What there is to ask":
        visitor.page.keyboard.press("Tab")
        assert (
            visitor.page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            == "solid"
        ), stop
        stops.append(stop)
        assert len(stops) < 200
    assert {"JSON", "CSV", "bob", "Run"} <= set(stops)


def width(visitor):
    """How wide the page is."""
    return visitor.page.evaluate("document.documentElement.scrollWidth")


def focused(visitor, what):
    """Something about what has the focus."""
    return visitor.page.evaluate(f"document.activeElement.{what}")
