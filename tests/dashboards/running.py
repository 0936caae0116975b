"""Containers by hand: command and environment of a service, with its hosts and folders on this machine."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from tests.dashboards.composed import ROOT, health_check, settings
from tests.kafka.broker import Broker, is_open
from tests.metrics.prometheus import Prometheus, tool
from tests.ports import free_port
from tests.waiting import LATE_S

TOOLS = Path(sys.executable).parent
_LOG4J = """
Configuration:
  Loggers: {Root: {level: WARN, AppenderRef: {ref: STDOUT}}, Logger: []}
  Appenders: {Console: {name: STDOUT, PatternLayout: {pattern: "%m%n"}}}
"""


class ComposedBroker(Broker):
    """The service kafka: the class that does so in the image makes server.properties of its environment."""

    def __init__(self, folder, services):
        self._service = services["kafka"]
        self._topic = services["topic"]
        super().__init__(folder)
        self.host_servers = f"localhost:{self.ports['tls']}"

    def create_topic(self):
        """Run the service topic, and let it end; what it printed."""
        script, *arguments = map(self._here, self._topic["command"])
        assert Path(script).name == "kafka-topics.sh"
        return self._run(*self._java, "org.apache.kafka.tools.TopicCommand", *arguments)

    def _is_open(self):
        return is_open(self.ports["plain"]) and is_open(self.ports["tls"])

    def _here(self, text):
        text = text.replace("kafka:", "127.0.0.1:").replace("0.0.0.0", "127.0.0.1")
        for name, port in (("plain", 9092), ("controller", 9093), ("tls", 9094)):
            text = text.replace(f":{port}", f":{self.ports[name]}")
        return text.replace("/var/lib/kafka/data", str(self.folder / "data"))

    def _prepare(self):
        for name in ("defaults", "mounted"):
            (self.folder / name).mkdir(parents=True)
        for name in ("log4j2.yaml", "tools-log4j2.yaml"):
            (self.folder / "defaults" / name).write_text(_LOG4J)
        given = {name: self._here(value) for name, value in self._service["environment"].items()}
        done = subprocess.run(
            [
                *[*self._java, "kafka.docker.KafkaDockerWrapper", "setup"],
                *["--default-configs-dir", "defaults", "--mounted-configs-dir", "mounted"],
                *["--final-configs-dir", "."],
            ],
            cwd=self.folder,
            env={"PATH": os.environ["PATH"]} | given,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, (done.stdout + done.stderr).decode()


class Labelwatch:
    """A service that runs the image: its entrypoint, command and environment, and a folder for /data."""

    def __init__(self, folder, service, here, **more):
        self.store = folder / Path(settings("LABELWATCH_STORE")).name
        given = {name: here(value) for name, value in service.get("environment", {}).items()}
        path = f"{TOOLS}{os.pathsep}{os.environ['PATH']}"
        environment = {"PATH": path, "LABELWATCH_STORE": str(self.store)} | given | more
        self._surroundings = {"cwd": folder, "env": environment}
        self._command = ["labelwatch", *map(here, service["command"])]
        self.process = None

    def start(self):
        """Start it, as Docker does and does again."""
        self.process = subprocess.Popen(
            self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **self._surroundings
        )

    def run(self, *command):
        """`docker compose exec`: another command in the same surroundings, and how it ended."""
        return subprocess.run(
            command, capture_output=True, timeout=LATE_S, check=False, **self._surroundings
        )

    def is_healthy(self, port):
        """What the image's health check says."""
        command = [each.replace("8711", str(port)) for each in health_check()]
        return self.run(*command).returncode == 0

    def end(self):
        """SIGTERM; how it ended, and what it said."""
        self.process.terminate()
        return self.ended()

    def ended(self):
        """Wait for its end: the exit code, and what it said."""
        out, _ = self.process.communicate(timeout=LATE_S)
        return self.process.returncode, out.decode()

    def kill(self):
        """End it, whatever has become of it."""
        if self.process is not None:
            with contextlib.suppress(ValueError):  # has ended, and was read
                self.process.kill()
                self.process.communicate()


@contextlib.contextmanager
def prometheus(folder, service, target):
    """The service prometheus, with the configuration that is checked in but for target, ports and folders."""
    checked_in = (ROOT / "dashboards/prometheus/prometheus.yml").read_text("utf-8")
    port = free_port()
    configuration = folder / "prometheus.yml"
    configuration.write_text(
        checked_in.replace("labelwatch:8711", target)
        .replace("/tmp/token", str(folder / "token"))
        .replace("5s", "2s")
    )
    places = {
        "/tmp/token": str(folder / "token"),
        "/bin/prometheus": tool("prometheus"),
        "/etc/prometheus/prometheus.yml": str(configuration),
        "=/prometheus": f"={folder / 'metrics'}",
        "0.0.0.0:9090": f"127.0.0.1:{port}",
    }
    command = []
    for word in [*service["entrypoint"], *service["command"]]:
        for there, here in places.items():
            word = word.replace(there, here)  # noqa: PLW2901 - one place after the other
        command.append(word)
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=service["environment"], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        server = Prometheus(port)
        server.wait_for(lambda each: process.poll() is not None or each.targets())
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait(LATE_S)
