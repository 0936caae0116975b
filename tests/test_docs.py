"""What the documents say is what happens."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from docs.generate import refreshed, sections, views
from tests.consumers.http.web import Monitor

ADDRESS, ANY_PORT = "127.0.0.1:8711", "127.0.0.1:0"
STARTED_S = 120
ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EVENT = re.compile(r"^> (\{.*\})$", re.MULTILINE)
_KAFKA = re.compile(r"--topic|kafka-")
_LINK = re.compile(r"\]\((?!https?:)([^)]+)\)")


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


def asks_a_monitor(document):
    """Whether a document shows what a monitor answers, and no command that starts it."""
    commands = [each for each, _ in sessions(document.read_text("utf-8"), with_kafka=False)]
    return any(ADDRESS in each for each in commands)


def example_events():
    """The annotations that README begins with: the examples of all documents."""
    return [line.encode() for line in _EVENT.findall((ROOT / "README.md").read_text("utf-8"))]


def pattern_of(lines):
    """A pattern for the lines shown."""
    parts = [re.escape(line).replace("…", ".*") for line in lines]
    return re.compile("\n".join(parts) + "\n?" if lines else "", re.DOTALL)


def check_commands(document, cwd, *, paths=(), environment=None, address=ADDRESS, with_kafka):
    """Run what a document shows, one after the other, and compare; what ends with & runs on until the end."""
    path = os.pathsep.join(
        [*map(str, paths), str(Path(sys.executable).parent), os.environ["PATH"]]
    )
    known = {"PATH": path, "HOME": str(cwd), "LANG": "C.UTF-8"} | (environment or {})
    with contextlib.ExitStack() as stack:
        for command, shown in sessions(document.read_text("utf-8"), with_kafka=with_kafka):
            if command.endswith("&"):
                address = stack.enter_context(monitor(command, cwd, known))
                continue
            # The default port may be another's, and a run that ends by itself would say so.
            own = {"LABELWATCH_HTTP__LISTEN": ANY_PORT} if "labelwatch run" in command else {}
            done = subprocess.run(
                ["bash", "-c", command.replace(ADDRESS, address)],
                cwd=cwd,
                env=known | own,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"$ {command}\n{done.stdout}"
            assert pattern_of(shown).fullmatch(done.stdout), f"$ {command}\n{done.stdout}"


@contextlib.contextmanager
def monitor(command, cwd, environment):
    """The address of a monitor that a command starts, once it has caught up."""
    log = cwd / "monitor.log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            ["bash", "-c", f"exec {command.removesuffix('&')}"],
            cwd=cwd,
            env=environment | {"LABELWATCH_LOG_LEVEL": "info"},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        try:
            deadline = time.monotonic() + STARTED_S
            while "caught up" not in (said := log.read_text("utf-8")):
                assert process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.1)
            (lock,) = (each for each in cwd.glob("*.lock") if each.stat().st_size)
            yield json.loads(lock.read_text("utf-8"))["url"].removeprefix("http://")
        finally:
            process.terminate()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_do_what_is_shown(document, tmp_path):
    """Every command shown in a document runs, and prints what is shown."""
    if not asks_a_monitor(document):
        check_commands(document, tmp_path, with_kafka=False)
        return
    with Monitor(tmp_path) as asked:
        asked.send(*example_events())
        asked.settle()
        address = asked.url.removeprefix("http://")
        check_commands(document, tmp_path, address=address, with_kafka=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_in_documents_lead_somewhere(document):
    """Every relative link names a file that exists, and a heading that stands in it."""
    for file, _, anchor in (
        link.partition("#") for link in _LINK.findall(document.read_text("utf-8"))
    ):
        target = document.parent / file if file else document
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def anchors(page):
    """The anchors of a page's headings, as forges make them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_pages_show_what_the_code_says(document):
    """What `make docs` writes into a page stands there: settings, and views with their columns."""
    page = document.read_text("utf-8")
    assert refreshed(page) == page, "run `make docs`"


def test_every_setting_and_every_view_has_a_place():
    """No table of settings and no view is missing from its page."""
    for name, kind, known in (
        ("configuration.md", "settings", sections()),
        ("views.md", "view", views()),
    ):
        places = re.findall(rf"<!-- {kind}: (\w+) -->", (ROOT / "docs" / name).read_text("utf-8"))
        assert sorted(places) == sorted(known)
