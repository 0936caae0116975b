"""What a run says of itself while it follows a topic."""

from __future__ import annotations

import json
import signal

import pytest

from tests.consumers.terminal import finish
from tests.kafka.running import annotation, follow_on


@pytest.mark.usefixtures("client")
def test_the_life_of_a_run(broker, topic, tmp_path):
    """Started, loaded, the first batch, caught up once, asked to stop, stopped: a JSON line each."""
    broker.produce(topic, [annotation(i) for i in range(10)])
    with follow_on(broker, topic, cwd=tmp_path, settings={"LOG_LEVEL": "info"}) as process:
        found = [json.loads(process.stderr.readline()) for _ in range(5)]
        process.send_signal(signal.SIGTERM)
        ended = finish(process)
    *told, _summary = ended.err.splitlines()
    found += map(json.loads, told)
    assert [each["event"].partition(" http:")[0] for each in found] == [
        "labelwatch run starts",
        "store loaded",
        "answering at",
        "first batch committed",
        "caught up",
        "draining",
        "stopped",
    ]
    assert found[0]["source"] == f"{topic} at {broker.servers}"
    assert found[-1]["records"] == 10
