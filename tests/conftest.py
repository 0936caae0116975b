from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.missing import IS_CI

_SLOW_BY_NATURE = [HealthCheck.too_slow, HealthCheck.data_too_large]

settings.register_profile(
    "dev", max_examples=100, deadline=None, suppress_health_check=_SLOW_BY_NATURE
)
settings.register_profile(
    "ci",
    max_examples=100,
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=_SLOW_BY_NATURE,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if IS_CI else "dev"))
