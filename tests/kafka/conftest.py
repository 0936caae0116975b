from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path

import pytest

from consumers.kafka import probe, publisher
from tests.kafka import running
from tests.kafka.broker import Broker
from tests.kafka.client import Client
from tests.kafka.java import MissingTool
from tests.missing import missing


@pytest.fixture(scope="package")
def broker(tmp_path_factory, request):
    """A broker: ours, started once, or that of KAFKA_BOOTSTRAP_SERVERS."""
    if servers := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield (client := Client(servers))
        client.stop()
        return
    yield from own(tmp_path_factory.mktemp("broker"), request)


@pytest.fixture(scope="package")
def own_broker(tmp_path_factory, request):
    """A broker that tests may kill; each leaves it running."""
    yield from own(tmp_path_factory.mktemp("own"), request)


def own(folder, request):
    """Start a broker; keep its log where a test failed."""
    try:
        broker = Broker(folder)
    except MissingTool as fault:
        missing(str(fault))
    failed = request.session.testsfailed
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()
        if request.session.testsfailed == failed:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"the broker's log: {folder}/broker.log")  # noqa: T201 - for whoever looks


@pytest.fixture(params=running.CLIENTS)
def client(request, monkeypatch):
    """The client that reads, by its name; a test that asks for it runs with each."""
    monkeypatch.setitem(running.chosen, "SOURCE", request.param)
    return request.param


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """A broker that answers late on a busy machine is none that is away."""
    monkeypatch.setattr(probe, "TIMEOUT_S", 60.0)
    monkeypatch.setattr(publisher, "TOPIC_MS", 60_000)


@pytest.fixture
def topic(broker):
    """A new topic with one partition."""
    return broker.create()


@pytest.fixture(autouse=True, scope="package")
def collected():
    """What the client leaves to the collector is not left to the tests that follow."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items):
    """The client leaves sockets for the collector to close, where a broker has hung up."""
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(ignored)
