from __future__ import annotations

import pytest

from tests.consumers.http.web import Monitor
from tests.consumers.streams import busy_stream


@pytest.fixture
def monitor(tmp_path):
    """A monitor over a store without data."""
    found = Monitor(tmp_path)
    yield found
    found.kill()


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The same, for tests that only ask."""
    found = Monitor(tmp_path_factory.mktemp("empty"))
    yield found
    found.kill()


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A monitor that has seen a little of everything; tests only read."""
    found = Monitor(tmp_path_factory.mktemp("busy"))
    found.send(*busy_stream(1, 1_500))
    found.settle()
    yield found
    found.kill()
