"""Stands in for Kafka's command line tools where documents use them, on the broker of the tests."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from tests.kafka.client import Client


def main():
    """Create a topic, send lines, or delete records."""
    servers, tool, *arguments = sys.argv[1:]
    parser = argparse.ArgumentParser(prog=tool)
    parser.add_argument("--bootstrap-server", required=True)
    if tool == "kafka-delete-records.sh":
        parser.add_argument("--offset-json-file", type=Path, required=True)
    else:
        parser.add_argument("--topic", required=True)
    if tool == "kafka-topics.sh":
        parser.add_argument("--create", action="store_true", required=True)
    given, client = parser.parse_args(arguments), Client(servers)
    if tool == "kafka-topics.sh":
        client.create(given.topic)
        print(f"Created topic {given.topic}.")  # noqa: T201 - as the tool does
    elif tool == "kafka-delete-records.sh":
        for each in json.loads(given.offset_json_file.read_text("utf-8"))["partitions"]:
            client.delete_records(each["topic"], each["offset"], each["partition"])
    else:
        client.produce(given.topic, [line.rstrip(b"\n") for line in sys.stdin.buffer])
    client.stop()


if __name__ == "__main__":
    main()
