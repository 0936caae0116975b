"""A real Apache Kafka on loopback: one KRaft node, in plain text, with TLS and with SASL."""

from __future__ import annotations

import base64
import contextlib
import signal
import socket
import ssl
import subprocess
import uuid
from pathlib import Path

from kafka.errors import KafkaError

from tests.kafka.client import Client
from tests.kafka.java import classpath
from tests.ports import free_ports
from tests.waiting import LATE_S, wait_for

USER, PASSWORD = "alice", "wonderland"
_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAIN
listeners=PLAIN://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},TLS://127.0.0.1:{tls},SASL://127.0.0.1:{sasl}
listener.security.protocol.map=PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL,SASL:SASL_PLAINTEXT
sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config={login} required user_{user}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
allow.everyone.if.no.acl.found=true
ssl.keystore.location={folder}/keys.p12
ssl.keystore.password=changeit
ssl.keystore.type=PKCS12
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=400
auto.create.topics.enable=false
log.segment.delete.delay.ms=0
message.max.bytes=33554432
"""


class Broker(Client):
    """A broker of our own, which may be killed and started again. Its log is `folder/broker.log`."""

    is_ours = True

    def __init__(self, folder):
        self.folder = Path(folder)
        self.ports = dict(zip(("plain", "controller", "tls", "sasl"), free_ports(4), strict=True))
        super().__init__(f"127.0.0.1:{self.ports['plain']}")
        self.tls = f"127.0.0.1:{self.ports['tls']}"
        self.sasl = f"127.0.0.1:{self.ports['sasl']}"
        self.certificate = self.folder / "broker.pem"
        self._java = ["java", "-cp", classpath()]
        self._process = None
        self._prepare()

    def start(self):
        """Start the process; wait until all of it answers, the keeper of the groups' offsets included.

        After a kill that takes until its old session has run out.
        """
        log = (self.folder / "broker.log").open("ab")
        options = [
            "-Xmx512m",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-Dorg.apache.logging.log4j.level=WARN",
        ]
        with log:
            self._process = subprocess.Popen(
                [*self._java[:1], *options, *self._java[1:], "kafka.Kafka", "server.properties"],
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(lambda: self._process.poll() is not None or self._is_open())
        assert self._process.poll() is None, (self.folder / "broker.log").read_text()[-3_000:]
        wait_for(self._keeps_groups)

    def kill(self):
        """SIGKILL."""
        self.forget()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self):
        """SIGTERM, and SIGKILL where that takes too long."""
        super().stop()
        if self._process and self._process.poll() is None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(LATE_S)
            self._process.kill()
            self._process.wait()

    def log_file(self, topic, partition=0):
        """The segment on disk that holds a partition's first records."""
        return self.folder / "data" / f"{topic}-{partition}" / f"{0:020}.log"

    def truncate(self, topic, partition=0):
        """While the broker is down, lose what a partition holds, as a disk or an unclean election may."""
        for path in self.log_file(topic, partition).parent.iterdir():
            if path.name != "partition.metadata":
                path.unlink()

    def _is_open(self):
        return is_open(self.ports["plain"]) and is_open(self.ports["sasl"]) and self._speaks_tls()

    def _speaks_tls(self):
        anybody = ssl.create_default_context(cafile=self.certificate)
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.ports["tls"]), LATE_S) as connection,
            anybody.wrap_socket(connection, server_hostname="localhost"),
        ):
            return True
        return False

    def _keeps_groups(self):
        # The first to ask has its topic made, which takes as long as some clients wait for an answer.
        with contextlib.suppress(KafkaError):
            self.committed("nobody")
            return True
        return False

    def _prepare(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "server.properties").write_text(
            _PROPERTIES.format(
                **self.ports, folder=self.folder, user=USER, password=PASSWORD, login=_LOGIN
            )
        )
        keytool = ["keytool", "-keystore", "keys.p12", "-storepass", "changeit", "-alias", "b"]
        self._run(
            *[*keytool, "-genkeypair", "-keyalg", "RSA", "-dname", "CN=localhost"],
            *["-ext", "SAN=DNS:localhost,IP:127.0.0.1", "-validity", "30"],
        )
        self._run(*keytool, "-exportcert", "-rfc", "-file", str(self.certificate))
        tool = [*self._java, "kafka.tools.StorageTool"]
        name = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._run(*tool, "format", f"--cluster-id={name}", "-c", "server.properties")

    def _run(self, *command):
        done = subprocess.run(command, cwd=self.folder, capture_output=True, check=False)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
        return done.stdout.decode()


def is_open(port):
    """Whether somebody listens on a port of loopback."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), LATE_S):
        return True
    return False
