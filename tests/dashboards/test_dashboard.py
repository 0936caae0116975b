"""The dashboard that is checked in, without anything that draws it."""

from __future__ import annotations

import re

import pytest

from consumers.metrics.definitions import DEFINITIONS
from dashboards.overview import PATH, overview
from tests.dashboards.composed import DASHBOARD, PANELS

EXPRESSIONS = [each["expr"] for panel in PANELS for each in panel["targets"]]
_NAME = re.compile(r"\blabelwatch_\w+")
_NOT_OURS = {"up", "process_resident_memory_bytes", "process_cpu_seconds_total"}


def metric(name):
    """The metric that a series belongs to."""
    known = {each.name for each in DEFINITIONS}
    return name if name in known else re.sub("_(bucket|sum|count)$", "", name)


def test_it_is_what_the_builder_writes():
    """`python -m dashboards.overview` changes nothing."""
    assert PATH.read_text("utf-8") == overview()


def test_what_is_drawn_is_what_is_defined():
    """Every metric drawn is defined, and every metric defined is drawn."""
    drawn = {metric(name) for each in EXPRESSIONS for name in _NAME.findall(each)}
    assert drawn == {each.name for each in DEFINITIONS}


def test_every_series_is_of_the_monitors_that_are_chosen():
    """No panel mixes in monitors that are not shown."""
    for each in EXPRESSIONS:
        names = re.findall(r"\b(\w+)\{", each)
        assert names
        assert {name for name in names if not name.startswith("labelwatch_")} <= _NOT_OURS
        assert len(_NAME.findall(each)) <= len(names)
        assert each.count('{job=~"$job", instance=~"$instance"') == len(names)


def test_it_can_be_provisioned():
    """A stable uid, a schema that Grafana 10 to 13 read, times in UTC, and nobody edits it in place."""
    assert DASHBOARD["uid"] == "labelwatch-overview"
    assert 39 <= DASHBOARD["schemaVersion"] <= 42
    assert DASHBOARD["timezone"] == "utc"
    assert DASHBOARD["editable"] is False
    assert "id" not in DASHBOARD
    names = [each["name"] for each in DASHBOARD["templating"]["list"]]
    assert names == ["datasource", "job", "instance"]


def test_ids_are_unique():
    """No two panels share an id, and none is without."""
    ids = [each["id"] for each in DASHBOARD["panels"]]
    assert sorted(ids) == list(range(1, len(ids) + 1))


def test_panels_do_not_overlap():
    """Each cell of the grid belongs to one panel at the most, and the grid is 24 wide."""
    cells = [
        (x, y)
        for place in (each["gridPos"] for each in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_explains_itself(panel):
    """Each has a title, a description, a unit and the data source that is chosen."""
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    for each in (panel, *panel["targets"]):
        assert each["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_titles_are_unique():
    """A panel can be named."""
    titles = [each["title"] for each in PANELS]
    assert len(set(titles)) == len(titles)
