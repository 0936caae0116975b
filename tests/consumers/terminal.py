"""Running `labelwatch` as a user does, and as fast as a test wants to."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

from consumers.cli import main

COMMAND = Path(sys.executable).with_name("labelwatch")


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    exit_code: int
    out: str
    err: str

    @property
    def fault(self):
        """The one line that a fault ends in; an assertion where it is something else."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("labelwatch: "), self.err
        assert "Traceback" not in self.err
        assert "a bug in labelwatch" not in self.err
        return lines[0].removeprefix("labelwatch: ")


def environment(**settings):
    """The environment of a command: ours without settings, and these."""
    ours = {
        name: value for name, value in os.environ.items() if not name.startswith("LABELWATCH_")
    }
    return ours | {f"LABELWATCH_{name}": str(value) for name, value in settings.items()}


def start(*args, cwd, settings=None, **options):
    """The command as a process of its own."""
    options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.PIPE} | options
    return subprocess.Popen(
        [str(COMMAND), *map(_text, args)],
        cwd=cwd,
        env=environment(**settings or {}),
        stdout=subprocess.PIPE,
        **options,
    )


@contextlib.contextmanager
def killed_at_last(process):
    """A process that does not outlive a test that fails."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
        with contextlib.suppress(ValueError):  # finished, and closed, by the test
            process.communicate()


def finish(process, stdin=None):
    """Wait for the end of a process."""
    out, err = process.communicate(stdin, timeout=120)
    return Ended(process.returncode, out.decode(), err.decode())


def run_apart(*args, cwd, stdin=b"", **options):
    """Run the command in a process of its own."""
    return finish(start(*args, cwd=cwd, stdin=subprocess.PIPE, **options), stdin)


def run_here(*args, cwd, settings=None):
    """Run the command in this process; only what needs a real stdin or a real end needs more."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        contextlib.chdir(cwd),
        patch.dict(os.environ, environment(**settings or {}), clear=True),
        patch.object(sys, "argv", ["labelwatch", *map(_text, args)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        exit_code = 0
        try:
            main()
        except SystemExit as ended:
            exit_code = ended.code or 0
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())
    return Ended(exit_code, *texts)


def _text(argument):
    return argument if isinstance(argument, bytes) else str(argument)
