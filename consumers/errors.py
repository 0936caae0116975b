"""Bad surroundings, as exceptions that carry data. Each has the exit code the command ends with.

LabelwatchError
├── UsageError      2   configuration or arguments
├── StoreError      3   locked, newer schema, corrupt, full
│   └── StoreLocked
└── SourceError     4   unreachable, missing, changed since last time, mostly rejected
"""

from __future__ import annotations


class LabelwatchError(Exception):
    """A fault outside the program, told in one line that names the fix."""

    exit_code: int = 70


class UsageError(LabelwatchError):
    """A setting or an argument that cannot be used."""

    exit_code = 2


class StoreError(LabelwatchError):
    """The database file cannot be used."""

    exit_code = 3


class StoreLocked(StoreError):  # noqa: N818 - the name says what happened
    """Another process holds the database file."""

    def __init__(self, path: str, holder: str) -> None:
        self.path = path
        self.holder = holder
        super().__init__(f"{path} is in use by {holder}; stop that process or use another --store")


class SourceError(LabelwatchError):
    """The input cannot be read, or is not what it was."""

    exit_code = 4
