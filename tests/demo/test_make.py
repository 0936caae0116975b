from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.missing import missing

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="module")
def installed():
    """What make has installed, as it is after `make setup` or in `make test`."""
    if subprocess.run(["make", "-q", ".venv/.installed"], cwd=ROOT, check=False).returncode:
        missing("make would first install .venv anew; run make setup")


@pytest.mark.usefixtures("installed")
def test_make_demo():
    """`make demo` shows a flag; a Ctrl-C, which make and the demo both get, ends both with a summary."""
    made = subprocess.Popen(
        ["make", "demo", "ARGS=--listen 127.0.0.1:0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        for line in made.stdout:
            if line.startswith("flagged: digit-"):
                break
        else:
            pytest.fail("the demo has ended without a flag")
        os.killpg(made.pid, signal.SIGINT)
        said, _ = made.communicate(timeout=180)
    finally:
        if made.poll() is None:
            os.killpg(made.pid, signal.SIGKILL)
            made.communicate()
    assert re.search(r"flagged: precision [\d.]+, recall [\d.]+$", said, re.MULTILINE)
    assert "Traceback" not in said


@pytest.mark.usefixtures("installed")
def test_make_demo_for_scripts():
    """`make demo ARGS=--once` ends by itself with precision and recall."""
    done = subprocess.run(
        ["make", "demo", "ARGS=--once"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # A make within a make, as in `make test`, says which folder it leaves.
    assert re.search(r"precision [\d.]+, recall [\d.]+$", done.stdout, re.MULTILINE)
