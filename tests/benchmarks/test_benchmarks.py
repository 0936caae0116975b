from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("kernel", "exact", "replay", "kafka", "footprint", "consensus")
COLUMNS = ["what", "measured", "anchor", "ratio", "bar", "goal", "met"]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """All benchmarks in tiny sizes; their output, results and page."""
    directory = tmp_path_factory.mktemp("benchmarks")
    page = directory / "benchmarks.md"
    page.write_text((ROOT / "docs" / "benchmarks.md").read_text("utf-8"), "utf-8")
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        "--quick",
        "--results",
        directory,
        "--page",
        page,
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, directory, page.read_text("utf-8")


def cells(line):
    """The texts of a row of a Markdown table."""
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_prints_its_table_and_keeps_every_run(done, name):
    """A row for each figure of the JSON, which holds the machine, the medians and all runs."""
    stdout, directory, _ = done
    report = json.loads((directory / f"{name}.json").read_text("utf-8"))
    printed = [cells(line) for line in stdout.splitlines() if line.startswith("|")]
    assert COLUMNS in printed
    assert report["rows"]
    assert report["runs"]
    assert {row["what"] for row in report["rows"]} <= {row[0] for row in printed}
    assert all(figures for figures in report["runs"].values())
    assert report["machine"]["name"]
    assert report["machine"]["libraries"]["cleanlab"].startswith("2.9.")


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_what_was_measured(done, name):
    """What is printed stands between the page's markers; the prose outside them stays."""
    stdout, directory, page = done
    report = json.loads((directory / f"{name}.json").read_text("utf-8"))
    generated = page.partition(f"<!-- generated: {name} -->")[2].partition("<!-- end -->")[0]
    assert generated.strip() in stdout
    assert all(row["what"] in generated for row in report["rows"])
    prose = (ROOT / "docs" / "benchmarks.md").read_text("utf-8").partition("<!--")[0]
    assert page.startswith(prose)


@pytest.mark.slow
def test_a_wrong_name_is_refused():
    """An unknown benchmark ends with 2 and the names that there are."""
    command = [sys.executable, "-m", "benchmarks", "kernal"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert (
        "kernal is no benchmark; there are kernel, exact, replay, kafka, readers, footprint, consensus"
        in ran.stderr
    )


@pytest.mark.slow
def test_a_benchmark_without_its_data_is_left_out(tmp_path):
    """It says what is missing and ends with 1; the page is written all the same."""
    page = tmp_path / "benchmarks.md"
    page.write_text("prose", "utf-8")
    command = [sys.executable, "-m", "benchmarks", "consensus", "--results", tmp_path]
    environment = {name: value for name, value in os.environ.items() if name != "LABELWATCH_DATA"}
    ran = subprocess.run(
        [*command, "--page", page],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "consensus is left out: LABELWATCH_DATA is not set" in ran.stderr
    assert page.read_text("utf-8") == "prose"
