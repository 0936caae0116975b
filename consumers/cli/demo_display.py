"""What the demo shows: each new flag and a running score while it goes on, and a report at its end."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TYPE_CHECKING, Self

import click
from rich.text import Text

from consumers.cli.feeding import StatusLine
from consumers.cli.output import show, tell
from consumers.cli.table import show_table
from consumers.demo.score import Label, score, total
from consumers.store.lock import url_of
from consumers.store.read import Result
from consumers.store.statements import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from consumers.demo.source import DemoSource
    from consumers.loop import Line, Totals
    from consumers.store.read import Reader

_LOOK_S, _TELL_S = 1.0, 10.0
_SHOWN_MAX = 10


class QuietDisplay:
    """Says what takes its time, and nothing more."""

    def __init__(self, _: Line) -> None:
        tell("handwritten digits: training a model on labels with planted errors …")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def update(self, totals: Totals) -> None:
        """Told after each commit."""


class LiveDisplay(StatusLine):
    """A line for each new flag, and the score: in one changing line on a terminal, else now and then."""

    def __init__(self, source: DemoSource, line: Line) -> None:
        super().__init__("training a model …")
        self._source, self._line = source, line
        self._looked_at, self._told_at = 0.0, time.monotonic()
        self._flagged: set[tuple[str, str]] = set()
        self._is_through = False

    def __enter__(self) -> Self:
        self._greet()
        return super().__enter__()

    def update(self, totals: Totals) -> None:
        """Told after each commit."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_S and not self._source.is_through:
            return
        self._looked_at = now
        labels = [Label(*row) for row in self._line.store.labels()]
        self._tell_new(labels)
        text = str(total(score(labels, self._source.story.truth)))
        if self._status:
            self._status.update(f"{totals.records:,} records; {text}")
        elif now - self._told_at > _TELL_S or self._source.is_through:
            self._told_at = now
            tell(f"{totals.records:,} records; {text}")
        if self._source.is_through and not self._is_through:
            self._is_through = True
            self._say("all digits are through; it answers until Ctrl-C")

    def _say(self, text: str) -> None:
        """A line that stays, above the one that changes."""
        if self._status:
            self._status.console.print(Text(text), soft_wrap=True)
        else:
            tell(text)

    def _greet(self) -> None:
        path, url = self._line.store.path, url_of(self._line.store.path)
        command = "labelwatch" if shutil.which("labelwatch") else sys.argv[0]
        query = "SELECT * FROM findings ORDER BY txn_id DESC LIMIT 10"
        tell("handwritten digits, labelled by five people, some of them careless. Meanwhile try:")
        if url:
            tell(f"  {url}/ in a browser")
        tell(f"  {command} flags --store {path}")
        tell(f'  {command} sql "{query}" --store {path}')

    def _tell_new(self, labels: list[Label]) -> None:
        flagged = {
            (each.example_id, each.annotator): each for each in labels if each.is_label_issue
        }
        for place in sorted(flagged.keys() - self._flagged):
            self._say(self._line_of(flagged[place]))
        self._flagged = set(flagged)

    def _line_of(self, label: Label) -> str:
        truth = self._source.story.truth.get(label.example_id)
        verdict = "a false alarm" if label.given_label == truth else "a planted error"
        return (
            f"flagged: {label.example_id}, labelled {label.given_label} by {label.annotator}, looks like "
            f"{label.suggested_label} (score {label.label_score:.3f})"
            + (f", {verdict}" if truth else "")
        )


def report(reader: Reader, truth: Mapping[str, str]) -> None:
    """The most suspect labels, and the score of each annotator and of all."""
    labels = [Label(*row) for row in reader.query(LABELS).rows]
    found = reader.query(
        "SELECT example_id, annotator, given_label, suggested_label, label_score FROM label_issues"
    )
    rows = [(*row, truth.get(row[0])) for row in found.rows[:_SHOWN_MAX]]
    tell("the ten most suspect labels:")
    show(Result([*found.columns, "true_label"], [*found.types, "VARCHAR"], rows), "table")
    click.echo()
    scores = score(labels, truth)
    table = [
        (name, one.labels, one.wrong, one.flagged, one.hits)
        for name, one in sorted(scores.items())
    ]
    show_table(["annotator", "labels", "wrong", "flagged", "flagged_and_wrong"], table)
    click.echo(f"\n{total(scores)}")
