from __future__ import annotations

import pytest

from tests.consumers.http.web import Monitor
from tests.consumers.streams import busy_stream


@pytest.fixture
def monitor(tmp_path):
    """A monitor over a store without data."""
    with Monitor(tmp_path) as found:
        yield found


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """The same, for tests that only ask."""
    with Monitor(tmp_path_factory.mktemp("empty")) as found:
        yield found


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A monitor that has seen a little of everything; tests only read."""
    with Monitor(tmp_path_factory.mktemp("busy")) as found:
        found.send(*busy_stream(1, 1_500))
        found.settle()
        yield found
