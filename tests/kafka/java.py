"""The broker's jars: fetched once through Maven, kept in a cache folder of the user."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

POM = Path(__file__).with_name("pom.xml")


class MissingTool(Exception):  # noqa: N818 - the name says what is missing
    """Java or Maven is not there, or Maven could not fetch the jars."""


def classpath():
    """A class path with the broker's jars. Raises: MissingTool."""
    if shutil.which("java") is None:
        raise MissingTool("the Kafka tests need Java 17 or newer: no java on the PATH")
    digest = hashlib.sha256(POM.read_bytes()).hexdigest()[:16]
    folder = _cache() / f"kafka-{digest}"
    if not (folder / "complete").exists():
        _fetch(folder)
    return f"{folder}/libs/*"


def _cache():
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "labelwatch-tests"


def _fetch(folder):
    if shutil.which("mvn") is None:
        raise MissingTool("the Kafka tests fetch a broker with Maven: no mvn on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(POM, folder / "pom.xml")
    command = ["mvn", "--quiet", "--batch-mode", "--no-transfer-progress"]
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={folder}/libs"]
    done = subprocess.run([*command, *goal], cwd=folder, capture_output=True, check=False)
    if done.returncode:
        text = (done.stdout + done.stderr).decode(errors="replace")[-2_000:]
        raise MissingTool(f"Maven could not fetch the broker:\n{text}")
    (folder / "complete").touch()
