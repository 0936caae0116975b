"""Panels as our dashboards want them: with a description and a unit, over the data source that is chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    prometheus,
    stat,
    timeseries,
)
from grafana_foundation_sdk.models import common as shapes
from grafana_foundation_sdk.models.dashboard import (
    Threshold,
    ThresholdsMode,
    ValueMap,
    ValueMappingResult,
)
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

if TYPE_CHECKING:
    from consumers.metrics.shape import Definition

SOURCE = shapes.DataSourceRef(type_val="prometheus", uid="${datasource}")
CHOSEN = 'job=~"$job", instance=~"$instance"'
GOOD, WARNING, BAD = "green", "orange", "red"
_STAT_HEIGHT, _STAT_WIDTH = 4, 3
_HEIGHT, _WIDTH = 8, 8

Panel: TypeAlias = stat.Panel | timeseries.Panel | bargauge.Panel | heatmap.Panel
Lines: TypeAlias = dict[str, str]
"""Legend → PromQL."""


def series(metric: Definition | str, *conditions: str) -> str:
    """The series of a metric of the monitors that are chosen, by these conditions too."""
    name = metric if isinstance(metric, str) else metric.name
    return f"{name}{{{', '.join([CHOSEN, *conditions])}}}"


def rate(metric: Definition, *conditions: str, by: str, part: str = "") -> str:
    """How often a second, by this label. `part` is a histogram's: _bucket, _count or _sum."""
    found = series(metric.name + part, *conditions)
    return f"sum by ({by}) (rate({found}[$__rate_interval]))"


def quantile(share: float, metric: Definition, by: str = "") -> str:
    """A quantile of a histogram; nothing while nothing is observed."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, {rate(metric, by=labels, part='_bucket')}) >= 0"


def number(title: str, expression: str, unit: str, description: str) -> stat.Panel:
    """One number, in green; `coloured` says when it is not."""
    panel = stat.Panel().graph_mode(shapes.BigValueGraphMode.NONE).no_value("none yet")
    panel = panel.color_mode(shapes.BigValueColorMode.BACKGROUND)
    panel = panel.height(_STAT_HEIGHT).span(_STAT_WIDTH).thresholds(_levels())
    panel = panel.reduce_options(_latest())
    panel = panel.title(title).description(description).unit(unit).datasource(SOURCE)
    return panel.with_target(_query(expression, "").instant())


def coloured(panel: stat.Panel, warning: float, bad: float | None = None) -> stat.Panel:
    """Orange from one value on, red from another."""
    return panel.thresholds(_levels((warning, WARNING), (bad, BAD)))


def worded(panel: stat.Panel, words: dict[int, tuple[str, str]]) -> stat.Panel:
    """A word and a colour for each value."""
    options = {
        str(value): ValueMappingResult(text=text, color=color, index=value)
        for value, (text, color) in words.items()
    }
    return panel.mappings([ValueMap(options=options)])


def graph(title: str, lines: Lines, unit: str, description: str) -> timeseries.Panel:
    """Lines over time."""
    legend = common.VizLegendOptions().display_mode(shapes.LegendDisplayMode.LIST)
    legend = legend.placement(shapes.LegendPlacement.BOTTOM).show_legend(show_legend=True)
    tooltip = common.VizTooltipOptions().mode(shapes.TooltipDisplayMode.MULTI)
    panel = timeseries.Panel().height(_HEIGHT).span(_WIDTH).fill_opacity(10).line_width(1)
    panel = panel.legend(legend).tooltip(tooltip.sort(shapes.SortOrder.DESCENDING)).min(0)
    panel = panel.title(title).description(description).unit(unit).datasource(SOURCE)
    for position, (name, expression) in enumerate(lines.items()):
        panel = panel.with_target(_query(expression, name, position))
    return panel


def bars(title: str, name: str, expression: str, description: str) -> bargauge.Panel:
    """Shares as of now, the largest first."""
    panel = bargauge.Panel().height(_HEIGHT).span(_WIDTH).thresholds(_levels()).min(0)
    panel = panel.orientation(shapes.VizOrientation.HORIZONTAL).unit("percentunit")
    panel = panel.reduce_options(_latest())
    panel = panel.title(title).description(description).datasource(SOURCE)
    return panel.with_target(_query(expression, name).instant())


def buckets(title: str, metric: Definition, unit: str, description: str) -> heatmap.Panel:
    """A histogram over time."""
    expression = f"sum by (le) (increase({series(metric.name + '_bucket')}[$__rate_interval]))"
    panel = heatmap.Panel().height(_HEIGHT).span(_WIDTH).calculate(calculate=False)
    color = heatmap.HeatmapColorOptions().scheme("Oranges").mode(HeatmapColorMode.SCHEME).steps(64)
    panel = panel.color(color).y_axis(heatmap.YAxisConfig().unit(unit)).unit("short")
    panel = panel.title(title).description(description).datasource(SOURCE)
    return panel.with_target(_query(expression, "{{le}}").format(PromQueryFormat.HEATMAP))


def _query(expression: str, legend: str, position: int = 0) -> prometheus.Dataquery:
    query = prometheus.Dataquery().expr(expression).legend_format(legend)
    return query.ref_id(chr(ord("A") + position)).datasource(SOURCE)


def _latest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"])


def _levels(*steps: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    found = [Threshold(value=None, color=GOOD)]
    found += [Threshold(value, color) for value, color in steps if value is not None]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)
