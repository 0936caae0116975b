"""A real browser. It comes with Debian's package `chromium`."""

from __future__ import annotations

import contextlib
import shutil
from urllib.parse import urlsplit

from playwright.sync_api import sync_playwright

from tests.missing import missing

WAIT_MS = 120_000
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def chromium():
    """The path of the browser."""
    path = shutil.which("chromium")
    if path is None:
        missing("chromium is missing: apt-get install chromium")
    return path


@contextlib.contextmanager
def running():
    """The browser, running."""
    path = chromium()
    with sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield found
        finally:
            found.close()


class Visitor:
    """Somebody with a browser of their own, and what went on in it.

    `complaints`: what the console said; `asked`: every address that was asked for.
    """

    def __init__(self, browser, url, **options):
        self.url = url
        self.complaints, self.asked, self.dialogs = [], [], []
        self.context = browser.new_context(**{"viewport": DESKTOP} | options)
        self.context.set_default_timeout(WAIT_MS)
        self.page = self.context.new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("dialog", self._dismiss)

    def _dismiss(self, dialog):
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def go(self, path="/"):
        """Open a page; what was answered."""
        return self.page.goto(self.url + path)

    def follow(self, locator):
        """Click what leads to another page; what was answered, once all of it is there."""
        with self.page.expect_navigation() as navigation:
            locator.click()
        return navigation.value

    def text(self, selector):
        """The text of an element as it is seen."""
        return self.page.inner_text(selector)

    def wait_for(self, selector, text):
        """Wait until an element says this."""
        self.page.locator(selector, has_text=text).first.wait_for()

    def is_at_ease(self):
        """Nothing was complained about, and nothing was asked of anybody else."""
        host = urlsplit(self.url).netloc
        foreign = [each for each in self.asked if urlsplit(each).scheme != "data"]
        foreign = [each for each in foreign if urlsplit(each).netloc != host]
        return (self.complaints, foreign, self.dialogs) == ([], [], [])
