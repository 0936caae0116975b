"""The estimated number of label errors is cleanlab's."""

from __future__ import annotations

import numpy as np
import pytest
from cleanlab.count import estimate_joint
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from monitor.statistics.confident_joint import ConfidentJoint
from monitor.statistics.label_errors import expected_errors

sizes = st.integers(2, 5)


@given(st.data(), sizes)
def test_it_is_what_cleanlab_estimates(data, size):
    """One minus the trace of cleanlab's joint, whose cells are rounded to whole annotations."""
    joint = data.draw(some.arrays(np.int64, (size, size), elements=st.integers(0, 40)))
    # Annotations without a suggested label are in no cell.
    count = joint.sum(axis=1) + data.draw(some.arrays(np.int64, size, elements=st.integers(1, 20)))
    labels = np.repeat(np.arange(size), count)
    raised = joint.copy()
    np.fill_diagonal(raised, np.maximum(joint.diagonal(), 1))
    theirs = estimate_joint(labels, np.full((labels.size, size), 1 / size), confident_joint=raised)
    ours = expected_errors(count, ConfidentJoint(joint))
    assert ours == pytest.approx((1 - theirs.trace()) * labels.size, abs=size)


def test_nothing_has_no_errors():
    """An empty stratum, and one whose classes no model suggests, have no errors."""
    assert expected_errors(np.zeros(3, np.int64), ConfidentJoint.empty(3)) == 0
    assert expected_errors(np.array([5, 5]), ConfidentJoint.empty(2)) == 0
