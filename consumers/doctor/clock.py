"""The clock of this machine, against the times that the store and the records carry. Pure."""

from __future__ import annotations

import datetime as dt

from consumers.doctor.checks import Check, ok, warning

SKEW_MAX = dt.timedelta(minutes=5)
BUILT_AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
"""No clock that is right shows an earlier time to this version."""


def check_clock(
    now: dt.datetime, committed_at: dt.datetime | None, newest_us: int | None
) -> Check:
    """`committed_at`: the store's last transaction. `newest_us`: the newest record of the topics."""
    shown = f"{now:%F %T} UTC"
    if now < BUILT_AT:
        return warning("clock", f"{shown} is in the past; set the clock of this machine")
    if committed_at and committed_at.replace(tzinfo=dt.UTC) > now + SKEW_MAX:
        return warning(
            "clock",
            f"{shown}, but the store was written to at {committed_at:%F %T}: the clock was set back, or the "
            "store comes from a machine with another time; synchronise the clock",
        )
    newest = _time(newest_us)
    if newest and newest > now + SKEW_MAX:
        return warning(
            "clock",
            f"{shown}, but the newest record is from {newest:%F %T}: synchronise the clocks of this machine "
            "and of the producers. An annotated_at more than 24 h after its record's time is a dead letter",
        )
    text = f"; the newest record is from {newest:%F %T}" if newest else ""
    return ok("clock", f"{shown}{text}")


def _time(us: int | None) -> dt.datetime | None:
    """None also for a time that no calendar has: a producer may send any number."""
    try:
        return None if us is None else dt.datetime.fromtimestamp(us / 1e6, dt.UTC)
    except (ValueError, OverflowError, OSError):
        return dt.datetime.max.replace(tzinfo=dt.UTC)
