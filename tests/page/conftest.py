from __future__ import annotations

import pytest

from tests.consumers.http.web import Monitor
from tests.page.browser import Visitor, running
from tests.page.streams import lines


@pytest.fixture(scope="session")
def browser():
    """A browser, for all tests."""
    with running() as found:
        yield found


@pytest.fixture
def visit(browser):
    """Opens a browser of its own for somebody."""
    visitors = []

    def open_for(monitor, **options):
        visitors.append(Visitor(browser, monitor.url, **options))
        return visitors[-1]

    yield open_for
    for visitor in visitors:
        visitor.context.close()


@pytest.fixture
def monitor(tmp_path):
    """A monitor over a store without data."""
    with Monitor(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A monitor with a little of everything; tests only read."""
    with Monitor(tmp_path_factory.mktemp("page")) as found:
        found.send(*lines())
        found.settle()
        yield found
