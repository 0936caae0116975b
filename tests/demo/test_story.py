from __future__ import annotations

import pytest

from consumers.demo.story import tell_story
from tests.consumers.stored import query


@pytest.mark.parametrize("cause", ["relabel", "deletion", "prediction", "threshold"])
def test_flags_are_cleared_for_each_cause(once, cause):
    """Corrections, deletions and new predictions clear flags, as the view of findings tells."""
    store, _ = once
    sql = "SELECT count(*) FROM findings WHERE kind = 'label_issue' AND action = 'cleared' AND cause = ?"
    assert query(store, sql, cause)[0][0] > 0


def test_bad_records_are_dead_letters(once):
    """Several kinds of bad records come, and each is kept with its reason."""
    store, _ = once
    assert query(store, "SELECT DISTINCT reason FROM dead_letters ORDER BY ALL") == [
        ("malformed_json",),
        ("missing_field",),
        ("not_an_object",),
        ("probs_not_normalised",),
        ("probs_out_of_range",),
        ("time_in_future",),
        ("unknown_type",),
        ("wrong_type",),
    ]


def test_copies_are_duplicates(once):
    """Copies are found by their content, those with conflicting labels once more."""
    store, _ = once
    found = dict(query(store, "SELECT kind, count(*) FROM duplicates GROUP BY ALL"))
    assert found["exact_duplicate"] > found["conflicting_labels"] > 0
    assert query(store, "SELECT count(*) FROM duplicates WHERE example_id LIKE '%-copy'")[0][0] > 0


def test_the_second_model_takes_over(once):
    """In the end the second model has judged every example that stands."""
    store, _ = once
    found = query(store, "SELECT DISTINCT model_version FROM annotations")
    assert found == [("neighbours-2",)]
    assert any(b'"neighbours-1"' in value for value in tell_story().values)


def test_deleted_digits_are_gone(once):
    """What was deleted is in no view, and was not said of a digit that came back."""
    store, _ = once
    sql = "SELECT count(*) FROM {} WHERE example_id = 'digit-30'"
    assert [query(store, sql.format(view)) for view in ("annotations", "predictions")] == [
        [(0,)]
    ] * 2


def test_each_label_has_its_picture(once):
    """Every label that stands has a picture of less than 1 kB, corrected ones too."""
    store, _ = once
    sql = """
    SELECT count(*) FROM annotations WHERE uri IS NULL OR NOT starts_with(uri, 'data:image/png;base64,')
        OR length(uri) > 1000
    """
    assert query(store, sql) == [(0,)]
    assert query(store, "SELECT count(*) FROM annotations WHERE metadata IS NOT NULL")[0][0] > 0


def test_the_story_is_the_same_each_time():
    """Told again it has the same records, so that a store goes on where it was; another round has others."""
    first, again, other = tell_story(), tell_story(), tell_story(1)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert len(first.values) == len(first.keys)
    # Rounds speak of the same examples: whoever reads them for days does not grow without end.
    assert first.truth == other.truth
