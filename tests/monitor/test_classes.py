from __future__ import annotations

import pytest

from monitor.classes import CLASSES_MAX, Authority, ClassList
from monitor.events import Reason


def test_configured_classes_are_strict():
    """A configured list takes no new name, whoever sends it, and says which field held it."""
    classes = ClassList(["cat", "dog"])
    assert classes.number_of("dog") == classes.number_of(1) == 1
    assert classes.number_of("cow").reason is Reason.UNKNOWN_LABEL
    assert classes.declare(["dog", "cat"]) is None
    assert classes.declare(["cat", "cow"]).reason is Reason.UNKNOWN_LABEL
    assert classes.declare(["cat", "cow"]).error.startswith("classes: ")
    assert (classes.names, classes.alignment) == (["cat", "dog"], [0, 1])


def test_discovered_names_join_sorted_and_align_nothing():
    """New names of one event join in sorted order; no list can be aligned with them."""
    classes = ClassList()
    classes.join(["dog", "cat", "dog"])
    classes.join(["ant", "dog"])
    assert (classes.names, classes.alignment) == (["cat", "dog", "ant"], None)
    assert classes.number_of(0).reason is Reason.LABEL_INDEX_OUT_OF_RANGE


def test_numbered_classes_are_closed():
    """An integer label with a list of three makes the classes "0", "1", "2", and no others join."""
    classes = ClassList()
    classes.number_as(3)
    assert (classes.names, classes.authority) == (["0", "1", "2"], Authority.NUMBERED)
    assert classes.number_of("2") == classes.number_of(2) == 2
    assert classes.number_of(3).reason is Reason.LABEL_INDEX_OUT_OF_RANGE
    assert classes.number_of(-1).reason is Reason.LABEL_INDEX_OUT_OF_RANGE
    assert classes.number_of("3").reason is Reason.UNKNOWN_LABEL


def test_a_declaration_aligns_lists_and_renumbers_nothing():
    """Lists follow the order of the newest declaration; a class keeps its number."""
    classes = ClassList()
    classes.join(["dog", "cat"])
    assert classes.declare(["ant", "dog"]) is None
    assert classes.names == ["cat", "dog", "ant"]
    assert [classes.number_of(i) for i in (0, 1)] == [2, 1]
    assert classes.number_of(2).reason is Reason.LABEL_INDEX_OUT_OF_RANGE
    assert classes.declare(["cat"]) is None
    assert (classes.alignment, len(classes)) == ([0], 3)


def test_automatic_classes_end_at_a_thousand():
    """The thousand-and-first name is refused, whether it is discovered or declared."""
    classes = ClassList()
    classes.join(map(str, range(CLASSES_MAX)))
    assert classes.fault_of(["0"]) is None
    assert classes.number_of("more").reason is Reason.TOO_MANY_CLASSES
    assert classes.declare(["more"]).reason is Reason.TOO_MANY_CLASSES
    assert len(classes) == CLASSES_MAX


@pytest.mark.parametrize("label", ["x" * 10_000, "line\nbreak"])
def test_an_error_text_is_one_short_line(label):
    """However long or odd a label is, the text about it is one line."""
    error = ClassList(["cat"] * 500).number_of(label).error
    assert len(error) < 500
    assert "\n" not in error
