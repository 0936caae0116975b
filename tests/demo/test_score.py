from __future__ import annotations

import re

import pytest
from sklearn.datasets import load_digits

from consumers.demo.score import Label, Score, score, total
from tests.consumers.stored import query


def label(example, annotator, given, is_flagged):
    """A label that stands."""
    return Label(example, annotator, given, None, 0.5, is_flagged)


def test_the_score_counts_what_stands():
    """Wrong, flagged and both are counted for each annotator; what nobody knows the truth of is left out."""
    labels = [
        label("x", "ann", "1", True),
        label("y", "ann", "1", True),
        label("z", "ann", "1", False),
        label("y", "bob", "3", False),
        label("other", "bob", "3", True),
    ]
    found = score(labels, {"x": "1", "y": "2", "z": "1"})
    assert found == {"ann": Score(3, 1, 2, 1), "bob": Score(1, 1, 0, 0)}
    assert str(total(found)) == "4 labels, 2 wrong, 2 flagged: precision 0.500, recall 0.500"


def test_no_flag_and_no_error_has_no_ratio():
    """Where nothing is flagged or wrong there is no precision or recall, and none is made up."""
    assert str(total({})) == "0 labels, 0 wrong, 0 flagged: precision –, recall –"


def test_the_report_is_right(once):
    """Precision and recall at the end are those of the store's flags against scikit-learn's own labels."""
    store, ended = once
    _, true = load_digits(return_X_y=True)
    rows = query(
        store, "SELECT example_id, annotator, given_label, is_label_issue FROM annotations"
    )
    judged = [
        (annotator, int(given) != true[int(example.split("-")[1])], is_flagged)
        for example, annotator, given, is_flagged in rows
    ]
    wrong = sum(is_wrong for _, is_wrong, _ in judged)
    flagged = sum(is_flagged for *_, is_flagged in judged)
    hits = sum(is_wrong and is_flagged for _, is_wrong, is_flagged in judged)
    assert ended.out.splitlines()[-1] == (
        f"{len(judged):,} labels, {wrong} wrong, {flagged} flagged: "
        f"precision {hits / flagged:.3f}, recall {hits / wrong:.3f}"
    )
    assert hits / flagged > 0.8
    assert hits / wrong > 0.7
    eli = [each[1:] for each in judged if each[0] == "eli"]
    numbers = [len(eli), *map(sum, zip(*eli, strict=True)), sum(a and b for a, b in eli)]
    assert re.search(r"^eli +" + " +".join(map(str, numbers)) + "$", ended.out, re.MULTILINE)


def test_the_most_suspect_are_shown(once):
    """The report begins with ten flagged labels and what they are in truth."""
    _, ended = once
    head, *rows = ended.out.splitlines()[:11]
    assert head.split()[-2:] == ["label_score", "true_label"]
    assert all(re.fullmatch(r"digit-\d+(-copy)? .* \d *", row) for row in rows)


@pytest.mark.parametrize("column", ["labels", "wrong", "flagged", "flagged_and_wrong"])
def test_every_annotator_stands_in_the_report(once, column):
    """There is a line for each annotator, and a column for each count."""
    _, ended = once
    assert column in ended.out
    assert re.findall(r"^(ann|bob|cai|dee|eli) ", ended.out, re.MULTILINE) == [
        *("ann", "bob", "cai", "dee", "eli")
    ]
