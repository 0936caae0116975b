from __future__ import annotations

import datetime as dt

import pytest

from consumers.doctor.clock import check_clock

NOW = dt.datetime(2026, 11, 22, 3, 0, tzinfo=dt.UTC)
LATER, MUCH_LATER = NOW + dt.timedelta(minutes=4), NOW + dt.timedelta(minutes=6)


def us(time):
    """A time as records carry it."""
    return int(time.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("now", "committed_at", "newest_us", "said"),
    [
        (NOW, None, None, None),
        (NOW, LATER.replace(tzinfo=None), us(LATER), None),
        (
            NOW,
            MUCH_LATER.replace(tzinfo=None),
            None,
            "the store was written to at 2026-11-22 03:06",
        ),
        (NOW, None, us(MUCH_LATER), "the newest record is from 2026-11-22 03:06"),
        (NOW, None, 2**62, "the newest record is from 9999"),
        (NOW.replace(year=1970), None, None, "in the past"),
    ],
)
def test_clocks_that_disagree(now, committed_at, newest_us, said):
    """A clock that others contradict by more than five minutes is a warning, never a fault."""
    found = check_clock(now, committed_at, newest_us)
    assert (found.verdict, found.exit_code) == ("warning" if said else "ok", 0)
    assert (said or "2026-11-22 03:00:00 UTC") in found.text
