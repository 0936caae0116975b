"""A real Prometheus on loopback, and promtool. Both come with Debian's package `prometheus`."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

from tests.missing import missing
from tests.ports import free_port
from tests.waiting import LATE_S

CONFIGURATION = """
global: {{scrape_interval: 5s, scrape_timeout: 5s}}
scrape_configs:
- job_name: labelwatch
  static_configs: [{{targets: ["127.0.0.1:{port}"]}}]
"""


def tool(name):
    """The path of a tool."""
    path = shutil.which(name)
    if path is None:
        missing(f"{name} is missing: apt-get install prometheus")
    return path


def check_metrics(text):
    """What promtool finds wrong with an exposition; empty where it is clean."""
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        timeout=LATE_S,
        check=False,
    )
    return (done.stdout + done.stderr).decode() + ("" if done.returncode == 0 else "failed")


class Prometheus:
    """A server that scrapes one target."""

    def __init__(self, port):
        self._url = f"http://127.0.0.1:{port}"

    def get(self, path, **query):
        """An answer of its API."""
        url = f"{self._url}{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=LATE_S) as answer:
            return json.load(answer)["data"]

    def query(self, expression, **when):
        """The values of an expression, by labels: now, or at a `time`."""
        found = self.get("/api/v1/query", query=expression, **when)["result"]
        return [(each["metric"], float(each["value"][1])) for each in found]

    def targets(self):
        """The targets it scrapes."""
        return self.get("/api/v1/targets")["activeTargets"]

    def wait_for(self, is_there):
        """Wait until this is so; what it gave."""
        deadline = time.monotonic() + LATE_S
        while True:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                if found := is_there(self):
                    return found
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.1)


@contextlib.contextmanager
def prometheus(folder, target_port):
    """A Prometheus that scrapes this port now and then, with a data folder of its own."""
    path, port = tool("prometheus"), free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(CONFIGURATION.format(port=target_port))
    log = folder / "prometheus.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [
                path,
                f"--config.file={configuration}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            cwd=folder,
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        server = Prometheus(port)
        server.wait_for(lambda each: process.poll() is not None or each.targets())
        assert process.poll() is None, log.read_text()
        yield server
    finally:
        process.terminate()
        process.wait(LATE_S)
