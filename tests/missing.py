"""What a machine may lack."""

from __future__ import annotations

import os

import pytest

IS_CI = bool(os.environ.get("CI"))


def missing(text):
    """Something is: a test that needs it is skipped, but fails in CI, where it must be there."""
    if IS_CI:
        pytest.fail(text)
    pytest.skip(text)
