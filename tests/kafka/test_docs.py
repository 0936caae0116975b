"""What the documents say of Kafka is what happens, on a real broker."""

from __future__ import annotations

import ast
import inspect
import json
import shlex
import sys
from pathlib import Path

import msgspec
import pytest

from consumers import config
from consumers.config import KafkaSettings
from tests.test_docs import DOCUMENTS, ROOT, check_commands, needs_kafka

PAGE = ROOT / "docs" / "kafka.md"
SENDERS = Path(__file__).with_name("senders.py")


@pytest.fixture
def tools(broker, tmp_path):
    """A folder for PATH with Kafka's own tools, as far as the documents use them."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in ("kafka-topics.sh", "kafka-console-producer.sh"):
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


def rows():
    """The table of settings as it must stand in the page, from the class that defines them."""
    tree = ast.parse(inspect.getsource(config))
    (body,) = [n.body for n in tree.body if getattr(n, "name", "") == KafkaSettings.__name__]
    names = [n.target.id if isinstance(n, ast.AnnAssign) else None for n in body]
    texts = {
        name: after.value.value
        for name, after in zip(names, body[1:], strict=False)
        if name is not None
    }
    for field in msgspec.structs.fields(KafkaSettings):
        default = [] if field.default_factory is list else field.default
        shown = "" if default is None else f"`{json.dumps(default)}`"
        yield f"| `{field.name}` | {shown} | {texts[field.name]} |".replace("|  |", "| |")


def test_every_setting_stands_in_the_page():
    """The table of settings is that of the code: names, defaults and texts, in order."""
    page = PAGE.read_text("utf-8").splitlines()
    start = page.index("| setting | default | meaning |") + 2
    table = page[start : page.index("", start)]
    assert table == list(rows())
