"""What Prometheus makes of a live monitor."""

from __future__ import annotations

import urllib.request

import pytest

from consumers.metrics.definitions import DEFINITIONS
from consumers.metrics.shape import Shape
from tests.consumers.streams import busy_stream
from tests.metrics.live import LATE_S, monitor, value
from tests.metrics.prometheus import check_metrics, prometheus

SENT = 400
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
FORMATS = {
    "": TEXT,
    "text/html": TEXT,
    "application/openmetrics-text;version=1.0.0,text/plain;q=0.5": OPEN,
    "application/openmetrics-text;version=x;q": OPEN,
}


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A monitor that has read a little of everything, checkpoints included."""
    with monitor(tmp_path_factory.mktemp("live"), checkpoint_bytes=1) as running:
        running.source.send(busy_stream(5, SENT), 1_700_000_000_000_000)
        running.wait_for(
            lambda found: (
                ("labelwatch_events_consumed_total", (("topic", "annotations"),)) in found
                and value(found, "events_consumed_total", topic="annotations") == SENT
            )
        )
        yield running


def fetch(port, accept=""):
    """The body and the content type of /metrics."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Accept": accept}
    )
    with urllib.request.urlopen(request, timeout=LATE_S) as answer:
        return answer.read(), answer.headers["content-type"]


def is_well(server):
    """Whether the only target was scraped without an error."""
    return [(each["health"], each["lastError"]) for each in server.targets()] == [("up", "")]


@pytest.mark.parametrize("accept", FORMATS)
def test_formats(accept, live):
    """OpenMetrics is spoken to those who name it, the text format to everybody else."""
    body, content_type = fetch(live.port, accept)
    assert content_type == FORMATS[accept]
    assert body.endswith(b"# EOF\n") == ("openmetrics" in content_type)


def test_promtool_finds_nothing(live):
    """`promtool check metrics` is clean."""
    assert check_metrics(fetch(live.port)[0]) == ""


def test_a_real_prometheus(live, tmp_path):
    """The target is up without an error, and every metric that is defined is there, under its own type."""
    with prometheus(tmp_path, live.port) as server:
        # A later scrape may come too late on a busy machine: one that was well is looked at.
        time = server.wait_for(lambda each: each.query("timestamp(up == 1)"))[0][1]
        (_, count), (_, kept) = (
            server.query(f"scrape_samples_{each}", time=time)[0]
            for each in ("scraped", "post_metric_relabeling")
        )
        assert count == kept > len(DEFINITIONS)
        known = server.get("/api/v1/metadata")
        for each in DEFINITIONS:
            ends = ("_bucket", "_count", "_sum") if each.shape is Shape.HISTOGRAM else ("",)
            for end in ends:
                assert server.query(each.name + end, time=time), each.name + end
            # In OpenMetrics, which Prometheus asks for, a counter's family has no _total.
            family = known.get(each.name) or known[each.name.removesuffix("_total")]
            assert family == [{"type": str(each.shape), "help": each.help, "unit": each.unit}]
        assert server.query("process_resident_memory_bytes", time=time)
        assert server.query("python_info", time=time)
        server.wait_for(is_well)
