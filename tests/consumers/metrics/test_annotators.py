"""A hundred places, given once and kept."""

from __future__ import annotations

import numpy as np

from consumers.config import MetricsSettings
from consumers.metrics.annotators import ANNOTATORS_MAX, IDLE_S, Annotators
from consumers.metrics.definitions import (
    ANNOTATOR_ANNOTATIONS,
    ANNOTATOR_ERROR_RATIO,
    ANNOTATOR_FLAGS,
    ANNOTATOR_OVERFLOW,
    ANNOTATORS_ACTIVE,
    OTHER,
)
from monitor.annotators import rate
from monitor.consensus import AnnotatorTotals

NAMES = [f"n{i}" for i in range(ANNOTATORS_MAX + 30)]


def shown(annotators, now=0.0):
    """Values by metric and name; what comes twice is added up, as in an exposition."""
    found = {}
    for definition, labels, value in annotators.readings(now):
        found[definition, *labels] = found.get((definition, *labels), 0) + value
    return found


def of(*numbers):
    """Annotators by number."""
    return np.array(numbers, np.int64)


def test_the_first_hundred_keep_their_places():
    """Those who come later share one series, however busy they are, and it says how much it hides."""
    annotators = Annotators(MetricsSettings())
    annotators.count(NAMES, np.arange(len(NAMES)), of(), 0.0)
    annotators.count(NAMES, of(*[ANNOTATORS_MAX] * 50, 0), of(0, ANNOTATORS_MAX), 1.0)
    found = shown(annotators)
    own = [key for key in found if key[0] is ANNOTATOR_ANNOTATIONS and key[1] != OTHER]
    assert len(own) == ANNOTATORS_MAX
    assert found[ANNOTATOR_ANNOTATIONS, "n0"] == 2
    assert found[ANNOTATOR_ANNOTATIONS, OTHER] == 30 + 50 == found[ANNOTATOR_OVERFLOW,]
    assert found[ANNOTATOR_FLAGS, "n0"] == found[ANNOTATOR_FLAGS, OTHER] == 1
    assert found[ANNOTATORS_ACTIVE,] == len(NAMES)


def test_an_idle_one_makes_room():
    """After a day without a label a place goes to a newcomer, and the count begins anew; not before."""
    annotators = Annotators(MetricsSettings())
    annotators.count(NAMES, np.arange(ANNOTATORS_MAX), of(), 0.0)
    annotators.count(NAMES, np.arange(1, ANNOTATORS_MAX), of(), 10.0)
    annotators.count(NAMES, of(100), of(), IDLE_S)
    assert (ANNOTATOR_ANNOTATIONS, "n100") not in shown(annotators)
    annotators.count(NAMES, of(100, 101), of(), IDLE_S + 5.0)
    found = shown(annotators, IDLE_S + 5.0)
    assert found[ANNOTATOR_ANNOTATIONS, "n100"] == 1
    assert (ANNOTATOR_ANNOTATIONS, "n0") not in found
    assert found[ANNOTATOR_ANNOTATIONS, OTHER] == 2
    # 1 … 99, 100 and 101: everybody but the one who left.
    assert found[ANNOTATORS_ACTIVE,] == ANNOTATORS_MAX + 1
    annotators.count(NAMES, of(0), of(), IDLE_S + 6.0)
    assert shown(annotators)[ANNOTATOR_ANNOTATIONS, OTHER] == 3


def test_hashes_keep_people_apart_and_depend_on_the_salt():
    """The same name has the same hash with the same salt, and another one with another salt."""
    texts = []
    for salt in ("one", "one", "two"):
        annotators = Annotators(MetricsSettings(annotators="hashed", salt=salt))
        annotators.count(NAMES, of(0, 1), of(), 0.0)
        texts.append({key[1] for key in shown(annotators) if len(key) > 1} - {OTHER})
    assert texts[0] == texts[1]
    assert len(texts[0]) == 2
    assert not texts[0] & texts[2]
    assert not texts[0] & set(NAMES)


def rated(*numbers):
    """Ratings of these annotators, who have more labels the higher their number."""
    totals = AnnotatorTotals()
    totals.grow_to(max(numbers) + 1)
    totals.count[list(numbers)] = [20 * number + 20 for number in numbers]
    totals.issue_count[list(numbers)] = [2 * number + number % 2 for number in numbers]
    return rate(totals)


def test_error_rates_of_those_with_a_place():
    """Who has a series has an error rate, once there is a label and a rating; all others have none."""
    annotators = Annotators(MetricsSettings())
    annotators.rate(rated(0, 2, 5))
    assert not [key for key in shown(annotators) if key[0] is ANNOTATOR_ERROR_RATIO]
    annotators.count(NAMES, of(5, 0, 3), of(), 0.0)
    found = {
        key[1]: value
        for key, value in shown(annotators).items()
        if key[0] is ANNOTATOR_ERROR_RATIO
    }
    ratings = rated(0, 2, 5)
    assert found == {"n0": ratings.error_rate[0], "n5": ratings.error_rate[2]}


def test_a_hundred_thousand_annotators_are_a_hundred_series():
    """However many there are, series and the work of a look are bounded."""
    names = [f"n{i}" for i in range(100_000)]
    annotators = Annotators(MetricsSettings())
    annotators.count(names, np.arange(100_000), of(), 0.0)
    annotators.rate(rated(*range(100_000)))
    found = shown(annotators)
    assert sum(key[0] is ANNOTATOR_ERROR_RATIO for key in found) == ANNOTATORS_MAX
    assert found[ANNOTATORS_ACTIVE,] == 100_000


def test_error_rates_are_hidden_with_the_names():
    """Where annotators have no series, they have no error rate either; where names are hashed, so here."""
    for show in ("off", "hashed"):
        annotators = Annotators(MetricsSettings(annotators=show, salt="s"))
        annotators.count(NAMES, of(0), of(), 0.0)
        annotators.rate(rated(0))
        names = [key[1] for key in shown(annotators) if key[0] is ANNOTATOR_ERROR_RATIO]
        assert len(names) == (show == "hashed")
        assert "n0" not in names
