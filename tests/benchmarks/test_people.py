from __future__ import annotations

import numpy as np
import pytest

from benchmarks.people import MODELS, MissingDataError, made_up, real, with_levels

CROWD, _ = made_up(3_000)


def wrong_rate(crowd):
    """The share of wrong labels on each class."""
    true = crowd.true[crowd.example]
    return np.bincount(true, crowd.is_wrong) / np.bincount(true)


def test_people_of_everybodys_level_keep_their_labels():
    """A shift of 0 changes nothing."""
    same, levels = with_levels(CROWD, np.zeros(3), 0)
    assert np.array_equal(same.given, CROWD.given)
    assert not levels.any()


@pytest.mark.parametrize("shift", [-1.0, 1.0])
def test_a_level_shifts_the_odds_of_an_error(shift):
    """Everybody's odds on each class are times exp(shift), within what chance does to 900 labels."""
    moved, _ = with_levels(CROWD, np.array([shift]), 0)
    before = wrong_rate(CROWD)
    odds = before / (1 - before) * np.exp(shift)
    assert np.abs(wrong_rate(moved) - odds / (1 + odds)).max() < 4 * np.sqrt(0.25 / 900)


def test_who_is_better_only_loses_errors_and_who_is_worse_only_gains_them():
    """What was wrong stays as it was, or becomes right; what was right stays, or becomes wrong."""
    moved, levels = with_levels(CROWD, np.array([-1.0, 1.0]), 0)
    is_better = levels[CROWD.annotator] < 0
    is_changed = moved.given != CROWD.given
    assert set(levels) == {-1.0, 1.0}
    assert not moved.is_wrong[is_changed & is_better].any()
    assert not CROWD.is_wrong[is_changed & ~is_better].any()
    assert moved.is_wrong[is_changed & ~is_better].all()


def test_a_new_error_is_one_that_people_make():
    """A right label becomes only what somebody called that class."""
    moved, _ = with_levels(CROWD, np.array([2.0]), 0)
    true = CROWD.true[CROWD.example].tolist()
    known = set(zip(true, CROWD.given.tolist(), strict=True))
    assert set(zip(true, moved.given.tolist(), strict=True)) <= known
    assert moved.is_wrong.sum() > CROWD.is_wrong.sum()


def test_the_same_seed_gives_the_same_people():
    """Levels and labels follow from the seed alone."""
    one, other = (with_levels(CROWD, np.array([-1.0, 1.0]), seed) for seed in (7, 7))
    assert np.array_equal(one[0].given, other[0].given)
    assert np.array_equal(one[1], other[1])


def test_the_beginning_of_a_stream_is_whole_images():
    """A tenth of the images, each with all its labels, and the model's rows for them."""
    tenth = CROWD.first(0.1)
    assert tenth.true.size == 300
    assert np.array_equal(np.bincount(tenth.example), np.full(300, 3))
    assert [tenth.pred_probs[model].shape for model in MODELS] == [(300, 10)] * 2


@pytest.mark.parametrize("folder", [None, "."])
def test_missing_data_is_named(monkeypatch, tmp_path, folder):
    """Without the folder, or without the file in it, the file and the setting are named."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LABELWATCH_DATA", raising=False)
    if folder:
        monkeypatch.setenv("LABELWATCH_DATA", folder)
    with pytest.raises(MissingDataError, match=r"LABELWATCH_DATA.*cifar10n|cifar10n.*LABELWATCH"):
        real()
