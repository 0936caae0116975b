"""One line of what `labelwatch doctor` says."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from consumers.errors import LabelwatchError


class Verdict(StrEnum):
    """Warning: something deserves a look. Fault: a run would end, or not start."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Check:
    """What was looked at, what was found and, where it is not well, what to do."""

    name: str
    verdict: Verdict
    text: str
    exit_code: int = 0


def ok(name: str, text: str) -> Check:
    """All is well."""
    return Check(name, Verdict.OK, text)


def warning(name: str, text: str) -> Check:
    """It works, and deserves a look."""
    return Check(name, Verdict.WARNING, text)


def fault(name: str, error: LabelwatchError) -> Check:
    """A run would end with this error."""
    return Check(name, Verdict.FAULT, str(error), error.exit_code)


def exit_code_of(checks: Iterable[Check]) -> int:
    """That of the first fault; 0 where there is none."""
    return next((each.exit_code for each in checks if each.verdict is Verdict.FAULT), 0)


def counted(count: int, noun: str) -> str:
    """So many of something, for a person."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
