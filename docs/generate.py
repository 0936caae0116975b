"""Refreshes what pages show of the code: `make docs`.

A page marks such a place with `<!-- settings: kafka -->` or `<!-- view: annotations -->`, up to
`<!-- end -->`. Settings come from consumers/config.py, views from the comments in a store.
tests/test_docs.py fails where a page and the code differ.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec.inspect import (
    BoolType,
    DictType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    StructType,
    UnionType,
)

from consumers import config
from consumers.config import Settings
from consumers.store.migrate import create
from consumers.store.read import Reader

DOCS = Path(__file__).parent
_PLACE = re.compile(r"(?<=<!-- )(settings|view): (\w+)( -->\n).*?(?=<!-- end -->)", re.DOTALL)


def refreshed(page: str) -> str:
    """A page with what the code says now in each of its places."""
    return _PLACE.sub(_write, page)


def _write(place: re.Match[str]) -> str:
    kind, name, end = place.groups()
    text = settings_table(name) if kind == "settings" else view_text(name)
    return f"{kind}: {name}{end}{text}"


def sections() -> dict[str, type[msgspec.Struct]]:
    """The tables of labelwatch.toml by name; `top` is what stands above all of them."""
    tables = {
        name: type(default)
        for name, default in zip(
            Settings.__struct_fields__, Settings.__struct_defaults__, strict=True
        )
        if isinstance(default, msgspec.Struct)
    }
    return {"top": Settings, **tables}


def settings_table(name: str) -> str:
    """Each setting of a table with its variable, default, values and meaning."""
    section = sections()[name]
    meanings = _meanings(section)
    prefix = "LABELWATCH_" if name == "top" else f"LABELWATCH_{name.upper()}__"
    lines = ["| setting | variable | default | values | meaning |", "|---|---|---|---|---|"]
    choices = _choices(section)
    described = msgspec.inspect.type_info(section)
    assert isinstance(described, StructType)
    for field in described.fields:
        if field.name in sections():
            continue
        variable = f"`{prefix}{field.name.upper()}{'__…' if field.name == 'fields' else ''}`"
        default = [] if field.default_factory is list else field.default
        shown = "" if default is None else f"`{json.dumps(default)}`"
        values = choices.get(field.name) or _values(field.type)
        cells = (f"`{field.name}`", variable, shown, values, meanings[field.name])
        lines.append(f"| {' | '.join(cells)} |".replace("|  |", "| |"))
    return "\n".join(lines) + "\n"


def _meanings(section: type[msgspec.Struct]) -> dict[str, str]:
    """The text below each attribute of a class."""
    tree = ast.parse(inspect.getsource(config))
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    return {
        setting.target.id: text.value.value
        for setting, text in pairwise(classes[section.__name__].body)
        if isinstance(setting, ast.AnnAssign)
        and isinstance(setting.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def _choices(section: type[msgspec.Struct]) -> dict[str, str]:
    """The words that settings choose from, in the order of the code: msgspec sorts them."""
    found = {}
    for name, hint in get_type_hints(section).items():
        words = [word for each in (hint, *get_args(hint)) for word in get_args(each)]
        if Literal in {get_origin(each) for each in (hint, *get_args(hint))}:
            found[name] = ", ".join(f"`{w}`" for w in words if isinstance(w, str))
    return found


def _values(kind: msgspec.inspect.Type) -> str:
    """What a setting can be, in words."""
    if isinstance(kind, UnionType):
        (kind,) = [each for each in kind.types if not isinstance(each, NoneType)]
    match kind:
        case BoolType():
            text = "`true`, `false`"
        case IntType():
            text = f"integer{_range(kind)}"
        case FloatType():
            text = f"number{_range(kind)}"
        case ListType():
            text = "list of texts" + (f", {kind.min_length} at least" if kind.min_length else "")
        case DictType():
            text = "table of texts"
        case _:
            text = "text"
    return text


def _range(kind: IntType | FloatType) -> str:
    low = f" above {kind.gt:g}" if kind.gt is not None else ""
    low = f" from {kind.ge:g}" if kind.ge is not None else low
    return low + (f" to {kind.le:,}" if kind.le is not None else "")


@cache
def views() -> dict[str, tuple[str, list[tuple[str, str, str]]]]:
    """Each view's comment, and name, type and comment of its columns, as a new store has them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "new.duckdb"
        create(path)
        with Reader(path) as reader:
            comments = reader.query(
                "SELECT view_name, comment FROM duckdb_views() WHERE schema_name = 'main' AND NOT internal"
            ).rows
            columns = reader.query(
                "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
                "WHERE schema_name = 'main' ORDER BY table_name, column_index"
            ).rows
    return {
        view: (comment, [tuple(row[1:]) for row in columns if row[0] == view])
        for view, comment in comments
    }


def view_text(name: str) -> str:
    """What a row of a view is, and its columns."""
    comment, columns = views()[name]
    lines = [comment, "", "| column | type | meaning |", "|---|---|---|"]
    lines += [f"| `{column}` | {kind} | {meaning} |" for column, kind, meaning in columns]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Refresh every page."""
    for path in DOCS.glob("*.md"):
        page = path.read_text("utf-8")
        path.write_text(refreshed(page), "utf-8")


if __name__ == "__main__":
    main()
