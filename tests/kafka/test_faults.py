from __future__ import annotations

import http.server
import threading

import pytest

from tests.consumers.terminal import finish, run_here
from tests.kafka.broker import PASSWORD, USER
from tests.kafka.client import Client
from tests.kafka.running import (
    annotation,
    chosen,
    count,
    follow,
    follow_on,
    impatient,
    now_at,
    offsets,
    rejections,
)
from tests.waiting import wait_for

both = pytest.mark.usefixtures("client")
LOGIN = {
    "security_protocol": "SASL_PLAINTEXT",
    "sasl_username": USER,
    "sasl_password": PASSWORD,
}


@pytest.fixture
def secured(broker):
    """A broker with listeners for TLS and SASL."""
    if not broker.is_ours:
        pytest.skip("the broker of KAFKA_BOOTSTRAP_SERVERS has no such listeners")
    return broker


def run_at(servers, cwd, *topics, **kafka):
    """A run against these servers."""
    settings = {f"KAFKA__{name.upper()}": value for name, value in kafka.items()}
    named = [flag for topic in topics or ("t",) for flag in ("--topic", topic)]
    flags = ["--bootstrap-servers", servers, "--start", "earliest", "--until-end"]
    return run_here("run", *named, *flags, cwd=cwd, settings=chosen | settings)


def test_no_topic(tmp_path):
    """Without a topic the command line is incomplete."""
    ended = run_here("run", cwd=tmp_path)
    assert (ended.exit_code, ended.fault) == (
        2,
        "no topic is named; use --topic, or kafka.topics in the configuration",
    )


@pytest.mark.parametrize("servers", ["", "host:none", ":9092", "host:99999", " , "])
def test_servers_that_are_none(servers, tmp_path):
    """Servers are host:port."""
    ended = run_at(servers, tmp_path)
    assert ended.exit_code == 2
    assert "bootstrap_servers" in ended.fault


@both
def test_a_missing_topic(broker, topic, tmp_path):
    """A topic that does not exist is not made, nor a store for it; a similar name is suggested."""
    ended = run_at(broker.servers, tmp_path, f"{topic}x")
    assert ended.exit_code == 4
    assert ended.fault == f"topic {topic}x does not exist; did you mean {topic}?"
    assert not list(tmp_path.iterdir()), "an empty store was left behind"


def test_an_unreachable_broker(tmp_path):
    """Nobody listens there."""
    ended = run_at("127.0.0.1:1", tmp_path)
    assert ended.exit_code == 4
    assert ended.fault.startswith("127.0.0.1:1 cannot be reached (connection refused)")


def test_an_unknown_host(tmp_path):
    """A name that does not resolve."""
    ended = run_at("no-such-host.invalid:9092", tmp_path)
    assert (ended.exit_code, "no such host" in ended.fault) == (4, True)


