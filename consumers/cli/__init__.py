"""The command `labelwatch`. Data on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from typing import Final

import click

from consumers import logs
from consumers.errors import LabelwatchError

BUG = 70
MODULES: Final = {
    "feed": ("replay", "validate", "check-config", "rebuild"),
    "demo": ("demo",),
    "follow": ("run",),
    "ask": ("sql", "flags", "next", "explain", "export"),
    "annotators": ("annotators",),
    "health": ("health",),
    "letters": ("dead-letters",),
    "snapshot": ("snapshot",),
    "send": ("send",),
    "doctor": ("doctor",),
}
"""Where each command is."""


class _Commands(click.Group):
    """The commands. A module is imported when one of its commands is asked for: none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click calls it
        return sorted(name for names in MODULES.values() for name in names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - as above
        for module, names in MODULES.items():
            if cmd_name in names:
                commands: tuple[click.Command, ...] = import_module(
                    f"{__name__}.{module}"
                ).COMMANDS
                return next(each for each in commands if each.name == cmd_name)
        return None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="labelwatch")
def labelwatch() -> None:
    """Watch the quality of labels as they are made.

    Exit codes: 0 done, 1 done but records were rejected (--strict), 2 usage or configuration, 3
    store, 4 source, 70 a bug.
    """


def main() -> None:
    """Run the command line; faults end in one line on stderr and an exit code."""
    logs.set_up("auto", "warning")
    try:
        labelwatch(standalone_mode=False)
    except LabelwatchError as error:
        _end(str(error), error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.exceptions.Exit, click.Abort) as error:
        sys.exit(getattr(error, "exit_code", 130))
    except BrokenPipeError:
        # The reader of our output has left, as `head` does. Nothing is wrong, and nobody listens.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except Exception as error:  # noqa: BLE001 - the last line of defence: never a traceback by itself
        if os.environ.get("LABELWATCH_DEBUG"):
            traceback.print_exc()
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(at.filename)}:{at.lineno}"  # noqa: PTH119 - a name, not a path
        _end(
            f"a bug in labelwatch: {type(error).__name__} at {where}: {error}. The store is as of its last "
            "commit. Please report it with the output of LABELWATCH_DEBUG=1",
            BUG,
        )


def _end(text: str, exit_code: int) -> None:
    click.echo(f"labelwatch: {' '.join(text.split())}", err=True)
    sys.exit(exit_code)
