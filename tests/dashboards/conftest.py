from __future__ import annotations

import gc

import pytest

from tests.dashboards import composed
from tests.dashboards.running import ComposedBroker, Labelwatch
from tests.kafka.java import MissingTool
from tests.missing import missing
from tests.ports import free_port

TOKEN = "a-token of one's own"


@pytest.fixture(scope="session")
def services():
    """The services of docker-compose.yml, with a token of one's own."""
    return composed.services(LABELWATCH_TOKEN=TOKEN)


@pytest.fixture(scope="package")
def broker(services, tmp_path_factory):
    """The service kafka, prepared and not yet started."""
    try:
        broker = ComposedBroker(tmp_path_factory.mktemp("kafka"), services)
    except MissingTool as fault:
        missing(str(fault))
    yield broker
    broker.stop()
    gc.collect()  # what the client leaves to it is not left to the tests that follow


@pytest.fixture(scope="package")
def container(services, broker, tmp_path_factory):
    """Makes a service that runs the image; where it listens is its port."""
    made = []

    def make(name, **more):
        port = free_port()
        places = {"kafka:9092": broker.servers, "0.0.0.0:8711": f"0.0.0.0:{port}"}

        def here(text):
            for there, place in places.items():
                text = text.replace(there, place)
            return text

        made.append(Labelwatch(tmp_path_factory.mktemp(name), services[name], here, **more))
        made[-1].port = port
        return made[-1]

    yield make
    for each in made:
        each.kill()
