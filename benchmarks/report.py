"""What a benchmark found: printed, kept as JSON, and copied into docs/benchmarks.md from there."""

from __future__ import annotations

import re
from statistics import median
from typing import TYPE_CHECKING, Literal

import msgspec

from benchmarks.measure import Machine

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HEAD = ("what", "measured", "anchor", "ratio", "bar", "goal", "met")
_NONE = "–"


class Bar(msgspec.Struct):
    """What is asked of a figure. `of` says of which; `is_floor`: at least, else at most."""

    of: Literal["measured", "ratio"]
    bar: float
    goal: float
    is_floor: bool


class Row(msgspec.Struct):
    """One figure with its anchor: medians of runs. The ratio is the median of the runs' ratios."""

    what: str
    unit: str
    measured: float
    anchor: float | None = None
    ratio: float | None = None
    bar: Bar | None = None

    @property
    def met(self) -> str:
        if self.bar is None:
            return _NONE
        value = self.measured if self.bar.of == "measured" else self.ratio
        assert value is not None
        sign = 1 if self.bar.is_floor else -1
        if sign * value >= sign * self.bar.goal:
            return "bar and goal"
        return "bar" if sign * value >= sign * self.bar.bar else "**no**"


class Table(msgspec.Struct):
    """More figures, as text."""

    title: str
    head: list[str]
    rows: list[list[str]]


class Report(msgspec.Struct):
    """All of one benchmark. `anchor` says what the anchor is; `runs` are all single figures."""

    name: str
    anchor: str
    machine: Machine
    rows: list[Row]
    tables: list[Table]
    runs: dict[str, list[float]]


def compared(
    what: str,
    unit: str,
    measured: Sequence[float],
    anchor: Sequence[float],
    bar: Bar | None = None,
) -> Row:
    """A row out of runs that alternated with their anchor's."""
    ratios = [m / a for m, a in zip(measured, anchor, strict=True)]
    return Row(what, unit, median(measured), median(anchor), median(ratios), bar)


def as_text(report: Report) -> str:
    """The report as Markdown."""
    machine = report.machine
    libraries = ", ".join(f"{name} {number}" for name, number in machine.libraries.items())
    taken = (
        f"Anchor: {report.anchor}. Taken {machine.taken_at[:10]} on {machine.name} ({machine.cpu}, "
        f"{machine.core_count} cores, {machine.memory_gb:.0f} GB, load "
        f"{' → '.join(f'{load:.1f}' for load in machine.load)}; Python {machine.python}, {libraries}) "
        f"at {machine.commit or 'an unknown commit'}{' with changes' * machine.is_modified}. "
        f"All runs: [results/{report.name}.json](../benchmarks/results/{report.name}.json)."
    )
    tables = [f"{table.title}\n\n{_table(table.head, table.rows)}" for table in report.tables]
    return "\n\n".join([_table(_HEAD, [_cells(row) for row in report.rows]), *tables, taken])


def _cells(row: Row) -> list[str]:
    bar = row.bar
    shown = [_number(row.measured, row.unit), _number(row.anchor, row.unit)]
    unit = "×" if bar is None or bar.of == "ratio" else row.unit
    sign = "" if bar is None else "≥ " if bar.is_floor else "≤ "
    limits = [sign + _number(each, unit) for each in (bar.bar, bar.goal)] if bar else [_NONE] * 2
    return [row.what, *shown, _number(row.ratio, "×"), *limits, row.met]


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return _NONE
    if not unit:
        return f"{value:.4f}"
    if unit.endswith("/s"):
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:,.0f} k/s"
    if unit == "×":
        return f"{value:.2f} ×"
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return f"| {' | '.join([first[0].ljust(first[1]), *(c.rjust(w) for c, w in others)])} |"

    rule = f"|{'|'.join(['-' * (widths[0] + 2), *('-' * (w + 1) + ':' for w in widths[1:])])}|"
    return "\n".join([line(head), rule, *map(line, rows)])


def save(report: Report, directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    text = msgspec.json.format(msgspec.json.encode(report), indent=1)
    (directory / f"{report.name}.json").write_bytes(text + b"\n")


def rewrite(page: Path, directory: Path) -> None:
    """Put what is in `directory` between the page's markers; the prose around them stays."""

    def generated(found: re.Match[str]) -> str:
        result = directory / f"{found[2]}.json"
        if not result.exists():
            return found[0]
        text = as_text(msgspec.json.decode(result.read_bytes(), type=Report))
        return f"{found[1]}\n\n{text}\n\n{found[3]}"

    marked = r"(<!-- generated: (\w+) -->).*?(<!-- end -->)"
    page.write_text(re.sub(marked, generated, page.read_text("utf-8"), flags=re.DOTALL), "utf-8")
