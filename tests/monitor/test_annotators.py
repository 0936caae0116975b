"""How good annotators are said to be, against slow formulas, and against people whose rates are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import beta

from monitor.annotators import STRENGTH_MAX, STRENGTH_MIN, prior_strength, rate
from monitor.consensus import AnnotatorTotals
from monitor.units import UNIT

counted = st.lists(
    st.integers(0, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n))),
    min_size=1,
    max_size=30,
)


def totals_of(pairs, quality=0.75):
    """Totals of annotators with so many labels and issues each."""
    totals = AnnotatorTotals()
    totals.grow_to(len(pairs))
    for row, (count, issues) in enumerate(pairs):
        totals.count[row], totals.issue_count[row] = count, issues
        totals.quality_sum[row] = int(count * quality * UNIT)
    return totals


def plain_strength(pairs):
    """The strength by one label after the other: analysis of variance of zeros and ones."""
    groups = [[1] * issues + [0] * (count - issues) for count, issues in pairs if count]
    labels = [each for group in groups for each in group]
    n, k = len(labels), len(groups)
    if k <= 1:
        return STRENGTH_MIN
    most = min(STRENGTH_MAX, n)
    if n == k:
        return most
    mean = sum(labels) / n
    between = sum(len(g) * (sum(g) / len(g) - mean) ** 2 for g in groups) / (k - 1)
    within = sum((x - sum(g) / len(g)) ** 2 for g in groups for x in g) / (n - k)
    size = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
    # What the data say exactly is not to be decided by how a sum was rounded.
    if between <= within * (1 + 1e-12):
        return most
    correlation = (between - within) / (between + (size - 1) * within)
    return min(max((1 - correlation) / correlation, STRENGTH_MIN), most)


@given(counted)
@example([(0, 0)])
@example([(5, 5)])
@example([(1, 0), (1, 1)])
@example([(300, 0)] * 3)
@example([(300, 0)])
@example([(300, 300)])
@example([(300, 300), (300, 0)])
def test_ratings_are_those_of_the_beta_posterior(pairs):
    """Rate and interval are the mean and the quantiles of the beta distribution; the idle have none."""
    found = rate(totals_of(pairs))
    known = [(row, *pair) for row, pair in enumerate(pairs) if pair[0]]
    assert found.annotator.tolist() == [row for row, _, _ in known]
    assert found.annotation_count.tolist() == [count for _, count, _ in known]
    assert found.issue_count.tolist() == [issues for _, _, issues in known]
    strength = plain_strength(pairs)
    mean = (sum(i for _, _, i in known) + 0.5) / (max(sum(c for _, c, _ in known), 1) + 1)
    for at, (_, count, issues) in enumerate(known):
        wrong, right = (max(strength * share, 0.5) for share in (mean, 1 - mean))
        posterior = beta(issues + wrong, count - issues + right)
        assert found.error_rate[at] == pytest.approx(posterior.mean(), rel=1e-6)
        assert found.error_rate_low[at] == pytest.approx(
            posterior.ppf(0.025), rel=1e-5, abs=1e-300
        )
        assert found.error_rate_high[at] == pytest.approx(posterior.ppf(0.975), rel=1e-6)
        assert found.error_rate_low[at] < found.error_rate[at] < found.error_rate_high[at]
        assert found.annotator_quality[at] == pytest.approx(0.75, abs=1e-8)


@given(counted)
@example([(2, 1), (2, 1)])
@example([(1, 0)] * 5)
@example([(300, 3), (2, 2), (1, 0)])
def test_the_strength_is_that_of_the_analysis_of_variance(pairs):
    """Sums over annotators give what a walk over all labels gives."""
    count, issues = (np.array(each, np.int64) for each in zip(*pairs, strict=True))
    found = prior_strength(count[count > 0], issues[count > 0])
    assert STRENGTH_MIN <= found <= STRENGTH_MAX
    assert found == pytest.approx(plain_strength(pairs), rel=1e-6)


@pytest.mark.parametrize(("mean", "strength"), [(0.1, 10), (0.2, 40), (0.05, 100)])
def test_people_with_a_known_spread(mean, strength):
    """Of people drawn from a beta distribution the strength is found; intervals hold 95 % of true rates."""
    random = np.random.default_rng(7)
    people = 3_000
    true = random.beta(mean * strength, (1 - mean) * strength, people)
    count = random.integers(3, 200, people)
    issues = random.binomial(count, true)
    assert prior_strength(count, issues) == pytest.approx(strength, rel=0.25)
    found = rate(totals_of(list(zip(count.tolist(), issues.tolist(), strict=True))))
    is_held = (found.error_rate_low <= true) & (true <= found.error_rate_high)
    assert 0.93 < is_held.mean() < 0.97
    raw = np.mean((issues / count - true) ** 2)
    assert np.mean((found.error_rate - true) ** 2) < 0.8 * raw
    assert np.corrcoef(found.error_rate, true)[0, 1] > np.corrcoef(issues / count, true)[0, 1]


def test_people_who_are_alike():
    """Where all have the same rate, few labels of one of them change little."""
    random = np.random.default_rng(7)
    count = random.integers(20, 200, 2_000)
    strength = prior_strength(count, random.binomial(count, 0.1))
    assert strength > 300


def test_three_labels_against_many():
    """Three wrong labels weigh less than three hundred, and are less sure."""
    found = rate(totals_of([(3, 3), (300, 290), *[(100, 10)] * 20]))
    few, many, usual = found.error_rate[:3]
    assert usual < few < many
    width = found.error_rate_high - found.error_rate_low
    assert width[0] > 3 * width[1]


@pytest.mark.parametrize("people", [1, 2, 50])
def test_no_issue_is_no_proof(people):
    """Who made no error in 300 labels may make one in 300 more."""
    found = rate(totals_of([(300, 0)] * people))
    assert 1 / 3_000 < found.error_rate_high[0] < 3 / 300
    assert found.error_rate[0] < found.error_rate_high[0] / 2


def test_nobody_has_labels():
    """Before the first label there is nobody to rate."""
    assert rate(AnnotatorTotals()).annotator.size == 0
    assert rate(totals_of([(0, 0), (0, 0)])).annotator.size == 0


def test_a_hundred_thousand_annotators():
    """Everybody is rated, with finite numbers in their order."""
    random = np.random.default_rng(7)
    totals = AnnotatorTotals()
    totals.grow_to(100_000)
    totals.count[:100_000] = random.integers(1, 50, 100_000)
    totals.issue_count[:100_000] = random.binomial(totals.count[:100_000], 0.1)
    found = rate(totals)
    assert found.annotator.size == 100_000
    assert (found.error_rate_low > 0).all()
    assert (found.error_rate_low < found.error_rate).all()
    assert (found.error_rate < found.error_rate_high).all()
    assert (found.error_rate_high < 1).all()