def test_an_http_server_is_no_broker(tmp_path):
    """A wrong port, behind which a web server answers."""

    class Quiet(http.server.BaseHTTPRequestHandler):
        timeout = 4

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        def handle_error(self, *_):
            """A client that hangs up in the middle is no fault of the server's."""

    server = Server(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        ended = run_at(f"127.0.0.1:{server.server_port}", tmp_path)
    finally:
        server.shutdown()
        server.server_close()
    assert ended.exit_code == 4
    assert "is an HTTP server, no Kafka broker" in ended.fault


def test_tls_spoken_to_in_plain_text(secured, topic, tmp_path):
    """A broker with TLS, and no TLS asked for."""
    ended = run_at(secured.tls, tmp_path, topic)
    assert ended.exit_code == 4
    assert ended.fault == (
        f"{secured.tls} speaks TLS: set kafka.security_protocol to SSL or SASL_SSL"
    )


def test_plain_text_spoken_to_in_tls(broker, topic, tmp_path):
    """TLS asked for, and a broker without."""
    ended = run_at(broker.servers, tmp_path, topic, security_protocol="SSL")
    assert ended.exit_code == 4
    assert "speaks plain text, not TLS" in ended.fault


@both
def test_a_certificate_nobody_vouches_for(secured, topic, tmp_path):
    """A self-made certificate is refused, and taken once it is named."""
    ended = run_at(secured.tls, tmp_path, topic, security_protocol="SSL")
    assert ended.exit_code == 4
    assert "kafka.ssl_cafile" in ended.fault
    secured.produce(topic, [annotation(1)])
    trusted = {"security_protocol": "SSL", "ssl_cafile": secured.certificate}
    assert run_at(secured.tls, tmp_path, topic, **trusted).exit_code == 0
    assert count(tmp_path) + count(tmp_path, "dead_letters") == 1


def test_a_certificate_file_that_is_none(broker, tmp_path):
    """A file that cannot be read is a fault of the configuration."""
    ended = run_at(broker.servers, tmp_path, security_protocol="SSL", ssl_cafile="missing.pem")
    assert ended.exit_code == 2
    assert ended.fault.startswith("kafka: ssl_cafile cannot be used: No such file")


@both
def test_logging_in(secured, topic, tmp_path):
    """Wrong credentials are refused at once, without the password in the text; right ones work."""
    login = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": USER}
    with impatient():
        ended = run_at(secured.sasl, tmp_path, topic, **login, sasl_password="not it")
    assert ended.exit_code == 4
    assert f"the broker refused the login of {USER} (PLAIN)" in ended.fault
    assert "not it" not in ended.err
    assert run_at(secured.sasl, tmp_path, topic, **login, sasl_password=PASSWORD).exit_code == 0


@impatient()
def test_not_logging_in(secured, topic, tmp_path):
    """A broker that wants a login, and none is configured."""
    ended = run_at(secured.sasl, tmp_path, topic)
    assert (ended.exit_code, "does it want a login?" in ended.fault) == (4, True)


@both
@pytest.mark.parametrize("operation", ["READ", "DESCRIBE"])
def test_a_topic_that_may_not_be_read(operation, secured, topic, tmp_path):
    """A topic that the user may not read, or not see, ends the run with 4 and is named."""
    secured.produce(topic, [annotation(1)])
    secured.deny(USER, ("TOPIC", topic), operation)
    ended = run_at(secured.sasl, tmp_path, topic, **LOGIN)
    assert ended.exit_code == 4
    assert ended.fault == (
        f"topic {topic}: reading it is not allowed; ask for the right to read and describe it"
    )


@both
def test_a_group_that_may_not_be_told(secured, topic, tmp_path):
    """Where the user may not commit for the group lag tools are blind, which is told once; all is read."""
    secured.produce(topic, [annotation(1)])
    secured.deny(USER, ("GROUP", f"group-{topic}"), "READ")
    settings = {f"KAFKA__{name.upper()}": value for name, value in LOGIN.items()}
    settings["KAFKA__GROUP_ID"] = f"group-{topic}"
    with follow_on(Client(secured.sasl), topic, cwd=tmp_path, settings=settings) as process:
        said = process.stderr.readline().decode()
        wait_for(lambda: now_at(tmp_path) == [1])
        process.terminate()
        ended = finish(process)
    assert ended.exit_code == 0
    assert f"the group group-{topic} is not allowed: lag tools will be blind" in said
    assert "lag tools" not in ended.err


@both
def test_deleted_records_are_not_passed_over(broker, topic, tmp_path):
    """Where retention deleted unread records the run ends with 4; --skip-lost goes on, with a dead letter."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    follow(broker, topic, cwd=tmp_path)
    broker.produce(topic, [annotation(i) for i in range(5, 20)])
    broker.delete_records(topic, 12)
    for start in (None, "latest"):
        ended = follow(broker, topic, cwd=tmp_path, start=start)
        assert ended.exit_code == 4
        assert "offsets 5 to 11 were deleted" in ended.fault
        assert "--skip-lost" in ended.fault
    assert offsets(tmp_path) == [(topic, 0, 5)]
    ended = follow(broker, topic, cwd=tmp_path, start=None, flags=["--skip-lost"])
    assert ended.exit_code == 0
    assert rejections(tmp_path) == [(5, "unreadable")]
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 20)], 13)


def test_a_gap_is_no_sign_of_another_schema(broker, topic, tmp_path):
    """Where all that was left to read is gone, its dead letter does not stop the run."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    follow(broker, topic, cwd=tmp_path)
    broker.produce(topic, [annotation(i) for i in range(5, 20)])
    broker.delete_records(topic, 20)
    assert follow(broker, topic, cwd=tmp_path, flags=["--skip-lost"]).exit_code == 0
    assert rejections(tmp_path) == [(5, "unreadable")]
    assert (offsets(tmp_path), count(tmp_path)) == ([(topic, 0, 20)], 5)


@both
def test_a_recreated_topic(broker, topic, tmp_path):
    """A topic of the same name is another topic: its offsets mean other records."""
    broker.produce(topic, [annotation(i) for i in range(5)])
    follow(broker, topic, cwd=tmp_path)
    broker.delete(topic)
    broker.create(topic)
    broker.produce(topic, [annotation(i) for i in range(9)])
    ended = follow(broker, topic, cwd=tmp_path, start=None)
    assert ended.exit_code == 4
    assert "was deleted and created anew" in ended.fault
    assert offsets(tmp_path) == [(topic, 0, 5)]


def test_a_topic_with_fewer_partitions(broker, tmp_path):
    """A topic never loses a partition, so it is another one."""
    topic = broker.create(partitions=2)
    follow(broker, topic, cwd=tmp_path)
    broker.delete(topic)
    broker.create(topic)
    ended = follow(broker, topic, cwd=tmp_path)
    assert (ended.exit_code, "created anew" in ended.fault) == (4, True)


@both
def test_a_damaged_batch_is_left_out(secured, topic, tmp_path):
    """A batch whose checksum is wrong becomes a dead letter; what stands around it is read."""
    for first in (0, 10, 20):
        secured.produce(topic, [annotation(first + i) for i in range(10)])
    path = secured.log_file(topic)
    content = path.read_bytes()
    at = content.index(b"x12")
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"X")
    ended = follow(secured, topic, cwd=tmp_path)
    assert ended.exit_code == 0, ended.err
    [(offset, reason)] = rejections(tmp_path)
    assert (offset % 10, reason) == (0, "unreadable")
    assert offsets(tmp_path) == [(topic, 0, 30)]
    assert 0 < count(tmp_path) < 30
