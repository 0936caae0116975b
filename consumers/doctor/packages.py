"""Python and the packages, against what labelwatch says that it needs."""

from __future__ import annotations

import importlib.metadata
import platform
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING

from consumers.doctor.checks import fault, ok, warning
from consumers.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from consumers.doctor.checks import Check

DISTRIBUTION = "labelwatch"
WITHOUT = {
    "crc32c": "Kafka is read ten times slower",
    "lz4": "topics compressed with lz4 cannot be read",
    "snappy": "topics compressed with snappy cannot be read",
    "zstandard": "topics compressed with zstd cannot be read",
}
"""Modules that the Kafka client works without, and what that costs."""
_AGAIN = "install labelwatch with all its dependencies again"
_NAME = re.compile(r"[\w.-]+")
_EXTRA = re.compile(r"extra == ['\"]([\w-]+)['\"]")
_BOUND = re.compile(r"(>=|<)([\d.]+)")


def check_packages() -> list[Check]:
    """What is installed here."""
    requirements = importlib.metadata.requires(DISTRIBUTION) or []
    versions = {}
    for name in map(name_of, requirements):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    missing = [name for name in WITHOUT if find_spec(name) is None]
    own = importlib.metadata.version(DISTRIBUTION)
    return judge_packages(f"labelwatch {own}", requirements, versions, missing)


def judge_packages(
    own: str,
    requirements: Sequence[str],
    versions: Mapping[str, str],
    missing_modules: Sequence[str],
) -> list[Check]:
    """Each requirement against the version that is there. Those of an extra may be absent."""
    wrong, extras = [], set()
    for requirement in requirements:
        name = name_of(requirement)
        version, extra = versions.get(name), _EXTRA.search(requirement)
        if version and not _suits(requirement, version):
            wrong.append(
                f"{name} {version} is installed, {requirement.partition(';')[0]} is needed"
            )
        elif not version and not extra:
            wrong.append(f"{name} is not installed")
        elif version and extra:
            extras.add(extra[1])
    if wrong:
        return [fault("packages", UsageError(f"{'; '.join(wrong)}; {_AGAIN}"))]
    if missing_modules:
        cost = "; ".join(f"without {name} {WITHOUT[name]}" for name in missing_modules)
        return [warning("packages", f"{cost}; {_AGAIN}")]
    shown = [f"{name} {versions[name]}" for name in ("duckdb", "kafka-python", "numpy")]
    python = f"Python {platform.python_version()}"
    extra_names = f"extras: {', '.join(sorted(extras)) or 'none'}"
    return [ok("packages", ", ".join([own, python, *shown, extra_names]))]


def name_of(requirement: str) -> str:
    """The package that a requirement names."""
    found = _NAME.match(requirement)
    assert found is not None, "a requirement begins with a name"
    return found[0]


def _suits(requirement: str, version: str) -> bool:
    """Whether a version is within the bounds. Only >= and < are used by labelwatch."""
    have = _numbers(version)
    for relation, bound in _BOUND.findall(requirement.partition(";")[0]):
        is_below = have < _numbers(bound)
        if is_below != (relation == "<"):
            return False
    return True


def _numbers(version: str) -> list[int]:
    """The leading numbers of a version, without zeros at the end: 2.0.post1 is [2]."""
    found = re.match(r"\d+(\.\d+)*", version)
    numbers = [int(each) for each in found[0].split(".")] if found else []
    while numbers and not numbers[-1]:
        numbers.pop()
    return numbers
