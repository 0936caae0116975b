"""`labelwatch health`: how good the labels are, class by class."""

from __future__ import annotations

import json
from dataclasses import astuple, fields
from typing import TYPE_CHECKING, Literal

import click

from consumers.batch import OverlapRow, overlaps
from consumers.cli.ask import store_option
from consumers.cli.output import format_option, limit_option, row_limit, show, tell
from consumers.cli.reading import open_reader, url_option
from consumers.health import QUERY, CellRow, ClassRow, Stratum, document, strata_of
from consumers.store.read import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = ClassRow | CellRow | OverlapRow
    What = Literal["classes", "cells", "overlapping"]


@click.command()
@store_option
@url_option
@format_option
@click.option(
    "--classes", "what", flag_value="classes", default=True, help="Each class (default)."
)
@click.option(
    "--cells",
    "what",
    flag_value="cells",
    help="Each pair of given and true label that meets: calibrated joint and noise matrices.",
)
@click.option(
    "--overlapping",
    "what",
    flag_value="overlapping",
    help="Pairs of classes that are mistaken for one another; by cleanlab, an extra.",
)
@click.option("--model-version", help="Only examples that this model version judges.")
@limit_option
def health(
    *,
    store: str | None,
    url: str | None,
    style: str | None,
    what: What,
    model_version: str | None,
    limit: int | None,
) -> None:
    """Say how good the labels are: each class, the worst first, and a summary.

    Counts and estimates are those of cleanlab 2.9, for each model version on its own.
    """
    with open_reader(store, url) as reader:
        strata = strata_of(reader.query(QUERY).rows)
    if model_version is not None:
        strata = [each for each in strata if each.model_version == model_version]
    row_type, rows = _rows(strata, what)
    for line in _summary(strata):
        tell(line)
    if style == "json" and what == "classes":
        click.echo(json.dumps(document(strata), ensure_ascii=False, indent=1))
    else:
        found = rows[: row_limit(limit, style)]
        names = [field.name for field in fields(row_type)]
        show(Result(names, [], [astuple(row) for row in found]), style)
        if len(found) < len(rows):
            tell(f"{len(found):,} of {len(rows):,} rows; see more with --limit")


def _rows(strata: Sequence[Stratum], what: What) -> tuple[type[Row], Sequence[Row]]:
    match what:
        case "classes":
            return ClassRow, [row for each in strata for row in each.classes()]
        case "cells":
            return CellRow, [row for each in strata for row in each.cells()]
        case "overlapping":
            return OverlapRow, [row for each in strata for row in overlaps(each)]


def _summary(strata: Sequence[Stratum]) -> list[str]:
    if not strata:
        return ["no annotation has a prediction yet, so there is nothing to judge"]
    return [_line(each) for each in strata]


def _line(stratum: Stratum) -> str:
    health = stratum.health
    name = "" if stratum.model_version is None else f"model version {stratum.model_version}: "
    counts = (
        f"{name}{health.annotation_count:,} annotations, {health.label_issue_count:,} label issues"
    )
    if not stratum.is_comparable:
        return f"{counts}; all have one class, so there is nothing to compare it with"
    return (
        f"{counts}; label health score {health.label_health_score:.4f}; "
        f"about {health.estimated_error_count:,} wrong labels by the calibrated joint"
    )


COMMANDS: tuple[click.Command, ...] = (health,)
