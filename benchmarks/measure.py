"""CPU seconds, memory, and the machine they were taken on."""

from __future__ import annotations

import datetime as dt
import gc
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

_LIBRARIES = ("cleanlab", "duckdb", "msgspec", "numpy", "pyarrow", "scikit-learn", "xxhash")
_ROOT = Path(__file__).parents[1]


class Machine(msgspec.Struct):
    """Where and when figures were taken. `load` is the load average before and after."""

    name: str
    cpu: str
    core_count: int
    memory_gb: float
    system: str
    python: str
    libraries: dict[str, str]
    commit: str
    is_modified: bool
    taken_at: str
    load: list[float]


def this_machine() -> Machine:
    return Machine(
        platform.node(),
        _field("/proc/cpuinfo", "model name") or platform.processor(),
        os.cpu_count() or 0,
        round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        f"{platform.system()} {platform.release()}",
        sys.version.split()[0],
        {name: version(name) for name in _LIBRARIES},
        _git("rev-parse", "--short", "HEAD"),
        bool(_git("status", "--porcelain", "--", "monitor", "consumers")),
        dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        [round(os.getloadavg()[0], 2)],
    )


def cpu_s(work: Callable[[], T]) -> tuple[T, float]:
    """The result of `work` and the CPU seconds that this process spent on it, in all its threads."""
    gc.collect()
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def resident_mb() -> float:
    """Memory of this process now."""
    return _kilobytes("VmRSS") / 1e3


def resident_peak_mb() -> float:
    """The most memory this process ever had. Unlike ru_maxrss it does not count its parent's."""
    return _kilobytes("VmHWM") / 1e3


def _kilobytes(name: str) -> float:
    return float(_field("/proc/self/status", name).split()[0]) * 1.024


def _field(path: str, name: str) -> str:
    lines = Path(path).read_text("utf-8").splitlines() if Path(path).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
