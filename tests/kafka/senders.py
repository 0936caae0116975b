"""Stands in for Kafka's command line tools where documents use them, on the broker of the tests."""

from __future__ import annotations

import argparse
import sys

from tests.kafka.client import Client


def main():
    """Create a topic, or send lines."""
    servers, tool, *arguments = sys.argv[1:]
    parser = argparse.ArgumentParser(prog=tool)
    parser.add_argument("--bootstrap-server", required=True)
    parser.add_argument("--topic", required=True)
    if tool == "kafka-topics.sh":
        parser.add_argument("--create", action="store_true", required=True)
    given, client = parser.parse_args(arguments), Client(servers)
    if tool == "kafka-topics.sh":
        client.create(given.topic)
        print(f"Created topic {given.topic}.")  # noqa: T201 - as the tool does
    else:
        client.produce(given.topic, [line.rstrip(b"\n") for line in sys.stdin.buffer])
    client.stop()


if __name__ == "__main__":
    main()
