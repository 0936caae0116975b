"""The first dashboard. `python -m dashboards.overview` writes it; a test compares what is checked in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from consumers.metrics.definitions import BUILD_INFO
from dashboards import labels, pipeline
from dashboards.panels import SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from dashboards.panels import Panel

PATH = Path(__file__).parent / "grafana" / "dashboards" / "labelwatch-overview.json"
ROWS: dict[str, tuple[Callable[[], list[Panel]], ...]] = {
    "Is all well?": (pipeline.health,),
    "Label errors": (labels.errors, labels.changes),
    "Annotators": (labels.annotators,),
    "Duplicates": (labels.duplicates,),
    "Stream": (pipeline.stream,),
    "Work": (pipeline.work,),
    "Resources": (pipeline.resources,),
}


def overview() -> str:
    """The dashboard as JSON."""
    board = dashboard.Dashboard("labelwatch: overview").uid("labelwatch-overview").readonly()
    board = board.description(
        "Label errors, those who make them, and the monitor that finds them."
    )
    board = board.tags(["labelwatch"]).timezone("utc").time("now-30m", "now").refresh("10s")
    board = board.tooltip(DashboardCursorSync.CROSSHAIR).with_variable(_source())
    board = board.with_variable(_choice("job", f"{BUILD_INFO.name}, job").multi(multi=False))
    instances = _choice("instance", f'{BUILD_INFO.name}{{job=~"$job"}}, instance').multi(
        multi=True
    )
    everything = VariableOption(text=["All"], value=["$__all"])
    board = board.with_variable(instances.include_all(include_all=True).current(everything))
    number = 0
    for title, makers in ROWS.items():
        board = board.with_row(dashboard.Row(title).id(number := number + 1))
        for panel in (panel for make in makers for panel in make()):
            board = board.with_panel(panel.id(number := number + 1))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _choice(name: str, what: str) -> dashboard.QueryVariable:
    query = f"label_values({what})"
    variable = dashboard.QueryVariable(name).label(name.capitalize()).datasource(SOURCE)
    variable = variable.query(query).definition(query).sort(VariableSort.ALPHABETICAL_ASC)
    return variable.refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)


if __name__ == "__main__":
    PATH.write_text(overview(), "utf-8")
