"""Every container's command, run by hand: Kafka, the topic, labelwatch, Prometheus, in the worst order."""

from __future__ import annotations

import itertools
import json
import math
import re
import threading
import urllib.error
import urllib.request

import pytest

from tests.consumers.streams import busy_stream
from tests.dashboards.composed import PANELS
from tests.dashboards.conftest import TOKEN
from tests.dashboards.running import prometheus
from tests.kafka.client import Client
from tests.waiting import LATE_S, wait_for

TOPIC, A_ROUND = "annotations", 60


def rounds():
    """Lines of everything, one round after the other, without end."""
    for seed in itertools.count(5):
        lines = busy_stream(seed, 300 * A_ROUND)
        for start in range(0, len(lines), A_ROUND):
            yield lines[start : start + A_ROUND]


class Traffic:
    """Events, corrections and queries without a pause, so that every rate is one."""

    def __init__(self, servers, monitor):
        self._client, self._monitor = Client(servers), monitor
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._flow)
        self.fault = None

    def begin(self):
        """Let it flow."""
        self._thread.start()

    def end(self):
        """No more of it."""
        self._is_over.set()
        self._thread.join()
        assert self.fault is None, self.fault

    def _flow(self):
        try:
            with self._client.producer() as producer:
                for number, lines in enumerate(rounds()):
                    for line in lines:
                        producer.send(TOPIC, line)
                    correction = {"example_id": f"x{number}", "label": "a", "annotator": "ann"}
                    ask(self._monitor, "/api/events", json.dumps(correction).encode())
                    ask(self._monitor, "/sql", b"SELECT count(*) FROM annotations")
                    if self._is_over.wait(1):
                        return
        except Exception as fault:  # noqa: BLE001 - told by the thread that waits
            self.fault = fault


def ask(monitor, path, body=None, token=TOKEN):
    """Ask a monitor; the answer."""
    headers = {"Content-Type": "application/json" if path != "/sql" else "application/sql"}
    headers |= {"Authorization": f"Bearer {token}"} if token else {}
    url = f"http://127.0.0.1:{monitor.port}{path}"
    with urllib.request.urlopen(
        urllib.request.Request(url, body, headers), timeout=LATE_S
    ) as answer:
        return answer.read()


def digits(monitor):
    """How many of the demo's annotations it has: other events come meanwhile."""
    asked = b"SELECT count(*) FROM annotations WHERE starts_with(example_id, 'digit-')"
    return json.loads(ask(monitor, "/sql", asked))["rows"][0][0]


def status(monitor, path, **options):
    """The status of an answer."""
    try:
        ask(monitor, path, **options)
    except urllib.error.HTTPError as refused:
        return refused.code
    return 200


def is_ready(monitor):
    """Whether it is healthy, and ready."""
    return monitor.is_healthy(monitor.port) and status(monitor, "/readyz") == 200


@pytest.fixture(scope="module")
def monitor(broker, container):
    """The service labelwatch, started before Kafka is, and again by its restart policy."""
    found = container("labelwatch", LABELWATCH_CHECKPOINT_BYTES="1")  # a log is soon too large
    found.start()
    wait_for(lambda: found.process.poll() is not None or found.is_healthy(found.port))
    assert found.process.poll() is None, found.ended()
    assert status(found, "/readyz") == 503
    broker.start()
    code, said = found.ended()
    assert (code, "topic annotations does not exist" in said) == (4, True), said
    assert broker.create_topic() == "Created topic annotations.\n"
    assert broker.create_topic() == ""
    found.start()
    wait_for(lambda: found.process.poll() is not None or is_ready(found))
    assert found.process.poll() is None, found.ended()
    return found


@pytest.fixture(scope="module")
def traffic(broker, monitor):
    """Events come."""
    found = Traffic(broker.host_servers, monitor)
    found.begin()
    yield found
    found.end()


@pytest.fixture(scope="module")
def server(monitor, services, traffic, tmp_path_factory):
    """The service prometheus beside it."""
    target = f"127.0.0.1:{monitor.port}"
    folder = tmp_path_factory.mktemp("prometheus")
    with prometheus(folder, services["prometheus"], target) as found:
        found.target = target
        found.wait_for(lambda each: is_up(each) and numbers(each, "labelwatch_parity_ok"))
        yield found


def is_up(server):
    """Whether the last scrape succeeded."""
    return [value for _, value in server.query('up{job="labelwatch"}')] == [1.0]


def numbers(server, expression):
    """What comes back, and is a number."""
    return [found for found in server.query(expression) if math.isfinite(found[1])]


def filled(server, expression):
    """A panel's expression, its variables as Grafana would fill them in."""
    values = {"job": "labelwatch", "instance": re.escape(server.target).replace("\\", "\\\\")}
    values |= {"__rate_interval": "20s", "__range": "30s"}
    return re.sub(r"\$(\w+)", lambda found: values[found[1]], expression)


def test_the_token_is_needed(monitor):
    """Prometheus has it by its container's environment; who has none is refused."""
    assert status(monitor, "/metrics") == 200
    assert status(monitor, "/metrics", token=None) == 401
    assert status(monitor, "/livez", token=None) == 200


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_data(panel, server):
    """Each of a panel's queries gives numbers, with the labels that its legend names."""
    for each in panel["targets"]:
        expression = filled(server, each["expr"])
        found = server.wait_for(lambda now, asked=expression: numbers(now, asked))
        named = set(re.findall(r"{{(\w+)}}", each["legendFormat"]))
        assert all(named <= set(labels) for labels, _ in found)


def test_other_commands_in_the_container(monitor, traffic):
    """`docker compose exec labelwatch labelwatch …` needs no flags: all is in the environment."""
    copy = str(monitor.store.with_name("copy.duckdb"))  # where the volume is
    commands = (
        ["flags"],
        ["doctor"],
        ["validate", "--topic", TOPIC],
        ["snapshot", copy],
        ["sql", "FROM offsets"],
    )
    for command in commands:
        done = monitor.run("labelwatch", *command)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert TOPIC in done.stdout.decode()


def test_the_producer(container, monitor):
    """Its command sends demo events to the topic until SIGTERM, and labelwatch reads them."""
    producer = container("producer")
    producer.start()
    wait_for(lambda: producer.process.poll() is not None or digits(monitor) > 20)
    assert producer.process.poll() is None, producer.ended()
    code, said = producer.end()
    assert code == 0, said
    assert not list(producer.store.parent.iterdir()), "its root is read-only"


def test_it_stops_and_goes_on(monitor, traffic):
    """SIGTERM ends it with 0; the volume holds where it goes on, so a new container is ready again."""
    traffic.end()
    code, said = monitor.end()
    assert code == 0, said
    assert not monitor.is_healthy(monitor.port)
    monitor.start()
    wait_for(lambda: is_ready(monitor))
