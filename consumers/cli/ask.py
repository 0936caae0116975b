"""Commands that read a store."""

from __future__ import annotations

from pathlib import Path

import click

from consumers.batch import FILTERS, filtered_ids
from consumers.cli.explanation import explain_example
from consumers.cli.output import format_option, limit_option, row_limit, show, tell
from consumers.cli.reading import open_reader, url_option
from consumers.export import WHATS, export_to

_FLAGS = """
SELECT annotation_id, example_id, annotator, given_label, suggested_label, label_score, model_version,
    annotated_at
FROM {view} WHERE {where} ORDER BY label_score, annotation_id LIMIT ?
"""
_FLAG_COUNT = "SELECT count(*) FROM {view} WHERE {where}"

_NEXT = """
SELECT example_id, consensus_label, consensus_quality, annotation_count, is_disputed,
    active_learning_score, model_version
FROM next_labels WHERE {where} LIMIT ?
"""
_NEXT_COUNT = "SELECT count(*) FROM next_labels WHERE {where}"
_NEXT_ROWS = 20

store_option = click.option(
    "--store", metavar="PATH", help="The database; labelwatch.duckdb by default."
)


@click.command()
@click.argument("statement", metavar="SQL")
@store_option
@url_option
@format_option
def sql(statement: str, store: str | None, url: str | None, style: str | None) -> None:
    """Run one query over the views: annotations, label_issues, classes, findings and more."""
    with open_reader(store, url) as reader:
        show(reader.query(statement), style)


@click.command()
@store_option
@url_option
@format_option
@click.option("--annotator", help="Only this annotator's labels.")
@click.option("--label", help="Only labels of this class.")
@click.option("--model-version", help="Only examples that this model version judges.")
@click.option(
    "--filter",
    "filter_by",
    type=click.Choice(FILTERS),
    help="What this filter of cleanlab flags, instead of the label issues; by cleanlab, an extra.",
)
@limit_option
def flags(
    store: str | None,
    url: str | None,
    style: str | None,
    limit: int | None,
    filter_by: str | None,
    **filters: str | None,
) -> None:
    """List suspect labels, most suspect first."""
    columns = {"annotator": "annotator", "label": "given_label", "model_version": "model_version"}
    given = {columns[name]: value for name, value in filters.items() if value is not None}
    conditions = [f"{column} = ?" for column in given]
    values: list[object] = list(given.values())
    with open_reader(store, url) as reader:
        view = "label_issues"
        if filter_by:
            view = "annotations"
            conditions.append("annotation_id IN (SELECT unnest(?::VARCHAR[]))")
            values.append(filtered_ids(reader, filter_by, filters["model_version"]))
        where = " AND ".join(conditions) or "true"
        statement = _FLAGS.format(view=view, where=where)
        found = reader.query(statement, [*values, row_limit(limit, style)])
        count = reader.query(_FLAG_COUNT.format(view=view, where=where), values).rows[0][0]
    show(found, style)
    if count > len(found.rows):
        name = f"annotations that {filter_by} flags" if filter_by else "label issues"
        tell(f"{len(found.rows):,} of {count:,} {name}; see more with --limit")


@click.command("next")
@store_option
@url_option
@format_option
@click.option(
    "--unlabelled/--labelled",
    "is_unlabelled",
    default=None,
    help="Only examples without a label, or only those that have one.",
)
@click.option(
    "--limit", type=click.IntRange(min=0), default=_NEXT_ROWS, show_default=True, help="Rows."
)
def next_labels(
    store: str | None,
    url: str | None,
    style: str | None,
    limit: int,
    *,
    is_unlabelled: bool | None,
) -> None:
    """List the examples where one more label would tell most, these first."""
    where = {None: "true", True: "annotation_count = 0", False: "annotation_count > 0"}[
        is_unlabelled
    ]
    with open_reader(store, url) as reader:
        found = reader.query(_NEXT.format(where=where), [limit])
        count = reader.query(_NEXT_COUNT.format(where=where)).rows[0][0]
    show(found, style)
    if count > len(found.rows):
        tell(f"{len(found.rows):,} of {count:,} examples; see more with --limit")


@click.command()
@click.argument("example_id")
@store_option
@url_option
@click.option(
    "--format", "style", type=click.Choice(("text", "json")), default="text", show_default=True
)
def explain(example_id: str, store: str | None, url: str | None, style: str) -> None:
    """Every number behind the flags of an example: p, thresholds, rule, score, when and why."""
    with open_reader(store, url) as reader:
        click.echo(explain_example(reader, example_id, style))


@click.command()
@click.argument("what", type=click.Choice(WHATS))
@click.option("--to", "path", required=True, metavar="FILE", help=".parquet, .csv or .jsonl")
@store_option
@url_option
def export(what: str, path: str, store: str | None, url: str | None) -> None:
    """Take annotations out, in a form that `replay` reads back.

    clean: live and no label issue. issues: the suspect ones. annotations: all live ones.
    """
    with open_reader(store, url) as reader:
        tell(f"{export_to(reader, what, Path(path)):,} annotations written to {path}")


COMMANDS: tuple[click.Command, ...] = (sql, flags, next_labels, explain, export)
