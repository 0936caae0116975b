"""What the documents say of Kafka is what happens, on a real broker."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.test_docs import DOCUMENTS, ROOT, check_commands, needs_kafka

SENDERS = Path(__file__).with_name("senders.py")


@pytest.fixture
def tools(broker, tmp_path):
    """A folder for PATH with Kafka's own tools, as far as the documents use them."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("kafka-topics.sh", "kafka-console-producer.sh", "kafka-delete-records.sh"):
        call = shlex.join([sys.executable, str(SENDERS), broker.servers, name])
        (folder / name).write_text(f'#!/bin/sh\nexport PYTHONPATH={ROOT}\nexec {call} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize(
    "document",
    [each for each in DOCUMENTS if needs_kafka(each.read_text("utf-8"))],
    ids=lambda path: path.name,
)
def test_commands_in_documents_do_what_is_shown(document, broker, tools, tmp_path):
    """Every command shown runs against a broker, and prints what is shown."""
    work = tmp_path / "work"
    work.mkdir()
    servers = {
        "LABELWATCH_KAFKA__BOOTSTRAP_SERVERS": broker.servers,
        "LABELWATCH_HTTP__LISTEN": "127.0.0.1:0",
    }
    try:
        check_commands(document, work, paths=[tools], environment=servers, with_kafka=True)
    finally:
        if "annotations" in broker.admin.list_topics():
            broker.delete("annotations")
