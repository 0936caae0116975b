"""What the documents say is what happens."""

from __future__ import annotations

import ast
import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from consumers import config
from consumers.config import HttpSettings, KafkaSettings

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_KAFKA = re.compile(r"--topic|kafka-")
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def sessions(text, *, with_kafka):
    """Commands with the output shown below each; `> ` continues a command, … stands for any text."""
    for block in _BLOCK.findall(text):
        if not with_kafka and _KAFKA.search(block):
            continue
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            first, *rest = step.splitlines()
            more = [line.removeprefix("> ") for line in rest if line.startswith("> ")]
            yield "\n".join([first, *more]), [line for line in rest if not line.startswith("> ")]


def needs_kafka(text):
    """Whether a document shows commands that need a broker. tests/kafka/test_docs.py runs those."""
    return any(_KAFKA.search(block) for block in _BLOCK.findall(text))


def pattern_of(lines):
    """A pattern for the lines shown."""
    parts = [re.escape(line).replace("…", ".*") for line in lines]
    return re.compile("\n".join(parts) + "\n?" if lines else "", re.DOTALL)


def check_commands(document, cwd, *, paths=(), environment=None, with_kafka):
    """Run what a document shows, one after the other, and compare."""
    path = os.pathsep.join(
        [*map(str, paths), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    known = {"PATH": path, "HOME": str(cwd), "LANG": "C.UTF-8"}
    for command, shown in sessions(document.read_text("utf-8"), with_kafka=with_kafka):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=cwd,
            env=known | (environment or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"$ {command}\n{done.stdout}"
        assert pattern_of(shown).fullmatch(done.stdout), f"$ {command}\n{done.stdout}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_do_what_is_shown(document, tmp_path):
    """Every command shown in a document runs, and prints what is shown."""
    check_commands(document, tmp_path, with_kafka=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document):
    """Every relative link names a file that exists."""
    for target in _LINK.findall(document.read_text("utf-8")):
        assert (document.parent / target).exists(), target


def rows(section):
    """The table of settings as it must stand in the page, from the class that defines them."""
    tree = ast.parse(inspect.getsource(config))
    (body,) = [n.body for n in tree.body if getattr(n, "name", "") == section.__name__]
    names = [n.target.id if isinstance(n, ast.AnnAssign) else None for n in body]
    texts = {
        name: after.value.value
        for name, after in zip(names, body[1:], strict=False)
        if name is not None
    }
    for field in msgspec.structs.fields(section):
        default = [] if field.default_factory is list else field.default
        shown = "" if default is None else f"`{json.dumps(default)}`"
        yield f"| `{field.name}` | {shown} | {texts[field.name]} |".replace("|  |", "| |")


@pytest.mark.parametrize(
    ("page", "section"), [("kafka.md", KafkaSettings), ("http.md", HttpSettings)]
)
def test_every_setting_stands_in_the_page(page, section):
    """The table of settings is that of the code: names, defaults and texts, in order."""
    lines = (ROOT / "docs" / page).read_text("utf-8").splitlines()
    start = lines.index("| setting | default | meaning |") + 2
    table = lines[start : lines.index("", start)]
    assert table == list(rows(section))
