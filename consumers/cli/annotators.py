"""`labelwatch annotators`: who labels, and how well."""

from __future__ import annotations

import sys
from typing import Final

import click

from consumers.cli.ask import store_option
from consumers.cli.output import format_option, limit_option, row_limit, show, tell
from consumers.cli.reading import open_reader, url_option

_ORDERS: Final = {
    "error_rate": "error_rate DESC",
    "annotation_count": "annotation_count DESC",
    "label_issue_count": "label_issue_count DESC",
    "consensus_issue_count": "consensus_issue_count DESC",
    "annotator_quality": "annotator_quality",
    "agreement_with_consensus": "agreement_with_consensus",
    "agreement_with_model": "agreement_with_model",
    "gold_accuracy": "gold_accuracy",
    "confirmed_share": "confirmed_share DESC",
    "too_fast_share": "too_fast_share DESC",
    "labels_per_hour": "labels_per_hour DESC",
    "last_seen_at": "last_seen_at DESC",
    "annotator": "annotator",
}
_FOR_PEOPLE: Final = (
    "annotator, annotation_count, consensus_issue_count, error_rate, error_rate_low, error_rate_high, "
    "annotator_quality, agreement_with_consensus, worst_class, confused_given, confused_with, last_seen_at"
)
_QUERY: Final = (
    "SELECT {columns}, count(*) OVER () AS total FROM annotators "
    "ORDER BY {order} NULLS LAST, annotator LIMIT ?"
)


@click.command()
@store_option
@url_option
@format_option
@click.option(
    "--sort",
    type=click.Choice(tuple(_ORDERS)),
    default="error_rate",
    show_default=True,
    help="What comes first: the worst, the most or the newest; names in their order.",
)
@limit_option
def annotators(
    store: str | None, url: str | None, style: str | None, sort: str, limit: int | None
) -> None:
    """Rate everybody who labels: error rate with its 95 % interval, quality, agreement, confusions.

    A table has the main columns of the view `annotators`; JSON and CSV have all of them.
    """
    is_table = style == "table" or (style is None and sys.stdout.isatty())
    statement = _QUERY.format(columns=_FOR_PEOPLE if is_table else "*", order=_ORDERS[sort])
    with open_reader(store, url) as reader:
        found = reader.query(statement, [row_limit(limit, style)])
    total = found.rows[0][-1] if found.rows else 0
    found.columns.pop()
    found.types.pop()
    found.rows[:] = [row[:-1] for row in found.rows]
    show(found, style)
    if total > len(found.rows):
        tell(f"{len(found.rows):,} of {total:,} annotators; see more with --limit")


COMMANDS: tuple[click.Command, ...] = (annotators,)
