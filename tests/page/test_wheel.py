"""What is installed has all that the page is made of."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_wheel_has_templates_and_files(tmp_path):
    """Every template, style, script and icon in the tree is in the wheel."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    folder = ROOT / "consumers/http/page"
    wanted = {
        str(path.relative_to(ROOT))
        for kind in ("templates", "static")
        for path in (folder / kind).iterdir()
    }
    assert len(wanted) > 10
    assert wanted <= packed
