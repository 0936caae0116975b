from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from consumers.cli import MODULES, labelwatch
from tests.consumers.terminal import run_here


@pytest.mark.parametrize("module", MODULES)
def test_each_command_is_where_it_is_looked_for(module):
    """The table names every command of a module, and no other."""
    commands = import_module(f"consumers.cli.{module}").COMMANDS
    assert tuple(each.name for each in commands) == MODULES[module]


def test_help_lists_every_command(tmp_path):
    """All commands are in the help, in the order of the alphabet."""
    out = run_here("--help", cwd=tmp_path).out
    named = [line.split()[0] for line in out.split("Commands:")[1].splitlines() if line]
    assert named == sorted(name for names in MODULES.values() for name in names)
    assert len(labelwatch.list_commands(None)) == len(named)


def test_an_unknown_command_is_named(tmp_path):
    """A command that does not exist ends with 2."""
    ended = run_here("relpay", cwd=tmp_path)
    assert (ended.exit_code, "relpay" in ended.err) == (2, True)


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("feed", ("rich", "ssl", "kafka", "starlette", "prometheus_client", "pyarrow.parquet")),
        ("follow", ("rich", "starlette", "prometheus_client", "pyarrow.parquet", "sklearn")),
        ("ask", ("rich", "ssl", "kafka", "starlette", "pyarrow.parquet")),
    ],
)
def test_a_command_pays_for_what_it_uses(module, others):
    """What takes long to import, and only some runs need, is not imported with a command."""
    code = f"import sys, consumers.cli.{module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert set(others) & set(done.stdout.split()) == set()
